"""The categories that are looked for, as names."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from univs.errors import InputError
from univs.vocabularies.spoken import spoken


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """K categories. Row and position are the same thing: `class_index` of a result counts these rows from 0.

    Attributes:
        names: as the data set, or the user, spells them; at least one, each once.
        is_thing: for each, whether it can be counted (person) or not (sky).
        category_ids: of each in the files of its data set; these may have gaps.
        phrases: what a text encoder is asked for each.
    """

    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    category_ids: tuple[int, ...]
    phrases: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = (len(self.names), len(self.is_thing), len(self.category_ids), len(self.phrases))
        if not self.names or len(set(lengths)) > 1:
            raise InputError(
                f"expected one or more names, and for each is_thing, a category id and a phrase, got {lengths[0]} "
                f"names, {lengths[1]} of is_thing, {lengths[2]} ids and {lengths[3]} phrases"
            )
        if not all(name.strip() for name in self.names):
            raise InputError(f"expected names with letters in them, got an empty one among {self.names}; leave it out")
        columns: tuple[tuple[str, Sequence[str | int]], ...] = (
            ("name", self.names),
            ("category id", self.category_ids),
        )
        for what, values in columns:
            value, count = Counter(values).most_common(1)[0]
            if count > 1:
                raise InputError(f"expected each {what} once, got {value!r} {count} times")

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of_names(
        cls, names: Sequence[str], is_thing: Sequence[bool] | None = None, category_ids: Sequence[int] | None = None
    ) -> "Vocabulary":
        """Make a vocabulary of any names.

        Args:
            names: of the categories.
            is_thing: for each; all of them when left out.
            category_ids: of each; counted from 1 when left out.
        Raises:
            InputError: for no names, an empty one, one that comes twice, or lists of different lengths.
        """
        things = (True,) * len(names) if is_thing is None else tuple(is_thing)
        ids = range(1, len(names) + 1) if category_ids is None else category_ids
        return cls(tuple(names), things, tuple(ids), tuple(spoken(name) for name in names))

    def joined_with(self, other: "Vocabulary") -> "Vocabulary":
        """Add the names of another vocabulary behind; those that are here already are left out.

        Ids of the other stay as they are when all are free here; otherwise what is added is counted on from the
        largest id.
        """
        rows = self.missing_rows(other)
        ids = tuple(other.category_ids[row] for row in rows)
        if set(ids) & set(self.category_ids):
            first = max(self.category_ids) + 1
            ids = tuple(range(first, first + len(rows)))
        return Vocabulary(
            self.names + tuple(other.names[row] for row in rows),
            self.is_thing + tuple(other.is_thing[row] for row in rows),
            self.category_ids + ids,
            self.phrases + tuple(other.phrases[row] for row in rows),
        )

    def missing_rows(self, other: "Vocabulary") -> tuple[int, ...]:
        """Give the rows of another vocabulary whose names are not here."""
        known = set(self.names)
        return tuple(row for row, name in enumerate(other.names) if name not in known)
