"""The store against a real Valkey: claims, fences, repeats, lifetimes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from univs_service.embedded import EmbeddedValkey
from univs_service.errors import (
    FrameOutOfOrderError,
    LeaseLostError,
    OverloadedError,
    PromptConflictError,
    SessionEndedError,
    StoreUnavailableError,
    TooManyError,
    UnknownSessionError,
    VideoInUseError,
)
from univs_service.messages import (
    AddPrompt,
    CloseSession,
    InputEnd,
    PromptIn,
    Propagate,
    PushFrame,
    PushSource,
    RemoveObject,
    SessionStatus,
    VideoSource,
    Weights,
)
from univs_service.settings import Settings
from univs_service.store import keys
from univs_service.store.gateway_store import GatewayStore
from univs_service.store.records import SessionSpec, Snapshot
from univs_service.store.worker_store import WorkerStore

VIDEO = {
    "video_id": "a" * 64, "sha256": "a" * 64, "size_bytes": 1, "width": 64, "height": 48, "num_frames": 12,
    "frame_rate": "10/1", "duration_s": 1.2, "rotation": 0, "created_at": 0.0,
}  # fmt: skip


def video_spec(session_id: str = "s", **fields: Any) -> SessionSpec:
    return SessionSpec.model_validate(
        {
            "session_id": session_id, "principal": "local", "source": VideoSource(video_id="a" * 64), "model": "tiny",
            "video": VIDEO, "frame_width": 64, "frame_height": 48, "from_frame": 0, "to_frame": None,
            "auto_start": True, "created_at": 0.0, **fields,
        }
    )  # fmt: skip


def push_spec(session_id: str = "s", **fields: Any) -> SessionSpec:
    return video_spec(session_id, source=PushSource(kind="push", width=64, height=48), video=None, **fields)


def prompt(object_id: int = 1, **fields: Any) -> PromptIn:
    return PromptIn(object_id=object_id, box=(1, 1, 9, 9), **fields)


def push(frame_index: int) -> PushFrame:
    return PushFrame(frame_index=frame_index, pts=frame_index, name=f"{frame_index}.raw", encoding="raw")


def lapse(valkey: EmbeddedValkey, session_id: str = "s") -> None:
    """Let a worker's lease be over now."""
    with redis.Redis.from_url(valkey.url) as client:
        client.zadd(keys.LEASES, {session_id: 1})


WEIGHTS = {"tiny": Weights(name="tiny", sha256=None, is_trained=False, note="random")}


async def test_a_session_is_claimed_once(store: GatewayStore, worker_store: WorkerStore) -> None:
    await store.create_session(video_spec(), [prompt()])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    assert claim.state.status is SessionStatus.RUNNING
    assert claim.state.owner == "one"
    assert worker_store.claim("two", WEIGHTS) is None
    assert await store.queue_length() == 0


async def test_sessions_are_claimed_oldest_first_and_only_of_loaded_models(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    await store.create_session(video_spec("other", model="unknown"), [])
    await store.create_session(video_spec("first"), [])
    await store.create_session(video_spec("second"), [])
    claims = [worker_store.claim("one", WEIGHTS) for _ in range(3)]
    assert [claim and claim.lease.session_id for claim in claims] == ["first", "second", None]


async def test_the_log_holds_the_prompts_and_then_the_start(store: GatewayStore, worker_store: WorkerStore) -> None:
    await store.create_session(video_spec(to_frame=5), [prompt(1), prompt(2)])
    commands = [entry.command for entry in worker_store.read_commands("s")]
    assert [command.type for command in commands] == ["prompt.add", "prompt.add", "propagate"]
    assert commands[-1] == Propagate(to_frame=5)


async def test_the_first_prompt_starts_a_session_that_was_made_without(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    spec = video_spec()
    await store.create_session(spec, [])
    assert worker_store.read_commands("s") == []
    await store.append(spec, AddPrompt(prompt=prompt()))
    await store.append(spec, AddPrompt(prompt=prompt(2)))
    types = [entry.command.type for entry in worker_store.read_commands("s")]
    assert types == ["prompt.add", "propagate", "prompt.add"]


async def test_commands_are_read_from_any_point(store: GatewayStore, worker_store: WorkerStore) -> None:
    spec = video_spec(auto_start=False)
    await store.create_session(spec, [prompt(1)])
    (first,) = worker_store.read_commands("s")
    await store.append(spec, RemoveObject(object_id=1))
    (second,) = worker_store.read_commands("s", after=first.log_id)
    assert second.command == RemoveObject(object_id=1)


async def test_epochs_grow_and_a_stale_owner_is_refused_everywhere(
    store: GatewayStore, worker_store: WorkerStore, valkey: EmbeddedValkey
) -> None:
    await store.create_session(video_spec(), [prompt()])
    old = worker_store.claim("one", WEIGHTS)
    lapse(valkey)
    new = worker_store.claim("two", WEIGHTS)
    assert old is not None and new is not None
    assert new.lease.epoch > old.lease.epoch
    snapshot = Snapshot(next_frame=1, log_id="0-0", seq=1, data=b"x")
    writes: list[Callable[[], None]] = [
        lambda: worker_store.publish(old.lease, 1, [b"{}"], next_frame=1, num_objects=1),
        lambda: worker_store.save_snapshot(old.lease, snapshot),
        lambda: worker_store.renew(old.lease),
        lambda: worker_store.release(old.lease),
        lambda: worker_store.finish(old.lease, SessionStatus.DONE, 1, [b"{}"], next_frame=1, num_objects=1),
    ]
    for write in writes:
        with pytest.raises(LeaseLostError, match="newer one does"):
            write()
    assert worker_store.read_events("s", 1) == []
    assert worker_store.read_snapshot("s") is None
    state = await store.find_state("s")
    assert state is not None and state.status is SessionStatus.RUNNING and state.owner == "two"


async def test_epochs_stay_monotone_when_the_clock_steps_back(
    store: GatewayStore, worker_store: WorkerStore, valkey: EmbeddedValkey
) -> None:
    await store.create_session(video_spec(), [])
    assert worker_store.claim("one", WEIGHTS)
    ahead = (time.time_ns() // 1000) + 10**12  # as a clock that ran eleven days ahead would have left it
    with redis.Redis.from_url(valkey.url) as client:
        client.hset(keys.session("s"), "epoch", ahead)
    lapse(valkey)
    claim = worker_store.claim("two", WEIGHTS)
    assert claim is not None and claim.lease.epoch == ahead + 1


async def test_a_renewed_lease_keeps_the_session(
    store: GatewayStore, worker_store: WorkerStore, valkey: EmbeddedValkey
) -> None:
    await store.create_session(video_spec(), [])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    lapse(valkey)
    worker_store.renew(claim.lease)
    assert worker_store.claim("two", WEIGHTS) is None


async def test_a_released_session_is_claimed_at_once_and_not_held_against_it(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    await store.create_session(video_spec(), [])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    worker_store.release(claim.lease)
    again = worker_store.claim("two", WEIGHTS)
    assert again is not None and again.state.takeovers == 1


async def test_claims_without_a_result_are_counted(
    store: GatewayStore, worker_store: WorkerStore, valkey: EmbeddedValkey
) -> None:
    await store.create_session(video_spec(), [])
    for expected in (1, 2, 3):
        claim = worker_store.claim("one", WEIGHTS)
        assert claim is not None and claim.state.takeovers == expected
        lapse(valkey)
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    worker_store.publish(claim.lease, 1, [b"{}"], next_frame=1, num_objects=0)
    state = await store.find_state("s")
    assert state is not None and state.takeovers == 0


async def test_publishing_has_no_holes_and_a_repeat_changes_nothing(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    await store.create_session(video_spec(), [])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    for _ in range(2):
        worker_store.publish(claim.lease, 1, [b"a", b"b"], next_frame=2, num_objects=3)
    with pytest.raises(AssertionError, match="must follow seq"):
        worker_store.publish(claim.lease, 4, [b"d"], next_frame=3, num_objects=3)
    assert worker_store.read_events("s", 1) == [(1, b"a"), (2, b"b")]
    state = await store.find_state("s")
    assert state is not None
    assert (state.last_seq, state.next_frame, state.num_objects) == (2, 2, 3)


async def test_a_snapshot_comes_back_as_it_was_and_goes_with_the_session(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    await store.create_session(video_spec(), [])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    snapshot = Snapshot(next_frame=7, log_id="12-3", seq=9, data=bytes(range(256)))
    worker_store.save_snapshot(claim.lease, snapshot)
    assert worker_store.read_snapshot("s") == snapshot
    worker_store.finish(claim.lease, SessionStatus.DONE, 1, [b"{}"], next_frame=7, num_objects=0)
    assert worker_store.read_snapshot("s") is None


async def test_a_long_log_loses_what_a_snapshot_covers(store: GatewayStore, worker_store: WorkerStore) -> None:
    spec = push_spec()
    await store.create_session(spec, [])
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    for frame_index in range(500):
        await store.append(spec, push(frame_index))
    commands = worker_store.read_commands("s", count=1000)
    snapshot = Snapshot(next_frame=490, log_id=commands[490].log_id, seq=490, data=b"")
    worker_store.save_snapshot(claim.lease, snapshot)
    assert len(worker_store.read_commands("s", count=1000)) < 120
    assert worker_store.read_commands("s", after=snapshot.log_id) == commands[491:]


async def test_ended_sessions_no_longer_hold_their_video(store: GatewayStore) -> None:
    ended, running = video_spec("ended"), video_spec("running")
    for spec in (ended, running):
        await store.create_session(spec, [])
    await store.append(ended, CloseSession())
    await store.prune_video_users()
    with pytest.raises(VideoInUseError, match="running"):
        await store.forget_video("local", "a" * 64)


async def test_every_key_of_an_ended_session_expires(
    store: GatewayStore, worker_store: WorkerStore, valkey: EmbeddedValkey
) -> None:
    spec = push_spec()
    await store.create_session(spec, [prompt()])
    await store.connect_client("s")
    claim = worker_store.claim("one", WEIGHTS)
    assert claim is not None
    worker_store.finish(claim.lease, SessionStatus.DONE, 1, [b"{}"], next_frame=7, num_objects=0)
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        left = {key: client.pttl(key) for key in client.scan_iter("univs:session:*")}
        assert client.zcard(keys.LEASES) == client.zcard(keys.WAITING) == 0
    assert len(left) == 6
    assert all(ttl_ms > 0 for ttl_ms in left.values()), left


async def test_a_prompt_sent_twice_counts_once_and_a_changed_one_is_refused(
    store: GatewayStore, worker_store: WorkerStore
) -> None:
    spec = video_spec()
    await store.create_session(spec, [prompt(prompt_id="p")])
    assert not await store.append(spec, AddPrompt(prompt=prompt(prompt_id="p")))
    with pytest.raises(PromptConflictError):
        await store.append(spec, AddPrompt(prompt=prompt(2, prompt_id="p")))
    assert await store.append(spec, AddPrompt(prompt=prompt(2, prompt_id="q")))
    assert len(worker_store.read_commands("s")) == 3


async def test_pushed_frames_come_in_order_and_each_once(store: GatewayStore) -> None:
    spec = push_spec()
    await store.create_session(spec, [])
    assert await store.append(spec, push(0))
    assert not await store.append(spec, push(0))
    with pytest.raises(FrameOutOfOrderError, match="expected frame 1 next, got frame 3"):
        await store.append(spec, push(3))
    await store.append(spec, InputEnd())
    state = await store.find_state("s")
    assert state is not None and state.next_push == 1 and state.is_input_ended


async def test_limits_of_a_session_hold(settings: Settings, worker_store: WorkerStore) -> None:
    store = GatewayStore(settings.model_copy(update={"max_objects": 2, "max_prompts": 3}))
    spec = video_spec()
    await store.create_session(spec, [prompt(1), prompt(2)])
    with pytest.raises(TooManyError, match="at most 2 objects"):
        await store.append(spec, AddPrompt(prompt=prompt(3)))
    await store.append(spec, RemoveObject(object_id=1))
    await store.append(spec, AddPrompt(prompt=prompt(3)))
    with pytest.raises(TooManyError, match="at most 3 prompts"):
        await store.append(spec, AddPrompt(prompt=prompt(3)))
    await store.close()


async def test_too_many_waiting_sessions_are_refused(settings: Settings) -> None:
    store = GatewayStore(settings.model_copy(update={"max_queued_sessions": 1}))
    await store.create_session(video_spec("one"), [])
    with pytest.raises(OverloadedError):
        await store.create_session(video_spec("two"), [])
    assert await store.find_state("two") is None
    await store.close()


async def test_a_session_that_waits_is_closed_without_a_worker(store: GatewayStore, worker_store: WorkerStore) -> None:
    spec = video_spec()
    await store.create_session(spec, [])
    await store.append(spec, CloseSession())
    state = await store.find_state("s")
    assert state is not None and state.status is SessionStatus.CLOSED and state.last_seq == 1
    assert worker_store.claim("one", WEIGHTS) is None
    with pytest.raises(SessionEndedError):
        await store.append(spec, AddPrompt(prompt=prompt()))
    with pytest.raises(UnknownSessionError):
        await store.append(video_spec("nobody"), AddPrompt(prompt=prompt()))


async def test_waiting_ends_with_a_command_or_a_new_session(store: GatewayStore, worker_store: WorkerStore) -> None:
    spec = video_spec(auto_start=False)
    await store.create_session(spec, [])
    assert worker_store.claim("one", WEIGHTS)
    await store.append(spec, AddPrompt(prompt=prompt()))
    begin = time.monotonic()
    worker_store.wait({"s": "0-0"}, timeout_s=2.0)
    await store.create_session(video_spec("next"), [])
    worker_store.wait({}, timeout_s=2.0)
    assert time.monotonic() - begin < 1.5
    begin = time.monotonic()
    worker_store.wait({}, timeout_s=0.05, is_claiming=False)
    assert time.monotonic() - begin < 0.04


async def test_a_lost_server_is_said_plainly_and_a_new_one_is_found(
    settings: Settings, valkey: EmbeddedValkey, store: GatewayStore, worker_store: WorkerStore
) -> None:
    await store.create_session(video_spec(), [])
    valkey.stop()
    with pytest.raises(StoreUnavailableError, match="expected an answer of Redis"):
        await store.find_state("s")
    with pytest.raises(StoreUnavailableError):
        worker_store.claim("one", WEIGHTS)
    valkey.start()
    assert await store.find_state("s") is not None
    assert worker_store.claim("one", WEIGHTS) is not None
