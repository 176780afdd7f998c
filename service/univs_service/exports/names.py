"""Names that a user gives to objects, for exports that have room for names."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from univs_service.exports.masks import Image
from univs_service.exports.sink import ExportError, ResultSink
from univs_service.messages import FrameResultEvent

_LONGEST = 200


def read_names(options: Sequence[str]) -> dict[int, str]:
    """Read `OBJECT:NAME` options.

    Raises:
        ExportError: for one that is none.
    """
    names: dict[int, str] = {}
    for option in options:
        number, _, name = option.partition(":")
        name = " ".join(name.split())
        if not number.isascii() or not number.isdigit() or not name or len(name) > _LONGEST or not name.isprintable():
            raise ExportError(
                f"expected a name as OBJECT:NAME, 1:dog for example, with at most {_LONGEST} characters, got {option!r}"
            )
        names[int(number)] = name
    return names


class NamedSink:
    """Give names to the objects on their way to a sink; an object without one here keeps the label that it has."""

    def __init__(self, sink: ResultSink, names: Mapping[int, str]) -> None:
        self._sink = sink
        self._names = dict(names)

    @property
    def needs_image(self) -> bool:
        """Whether the sink behind it needs the pictures."""
        return self._sink.needs_image

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:
        """Name the objects of one frame and hand it on."""
        objects = [
            answer.model_copy(update={"label": self._names.get(answer.object_id, answer.label)})
            for answer in result.objects
        ]
        self._sink.write(result.model_copy(update={"objects": objects}), image)

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.__exit__(kind, error, trace)
