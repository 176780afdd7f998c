"""The list of categories in files of COCO's kind."""

from dataclasses import dataclass

from univs.data.formats.json_files import Json


@dataclass(frozen=True, slots=True)
class Categories:
    """Names of categories in the order of their numbers."""

    names: tuple[str, ...]  # [K]
    category_ids: tuple[int, ...]  # [K], as the file numbers them
    is_thing: tuple[bool, ...]  # [K]; all of them where the file does not say

    @property
    def rows(self) -> dict[int, int]:
        """Give the row of each number."""
        return {category_id: row for row, category_id in enumerate(self.category_ids)}


def read_categories(content: Json) -> Categories:
    """Read the list `categories` of an annotation file; call inside `understanding`."""
    ordered = sorted(content["categories"], key=lambda category: int(category["id"]))
    return Categories(
        tuple(str(category["name"]) for category in ordered),
        tuple(int(category["id"]) for category in ordered),
        tuple(bool(category.get("isthing", 1)) for category in ordered),
    )
