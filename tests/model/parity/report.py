"""What was compared with the published network, and the table of it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REPLAYED = "float32-replayed"  # in float32, but for the attention masks, which are those of the float64 run
# Cells of attention masks in that run: those that float32 would decide as float64 did; the error is the logit farthest
# from zero at which it would not.
ATTENTION = "attention-cells"


@dataclass(frozen=True, slots=True)
class MaskIou:
    """How far masks agree, where logits are above zero."""

    together: float  # of all masks as one
    worst: float  # of the mask that agrees least


@dataclass(frozen=True, slots=True)
class Comparison:
    """One tensor of ours beside one of a fixture."""

    fixture: str
    kind: str  # how ours was computed: float64, float32, or `REPLAYED`; or `ATTENTION`
    error: float  # the larger of: relative error, and largest error over the largest entry
    num_close: int  # entries within 1e-3 max(1, rms)
    num_entries: int
    mask_iou: MaskIou | None = None  # where masks were compared

    def to_text(self) -> str:
        """Write it as one line, which a test run over several processes can carry."""
        iou = "" if self.mask_iou is None else f"{self.mask_iou.together!r}/{self.mask_iou.worst!r}"
        return f"{self.fixture} {self.kind} {self.error!r} {self.num_close} {self.num_entries} {iou}"

    @classmethod
    def from_text(cls, text: str) -> "Comparison":
        """Read what `to_text` wrote."""
        fixture, kind, error, num_close, num_entries, iou = text.split(" ")
        together, _, worst = iou.partition("/")
        masks = MaskIou(float(together), float(worst)) if iou else None
        return cls(fixture, kind, float(error), int(num_close), int(num_entries), masks)


_compared: list[Comparison] = []


def note(comparison: Comparison) -> None:
    """Keep a comparison with a fixture until the test that made it ends."""
    if comparison.fixture:
        _compared.append(comparison)


def take() -> list[Comparison]:
    """Give what was noted since the last call."""
    taken = list(_compared)
    _compared.clear()
    return taken


def table(comparisons: Iterable[Comparison], expected: Iterable[str]) -> str:
    """Write the table in Markdown; a fixture of `expected` that nothing was compared with says so."""
    of: dict[str, list[Comparison]] = defaultdict(list, {name: [] for name in expected})
    for comparison in comparisons:
        of[comparison.fixture].append(comparison)
    lines = [
        "| fixture | max relative error, float64 | within tolerance, float32 | mask IoU (worst), float32 "
        "| within tolerance, float32 with the attention masks of float64 | mask IoU (worst) "
        "| attention cells that float32 turns (largest logit) | comparisons |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in sorted(of):
        double = [comparison.error for comparison in of[name] if comparison.kind == "float64"]
        cells = [
            f"{max(double):.1e}" if double else "not compared",
            *_shares(of[name], "float32", "not compared"),
            *_shares(of[name], REPLAYED, ""),
            _turned(of[name]),
            str(sum(comparison.kind != ATTENTION for comparison in of[name])),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shares(comparisons: Sequence[Comparison], kind: str, nothing: str) -> tuple[str, str]:
    """Give the share of entries within tolerance and the IoU of all masks and of the worst."""
    found = [comparison for comparison in comparisons if comparison.kind == kind]
    entries = sum(comparison.num_entries for comparison in found)
    ious = [comparison.mask_iou for comparison in found if comparison.mask_iou is not None]
    share = f"{sum(comparison.num_close for comparison in found) / entries:.2%}" if entries else nothing
    if not ious:
        return share, ""
    return share, f"{min(iou.together for iou in ious):.4f} ({min(iou.worst for iou in ious):.4f})"


def _turned(comparisons: Sequence[Comparison]) -> str:
    """Say how many cells of attention masks float32 decides otherwise, of how many, and how far from zero."""
    found = [comparison for comparison in comparisons if comparison.kind == ATTENTION]
    if not found:
        return ""
    cells = sum(comparison.num_entries for comparison in found)
    turned = cells - sum(comparison.num_close for comparison in found)
    return f"{turned} of {cells:,} ({max(comparison.error for comparison in found):.0e})"
