"""That ONNX Runtime does not phone home from any of our commands."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import BIN

PROGRAMS = {
    "bundle": "from sentido_bundle import *; Bundle.load(default_bundle()).predict(['Good.'])",
    "server": "import sentido_server.main",
    "export": "import sentido_export.main",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_kept_for_a_report_to_anyone(program: str, tmp_path: Path) -> None:
    # Without CI, whose presence alone would keep it quiet.
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    result = subprocess.run(
        [BIN / "python", "-c", PROGRAMS[program]],
        env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stderr, result.returncode) == ("", 0)
    assert list(tmp_path.rglob("*nnx*")) == []
