"""Turn s3://bucket/key into an https URL that may be read for a few minutes, signed with the service's own keys.

The signing, and the search for keys (environment, web identity, the machine's role), is the library `obstore`'s; the
bytes then come like those of any other URL. Only buckets that the operator lists are signed for: a client must not
read whatever the service can.
"""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from univs_service.errors import ForbiddenInputError, InputUnavailableError, InvalidInputError
from univs_service.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config

_VALID = timedelta(minutes=15)


def sign(url: str, settings: Settings) -> str:
    """Give the address of an object; blocks while keys are looked for.

    Raises:
        InvalidInputError: for what is no s3 URL.
        ForbiddenInputError: when S3 or the bucket is not allowed.
        InputUnavailableError: when there are no keys, or `obstore` is not installed.
    """
    parts = urlsplit(url)
    bucket, key = parts.netloc, unquote(parts.path.removeprefix("/"))
    if not bucket or not key:
        raise InvalidInputError("expected s3://bucket/key, got a URL without one of them; check it")
    if "s3" not in settings.input_schemes or bucket not in settings.input_s3_buckets:
        raise ForbiddenInputError(
            f"expected a bucket that UNIVS_INPUT_S3_BUCKETS lists, with s3 in UNIVS_INPUT_SCHEMES, got {bucket!r}; "
            "upload the file instead, or ask the operator to list it"
        )
    try:
        from obstore import exceptions
        from obstore import sign as sign_object
        from obstore.store import S3Store
    except ImportError as error:
        raise InputUnavailableError(
            "expected the package obstore, which s3:// URLs need; the operator installs it with pip install 'univs[s3]'"
        ) from error
    endpoint = settings.input_s3_endpoint
    config: S3Config = {"region": settings.input_s3_region}
    if endpoint:
        config["endpoint"] = endpoint
    try:
        store = S3Store(
            bucket,
            config=config,
            client_options={"allow_http": bool(endpoint and endpoint.startswith("http:"))},
        )
        return sign_object(store, "GET", key, _VALID)
    except exceptions.BaseError as error:
        raise InputUnavailableError(
            f"expected keys that may read s3://{bucket}, but the service found none; the operator sets them "
            "(AWS_ACCESS_KEY_ID ..., or a role of the machine)"
        ) from error
