"""How a process that segments uses a CPU: its cores, and the memory that it frees."""

import ctypes
import os
import sys

import torch

# mallopt of glibc: what to set, and to how many bytes.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES, _GROWTH_BYTES = 1 << 30, 1 << 26
_LARGEST_IN_HEAP = 1 << 25  # the most that glibc takes


def share_cores(num_threads: int) -> bool:
    """Split threads between decoding a frame and looking at the one after it.

    Two frames at a time, each with half of the threads, are done sooner than one after the other with all: small maps
    do not keep many threads busy.

    Args:
        num_threads: for the whole process; 0 takes one for each core that it may use.
    Returns:
        Whether there are enough for both, so that `VideoSegmenter.look_ahead` pays.
    """
    wanted = num_threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(max(1, wanted // 2))
    return wanted > 1


def keep_freed_memory() -> None:
    """Keep what a frame freed for the next frame, rather than giving it back to the system.

    Maps of some megabytes come and go hundreds of times a second. glibc returns them at once, and the system clears
    every page anew: on a virtual machine that took a quarter of a step. Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_TOP_PAD, _GROWTH_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
