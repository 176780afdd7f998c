"""How soon the results of a session come."""

import time

from univs_service.metrics import WorkerMetrics


class ResultTimes:
    """Take the times between the claim of a session and its results."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        """Begin when the session is claimed."""
        self._metrics = metrics
        self._claimed_s = time.monotonic()
        self._last_result_s: float | None = None

    def observe(self, num_results: int, started_s: float) -> None:
        """Count results that were just published.

        Args:
            num_results: of one step; there may be none.
            started_s: when the step began, of `time.monotonic`.
        """
        now_s = time.monotonic()
        for _ in range(num_results):
            self._metrics.frames.labels("result").inc()
            self._metrics.frame_latency_seconds.observe(now_s - started_s)
            if self._last_result_s is None:
                self._metrics.time_to_first_mask_seconds.observe(now_s - self._claimed_s)
            else:
                self._metrics.inter_frame_seconds.observe(now_s - self._last_result_s)
            self._last_result_s = now_s
