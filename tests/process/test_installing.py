"""Each distribution alone, from its wheel, in an environment of its own."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import BIN, ROOT
from installing import Environment
from processes import Server
from waiting import PATIENCE

PARTS = ["proto", "bundle", "server", "client", "export", "score", "evaluate"]
COMMANDS = {"server": "sentido-server", "client": "sentido", "export": "sentido-export"}
COMMANDS |= {"score": "sentido-score", "evaluate": "sentido-evaluate"}
EXTRAS = {"client": ["cli"]}
Make = Callable[[str], Environment]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheels that `make wheels` builds and twine finds nothing wrong with."""
    folder = tmp_path_factory.mktemp("wheels") / "dist"
    environment = BIN.parent
    settings = [f"VENV={environment}", f"DIST={folder}"]
    result = subprocess.run(
        ["make", "-C", ROOT, "-o", environment / "ready-dev", "wheels", *settings],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("PASSED") == len(PARTS), result.stdout
    return folder


@pytest.fixture(scope="module")
def alone(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """What makes the environment of a part, once."""
    made: dict[str, Environment] = {}

    def make(part: str) -> Environment:
        if part not in made:
            folder = tmp_path_factory.mktemp(part) / "venv"
            made[part] = Environment(folder, wheels, f"sentido-{part}", *EXTRAS.get(part, ()))
        return made[part]

    return make


@pytest.fixture(scope="module")
def address(alone: Make) -> Iterator[str]:
    """The address of a server that is installed alone, with the bundle that its wheel brings."""
    command = f"{alone('server').bin}/python -m sentido_server --listen 127.0.0.1:0".split()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process).address
        finally:
            process.kill()


def said_by(wheels: Path, part: str) -> tuple[Message, list[str]]:
    """Return the metadata of a wheel and the names of its files."""
    (wheel,) = wheels.glob(f"sentido_{part}-*.whl")
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name)), archive.namelist()


@pytest.mark.parametrize("part", PARTS)
def test_a_wheel_says_what_an_index_shows(wheels: Path, part: str) -> None:
    metadata, files = said_by(wheels, part)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).startswith(f"# sentido-{part}\n")
    assert {url.split(",")[0] for url in metadata.get_all("Project-URL", [])} >= {
        *("Homepage", "Documentation", "Source", "Issues", "Changelog"),
    }
    classifiers = set(metadata.get_all("Classifier", []))
    assert classifiers >= {
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
        "Typing :: Typed",
    }
    assert any(name.endswith("/py.typed") for name in files)
    assert (ROOT / part / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def readme(part: str, language: str) -> str:
    text = (ROOT / part / "README.md").read_text()
    return "".join(re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def examples(part: str) -> list[list[str]]:
    """Return the commands and programs of a part's README, but installing and serving."""
    lines = readme(part, "sh").splitlines()
    command = COMMANDS.get(part)
    found = [["sh", "-c", line] for line in lines if command and line.startswith(f"{command} ")]
    program = readme(part, "python")
    return [*found, *([["python", "-W", "error", "-c", program]] if program else [])]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, marks=pytest.mark.nightly if part == "export" else ())  # it trains
        for part in PARTS
        if part != "server"
    ],
)
def test_a_part_alone_does_what_its_readme_shows(
    part: str, alone: Make, address: str, tmp_path: Path
) -> None:
    rows = "".join(f"a good {n},yes\na bad {n},no\n" for n in range(40))
    (tmp_path / "mine.csv").write_text("text,sentiment\n" + rows)
    environment = alone(part)
    assert examples(part)
    for command in examples(part):
        result = subprocess.run(
            [word.replace("localhost:50051", address) for word in command],
            cwd=tmp_path,
            env={
                "PATH": f"{environment.bin}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "SENTIDO_ADDRESS": address,
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("part", PARTS)
def test_a_part_alone_has_all_that_it_asks_for(part: str, alone: Make) -> None:
    assert alone(part).pip("check") == "No broken requirements found.\n"


@pytest.mark.parametrize("part", COMMANDS)
def test_a_package_is_run_by_its_name_as_by_its_command(part: str, alone: Make) -> None:
    folder = alone(part).bin
    command, module = [folder / COMMANDS[part]], [folder / "python", "-m", f"sentido_{part}"]
    first, second = (
        subprocess.run([*words, "--no-such-flag"], capture_output=True, text=True, timeout=PATIENCE)
        for words in (command, module)
    )
    assert first.stderr.startswith(f"{COMMANDS[part]}: ")
    assert (first.stderr, first.returncode) == (second.stderr, second.returncode)
    assert first.returncode == 2
