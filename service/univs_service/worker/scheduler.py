"""Whose turn it is. Plain data and no torch: the policy is tested in microseconds."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """One turn of one session."""

    session_id: str
    num_frames: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What the engine does next, in this order; empty when no session can go on."""

    items: tuple[ClipRequest, ...]


class Scheduler:
    """Round robin: of the sessions that can go on, the one that was served longest ago gets the next clip.

    A session that has just arrived goes first, so its first mask does not wait for a round of all others.
    """

    def __init__(self, frames_per_turn: int = 1) -> None:
        self._frames_per_turn = frames_per_turn
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    def plan(self, runnable: Collection[str]) -> StepPlan:
        """Choose among sessions that have a frame to run and nothing unpublished."""
        if not runnable:
            return StepPlan(())
        chosen = min(runnable, key=lambda session_id: (self._last_turn.get(session_id, 0), session_id))
        self._turn += 1
        self._last_turn[chosen] = self._turn
        return StepPlan((ClipRequest(chosen, self._frames_per_turn),))

    def forget(self, session_id: str) -> None:
        """Drop what is known of a session that has left."""
        self._last_turn.pop(session_id, None)
