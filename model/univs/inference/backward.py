"""Follow objects towards the beginning of a video: the segmenter looks at time in a mirror.

The paper streams forward. Nothing in the network knows which way a clip was filmed, so a frame, and the prompts in it,
are given to a `VideoSegmenter` as if the last were the first; what it answers is turned back. Memory is that of any
video. `univs.video.Video.frames_backward` gives the frames in this order.
"""

from dataclasses import dataclass, replace

from univs.errors import PromptError
from univs.types import CategoryPrompt, Frame, FrameResult, Prompt


@dataclass(frozen=True, slots=True)
class TimeMirror:
    """Turn frames, prompts and results of a pass that begins at `start_frame` and goes down to frame 0."""

    start_frame: int

    def frame_index(self, frame_index: int) -> int:
        """Give the place of a frame in the pass, or the frame of a place."""
        return self.start_frame - frame_index

    def frame(self, frame: Frame) -> Frame:
        """Give a frame its place in the pass; time runs the other way."""
        return replace(frame, index=self.frame_index(frame.index), pts=-frame.pts)

    def prompt(self, prompt: Prompt) -> Prompt:
        """Give a prompt its place in the pass.

        Raises:
            PromptError: for one after the frame at which the pass begins.
        """
        if isinstance(prompt, CategoryPrompt):
            return prompt  # a segmenter refuses it itself
        if prompt.frame_index > self.start_frame:
            raise PromptError(
                f"expected a prompt for frame {self.start_frame} or earlier, where the way back begins, "
                f"got frame {prompt.frame_index}; begin at that frame"
            )
        return replace(prompt, frame_index=self.frame_index(prompt.frame_index))

    def result(self, result: FrameResult) -> FrameResult:
        """Give a result the index and the time of its frame."""
        frame_index = self.frame_index(result.frame_index)
        objects = tuple(replace(answer, frame_index=frame_index) for answer in result.objects)
        return replace(result, frame_index=frame_index, pts=-result.pts, objects=objects)
