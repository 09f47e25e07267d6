"""The number of CPUs that a process may use."""

import os
from pathlib import Path

import pytest
from sentido_bundle.cpus import granted

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", CPUS), ("50000 100000", 1), ("100000 100000", 1), ("6400000 100000", CPUS)],
)
def test_a_quota_of_cgroup_v2_counts(quota: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert granted(tmp_path / "cpu.max", tmp_path) == count


@pytest.mark.parametrize(("quota", "count"), [("-1", CPUS), ("50000", 1), ("6400000", CPUS)])
def test_a_quota_of_cgroup_v1_counts(quota: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu.cfs_period_us").write_text("100000")
    assert granted(tmp_path / "nothing", tmp_path) == count


def test_without_a_quota_affinity_counts(tmp_path: Path) -> None:
    assert granted(tmp_path / "nothing", tmp_path) == CPUS
