"""A video fetched from a URL or a bucket is the video that an upload would have been; what must not be had is not."""

import hashlib
import hmac
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import certifi
import pytest
from tests import tls

from univs_service.errors import UploadTooLargeError
from univs_service.gateway.fetch import fetch
from univs_service.gateway.uploads import IncomingVideo
from univs_service.settings import Settings
from univs_service.store import paths

PRINCIPAL = "local"
SECRET = "a secret that the test knows"
LOOPBACK = ip_network("127.0.0.0/8")


@dataclass
class Web:
    """A real HTTP server, and what it was asked for."""

    server: ThreadingHTTPServer
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hosts.append(self.headers["Host"])
            site.paths.append(self.path)
            path = urlsplit(self.path).path
            if path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[path])
                self.end_headers()
            elif path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"0" * 500)
            elif path == "/endless":
                self.send_response(200)
                self.end_headers()
                with_pause = threading.Event()
                while not with_pause.wait(0.001):
                    self.wfile.write(b"0" * 65536)
            elif path in site.files and (path.startswith("/bucket") <= is_signed(self.path, site.port)):
                self.send_response(200)
                self.send_header("Content-Length", str(len(site.files[path])))
                self.end_headers()
                self.wfile.write(site.files[path])
            else:
                self.send_error(403 if path in site.files else 404)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that has had enough

    with Server(("127.0.0.1", 0), Handler) as server:
        site = Web(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


def is_signed(path: str, port: int) -> bool:
    """Check a presigned request as AWS describes it (Signature Version 4, query string), on our own."""
    parts = urlsplit(path)
    query = dict(parse_qsl(parts.query))
    signature = query.pop("X-Amz-Signature", "")
    if not signature:
        return False
    _, date, region, service, end = query["X-Amz-Credential"].split("/")
    canonical_query = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    request = f"GET\n{parts.path}\n{canonical_query}\nhost:127.0.0.1:{port}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{date}/{region}/{service}/{end}\n{digest}"
    key = f"AWS4{SECRET}".encode()
    for part in (date, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature)


@pytest.fixture
def allowed(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"input_schemes": ("http",), "input_hosts": ("127.0.0.1", "video.test"), "input_networks": (LOOPBACK,)}
    )


async def ask(service: Any, url: str) -> Any:
    return await service.http.post("/v1/videos", json={"url": url})


async def check_refused(service: Any, url: str, status: int, code: str) -> str:
    """Nothing is left of a refused fetch; the problem says why."""
    response = await ask(service, url)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code
    assert problem["detail"].startswith("expected")
    incoming = paths.incoming_folder(service.settings.data_dir, PRINCIPAL)
    assert not incoming.exists() or not list(incoming.iterdir())
    return str(problem["detail"])


async def test_a_url_gives_the_video_that_an_upload_gives(
    make_service: Callable[[Settings], Any], allowed: Settings, web: Web, clip: Path
) -> None:
    service = await make_service(allowed)
    web.files["/clip.mp4"] = clip.read_bytes()
    web.moved["/moved"] = "/clip.mp4"
    response = await ask(service, f"{web.url}/moved?a=b")
    assert response.status_code == 201, response.text
    assert response.json()["video_id"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert web.paths == ["/moved?a=b", "/clip.mp4"]
    assert await service.upload(clip) == response.json()["video_id"]
    assert (await ask(service, f"{web.url}/clip.mp4")).status_code == 200, "known by its content"


async def test_nothing_is_fetched_unless_the_operator_allows_it(service: Any, web: Web) -> None:
    await check_refused(service, f"{web.url}/clip.mp4", 403, "forbidden_input")
    assert web.paths == []


async def test_private_addresses_are_refused_until_their_network_is_listed(
    make_service: Callable[[Settings], Any], allowed: Settings, web: Web
) -> None:
    service = await make_service(allowed.model_copy(update={"input_networks": ()}))
    await check_refused(service, f"{web.url}/clip.mp4", 403, "forbidden_input")
    assert web.paths == []


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "https://127.0.0.1/", "http://other.test/", "file:///etc/passwd"]
)
async def test_a_redirect_is_checked_like_the_first_address(
    make_service: Callable[[Settings], Any], allowed: Settings, web: Web, target: str
) -> None:
    service = await make_service(allowed)
    web.moved["/moved"] = target
    await check_refused(service, f"{web.url}/moved", 403, "forbidden_input")
    assert web.paths == ["/moved"]


async def test_a_name_is_resolved_once_and_asked_by_its_name(
    make_service: Callable[[Settings], Any],
    allowed: Settings,
    web: Web,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = await make_service(allowed)
    web.files["/clip.mp4"] = clip.read_bytes()
    resolve, asked = socket.getaddrinfo, []

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if host != "video.test":
            return resolve(host, *rest, **options)
        asked.append(host)
        return resolve("127.0.0.1" if len(asked) == 1 else "127.0.0.99", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    response = await ask(service, f"http://video.test:{web.port}/clip.mp4")
    assert response.status_code == 201, response.text
    assert asked == ["video.test"]
    assert web.hosts == [f"video.test:{web.port}"]


async def test_what_cannot_be_had_is_said_and_leaves_nothing(
    make_service: Callable[[Settings], Any], allowed: Settings, web: Web
) -> None:
    service = await make_service(allowed)
    web.moved["/loop"] = "/loop"
    web.files["/text"] = b"no video at all"
    assert "404" in await check_refused(service, f"{web.url}/nothing", 502, "input_unavailable")
    assert "redirects" in await check_refused(service, f"{web.url}/loop", 502, "input_unavailable")
    await check_refused(service, f"{web.url}/short", 502, "input_unavailable")
    await check_refused(service, "http://127.0.0.1:9/", 502, "input_unavailable")
    await check_refused(service, f"{web.url}/text", 415, "not_a_video")
    await check_refused(service, f"http://me:secret@127.0.0.1:{web.port}/text", 422, "invalid_input")
    await check_refused(service, "http://", 422, "invalid_input")
    await check_refused(service, "http://a b/", 422, "invalid_input")


async def test_a_fetch_ends_at_its_limits_of_bytes_and_time(
    make_service: Callable[[Settings], Any], allowed: Settings, web: Web
) -> None:
    small = await make_service(allowed.model_copy(update={"max_upload_bytes": 3_000_000}))
    await check_refused(small, f"{web.url}/endless", 413, "upload_too_large")
    quick = await make_service(allowed.model_copy(update={"input_timeout_s": 0.3}))
    assert "0.3 s" in await check_refused(quick, f"{web.url}/endless", 502, "input_unavailable")


async def test_a_large_file_is_never_in_memory(settings: Settings, allowed: Settings, web: Web) -> None:
    limited = allowed.model_copy(update={"max_upload_bytes": 40_000_000})
    async with IncomingVideo(limited) as incoming:
        tracemalloc.start()
        try:
            with pytest.raises(UploadTooLargeError):
                await fetch(f"{web.url}/endless", incoming, limited)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert incoming.size_bytes > 40_000_000
    assert peak < 8_000_000


@pytest.mark.parametrize(("name", "status"), [("video.test", 201), ("127.0.0.1", 502)])
async def test_a_server_must_prove_the_name_that_was_asked_for(
    make_service: Callable[[Settings], Any],
    allowed: Settings,
    web: Web,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
) -> None:
    certificate, context = tls.make_certificate(tmp_path, "video.test")
    monkeypatch.setattr(certifi, "where", lambda: str(certificate))
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **options: resolve("127.0.0.1" if host == "video.test" else host, *rest, **options),
    )
    service = await make_service(allowed.model_copy(update={"input_schemes": ("https",)}))
    web.files["/clip.mp4"] = clip.read_bytes()
    web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
    response = await ask(service, f"https://{name}:{web.port}/clip.mp4")
    assert response.status_code == status, response.text


async def test_an_object_of_a_listed_bucket_is_fetched_with_a_valid_signature(
    make_service: Callable[[Settings], Any],
    settings: Settings,
    web: Web,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "univs")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    service = await make_service(
        settings.model_copy(
            update={"input_schemes": ("s3",), "input_s3_buckets": ("bucket",), "input_s3_endpoint": web.url}
        )
    )
    web.files["/bucket/some%20folder/clip.mp4"] = clip.read_bytes()
    response = await ask(service, "s3://bucket/some%20folder/clip.mp4")
    assert response.status_code == 201, response.text
    assert response.json()["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    await check_refused(service, "s3://other/clip.mp4", 403, "forbidden_input")
    await check_refused(service, "s3://bucket/", 422, "invalid_input")
    await check_refused(service, "s3://bucket/none.mp4", 502, "input_unavailable")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert "403" in await check_refused(service, "s3://bucket/some%20folder/clip.mp4", 502, "input_unavailable")
