"""What a service offers: its limits, its models, its workers."""

from pydantic import Field

from univs_service.messages.base import Outgoing
from univs_service.messages.prompts import PromptKind
from univs_service.messages.sessions import Weights
from univs_service.messages.tasks import MAX_NAMES, Task


class Limits(Outgoing):
    """What the service accepts; also `GET /v1/limits`."""

    max_upload_bytes: int
    max_frame_pixels: int
    max_pushed_frame_bytes: int
    max_objects: int
    max_prompts: int
    max_names: int = MAX_NAMES  # categories of one session
    max_queued_sessions: int
    max_inflight_frames: int
    max_window: int
    session_ttl_s: float
    results_retention_s: float


class ModelInfo(Outgoing):
    """Weights that a worker can run, and which prompts they can serve."""

    name: str
    weights: Weights
    is_own: bool = False  # of the service's folder of weights: only sessions that name them get them
    is_loaded: bool = True  # else the first session that asks for them waits until they are
    prompts: list[PromptKind]
    no_text: str = ""  # why texts are not among them
    tasks: list[Task] = Field(default_factory=list)  # what a session may ask for
    untrained_tasks: list[Task] = Field(default_factory=list)  # those of them whose answers mean nothing yet
    vocabularies: list[str] = Field(default_factory=list)  # known by name
    no_categories: str = ""  # why vis, vss and vps are not among the tasks


class WorkerInfo(Outgoing):
    """Heartbeat of a worker."""

    worker_id: str
    is_ready: bool
    reason: str = ""  # why it is not ready
    models: list[ModelInfo]
    num_sessions: int
    max_sessions: int
    device: str
    started_at: float
