"""Pictures asked for what expressions name: overall and mean IoU, and how many expressions are met.

Source: Yu et al., "Modeling Context in Referring Expressions", ECCV 2016; overall IoU as Hu et al., "Segmentation from
Natural Language Expressions", ECCV 2016.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from univs import rle
from univs.data.formats.refcoco import RefCoco, ReferredPicture, read_masks
from univs.data.images import read_image
from univs.errors import InputError
from univs.evaluation.predicting.videos import OnFrame
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.vos import Mask
from univs.inference.segmenter import VideoSegmenter
from univs.types import Clip, Frame, TextPrompt

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
COLUMNS = ("oIoU", "mIoU", *(f"P@{threshold}" for threshold in THRESHOLDS))
_TIME_BASE = Fraction(1, 24)  # a still has no clock


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixels of a prediction and of the truth."""

    intersection: int
    union: int

    @property
    def iou(self) -> float:
        """Intersection over union; 0 where both are empty, as in the released evaluators."""
        return self.intersection / self.union if self.union else 0.0


def overlap(predicted: Mask, truth: Mask) -> Overlap:
    """Count the common pixels of two masks [H, W], and those of either."""
    return Overlap(int(np.count_nonzero(predicted & truth)), int(np.count_nonzero(predicted | truth)))


def summarize(overlaps: Sequence[Overlap]) -> ScoreTable:
    """Give overall IoU (all intersections over all unions), mean IoU, and the part of expressions above thresholds.

    Raises:
        InputError: without an expression.
    """
    if not overlaps:
        raise InputError("expected at least one expression, got none; check the split")
    values: npt.NDArray[np.float64] = np.array([each.iou for each in overlaps])
    intersections, unions = (sum(counts) for counts in zip(*((e.intersection, e.union) for e in overlaps), strict=True))
    met = (float((values > threshold).mean()) for threshold in THRESHOLDS)
    return ScoreTable(COLUMNS, (ScoreRow("all", (intersections / max(1, unions), float(values.mean()), *met)),))


def evaluate_referring(
    source: RefCoco, open_segmenter: Callable[[tuple[int, int]], VideoSegmenter], on_frame: OnFrame
) -> ScoreTable:
    """Ask every picture for every sentence about it.

    Args:
        source: pictures with sentences.
        open_segmenter: makes a segmenter for frames of (height, width); its weights must read text.
        on_frame: told of every picture.
    Raises:
        UnsupportedPromptError: for weights that do not read text.
    """
    overlaps: list[Overlap] = []
    for picture in source.pictures:
        overlaps += _ask(picture, open_segmenter)
        on_frame()
    return summarize(overlaps)


def _ask(picture: ReferredPicture, open_segmenter: Callable[[tuple[int, int]], VideoSegmenter]) -> list[Overlap]:
    truth = read_masks(picture).numpy()
    asked = [(row, text) for row, each in enumerate(picture.objects) for text in each.sentences]
    segmenter = open_segmenter(picture.size)
    for number, (_, text) in enumerate(asked, start=1):
        segmenter.add_prompt(TextPrompt(number, text))
    image = read_image(picture.image_path)
    (result,) = [*segmenter.step(Clip((Frame(0, 0, _TIME_BASE, image),))), *segmenter.finish()]
    masks = {each.object_id: rle.decode(each.mask) for each in result.objects}
    nothing = np.zeros(picture.size, dtype=np.bool_)
    return [overlap(masks.get(number, nothing), truth[row]) for number, (row, _) in enumerate(asked, start=1)]
