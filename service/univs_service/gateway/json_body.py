"""Read the JSON body of a request, up to the limit of the settings."""

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from univs_service.errors import BadRequestError, TooLargeError
from univs_service.gateway.problems import invalid_input
from univs_service.settings import Settings

Parsed = TypeVar("Parsed")


async def read_json(request: Request, settings: Settings, kind: type[Parsed]) -> Parsed:
    """Read a body as one of our messages.

    Raises:
        BadRequestError, InvalidInputError, TooLargeError
    """
    body = bytearray()
    async for chunk in request.stream():
        extend(body, chunk, settings.max_request_bytes)
    return parse(TypeAdapter(kind), bytes(body), "the body")


def extend(body: bytearray, chunk: bytes, max_bytes: int) -> None:
    """Append what came; refuse too much of it."""
    body += chunk
    if len(body) > max_bytes:
        raise TooLargeError(f"expected at most {max_bytes} bytes of JSON, got more; send prompts one by one")


def parse(adapter: TypeAdapter[Parsed], text: bytes, what: str) -> Parsed:
    """Read JSON as one of our messages."""
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise BadRequestError(
                f"expected JSON in {what}, got text that is none: {error.errors()[0]['msg']}; check its syntax"
            ) from error
        raise invalid_input(error, what) from error
