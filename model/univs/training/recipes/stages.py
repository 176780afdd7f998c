"""The paper's three stages on the full public data sets, by the paper's values and by those of the released code.

A stage starts from the weights of the one before: `univs train r50_stage2 --initial runs/s1/r50-stage1.safetensors`.
Sizes are those of one process; the paper trains 16, 8 and 8 of them (`torchrun`).

Source: UniVS, supplement; SPEC 11.2 and 11.3, and 13 for where the paper and the released code differ. The shares of
the data sets are those of the released configs: the paper's Table 6 has others, which SPEC does not give. EntitySeg,
which the released code adds to the paper's data, has no reader here and is left out.
"""

from dataclasses import replace
from enum import StrEnum

from univs.config import SwinConfig, UniVSConfig, r50, swin_t
from univs.data.jitter import Fit, ShortSide, SquareJitter
from univs.data.mixture import MixtureEntry
from univs.data.stage_clips import MASKS_ONLY, STAGE_PROMPTS, StageClipConfig
from univs.losses.settings import LossSettings, of_long_clips, paper, released
from univs.prompt_encoder.queries import InitialQuery, QueryOptions
from univs.training.config import OptimizerConfig, Schedule, TrainConfig
from univs.training.stages.config import StageConfig
from univs.types import Compat

_NOTE = (
    "trained on public data sets, each under its own terms, most of them for research only: so are these weights. "
    "Names: "
)
_STILLS = (
    MixtureEntry("lvis", 0.5),
    MixtureEntry("coco_panoptic", 1.0),
    MixtureEntry("refcoco", 1 / 3),
    MixtureEntry("refcoco_plus", 1 / 3),
    MixtureEntry("refcocog", 1 / 3),
    MixtureEntry("sa1b", 1.0),
)
_VIDEOS = (
    MixtureEntry("lvis", 0.15),
    MixtureEntry("ovis", 0.35),
    MixtureEntry("ytvis2021", 0.25),
    MixtureEntry("coco_panoptic", 0.25),
    MixtureEntry("vipseg", 0.5),
    MixtureEntry("refcoco", 0.5 / 3),
    MixtureEntry("refcoco_plus", 0.5 / 3),
    MixtureEntry("refcocog", 0.5 / 3),
    MixtureEntry("ref_youtube_vos", 0.35),
    MixtureEntry("sa1b", 0.25),
    MixtureEntry("youtube_vos2018", 0.25),
    MixtureEntry("mose", 0.15),
    MixtureEntry("burst", 0.15),
)
_MORE_EXPRESSIONS = {"refcoco": 0.35 / 3, "refcoco_plus": 0.35 / 3, "refcocog": 0.35 / 3, "ref_youtube_vos": 0.5}
_LONG_VIDEOS = tuple(replace(entry, weight=_MORE_EXPRESSIONS.get(entry.name, entry.weight)) for entry in _VIDEOS)
_BACKBONE, _PIXEL_DECODER = "backbone.", "pixel_decoder."


class Setting(StrEnum):
    """Whose values a stage takes where the paper and the released code differ."""

    PAPER = "paper"
    RELEASED = "released"


def stage1(model: UniVSConfig, setting: Setting) -> TrainConfig:
    """Train on pictures: one frame, nothing frozen, large-scale jitter to 1024 x 1024."""
    is_paper = setting is Setting.PAPER
    jitter = SquareJitter(1024, (0.5, 4.0) if is_paper else (0.25, 4.0))
    stage = StageConfig(
        clips=StageClipConfig(
            num_frames=1, fit=jitter, max_objects=30, rotation_deg=0.0 if is_paper else 15.0, prompts=STAGE_PROMPTS
        ),
        losses=_losses(model, setting),
        content_as_position=0.0 if is_paper else 0.5,
        permute_frames=not is_paper,
        query=_query(setting),
        compat=Compat.PAPER if is_paper else Compat.RELEASED,
    )
    return TrainConfig(
        name=_name(model, 1, setting),
        model=model,
        mixture=_STILLS,
        note=_note(_STILLS),
        stage=stage,
        optimizer=_optimizer(1e-4 if is_paper else 5e-5),
        batch_size=3,
        num_steps=354_000,
    )


def stage2(model: UniVSConfig, setting: Setting) -> TrainConfig:
    """Train on pictures and videos: three frames (released Swin: five), the backbone frozen."""
    first = stage1(model, setting)
    assert first.stage is not None, "set above"
    is_paper, is_swin = setting is Setting.PAPER, isinstance(model.backbone, SwinConfig)
    fit: Fit = SquareJitter(1024, (0.25, 4.0)) if is_swin and not is_paper else ShortSide()
    clips = replace(first.stage.clips, num_frames=5 if is_swin and not is_paper else 3, fit=fit, max_objects=20)
    return replace(
        first,
        name=_name(model, 2, setting),
        mixture=_VIDEOS,
        note=_note(_VIDEOS),
        stage=replace(first.stage, clips=clips),
        frozen=(_BACKBONE,),
        optimizer=_optimizer(5e-5),
        batch_size=1,
        num_steps=708_000 if is_paper else 354_000,
    )


def stage3(model: UniVSConfig, setting: Setting) -> TrainConfig:
    """Train on longer videos: seven frames in windows of five that share one, prompted by masks, remembered."""
    second = stage2(model, setting)
    assert second.stage is not None, "set above"
    is_paper = setting is Setting.PAPER
    losses = second.stage.losses if is_paper else of_long_clips(second.stage.losses)
    clips = replace(second.stage.clips, num_frames=7, fit=ShortSide(), prompts=MASKS_ONLY)
    optimizer = _optimizer(5e-5 if is_paper else 2.5e-5)
    return replace(
        second,
        name=_name(model, 3, setting),
        mixture=_LONG_VIDEOS,
        note=_note(_LONG_VIDEOS),
        stage=replace(second.stage, clips=clips, losses=losses, window=5, overlap=1),
        frozen=(_BACKBONE, _PIXEL_DECODER) if is_paper else (_BACKBONE,),
        optimizer=optimizer if is_paper else replace(optimizer, ema_decay=0.9999),
        num_steps=177_000 if is_paper else 354_000,
    )


def r50_stage1() -> TrainConfig:
    """Train `r50`, stage 1, by the paper."""
    return stage1(r50(), Setting.PAPER)


def r50_stage2() -> TrainConfig:
    """Train `r50`, stage 2, by the paper."""
    return stage2(r50(), Setting.PAPER)


def r50_stage3() -> TrainConfig:
    """Train `r50`, stage 3, by the paper."""
    return stage3(r50(), Setting.PAPER)


def swin_t_stage1() -> TrainConfig:
    """Train `swin_t`, stage 1, by the paper."""
    return stage1(swin_t(), Setting.PAPER)


def swin_t_stage2() -> TrainConfig:
    """Train `swin_t`, stage 2, by the paper."""
    return stage2(swin_t(), Setting.PAPER)


def swin_t_stage3() -> TrainConfig:
    """Train `swin_t`, stage 3, by the paper."""
    return stage3(swin_t(), Setting.PAPER)


def r50_stage1_released() -> TrainConfig:
    """Train `r50`, stage 1, by the released code."""
    return stage1(r50(), Setting.RELEASED)


def r50_stage2_released() -> TrainConfig:
    """Train `r50`, stage 2, by the released code."""
    return stage2(r50(), Setting.RELEASED)


def r50_stage3_released() -> TrainConfig:
    """Train `r50`, stage 3, by the released code."""
    return stage3(r50(), Setting.RELEASED)


def swin_t_stage1_released() -> TrainConfig:
    """Train `swin_t`, stage 1, by the released code."""
    return replace(stage1(swin_t(), Setting.RELEASED), num_steps=324_000)


def swin_t_stage2_released() -> TrainConfig:
    """Train `swin_t`, stage 2, by the released code."""
    return stage2(swin_t(), Setting.RELEASED)


def swin_t_stage3_released() -> TrainConfig:
    """Train `swin_t`, stage 3, by the released code."""
    return stage3(swin_t(), Setting.RELEASED)


def _losses(model: UniVSConfig, setting: Setting) -> LossSettings:
    match setting:
        case Setting.PAPER:
            return paper()
        case Setting.RELEASED:
            return released(is_swin=isinstance(model.backbone, SwinConfig))


def _query(setting: Setting) -> QueryOptions:
    match setting:
        case Setting.PAPER:
            return QueryOptions(InitialQuery.POOL, blanks_attend=False)
        case Setting.RELEASED:
            return QueryOptions(InitialQuery.LATEST, blanks_attend=True)


def _optimizer(learning_rate: float) -> OptimizerConfig:
    """AdamW as both have it: backbone at a tenth, the whole gradient cut at 0.01, one drop near the end, no average."""
    return OptimizerConfig(
        learning_rate=learning_rate,
        backbone_factor=0.1,
        weight_decay=0.05,
        gradient_clip=0.01,
        schedule=Schedule.STEP,
        warmup_steps=0,
        drop_at=342 / 354,
        ema_decay=0.0,
    )


def _name(model: UniVSConfig, stage: int, setting: Setting) -> str:
    ending = "" if setting is Setting.PAPER else f"-{setting.value}"
    return f"{model.name.replace('_', '-')}-stage{stage}{ending}"


def _note(mixture: tuple[MixtureEntry, ...]) -> str:
    return _NOTE + ", ".join(entry.name for entry in mixture)
