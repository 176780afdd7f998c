"""Leases are renewed while a worker lives and works, and given up when its step hangs."""

import threading
from typing import Any

from univs_service.store.worker_store import WorkerStore
from univs_service.worker.lease import LeaseKeeper, Watchdog


def test_a_step_is_hung_only_beyond_its_limit() -> None:
    now_s = 0.0
    watchdog = Watchdog(10.0, clock=lambda: now_s)
    assert not watchdog.is_hung
    with watchdog.step():
        now_s = 10.0
        assert not watchdog.is_hung
        now_s = 10.1
        assert watchdog.is_hung
    assert not watchdog.is_hung


def test_a_hung_worker_loses_its_session(bench: Any, make_box: Any) -> None:
    spec = bench.create("a", [make_box()])
    hung, other = bench.worker(), bench.worker()
    hung.turn(2)
    gave_up = threading.Event()
    watchdog = Watchdog(0.05)
    keeper = LeaseKeeper(hung.store, hung.describe, watchdog, worker_id="hung", interval_s=0.02, on_hang=gave_up.set)
    (claim,) = [session.claim for session in hung.sessions._sessions.values()]
    keeper.keep(claim.lease)
    keeper.start()
    with watchdog.step():
        assert gave_up.wait(5.0)
        other.run_until(lambda: bool(other.sessions.cursors))
    other.run_to_end(spec)


def test_a_living_worker_keeps_its_session(bench: Any, make_box: Any) -> None:
    bench.create("a", [make_box()])
    worker = bench.worker()
    worker.turn(1)
    (claim,) = [session.claim for session in worker.sessions._sessions.values()]
    store = WorkerStore(bench.settings)
    keeper = LeaseKeeper(
        worker.store, worker.describe, Watchdog(60.0), worker_id="living", interval_s=0.02, on_hang=lambda: None
    )
    keeper.keep(claim.lease)
    keeper.start()
    beats = 0
    waiting = threading.Event()
    while beats < 5:  # longer than the lease lasts
        assert store.claim("greedy", worker.engines.claimable([])) is None
        waiting.wait(0.1)
        beats += 1
    keeper.stop()
    assert not keeper.take_lost()
