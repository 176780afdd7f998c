"""Tracks of which the first mask is given, followed through every frame of their videos: BURST."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from univs import rle
from univs.data.formats.json_files import Json
from univs.data.formats.track_videos import TrackVideo, TrackVideos
from univs.data.images import read_image
from univs.evaluation.predicting.prompted import OpenSegmenter
from univs.evaluation.predicting.videos import OnFrame
from univs.evaluation.submissions.exemplars import write_exemplars
from univs.inference.segmenter import VideoSegmenter
from univs.rle import Rle
from univs.types import Clip, Frame, FrameResult, MaskPrompt

_TIME_BASE = Fraction(1, 30)  # for display only


def predict_exemplars(
    source: TrackVideos, annotation: Json, open_segmenter: OpenSegmenter, path: Path, on_frame: OnFrame
) -> None:
    """Follow every track from its first mask, and write the masks of the annotated frames in BURST's format.

    Args:
        source: annotated videos.
        annotation: the content of their file.
        open_segmenter: makes a segmenter for frames of a size.
        path: the JSON.
        on_frame: told of every annotated frame.
    """
    frames = {video.video_id: _follow(video, open_segmenter, on_frame) for video in source.videos}
    write_exemplars(path, annotation, frames)


def _follow(video: TrackVideo, open_segmenter: OpenSegmenter, on_frame: OnFrame) -> list[dict[int, Rle]]:
    """Give the masks of each annotated frame, by track id; frames before the first mask are skipped over."""
    index_of = {path.name: index for index, path in enumerate(video.frame_paths)}
    wanted = {index_of[path.name]: position for position, path in enumerate(video.image_paths)}
    masks: list[dict[int, Rle]] = [{} for _ in video.image_paths]
    prompts = list(_prompts(video, index_of))
    if prompts:
        first = min(prompt.frame_index for prompt in prompts)
        size = prompts[0].mask.shape
        segmenter = open_segmenter((int(size[0]), int(size[1])))
        segmenter.skip_to(first)
        for prompt in prompts:
            segmenter.add_prompt(prompt)
        for result in _results(segmenter, video, first):
            if result.frame_index in wanted:
                masks[wanted[result.frame_index]] = {each.object_id: each.mask for each in result.objects}
    for _ in video.image_paths:
        on_frame()
    return masks


def _prompts(video: TrackVideo, index_of: dict[str, int]) -> Iterator[MaskPrompt]:
    for track in video.tracks:
        for path, mask in zip(video.image_paths, track.masks, strict=True):
            if mask is not None:
                pixels = torch.from_numpy(np.ascontiguousarray(rle.decode(mask)))
                yield MaskPrompt(track.track_id, index_of[path.name], pixels)
                break


def _results(segmenter: VideoSegmenter, video: TrackVideo, first: int) -> Iterator[FrameResult]:
    for index, path in list(enumerate(video.frame_paths))[first:]:
        yield from segmenter.step(Clip((Frame(index, index, _TIME_BASE, read_image(path)),)))
    yield from segmenter.finish()
