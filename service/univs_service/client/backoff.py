"""How long to wait before the next try: exponential with full jitter, within a budget of time."""

import random
import time


class Backoff:
    """Waits between tries to reach the service again; `reset` after each success.

    Full jitter: a wait is uniform in [0, min(longest, first * 2^tries)], so that many clients that lost
    the same server do not come back at the same moment.
    """

    def __init__(self, budget_s: float, first_s: float = 0.1, longest_s: float = 5.0) -> None:
        self._budget_s = budget_s
        self._first_s = first_s
        self._longest_s = longest_s
        self._tries = 0
        self._started_at: float | None = None

    def next_wait_s(self) -> float | None:
        """Give the seconds to wait now, or None when the budget is spent."""
        now = time.monotonic()
        if self._started_at is None:
            self._started_at = now
        if now - self._started_at >= self._budget_s:
            return None
        ceiling = min(self._longest_s, self._first_s * 2**self._tries)
        self._tries = min(self._tries + 1, 30)
        return random.uniform(0, ceiling)

    def reset(self) -> None:
        """Forget the failures: the service has answered."""
        self._tries = 0
        self._started_at = None
