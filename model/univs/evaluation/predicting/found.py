"""What is found by category in the videos of a split: tracks, panoptic segments, classes of pixels."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from univs.data.formats.track_videos import TrackVideos
from univs.data.formats.vipseg import VipSeg
from univs.data.formats.vspw import Vspw
from univs.evaluation.predicting.videos import OnFrame, frame_size, results_of
from univs.evaluation.submissions.pngs import PngSubmission
from univs.evaluation.submissions.tracks import write_tracks
from univs.evaluation.video_instances import ScoredTrack
from univs.inference.entities.options import Answer
from univs.inference.entities.segmenter import EntitySegmenter
from univs.rle import Rle
from univs.types import SegmentMap

OpenFinder: TypeAlias = Callable[[tuple[int, int], Answer], EntitySegmenter]  # of (height, width) and what is asked


def predict_tracks(source: TrackVideos, open_finder: OpenFinder, path: Path, on_frame: OnFrame) -> None:
    """Find and follow the instances of every video, and write `results.json`, in a zip where the path ends in .zip.

    Args:
        source: videos; annotations are not looked at.
        open_finder: makes a segmenter; its vocabulary is the source's.
        path: the file.
        on_frame: told of every frame.
    """
    tracks: list[ScoredTrack] = []
    for item_index in range(len(source)):
        tracks += _tracks_of(source, item_index, open_finder, on_frame)
    write_tracks(path, tracks, {video.video_id: len(video.image_paths) for video in source.videos})


def predict_segments(source: VipSeg, open_finder: OpenFinder, folder: Path, on_frame: OnFrame) -> None:
    """Divide every frame among segments, and write `pred.json` and `pan_pred/VIDEO/FRAME.png`.

    Args:
        source: videos; annotations are not looked at.
        open_finder: makes a segmenter; its vocabulary is the source's.
        folder: where the files go.
        on_frame: told of every frame.
    """
    annotations = []
    for item_index, video in enumerate(source.videos):
        finder = open_finder(frame_size(source, item_index), Answer.PANOPTIC)
        frames = []
        for result in results_of(finder, source, item_index, on_frame):
            assert result.panoptic is not None, "a panoptic answer was asked for"
            name = video.map_paths[result.frame_index].name
            write_ids(folder / "pan_pred" / video.name / name, result.panoptic.segment_ids().numpy())
            frames.append({"file_name": name, "segments_info": described(result.panoptic, source.category_ids)})
        annotations.append({"video_id": video.name, "annotations": frames})
    (folder / "pred.json").write_text(json.dumps({"annotations": annotations}), encoding="utf-8")


def predict_classes(source: Vspw, open_finder: OpenFinder, path: Path, on_frame: OnFrame) -> None:
    """Give every pixel a class, and write `VIDEO/FRAME.png` with values as in the annotation: class K as K + 1.

    Args:
        source: videos; annotations are not looked at.
        open_finder: makes a segmenter; its vocabulary is the source's.
        path: the zip.
        on_frame: told of every frame.
    """
    names = {video.name: tuple(each.stem for each in video.image_paths) for video in source.videos}
    with PngSubmission(path, names) as submission:
        for item_index, video in enumerate(source.videos):
            finder = open_finder(frame_size(source, item_index), Answer.SEMANTIC)
            for result in results_of(finder, source, item_index, on_frame):
                assert result.semantic is not None, "a semantic answer was asked for"
                classes = result.semantic.class_indices().numpy().astype(np.int64)
                submission.add_labels(video.name, names[video.name][result.frame_index], classes + 1)


def _tracks_of(
    source: TrackVideos, item_index: int, open_finder: OpenFinder, on_frame: OnFrame
) -> Iterable[ScoredTrack]:
    finder = open_finder(frame_size(source, item_index), Answer.INSTANCES)
    num_frames = source.num_frames(item_index)
    masks: dict[int, list[Rle | None]] = {}
    for result in results_of(finder, source, item_index, on_frame):
        for each in result.objects:
            seen = masks.setdefault(each.object_id, [None] * num_frames)
            seen[result.frame_index] = each.mask if each.area_fraction > 0 else None
    video_id = source.videos[item_index].video_id
    return [
        ScoredTrack(video_id, source.category_ids[each.class_index], each.score, tuple(masks[each.object_id]))
        for each in finder.ranking()
        if each.object_id in masks
    ]


def described(panoptic: SegmentMap, category_ids: tuple[int, ...]) -> list[dict[str, Any]]:
    """List the segments of a frame as the official JSON does."""
    num_pixels = panoptic.size[0] * panoptic.size[1]
    return [
        {
            "id": each.segment_id,
            "category_id": category_ids[each.class_index],
            "iscrowd": 0,
            "area": round(each.area_fraction * num_pixels),
        }
        for each in panoptic.segments
        if each.area_fraction > 0
    ]


def write_ids(path: Path, ids: npt.NDArray[np.int32]) -> None:
    """Paint the ids of segments [H, W] as colours, as COCO does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.stack([ids % 256, ids // 256 % 256, ids // (256 * 256)], axis=-1).astype(np.uint8)
    Image.fromarray(colours).save(path)
