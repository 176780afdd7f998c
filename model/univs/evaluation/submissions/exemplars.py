"""The JSON of BURST: predicted masks of given tracks, in the format of its annotation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from univs import rle
from univs.data.formats.json_files import Json
from univs.errors import InputError
from univs.rle import Rle

PredictedFrame = Mapping[int, Rle]  # by track id


def write_exemplars(path: Path, annotation: Json, frames: Mapping[int, Sequence[PredictedFrame]]) -> None:
    """Write masks in place of those of an annotation, whose other fields stay as they are.

    Empty masks are left out, as the evaluator asks: it would count them as false alarms.

    Args:
        path: the file; an existing one is replaced once the new one is complete.
        annotation: the content of `all_classes.json`.
        frames: masks of each annotated frame, by id of the video.
    Raises:
        InputError: for a video without predictions, or with another number of frames.
    """
    sequences = [{**each, "segmentations": _segmentations(each, frames)} for each in annotation["sequences"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps({**annotation, "sequences": sequences}), encoding="utf-8")
    partial.replace(path)


def _segmentations(sequence: Json, frames: Mapping[int, Sequence[PredictedFrame]]) -> list[Json]:
    predicted = frames.get(int(sequence["id"]), ())
    if len(predicted) != len(sequence["annotated_image_paths"]):
        raise InputError(
            f"expected predictions for the {len(sequence['annotated_image_paths'])} annotated frames of video "
            f"{sequence['seq_name']}, got {len(predicted)}; give an empty mapping where nothing shows"
        )
    return [
        {str(track_id): {"rle": mask.counts, "is_gt": False} for track_id, mask in frame.items() if rle.area(mask)}
        for frame in predicted
    ]
