"""Two processes that share a run, on the CPU by gloo, against one that has it all."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from univs.errors import InputError
from univs.training.fabric import FabricProcesses, Sharing

_SCRIPT = "tests.model.training.shared_run"
_ROOT = Path(__file__).parents[3]
_LONGEST_S = 1200  # of one run; a busy machine takes minutes to start three processes


def _run(folder: Path, sharing: str, batch_size: int, num_processes: int) -> Path:
    """Train in processes of their own; give the folder."""
    launcher = [sys.executable]
    if num_processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    places = os.pathsep.join((str(_ROOT), str(_ROOT / "model")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places, "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launcher, "-m", _SCRIPT, str(folder), sharing, str(batch_size)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def _curve(folder: Path, column: str) -> list[float]:
    with (folder / "curve.csv").open(newline="", encoding="utf-8") as file:
        return [float(line[column]) for line in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.timeout(3 * _LONGEST_S)
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    alone = _run(tmp_path / "alone", "alone", 2, 1)
    shared = _run(tmp_path / "shared", "ddp", 1, 2)
    for column in ("total", "gradient_norm", "dice", "contrastive"):
        assert _curve(shared, column) == pytest.approx(_curve(alone, column), rel=1e-4), column
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (alone, shared)]
    assert states[0]["step"] == states[1]["step"] == 3
    for name, tensor in states[0]["model"].items():
        assert torch.allclose(tensor, states[1]["model"][name], rtol=1e-4, atol=1e-6), name


def test_sharing_without_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="torchrun"):
        FabricProcesses(Sharing.DDP, "cpu")
