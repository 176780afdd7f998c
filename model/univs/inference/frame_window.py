"""A window over the frames of a video: what has come, what was looked at before, and what has left."""

from torch import Tensor

from univs.inference.framing import Framing
from univs.inference.look_ahead import LookAhead, see
from univs.inference.options import InferenceOptions
from univs.inference.shared_features import SharedFeatures
from univs.inference.window import WindowFrame, join
from univs.model import UniVS
from univs.types import ClipFeatures, ClipWords, Frame


class FrameWindow:
    """The frames that are looked at together; each is encoded once however many windows hold it."""

    def __init__(self, model: UniVS, options: InferenceOptions, framing: Framing) -> None:
        self._model = model
        self._length, self._stride = options.clip_length, options.clip_stride
        self._framing = framing
        self._ahead = LookAhead(model, framing)
        self.shared: SharedFeatures | None = None  # with other windows over the same video
        self.frames: list[WindowFrame] = []
        self.num_known = 0  # frames at the start of the window that were in a window before
        self.next_frame = 0

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def is_full(self) -> bool:
        """Tell whether it is time to look."""
        return len(self.frames) == self._length

    @property
    def num_bytes(self) -> int:
        """Count the bytes of the frames held."""
        return sum(frame.num_bytes for frame in self.frames)

    def receive(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            ValueError: for another one than the next, or one of another size.
        """
        size = (int(frame.image.shape[-2]), int(frame.image.shape[-1]))
        if frame.index != self.next_frame or size != self._framing.frame:
            raise ValueError(
                f"expected frame {self.next_frame} of {self._framing.frame} pixels, got frame {frame.index} of {size}"
            )
        self.frames.append(WindowFrame(frame.index, frame.pts, frame.time_base, frame.image))
        self.next_frame += 1

    def expect(self, frame: Frame) -> None:
        """Begin to look at a frame that is about to be received, without words."""
        self._ahead.begin(frame.image, frame.index)

    def features(self, words: ClipWords | None = None) -> ClipFeatures:
        """Look at the frames that were not looked at yet, with words if the network listens to some, and give all."""
        return join([self._encode(frame, words) for frame in self.frames])

    def leave(self, num_frames: int | None = None) -> list[WindowFrame]:
        """Advance: give the frames that leave the window.

        Args:
            num_frames: how many; the stride when left out.
        """
        left = self.frames[: self._stride if num_frames is None else num_frames]
        self.frames = self.frames[len(left) :]
        self.num_known = len(self.frames)
        for frame in left:
            frame.features = frame.image = None
        return left

    def _encode(self, frame: WindowFrame, words: ClipWords | None) -> ClipFeatures:
        if frame.features is None:
            assert frame.image is not None
            shared = self.shared if words is None else None  # features with words are this window's own
            known = None if shared is None else shared.find(frame.image, self._framing)
            frame.features = known or self._compute(frame.index, frame.image, words)
            if shared is not None and known is None:
                shared.keep(frame.image, self._framing, frame.features)
            frame.image = None
        return frame.features

    def _compute(self, frame_index: int, image: Tensor, words: ClipWords | None) -> ClipFeatures:
        early = self._ahead.take(image) if words is None else None
        return early or see(self._model, self._framing, image, frame_index, words)
