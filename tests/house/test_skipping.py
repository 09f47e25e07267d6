"""What a machine lacks is skipped by name, counted, and a failure where nothing may be missing.

Tests in several workers say it, and what they measured, as those of one process do.
"""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import BIN, ROOT
from waiting import PATIENCE

TEST = """
import pytest

@pytest.mark.needs("no-such-program")
def test_one(): ...

@pytest.mark.needs("no-such-program", "sh")
def test_two(): ...

def test_three(figures):
    figures["this"] = "3 s"
"""
ALONE: list[str] = []
SIDE_BY_SIDE = ["-n", "1", "--dist", "loadscope"]


def run(folder: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "test_it.py").write_text(TEST)
    command: list[str | Path] = [
        BIN / "python",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *flags,
        folder,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, env=environment
    )


@pytest.mark.parametrize("flags", [ALONE, SIDE_BY_SIDE], ids=["alone", "side by side"])
def test_a_missing_program_skips_its_tests_and_is_counted(flags: list[str], tmp_path: Path) -> None:
    result = run(tmp_path, *flags)
    assert result.returncode == 0
    assert "1 passed, 2 skipped" in result.stdout.splitlines()[-1]
    assert "this machine lacks: no-such-program (2 tests)" in result.stdout
    assert "measured: this: 3 s" in result.stdout


def test_a_missing_program_fails_where_nothing_may_be_missing(tmp_path: Path) -> None:
    result = run(tmp_path, "--nothing-missing")
    assert result.returncode == 1
    assert "this machine has no no-such-program" in result.stdout
