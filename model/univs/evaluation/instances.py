"""Instance segmentation of pictures: AP and AR of masks by hotcoco, the COCO evaluator in Rust.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval

from univs import rle
from univs.errors import InputError
from univs.evaluation.precision import IOU_THRESHOLDS, MAX_DETECTIONS, RECALL_POINTS, InstanceReport, report
from univs.rle import Rle

# The library takes and gives mappings in the format of COCO's files.
_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrueInstance:
    """An annotated object of a picture."""

    image_id: int
    category_id: int
    mask: Rle
    is_crowd: bool = False
    area: float | None = None  # as annotated, in square pixels; None takes the mask's


@dataclass(frozen=True, slots=True)
class ScoredInstance:
    """A predicted object of a picture."""

    image_id: int
    category_id: int
    score: float
    mask: Rle


def evaluate_instances(
    predicted: Iterable[ScoredInstance], truth: Iterable[TrueInstance], category_ids: Sequence[int]
) -> InstanceReport:
    """Give AP and AR over classes and of each class.

    Args:
        predicted: instances; per picture and class the 100 of best score count.
        truth: annotated instances.
        category_ids: classes to report, in this order; instances of other classes are left out.
    Raises:
        InputError: when masks of one picture differ in size.
    """
    chosen = set(category_ids)
    scored = [instance for instance in predicted if instance.category_id in chosen]
    annotated = [instance for instance in truth if instance.category_id in chosen]
    sizes: dict[int, tuple[int, int]] = {}
    shown = [(instance.image_id, instance.mask.size) for instance in annotated]
    for image_id, size in (*shown, *((instance.image_id, instance.mask.size) for instance in scored)):
        if sizes.setdefault(image_id, size) != size:
            raise InputError(
                f"expected masks of size {sizes[image_id]} in picture {image_id}, got {size}; "
                "resize predictions to the annotation"
            )
    if not annotated:
        shape = (len(IOU_THRESHOLDS), len(category_ids), 4, len(MAX_DETECTIONS))
        nothing = np.full(shape, np.nan)
        return report(np.broadcast_to(nothing[:, None], (shape[0], len(RECALL_POINTS), *shape[1:])), nothing)

    reference = COCO(_reference(annotated, sizes, category_ids))
    evaluator = COCOeval(reference, reference.load_res([_result(instance) for instance in scored]), "segm")
    evaluator.evaluate()
    evaluator.accumulate()
    tables = evaluator.eval
    assert tables is not None, "accumulate fills the tables"
    precision, recall = np.asarray(tables["precision"]), np.asarray(tables["recall"])
    ordered = [sorted(chosen).index(category_id) for category_id in category_ids]  # the library sorts by id
    return report(
        np.where(precision < 0, np.nan, precision)[:, :, ordered], np.where(recall < 0, np.nan, recall)[:, ordered]
    )


def _reference(
    annotated: Sequence[TrueInstance], sizes: dict[int, tuple[int, int]], category_ids: Sequence[int]
) -> _Json:
    return {
        "images": [
            {"id": image_id, "height": height, "width": width} for image_id, (height, width) in sorted(sizes.items())
        ],
        "categories": [{"id": category_id, "name": str(category_id)} for category_id in sorted(set(category_ids))],
        "annotations": [
            {
                "id": number,
                "image_id": instance.image_id,
                "category_id": instance.category_id,
                "iscrowd": int(instance.is_crowd),
                "area": float(rle.area(instance.mask)) if instance.area is None else instance.area,
                "bbox": list(rle.to_bbox(instance.mask)),
                "segmentation": _encoded(instance.mask),
            }
            for number, instance in enumerate(annotated, start=1)
        ],
    }


def _result(instance: ScoredInstance) -> _Json:
    return {
        "image_id": instance.image_id,
        "category_id": instance.category_id,
        "score": instance.score,
        "segmentation": _encoded(instance.mask),
    }


def _encoded(mask: Rle) -> _Json:
    return {"size": list(mask.size), "counts": mask.counts}
