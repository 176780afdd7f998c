"""What a figure was measured on: a figure without its machine, commit and command says nothing."""

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BYTES_PER_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, the code and the command behind a figure."""

    cpu: str
    num_cores: int  # that this process may use
    memory_gib: float
    system: str
    python: str
    commit: str  # "unknown" outside a checkout; "-dirty" says that files were changed
    command: str


def this_machine() -> Machine:
    """Describe this machine and the command under way."""
    return Machine(
        cpu=_cpu_name(),
        num_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _BYTES_PER_GIB, 1),
        system=platform.platform(),
        python=platform.python_version(),
        commit=_commit(),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )


def resident_bytes() -> int:
    """Count the bytes of memory this process holds now (Linux: VmRSS)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("expected a line VmRSS in /proc/self/status, got none; resident memory is read on Linux only")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    here = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
