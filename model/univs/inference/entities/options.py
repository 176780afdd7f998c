"""How entities are found, followed and answered: published settings and ours, as named options of one code path.

`docs/entities.md` lists them with their reasons. Source of the published ones: SPEC sections 9 and 10.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from univs.inference.options import SHORT_SIDE_PX, InferenceOptions, Isolation, Judge, paper, released_vos
from univs.types import Compat


class Answer(StrEnum):
    """What is given for each frame; a stream may be asked for several, and for others while it runs."""

    INSTANCES = "instances"  # a mask, a label and a score for each entity
    SEMANTIC = "semantic"  # a category for each pixel
    PANOPTIC = "panoptic"  # a segment for each pixel: things one by one, stuff by category


class Measured(StrEnum):
    """Where the stability of a detected mask is counted."""

    MAP = "map"  # on the stride-4 map, padding included
    PADDED = "padded"  # at the padded size, padding included
    FRAME = "frame"  # at the size of the frame, enlarged to the nearest


class Suppression(StrEnum):
    """Which detections of the same thing are dropped."""

    BOXES = "boxes"  # boxes that overlap, whatever the category
    BOXES_OF_CATEGORY = "boxes of category"  # boxes that overlap and have the same best category
    THINGS_BY_BOX_STUFF_BY_MASK = "things by box, stuff by mask"


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """When learnable queries look for entities, and which of their answers are believed.

    Attributes:
        interval: windows between two detections; there is one whenever nothing is followed.
        starts_late: entities may come even when the first window shows none. The published code never finds any then.
        measured: where stability is counted.
        minimum_quality: detections that are no more stable than this are dropped.
        max_candidates: so many of the best are looked at; of things and of stuff apart, `max_things` and `max_stuff`.
        max_things: with `THINGS_BY_BOX_STUFF_BY_MASK`.
        max_stuff: the same.
        suppression: which duplicates are dropped.
        box_overlap: boxes are duplicates from this intersection over union on.
        stuff_overlap: the same for masks of stuff, on the first frame of the window.
        filters_later: all of this holds after the first detection too; else all queries are candidates from then on.
        first_score: an entity of the first detection needs more than this.
        later_score: one of a later detection.
        similarity: a detection is a stored entity when they are more similar than this ...
        merge_similarity: ... and gives it its mask when they are more similar than this; from less it may be a new one.
        new_overlap: a new entity overlaps no stored one by this much in any frame.
        max_entities: so many are followed at a time; docs/entities.md has their bytes.
    """

    interval: int = 3
    starts_late: bool = True
    measured: Measured = Measured.MAP
    minimum_quality: float = 0.25
    max_candidates: int = 100
    max_things: int = 70
    max_stuff: int = 30
    suppression: Suppression = Suppression.THINGS_BY_BOX_STUFF_BY_MASK
    box_overlap: float = 0.85
    stuff_overlap: float = 0.6
    filters_later: bool = True
    first_score: float = 0.25
    later_score: float = 0.25
    similarity: float = 0.1
    merge_similarity: float = 0.1
    new_overlap: float = 0.5
    max_entities: int = 64

    def __post_init__(self) -> None:
        if self.interval < 1 or self.max_entities < 1 or self.max_candidates < 1:
            raise ValueError(
                "interval, max_entities and max_candidates must be 1 or more, got "
                f"{self.interval}, {self.max_entities} and {self.max_candidates}"
            )


class Tracker(StrEnum):
    """What an entity is recognised by in the next frame."""

    PROMPTS = "prompts"  # it is a prompt, decoded from its memory: UniVS
    QUERIES = (
        "queries"  # the learnable query whose embedding is most like it, as MinVIS: an ablation (docs/ablations.md)
    )


class ClassMemory(StrEnum):
    """What the scores of an entity's categories are the mean of."""

    DETECTIONS = "detections"  # the last detections that were this entity
    WINDOWS = "windows"  # all windows not answered yet: zero before it came, a copy where it was not detected


@dataclass(frozen=True, slots=True)
class FollowingOptions:
    """How entities are recognised again as prompts.

    Attributes:
        minimum_share: an entity must win this share of its own area among all entities; None asks for nothing.
        eases_early: the consistency threshold is halved in windows that begin within the first clip_length frames.
        takes_late_tokens: the first tokens of a mask are gathered from the frame after its own, as published.
        class_memory: what the scores of categories are the mean of.
        num_detections: remembered with `ClassMemory.DETECTIONS`.
        tracker: what they are recognised by; by queries, all look in every window, whatever the detection interval.
    """

    minimum_share: float | None = None
    eases_early: bool = False
    takes_late_tokens: bool = False
    class_memory: ClassMemory = ClassMemory.DETECTIONS
    num_detections: int = 8
    tracker: Tracker = Tracker.PROMPTS


class SemanticSource(StrEnum):
    """Whose masks decide on the category of a pixel."""

    ENTITIES = "entities"  # those that are followed, as the paper says of all tasks
    QUERIES = "queries"  # the learnable queries of the window, without memory, as published


class SemanticResize(StrEnum):
    """How masks come to the size of the frame."""

    LOGITS_NEAREST = "logits nearest"
    PROBABILITIES_SMOOTH = "probabilities smooth"


@dataclass(frozen=True, slots=True)
class SemanticOptions:
    """How pixels get a category.

    Attributes:
        source: whose masks decide.
        resize: how they come to the size of the frame.
        temperature: scores are softened by a softmax with this temperature; None takes them as they are.
    """

    source: SemanticSource = SemanticSource.ENTITIES
    resize: SemanticResize = SemanticResize.PROBABILITIES_SMOOTH
    temperature: float | None = None


class PanopticWeight(StrEnum):
    """What a mask's claim on a pixel is multiplied with."""

    SCORE = "score"  # best mean category times the stability of the mask
    SOFTENED = "softened"  # largest of a softmax over the categories, for stills


@dataclass(frozen=True, slots=True)
class PanopticOptions:
    """How pixels are divided among entities.

    Attributes:
        weight: of an entity.
        temperature: of `PanopticWeight.SOFTENED`.
        compares_logits: weights multiply logits, as published for video, and not probabilities.
        is_nearest: masks are enlarged to the nearest, not smoothly.
        stuff_discount: weight of stuff.
        minimum_share: a thing needs this share of its own mask; half of it when it had a segment before.
        stuff_needs_share: stuff needs it too.
    """

    weight: PanopticWeight = PanopticWeight.SCORE
    temperature: float = 0.06
    compares_logits: bool = False
    is_nearest: bool = False
    stuff_discount: float = 0.75
    minimum_share: float = 0.6
    stuff_needs_share: bool = False


class Ranking(StrEnum):
    """What the category scores of an entity are multiplied with, over the whole video."""

    MEAN_QUALITY = "mean quality"  # over the frames that show it
    TOTAL_QUALITY = "total quality"  # summed, over the largest sum of all: published for video
    NOTHING = "nothing"  # published for stills


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """Which (entity, category) pairs of a video are reported.

    Attributes:
        by: what category scores are multiplied with.
        minimum_score: pairs below this are left out.
        max_results: so many of the best are kept ...
        keeps_probable: ... or 1.5 times the number of pairs above 0.05, if that is more.
    """

    by: Ranking = Ranking.MEAN_QUALITY
    minimum_score: float = 0.005
    max_results: int = 100
    keeps_probable: bool = False


@dataclass(frozen=True, slots=True)
class EntityOptions:
    """Everything about category-specified segmentation that is not the network.

    Attributes:
        inference: windows, memory and prompts, as for prompted objects; `judge` decides how entities are followed.
        detection: how they are found.
        following: how they are recognised again.
        semantic: how pixels get a category.
        panoptic: how pixels are divided.
        ranking: what is reported of the whole video.
        answer_block: frames are answered together in blocks of this many, when the stream is far enough past them, as
            published; None answers each frame as soon as it has been in all of its windows.
    """

    inference: InferenceOptions = field(default_factory=paper)
    detection: DetectionOptions = DetectionOptions()
    following: FollowingOptions = FollowingOptions()
    semantic: SemanticOptions = SemanticOptions()
    panoptic: PanopticOptions = PanopticOptions()
    ranking: RankingOptions = RankingOptions()
    answer_block: int | None = None

    def __post_init__(self) -> None:
        if self.following.takes_late_tokens and self.answer_block is None:
            raise ValueError(
                "takes_late_tokens needs the masks of frames that have left the window, got no answer_block: set both "
                "(released) or neither (paper)"
            )
        if self.following.tracker is Tracker.QUERIES and self.inference.judge is not Judge.PRESENCE:
            raise ValueError(
                f"queries are matched from frame to frame, got judge {self.inference.judge.value!r}: "
                "choose judge=Judge.PRESENCE and clip_length=1"
            )


def paper_entities(short_side_px: int = SHORT_SIDE_PX) -> EntityOptions:
    """Give our own semantics: one frame a step, a detection every third, entities that never influence each other."""
    return EntityOptions(inference=paper(short_side_px))


def entity_options_for(
    compat: Compat, answers: Collection[Answer], short_side_px: int | None = None, *, is_still: bool = False
) -> EntityOptions:
    """Give the settings by which weights of either semantics find entities.

    The published code has settings for each task; of several answers the one that says most decides.

    Args:
        compat: what the weights say, `univs.weights.WeightsInfo.compat`.
        answers: what is asked for first.
        short_side_px: of the picture that the network sees; the semantics' own when left out.
        is_still: the video is one picture.
    """
    if compat is Compat.PAPER:
        options = paper_entities()
    elif is_still:
        options = released_image_panoptic() if Answer.PANOPTIC in answers else released_image()
    elif Answer.PANOPTIC in answers:
        options = released_vps()
    else:
        options = released_vis() if Answer.INSTANCES in answers else released_vss()
    if short_side_px is None:
        return options
    return replace(options, inference=replace(options.inference, short_side_px=short_side_px))


def released_vis() -> EntityOptions:
    """Give the published settings for YouTube-VIS 2021 (OVIS: box NMS and thresholds alike, max_candidates 50)."""
    inference = replace(released_vos(), tokens_per_frame=128, consistency_threshold=0.25)
    return EntityOptions(
        inference=inference,
        detection=DetectionOptions(
            interval=1,
            starts_late=False,
            minimum_quality=0.25,
            max_candidates=35,
            suppression=Suppression.BOXES,
            box_overlap=0.85,
            first_score=0.25,
            later_score=0.25,
            similarity=0.1,
            merge_similarity=0.2,
            max_entities=300,
        ),
        following=FollowingOptions(
            minimum_share=0.5, eases_early=True, takes_late_tokens=True, class_memory=ClassMemory.WINDOWS
        ),
        semantic=SemanticOptions(SemanticSource.QUERIES, SemanticResize.LOGITS_NEAREST),
        panoptic=PanopticOptions(compares_logits=True),
        ranking=RankingOptions(Ranking.TOTAL_QUALITY, max_results=35, keeps_probable=True),
        answer_block=10,
    )


def released_vps() -> EntityOptions:
    """Give the published settings for VIPSeg."""
    vis = released_vis()
    return replace(
        vis,
        inference=replace(vis.inference, tokens_per_frame=64, consistency_threshold=0.05),
        detection=replace(
            vis.detection,
            minimum_quality=-1.0,
            max_candidates=100,
            suppression=Suppression.THINGS_BY_BOX_STUFF_BY_MASK,
            box_overlap=0.75,
            filters_later=False,
            first_score=0.15,
            later_score=0.3,
            similarity=0.05,
            merge_similarity=0.05,
        ),
        following=replace(vis.following, minimum_share=None),
    )


def released_vss() -> EntityOptions:
    """Give the published settings for VSPW: windows that do not overlap, learnable queries only."""
    vis = released_vis()
    return replace(
        vis,
        inference=replace(vis.inference, clip_stride=vis.inference.clip_length),
        detection=replace(vis.detection, measured=Measured.FRAME),
        following=FollowingOptions(),
        answer_block=None,
    )


def released_image(short_side_px: int = 640) -> EntityOptions:
    """Give the published settings for stills, with the box overlap of their instances (panoptic: 0.9, 0.05)."""
    inference = replace(
        released_vos(), clip_length=1, isolation=Isolation.JOINT, judge=Judge.COMPETITION, short_side_px=short_side_px
    )
    return EntityOptions(
        inference=inference,
        detection=DetectionOptions(
            interval=1,
            measured=Measured.PADDED,
            minimum_quality=-1.0,
            max_candidates=200,
            suppression=Suppression.BOXES_OF_CATEGORY,
            box_overlap=0.85,
            first_score=0.0,
            later_score=0.0,
            max_entities=300,
        ),
        semantic=SemanticOptions(SemanticSource.QUERIES, SemanticResize.PROBABILITIES_SMOOTH, temperature=0.06),
        panoptic=PanopticOptions(
            weight=PanopticWeight.SOFTENED,
            is_nearest=True,
            stuff_discount=1.0,
            minimum_share=0.8,
            stuff_needs_share=True,
        ),
        ranking=RankingOptions(Ranking.NOTHING, minimum_score=0.0, max_results=100),
    )


def released_image_panoptic(short_side_px: int = 640) -> EntityOptions:
    """Give the published settings for panoptic segmentation of stills."""
    image = released_image(short_side_px)
    return replace(image, detection=replace(image.detection, box_overlap=0.9, first_score=0.05, later_score=0.05))
