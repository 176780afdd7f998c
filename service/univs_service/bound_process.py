"""Commands that cannot outlive the process that starts them.

A parent killed with SIGKILL runs no clean-up. On Linux the kernel does it instead:
`prctl(PR_SET_PDEATHSIG)` makes it signal the child when the parent's *thread* that started it ends, so
start children from the main thread. The call must be made in the child; this file is therefore also the
small program that makes it and then becomes the real command. It uses the standard library only and is run
by its path, which costs about 30 ms.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def bound_command(command: list[str], death_signal: signal.Signals) -> list[str]:
    """Wrap a command so that it gets `death_signal` when the calling process ends, however it ends.

    Other systems than Linux have no such call; there the command is given back as it is.
    """
    if not sys.platform.startswith("linux"):
        return command
    this_file = str(Path(__file__).resolve())
    return [sys.executable, "-I", "-S", this_file, str(os.getpid()), str(int(death_signal)), *command]


def _become_bound(parent_pid: int, death_signal: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # the parent ended before the call: no signal will come
        sys.exit(f"the starting process {parent_pid} has ended already")
    os.execv(command[0], command)


if __name__ == "__main__":
    _become_bound(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
