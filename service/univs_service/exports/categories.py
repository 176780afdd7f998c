"""Categories of formats that number them: the names of objects, in the order in which they first appear."""

from dataclasses import dataclass

from univs_service.messages import ObjectResult

UNNAMED = "object"  # the category of objects without a name


@dataclass(frozen=True, slots=True)
class Category:
    """A name and its number, from 1."""

    number: int
    name: str


class Categories:
    """Number names as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, answer: ObjectResult) -> int:
        """Give the number of an object's category."""
        return self._numbers.setdefault(name_of(answer), len(self._numbers) + 1)

    def all(self) -> list[Category]:
        """List the categories so far, by number."""
        return [Category(number, name) for name, number in self._numbers.items()]


def name_of(answer: ObjectResult) -> str:
    """Give the name of an object, which is its category: `object` when it has none."""
    return answer.label or UNNAMED
