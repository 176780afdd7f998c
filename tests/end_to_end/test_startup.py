"""A service that cannot start says why, ends with a code that is not zero, and leaves nothing running."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from univs_service.embedded import EmbeddedValkey


def run_serve(*options: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "UNIVS_WORKER_METRICS_PORT": "0",
    }
    return subprocess.run(
        [sys.executable, "-m", "univs_service.cli.main", "serve", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = run_serve("--port", port, "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert f"expected port {port} of 127.0.0.1 to be free" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_in_use(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey"):
        result = run_serve("--port", "0", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert "another UniVS service uses it" in result.stderr
    assert "--data-dir" in result.stderr
    assert "Traceback" not in result.stderr


def test_weights_that_nobody_has(tmp_path: Path) -> None:
    result = run_serve("--port", "0", "--data-dir", str(tmp_path), "--model", "giant")
    assert result.returncode == 1
    assert "expected the worker to stay alive" in result.stderr
    assert "got 'giant'" in result.stderr
    assert result.stdout == ""
    with EmbeddedValkey(tmp_path / "valkey"):
        pass  # the folder is free: nothing was left running


def test_a_setting_that_makes_no_sense(tmp_path: Path) -> None:
    result = run_serve("--data-dir", str(tmp_path), "--port", "70000")
    assert result.returncode == 2
    assert "65535" in result.stderr
