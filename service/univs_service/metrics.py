"""Every Prometheus metric: name, meaning, labels, buckets. One registry for each process; seconds and bytes."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64)


def _new_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class GatewayMetrics:
    """Metrics of one gateway process."""

    def __init__(self) -> None:
        self.registry = _new_registry()
        self.http_requests = Counter(
            "univs_http_requests_total",
            "HTTP requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.http_request_seconds = Histogram(
            "univs_http_request_seconds",
            "From the first byte of a request to the last of its answer",
            ("method", "route"),
            buckets=(*_FAST_S, 30.0, 120.0),
            registry=self.registry,
        )
        self.upload_bytes = Counter("univs_upload_bytes_total", "Bytes of uploaded videos", registry=self.registry)
        self.uploads = Counter(
            "univs_uploads_total",
            "Uploads, by outcome: stored, or known already",
            ("outcome",),
            registry=self.registry,
        )
        self.probe_seconds = Histogram(
            "univs_probe_seconds", "Reading header and packets of an upload", buckets=_SLOW_S, registry=self.registry
        )
        self.exports = Counter(
            "univs_exports_total",
            "Exports asked for, by format and outcome: sent, preparing, or failed",
            ("format", "outcome"),
            registry=self.registry,
        )
        self.sessions_created = Counter(
            "univs_sessions_created_total", "Sessions made", ("source",), registry=self.registry
        )
        self.sessions_expired = Counter(
            "univs_sessions_expired_total", "Sessions closed for want of their client", registry=self.registry
        )
        self.queued_sessions = Gauge("univs_queued_sessions", "Sessions that wait for a worker", registry=self.registry)
        self.ready_workers = Gauge("univs_ready_workers", "Workers alive and ready", registry=self.registry)
        self.sockets = Gauge("univs_sockets", "Open websockets", registry=self.registry)
        self.socket_closes = Counter(
            "univs_socket_closes_total", "Websockets closed by us, by code", ("code",), registry=self.registry
        )
        self.socket_events = Counter("univs_socket_events_total", "Events sent on websockets", registry=self.registry)
        self.socket_event_bytes = Counter(
            "univs_socket_event_bytes_total", "Bytes of events sent on websockets", registry=self.registry
        )
        self.pushed_frames = Counter(
            "univs_pushed_frames_total", "Frames pushed by clients", ("encoding",), registry=self.registry
        )
        self.pushed_frame_bytes = Counter(
            "univs_pushed_frame_bytes_total", "Bytes of frames pushed by clients", registry=self.registry
        )
        self.credit_stalls = Counter(
            "univs_credit_stalls_total",
            "Times that events were ready but the client's window was full",
            registry=self.registry,
        )
        self.resumes = Counter(
            "univs_resumes_total",
            "Connections that asked for a replay, by outcome: complete or gap",
            ("outcome",),
            registry=self.registry,
        )
        self.store_errors = Counter(
            "univs_store_errors_total", "Requests and sockets that Redis failed", registry=self.registry
        )


class WorkerMetrics:
    """Metrics of one worker process."""

    def __init__(self) -> None:
        self.registry = _new_registry()
        self.build = Info("univs_worker", "Model and weights of this worker", registry=self.registry)
        self.sessions = Gauge("univs_sessions", "Sessions, by state", ("state",), registry=self.registry)
        self.session_memory_bytes = Gauge(
            "univs_session_memory_bytes", "Memory pools of all live sessions", registry=self.registry
        )
        self.objects_active = Gauge(
            "univs_objects_active", "Objects with prompts in live sessions", registry=self.registry
        )
        self.frames = Counter(
            "univs_frames_total",
            "Frames with a terminal event, by outcome: result, dropped or error",
            ("outcome",),
            registry=self.registry,
        )
        self.frame_latency_seconds = Histogram(
            "univs_frame_latency_seconds",
            "From a frame at hand to its published result",
            buckets=_FAST_S,
            registry=self.registry,
        )
        self.time_to_first_mask_seconds = Histogram(
            "univs_time_to_first_mask_seconds",
            "From the claim of a session to its first published result",
            buckets=_SLOW_S,
            registry=self.registry,
        )
        self.inter_frame_seconds = Histogram(
            "univs_inter_frame_seconds",
            "Between two published results of a session",
            buckets=_FAST_S,
            registry=self.registry,
        )
        self.prompt_applied_seconds = Histogram(
            "univs_prompt_applied_seconds",
            "From reading a prompt to its `prompt.applied`",
            buckets=_FAST_S,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "univs_stage_seconds",
            "Parts of a step: decode, model, publish, snapshot",
            ("stage",),
            buckets=_FAST_S,
            registry=self.registry,
        )
        self.batch_size = Histogram("univs_batch_size", "Sessions in one step", buckets=_COUNTS, registry=self.registry)
        self.queue_wait_seconds = Histogram(
            "univs_queue_wait_seconds",
            "From the creation of a session to its first claim",
            buckets=_SLOW_S,
            registry=self.registry,
        )
        self.failovers = Counter(
            "univs_failovers_total", "Sessions taken over from a silent worker", registry=self.registry
        )
        self.lease_lost = Counter(
            "univs_lease_lost_total", "Sessions that another worker took over", registry=self.registry
        )
        self.snapshot_bytes = Histogram(
            "univs_snapshot_bytes",
            "Size of a session's snapshot",
            buckets=tuple(float(4**power) for power in range(6, 14)),
            registry=self.registry,
        )
        self.session_failures = Counter(
            "univs_session_failures_total", "Sessions that failed, by code", ("code",), registry=self.registry
        )
