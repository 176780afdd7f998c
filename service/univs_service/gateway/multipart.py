"""Read a multipart/form-data body part by part as it arrives; nothing is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from univs_service.errors import BadRequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_PARTS = 16


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts; its bytes follow."""

    name: str


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is complete."""


PartEvent: TypeAlias = PartBegin | bytes | PartEnd


@dataclass
class _Collector:
    """Callbacks of the parser: collect what one chunk of the body holds."""

    events: list[PartEvent] = field(default_factory=list)
    num_parts: int = 0
    is_complete: bool = False
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _name: str | None = None

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_begin": self.on_header_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self.num_parts += 1
        self._name = None

    def on_header_begin(self) -> None:
        self._header.clear()
        self._value.clear()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            name = options.get(b"name")
            self._name = None if name is None else name.decode(errors="replace")

    def on_headers_finished(self) -> None:
        if self._name is None or self.num_parts > _MAX_PARTS:
            raise BadRequestError(
                f"expected at most {_MAX_PARTS} parts, each with a name in its Content-Disposition, "
                f"got part {self.num_parts} named {self._name}; send the request as a form"
            )
        self.events.append(PartBegin(self._name))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.events.append(data[start:end])

    def on_part_end(self) -> None:
        self.events.append(PartEnd())

    def on_end(self) -> None:
        self.is_complete = True


async def read_parts(request: Request) -> AsyncIterator[PartEvent]:
    """Give the parts of the request's body in order, each as its beginning, pieces of its bytes, and its end.

    Raises:
        BadRequestError: when the body is no multipart/form-data or breaks off.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise BadRequestError(
            "expected Content-Type multipart/form-data with a boundary, "
            f"got {request.headers.get('content-type')!r}; send the file as a form, as `curl -F video=@FILE` does"
        )
    collector = _Collector()
    parser = MultipartParser(boundary, collector.callbacks())
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            for event in collector.events:
                yield event
            collector.events.clear()
    except FormParserError as error:
        raise BadRequestError(f"expected a multipart/form-data body, got one that is broken: {error}") from error
    if not collector.is_complete:
        raise BadRequestError(
            "expected a multipart/form-data body up to its last boundary, got a shorter one; send it again"
        )
