"""Fetch a video from a URL into the store, as an upload comes: to disk as it arrives, hashed, at constant memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import httpx

from univs_service.errors import InputUnavailableError, InvalidInputError
from univs_service.gateway.s3 import sign
from univs_service.gateway.uploads import IncomingVideo, check_upload_size
from univs_service.inputs import WEB, Target, find_target, without_password
from univs_service.settings import Settings

_MOST_REDIRECTS = 5
_CONNECT_TIMEOUT_S, _SILENCE_S = 10.0, 30.0


async def fetch(url: str, incoming: IncomingVideo, settings: Settings) -> None:
    """Read the file at `url` into an upload.

    Args:
        url: http, https, or s3://bucket/key, where the allow-list has it.
        incoming: takes the bytes.
        settings: with the allow-list and the limits.
    Raises:
        ForbiddenInputError: for an address that is not allowed, or leads to one that is not.
        InputUnavailableError: when the file cannot be had, or not in time.
        UploadTooLargeError: as soon as it is.
    """
    try:
        async with asyncio.timeout(settings.input_timeout_s):
            if url.lower().startswith("s3:"):
                signed = await asyncio.to_thread(sign, url, settings)
                await _follow(signed, incoming, settings, is_ours=True)
            else:
                await _follow(url, incoming, settings)
    except TimeoutError:
        raise InputUnavailableError(
            f"expected to fetch {without_password(url)} within {settings.input_timeout_s:g} s, but it took longer; "
            "upload the file instead, or raise UNIVS_INPUT_TIMEOUT_S"
        ) from None


async def _follow(url: str, incoming: IncomingVideo, settings: Settings, *, is_ours: bool = False) -> None:
    for _ in range(1 if is_ours else _MOST_REDIRECTS + 1):
        target = await asyncio.to_thread(find_target, url, settings, WEB, is_ours=is_ours)
        async with _get(target) as response:
            if not response.has_redirect_location:
                await _read(response, target, incoming, settings)
                return
            url = urljoin(url, response.headers["location"])
    raise InputUnavailableError(
        f"expected a file after at most {_MOST_REDIRECTS} redirects, got another one; use the address it leads to"
    )


@asynccontextmanager
async def _get(target: Target) -> AsyncIterator[httpx.Response]:
    """Ask the address that was checked, under the name that was asked for: `Host` and certificate are the name's."""
    if target.url.username is not None:
        raise InvalidInputError("expected a URL without user and password, got one with; leave them out")
    timeout = httpx.Timeout(_SILENCE_S, connect=_CONNECT_TIMEOUT_S)
    address = f"[{target.address}]" if ":" in target.address else target.address
    place = target.url._replace(netloc=f"{address}:{target.port}", fragment="").geturl()
    request = httpx.Request(
        "GET",
        place,
        headers={"Host": target.url.netloc, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "univs"},
        extensions={"sni_hostname": target.host, "timeout": timeout.as_dict()},
    )
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as client:
        try:
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise InputUnavailableError(
                f"expected to read {without_password(target.url.geturl())}, got {type(error).__name__}: {error}; "
                "try again, or upload the file"
            ) from error


async def _read(response: httpx.Response, target: Target, incoming: IncomingVideo, settings: Settings) -> None:
    if response.status_code != 200:
        raise InputUnavailableError(
            f"expected 200 of {without_password(target.url.geturl())}, got {response.status_code}; check the address"
        )
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        check_upload_size(int(declared), settings)
    async for chunk in response.aiter_raw():
        await incoming.write(chunk)
