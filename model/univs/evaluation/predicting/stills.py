"""What is found by category in pictures: instances, panoptic segments, classes of pixels."""

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from univs.data.formats.categories import Categories
from univs.data.formats.label_pictures import LabelPictures
from univs.data.sample import Source
from univs.evaluation.predicting.found import OpenFinder, described, write_ids
from univs.evaluation.predicting.videos import OnFrame, frame_size, results_of
from univs.evaluation.submissions.pngs import PngSubmission
from univs.inference.entities.options import Answer
from univs.inference.entities.segmenter import EntitySegmenter
from univs.types import FrameResult


class NumberedPictures(Source, Protocol):
    """Pictures as COCO's formats number them."""

    @property
    def image_ids(self) -> tuple[int, ...]:
        """Number of each picture."""
        ...

    @property
    def categories(self) -> Categories:
        """Names and numbers of the categories."""
        ...


class MappedPictures(NumberedPictures, Protocol):
    """Such pictures, each with a picture of ids."""

    def map_name(self, item_index: int, /) -> str:
        """Name the picture of ids."""
        ...


def predict_instances(source: NumberedPictures, open_finder: OpenFinder, path: Path, on_frame: OnFrame) -> None:
    """Find the instances of every picture, and write a JSON list in COCO's format of results.

    Args:
        source: pictures; annotations are not looked at.
        open_finder: makes a segmenter; its vocabulary is the source's.
        path: the file.
        on_frame: told of every picture.
    """
    found: list[dict[str, Any]] = []
    category_ids = source.categories.category_ids
    for item_index, image_id in enumerate(source.image_ids):
        result, finder = _look(source, item_index, open_finder, Answer.INSTANCES, on_frame)
        masks = {each.object_id: each.mask for each in result.objects if each.area_fraction > 0}
        found.extend(
            {
                "image_id": image_id,
                "category_id": category_ids[each.class_index],
                "segmentation": {"size": list(result.size), "counts": masks[each.object_id].counts},
                "score": each.score,
            }
            for each in finder.ranking()
            if each.object_id in masks
        )
    path.write_text(json.dumps(found), encoding="utf-8")


def predict_picture_segments(source: MappedPictures, open_finder: OpenFinder, folder: Path, on_frame: OnFrame) -> None:
    """Divide every picture among segments, and write `pred.json` and `pan_pred/NAME.png`.

    Arguments as for `predict_instances`; files go into `folder`.
    """
    annotations = []
    for item_index, image_id in enumerate(source.image_ids):
        result, _ = _look(source, item_index, open_finder, Answer.PANOPTIC, on_frame)
        assert result.panoptic is not None, "a panoptic answer was asked for"
        name = source.map_name(item_index)
        write_ids(folder / "pan_pred" / name, result.panoptic.segment_ids().numpy())
        segments = described(result.panoptic, source.categories.category_ids)
        annotations.append({"image_id": image_id, "file_name": name, "segments_info": segments})
    (folder / "pred.json").write_text(json.dumps({"annotations": annotations}), encoding="utf-8")


def predict_picture_classes(source: LabelPictures, open_finder: OpenFinder, path: Path, on_frame: OnFrame) -> None:
    """Give every pixel a class, and write `SPLIT/NAME.png` with values as in the annotation.

    Arguments as for `predict_instances`; the path is a zip.
    """
    names = tuple(source.frame_name(item_index) for item_index in range(len(source)))
    with PngSubmission(path, {source.folder: names}) as submission:
        for item_index, name in enumerate(names):
            result, _ = _look(source, item_index, open_finder, Answer.SEMANTIC, on_frame)
            assert result.semantic is not None, "a semantic answer was asked for"
            classes: npt.NDArray[np.int32] = result.semantic.class_indices().numpy()
            submission.add_labels(source.folder, name, source.code.encode(classes))


def _look(
    source: Source, item_index: int, open_finder: OpenFinder, answer: Answer, on_frame: OnFrame
) -> tuple[FrameResult, EntitySegmenter]:
    finder = open_finder(frame_size(source, item_index), answer)
    (result,) = results_of(finder, source, item_index, on_frame)
    return result, finder
