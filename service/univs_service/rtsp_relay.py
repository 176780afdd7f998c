"""The only way that the camera's child process talks to the network: one connection, to one address that was checked.

FFmpeg's RTSP reader connects where it likes: it resolves names anew, and follows redirects to any host. So it is given
an address on this machine, where this relay passes bytes on to the checked one. A redirect ends the connection with a
reason instead. Encryption is the relay's too, because FFmpeg does not check certificates. Imports nothing of the
service.
"""

import re
import socket
import ssl
import threading
from contextlib import suppress

_CONNECT_TIMEOUT_S = 10.0
_PIECE_BYTES = 65536
_MOST_HEAD_BYTES = 65536
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


class RelayError(Exception):
    """Why the relay ended the connection."""


class ReplyFilter:
    """Pass on what a camera sends, whole messages at a time; refuse redirects."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the camera; give those that may be passed on.

        Raises:
            RelayError: at a redirect, or at what is no RTSP.
        """
        self._buffer += data
        end = 0
        while length := self._message_length(end):
            end += length
        passed = bytes(self._buffer[:end])
        del self._buffer[:end]
        return passed

    def _message_length(self, start: int) -> int:
        """Give the length of the message that begins at `start`, 0 while it is not whole."""
        buffer = self._buffer
        if len(buffer) - start < 4:
            return 0
        if buffer[start] == ord("$"):  # a packet between the messages: channel, length, content
            length = 4 + int.from_bytes(buffer[start + 2 : start + 4], "big")
            return length if len(buffer) - start >= length else 0
        head_end = buffer.find(b"\r\n\r\n", start)
        if head_end < 0:
            if len(buffer) - start > _MOST_HEAD_BYTES:
                raise RelayError("expected RTSP, got a head without an end")
            return 0
        head = bytes(buffer[start:head_end])
        status = _STATUS.match(head)
        if status and 300 <= int(status[1]) < 400:
            raise RelayError("expected the camera itself, got a redirect to another address; use that address")
        body = _LENGTH.search(head)
        length = head_end + 4 - start + (int(body[1]) if body else 0)
        if length > 16 * _MOST_HEAD_BYTES:
            raise RelayError(f"expected RTSP, got a message of {length} bytes")
        return length if len(buffer) - start >= length else 0


class Relay:
    """Serve one connection on this machine and pass it on."""

    def __init__(self, address: str, port: int, tls_host: str | None) -> None:
        """Connect to the camera.

        Args:
            address: that was checked.
            port: of it.
            tls_host: name that the camera must prove, None for a connection that is not encrypted.
        Raises:
            OSError: when the camera does not answer, or is not who it should be.
        """
        self.failure: RelayError | None = None
        remote = socket.create_connection((address, port), timeout=_CONNECT_TIMEOUT_S)
        try:
            if tls_host is not None:
                remote = ssl.create_default_context().wrap_socket(remote, server_hostname=tls_host)
        except OSError:
            remote.close()
            raise
        remote.settimeout(None)
        self._remote = remote
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        local, _ = self._listening.accept()
        self._listening.close()
        threading.Thread(target=self._pass_out, args=(local,), daemon=True).start()
        replies = ReplyFilter()
        try:
            while data := self._remote.recv(_PIECE_BYTES):
                local.sendall(replies.feed(data))
        except RelayError as error:
            self.failure = error
        except OSError:
            pass  # one of the two has gone
        _end(local)
        _end(self._remote)

    def _pass_out(self, local: socket.socket) -> None:
        with suppress(OSError):
            while data := local.recv(_PIECE_BYTES):
                self._remote.sendall(data)
        _end(self._remote)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits on it
    connection.close()
