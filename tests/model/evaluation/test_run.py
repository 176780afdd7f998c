from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from univs import weights
from univs.data.formats.davis import Davis2016
from univs.evaluation.run import PromptChoice, evaluate_vos, prompt_of
from univs.evaluation.trackers import CopyTracker, FlowTracker, SegmenterTracker
from univs.evaluation.vos import Mask
from univs.inference.options import options_for, paper
from univs.types import BoxPrompt, Compat, MaskPrompt, PointPrompt, VisualPrompt

_NUM_FRAMES = 5


@pytest.fixture
def source(tmp_path: Path) -> Davis2016:
    """One clip of five frames: a square of 30 pixels moves right by 3 pixels a frame."""
    root, clip = tmp_path / "davis", "square"
    for folder in (root / "JPEGImages" / "480p" / clip, root / "Annotations" / "480p" / clip, root / "ImageSets"):
        folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, size=(96, 128, 3), dtype=np.uint8)
    texture = np.random.default_rng(1).integers(0, 255, size=(30, 30, 3), dtype=np.uint8)
    for position in range(_NUM_FRAMES):
        pixels, mask = noise.copy(), np.zeros((96, 128), dtype=np.uint8)
        left = 20 + 3 * position
        pixels[40:70, left : left + 30], mask[40:70, left : left + 30] = texture, 1
        Image.fromarray(pixels).save(root / "JPEGImages" / "480p" / clip / f"{position:05d}.jpg", quality=95)
        Image.fromarray(mask).save(root / "Annotations" / "480p" / clip / f"{position:05d}.png")
    (root / "ImageSets" / "dev.txt").write_text("square\n", encoding="utf-8")
    return Davis2016(root, "dev")


class PerfectTracker:
    """Knows the answer, as far as the square is concerned."""

    def __init__(self) -> None:
        self._position = 0

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        assert image.shape[0] == 3
        assert prompt.frame_index == 0
        return [mask]

    def follow(self, image: Tensor) -> list[Mask]:
        self._position += 1
        mask = np.zeros(image.shape[-2:], dtype=np.bool_)
        left = 20 + 3 * self._position
        mask[40:70, left : left + 30] = True
        return [mask]

    def finish(self) -> list[Mask]:
        return []


class LateTracker(PerfectTracker):
    """Knows the answer two frames later."""

    def __init__(self) -> None:
        super().__init__()
        self._known: list[Mask] = []

    def start(self, image: Tensor, prompt: VisualPrompt, mask: Mask) -> list[Mask]:
        self._known = super().start(image, prompt, mask)
        return []

    def follow(self, image: Tensor) -> list[Mask]:
        self._known += super().follow(image)
        return [self._known.pop(0)] if self._position >= 2 else []

    def finish(self) -> list[Mask]:
        return self._known


def test_perfect_tracker_scores_one_on_the_frames_that_count(source: Davis2016) -> None:
    report = evaluate_vos(source, PerfectTracker, PromptChoice.MASK)
    assert (report.region, report.boundary, report.mean) == (1.0, 1.0, 1.0)
    assert [clip.num_frames for clip in report.clips] == [_NUM_FRAMES - 2]


def test_masks_that_come_late_belong_to_their_own_frames(source: Davis2016) -> None:
    seen: list[int] = []
    report = evaluate_vos(
        source, LateTracker, PromptChoice.MASK, on_frame=lambda _clip, position: seen.append(position)
    )
    assert (report.region, report.boundary, report.mean) == (1.0, 1.0, 1.0)
    assert seen == list(range(_NUM_FRAMES))


def test_windows_of_several_frames_can_be_evaluated(source: Davis2016) -> None:
    model, _ = weights.load("tiny")
    options = replace(options_for(Compat.RELEASED, 64), clip_length=3, tokens_per_frame=8, memory_frames=3)
    report = evaluate_vos(source, lambda: SegmenterTracker(model, options), PromptChoice.MASK)
    assert [clip.num_frames for clip in report.clips] == [_NUM_FRAMES - 2]


def test_copied_mask_scores_the_overlap_of_a_moving_square(source: Davis2016) -> None:
    report = evaluate_vos(source, CopyTracker, PromptChoice.MASK)
    overlaps = [(30 - 3 * step) / (30 + 3 * step) for step in (1, 2, 3)]
    assert report.region == pytest.approx(sum(overlaps) / 3)


def test_flow_carries_the_mask_along(source: Davis2016) -> None:
    pytest.importorskip("cv2")
    copied = evaluate_vos(source, CopyTracker, PromptChoice.MASK)
    carried = evaluate_vos(source, FlowTracker, PromptChoice.MASK)
    assert carried.region > copied.region


@pytest.mark.parametrize("choice", list(PromptChoice))
def test_segmenter_runs_with_every_prompt_and_writes_indexed_pngs(
    source: Davis2016, choice: PromptChoice, tmp_path: Path
) -> None:
    model, _ = weights.load("tiny")
    seen: list[tuple[str, int]] = []
    report = evaluate_vos(
        source,
        lambda: SegmenterTracker(model, paper(short_side_px=64)),
        choice,
        png_folder=tmp_path / "masks",
        on_frame=lambda clip, position: seen.append((clip, position)),
    )
    assert 0 <= report.mean <= 1
    assert report.frames_per_s > 0
    assert seen == [("square", position) for position in range(_NUM_FRAMES)]
    written = sorted((tmp_path / "masks" / "square").glob("*.png"))
    assert [path.stem for path in written] == [f"{position:05d}" for position in range(_NUM_FRAMES)]
    with Image.open(written[0]) as image:
        assert (image.mode, image.size) == ("P", (128, 96))
        assert set(np.unique(np.array(image))) <= {0, 1}


def test_prompts_describe_the_mask() -> None:
    mask = np.zeros((40, 50), dtype=np.bool_)
    mask[10:21, 20:41] = True
    box, point = prompt_of(mask, PromptChoice.BOX), prompt_of(mask, PromptChoice.POINT)
    given = prompt_of(mask, PromptChoice.MASK)
    assert isinstance(given, MaskPrompt) and np.array_equal(given.mask.numpy(), mask)
    assert isinstance(box, BoxPrompt) and box.box_xyxy == pytest.approx((0.4, 0.25, 0.82, 0.525))
    assert isinstance(point, PointPrompt)
    assert int(point.points_xy[0][1] * 40) == 15  # the middle row is the farthest from the edge
    assert 25 <= int(point.points_xy[0][0] * 50) <= 35
