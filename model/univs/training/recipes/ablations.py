"""The paper's ablations, as networks that differ from one base by named options; each is small enough for minutes.

A variant is what a table has as a row: how a network is trained, stage after stage, and how it is run. Two variants
with equal training are one network, trained once. `univs.training.ablations` trains and measures them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from univs.config import PromptingConfig, SelfAttention, TokenPath, UniVSConfig, tiny
from univs.data.clips import ClipConfig
from univs.data.composition import PasteConfig
from univs.data.mixture import MixtureEntry
from univs.data.simulate_prompts import PromptMix
from univs.errors import InputError
from univs.inference.entities.options import Tracker
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.training.config import MonitorConfig, OptimizerConfig, TrainConfig
from univs.training.rollout import RolloutConfig
from univs.training.texts import TextPrompting

NUM_STEPS = 300  # of a variant, all stages together
_SEPARATE = PromptingConfig(self_attention=SelfAttention.SEPARATE)
_PLAIN = replace(_SEPARATE, self_attention=SelfAttention.NONE)


class Figure(StrEnum):
    """What variants are compared by, in percent."""

    TRACKS = "AP"  # of instances found by category and followed (VIS)
    PANOPTIC = "VPQ"  # of things and stuff (VPS)
    ASSOCIATION = "STQ"  # of the same
    SHOWN = "J&F mask"  # of objects whose first mask is given (VOS)
    NAMED = "J&F text"  # of objects that an expression names (RefVOS)


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of a table.

    Attributes:
        name: of the row.
        training: stages, each from the weights of the one before.
        tracker: what found entities are followed by; `QUERIES` follows objects that are shown by a mask alike.
        interval: frames between two detections.
        paper: figures that the paper gives for it, as far as we know them.
    """

    name: str
    training: tuple[TrainConfig, ...]
    tracker: Tracker = Tracker.PROMPTS
    interval: int = 1
    paper: tuple[tuple[Figure, float], ...] = ()

    def fitted(self, num_steps: int, text_dim: int) -> tuple[TrainConfig, ...]:
        """Give the stages with this many steps altogether, shared out as before, in a text space of this width."""
        whole = sum(stage.num_steps for stage in self.training)
        return tuple(
            replace(
                stage,
                model=replace(stage.model, text_dim=text_dim),
                num_steps=max(1, round(stage.num_steps * num_steps / whole)),
            )
            for stage in self.training
        )


@dataclass(frozen=True, slots=True)
class Ablation:
    """One table.

    Attributes:
        name: as the command line knows it.
        table: of the paper.
        question: what it answers.
        figures: its columns.
        variants: its rows.
        paper_note: on what the paper measured, where figures of it are given.
    """

    name: str
    table: str
    question: str
    figures: tuple[Figure, ...]
    variants: tuple[Variant, ...]
    paper_note: str = ""


def base() -> TrainConfig:
    """Train the paper's network, at its smallest, for all tasks: masks, boxes, points, texts and categories."""
    return TrainConfig(
        name="ablation",
        model=_network(_SEPARATE),
        mixture=(MixtureEntry("world", 1.0),),
        clip=ClipConfig(
            num_frames=2,
            size=(64, 96),
            max_objects=4,
            min_crop=0.8,
            first_gap=6,
            gap=2,
            pasting=PasteConfig(probability=0.0),
        ),
        rollout=RolloutConfig(correction_probability=0.0, with_auxiliary=False),
        points=PointSampling(num_points=512),
        costs=MatchCosts(num_points=512),
        optimizer=OptimizerConfig(learning_rate=3e-3, backbone_factor=1.0, warmup_steps=10, ema_decay=0.98),
        monitor=MonitorConfig(log_every=1, picture_every=0, save_every=0),
        learnable_share=1.0,
        batch_size=2,
        num_steps=NUM_STEPS,
        texts=TextPrompting(probability=0.3, num_absent=0),
    )


def prompting() -> Ablation:
    """Ask what prompts as queries and the prompt cross-attention (ProCA) bring."""
    learnable = replace(base(), trains_prompts=False, texts=None)
    return Ablation(
        "prompting",
        "Table 4a",
        "What do prompts as queries bring, and the prompt cross-attention (ProCA)?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.SHOWN, Figure.NAMED),
        (
            Variant("learnable queries only, matched by similarity", (learnable,), Tracker.QUERIES),
            Variant("ProCA from a query that knows no prompt", _with(replace(_SEPARATE, are_queries=False))),
            Variant("prompts as queries, no ProCA", _with(replace(_SEPARATE, tokens=TokenPath.NOWHERE))),
            Variant("prompts as queries and ProCA", (base(),)),
        ),
    )


def tracking() -> Ablation:
    """Ask what prompts bring against matching of queries, and what training on long videos brings."""
    short, long = (base(),), _with_stage_3()
    return Ablation(
        "tracking",
        "Table 4b",
        "What do prompts bring for tracking, against queries that are matched by similarity, and what does stage 3?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.ASSOCIATION, Figure.SHOWN),
        (
            Variant("similarity of queries", short, Tracker.QUERIES),
            Variant("prompts", short),
            Variant("similarity of queries, with stage 3", long, Tracker.QUERIES),
            Variant("prompts, with stage 3", long),
        ),
    )


def interaction() -> Ablation:
    """Ask where queries should meet prompts."""
    return Ablation(
        "interaction",
        "Table 7 (Fig. 7)",
        "Where should queries meet the tokens of prompts?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.SHOWN, Figure.NAMED),
        (
            Variant("Mask2Former: nowhere, plain self-attention", _with(replace(_PLAIN, tokens=TokenPath.NOWHERE))),
            Variant("SEEM: in a plain self-attention", _with(replace(_PLAIN, tokens=TokenPath.SELF_ATTENTION))),
            Variant("UniVS: in ProCA, separated self-attention", (base(),)),
            Variant("UniVS and UNINEXT's early fusion", _with(replace(_SEPARATE, early_fusion=True))),
        ),
    )


def self_attention() -> Ablation:
    """Ask which queries should see each other."""
    kinds = (
        ("plain", SelfAttention.NONE),
        ("SepSA-learnable", SelfAttention.PROMPTS_SEE_LEARNABLE),
        ("SepSA-entity", SelfAttention.BLOCKED),
    )
    return Ablation(
        "self-attention",
        "Table 8",
        "Which queries should see each other?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.SHOWN, Figure.NAMED),
        (
            *(Variant(name, _with(replace(_SEPARATE, self_attention=kind))) for name, kind in kinds),
            Variant("SepSA", (base(),)),
        ),
    )


def detection_interval() -> Ablation:
    """Ask how often new entities should be looked for."""
    paper = {3: ((Figure.PANOPTIC, 38.6), (Figure.ASSOCIATION, 45.8))}
    return Ablation(
        "detection-interval",
        "Table 9",
        "How many frames apart should new entities be looked for?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.ASSOCIATION),
        tuple(
            Variant(f"every {interval}", (base(),), interval=interval, paper=paper.get(interval, ()))
            for interval in (1, 3, 5, 7, 9)
        ),
        paper_note="VIPSeg, its main result, with which interval 3 of its ablation coincides",
    )


def category_only() -> Ablation:
    """Ask what the tasks whose targets are given by prompts do to those whose targets are found by category."""
    first = base()
    found = replace(first, clip=replace(first.clip, prompts=PromptMix(mask=1, box=0, point=0, scribble=0)), texts=None)
    return Ablation(
        "category-only",
        "Table 10",
        "Does training for prompts of all kinds cost, where targets are found by category?",
        (Figure.TRACKS, Figure.PANOPTIC, Figure.ASSOCIATION),
        (Variant("categories only", (found,)), Variant("all tasks", (first,))),
    )


ABLATIONS: dict[str, Callable[[], Ablation]] = {
    "prompting": prompting,
    "tracking": tracking,
    "interaction": interaction,
    "self-attention": self_attention,
    "detection-interval": detection_interval,
    "category-only": category_only,
}


def find_ablation(name: str) -> Ablation:
    """Give an ablation by name.

    Raises:
        InputError: for an unknown name.
    """
    if name not in ABLATIONS:
        raise InputError(f"expected an ablation of {tuple(ABLATIONS)}, got {name!r}")
    return ABLATIONS[name]()


def _network(prompting: PromptingConfig) -> UniVSConfig:
    """Give `tiny` without what goes beyond the paper: the readout would bring prompts in by another way."""
    model = tiny()
    memory = replace(model.memory, dense_readout=False, mask_prior=False, look_back_radius=0, num_frames=2)
    return replace(model, memory=memory, prompting=prompting)


def _with(prompting: PromptingConfig) -> tuple[TrainConfig]:
    return (replace(base(), model=_network(prompting)),)


def _with_stage_3() -> tuple[TrainConfig, TrainConfig]:
    """Spend the last third of the steps on clips twice as long, with a frozen backbone and half the learning rate."""
    first = base()
    rate = first.optimizer.learning_rate / 2
    long = replace(
        first,
        clip=replace(first.clip, num_frames=4),
        frozen=("backbone.",),
        optimizer=replace(first.optimizer, learning_rate=rate),
        num_steps=NUM_STEPS // 3,
    )
    return replace(first, num_steps=NUM_STEPS - long.num_steps), long
