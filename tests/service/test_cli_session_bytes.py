import json
from pathlib import Path

from typer.testing import CliRunner

from univs_service.cli.main import app


def test_the_bytes_of_a_session_are_those_of_the_formula_and_end_where_they_began(tmp_path: Path) -> None:
    options = ["--at", "4", "--at", "9", "--objects", "2", "--churn", "45", "--size", "32x48", "--short-side", "32"]

    result = CliRunner().invoke(
        app, ["bench", "session-bytes", *options, "--threads", "1", "--json", str(tmp_path / "bytes.json")]
    )

    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "bytes.json").read_text())
    counts = report["counts"]
    assert [count["moment"] for count in counts] == [
        "4 frames", "9 frames", "40 objects added", "45 objects added and removed"
    ]  # fmt: skip
    assert [count["num_objects"] for count in counts] == [2, 2, 42, 2]
    assert all(count["counted_bytes"] == count["formula_bytes"] for count in counts)
    assert counts[-1]["counted_bytes"] == counts[0]["counted_bytes"]
