"""The scheduler is fair, and something that can go on always does. No torch, no clock."""

import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from univs_service.worker.scheduler import Scheduler


def test_hundred_sessions_get_equal_turns() -> None:
    scheduler = Scheduler()
    sessions = [f"session-{number}" for number in range(100)]
    turns = Counter(scheduler.plan(sessions).items[0].session_id for _ in range(1000))
    assert set(turns.values()) == {10}


def test_nobody_waits_longer_than_one_round() -> None:
    scheduler = Scheduler()
    sessions = [f"session-{number}" for number in range(100)]
    order = [scheduler.plan(sessions).items[0].session_id for _ in range(300)]
    for start in range(0, 300, 100):
        assert sorted(order[start : start + 100]) == sorted(sessions)


@given(st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=60))
def test_some_ready_session_always_goes_on(rounds: list[set[str]]) -> None:
    scheduler = Scheduler()
    for runnable in rounds:
        plan = scheduler.plan(runnable)
        assert {item.session_id for item in plan.items} <= runnable
        assert bool(plan.items) == bool(runnable)


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=80))
def test_a_session_that_stays_ready_is_served_before_any_other_twice(rounds: list[set[str]]) -> None:
    scheduler = Scheduler()
    served = [scheduler.plan({*runnable, "always"}).items[0].session_id for runnable in rounds]
    since_last: Counter[str] = Counter()
    for session_id in served:
        if session_id == "always":
            since_last.clear()
            continue
        since_last[session_id] += 1
        assert since_last[session_id] <= 1


def test_a_newcomer_is_served_next() -> None:
    scheduler = Scheduler()
    for _ in range(5):
        scheduler.plan(["old", "older"])
    assert scheduler.plan(["old", "older", "new"]).items[0].session_id == "new"


def test_policy_needs_no_torch() -> None:
    program = "import sys; import univs_service.worker.scheduler; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
