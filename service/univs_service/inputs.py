"""Which addresses outside the service it may read from: none, until an operator lists schemes and hosts.

A name is resolved once, every address it has is checked, and the connection goes to the address that was checked: a
name that means another machine a moment later (DNS rebinding) gains nothing. A redirect is a new address and is checked
like the first.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from univs_service.errors import ForbiddenInputError, InputUnavailableError, InvalidInputError
from univs_service.settings import Settings

Address: TypeAlias = IPv4Address | IPv6Address
WEB = frozenset({"http", "https"})
CAMERA = frozenset({"rtsp", "rtsps"})
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, checked: connect to `address`, and call the machine `host`."""

    url: SplitResult
    host: str
    port: int
    address: str

    @property
    def is_encrypted(self) -> bool:
        """Whether the machine must prove its name."""
        return self.url.scheme in {"https", "rtsps"}


def find_target(url: str, settings: Settings, schemes: frozenset[str], *, is_ours: bool = False) -> Target:
    """Check a URL against the allow-list and resolve it; blocks for the name server.

    Args:
        url: as the client gave it, or a redirect.
        settings: with the allow-list.
        schemes: that make sense here; each must be allowed besides.
        is_ours: the operator configured this host: neither it nor its address need be listed.
    Raises:
        InvalidInputError: for what is no such URL.
        ForbiddenInputError: for a scheme, host or address that is not allowed.
        InputUnavailableError: for a name that has no address.
    """
    parts = _split(url)
    if parts.scheme not in schemes or not (is_ours or parts.scheme in settings.input_schemes):
        raise ForbiddenInputError(
            f"expected a URL with a scheme that UNIVS_INPUT_SCHEMES allows here ({_listed(settings, schemes)}), "
            f"got {parts.scheme!r}; upload the file instead, or ask the operator to allow it"
        )
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise InvalidInputError("expected a URL such as https://example.org/video.mp4, got one without a host")
    if not is_ours and not is_listed(host, settings.input_hosts):
        raise ForbiddenInputError(
            f"expected a host that UNIVS_INPUT_HOSTS lists, got {host!r}; "
            "upload the file instead, or ask the operator to list it"
        )
    port = _port(parts)
    addresses = list(_resolve(host, port))
    refused = [] if is_ours else [address for address in addresses if not is_permitted(address, settings)]
    if refused:
        raise ForbiddenInputError(
            f"expected a host on a public address or in UNIVS_INPUT_NETWORKS, but {host!r} has another one; "
            "ask the operator to list its network"
        )
    return Target(parts, host, port, str(addresses[0]))


def is_listed(host: str, patterns: tuple[str, ...]) -> bool:
    """Say whether a host is on a list of names; `*.example.org` names every host below it, `*` every host."""
    for pattern in patterns:
        name = pattern.lower().rstrip(".")
        if name in {"*", host} or (name.startswith("*.") and host.endswith(name[1:])):
            return True
    return False


def is_permitted(address: Address, settings: Settings) -> bool:
    """Say whether an address may be connected to: a public one, or one in a network that is listed."""
    if any(address in network for network in settings.input_networks):
        return True
    return all(each.is_global and not each.is_multicast for each in (address, *_inside(address)))


def without_password(url: str) -> str:
    """Give a URL as it may be shown and logged."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
        host = (parts.hostname or "").encode("idna" if not _is_address(parts.hostname or "") else "ascii").decode()
    except ValueError as error:  # UnicodeError is one
        raise InvalidInputError(f"expected a URL, got one that cannot be read: {error}; check it") from error
    if any(ord(letter) <= 32 for letter in url):
        raise InvalidInputError("expected a URL without spaces, got one with; write them as %20")
    user, at, _ = parts.netloc.rpartition("@")
    shown = f"[{host}]" if ":" in host else host
    netloc = f"{user}{at}{shown.lower()}" + (f":{parts.port}" if parts.port else "")
    return parts._replace(scheme=parts.scheme.lower(), netloc=netloc)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _listed(settings: Settings, schemes: frozenset[str]) -> str:
    return ", ".join(sorted(schemes.intersection(settings.input_schemes))) or "none"


def _resolve(host: str, port: int) -> Iterator[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputUnavailableError(
            f"expected the host {host!r} to have an address, but it has none that can be found; check the URL"
        ) from error
    for *_, place in found:
        yield ip_address(str(place[0]).partition("%")[0])


def _inside(address: Address) -> Iterator[Address]:
    """Give the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
