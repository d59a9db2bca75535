"""The machine's memory: how much is free, whether it ran out, and keeping what was freed."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
KEPT_BYTES, MAPPED_BYTES = 2**30, 2**25  # the second is the largest that glibc takes


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next allocation instead of giving it back to the system.

    A block's temporaries are megabytes, freed and asked for again at once; having the system clear them each time took
    up to half of a pass on a CPU (measured on two virtual cores). Elsewhere than on Linux nothing happens.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:  # musl has none
            mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def free_host_bytes() -> int:
    """Memory that this process can still have: what Linux says is available, within the limit of its control group."""
    try:
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        free = int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    try:
        limit, used = ((CGROUP / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except OSError:  # no control group, or one of the first version
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - int(used)))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether there was no memory; only torch's own GPU allocator has an error of its own for it."""
    signs = ("DefaultCPUAllocator", "out of memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)
