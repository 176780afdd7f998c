"""The figures of a model card, written from the manifest: a card cannot say another number than was measured."""

from collections.abc import Sequence

from univs_service.cli.eval_record import VosRecord
from univs_service.cli.weights_manifest import Manifest, WeightsEntry

BEGIN = "<!-- figures: begin (univs weights publish writes what follows) -->"
END = "<!-- figures: end -->"
_PROMPTS = ("mask", "box", "point")
_SPLITS = ("dev", "test")


def fill_card(card: str, entry: WeightsEntry, manifest: Manifest) -> str:
    """Replace what stands between the marks of a card by the figures of a checkpoint.

    Raises:
        ValueError: for a card without the marks.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected a card with the lines {BEGIN!r} and {END!r}, got one without; add them")
    return f"{before}{BEGIN}\n\n{figures_text(entry, manifest)}\n{END}{after}"


def figures_text(entry: WeightsEntry, manifest: Manifest) -> str:
    """Write the tables of a checkpoint beside those of the baselines, as Markdown."""
    lines = [
        f"`{entry.file}`: {entry.num_bytes / 1e6:.1f} MB, sha256 `{entry.file_sha256}`; "
        f"{entry.num_steps} steps, {entry.train_minutes:.0f} minutes.",
        "",
        "| weights | data | split | prompt in the first frame | J | F | J&F |",
        "|---|---|---|---|---|---|---|",
    ]
    records = [*_ordered(entry.figures), *_ordered(manifest.baselines)]
    lines += [_row(record) for record in records]
    lines += [
        "",
        "Clip by clip, J / F with the first frame's mask:",
        "",
        "| clip | split | J | F |",
        "|---|---|---|---|",
    ]
    for record in _ordered(entry.figures):
        if record.prompt == _PROMPTS[0]:
            lines += [
                f"| {clip.clip} | {record.split} | {clip.region:.3f} | {clip.boundary:.3f} |" for clip in record.clips
            ]
    lines += ["", "Each row was measured by its command:", ""]
    lines += [_source(record) for record in records]
    return "\n".join(lines) + "\n"


def _ordered(records: Sequence[VosRecord]) -> list[VosRecord]:
    return sorted(records, key=lambda one: (one.subject, _SPLITS.index(one.split), _PROMPTS.index(one.prompt)))


def _row(record: VosRecord) -> str:
    figures = " | ".join(f"{value:.3f}" for value in (record.region, record.boundary, record.mean))
    return f"| {record.subject} | {record.data} | {record.split} | {record.prompt} | {figures} |"


def _source(record: VosRecord) -> str:
    machine = record.machine
    return f"- `{machine.command}` at {machine.commit}, {machine.cpu}, {machine.num_cores} cores"
