"""Category-specified streams and stills in the published settings, against what the published code made of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import torch
from tests.model.parity.fixtures import FOLDER, assert_close, assert_equal, compare, mask_iou, needs_fixtures, read
from tests.model.parity.network import class_table, network
from tests.model.parity.replay import replayed
from tests.model.parity.report import REPLAYED, note
from tests.model.parity.test_stream_parity import OUTPUT, SIZE, unpacked
from torch import Tensor

from univs import rle
from univs.inference.entities.options import (
    Answer,
    EntityOptions,
    released_image,
    released_image_panoptic,
    released_vis,
    released_vps,
    released_vss,
)
from univs.inference.entities.segmenter import EntitySegmenter
from univs.inference.entities.semantic import category_scores
from univs.inference.entities.vocabulary import EncodedVocabulary
from univs.types import Clip, Frame, FrameResult
from univs.vocabularies import Vocabulary

pytestmark = needs_fixtures

YTVIS21, COCO_PANOPTIC, VIPSEG = (2203, 40), (2641, 133), (2924, 124)
NUM_COCO_THINGS = 80


def vocabulary(rows: tuple[int, int], things: Sequence[bool] | None = None) -> EncodedVocabulary:
    first, number = rows
    names = tuple(str(row) for row in range(number))
    return EncodedVocabulary(Vocabulary.of_names(names, things), class_table()[first : first + number])


def coco() -> EncodedVocabulary:
    return vocabulary(COCO_PANOPTIC, [row < NUM_COCO_THINGS for row in range(COCO_PANOPTIC[1])])


def vipseg() -> EncodedVocabulary:
    stuff = json.loads((FOLDER / "e2e_pvos.json").read_text())["stuff_ids_1based"]
    return vocabulary(VIPSEG, [1 + row not in stuff for row in range(VIPSEG[1])])


def recorded(options: EntityOptions, clip_length: int = 3) -> EntityOptions:
    """Give the settings with which the fixtures were made, and those of the .json beside them."""
    inference = replace(
        options.inference,
        clip_length=clip_length,
        clip_stride=min(clip_length, options.inference.clip_stride),
        memory_frames=5,
        tokens_per_frame=256,
        short_side_px=90,
    )
    return replace(options, inference=inference)


class Recorded(EntitySegmenter):
    """A segmenter that notes what is known after each window."""

    def __init__(
        self,
        words: EncodedVocabulary,
        options: EntityOptions,
        answer: Answer,
        frames: str,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(network("r50", dtype), words, SIZE, [answer], options)
        self.framing = OUTPUT  # answers of the fixtures are larger than the frames
        self.qualities: list[Tensor] = []
        self.looks: list[Tensor] = []
        self.categories: list[Tensor] = []
        self.logits: list[Tensor] = []
        self.semantic_scores: list[Tensor] = []
        self.results: list[FrameResult] = []
        for index, image in enumerate(read("e2e_frames")[frames].permute(0, 3, 1, 2)):
            self.results += self.step(Clip((Frame(index, index, Fraction(1, 25), image),)))
            if options.inference.clip_length == 1:
                break
        self.results += self.finish()

    def _look(self) -> None:
        super()._look()
        if self.entities:
            self.qualities.append(torch.tensor([entity.quality_sum for entity in self.entities], dtype=torch.float64))
            self.looks.append(torch.stack([entity.track.embeddings[-1] for entity in self.entities]))
            self.categories.append(torch.stack([entity.scores for entity in self.entities]))
            self.logits.append(torch.stack([torch.cat([e.left, e.window_logits]) for e in self.entities]))
        if self._found is not None and Answer.SEMANTIC in self.answers:
            scores, masks = self._found.scores, self._found.mask_logits
            self.semantic_scores.append(
                torch.stack(
                    [category_scores(scores, mask, OUTPUT, self.options.semantic) for mask in masks.unbind(dim=1)],
                    dim=1,
                )[..., ::12, ::12]
            )


def assert_states_equal(found: Recorded, fixture: dict[str, Tensor]) -> None:
    for window in range(3):
        assert_equal(found.qualities[window], fixture[f"clip{window}_quality"])
        assert_equal(found.looks[window], fixture[f"clip{window}_embds_last"])
        assert_equal(found.categories[window], fixture[f"clip{window}_logits_mean"])
    height, width = SIZE
    assert_equal(found.logits[-1][:3, :, :height, :width], fixture["final_mask_logits_first3"])


def follow_vis(dtype: torch.dtype) -> Recorded:
    options = recorded(released_vis())
    detection = replace(options.detection, max_candidates=20, box_overlap=1.01, first_score=0.62, later_score=0.1)
    following = replace(options.following, minimum_share=0.05)
    options = replace(options, detection=detection, following=following)
    return Recorded(vocabulary(YTVIS21), options, Answer.INSTANCES, "frames_cut_uint8", dtype)


def follow_vps(dtype: torch.dtype) -> Recorded:
    options = recorded(released_vps())
    detection = replace(options.detection, box_overlap=1.01, first_score=0.67, later_score=0.2)
    panoptic = replace(options.panoptic, minimum_share=0.1)
    options = replace(options, detection=detection, panoptic=panoptic)
    return Recorded(vipseg(), options, Answer.PANOPTIC, "frames_cut_uint8", dtype)


@cache
def vis(dtype: torch.dtype = torch.float64) -> Recorded:
    return follow_vis(dtype)


@cache
def vps(dtype: torch.dtype = torch.float64) -> Recorded:
    return follow_vps(dtype)


def test_instances_of_a_video_are_followed_as_published() -> None:
    assert_states_equal(vis(), read("e2e_vis"))


def test_instances_of_a_video_are_masked_as_published() -> None:
    expected = unpacked(read("e2e_vis"), "seg_masks")  # [O, T, H, W]
    masks = torch.stack(
        [torch.stack([torch.from_numpy(rle.decode(one.mask)) for one in result.objects]) for result in vis().results],
        dim=1,
    )
    assert torch.equal(masks, expected)


def test_instances_of_a_video_are_ranked_as_published() -> None:
    described = json.loads((FOLDER / "e2e_vis.json").read_text())
    expected = {
        (1 + row, result["category_id"]): result["score"]
        for row, result in zip(described["result_seg_index"], described["results"], strict=True)
    }
    ranked = {(one.object_id, one.class_index): one.score for one in vis().ranking()}
    assert ranked == pytest.approx(expected, rel=1e-5)


def test_entities_of_a_panoptic_video_are_followed_as_published() -> None:
    assert_states_equal(vps(), read("e2e_vps"))


def test_a_video_is_divided_into_segments_as_published() -> None:
    pictures = [result.panoptic for result in vps().results]
    found = torch.stack([picture.segment_ids() for picture in pictures if picture is not None])
    assert torch.equal(found, read("e2e_vps")["panoptic"])
    segments = {segment.segment_id: segment for picture in pictures if picture for segment in picture.segments}
    described = json.loads((FOLDER / "e2e_vps.json").read_text())["segments_infos"]
    assert [(key, one.is_thing, 1 + one.class_index) for key, one in sorted(segments.items())] == [
        (info["id"], info["isthing"], info["category_id"]) for info in described
    ]


@cache
def vss(dtype: torch.dtype = torch.float64) -> Recorded:
    return Recorded(vocabulary(VIPSEG), recorded(released_vss()), Answer.SEMANTIC, "frames_uint8", dtype)


@cache
def labelled_still(dtype: torch.dtype = torch.float64) -> Recorded:
    return Recorded(coco(), recorded(released_image(), 1), Answer.SEMANTIC, "frames_uint8", dtype)


def test_pixels_of_a_video_get_their_category_as_published() -> None:
    fixture = read("e2e_vss")
    found = vss()
    for window, scores in enumerate(found.semantic_scores):
        assert_equal(scores, fixture[f"scores_call{window}_stride12"])
    pictures = [result.semantic.class_indices() for result in found.results if result.semantic is not None]
    assert torch.equal(torch.stack(pictures), fixture["sem"].int())


def test_a_still_is_labelled_as_published() -> None:
    fixture = read("e2e_image")
    found = labelled_still()
    assert_equal(found.semantic_scores[0][:, 0], fixture["semantic_stride12"])
    semantic = found.results[0].semantic
    assert semantic is not None
    assert torch.equal(semantic.class_indices(), fixture["semantic_argmax"].int())


def test_a_still_is_divided_into_segments_as_published() -> None:
    options = recorded(released_image_panoptic(), 1)
    options = replace(options, panoptic=replace(options.panoptic, minimum_share=0.1))
    panoptic = Recorded(coco(), options, Answer.PANOPTIC, "frames_uint8").results[0].panoptic
    assert panoptic is not None
    assert torch.equal(panoptic.segment_ids(), read("e2e_image")["panoptic"])
    described = json.loads((FOLDER / "e2e_image.json").read_text())["segments_info"]
    assert [(one.segment_id, one.is_thing, one.class_index) for one in panoptic.segments] == [
        (info["id"], info["isthing"], info["category_id"]) for info in described
    ]


def test_instances_of_a_still_are_ranked_as_published() -> None:
    fixture = read("e2e_image")
    found = Recorded(coco(), recorded(released_image(), 1), Answer.INSTANCES, "frames_uint8")
    ranked = found.ranking()[:10]
    assert [one.class_index for one in ranked] == fixture["inst_classes"].tolist()
    assert_equal(torch.tensor([one.score for one in ranked], dtype=torch.float64), fixture["inst_scores"])
    masks = {one.object_id: one.mask for one in found.results[0].objects}
    drawn = torch.stack([torch.from_numpy(rle.decode(masks[one.object_id])) for one in ranked])
    assert torch.equal(drawn, unpacked(fixture, "inst_masks"))
    boxes = torch.tensor([rle.to_bbox(masks[one.object_id]) for one in ranked])
    boxes[:, 2:] += boxes[:, :2] - 1  # x, y, width, height to the last pixel
    assert torch.equal(boxes, fixture["inst_boxes"])


def test_pixels_get_their_category_as_published_in_single_precision() -> None:
    fixture, found = read("e2e_vss"), vss(torch.float32)
    for window, scores in enumerate(found.semantic_scores):
        assert_close(scores, fixture[f"scores_call{window}_stride12"])
    still = labelled_still(torch.float32)
    assert_close(still.semantic_scores[0][:, 0], read("e2e_image")["semantic_stride12"])


@pytest.mark.parametrize(("name", "follow"), [("e2e_vis", vis), ("e2e_vps", vps)], ids=["vis", "vps"])
def test_entities_are_followed_as_published_in_single_precision(
    name: str, follow: Callable[[torch.dtype], Recorded]
) -> None:
    """In the third window an attention mask turns at a logit next to zero (see `replay`): from there on masks count."""
    fixture, found = read(name), follow(torch.float32)
    for window in range(2):
        assert_close(found.qualities[window].float(), fixture[f"clip{window}_quality"])
        assert_close(found.looks[window], fixture[f"clip{window}_embds_last"])
        assert_close(found.categories[window], fixture[f"clip{window}_logits_mean"])
    expected = fixture["final_mask_logits_first3"]
    logits = found.logits[-1][:3, :, : SIZE[0], : SIZE[1]]
    iou = mask_iou(logits, expected)
    note(replace(compare(logits, expected), mask_iou=iou))
    assert iou.together >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(("name", "follow"), [("e2e_vis", follow_vis), ("e2e_vps", follow_vps)], ids=["vis", "vps"])
def test_with_the_attention_masks_of_double_precision_streams_are_as_published(
    name: str, follow: Callable[[torch.dtype], Recorded]
) -> None:
    fixture, found = read(name), replayed(follow, name)
    for window in range(3):
        expected = (f"clip{window}_{kind}" for kind in ("quality", "embds_last", "logits_mean"))
        got = (found.qualities[window].float(), found.looks[window], found.categories[window])
        for one, key in zip(got, expected, strict=True):
            assert_replayed(one, fixture[key])
    assert_replayed(found.logits[-1][:3, :, : SIZE[0], : SIZE[1]], fixture["final_mask_logits_first3"], is_mask=True)


def assert_replayed(got: Tensor, expected: Tensor, *, is_mask: bool = False) -> None:
    iou = mask_iou(got, expected) if is_mask else None
    comparison = replace(compare(got, expected), kind=REPLAYED, mask_iou=iou)
    note(comparison)
    assert comparison.num_close >= 0.99 * comparison.num_entries
    assert iou is None or iou.together >= 0.995


def test_a_video_is_divided_into_segments_as_published_in_single_precision() -> None:
    pictures = [result.panoptic for result in vps(torch.float32).results]
    found = torch.stack([picture.segment_ids() for picture in pictures if picture is not None])
    assert (found == read("e2e_vps")["panoptic"]).float().mean() >= 0.99
