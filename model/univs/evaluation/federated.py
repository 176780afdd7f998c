"""LVIS: AP over classes that are annotated in some pictures only, computed by hotcoco.

Each picture says which classes it surely lacks and of which it misses some objects. A prediction of a class counts
against it only in pictures that are annotated for that class, or surely lack it.

Source: Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019, section 3.
"""

from collections.abc import Iterable

from hotcoco import COCO, COCOeval

from univs.data.formats.json_files import Json
from univs.evaluation.instances import ScoredInstance

MAX_RESULTS = 300  # of a picture that count


def evaluate_federated(predicted: Iterable[ScoredInstance], annotation: Json) -> dict[str, float]:
    """Give the figures of LVIS by name; NaN where nothing is annotated.

    AP over all classes, at IoU 0.5 and 0.75, of small, medium and large objects, of rare, common and frequent classes;
    AR, the same way, over the 300 best of a picture.

    Args:
        predicted: instances; the 300 of best score of a picture count.
        annotation: the content of the official file.
    """
    reference = COCO(annotation)
    results = [
        {
            "image_id": each.image_id,
            "category_id": each.category_id,
            "score": each.score,
            "segmentation": {"size": list(each.mask.size), "counts": each.mask.counts},
        }
        for each in predicted
    ]
    evaluator = COCOeval(reference, reference.load_res(results), "segm", lvis_style=True)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summary_lines()  # works out the figures as `summarize` does, without printing them
    figures = evaluator.get_results()
    return {name: float("nan") if figures[name] < 0 else float(figures[name]) for name in evaluator.metric_keys()}
