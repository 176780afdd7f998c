"""Settings of every process of the service, read from the environment (`UNIVS_*`) here and nowhere else."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from univs_service.messages import Limits

GIBIBYTE = 1024**3


class Settings(BaseSettings):
    """Settings of every process. `UNIVS_REDIS_URL=...` sets `redis_url`, and so on."""

    model_config = SettingsConfigDict(env_prefix="UNIVS_", frozen=True, extra="forbid")

    redis_url: str = Field(  # may hold a password: kept out of the repr, and so out of logs
        default="redis://127.0.0.1:6379/0", repr=False, description="Redis >= 7 or Valkey >= 8"
    )
    redis_timeout_s: float = Field(default=5.0, gt=0, description="one answer of Redis, and a connection to it")
    data_dir: Path = Field(default=Path("univs-data"), description="uploads, pushed frames, results")
    log_level: str = "INFO"

    # gateway
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    allowed_origins: tuple[str, ...] = Field(
        default=(), description="origins besides the service's own whose pages may open a websocket"
    )
    hello_timeout_s: float = Field(default=10.0, gt=0)
    probe_timeout_s: float = Field(default=20.0, gt=0, description="for reading an upload's header and packets")
    probe_memory_bytes: int = Field(default=2 * GIBIBYTE, gt=0, description="address space of the reading process")
    max_probes: int = Field(default=4, ge=1, description="reading processes at a time")

    max_exports: int = Field(default=2, ge=1, description="exports made at a time")
    export_wait_s: float = Field(default=20.0, gt=0, description="for an export, before a client is told to come back")
    export_timeout_s: float = Field(default=1800.0, gt=0, description="for making one export")
    max_export_bytes: int = Field(default=16 * GIBIBYTE, gt=0, description="the largest file that an export may write")

    # inputs from elsewhere: none until a scheme and a host are listed (docs/live.md)
    input_schemes: tuple[Literal["http", "https", "s3", "rtsp", "rtsps"], ...] = ()
    input_hosts: tuple[str, ...] = Field(
        default=(), description="names that URLs may have: `example.org`, `*.example.org`, `*`"
    )
    input_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="networks besides the public ones that a host may lie in: `10.0.0.0/8`"
    )
    input_timeout_s: float = Field(default=600.0, gt=0, description="for fetching one file")
    input_s3_buckets: tuple[str, ...] = ()
    input_s3_endpoint: str | None = Field(default=None, description="of a store that is not Amazon's")
    input_s3_region: str = "us-east-1"
    camera_silence_s: float = Field(default=10.0, gt=0, description="a camera that sends nothing for so long is lost")

    # worker
    worker_metrics_host: str = "127.0.0.1"
    worker_metrics_port: int = Field(default=9101, ge=0, le=65535)
    model: str = Field(default="nano", description="weights to load; also the default of new sessions")
    weights_dir: Path | None = Field(
        default=None, description="folder of weights that sessions may ask for by name; left out DATA_DIR/weights"
    )
    max_models: int = Field(default=3, ge=1, description="networks that one worker holds in memory, its own included")
    device: str = "cpu"
    compat: Literal["paper", "released"] | None = Field(
        default=None, description="semantics by which the network is run; those of the weights when left out"
    )
    short_side_px: int | None = Field(
        default=None,
        ge=32,
        description="frames are resized for the network: their short side; left out 320, or 640 for published weights",
    )
    threads: int = Field(default=0, ge=0, description="CPU threads of the model; 0 leaves it to torch")
    max_sessions: int = Field(default=8, ge=1, description="sessions that one worker runs side by side")
    snapshot_every: int = Field(default=10, ge=1, description="frames between two snapshots of a session")
    worker_lease_s: float = Field(default=5.0, gt=0, description="a silent worker loses its sessions after this")
    step_timeout_s: float = Field(default=120.0, gt=0, description="a step longer than this counts as hung")
    heartbeat_s: float = Field(default=1.0, gt=0)
    max_takeovers: int = Field(
        default=3, ge=1, description="a session whose workers die this often without a result fails"
    )

    # sessions
    session_ttl_s: float = Field(default=60.0, gt=0, description="how long a session waits for its client")
    results_retention_s: float = Field(default=86400.0, gt=0, description="how long an ended session is kept")
    results_maxlen: int = Field(default=512, ge=1, description="events kept in Redis; older ones are on disk")

    # limits
    max_upload_bytes: int = Field(default=4 * GIBIBYTE, gt=0)
    min_free_disk_bytes: int = Field(default=256 * 1024**2, ge=0, description="uploads leave this much free")
    max_request_bytes: int = Field(default=32 * 1024**2, gt=0, description="a JSON body")
    max_frame_pixels: int = Field(default=4096 * 4096, gt=0)
    max_objects: int = Field(default=64, ge=1)
    max_prompts: int = Field(default=1024, ge=1, description="prompts of one session")
    max_queued_sessions: int = Field(default=64, ge=1)
    max_inflight_frames: int = Field(
        default=32, ge=1, description="pushed frames without a result; published weights need more than 4"
    )

    @property
    def own_weights(self) -> Path:
        """Folder of weights that sessions may ask for by name; it need not exist."""
        return self.weights_dir or self.data_dir / "weights"

    def limits(self) -> Limits:
        """Give the limits that clients may read."""
        return Limits(
            max_upload_bytes=self.max_upload_bytes,
            max_frame_pixels=self.max_frame_pixels,
            max_pushed_frame_bytes=self.max_pushed_frame_bytes,
            max_objects=self.max_objects,
            max_prompts=self.max_prompts,
            max_queued_sessions=self.max_queued_sessions,
            max_inflight_frames=self.max_inflight_frames,
            max_window=1024,
            session_ttl_s=self.session_ttl_s,
            results_retention_s=self.results_retention_s,
        )

    @property
    def max_pushed_frame_bytes(self) -> int:
        """Bytes of the largest frame that may be pushed: raw rgb24 plus its envelope."""
        return 3 * self.max_frame_pixels + 4096
