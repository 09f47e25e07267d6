"""How much memory this process may use, and that it gives back what it no longer does."""

import ctypes
import os
import threading
from pathlib import Path

_V2 = Path("/sys/fs/cgroup/memory.max")
_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 1024 * 1024
_ARENAS = 2
_TRIM_SECONDS = 5.0


def granted(v2: Path = _V2, v1: Path = _V1) -> int:
    """Return the number of bytes: the least of the machine's and the container's limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max) and
    cgroup-v1/memory.html (memory.limit_in_bytes, a huge number where there is no limit).
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limit(v2), *_limit(v1)])


def _limit(path: Path) -> list[int]:
    try:
        text = path.read_text().strip()
    except OSError:
        return []
    return [int(text)] if text.isdecimal() else []


def return_large_blocks() -> None:
    """Make the C library give large blocks back to the system as soon as they are freed.

    By default glibc keeps them: the first freed block of 16 MiB teaches it to, and each of the
    threads then has a heap of its own that does not shrink. Does nothing where there is no glibc.
    Source: man 3 mallopt.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)


def return_small_blocks(stopping: threading.Event) -> None:
    """Make the C library give back, until `stopping`, what lies freed between blocks in use.

    By itself it gives back only the end of its heap: after a flood of small blocks the process
    would keep what it had at the height of it. Returns at once where there is no glibc.
    Source: man 3 malloc_trim.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None and not stopping.wait(_TRIM_SECONDS):
        trim(0)
