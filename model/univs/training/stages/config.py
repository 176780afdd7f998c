"""What a stage adds to a training run."""

from dataclasses import dataclass, field

from univs.data.stage_clips import StageClipConfig
from univs.losses.settings import LossSettings
from univs.mask_decoder.separation import SelfAttention
from univs.prompt_encoder.queries import QueryOptions
from univs.prompt_encoder.sampling import CellChoice
from univs.types import Compat


@dataclass(frozen=True, slots=True)
class StageConfig:
    """How a stage decodes its clips, and what that costs.

    Attributes:
        clips: how they are made.
        losses: settings of the paper or of the released code, `univs.losses.settings`.
        window: frames decoded together; a longer clip is cut into windows that share `overlap` frames, and objects are
            remembered from the first window in the later ones. None decodes the clip whole.
        overlap: of two windows, in frames.
        category_probability: how often clips of a data set with exhaustive names are prompted by these instead of
            pictures of the objects.
        content_as_position: how often the mean of a prompt's features stands for the place of its query (released).
        permute_frames: mix the frames of the mask embeddings before the product (released).
        query: how tokens become prompt queries.
        choice: which cells of an object become tokens.
        self_attention: who sees whom; expressions never see each other.
        use_learnable: train the learnable queries too.
        compat: the semantics that the weights are made for, kept in them.
    """

    clips: StageClipConfig = field(default_factory=StageClipConfig)
    losses: LossSettings = field(default_factory=LossSettings)
    window: int | None = None
    overlap: int = 1
    category_probability: float = 0.5
    content_as_position: float = 0.0
    permute_frames: bool = False
    query: QueryOptions = QueryOptions()
    choice: CellChoice = CellChoice.RANDOM
    self_attention: SelfAttention = SelfAttention.SEPARATE
    use_learnable: bool = True
    compat: Compat = Compat.PAPER

    def __post_init__(self) -> None:
        if self.window is not None and not 0 <= self.overlap < self.window:
            raise ValueError(f"overlap must lie in 0..window - 1, got {self.overlap} with a window of {self.window}")
        chances = (self.category_probability, self.content_as_position)
        if not all(0 <= chance <= 1 for chance in chances):
            raise ValueError(f"probabilities must lie in 0..1, got {chances}")

    @property
    def windows(self) -> tuple[range, ...]:
        """Give the frames of each window, by their place in the clip."""
        number = self.clips.num_frames
        if self.window is None or self.window >= number:
            return (range(number),)
        starts = range(0, number - self.overlap, self.window - self.overlap)
        return tuple(range(start, min(start + self.window, number)) for start in starts)
