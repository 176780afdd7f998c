"""The exceptions of `univs`, so that a caller catches a branch and not a list.

UniVSError                      everything below
|- InputError                   what came in is wrong; the message says expected, got, remedy
|  |- PromptError               a prompt cannot be used
|  |  |- PromptOutOfRangeError  it points outside the frame or the video
|  |  |- UnsupportedPromptError this model or task has no such prompt
|  |  `- UnknownObjectError     no object has that id
|  |- RleError                  a run-length encoded mask is malformed
|  `- VideoError                a video cannot be read
|     |- VideoNotFoundError     there is no such file
|     |- NotAVideoError         the file is no video of a known container
|     |- NoFramesError          a video without a single picture
|     `- DamagedVideoError      pictures up to `last_good_frame_index`, then broken or missing data
|- WeightsError                 a checkpoint cannot be used
|  |- WeightsNotFoundError      no checkpoint has that name or path
|  `- WeightsMismatchError      its names, shapes, hash or config do not fit
`- SnapshotError                the saved state of a session does not fit this code or these weights

Mistakes of our own are `assert`, not exceptions of this tree.
"""


class UniVSError(Exception):
    """Stand for every error that `univs` raises on purpose."""


class InputError(UniVSError):
    """Say that what came in is wrong."""


class PromptError(InputError):
    """Say that a prompt cannot be used."""


class PromptOutOfRangeError(PromptError):
    """Say that a prompt points outside the frame or the video."""


class UnsupportedPromptError(PromptError):
    """Say that this model or task has no such prompt."""


class UnknownObjectError(PromptError):
    """Say that no object has the id."""


class RleError(InputError):
    """Say that a mask or its run-length encoding is malformed."""


class VideoError(InputError):
    """Say that a video cannot be read."""


class VideoNotFoundError(VideoError):
    """Say that there is no such file."""


class NotAVideoError(VideoError):
    """Say that a file is no video of a known container."""


class NoFramesError(VideoError):
    """Say that a video holds no picture."""


class DamagedVideoError(VideoError):
    """Say that a video breaks off; every frame up to `last_good_frame_index` was given."""

    def __init__(self, message: str, last_good_frame_index: int) -> None:
        super().__init__(message)
        self.last_good_frame_index = last_good_frame_index


class WeightsError(UniVSError):
    """Say that a checkpoint cannot be used."""


class WeightsNotFoundError(WeightsError):
    """Say that no checkpoint has the name or path."""


class WeightsMismatchError(WeightsError):
    """Say that names, shapes, hash or config of a checkpoint do not fit."""


class SnapshotError(UniVSError):
    """Say that the saved state of a session does not fit this code or these weights."""
