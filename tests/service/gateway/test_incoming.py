"""Whatever a client sends on the socket, it is read or refused in our own words; nothing else can happen."""

import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from univs_service.errors import ServiceError
from univs_service.gateway.frames import InputFrame, find_fault, read_frame
from univs_service.gateway.stream import read_message
from univs_service.messages import PushSource
from univs_service.store.records import SessionSpec

SPEC = SessionSpec.model_validate(
    {
        "session_id": "s", "principal": "local", "source": {"kind": "push", "width": 4, "height": 2}, "model": "tiny",
        "video": None, "frame_width": 4, "frame_height": 2, "from_frame": 0, "to_frame": None, "auto_start": True,
        "created_at": 0.0,
    }
)  # fmt: skip
TYPES = ["hello", "prompt.add", "object.remove", "propagate", "input.end", "ack", "ping", "close", "sing"]
FIELDS = ["last_seq", "window", "object_id", "prompt_id", "box", "points", "mask", "text", "seq", "t", "from_frame"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["size", "counts"]), inner, max_size=2),
    max_leaves=8,
)
messages = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}),
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3),
)


@settings(deadline=None)
@given(messages | st.text(max_size=50) | st.binary(max_size=50))
def test_text_messages(message: str | bytes) -> None:
    try:
        assert isinstance(read_message(message), BaseModel)
    except ServiceError as error:
        assert "expected" in error.detail
        error.to_problem().model_dump_json()


@settings(deadline=None)
@given(
    st.tuples(
        st.sampled_from([1, 2]), st.sampled_from([1, 9]), st.just(0), st.integers(0, 40), st.integers(0, 2**64 - 1)
    ),
    st.sampled_from([b'{"encoding": "raw"}', b'{"encoding":"png"}', b'{"encoding":"raw","pts":-1}', b"{}", b"\xff"]),
    st.binary(max_size=40),
)
def test_binary_messages(envelope: tuple[int, ...], header: bytes, payload: bytes) -> None:
    for fields in (envelope, (*envelope[:3], len(header), envelope[4])):
        try:
            frame = read_frame(struct.pack("<BBHIQ", *fields) + header + payload, SPEC)
            assert isinstance(frame, InputFrame) and bytes(frame.payload) == payload
            assert isinstance(SPEC.source, PushSource)
            is_whole = frame.header.encoding != "raw" or len(payload) == 24
            assert (find_fault(frame, SPEC.source) is None) == is_whole
        except ServiceError as error:
            assert "expected" in error.detail
