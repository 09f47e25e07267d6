"""How much memory this process may use: the least of the machine's and the container's limit."""

import os
from pathlib import Path

_V2 = Path("/sys/fs/cgroup/memory.max")
_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")


def granted(v2: Path = _V2, v1: Path = _V1) -> int:
    """Return the number of bytes.

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
