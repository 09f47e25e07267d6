"""How many CPUs this process may use: the least of affinity and the container's quota."""

import math
import os
from pathlib import Path

_V2 = Path("/sys/fs/cgroup/cpu.max")
_V1 = Path("/sys/fs/cgroup/cpu")


def granted(v2: Path = _V2, v1: Path = _V1) -> int:
    """Give the number of CPUs, at least 1; a quota of one and a half counts as two.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max: quota and period in
    microseconds) and scheduler/sched-bwc.html for v1.
    """
    affinity = len(os.sched_getaffinity(0))
    quota = _quota_v2(v2) or _quota_v1(v1)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def _quota_v2(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if quota <= 0 else quota / period
