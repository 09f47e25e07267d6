"""What a machine lacks is skipped by name, counted, and a failure where nothing may be missing."""

import subprocess
from pathlib import Path

from conftest import BIN, ROOT

TEST = """
import pytest

@pytest.mark.needs("no-such-program")
def test_one(): ...

@pytest.mark.needs("no-such-program", "sh")
def test_two(): ...
"""


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
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def test_a_missing_program_skips_its_tests_and_is_counted(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 0
    assert "2 skipped" in result.stdout
    assert "this machine lacks: no-such-program (2 tests)" in result.stdout


def test_a_missing_program_fails_where_nothing_may_be_missing(tmp_path: Path) -> None:
    result = run(tmp_path, "--nothing-missing")
    assert result.returncode == 1
    assert "this machine has no no-such-program" in result.stdout
