"""Names of the benchmarks that can be scored from files, each with the function that does it."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from univs.data.formats.ade20k_segments import Ade20kSegments
from univs.data.formats.burst import common_categories, open_burst
from univs.data.formats.coco import CocoPanoptic, open_coco_instances, open_lvis
from univs.data.formats.davis2017 import open_davis2017, open_ref_davis
from univs.data.formats.json_files import first_existing
from univs.data.formats.label_pictures import LabelPictures, open_ade20k, open_camvid
from univs.data.formats.mose import open_mose
from univs.data.formats.video_json import open_video_json
from univs.data.formats.viposeg import kind_of, open_viposeg
from univs.data.formats.vipseg import VipSeg
from univs.data.formats.vspw import Vspw
from univs.data.formats.youtube_vos import open_ref_youtube_vos, open_youtube_vos, seen_categories
from univs.errors import InputError
from univs.evaluation.scoring import masks
from univs.evaluation.scoring.images import (
    score_ade20k_instances,
    score_ade20k_panoptic,
    score_coco_instances,
    score_coco_panoptic,
    score_label_pictures,
    score_lvis,
)
from univs.evaluation.scoring.predicted_maps import PredictedMaps
from univs.evaluation.scoring.scenes import score_classes, score_panoptic
from univs.evaluation.scoring.table import ScoreTable
from univs.evaluation.scoring.tracks import score_class_tracking, score_tracks

_NUM_ANNOTATORS = 4

Scorer = Callable[[Path, str, Path], ScoreTable]  # of the data set's folder, a split, and the predictions


def score_benchmark(name: str, root: Path, split: str, predictions: Path) -> ScoreTable:
    """Score predictions in the format of the benchmark's server against its annotation.

    Args:
        name: of the data set, as `scored_benchmarks` lists them.
        root: the folder in which it was unpacked.
        split: one that is annotated.
        predictions: a file or folder.
    Raises:
        InputError: for another name, a layout with parts missing, or predictions that do not fit.
    """
    if name not in _SCORERS:
        raise InputError(f"expected a data set of {', '.join(_SCORERS)}, got {name!r}")
    return _SCORERS[name](root, split, predictions)


def scored_benchmarks() -> tuple[str, ...]:
    """Give the names that `score_benchmark` knows."""
    return tuple(_SCORERS)


def _label_pictures(
    root: Path, split: str, predictions: Path, source: Callable[[Path, str], LabelPictures]
) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return score_label_pictures(source(root, split), predicted)


def _ade20k_instances(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_ade20k_instances(Ade20kSegments(root, split, with_stuff=False), predictions)


def _ade20k_panoptic(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_ade20k_panoptic(Ade20kSegments(root, split, with_stuff=True), predictions)


def _burst(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_class_tracking(open_burst(root, split), predictions, common_categories(root))


def _coco_instances(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_coco_instances(open_coco_instances(root, split, keeps_empty=True), predictions)


def _coco_panoptic(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_coco_panoptic(CocoPanoptic(root, split), predictions)


def _davis2017(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return masks.score_objects(open_davis2017(root, split), predicted)


def _lvis(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_lvis(open_lvis(root, split, keeps_empty=True), predictions)


def _mose(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return masks.score_objects(open_mose(root, split), predicted)


def _ref_davis(root: Path, split: str, predictions: Path) -> ScoreTable:
    sources = [open_ref_davis(root, split, number) for number in range(1, _NUM_ANNOTATORS + 1)]
    with ExitStack() as opened:
        predicted = []
        for number in range(_NUM_ANNOTATORS):
            path = first_existing((predictions / f"anno_{number}", predictions / f"anno_{number}.zip"))
            predicted.append(opened.enter_context(closing(PredictedMaps(path))))
        return masks.score_annotators(sources, predicted)


def _ref_youtube_vos(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return masks.score_expressions(open_ref_youtube_vos(root, split), predicted)


def _tracks(root: Path, split: str, predictions: Path, name: str) -> ScoreTable:
    return score_tracks(open_video_json(root, split, name), predictions)


def _viposeg(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return masks.score_panoptic_targets(open_viposeg(root, split), predicted, kind_of)


def _vipseg(root: Path, split: str, predictions: Path) -> ScoreTable:
    return score_panoptic(VipSeg(root, split), predictions)


def _vspw(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return score_classes(Vspw(root, split), predicted)


def _youtube_vos(root: Path, split: str, predictions: Path) -> ScoreTable:
    with closing(PredictedMaps(predictions)) as predicted:
        return masks.score_seen_unseen(open_youtube_vos(root, split), predicted, seen_categories(root))


_SCORERS: dict[str, Scorer] = {
    "ade20k": partial(_label_pictures, source=open_ade20k),
    "ade20k_instances": _ade20k_instances,
    "ade20k_panoptic": _ade20k_panoptic,
    "burst": _burst,
    "camvid": partial(_label_pictures, source=open_camvid),
    "coco_instances": _coco_instances,
    "coco_panoptic": _coco_panoptic,
    "davis2017": _davis2017,
    "lvis": _lvis,
    "mose": _mose,
    "ovis": partial(_tracks, name="ovis"),
    "ref_davis": _ref_davis,
    "ref_youtube_vos": _ref_youtube_vos,
    "viposeg": _viposeg,
    "vipseg": _vipseg,
    "vspw": _vspw,
    "youtube_vos2018": _youtube_vos,
    "ytvis2019": partial(_tracks, name="ytvis2019"),
    "ytvis2021": partial(_tracks, name="ytvis2021"),
}
