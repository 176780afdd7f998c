"""The losses of the stages as two named settings: of the paper, and of the released code.

Source: UniVS, supplement; SPEC 11.1 and 13, which say where the two differ.
"""

from dataclasses import dataclass, field, replace

from univs.losses.contrastive import ContrastiveSettings
from univs.losses.matcher import MatchCosts
from univs.losses.points import PointSampling
from univs.losses.report import LossWeights


@dataclass(frozen=True, slots=True)
class LossSettings:
    """All that a criterion of a stage needs to know.

    Attributes:
        weights: what each part counts.
        costs: of the matcher.
        points: where masks are compared.
        contrastive: how embeddings are compared within a clip.
        between_clips: how they are compared between the clips of a video; None leaves that out.
        with_softmax: matched queries are classified by softmax cross-entropy as well as by focal loss.
    """

    weights: LossWeights = field(default_factory=LossWeights)
    costs: MatchCosts = field(default_factory=MatchCosts)
    points: PointSampling = field(default_factory=PointSampling)
    contrastive: ContrastiveSettings = field(default_factory=ContrastiveSettings)
    between_clips: ContrastiveSettings | None = None
    with_softmax: bool = False


def paper() -> LossSettings:
    """Give the paper's values: masks 5, classes 3, ReID 0.5; focal loss alone; 75% of the points where it is unsure."""
    return LossSettings(
        weights=LossWeights(cross_entropy=5.0, dice=5.0, category=3.0, contrastive=0.5, auxiliary=0.5),
        costs=MatchCosts(category=3.0, cross_entropy=5.0, dice=5.0, num_points=12544),
        points=PointSampling(num_points=12544, oversampling=3.0, uncertain_share=0.75),
    )


def released(*, is_swin: bool = False) -> LossSettings:
    """Give the released code's values: classes 5, ReID 0.5 (0.25 with a Swin backbone), focal loss and softmax.

    Classes count 3 in the matcher as in the paper; half of the points lie where the prediction is unsure.
    """
    reid = 0.25 if is_swin else 0.5
    return LossSettings(
        weights=LossWeights(cross_entropy=5.0, dice=5.0, category=5.0, contrastive=reid, auxiliary=reid),
        costs=MatchCosts(category=3.0, cross_entropy=5.0, dice=5.0, num_points=12544),
        points=PointSampling(num_points=12544, oversampling=3.0, uncertain_share=0.5),
        contrastive=ContrastiveSettings(counts_itself=True, averages_pairs=False),
        with_softmax=True,
    )


def of_long_clips(settings: LossSettings) -> LossSettings:
    """Give what the released third stage makes of them: every ReID weight halved, clips compared with each other."""
    weights = settings.weights
    return replace(
        settings,
        weights=replace(weights, contrastive=weights.contrastive / 2, auxiliary=weights.auxiliary / 2),
        between_clips=replace(
            settings.contrastive, num_negatives=30, background_share=0.0, is_random=True, num_positives=3
        ),
    )
