"""The relay passes on whole messages of a camera, and no redirect."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tls

from univs_service.rtsp_relay import Relay, RelayError, ReplyFilter

DESCRIBED = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\nv=0\n"
PACKET = b"$\x00\x00\x05RTSP/"
PLAYING = b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n"
MOVED = b"RTSP/1.0 302 Found\r\nCSeq: 2\r\nLocation: rtsp://10.0.0.1/camera\r\n\r\n"


@pytest.mark.parametrize("name", ["camera.test", "other.test"])
@pytest.mark.parametrize("is_known", [True, False])
def test_an_encrypted_camera_must_prove_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_known: bool
) -> None:
    certificate, context = tls.make_certificate(tmp_path, "camera.test")
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        said: list[bytes] = []

        def be_the_camera() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as camera:
                said.append(camera.recv(100))

        camera = threading.Thread(target=be_the_camera)
        camera.start()
        try:
            if is_known and name == "camera.test":
                relay = Relay("127.0.0.1", listening.getsockname()[1], name)
                with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as near:
                    near.sendall(b"DESCRIBE")
                    assert near.recv(100) == b""
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    Relay("127.0.0.1", listening.getsockname()[1], name)
        finally:
            camera.join(10)
    assert said == ([b"DESCRIBE"] if is_known and name == "camera.test" else [])


@settings(deadline=None)
@given(st.lists(st.sampled_from([DESCRIBED, PACKET, PLAYING]), max_size=6), st.integers(1, 9))
def test_messages_come_out_whole_however_they_arrive(messages: list[bytes], size: int) -> None:
    stream = b"".join(messages)
    replies = ReplyFilter()
    passed = b"".join(replies.feed(stream[start : start + size]) for start in range(0, len(stream), size))
    assert passed == stream


@pytest.mark.parametrize("before", [b"", DESCRIBED, PACKET + PLAYING])
def test_a_redirect_is_refused_and_none_of_it_passed_on(before: bytes) -> None:
    replies = ReplyFilter()
    assert replies.feed(before + MOVED[:-2]) == before
    with pytest.raises(RelayError, match="redirect"):
        replies.feed(MOVED[-2:])


@pytest.mark.parametrize("noise", [b"HTTP" * 20_000, b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"])
def test_what_is_no_rtsp_ends_the_connection(noise: bytes) -> None:
    with pytest.raises(RelayError):
        ReplyFilter().feed(noise)


def test_bytes_go_both_ways_until_the_camera_redirects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as camera:
        relay = Relay("127.0.0.1", camera.getsockname()[1], None)
        near = socket.create_connection(("127.0.0.1", relay.port), timeout=10)
        far, _ = camera.accept()
        far.settimeout(10)
        with near, far:
            near.sendall(b"DESCRIBE")
            assert far.recv(100) == b"DESCRIBE"
            far.sendall(DESCRIBED)
            assert near.recv(100) == DESCRIBED
            far.sendall(MOVED)
            assert near.recv(100) == b""
    assert relay.failure is not None
    assert "redirect" in str(relay.failure)
