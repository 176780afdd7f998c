"""What data sets give: annotated pictures, training samples and batches. Letters as in `univs.types`."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from univs.types import VisualPrompt

UNKNOWN_CATEGORY = -1


@dataclass(frozen=True, slots=True)
class Picture:
    """One annotated frame. Rows of `masks` are the objects of the whole item, visible here or not."""

    image: Tensor  # uint8 [3, H, W], RGB
    masks: Tensor  # bool [O, H, W]
    category_ids: tuple[int, ...]  # [O] rows of the source's vocabulary, UNKNOWN_CATEGORY where it has none
    texts: tuple[str, ...]  # [O] an expression that names the object, "" where there is none


class Source(Protocol):
    """A data set: items, each a video of one frame (a still) or more."""

    @property
    def name(self) -> str:
        """Name of the data set and its split, for files and messages."""
        ...

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the categories; empty for class-agnostic data."""
        ...

    @property
    def is_exhaustive(self) -> bool:
        """Say whether every object of the vocabulary is annotated, so that anything else is background."""
        ...

    def __len__(self) -> int: ...

    def num_frames(self, item_index: int, /) -> int:
        """Count the annotated frames of an item; 1 for a still."""
        ...

    def read(self, item_index: int, position: int, /) -> Picture:
        """Read the frame at a position (0..num_frames - 1) of an item."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One training clip: pictures, masks of its objects, a simulated prompt for each.

    Prompts lie in the first frame, but for the training stages, where their `frame_index` may be any of the clip's.
    """

    images: Tensor  # uint8 [T, 3, H, W]
    frame_indices: Tensor  # int64 [T]
    masks: Tensor  # bool [O, T, H, W]
    category_ids: Tensor  # int64 [O]
    texts: tuple[str, ...]  # [O], each names its object alone; "" where no text does
    prompts: tuple[VisualPrompt, ...]  # [O]; `object_id` is the row, `frame_index` one of `frame_indices`
    vocabulary: tuple[str, ...]
    is_exhaustive: bool
    absent_names: tuple[str, ...] = ()  # names of the vocabulary that surely are not in the clip

    @property
    def is_present(self) -> Tensor:
        """Say in which frames an object shows at all: bool [O, T]."""
        return self.masks.flatten(2).any(dim=-1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one size, their objects padded to the same number of slots."""

    images: Tensor  # uint8 [B, T, 3, H, W]
    frame_indices: Tensor  # int64 [B, T]
    masks: Tensor  # bool [B, O, T, H, W]; all False in padding
    category_ids: Tensor  # int64 [B, O]; UNKNOWN_CATEGORY in padding
    is_padding: Tensor  # bool [B, O]: slots that hold no object
    prompts: tuple[tuple[VisualPrompt, ...], ...]  # [B][O]; no entry for padding
    vocabularies: tuple[tuple[str, ...], ...]  # [B]
    is_exhaustive: tuple[bool, ...]  # [B]
    texts: tuple[tuple[str, ...], ...]  # [B][O], "" where no text names the object alone; no entry for padding
    absent_names: tuple[tuple[str, ...], ...]  # [B], names that are surely not in the clip

    @property
    def is_present(self) -> Tensor:
        """Say in which frames an object shows at all: bool [B, O, T]."""
        return self.masks.flatten(3).any(dim=-1)
