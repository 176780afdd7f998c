"""Clips of the training stages: frames drawn around one of a video, or a still repeated and set in motion.

Other than in `univs.data.clips`, nothing is pasted or relit, an object may be prompted in any frame of its clip, and
objects that come and go take part.

Source: UniVS, supplement; SPEC 11.2 and 11.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from univs.data.images import resize_image, resize_masks
from univs.data.jitter import Fit, Placement, SquareJitter, place
from univs.data.motion import Motion
from univs.data.naming import absent_names, mirrored, unambiguous
from univs.data.sample import UNKNOWN_CATEGORY, Picture, Sample, Source
from univs.data.simulate_prompts import PromptMix, simulate_prompt
from univs.data.warp import warp
from univs.types import VisualPrompt

STAGE_PROMPTS = PromptMix(
    mask=0.5, box=0.25, point=0.25, scribble=0.0, negative_point_probability=0.0, rough_mask_probability=0.0
)
MASKS_ONLY = PromptMix(
    mask=1.0, box=0.0, point=0.0, scribble=0.0, negative_point_probability=0.0, rough_mask_probability=0.0
)
_ATTEMPTS = 8  # draws of an item before a clip without objects is given
_VIRTUAL_FRAMES = 3  # a still stands for so many times T frames (SPEC 11.3)
_LAST_INDEX = 127  # positions in time are learned up to here; clips from beyond are shifted down


@dataclass(frozen=True, slots=True)
class StageClipConfig:
    """How clips of a stage are made.

    Attributes:
        num_frames: T.
        fit: how pictures lie in frames.
        max_objects: of one clip.
        reach: how far from the drawn frame of a video its companions may lie.
        rotation_deg: largest angle of a frame; 0 is none.
        min_pixels: what an object must cover in one frame at least.
        prompts: what is simulated.
        fill_rgb: the colour beyond the picture; the network's mean colour is a zero to it.
    """

    num_frames: int = 1
    fit: Fit = field(default_factory=SquareJitter)
    max_objects: int = 30
    reach: int = 40
    rotation_deg: float = 0.0
    min_pixels: int = 32
    prompts: PromptMix = STAGE_PROMPTS
    fill_rgb: tuple[float, float, float] = (123.675, 116.28, 103.53)

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.max_objects < 1 or self.reach < 0:
            raise ValueError(
                "need num_frames and max_objects of 1 or more and reach of 0 or more, got "
                f"{self.num_frames}, {self.max_objects} and {self.reach}"
            )


@dataclass(frozen=True, slots=True)
class _Scene:
    """A clip in the making; rows are objects of the item."""

    images: Tensor  # uint8 [T, 3, H, W]
    masks: Tensor  # bool [O, T, H, W]
    rows: list[int]


def make_stage_clip(rng: np.random.Generator, source: Source, config: StageClipConfig) -> Sample:
    """Make one clip of a random item of a source; the same `rng` state gives the same clip."""
    for _ in range(_ATTEMPTS):
        item_index = int(rng.integers(len(source)))
        positions = draw_frames(rng, source.num_frames(item_index), config)
        pictures = _read(source, item_index, positions)
        size = (int(pictures[0].image.shape[-2]), int(pictures[0].image.shape[-1]))
        placement = place(rng, size, config.num_frames, config.fit, config.rotation_deg)
        scene = _draw(pictures, _chosen_rows(rng, pictures, config), placement, config)
        keys = _key_positions(positions)
        kept = _subset(rng, _visible(scene.masks[:, keys], config.min_pixels), config.max_objects)
        if kept:
            break
    return _sample(rng, source, config, pictures[0], scene, kept, _shifted(positions), placement.is_flipped)


def draw_frames(rng: np.random.Generator, num_available: int, config: StageClipConfig) -> list[int]:
    """Draw the frames of a clip, sorted: one of the video, the others with replacement from around it.

    A still is a video of 3 T frames, all alike.
    """
    if num_available == 1:
        return sorted(int(index) for index in rng.integers(_VIRTUAL_FRAMES * config.num_frames, size=config.num_frames))
    first = int(rng.integers(num_available))
    lowest, highest = max(0, first - config.reach), min(num_available - 1, first + config.reach)
    others = rng.integers(lowest, highest + 1, size=config.num_frames - 1)
    return sorted([first, *(int(index) for index in others)])


def _read(source: Source, item_index: int, positions: Sequence[int]) -> list[Picture]:
    """Read the pictures of a clip, each once; a still is one picture for all frames."""
    if source.num_frames(item_index) == 1:
        return [source.read(item_index, 0)] * len(positions)
    read = {position: source.read(item_index, position) for position in set(positions)}
    return [read[position] for position in positions]


def _chosen_rows(rng: np.random.Generator, pictures: Sequence[Picture], config: StageClipConfig) -> list[int]:
    """Choose the objects worth drawing: visible ones, each once, at most twice as many as a clip keeps.

    Several expressions of one object have the same masks: one of them is drawn.
    """
    by_look: dict[tuple[int, ...], int] = {}
    for row in rng.permutation(len(pictures[0].masks)).tolist():
        looks = [picture.masks[row] for picture in _distinct(pictures)]
        if any(bool(look.any()) for look in looks):
            by_look[tuple(hash(look.numpy().tobytes()) for look in looks)] = row
    return _subset(rng, sorted(by_look.values()), 2 * config.max_objects)


def _draw(pictures: Sequence[Picture], rows: list[int], placement: Placement, config: StageClipConfig) -> _Scene:
    """Bring pictures and masks into their frames, one frame at a time."""
    fill = torch.tensor(config.fill_rgb).view(3, 1, 1)
    layers = {id(picture): _layers(picture, rows, placement, fill) for picture in _distinct(pictures)}
    images, masks = [], []
    for position, picture in enumerate(pictures):
        own = layers[id(picture)]
        motion = placement.motion((own.shape[-2], own.shape[-1]))
        here = Motion(motion.matrices[position : position + 1], None)
        frame = warp(own, here, placement.frame_px, is_mirrored_outside=False)[0]  # [3 + O, H, W]
        images.append((frame[:3] + fill).round().clamp(0, 255).to(torch.uint8))
        masks.append(frame[3:] > 0.5)
    return _Scene(torch.stack(images), torch.stack(masks, dim=1), rows)


def _layers(picture: Picture, rows: list[int], placement: Placement, fill: Tensor) -> Tensor:
    """Lay colours, less the fill, above masks: float [3 + O, H, W]; a picture that shrinks is shrunk here, smoothly."""
    image, masks = picture.image, picture.masks[rows]
    if placement.picture_px[0] < image.shape[-2]:
        image, masks = resize_image(image, placement.picture_px), resize_masks(masks, placement.picture_px)
    return torch.cat([image.float() - fill, masks.float()])


def _sample(
    rng: np.random.Generator,
    source: Source,
    config: StageClipConfig,
    picture: Picture,
    scene: _Scene,
    kept: list[int],
    indices: list[int],
    is_flipped: bool,
) -> Sample:
    masks = scene.masks[kept]
    rows = [scene.rows[index] for index in kept]
    texts = unambiguous([mirrored(text) for text in picture.texts] if is_flipped else picture.texts, ())
    names = [source.vocabulary[each] for each in picture.category_ids if each != UNKNOWN_CATEGORY]
    has_all = len(scene.rows) < 2 * config.max_objects and len(kept) == len(_visible(scene.masks, config.min_pixels))
    return Sample(
        images=scene.images,
        frame_indices=torch.tensor(indices, dtype=torch.int64),
        masks=masks,
        category_ids=torch.tensor([picture.category_ids[row] for row in rows], dtype=torch.int64),
        texts=tuple(texts[row] for row in rows),
        prompts=_prompts(rng, masks, indices, config),
        vocabulary=source.vocabulary,
        is_exhaustive=source.is_exhaustive and has_all,
        absent_names=absent_names(source.vocabulary, names) if source.is_exhaustive else (),
    )


def _prompts(
    rng: np.random.Generator, masks: Tensor, indices: Sequence[int], config: StageClipConfig
) -> tuple[VisualPrompt, ...]:
    """Simulate a prompt for each object, in one key frame for all; those that are not in it, in one where they are."""
    keys = _key_positions(indices)
    key = keys[int(rng.integers(len(keys)))]
    prompts = []
    for object_id, mask in enumerate(masks):
        shown = [position for position in keys if bool(mask[position].any())]
        position = key if key in shown else shown[int(rng.integers(len(shown)))]
        prompts.append(simulate_prompt(rng, mask[position], object_id, indices[position], config.prompts))
    return tuple(prompts)


def _key_positions(indices: Sequence[int]) -> list[int]:
    """Give the frames that a prompt may name by index: of those that share one, the first."""
    return [position for position, index in enumerate(indices) if index not in indices[:position]]


def _visible(masks: Tensor, min_pixels: int) -> list[int]:
    """Give the rows that cover enough pixels in some frame."""
    if not len(masks):
        return []
    largest = masks.flatten(2).sum(dim=2).amax(dim=1).tolist()
    return [row for row, pixels in enumerate(largest) if pixels >= min_pixels]


def _shifted(positions: Sequence[int]) -> list[int]:
    """Shift frames down so that the last has a position that is learned; stills and early clips stay."""
    beyond = max(0, max(positions) - _LAST_INDEX)
    return [max(0, position - beyond) for position in positions]


def _distinct(pictures: Sequence[Picture]) -> list[Picture]:
    return list({id(picture): picture for picture in pictures}.values())


def _subset(rng: np.random.Generator, rows: list[int], limit: int) -> list[int]:
    if len(rows) <= limit:
        return rows
    return sorted(int(row) for row in rng.choice(rows, size=limit, replace=False))
