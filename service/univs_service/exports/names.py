"""Names that a user gives to objects, for exports that have room for names."""

from collections.abc import Mapping, Sequence

from univs_service.exports.sink import ExportError
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


def name_objects(result: FrameResultEvent, names: Mapping[int, str]) -> FrameResultEvent:
    """Give a result in which objects have these names; one without keeps the label that it has."""
    if not names:
        return result
    objects = [
        answer.model_copy(update={"label": names.get(answer.object_id, answer.label)}) for answer in result.objects
    ]
    return result.model_copy(update={"objects": objects})
