"""What can be evaluated on a video: a segmenter with its weights, and baselines that know nothing."""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from univs import rle
from univs.errors import InputError
from univs.evaluation.vos import Mask
from univs.inference.options import InferenceOptions
from univs.inference.segmenter import VideoSegmenter
from univs.model import UniVS
from univs.types import Clip, Frame, FrameResult, VisualPrompt

_OBJECT_ID = 1
_TIME_BASE = Fraction(1, 24)  # for display only; data sets of pictures have no clock


class Tracker(Protocol):
    """Follow one object through one video: each frame gets one mask, bool [H, W], in order, at once or later."""

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        """Take the first frame, uint8 [3, H, W], and give the masks that are known by now.

        Args:
            image: the frame.
            prompt: what is said of the object.
            mask: the true mask, for baselines that have no other prompt.
        """
        ...

    def follow(self, image: Tensor) -> list[Mask]:
        """Take the next frame and give the masks that are known by now."""
        ...

    def finish(self) -> list[Mask]:
        """Give the masks of frames that still wait."""
        ...


TrackerFactory: TypeAlias = Callable[[], Tracker]


class SegmenterTracker:
    """The segmenter of the service, driven frame by frame."""

    def __init__(self, model: UniVS, options: InferenceOptions | None) -> None:
        self._model = model
        self._options = options
        self._segmenter: VideoSegmenter | None = None
        self._frame_index = 0

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        """Open a segmenter of the frame's size and prompt it."""
        assert mask.shape == image.shape[-2:]
        self._segmenter = VideoSegmenter(self._model, self._options, (image.shape[-2], image.shape[-1]))
        self._segmenter.add_prompt(prompt)
        self._frame_index = 0
        return self._step(image)

    def follow(self, image: Tensor) -> list[Mask]:
        """Step one frame."""
        self._frame_index += 1
        return self._step(image)

    def finish(self) -> list[Mask]:
        """End the video."""
        assert self._segmenter is not None, "start comes before finish"
        return [_mask_of(result) for result in self._segmenter.finish()]

    def _step(self, image: Tensor) -> list[Mask]:
        assert self._segmenter is not None, "start comes before follow"
        frame = Frame(self._frame_index, self._frame_index, _TIME_BASE, image)
        return [_mask_of(result) for result in self._segmenter.step(Clip((frame,)))]


def _mask_of(result: FrameResult) -> Mask:
    if not result.objects:
        return np.zeros(result.size, dtype=np.bool_)
    return np.ascontiguousarray(rle.decode(result.objects[0].mask))


class CopyTracker:
    """The first mask, for ever."""

    def __init__(self) -> None:
        self._mask: Mask = np.zeros((0, 0), dtype=np.bool_)

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        """Keep the mask."""
        assert prompt.frame_index == 0
        assert mask.shape == image.shape[-2:]
        self._mask = mask
        return [mask]

    def follow(self, image: Tensor) -> list[Mask]:
        """Give the first mask."""
        assert image.shape[-2:] == self._mask.shape
        return [self._mask]

    def finish(self) -> list[Mask]:
        """Owe nothing."""
        return []


class FlowTracker:
    """The first mask, carried from frame to frame by dense optical flow (DIS, Kroeger et al., 2016, of OpenCV)."""

    def __init__(self) -> None:
        """Open the flow.

        Raises:
            InputError: where OpenCV is not installed.
        """
        try:
            import cv2
        except ModuleNotFoundError as error:
            raise InputError("optical flow needs OpenCV; install univs[train]") from error

        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._grey: npt.NDArray[np.uint8] = np.zeros((0, 0), dtype=np.uint8)
        self._mask: npt.NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        """Keep frame and mask."""
        assert prompt.frame_index == 0
        self._grey = _grey(image)
        self._mask = mask.astype(np.float32)
        return [mask]

    def follow(self, image: Tensor) -> list[Mask]:
        """Look up, for each pixel, where it was in the frame before, and whether that was the object."""
        import cv2

        grey = _grey(image)
        flow = self._flow.calc(grey, self._grey, np.zeros((*grey.shape, 2), dtype=np.float32))
        rows, columns = np.indices(grey.shape, dtype=np.float32)
        self._mask = np.asarray(
            cv2.remap(self._mask, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR), dtype=np.float32
        )
        self._grey = grey
        return [np.asarray(self._mask > 0.5)]

    def finish(self) -> list[Mask]:
        """Owe nothing."""
        return []


def _grey(image: Tensor) -> npt.NDArray[np.uint8]:
    """Give the luminance of a frame uint8 [3, H, W]: uint8 [H, W]."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray((image.permute(1, 2, 0).numpy() @ weights).round().astype(np.uint8))
