"""Categories of formats that number them: those of a vocabulary as it does, other names as they first appear."""

from dataclasses import dataclass

from univs_service.messages import ObjectResult

UNNAMED = "object"  # the category of objects without a name


@dataclass(frozen=True, slots=True)
class Category:
    """A name and its number."""

    number: int
    name: str
    is_thing: bool


class Categories:
    """Number names as they come."""

    def __init__(self) -> None:
        self._by_name: dict[str, Category] = {}
        self._taken: set[int] = set()

    def number(self, answer: ObjectResult) -> int:
        """Give the number of an object's category: its `category_id`, or the next one that is free, from 1."""
        name = name_of(answer)
        if name not in self._by_name:
            free = max(self._taken, default=0) + 1
            wanted = free if answer.category_id is None else answer.category_id
            number = free if wanted in self._taken else wanted
            self._taken.add(number)
            self._by_name[name] = Category(number, name, is_thing=answer.is_thing is not False)
        return self._by_name[name].number

    def all(self) -> list[Category]:
        """List the categories so far, by number."""
        return sorted(self._by_name.values(), key=lambda category: category.number)


def name_of(answer: ObjectResult) -> str:
    """Give the name of an object, which is its category: `object` when it has none."""
    return answer.label or UNNAMED
