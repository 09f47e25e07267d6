"""That the documents are true: their commands run, their tables match the code."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BIN, ROOT, config, running
from readme import blocks, commands, labelled
from sentido_bundle.settings import declared
from sentido_server.app import RPCS
from sentido_server.config import Config
from sentido_server.origins import variable

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server as the README starts one: both transports are tested elsewhere."""
    with running(config()) as address:
        yield address


def exports_at_night(command: str) -> Any:
    """Mark a command that trains; `tests/values/test_training_export.py` runs it on few texts."""
    marks = [pytest.mark.nightly] if command in commands("-export") else []
    return pytest.param(command, marks=marks)


@pytest.mark.parametrize(
    "command", [*map(exports_at_night, commands("(-export|-score|-evaluate)?"))]
)
def test_a_command_of_the_readme_runs(command: str, address: str, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(BIN.parent)
    (tmp_path / "reviews.txt").write_text("A wonderful little film.\n")
    (tmp_path / "mine.csv").write_text(labelled("good", "bad"))
    result = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "SENTIDO_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr


def test_the_readme_has_such_commands() -> None:
    calls = {shlex.split(command)[1] for command in commands("")}
    assert calls >= {"predict", "nearest", "health"}
    assert len(commands("-export")) >= 3


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_of_the_readme_runs(number: int, address: str) -> None:
    program = blocks("python")[number].replace("localhost:50051", address)
    result = subprocess.run(
        [BIN / "python", "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_every_make_target_of_the_readme_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z-]+)\b", "\n".join(blocks("sh"))))
    assert used
    assert used <= targets


def test_make_nightly_runs_every_target_of_its_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (named,) = re.findall(r"^nightly: (.*?)  ##", makefile, re.MULTILINE)
    assert named.split() == re.findall(r"^(nightly-[a-z]+):", makefile, re.MULTILINE)


def test_every_setting_of_the_server_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    for setting in declared(Config):
        (row,) = re.findall(rf"^\| `{setting.flag}` \|.*$", text, re.MULTILINE)
        assert f"`{variable(setting)}`" in row
        if setting.name != "bundle":
            value = setting.default
            default = "not set" if value is None else f"`{value}`".lower()
            assert f"| {default} |" in row


def test_every_rpc_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert all(f"`{rpc.name}`" in text for rpc in RPCS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_documents_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_in_a_module_is_there(document: Path) -> None:
    links = re.findall(r"\[`([\w.]+)`\]\(([\w./-]+\.py)\)", document.read_text(encoding="utf-8"))
    for name, link in links:
        *_, last = name.removesuffix(".py").split(".")
        defined = rf"^ *(?:def|class) {last}\b|^{last}\b.* = "
        path = document.parent / link
        assert path.stem == last or re.search(defined, path.read_text("utf-8"), re.MULTILINE), name


def test_every_decision_has_an_id_of_its_own() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text()
    ids = re.findall(r"^### D(\d+)\. ", text, re.MULTILINE)
    assert [int(id) for id in ids] == list(range(1, len(ids) + 1))
    assert not re.findall(r"^\*\*.*", text, re.MULTILINE)  # which were headings


def test_no_document_leads_to_a_made_up_address() -> None:
    """A wheel's metadata has to hold some addresses: there they are marked as placeholders."""
    search = ["git", "grep", "--count", "//sentido[.]example"]
    found = subprocess.run(search, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    assert len(found) == 7
    for line in found:
        file, _, count = line.partition(":")
        assert (file.endswith("/pyproject.toml"), count) == (True, "5"), file
        assert "[project.urls]  # placeholders: " in (ROOT / file).read_text()
