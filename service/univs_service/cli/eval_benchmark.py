"""What `univs eval` does with benchmarks: official figures of weights, and why they may mean nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from univs_service.cli.eval_objects import Choice

if TYPE_CHECKING:
    from univs.evaluation.benchmarks import Evaluation
    from univs.weights import WeightsInfo


@dataclass(frozen=True, slots=True)
class Asked:
    """What is evaluated."""

    data: str
    task: str | None  # None: what the data set is for
    root: Path
    split: str | None  # None: the one to choose on
    is_as_served: bool


def run(asked: Asked, choice: Choice, output: Path | None, json_file: Path | None) -> None:
    """Run weights over a benchmark, print its figures, and write them."""
    from rich.console import Console

    from univs.evaluation.benchmarks import Task, evaluate_benchmark, find_evaluation
    from univs.evaluation.predicting.benchmarks import Subject
    from univs.types import Compat
    from univs.weights import load, load_classes
    from univs_service.cli.eval_record import BenchmarkRecord
    from univs_service.cli.machine import this_machine
    from univs_service.cli.progress import frame_progress
    from univs_service.cli.score_table import print_scores

    evaluation = find_evaluation(asked.data, None if asked.task is None else Task(asked.task))
    split = asked.split or evaluation.split
    model, info = load(choice.weights, choice.device)
    model.optimize_for_inference()
    compat = info.compat if choice.compat is None else Compat(choice.compat)
    classes = load_classes(choice.weights) if info.is_trained else None
    subject = Subject(model, compat, classes, choice.short_side_px, asked.is_as_served)
    name = info.name if info.is_trained else f"{info.name} (untrained)"
    warnings = _warnings(info, evaluation)
    with frame_progress(Console(stderr=True), f"{name}, {asked.data} {split}", None) as count:
        table = evaluate_benchmark(evaluation, subject, asked.root, split, count, output)
    console = Console()
    print_scores(console, f"{name}, {evaluation.task} on {asked.data}, {split}", table)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    if json_file is not None:
        BenchmarkRecord.of(
            table,
            subject=name,
            weights_sha256=info.sha256,
            trained_for=tuple(info.trained_for) if info.is_trained else (),
            warnings=warnings,
            task=evaluation.task,
            data=asked.data,
            split=split,
            short_side_px=subject.seen_px,
            machine=this_machine(),
        ).write(json_file)


def _warnings(info: "WeightsInfo", evaluation: "Evaluation") -> tuple[str, ...]:
    """Say why the figures may mean nothing."""
    if not info.is_trained:
        return (f"{info.name} is untrained: its weights are random values, and these figures mean nothing",)
    needed = evaluation.task.prompts
    if needed not in info.trained_for:
        return (
            f"{info.name} was not trained for {needed} prompts, which {evaluation.task} asks for, but for "
            f"{', '.join(info.trained_for)}: these figures are those of noise",
        )
    return ()
