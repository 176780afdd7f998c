"""Videos asked for what they show and for what they do not: J&F of the first, and how presence tells both apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from univs import rle
from univs.data.formats.davis import Davis2016
from univs.errors import InputError
from univs.evaluation.predicting.videos import OnFrame, frame_size, results_of
from univs.evaluation.referring import ReferringReport, over_expressions
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.vos import ClipScore, Mask, score_clip
from univs.inference.segmenter import VideoSegmenter
from univs.types import TextPrompt

COLUMNS = ("J&F", "J", "F", "presence AUC", "first-frame AUC", "false alarms", "missed")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What became of one expression in one clip."""

    clip: str
    text: str
    score: ClipScore | None  # over all frames; None for what the clip does not show
    presence: float  # mean over frames, in [0, 1]
    first_presence: float  # in the first frame, where nothing but the words is known
    drawn: float  # part of the frames in which a mask was drawn


@dataclass(frozen=True, slots=True)
class ExpressionsReport:
    """Sightings of all clips."""

    sightings: tuple[Sighting, ...]

    @property
    def referring(self) -> ReferringReport:
        """J, F and J&F over the expressions that name something in their clip."""
        return over_expressions(each.score for each in self.sightings if each.score is not None)

    @property
    def presence_auc(self) -> float:
        """How often what is there has a higher mean presence than what is not; NaN without absent expressions."""
        return self._separation(lambda each: each.presence)

    @property
    def first_presence_auc(self) -> float:
        """The same in the first frame."""
        return self._separation(lambda each: each.first_presence)

    @property
    def false_alarms(self) -> float:
        """Part of the frames in which something absent was drawn; NaN without absent expressions."""
        return _mean([each.drawn for each in self.sightings if each.score is None])

    @property
    def missed(self) -> float:
        """Part of the frames in which nothing was drawn for what the clip shows."""
        return _mean([1 - each.drawn for each in self.sightings if each.score is not None])

    def table(self) -> ScoreTable:
        """Give the figures over all clips, and those of each clip."""
        clips = dict.fromkeys(each.clip for each in self.sightings)
        parts = [ExpressionsReport(tuple(each for each in self.sightings if each.clip == clip)) for clip in clips]
        rows = tuple(ScoreRow(clip, part._values()) for clip, part in zip(clips, parts, strict=True))
        return ScoreTable(COLUMNS, (ScoreRow("all", self._values()),), rows)

    def _values(self) -> tuple[float, ...]:
        referring = self.referring
        return (
            referring.mean,
            referring.region,
            referring.boundary,
            self.presence_auc,
            self.first_presence_auc,
            self.false_alarms,
            self.missed,
        )

    def _separation(self, value: Callable[[Sighting], float]) -> float:
        there = [value(each) for each in self.sightings if each.score is not None]
        absent = [value(each) for each in self.sightings if each.score is None]
        return area_under_roc(there, absent)


def area_under_roc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Give the share of (positive, negative) pairs in which the positive scores higher, equal ones half.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982. NaN without any pair.
    """
    if not positives or not negatives:
        return float("nan")
    differences = np.subtract.outer(np.asarray(positives, dtype=np.float64), np.asarray(negatives, dtype=np.float64))
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def absent_expressions(source: Davis2016, item_index: int, num_absent: int) -> tuple[str, ...]:
    """Choose expressions of other clips that name nothing in a clip: their categories are none of its own.

    The clips that follow in the list come first, so that equal splits ask equal questions.
    """
    own = source.clips[item_index].categories
    others = (source.clips[(item_index + step) % len(source)] for step in range(1, len(source)))
    texts = [clip.expression for clip in others if clip.expression and own and not clip.categories & own]
    return tuple(texts[:num_absent])


def evaluate_expressions(
    source: Davis2016,
    open_segmenter: Callable[[tuple[int, int]], VideoSegmenter],
    on_frame: OnFrame,
    num_absent: int = 4,
) -> ExpressionsReport:
    """Ask each clip for its own expression and for some that name nothing in it, from the first frame on.

    Args:
        source: clips with expressions.
        open_segmenter: makes a segmenter for frames of (height, width); its weights must read text.
        on_frame: told of every frame.
        num_absent: absent expressions for each clip, at most.
    Raises:
        InputError: for a clip without an expression.
        UnsupportedPromptError: for weights that do not read text.
    """
    sightings: list[Sighting] = []
    for item_index, clip in enumerate(source.clips):
        if not clip.expression:
            raise InputError(
                f"expected an expression for clip {clip.name!r} in expressions.json, got none; write one there"
            )
        texts = (clip.expression, *absent_expressions(source, item_index, num_absent))
        sightings += _ask(source, item_index, texts, open_segmenter, on_frame)
    return ExpressionsReport(tuple(sightings))


def _ask(
    source: Davis2016,
    item_index: int,
    texts: Sequence[str],
    open_segmenter: Callable[[tuple[int, int]], VideoSegmenter],
    on_frame: OnFrame,
) -> list[Sighting]:
    """Follow what texts name through a clip; the first names its object."""
    name = source.clips[item_index].name
    segmenter = open_segmenter(frame_size(source, item_index))
    for number, text in enumerate(texts, start=1):
        segmenter.add_prompt(TextPrompt(number, text))
    num_frames = source.num_frames(item_index)
    presences, areas = np.zeros((2, len(texts), num_frames))
    pairs: list[tuple[Mask, Mask]] = []
    for result in results_of(segmenter, source, item_index, on_frame):
        truth = source.read(item_index, result.frame_index).masks[0].numpy()
        predicted = np.zeros(result.size, dtype=np.bool_)
        for each in result.objects:
            presences[each.object_id - 1, result.frame_index] = each.presence
            areas[each.object_id - 1, result.frame_index] = each.area_fraction
            if each.object_id == 1:
                predicted = np.ascontiguousarray(rle.decode(each.mask))
        pairs.append((predicted, truth))
    score = score_clip(name, pairs)
    return [
        Sighting(
            name,
            text,
            None if number else score,
            float(presences[number].mean()),
            float(presences[number, 0]),
            float((areas[number] > 0).mean()),
        )
        for number, text in enumerate(texts)
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
