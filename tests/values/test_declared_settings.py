"""Settings of any command: what is declared, which flags are made of it, and what is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from sentido_bundle.command_line import Parser
from sentido_bundle.settings import SettingError, check, declared, like, made, parse, setting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def pair(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not number.isdecimal():
        raise ValueError(f"{text!r} is not NAME=N")
    return name, int(number)


def comma(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


@dataclass(frozen=True)
class Inner:
    share: float = setting(0.1, "a share", most=0.5, open_ends=True, metavar="SHARE")
    colour: Colour = setting(Colour.RED, "a colour", group="inner")


@dataclass(frozen=True, kw_only=True)
class Outer:
    files: tuple[str, ...] = setting(text="files", positional=True, words="+")
    rows: int = setting(5, "rows, 100% of them", least=1, most=None)
    inner: Inner
    fast: bool = setting(True, "be slow")
    folder: Path | None = setting(None, "a folder")
    names: tuple[str, ...] = setting((), "may be repeated", flag_name="name")
    source: str | None = setting(None, "from where", once=True)
    labels: tuple[str, ...] = setting((), "several", words="+", metavar="LABEL")
    columns: tuple[str, ...] = setting((), "several", read=comma, metavar="A,B")
    prefix: str = setting("", "what begins a name")
    between: str = setting(" ", "what stands between words", may_be_empty=True)
    weights: Mapping[str, int] = setting({}, "weights", read=pair, metavar="NAME=N")
    either: bool = setting(text="on or off")
    undeclared: str = "as it is"


def read(*argv: str) -> dict[str, Any]:
    return parse(Parser(prog="sentido-score"), argv, Outer)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit, match="2"):
        read("a", *argv)
    return capsys.readouterr().err.removeprefix("sentido-score: error: ").rstrip("\n")


def test_what_is_not_given_has_no_value_and_its_field_the_default() -> None:
    values = read("a", "b")
    assert values == {"files": ("a", "b")}
    assert made(Outer, values, either=False) == Outer(files=("a", "b"), inner=Inner(), either=False)


def test_what_is_given_has_the_type_of_its_field() -> None:
    argv = ["--share=0.25", "--colour=blue", "--no-fast", "--folder=x", "--no-either"]
    argv += ["--name=n", "--name=m", "--weights=a=1", "--weights=b=2", "--rows=7"]
    outer = made(Outer, read("a", *argv))
    assert outer == Outer(
        files=("a",),
        rows=7,
        inner=Inner(0.25, Colour.BLUE),
        fast=False,
        folder=Path("x"),
        names=("n", "m"),
        weights={"a": 1, "b": 2},
        either=False,
    )
    assert type(outer.inner.colour) is Colour


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rows=0"], "--rows: '0' is not a whole number of at least 1"),
        (["--rows=1.5"], "--rows: '1.5' is not a whole number of at least 1"),
        (["--rows=\u0661"], "--rows: '\u0661' is not a whole number of at least 1"),
        (["--share=0.5"], "--share: '0.5' is not a number between 0 and 0.5"),
        (["--share=nan"], "--share: 'nan' is not a number between 0 and 0.5"),
        (["--colour=green"], "--colour: 'green' is not one of red, blue"),
        (["--folder="], "--folder: '' is not a path"),
        (["--source=a", "--source=a"], "--source is given twice: it takes one value"),
        (
            ["--labels", "a", "--labels", "b", "c"],
            "--labels is given twice: it takes several at once, --labels LABEL ...",
        ),
        (
            ["--columns=a", "--columns=b"],
            "--columns is given twice: it takes several at once, --columns A,B",
        ),
        (["--source="], "--source: is empty, a value is needed"),
        (["--name=a", "--name="], "--name: is empty, a value is needed"),
        (["--weights=a"], "--weights: 'a' is not NAME=N"),
        (["--weights=a=1", "--weights=a=2"], "--weights: 'a' is given twice: 1 and 2"),
        (["--rows"], "--rows: expected one argument"),
        (["--row=7"], "there is no flag --row; did you mean --rows?"),
    ],
)
def test_a_bad_value_is_one_line_that_begins_with_its_flag(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *flags) == said


def test_what_is_given_once_is_what_was_given() -> None:
    values = read("a", "--source=b", "--labels", "c", "d", "--columns=e,f")
    assert (values["source"], values["labels"], values["columns"]) == ("b", ("c", "d"), ("e", "f"))


def test_a_later_flag_overrides_an_earlier_one() -> None:
    values = read("a", "--rows=7", "--no-fast", "--folder=x", "--rows=8", "--no-fast", "--folder=y")
    assert (values["rows"], values["fast"], values["folder"]) == (8, False, Path("y"))


def test_what_means_something_empty_may_be_empty() -> None:
    values = read("a", "--prefix=", "--between=")
    assert (values["prefix"], values["between"]) == ("", "")


def test_help_has_the_order_headings_and_defaults_of_the_declarations(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit, match="0"):
        parse(Parser(prog="sentido-score"), ["--help"], Outer, notes={"folder": "beside it"})
    text = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    parts = [
        "--rows N rows, 100% of them (default: 5)",
        "--share SHARE a share (default: 0.1)",
        "inner: --colour {red,blue} a colour",
        "--no-fast be slow",
        "--folder FOLDER a folder (beside it)",
        "--name NAME may be repeated",
        "--weights NAME=N weights",
        "--either, --no-either on or off",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "undeclared" not in text


def test_one_setting_is_like_another_but_for_what_changes() -> None:
    @dataclass(frozen=True)
    class Other:
        lines: int = like(Outer, "rows", text="lines", default=9)
        weights: Mapping[str, int] = like(Outer, "weights")

    lines, weights = declared(Other)
    assert (lines.flag, lines.least, lines.most, Other().lines) == ("--lines", 1, None, 9)
    assert (weights.flag, Other().weights) == ("--weights", {})


def test_a_program_that_makes_options_is_held_to_the_same_bounds() -> None:
    check(Outer(files=("a",), inner=Inner(), either=True))
    with pytest.raises(SettingError, match="rows: 0 is not a whole number of at least 1"):
        check(Outer(files=("a",), rows=0, inner=Inner(), either=True))
