"""A network over a benchmark and its official figures: prediction and scoring in one go, as `univs eval` does it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from univs.data.divided import open_divided
from univs.data.formats.davis import Davis2016
from univs.data.formats.refcoco import open_refcoco
from univs.errors import InputError
from univs.evaluation.expressions import evaluate_expressions
from univs.evaluation.object_clips import ObjectClips
from univs.evaluation.predicting.benchmarks import Subject, predict_benchmark
from univs.evaluation.predicting.videos import OnFrame
from univs.evaluation.referring_images import evaluate_referring
from univs.evaluation.run import PromptChoice, evaluate_vos
from univs.evaluation.scoring.benchmarks import score_benchmark
from univs.evaluation.scoring.table import ScoreRow, ScoreTable
from univs.evaluation.trackers import SegmenterTracker
from univs.inference.options import options_for
from univs.types import PromptKind


class Task(StrEnum):
    """What is asked of a network."""

    VIS = "vis"  # instances of categories, found and followed
    VSS = "vss"  # a category for each pixel of a video
    VPS = "vps"  # a segment for each pixel of a video
    VOS = "vos"  # objects given by their first mask
    PVOS = "pvos"  # things and stuff given by their first mask
    REFVOS = "refvos"  # objects given by an expression
    IMAGE_INSTANCE = "image-instance"
    IMAGE_SEMANTIC = "image-semantic"
    IMAGE_PANOPTIC = "image-panoptic"
    IMAGE_REFERRING = "image-referring"  # objects given by an expression

    @property
    def prompts(self) -> PromptKind:
        """Say what weights must have been trained for."""
        match self:
            case Task.VOS | Task.PVOS:
                return PromptKind.VISUAL
            case Task.REFVOS | Task.IMAGE_REFERRING:
                return PromptKind.EXPRESSION
            case _:
                return PromptKind.CATEGORY


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One task on one data set.

    Attributes:
        data: name of the data set.
        task: what is asked.
        split: which is evaluated unless another is named.
        suffix: of the file in which predictions are kept; "" for a folder.
    """

    data: str
    task: Task
    split: str
    suffix: str = ".zip"


EVALUATIONS: tuple[Evaluation, ...] = (
    Evaluation("ade20k", Task.IMAGE_SEMANTIC, "validation"),
    Evaluation("ade20k_instances", Task.IMAGE_INSTANCE, "validation", ".json"),
    Evaluation("ade20k_panoptic", Task.IMAGE_PANOPTIC, "validation", ""),
    Evaluation("burst", Task.VOS, "val", ".json"),
    Evaluation("camvid", Task.IMAGE_SEMANTIC, "val"),
    Evaluation("coco_instances", Task.IMAGE_INSTANCE, "val", ".json"),
    Evaluation("coco_panoptic", Task.IMAGE_PANOPTIC, "val", ""),
    Evaluation("davis2016", Task.REFVOS, "dev"),
    Evaluation("davis2017", Task.VOS, "val"),
    Evaluation("lvis", Task.IMAGE_INSTANCE, "val", ".json"),
    Evaluation("mose", Task.VOS, "valid"),
    Evaluation("ovis", Task.VIS, "valid"),
    Evaluation("own_videos", Task.VOS, "val"),
    Evaluation("ref_davis", Task.REFVOS, "val", ""),
    Evaluation("ref_youtube_vos", Task.REFVOS, "valid"),
    Evaluation("refcoco", Task.IMAGE_REFERRING, "val"),
    Evaluation("refcoco_plus", Task.IMAGE_REFERRING, "val"),
    Evaluation("refcocog", Task.IMAGE_REFERRING, "val"),
    Evaluation("viposeg", Task.PVOS, "valid"),
    Evaluation("vipseg", Task.VPS, "val", ""),
    Evaluation("vspw", Task.VSS, "val"),
    Evaluation("youtube_vos2018", Task.VOS, "valid"),
    Evaluation("ytvis2019", Task.VIS, "valid"),
    Evaluation("ytvis2021", Task.VIS, "valid"),
)


def find_evaluation(data: str, task: Task | None) -> Evaluation:
    """Find how a data set is evaluated.

    Args:
        data: its name.
        task: None takes the only one that the data set has.
    Raises:
        InputError: for a data set or a task that there is not.
    """
    of_data = [each for each in EVALUATIONS if each.data == data]
    if not of_data:
        names = dict.fromkeys(each.data for each in EVALUATIONS)
        raise InputError(f"expected a data set of {', '.join(names)}, got {data!r}")
    fitting = [each for each in of_data if task in {None, each.task}]
    if not fitting:
        raise InputError(f"expected a task of {data}: {', '.join(each.task for each in of_data)}, got {task}")
    return fitting[0]


def evaluate_benchmark(
    evaluation: Evaluation, subject: Subject, root: Path, split: str, on_frame: OnFrame, output: Path | None = None
) -> ScoreTable:
    """Run a network over an annotated split, and score what it says.

    Args:
        evaluation: of `find_evaluation`.
        subject: what is run.
        root: the folder in which the data set was unpacked.
        split: one that is annotated.
        on_frame: told of every frame.
        output: where predictions are kept in the format of the benchmark's server; None keeps none.
    Raises:
        InputError: for a layout with parts missing, a split without annotations, or an output where no server takes
            any.
        UnsupportedPromptError: for weights that cannot read what the benchmark asks for.
    """
    if (evaluation.data, evaluation.task) in _IN_MEMORY:
        if output is not None:
            raise InputError(
                f"expected no predictions of {evaluation.task} on {evaluation.data} to be kept, for which there is no "
                f"server, got {output}; leave it out"
            )
        return _IN_MEMORY[evaluation.data, evaluation.task](subject, root, split, on_frame)
    with tempfile.TemporaryDirectory(prefix="univs-eval-") as folder:
        path = Path(folder) / f"predictions{evaluation.suffix}" if output is None else output
        predict_benchmark(evaluation.data, subject, root, split, path, on_frame)
        return score_benchmark(evaluation.data, root, split, path)


def _davis_expressions(subject: Subject, root: Path, split: str, on_frame: OnFrame) -> ScoreTable:
    return evaluate_expressions(Davis2016(root, split), subject.open_segmenter, on_frame).table()


def _own_objects(subject: Subject, root: Path, split: str, on_frame: OnFrame) -> ScoreTable:
    """Follow each object of one's own videos: those to train on, or, for any other split, those that are held out."""
    divided = open_divided(root)
    clips = ObjectClips(divided.train if split == "train" else divided.validation)
    if not clips.clips:
        raise InputError(f"expected an object that shows in three frames of {root} or more, got none; draw more masks")
    options = options_for(subject.compat, subject.short_side_px)
    report = evaluate_vos(
        clips,
        lambda: SegmenterTracker(subject.model, options),
        PromptChoice.MASK,
        on_frame=lambda _clip, _position: on_frame(),
    )
    return ScoreTable(
        ("J&F", "J", "F"),
        (ScoreRow("all", (report.mean, report.region, report.boundary)),),
        tuple(ScoreRow(each.clip, (each.mean, each.region, each.boundary)) for each in report.clips),
    )


def _referred_pictures(subject: Subject, root: Path, split: str, on_frame: OnFrame) -> ScoreTable:
    return evaluate_referring(open_refcoco(root, split, "refcoco"), subject.open_segmenter, on_frame)


# Evaluations that no server takes as files, or whose figures need more than the masks.
_IN_MEMORY: dict[tuple[str, Task], Callable[[Subject, Path, str, OnFrame], ScoreTable]] = {
    ("davis2016", Task.REFVOS): _davis_expressions,
    ("own_videos", Task.VOS): _own_objects,
    ("refcoco", Task.IMAGE_REFERRING): _referred_pictures,
    ("refcoco_plus", Task.IMAGE_REFERRING): _referred_pictures,
    ("refcocog", Task.IMAGE_REFERRING): _referred_pictures,
}
