"""Every benchmark is scored from files, against the miniature copies of `tests/model/data`."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.model.data.miniatures import (
    FRAMES,
    MINIATURES,
    TRAINED_ON_ALONE,
    VIDEOS,
    WITHOUT_SERVER,
    label_map,
    write_labels,
)

from univs import rle
from univs.data.benchmarks import BENCHMARKS
from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.coco import open_coco_instances, open_lvis
from univs.data.formats.segmentations import to_rle
from univs.data.formats.video_json import open_video_json
from univs.errors import InputError
from univs.evaluation.predicting.found import write_ids
from univs.evaluation.scoring.benchmarks import score_benchmark, scored_benchmarks
from univs.evaluation.submissions.pngs import PngSubmission
from univs.evaluation.submissions.tracks import write_tracks
from univs.evaluation.video_instances import ScoredTrack


def _davis2017(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "Annotations" / "480p", predictions)
    return "val"


def _mose(root: Path, predictions: Path) -> str:
    for folder in (root / "valid" / "Annotations" / "0a", predictions / "0a"):
        for frame, name in enumerate(FRAMES):
            write_labels(folder / f"{name}.png", label_map(frame + 1))
    return "valid"


def _ref_davis(root: Path, predictions: Path) -> str:
    folder = root / "davis_text_annotations"
    for name in ("Davis17_annot2.txt", "Davis17_annot2_full_video.txt"):
        shutil.copy(folder / "Davis17_annot1.txt", folder / name)
    for number in range(4):
        shutil.copytree(root / "Annotations" / "480p", predictions / f"anno_{number}")
    return "val"


def _ref_youtube_vos(_root: Path, predictions: Path) -> str:
    for expression in ("0", "1", "2"):
        for frame, name in enumerate(FRAMES):
            number = 2 if expression == "2" else 1
            mask = (label_map(frame) == number).astype(np.uint8) * 255
            write_labels(predictions / "Annotations" / "0a" / expression / f"{name}.png", mask)
    return "train"


def _youtube_vos(root: Path, predictions: Path) -> str:
    for video in VIDEOS:
        write_labels(root / "valid" / "Annotations" / video / "00010.png", label_map(2))
    shutil.copytree(root / "valid" / "Annotations", predictions)
    return "valid"


def _viposeg(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "valid" / "Annotations_gt", predictions)
    return "valid"


def _tracks(root: Path, predictions: Path) -> str:
    source = open_video_json(root, "train", "any")
    tracks = [
        ScoredTrack(video.video_id, source.category_ids[track.category_id], 0.9, track.masks)
        for video in source.videos
        for track in video.tracks
        if not track.is_crowd
    ]
    write_tracks(predictions, tracks, {video.video_id: len(video.image_paths) for video in source.videos})
    return "train"


def _burst(root: Path, predictions: Path) -> str:
    shutil.copy(root / "annotations" / "val" / "all_classes.json", predictions)
    return "val"


def _vipseg(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "panomasksRGB", predictions / "pan_pred")
    content = json.loads((root / "panoptic_gt_VIPSeg_val.json").read_text(encoding="utf-8"))
    (predictions / "pred.json").write_text(json.dumps({"annotations": content["annotations"]}), encoding="utf-8")
    return "val"


def _vspw(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "data" / "0a" / "mask", predictions / "0a")
    return "val"


def _coco_instances(root: Path, predictions: Path) -> str:
    source = open_coco_instances(root, "val2017")
    results = []
    for entry in source.entries:
        for each in entry.annotations:
            mask = to_rle(each["segmentation"], entry.size)
            assert mask is not None
            segmentation = {"size": list(mask.size), "counts": mask.counts}
            results.append({**each, "segmentation": segmentation, "score": 0.5})
    predictions.write_text(json.dumps(results), encoding="utf-8")
    return "val2017"


def _lvis(root: Path, predictions: Path) -> str:
    source = open_lvis(root, "val")
    ((entry,),) = (source.entries,)
    mask = to_rle(entry.annotations[0]["segmentation"], entry.size)
    assert mask is not None
    result = {"image_id": 7, "category_id": 2, "score": 0.5, "segmentation": {"size": [12, 16], "counts": mask.counts}}
    predictions.write_text(json.dumps([result]), encoding="utf-8")
    return "val"


def _ade20k_instances(root: Path, predictions: Path) -> str:
    source = Ade20kSegments(root, "validation", with_stuff=False)
    results = []
    for segment in source.segments(0):
        mask = rle.encode(segment.mask)
        segmentation = {"size": list(mask.size), "counts": mask.counts}
        category_id = source.categories.category_ids[segment.category_id]
        results.append({"image_id": 1, "category_id": category_id, "score": 0.5, "segmentation": segmentation})
    predictions.write_text(json.dumps(results), encoding="utf-8")
    return "validation"


def _ade20k_panoptic(root: Path, predictions: Path) -> str:
    source = Ade20kSegments(root, "validation", with_stuff=True)
    segments = source.segments(0)
    ids = np.zeros((12, 16), dtype=np.int32)
    for number, segment in enumerate(segments, start=1):
        ids[segment.mask] = number
    write_ids(predictions / "pan_pred" / "1.png", ids)
    described = [
        {"id": number, "category_id": source.categories.category_ids[segment.category_id]}
        for number, segment in enumerate(segments, start=1)
    ]
    answer = {"image_id": 1, "file_name": "1.png", "segments_info": described}
    (predictions / "pred.json").write_text(json.dumps({"annotations": [answer]}), encoding="utf-8")
    return "validation"


def _coco_panoptic(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "annotations" / "panoptic_val2017", predictions / "pan_pred")
    shutil.copy(root / "annotations" / "panoptic_val2017.json", predictions / "pred.json")
    return "val2017"


def _ade20k(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "annotations", predictions)
    return "validation"


def _camvid(root: Path, predictions: Path) -> str:
    shutil.copytree(root / "valannot", predictions / "val")
    return "val"


# Each writes the truth as predictions and gives the split.
_PERFECT: dict[str, Callable[[Path, Path], str]] = {
    "ade20k": _ade20k,
    "ade20k_instances": _ade20k_instances,
    "ade20k_panoptic": _ade20k_panoptic,
    "burst": _burst,
    "camvid": _camvid,
    "coco_instances": _coco_instances,
    "coco_panoptic": _coco_panoptic,
    "davis2017": _davis2017,
    "lvis": _lvis,
    "mose": _mose,
    "ovis": _tracks,
    "ref_davis": _ref_davis,
    "ref_youtube_vos": _ref_youtube_vos,
    "viposeg": _viposeg,
    "vipseg": _vipseg,
    "vspw": _vspw,
    "youtube_vos2018": _youtube_vos,
    "ytvis2019": _tracks,
    "ytvis2021": _tracks,
}


@pytest.mark.parametrize("name", sorted(_PERFECT))
def test_truth_as_prediction_scores_one(tmp_path: Path, name: str) -> None:
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    MINIATURES[name](root)
    split = _PERFECT[name](root, predictions)
    table = score_benchmark(name, root, split, predictions)
    for row in table.rows:
        for column, value in zip(table.columns, row.values, strict=True):
            best = 0.0 if "decay" in column else 1.0
            is_best = math.isnan(value) or value == pytest.approx(best)
            assert is_best or (column == "AR1" and 0 < value < 1), (row.name, column)  # one answer for two objects
    assert sum(not math.isnan(value) for row in table.rows for value in row.values) >= 3


def test_every_benchmark_can_be_scored() -> None:
    """DAVIS 2016 has `univs eval`."""
    assert set(BENCHMARKS) - set(_PERFECT) == {*WITHOUT_SERVER, *TRAINED_ON_ALONE}
    assert set(_PERFECT) == set(scored_benchmarks())


def test_object_that_is_not_followed_scores_zero(tmp_path: Path) -> None:
    """Of the two objects of the clip one is found: J 1 and 0; only the middle one of three frames counts."""
    root, predictions = tmp_path / "data", tmp_path / "answers.zip"
    MINIATURES["davis2017"](root)
    with PngSubmission(predictions, {"goat": FRAMES}) as submission:
        for frame, name in enumerate(FRAMES):
            labels = label_map(frame + 1)
            labels[labels == 2] = 0
            submission.add_labels("goat", name, labels)
    table = score_benchmark("davis2017", root, "val", predictions)
    assert [row.name for row in table.rows] == ["all", "goat_1", "goat_2"]
    assert [row.values[1] for row in table.rows] == [0.5, 1.0, 0.0]


def test_object_is_scored_from_the_frame_after_its_first(tmp_path: Path) -> None:
    """Predictions are empty but in the last frame, where they are right: object 1 has J (0 + 1) / 2, object 2 has 1."""
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    MINIATURES["youtube_vos2018"](root)
    split = _youtube_vos(root, predictions)
    for video in VIDEOS:
        for name in FRAMES[:2]:
            write_labels(predictions / video / f"{name}.png", 0 * label_map(0))
    (row,) = score_benchmark("youtube_vos2018", root, split, predictions).rows
    overall, region_seen, region_unseen, *_ = row.values
    assert (region_seen, region_unseen) == (0.5, 1.0)
    assert overall == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["burst", "davis2017", "ref_davis", "ref_youtube_vos", "viposeg", "vipseg", "vspw"])
def test_figures_of_the_only_video_are_those_of_its_clip(tmp_path: Path, name: str) -> None:
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    MINIATURES[name](root)
    table = score_benchmark(name, root, _PERFECT[name](root, predictions), predictions)
    assert table.clips
    for each, overall in zip(table.clips[0].values, table.rows[0].values, strict=True):
        assert len(table.clips) > 1 or math.isnan(overall) or each == pytest.approx(overall)


def test_each_clip_is_scored_alone(tmp_path: Path) -> None:
    """In the first of two videos all is right; in the second nothing is found, for which a G of the first is known."""
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    MINIATURES["youtube_vos2018"](root)
    split = _youtube_vos(root, predictions)
    for name in FRAMES:
        write_labels(predictions / "1b" / f"{name}.png", 0 * label_map(0))
    table = score_benchmark("youtube_vos2018", root, split, predictions)
    assert [(each.name, each.values[0]) for each in table.clips] == [("0a", 1.0), ("1b", 0.0)]


def test_class_that_is_not_predicted_has_no_precision(tmp_path: Path) -> None:
    root, predictions = tmp_path / "data", tmp_path / "results.zip"
    MINIATURES["ytvis2021"](root)
    source = open_video_json(root, "train", "any")
    goat = source.videos[0].tracks[0]
    write_tracks(predictions, [ScoredTrack(1, 5, 0.5, goat.masks)], {1: 3, 2: 3})
    table = score_benchmark("ytvis2021", root, "train", predictions)
    assert [row.name for row in table.rows] == ["all", "stone", "goat"]
    assert [row.values[0] for row in table.rows] == pytest.approx([0.5, 0.0, 1.0])


def test_track_that_breaks_in_two_loses_association(tmp_path: Path) -> None:
    """Object 1 keeps its id in two of three frames: AssA (2 * 2/3 + 1/3) / 3 = 5/9, DetA 1, HOTA sqrt(5/9)."""
    root, predictions = tmp_path / "data", tmp_path / "burst.json"
    MINIATURES["burst"](root)
    content = json.loads((root / "annotations" / "val" / "all_classes.json").read_text(encoding="utf-8"))
    (sequence,) = content["sequences"]
    sequence["segmentations"][2]["9"] = sequence["segmentations"][2].pop("1")
    sequence["track_category_ids"]["9"] = 5
    predictions.write_text(json.dumps(content), encoding="utf-8")
    table = score_benchmark("burst", root, "val", predictions)
    common = table.rows[1]
    assert common.name == "common"
    assert common.values[:3] == pytest.approx((math.sqrt(5 / 9), 1.0, 5 / 9))


def test_missing_and_misshapen_predictions_are_named(tmp_path: Path) -> None:
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    MINIATURES["davis2017"](root)
    with pytest.raises(InputError, match="neither"):
        score_benchmark("davis2017", root, "val", predictions)
    _davis2017(root, predictions)
    write_labels(predictions / "goat" / "00005.png", np.zeros((3, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="annotation's shape"):
        score_benchmark("davis2017", root, "val", predictions)
    (predictions / "goat" / "00005.png").unlink()
    with pytest.raises(InputError, match=r"goat/00005\.png"):
        score_benchmark("davis2017", root, "val", predictions)
    with pytest.raises(InputError, match="expected a data set of"):
        score_benchmark("imagenet", root, "val", predictions)


def test_splits_without_annotation_cannot_be_scored(tmp_path: Path) -> None:
    root, predictions = tmp_path / "data", tmp_path / "results.json"
    MINIATURES["ytvis2019"](root)
    _tracks(root, predictions)
    with pytest.raises(InputError, match="keeps them secret"):
        score_benchmark("ytvis2019", root, "valid", predictions)
