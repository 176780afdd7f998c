"""Fine-tuning from end to end: measure, train on one's own videos, measure again, and keep what got better."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from univs import weights
from univs.companions import classes_path, text_path
from univs.data.cache import CachedSource
from univs.data.divided import Divided, Parts
from univs.data.mixture import ClipMixture
from univs.errors import InputError, WeightsNotFoundError
from univs.evaluation.object_clips import ObjectClips
from univs.evaluation.run import PromptChoice, VosReport, evaluate_vos
from univs.evaluation.trackers import SegmenterTracker
from univs.inference.options import options_for
from univs.training.config import TrainConfig
from univs.training.monitor import StepReport
from univs.training.trainer import RunLimits, Trainer
from univs.weights import WeightsInfo

Count = Callable[[str, int], AbstractContextManager[Callable[[], None]]]  # what is counted, and how many there are


@dataclass(frozen=True, slots=True)
class Judge:
    """How weights are measured: the segmenter of the service follows each object from its first frame.

    Attributes:
        prompt: what it is told there.
        short_side_px: what the network sees; None takes that of the weights' semantics.
        count: shows how far it is.
    """

    prompt: PromptChoice
    short_side_px: int | None
    count: Count

    def measure(self, name_or_path: str, device: str, held_out: Parts) -> VosReport:
        """Give J and F of every object.

        Raises:
            InputError: when no object shows long enough.
        """
        clips = ObjectClips(held_out)
        if not clips.clips:
            raise InputError(
                "expected an object that shows before the last three frames of a validation video, got none; "
                "choose other videos for validation"
            )
        model, info = weights.load(name_or_path, device)
        model.optimize_for_inference()
        options = options_for(info.compat, self.short_side_px)
        num_frames = sum(clips.num_frames(item_index) for item_index in range(len(clips.clips)))
        with self.count(info.name, num_frames) as done:
            return evaluate_vos(
                clips, lambda: SegmenterTracker(model, options), self.prompt, on_frame=lambda _clip, _frame: done()
            )


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What came of it."""

    path: Path  # of the weights, in the folder of the run
    before: VosReport
    after: VosReport
    num_steps: int
    seconds: float  # of training

    @property
    def is_better(self) -> bool:
        """Say whether J&F over the validation objects rose."""
        return self.after.mean > self.before.mean


def fine_tune(
    config: TrainConfig,
    data: Divided,
    folder: Path,
    limits: RunLimits,
    judge: Judge,
    on_step: Callable[[StepReport], None] | None = None,
) -> FineTuned:
    """Measure the initial weights, train by the recipe, measure what came out.

    Args:
        config: of `univs.training.recipes.finetune`.
        data: the videos.
        folder: of the run; its cache of decoded pictures is removed at the end.
        limits: when training ends early, and what it may use.
        judge: measures.
        on_step: told of every step.
    """
    assert config.initial_weights is not None, "fine-tuning starts from weights"
    before = judge.measure(config.initial_weights, limits.device, data.validation)
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)  # of an earlier run, perhaps of other pictures
    try:
        source = CachedSource(data.train, cache, config.cache_short_side_px)
        mixture = ClipMixture([(source, config.mixture[0])], config.clip, config.batch_size, config.seed)
        trainer = Trainer(config, mixture, folder)
        path = trainer.run(limits, on_step)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    after = judge.measure(str(path), limits.device, data.validation)
    return FineTuned(path, before, after, trainer.step, trainer.seconds)


def check_name(name: str, folder: Path, *, may_replace: bool) -> None:
    """Refuse a name under which weights could not be served.

    Raises:
        InputError: for a name of shipped weights or of an architecture, one that is no file name, or one that is taken.
    """
    is_plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not is_plain or name in weights.names():
        raise InputError(
            f"expected a name of letters, digits, - and _ other than {', '.join(weights.names())}, got {name!r}"
        )
    if (folder / f"{name}.safetensors").exists() and not may_replace:
        raise InputError(f"{folder / name}.safetensors exists already; choose another name, or give --force")


def install(path: Path, initial_weights: str, folder: Path) -> tuple[Path, WeightsInfo]:
    """Put the weights of a run into a folder from which they are served; give the file and what it says.

    They run by the semantics of the weights that they came from, and take their text tower and class vectors along, as
    links.
    """
    model, info = weights.load(path)
    initial = _described(initial_weights)
    target = folder / path.name
    folder.mkdir(parents=True, exist_ok=True)
    if initial is not None:
        info = replace(info, compat=initial.compat)
        for beside in (text_path, classes_path):
            source = beside(weights.find(initial_weights))
            if source.is_file() and not beside(target).exists():
                beside(target).symlink_to(source.resolve())
    return target, weights.save(model, target, info)


def _described(name_or_path: str) -> WeightsInfo | None:
    """Read what weights say of themselves; None for an architecture that started untrained."""
    try:
        return weights.describe(name_or_path)
    except WeightsNotFoundError:
        return None
