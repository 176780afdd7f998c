"""What is asked of the child process that makes an export, as one JSON object."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from univs_service.exports.document import VideoDescription
from univs_service.exports.formats import ExportFormat


class ExportOrder(BaseModel):
    """One export of a session's results."""

    model_config = ConfigDict(frozen=True)

    kind: ExportFormat
    results: Path  # the session's events
    last_seq: int
    target: Path  # appears when it is complete
    video: VideoDescription
    video_file: Path | None  # None for sessions whose frames were pushed
    names: dict[int, str]
    frames_url: str | None  # what the number of a frame is appended to


class Limits(BaseModel):
    """What the child may use."""

    model_config = ConfigDict(frozen=True)

    memory_bytes: int
    cpu_s: int
    file_bytes: int


# How the child ends when it cannot do it; its words are on stderr.
EXIT_NO_RESULTS = 3
EXIT_REFUSED = 4
EXIT_VIDEO = 5
EXIT_DISK = 6
