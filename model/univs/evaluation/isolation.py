"""What isolation costs: the same clips of several objects, followed strictly apart and jointly.

Videos with one object cannot tell. Clips are stills set in motion by the machinery of training, from a fixed seed, so
the masks of every object are known in every frame.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from univs import rle
from univs.data.clips import ClipConfig, make_clip
from univs.data.photometric import LightRange
from univs.data.sample import Sample, Source
from univs.errors import InputError
from univs.evaluation.run import PromptChoice, prompt_of
from univs.evaluation.vos import FrameScore, score_frame
from univs.inference.options import InferenceOptions, Isolation
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import Clip, Frame

_LEAST_OBJECTS = 2
_DRAWS = 20  # of an item for each clip that is wanted
_TIME_BASE = Fraction(1, 24)
_STEADY = LightRange(
    brightness=0.0, contrast=0.0, saturation=0.0, tint=0.0, flicker=0.0, grey_probability=0.0, blur_probability=0.0
)


@dataclass(frozen=True, slots=True)
class ObjectFigures:
    """One object of one clip: means of J and F over its frames after the first, under either isolation."""

    clip: int
    strict: FrameScore
    joint: FrameScore

    @property
    def gain(self) -> float:
        """How much strict is better in J&F."""
        return (self.strict.region + self.strict.boundary - self.joint.region - self.joint.boundary) / 2


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """Figures of every object; each weighs the same."""

    objects: tuple[ObjectFigures, ...]

    @property
    def strict(self) -> FrameScore:
        """Means under strict isolation."""
        return _mean([one.strict for one in self.objects])

    @property
    def joint(self) -> FrameScore:
        """Means when objects attend to each other."""
        return _mean([one.joint for one in self.objects])

    @property
    def gain(self) -> float:
        """How much strict is better in J&F."""
        return float(np.mean([one.gain for one in self.objects]))

    @property
    def gain_error(self) -> float:
        """Standard error of the gain over clips, whose objects are not independent; nan for a single clip."""
        by_clip: dict[int, list[float]] = defaultdict(list)
        for one in self.objects:
            by_clip[one.clip].append(one.gain)
        means = [float(np.mean(gains)) for gains in by_clip.values()]
        return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")


def draw_clips(source: Source, num_clips: int, config: ClipConfig, seed: int) -> Iterator[Sample]:
    """Give clips in which several objects show at first; the same seed gives the same clips.

    Raises:
        InputError: when the source has too few such pictures.
    """
    rng = np.random.default_rng(seed)
    num_found = 0
    for _ in range(_DRAWS * num_clips):
        sample = make_clip(rng, source, (), config)
        if len(sample.masks) >= _LEAST_OBJECTS:
            yield sample
            num_found += 1
            if num_found == num_clips:
                return
    raise InputError(
        f"expected {num_clips} clips of at least {_LEAST_OBJECTS} objects in {source.name}, got {num_found}; "
        "ask for fewer, or allow smaller objects"
    )


def clip_config(num_frames: int, size: tuple[int, int]) -> ClipConfig:
    """Say how clips are made: consecutive frames of steady light, nothing pasted.

    Args:
        num_frames: of a clip.
        size: (height, width) in pixels, multiples of 32.
    """
    return ClipConfig(num_frames=num_frames, size=size, min_area=0.005, first_gap=1, gap=1, min_crop=0.7, light=_STEADY)


def compare_isolations(
    model: UniVS,
    options: InferenceOptions,
    clips: Iterable[Sample],
    prompt: PromptChoice,
    on_clip: Callable[[int], None] | None = None,
) -> IsolationReport:
    """Follow the objects of each clip from its first frame, strictly apart and jointly; all else is the same.

    Args:
        model: the network.
        options: how it is run; the isolation in it is not used.
        clips: with at least two objects each.
        prompt: what is given of each object in the first frame.
        on_clip: called with the number of each clip when it is done.
    """
    figures: list[ObjectFigures] = []
    for number, sample in enumerate(clips):
        strict = _scores(model, replace(options, isolation=Isolation.STRICT), sample, prompt)
        joint = _scores(model, replace(options, isolation=Isolation.JOINT), sample, prompt)
        figures += [ObjectFigures(number, *pair) for pair in zip(strict, joint, strict=True)]
        if on_clip is not None:
            on_clip(number)
    return IsolationReport(tuple(figures))


def _scores(model: UniVS, options: InferenceOptions, sample: Sample, prompt: PromptChoice) -> list[FrameScore]:
    """Give J and F of each object, means over the frames after the first."""
    num_objects, num_frames = sample.masks.shape[:2]
    truth = sample.masks.numpy()
    segmenter = VideoSegmenter(model, options, (truth.shape[2], truth.shape[3]))
    for row in range(num_objects):
        segmenter.add_prompt(replace(prompt_of(truth[row, 0], prompt), object_id=row + 1))
    frames = [Frame(index, index, _TIME_BASE, sample.images[index]) for index in range(num_frames)]
    results = [result for frame in frames for result in segmenter.step(Clip((frame,)))] + segmenter.finish()
    scores: list[list[FrameScore]] = [[] for _ in range(num_objects)]
    for result in results[1:]:
        for answer in result.objects:
            row = answer.object_id - 1
            scores[row].append(score_frame(rle.decode(answer.mask) > 0, truth[row, result.frame_index]))
    return [_mean(of_object) for of_object in scores]


def _mean(scores: Sequence[FrameScore]) -> FrameScore:
    return FrameScore(
        float(np.mean([score.region for score in scores])), float(np.mean([score.boundary for score in scores]))
    )
