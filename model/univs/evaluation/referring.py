"""J&F of referring video object segmentation: an expression names an object, its masks are scored in every frame.

Source: Seo et al., "URVOS: Unified Referring Video Object Segmentation Network", 2020 (Ref-YouTube-VOS); Khoreva et
al., "Video Object Segmentation with Language Referring Expressions", 2018 (Ref-DAVIS).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from univs.errors import InputError
from univs.evaluation.objects import ObjectsReport
from univs.evaluation.vos import ClipScore


@dataclass(frozen=True, slots=True)
class ReferringReport:
    """Means in [0, 1]."""

    region: float
    boundary: float
    num_scored: int  # expressions, or annotators

    @property
    def mean(self) -> float:
        """J&F: the mean of J and F."""
        return (self.region + self.boundary) / 2


def over_expressions(scores: Iterable[ClipScore]) -> ReferringReport:
    """Give the means over expressions, each with `vos.score_clip` over all frames of its video.

    Raises:
        InputError: without an expression.
    """
    every = tuple(scores)
    return _mean([score.region for score in every], [score.boundary for score in every])


def over_annotators(reports: Sequence[ObjectsReport]) -> ReferringReport:
    """Give the means over annotators, each of whom described every object once.

    Each report is over the objects of all clips, named by one annotator's expressions; the official figures come
    from the unsupervised protocol (`objects.score_proposals`), first and last frame included.

    Raises:
        InputError: without an annotator.
    """
    return _mean([report.region.mean for report in reports], [report.boundary.mean for report in reports])


def _mean(regions: Sequence[float], boundaries: Sequence[float]) -> ReferringReport:
    if not regions:
        raise InputError("expected at least one score, got none; check the split and its expressions")
    return ReferringReport(float(np.mean(regions)), float(np.mean(boundaries)), len(regions))
