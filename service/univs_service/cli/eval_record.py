"""What an evaluation measured, as a file: the figures with the weights, the machine and the command behind them."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from univs_service.cli.machine import Machine
from univs_service.cli.score_table import json_rows

if TYPE_CHECKING:
    from univs.evaluation.run import VosReport
    from univs.evaluation.scoring.table import ScoreTable


class ClipFigures(BaseModel):
    """Scores of one clip, each in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str
    region: float = Field(description="J, mean over the scored frames")
    boundary: float = Field(description="F, mean over the scored frames")
    num_frames: int


class VosRecord(BaseModel):
    """Figures of one evaluation; means are over clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(description="name of the weights, or what the baseline does")
    weights_sha256: str | None = Field(description="hash of the content of the weights; null for a baseline")
    data: str
    split: str
    prompt: str
    short_side_px: int | None = Field(description="what the network saw; null for a baseline")
    region: float
    boundary: float
    mean: float = Field(description="J&F")
    frames_per_s: float
    clips: tuple[ClipFigures, ...]
    machine: Machine

    @classmethod
    def of(
        cls,
        report: "VosReport",
        *,
        subject: str,
        weights_sha256: str | None,
        data: str,
        split: str,
        prompt: str,
        short_side_px: int | None,
        machine: Machine,
    ) -> "VosRecord":
        """Take the figures of a report, rounded to what can be compared."""
        return cls(
            subject=subject,
            weights_sha256=weights_sha256,
            data=data,
            split=split,
            prompt=prompt,
            short_side_px=short_side_px,
            region=round(report.region, 4),
            boundary=round(report.boundary, 4),
            mean=round(report.mean, 4),
            frames_per_s=round(report.frames_per_s, 2),
            clips=tuple(
                ClipFigures(
                    clip=clip.clip,
                    region=round(clip.region, 4),
                    boundary=round(clip.boundary, 4),
                    num_frames=clip.num_frames,
                )
                for clip in report.clips
            ),
            machine=machine,
        )

    @classmethod
    def read(cls, path: Path) -> "VosRecord":
        """Read a record.

        Raises:
            InputError: for a file that is no record.
        """
        from univs.errors import InputError

        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise InputError(
                f"expected figures as `univs eval --json` writes them in {path}, got: {error.errors()[0]['msg']}; "
                "run the evaluation again"
            ) from error

    def write(self, path: Path) -> None:
        """Write the record; the folder must exist."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class BenchmarkRecord(BaseModel):
    """Figures of one evaluation on a benchmark: over everything first, then by class or object, then by clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(description="name of the weights")
    weights_sha256: str = Field(description="hash of the content of the weights")
    trained_for: tuple[str, ...] = Field(description="kinds of prompts that the weights were trained for")
    warnings: tuple[str, ...] = Field(description="why the figures may mean nothing")
    task: str
    data: str
    split: str
    short_side_px: int = Field(description="what the network saw")
    rows: tuple[dict[str, str | float | None], ...] = Field(description="name and figures; null where nothing counted")
    clips: tuple[dict[str, str | float | None], ...]
    machine: Machine

    @classmethod
    def of(
        cls,
        table: "ScoreTable",
        *,
        subject: str,
        weights_sha256: str,
        trained_for: tuple[str, ...],
        warnings: tuple[str, ...],
        task: str,
        data: str,
        split: str,
        short_side_px: int,
        machine: Machine,
    ) -> "BenchmarkRecord":
        """Take the figures of a table."""
        return cls(
            subject=subject,
            weights_sha256=weights_sha256,
            trained_for=trained_for,
            warnings=warnings,
            task=task,
            data=data,
            split=split,
            short_side_px=short_side_px,
            rows=tuple(json_rows(table.columns, table.rows)),
            clips=tuple(json_rows(table.columns, table.clips)),
            machine=machine,
        )

    def write(self, path: Path) -> None:
        """Write the record; the folder must exist."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
