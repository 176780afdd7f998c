"""A form is read as it arrives, however it is cut into pieces."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from univs_service.errors import BadRequestError
from univs_service.gateway.multipart import PartBegin, PartEnd, read_parts

NASTY = [b"\r\n--x", b"\r\n--", b"\r\n", b"-", b"--x--", b"\r", b"\n", b"x", b"\0", b"a" * 50]
payloads = st.lists(st.sampled_from(NASTY[1:]), max_size=20).map(b"".join).filter(lambda data: b"\r\n--x" not in data)


def form(parts: dict[str, bytes]) -> bytes:
    heads = (b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n' % name.encode() for name in parts)
    return b"".join(head + data + b"\r\n" for head, data in zip(heads, parts.values(), strict=True)) + b"--x--\r\n"


def request(body: bytes, cuts: list[int]) -> Request:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    pieces = [body[begin:end] for begin, end in itertools.pairwise(edges)]
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(body: bytes, cuts: list[int]) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    name, num_ended = "", 0
    async for event in read_parts(request(body, cuts)):
        match event:
            case PartBegin(name):
                parts[name] = b""
            case PartEnd():
                num_ended += 1
            case bytes():
                parts[name] += event
    assert num_ended == len(parts)
    return parts


@settings(deadline=None)
@given(payloads, payloads, st.lists(st.integers(0, 2000), max_size=8))
def test_parts_come_out_as_they_went_in(video: bytes, prompts: bytes, cuts: list[int]) -> None:
    parts = {"video": video, "prompts": prompts}
    assert asyncio.run(read(form(parts), cuts)) == parts


@settings(deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 60).map(lambda end: form({"video": b"data"})[:end]))
def test_what_is_no_whole_form_is_refused_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="expected"):
        asyncio.run(read(body, []))
