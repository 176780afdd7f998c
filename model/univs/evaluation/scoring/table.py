"""What scoring gives: a table of figures, its first row over everything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Figures of the whole split, of a class, or of an object."""

    name: str
    values: tuple[float, ...]  # one per column; NaN where nothing was counted


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Figures by name."""

    columns: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    clips: tuple[ScoreRow, ...] = ()  # the same figures of each video alone, where that means something

    def __post_init__(self) -> None:
        assert self.rows, "the first row is over everything"
        assert all(len(row.values) == len(self.columns) for row in (*self.rows, *self.clips))
