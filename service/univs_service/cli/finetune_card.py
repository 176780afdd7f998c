"""The card of fine-tuned weights: what they came from, what they saw, and what was measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from univs_service.cli.machine import Machine

if TYPE_CHECKING:
    from univs.data.divided import Divided
    from univs.training.finetuning import FineTuned
    from univs.weights import WeightsInfo


def write_card(
    path: Path,
    info: "WeightsInfo",
    initial: "WeightsInfo",
    data: "Divided",
    result: "FineTuned",
    prompt: str,
    machine: Machine,
) -> Path:
    """Write the card beside the weights; give its path."""
    trained = [f"- {part.name}: {data.train.num_frames(index)} frames" for index, part in enumerate(data.train.parts)]
    rows = [
        f"| {one.clip} | {one.region:.3f} | {one.boundary:.3f} | {one.mean:.3f} "
        f"| {other.region:.3f} | {other.boundary:.3f} | {other.mean:.3f} |"
        for one, other in zip(result.before.clips, result.after.clips, strict=True)
    ]
    before, after = result.before, result.after
    lines = [
        f"# {info.name}",
        "",
        f"`{initial.name}` (sha256 `{initial.sha256}`), gone on with videos of its user's own for {result.num_steps} "
        f"steps. Content: sha256 `{info.sha256}`.",
        "",
        f"Terms: {info.note}.",
        "",
        f"## Trained on\n\n{data.how}.",
        "",
        *trained,
        "",
        "## Figures",
        "",
        f"Objects of the validation videos, followed from the {prompt} of their first frame, which is left out like "
        "the last; these videos were not trained on. They are few: figures of other videos may differ.",
        "",
        f"| object | {initial.name}: J | F | J&F | {info.name}: J | F | J&F |",
        "|---|---|---|---|---|---|---|",
        *rows,
        f"| mean | {before.region:.3f} | {before.boundary:.3f} | {before.mean:.3f} "
        f"| {after.region:.3f} | {after.boundary:.3f} | {after.mean:.3f} |",
        "",
        f"`{machine.command}` at {machine.commit}, {machine.cpu}, {machine.num_cores} cores: "
        f"{result.seconds / 60:.1f} minutes of training.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
