"""Objects that are given by a mask or by an expression, followed through the videos of a split, as zips of PNG."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from univs import rle
from univs.data.formats.label_videos import LabelVideo, LabelVideos
from univs.errors import InputError
from univs.evaluation.predicting.videos import OnFrame, frame_size, results_of
from univs.evaluation.submissions.pngs import PngSubmission
from univs.inference.segmenter import VideoSegmenter
from univs.types import FrameResult, MaskPrompt, TextPrompt

OpenSegmenter: TypeAlias = Callable[[tuple[int, int]], VideoSegmenter]  # of (height, width)


def predict_objects(source: LabelVideos, open_segmenter: OpenSegmenter, path: Path, on_frame: OnFrame) -> None:
    """Follow every object from the frame in which its mask is given, and write `VIDEO/FRAME.png` of object ids.

    Args:
        source: videos whose objects are annotated where they are given.
        open_segmenter: makes a segmenter for frames of a size.
        path: the zip.
        on_frame: told of every frame.
    Raises:
        InputError: for an object without a mask in its first frame.
    """
    with PngSubmission(path, {video.name: video.frame_names for video in source.videos}) as submission:
        for item_index, video in enumerate(source.videos):
            segmenter = open_segmenter(frame_size(source, item_index))
            for prompt in mask_prompts(source, item_index):
                segmenter.add_prompt(prompt)
            for result in results_of(segmenter, source, item_index, on_frame):
                submission.add_labels(video.name, video.frame_names[result.frame_index], label_map(result))


def predict_expressions(source: LabelVideos, open_segmenter: OpenSegmenter, path: Path, on_frame: OnFrame) -> None:
    """Follow what every expression names, and write `VIDEO/EXPRESSION/FRAME.png`.

    Args:
        source: videos whose rows are expressions.
        open_segmenter: makes a segmenter for frames of a size; its weights must read text.
        path: the zip.
        on_frame: told of every frame.
    Raises:
        UnsupportedPromptError: for weights that do not read text.
    """
    folders = {_folder(video, row): video.frame_names for video in source.videos for row in range(len(video.objects))}
    with PngSubmission(path, folders) as submission:
        for item_index, video in enumerate(source.videos):
            for result in _follow_texts(source, item_index, open_segmenter, on_frame):
                masks = {each.object_id: rle.decode(each.mask) for each in result.objects}
                for row in range(len(video.objects)):
                    mask = masks.get(row + 1, np.zeros(result.size, dtype=np.bool_))
                    submission.add_mask(_folder(video, row), video.frame_names[result.frame_index], mask)


def predict_named_objects(source: LabelVideos, open_segmenter: OpenSegmenter, path: Path, on_frame: OnFrame) -> None:
    """Follow what every expression names, and write `VIDEO/FRAME.png`; a pixel goes to the surest expression.

    Arguments and errors as for `predict_expressions`.
    """
    with PngSubmission(path, {video.name: video.frame_names for video in source.videos}) as submission:
        for item_index, video in enumerate(source.videos):
            for result in _follow_texts(source, item_index, open_segmenter, on_frame):
                submission.add_labels(video.name, video.frame_names[result.frame_index], label_map(result))


def mask_prompts(source: LabelVideos, item_index: int) -> list[MaskPrompt]:
    """Give the prompt of each object of a video.

    Raises:
        InputError: for an object without a mask in its first frame.
    """
    video, prompts = source.videos[item_index], []
    for row, each in enumerate(video.objects):
        mask = source.read(item_index, each.first_position).masks[row]
        if not mask.any():
            raise InputError(
                f"expected the mask of object {each.object_id} of video {video.name!r} in frame "
                f"{video.frame_names[each.first_position]}, got none; unpack the annotations"
            )
        prompts.append(MaskPrompt(each.object_id, each.first_position, mask))
    return prompts


def label_map(result: FrameResult) -> npt.NDArray[np.int64]:
    """Paint the objects of a frame with their ids, the surest one last: int64 [H, W]."""
    labels = np.zeros(result.size, dtype=np.int64)
    for each in sorted(result.objects, key=lambda each: (each.score, -each.object_id)):
        labels[rle.decode(each.mask)] = each.object_id
    return labels


def _follow_texts(
    source: LabelVideos, item_index: int, open_segmenter: OpenSegmenter, on_frame: OnFrame
) -> list[FrameResult]:
    """Follow the expressions of a video; row R is object R + 1."""
    segmenter = open_segmenter(frame_size(source, item_index))
    for row, each in enumerate(source.videos[item_index].objects):
        segmenter.add_prompt(TextPrompt(row + 1, each.text))
    return list(results_of(segmenter, source, item_index, on_frame))


def _folder(video: LabelVideo, row: int) -> str:
    return f"{video.name}/{video.objects[row].expression_id}"
