"""A signal while a command is loaded, which takes seconds: its exit code, and no traceback."""

import signal
import subprocess
from pathlib import Path

import pytest
from conftest import BIN
from waiting import PATIENCE, has_loaded, listens, wait_for

LASTS = {
    "sentido-evaluate": ["-", "--input-format=csv"],  # which nobody writes
    "sentido-export": ["--epochs=10000"],
}
LIBRARIES = ["", "_multiarray_umath", "libarrow", "onnxruntime"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("command", LASTS)
def test_it_is_an_exit_code_and_a_word(
    command: str, library: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    words: list[str | Path] = [BIN / command, *LASTS[command]]
    with subprocess.Popen(
        words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_for(lambda: listens(process.pid) and has_loaded(process.pid, library))
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    assert b"Traceback" not in said
    word = {130: "interrupted", 143: "terminated"}[code]
    assert said.decode().strip().startswith(f"{command}: {word}")
    assert list(tmp_path.iterdir()) == []
