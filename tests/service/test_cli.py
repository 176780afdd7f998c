"""The command line: quick, helpful, and plain about what is wrong."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from univs_service.cli.main import app
from univs_service.log_format import LogFormat
from univs_service.logs import configure_logs


def test_help_needs_no_torch() -> None:
    program = (
        "import sys; from univs_service.cli.main import app; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'fastapi', 'av', 'redis')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_help_names_the_commands() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(command in text for command in ("serve", "gateway", "worker", "doctor"))


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIVS_SNAPSHOT_EVERY", "none")
    result = CliRunner().invoke(app, ["worker"])
    assert result.exit_code == 78
    assert "UNIVS_SNAPSHOT_EVERY" in result.output
    assert "'none'" in result.output


def test_the_doctor_lists_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("UNIVS_WORKER_METRICS_PORT", "0")
    text = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path), "--model", "tiny", "--port", "0"]).output
    assert "embedded" in text
    assert "untrained" in text
    assert "usable cores" in text


def test_the_doctor_names_unknown_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path), "--model", "giant", "--port", "0"])
    assert result.exit_code == 1
    assert "giant" in result.output


def test_log_lines_are_json_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logs("worker", "INFO", LogFormat.JSON)
        logging.getLogger("somewhere").info("session claimed", extra={"session_id": "a", "epoch": 3})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["process"], line["level"]) == ("session claimed", "worker", "info")
    assert (line["session_id"], line["epoch"]) == ("a", 3)
