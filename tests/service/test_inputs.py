"""Only what the operator lists may be read, under every name and every way of writing an address."""

import socket
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from univs_service.errors import ForbiddenInputError, InputUnavailableError, InvalidInputError
from univs_service.inputs import CAMERA, WEB, find_target, is_listed, is_permitted, without_password
from univs_service.settings import Settings

OPEN = Settings(input_schemes=("http", "https", "rtsp"), input_hosts=("*",))
WITH_LOOPBACK = OPEN.model_copy(update={"input_networks": (ip_network("127.0.0.0/8"), ip_network("::1/128"))})


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by name; what is not among them is resolved as always."""
    known: dict[str, list[str]] = {}
    resolve = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host not in known:
            return resolve(host, port, *rest, **options)
        return [found for address in known[host] for found in resolve(address, port, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


def test_nothing_is_allowed_until_it_is_listed(names: dict[str, list[str]]) -> None:
    names["example.org"] = ["93.184.216.34"]
    with pytest.raises(ForbiddenInputError, match="UNIVS_INPUT_SCHEMES"):
        find_target("https://example.org/video.mp4", Settings(), WEB)
    with pytest.raises(ForbiddenInputError, match="UNIVS_INPUT_HOSTS"):
        find_target("https://example.org/video.mp4", Settings(input_schemes=("https",)), WEB)


def test_a_public_host_that_is_listed_is_resolved_once(names: dict[str, list[str]]) -> None:
    names["videos.example.org"] = ["93.184.216.34"]
    allowed = Settings(input_schemes=("https",), input_hosts=("*.example.org",))
    target = find_target("https://VIDEOS.example.org./a.mp4?b=c", allowed, WEB)
    assert (target.host, target.address, target.port) == ("videos.example.org", "93.184.216.34", 443)
    assert target.url.path == "/a.mp4"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/",
        "http://0/", "http://10.1.2.3/", "http://192.168.0.1:8080/", "http://172.16.0.1/", "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://[fe80::1]/", "http://[fd00::1]/",
        "http://[::ffff:127.0.0.1]/", "http://[::ffff:10.0.0.1]/", "http://[2002:7f00:1::]/",
        "http://[64:ff9b::a00:1]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://[ff02::1]/",
        "rtsp://127.0.0.1:8554/camera",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(url: str) -> None:
    with pytest.raises((ForbiddenInputError, InputUnavailableError)) as caught:
        find_target(url, OPEN, WEB | CAMERA)
    assert caught.value.detail.startswith("expected")


def test_a_name_with_one_private_address_is_refused(names: dict[str, list[str]]) -> None:
    names["example.org"] = ["93.184.216.34", "10.0.0.1"]
    with pytest.raises(ForbiddenInputError, match="UNIVS_INPUT_NETWORKS"):
        find_target("http://example.org/", OPEN, WEB)


def test_a_private_network_that_is_listed_is_allowed() -> None:
    assert find_target("rtsp://127.0.0.1:8554/camera", WITH_LOOPBACK, CAMERA).port == 8554
    with pytest.raises(ForbiddenInputError):
        find_target("rtsp://10.0.0.1:8554/camera", WITH_LOOPBACK, CAMERA)


@pytest.mark.parametrize("url", ["ftp://example.org/", "file:///etc/passwd", "rtsp://example.org/", "gopher://a/", "a"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises((ForbiddenInputError, InvalidInputError)):
        find_target(url, OPEN, WEB)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a",
        "http://[::1",
        "http://a:99999/",
        "http://a b/",
        "http://a/\nHost: b",
        "http://" + "a" * 300,
    ],
)
def test_what_is_no_url_is_said_so(url: str) -> None:
    with pytest.raises((InvalidInputError, InputUnavailableError)):
        find_target(url, OPEN, WEB)


def test_a_name_without_an_address_is_said_so() -> None:
    with pytest.raises(InputUnavailableError, match=r"nowhere\.invalid"):
        find_target("http://nowhere.invalid/", OPEN, WEB)


@pytest.mark.parametrize(
    ("host", "is_on_it"),
    [("example.org", True), ("a.b.example.net", True), ("example.net", False), ("notexample.org", False), ("", False)],
)
def test_lists_of_hosts_are_read_by_whole_labels(host: str, is_on_it: bool) -> None:
    assert is_listed(host, ("Example.org.", "*.example.net")) is is_on_it


@settings(deadline=None)
@given(st.ip_addresses())
def test_no_address_is_permitted_that_is_not_public(address: Any) -> None:
    if is_permitted(address, OPEN):
        assert address.is_global
        assert not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
    if address.version == 4 and not address.is_global:
        assert not is_permitted(ip_address(f"::ffff:{address}"), OPEN)


def test_passwords_are_not_shown() -> None:
    assert without_password("rtsp://me:secret@camera.example:554/live?token=1") == "rtsp://camera.example:554/live"
