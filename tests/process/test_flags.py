"""What every command says of a flag or a file that is wrong, and of whoever stops reading."""

import os
import subprocess
import sys

import pytest
from conftest import BIN

COMMANDS = ["sentido", "sentido-server", "sentido-export", "sentido-score", "sentido-evaluate"]


def said(*command: str) -> str:
    """Run a command whose flags are bad; return the one line it says."""
    result = subprocess.run(
        [BIN / command[0], *command[1:]], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        (["sentido", "predict", "--adress", "x:1", "good"], "--address"),
        (["sentido", "predit", "good"], "predict"),
        (["sentido-server", "--theads", "4"], "--threads"),
        (["sentido-server", "--chek"], "--check"),
        (["sentido-export", "--limt=3"], "--limit"),
        (["sentido-export", "--epoch", "3"], "--epochs"),
        (["sentido-score", "in.csv", "--ot", "out.csv"], "--out"),
    ],
)
def test_a_flag_that_is_none_is_one_line_with_the_one_that_was_meant(
    command: list[str], meant: str
) -> None:
    line = said(*command).lower()
    assert line.startswith(f"{command[0]}: ")
    assert "did you mean" in line
    assert meant in line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sentido", "predict", "--file", "/nope"], "/nope"),
        (["sentido", "nearest"], "Missing argument"),
        (["sentido", "predict", "good", "--tls-ca", "/nope"], "/nope"),
        (["sentido-server", "--config", "/nope"], "/nope: No such file"),
        (["sentido-server", "--max-texts", "two\nlines"], "--max-texts: 'two"),
        (["sentido-server", "bundles/mine"], "bundles/mine"),
        (["sentido-export", "--recipe", "bst"], "--recipe: 'bst' is not one of tutorial, best"),
        (["sentido-export", "--limit"], "--limit: expected one argument"),
        (["sentido-score", "in.csv"], "--out"),
        (
            ["sentido-score", "in.csv", "--out", "x", "--format", "jsn"],
            "is not one of csv, tsv, jsonl,",
        ),
    ],
)
def test_a_bad_value_or_file_is_one_line(command: list[str], words: str) -> None:
    assert words in said(*command)


@pytest.mark.parametrize(
    "words",
    [
        ["sentido-score", "in.csv", "--out="],
        *(
            ["sentido-score", "in.csv", "--out=o.csv", flag]
            for flag in ("--bundle=", "--ray-address=", "--address=", "--tls-ca=", "--token-file=")
        ),
        *(["sentido-evaluate", "in.csv", f"--{flag}="] for flag in ("bundle", "compare", "checks")),
        *(
            ["sentido-export", f"--{flag}="]
            for flag in ("data", "more-data", "vocabulary", "sample")
        ),
        ["sentido-server", "--listen="],
    ],
    ids=" ".join,
)
def test_an_empty_value_is_refused_where_it_means_nothing(words: list[str]) -> None:
    assert said(*words) == f"{words[0]}: error: {words[-1][:-1]}: is empty, a value is needed\n"


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["sentido-score", "in.csv", "--out=a.csv", "--out=b.csv"], "it takes one value"),
        (
            ["sentido-score", "in.csv", "--out=o.csv", "--bundle=a", "--bundle=b"],
            "it takes one value",
        ),
        (
            ["sentido-score", "in.csv", "--out=o.csv", "--columns=a", "--columns=b"],
            "it takes several at once, --columns A,B",
        ),
        (["sentido-evaluate", "in.csv", "--bundle=a", "--bundle=b"], "it takes one value"),
        (["sentido-evaluate", "in.csv", "--compare=a", "--compare=b"], "it takes one value"),
        (["sentido-export", "--data=a.csv", "--data=b.csv"], "it takes one value"),
        (["sentido-export", "--out=a", "--out=b"], "it takes one value"),
        (
            ["sentido-export", "--from-keras=m", "--labels", "a", "--labels", "b"],
            "it takes several at once, --labels LABEL ...",
        ),
    ],
    ids=str,
)
def test_a_flag_of_which_both_may_be_thought_to_count_is_given_once(
    words: list[str], instead: str
) -> None:
    flag = next(word for word in reversed(words) if word.startswith("--")).partition("=")[0]
    assert said(*words) == f"{words[0]}: error: {flag} is given twice: {instead}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_reading_the_help_is_no_complaint(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [BIN / command, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writer)
    assert result.stderr == ""


PRINTING = [
    *([command, flag] for command in COMMANDS for flag in ("--help", "--version")),
    ["sentido-server", "--print-config"],
]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
def test_what_cannot_be_printed_is_one_line_and_no_success(
    command: list[str], unbuffered: str
) -> None:
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full, os.fdopen(writer, "wb") as closed:
        for output, said in ((full, "No space left on device\n"), (closed, "")):
            result = subprocess.run(
                [BIN / command[0], *command[1:]],
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                env=environ,
            )
            assert result.returncode == 1
            assert result.stderr.partition(": ")[2] == said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_settings_are_printed_as_utf8_whatever_the_terminal_has(encoding: str) -> None:
    command = [str(BIN / "sentido-server"), "--print-config", "--token-file", "/\u0142"]
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    result = subprocess.run(command, capture_output=True, timeout=60, env=environ)
    assert (result.returncode, result.stderr) == (0, b"")
    assert 'token_file = "/\u0142"' in result.stdout.decode("utf-8")


def test_a_name_that_is_not_utf8_can_be_printed_by_all_that_have_parsed_their_flags() -> None:
    program = "from sentido_bundle.command_line import Parser; Parser('sentido-score').parse_args()"
    command = [sys.executable, "-c", f"{program}; print('Written to a\\udcff')"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    result = subprocess.run(command, capture_output=True, env=strict, timeout=60)
    assert (result.returncode, result.stdout) == (0, b"Written to a\\udcff\n")
