"""Training clips: frames of a video or a still set in motion, objects pasted in front, simulated prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from univs.data.composition import PasteConfig, PastedObject, Scene, paste
from univs.data.motion import Framing, MotionRange, random_motion
from univs.data.naming import absent_names, mirrored, unambiguous
from univs.data.photometric import LightRange, relight
from univs.data.sample import UNKNOWN_CATEGORY, Picture, Sample, Source
from univs.data.simulate_prompts import PromptMix, simulate_prompt
from univs.data.warp import warp

STILL_MOTION = MotionRange()
VIDEO_MOTION = MotionRange(shift=0.04, rotation_deg=4.0, zoom=0.05, shear=0.0, jitter=0.0, warp=0.0)

_ATTEMPTS = 8  # draws of an item before a clip without objects is given


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """How training clips are made.

    The first frame holds the prompts. `first_gap` says how far away the second may be, `gap` how far apart the
    others: a tracker knows an object by its first appearance, long ago, and by the frames just before.
    """

    num_frames: int = 3
    size: tuple[int, int] = (224, 384)  # (height, width) in pixels, multiples of 32
    max_objects: int = 4
    min_area: float = 0.002  # fraction of the frame an object must cover in the first frame
    first_gap: int = 40
    gap: int = 3
    min_crop: float = 0.45  # smallest crop, as a fraction of the largest that fits
    still_motion: MotionRange = STILL_MOTION
    video_motion: MotionRange = VIDEO_MOTION
    light: LightRange = field(default_factory=LightRange)
    pasting: PasteConfig = field(default_factory=PasteConfig)
    prompts: PromptMix = field(default_factory=PromptMix)

    def __post_init__(self) -> None:
        if self.size[0] % 32 or self.size[1] % 32:
            raise ValueError(f"size must be multiples of 32 pixels, got {self.size}")


def make_clip(rng: np.random.Generator, source: Source, paste_sources: Sequence[Source], config: ClipConfig) -> Sample:
    """Make one training clip of a random item of a source; the same `rng` state gives the same clip.

    Args:
        rng: source of randomness.
        source: where the clip comes from.
        paste_sources: where pasted objects come from; none are pasted when it is empty.
        config: how clips are made.
    """
    for attempt in range(_ATTEMPTS):
        frame_indices, scene, unseen = _base_scene(rng, source, config)
        has_strangers = False
        if paste_sources and rng.random() < config.pasting.probability:
            for _ in range(int(rng.integers(1, config.pasting.max_objects + 1))):
                pasted = _draw_pasted(rng, source.vocabulary, paste_sources)
                if pasted is not None:
                    scene = paste(rng, scene, pasted, frame_indices, config.pasting)
                    has_strangers |= pasted.category_id == UNKNOWN_CATEGORY
        kept = _kept_objects(rng, scene.masks, config)
        if kept or attempt == _ATTEMPTS - 1:
            break
    masks = scene.masks[kept]
    texts = unambiguous(scene.texts, unseen)
    names = _names(source.vocabulary, scene.category_ids)
    knows_absent = source.is_exhaustive and not has_strangers  # a stranger's name may be another word for one of ours
    return Sample(
        images=relight(rng, scene.images, config.light).to(torch.uint8),
        frame_indices=torch.tensor(frame_indices, dtype=torch.int64),
        masks=masks,
        category_ids=torch.tensor([scene.category_ids[row] for row in kept], dtype=torch.int64),
        texts=tuple(texts[row] for row in kept),
        prompts=tuple(
            simulate_prompt(rng, mask[0], object_id, frame_indices[0], config.prompts)
            for object_id, mask in enumerate(masks)
        ),
        vocabulary=source.vocabulary,
        is_exhaustive=source.is_exhaustive and len(kept) == len(scene.masks),
        absent_names=absent_names(source.vocabulary, (*names, *unseen)) if knows_absent else (),
    )


def draw_positions(rng: np.random.Generator, num_available: int, config: ClipConfig) -> list[int]:
    """Draw the positions of a clip's frames in a video, increasing: a wide first gap, narrow ones after it.

    A video with too few frames repeats its last one.
    """
    widest = max(1, min(config.first_gap, num_available - config.num_frames))
    first_gap = round(float(np.exp(rng.uniform(0, np.log(widest + 0.49)))))
    gaps = [
        first_gap,
        *(int(gap) for gap in rng.integers(1, config.gap + 1, size=max(0, config.num_frames - 2))),
    ]
    offsets = np.concatenate([[0], np.cumsum(gaps)])[: config.num_frames]
    start = int(rng.integers(0, max(1, num_available - int(offsets[-1]))))
    return [min(start + int(offset), num_available - 1) for offset in offsets]


def _base_scene(
    rng: np.random.Generator, source: Source, config: ClipConfig
) -> tuple[list[int], Scene, tuple[str, ...]]:
    """Give positions of frames, what they show, and texts and names of the objects that were left out."""
    item_index = int(rng.integers(len(source)))
    num_available = source.num_frames(item_index)
    is_still = num_available == 1
    positions = draw_positions(
        rng, config.first_gap + config.num_frames * config.gap if is_still else num_available, config
    )
    if is_still:
        pictures = [source.read(item_index, 0)]
    else:
        order = positions[::-1] if rng.random() < 0.5 else positions
        pictures = [source.read(item_index, position) for position in order]
    first = pictures[0]
    rows = _large_objects(rng, first.masks, config)
    layers = torch.stack([torch.cat([picture.image, picture.masks[rows]]).float() for picture in pictures])
    framing = _draw_framing(rng, first.masks[rows], first.image.shape[-2:], config)
    motion = random_motion(
        rng,
        positions,
        framing,
        config.still_motion if is_still else config.video_motion,
    )
    moved = warp(layers[0] if is_still else layers, motion, config.size, is_mirrored_outside=True)
    texts = [mirrored(text) for text in first.texts] if framing.is_flipped else first.texts
    scene = Scene(
        images=moved[:, :3],
        masks=(moved[:, 3:] > 0.5).transpose(0, 1),
        category_ids=tuple(first.category_ids[row] for row in rows),
        texts=tuple(texts[row] for row in rows),
    )
    left_out = [row for row in range(len(texts)) if row not in rows]
    names = _names(source.vocabulary, [first.category_ids[row] for row in left_out])
    return positions, scene, (*(texts[row] for row in left_out), *names)


def _names(vocabulary: Sequence[str], category_ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(vocabulary[category_id] for category_id in category_ids if category_id != UNKNOWN_CATEGORY)


def _draw_framing(rng: np.random.Generator, masks: Tensor, size: Sequence[int], config: ClipConfig) -> Framing:
    """Draw a crop that sees an object, and whether it is mirrored."""
    height, width = size
    fit = min(height / config.size[0], width / config.size[1])
    pixels_per_pixel = fit * float(np.exp(rng.uniform(np.log(config.min_crop), 0)))
    window = pixels_per_pixel * np.array([config.size[1], config.size[0]])
    focus = rng.random(2) * [width, height]
    if len(masks):
        inside = torch.nonzero(masks[int(rng.integers(len(masks)))])
        row, column = inside[int(rng.integers(len(inside)))].tolist()
        focus = np.array([column, row]) + rng.uniform(-0.35, 0.35, size=2) * window
    centre = np.clip(focus, window / 2, np.maximum(window / 2, np.array([width, height]) - window / 2))
    return Framing(
        centre_xy=(float(centre[0]), float(centre[1])),
        pixels_per_pixel=pixels_per_pixel,
        is_flipped=bool(rng.random() < 0.5),
        short_side_px=min(config.size),
    )


def _draw_pasted(
    rng: np.random.Generator, vocabulary: tuple[str, ...], paste_sources: Sequence[Source]
) -> PastedObject | None:
    """Draw an object to paste, of a random picture; None where the picture has none that suits."""
    other = paste_sources[int(rng.integers(len(paste_sources)))]
    item_index = int(rng.integers(len(other)))
    picture = other.read(item_index, int(rng.integers(other.num_frames(item_index))))
    rows = _pasteable(picture)
    if not rows:
        return None
    row = rows[int(rng.integers(len(rows)))]
    category_id = picture.category_ids[row] if other.vocabulary == vocabulary else UNKNOWN_CATEGORY
    return PastedObject(picture, row, category_id)


def _pasteable(picture: Picture) -> list[int]:
    """Choose the objects that are neither specks nor background: 1% to 50% of their picture."""
    shares = picture.masks.flatten(1).float().mean(dim=1) if len(picture.masks) else torch.zeros(0)
    return [row for row, share in enumerate(shares.tolist()) if 0.01 <= share <= 0.5]


def _large_objects(rng: np.random.Generator, masks: Tensor, config: ClipConfig) -> list[int]:
    """Choose the objects worth moving: not specks, and at most three times as many as a clip keeps."""
    if not len(masks):
        return []
    shares = masks.flatten(1).float().mean(dim=1).tolist()
    rows = [row for row, share in enumerate(shares) if share >= config.min_area / 2]
    return _subset(rng, rows, 3 * config.max_objects)


def _kept_objects(rng: np.random.Generator, masks: Tensor, config: ClipConfig) -> list[int]:
    """Choose the objects of the clip: those that show in its first frame, at most `max_objects`."""
    if not len(masks):
        return []
    shares = masks[:, 0].flatten(1).float().mean(dim=1).tolist()
    return _subset(rng, [row for row, share in enumerate(shares) if share >= config.min_area], config.max_objects)


def _subset(rng: np.random.Generator, rows: list[int], limit: int) -> list[int]:
    if len(rows) <= limit:
        return rows
    return sorted(int(row) for row in rng.choice(rows, size=limit, replace=False))
