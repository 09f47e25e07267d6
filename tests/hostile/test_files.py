"""Files of hostile shape come out as their judges read them, or are refused in a sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_no_file_is_scored_otherwise_than_its_judges_read_it(
    pytestconfig: pytest.Config, figures: dict[str, str]
) -> None:
    count = pytestconfig.getoption("--hostile-files")
    command = [sys.executable, str(HERE / "try_files.py"), "0", str(count)]
    tried = subprocess.run(command, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr[-4000:]
    figures[f"{count:,} files of hostile shape"] = str(json.loads(tried.stdout))


@pytest.mark.parametrize("engine", ["local", "remote", "ray"])
def test_no_run_that_is_ended_and_disturbed_loses_or_harms_anything(
    engine: str, pytestconfig: pytest.Config, figures: dict[str, str]
) -> None:
    count = pytestconfig.getoption("--disturbed-runs")
    if engine == "ray" and count < 10:
        pytest.skip("a cluster takes too long for a few runs: make nightly-files")
    command = [sys.executable, str(HERE / "try_runs.py"), engine, "0", str(count)]
    tried = subprocess.run(command, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr[-4000:]
    figures[f"{count:,} disturbed runs, {engine}"] = str(json.loads(tried.stdout))
