"""A fact of a log line, whatever it holds: it stays on its line, is shown safely and bounded."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentido_server import log
from sentido_server.lines import (
    MOST_CHARACTERS,
    MOST_TRACEBACK_CHARACTERS,
    Call,
    json_call,
    json_line,
    text_call,
    text_line,
)

WHEN = 1763803800.25
FORGED = (
    "Evil\n07:00:00.000 call rpc=sentido.v1.ModelService/ReloadModel code=OK\r\x1b[2J\x9b2J\u202e"
)


def a_call(model: str, peer: str) -> Call:
    return Call(WHEN, "sentido.v1.X/Y", 0, 1.0, 1, 2, (0.1, 0.2, 0.3, 0.4), model, "1", peer, None)


@given(st.text(st.characters(exclude_categories=())))
def test_any_fact_is_one_printable_line_and_comes_back_from_json(text: str) -> None:
    for line in (
        json_line(WHEN, "info", "loaded", {"model": text}),
        text_line(WHEN, "info", "loaded", {"model": text}),
        json_call(a_call(text, text)),
        text_call(a_call(text, text)),
    ):
        assert line.endswith("\n")
        assert line[:-1].isprintable()
        line.encode()
    assert json.loads(json_line(WHEN, "info", "loaded", {"model": text}))["model"] == text


def test_a_forged_line_is_a_part_of_its_own_in_text() -> None:
    line = text_line(WHEN, "warning", "reload failed", {"error": FORGED})
    assert line.startswith("09:30:00.250 WARNING: reload failed error=Evil\\n07:00:00.000 call ")
    assert line.endswith("code=OK\\r\\u001b[2J\\u009b2J\\u202e\n")


def test_the_lines_of_a_traceback_are_indented_in_text() -> None:
    trace = f'  File "x.py", line 1\nonnxruntime.Fail: {FORGED}\n'
    first, *others = text_line(WHEN, "error", "internal error", {"traceback": trace}).splitlines()
    assert first == "09:30:00.250 ERROR: internal error"
    assert all(line.startswith("  ") and line.isprintable() for line in others)


@pytest.mark.parametrize("of_line", [json_line, text_line])
@pytest.mark.parametrize(
    "fact", ["ab" * 10**6, ["ab" * 10**6], ["ab"] * 10**5, {"ab" * 10**6: 1}, Path("ab" * 10**6)]
)
def test_a_long_fact_is_shortened_in_its_middle(of_line: object, fact: object) -> None:
    assert callable(of_line)
    line = of_line(WHEN, "info", "loaded", {"model": fact})
    assert " characters and more left out] " in line
    assert len(line) < MOST_CHARACTERS + 1200  # quotes of a list are escaped
    line = of_line(WHEN, "error", "internal error", {"traceback": f"x{'ab' * 10**6}\nKeyError"})
    assert MOST_CHARACTERS < len(line) < MOST_TRACEBACK_CHARACTERS + 200
    assert "KeyError" in line


def test_a_name_of_a_bundle_is_shortened_in_the_lines_of_calls() -> None:
    for line in (json_call(a_call("ab" * 10**6, "x")), text_call(a_call("ab" * 10**6, "x"))):
        assert len(line) < MOST_CHARACTERS + 500


def test_what_can_not_be_encoded_is_written_all_the_same(tmp_path: Path) -> None:
    for log_format in ("json", "text"):
        file = tmp_path / log_format
        log.set_up(log_format, os.open(file, os.O_WRONLY | os.O_CREAT))
        log.event("loaded", folder="bad\udcff", precision=Path("x"))
        log.say("sentido-server: bad\udcff\nsecond")
        assert log.flush()
        assert "bad\\udcff" in file.read_text().splitlines()[0]
        assert file.read_text().splitlines()[1:] == ["sentido-server: bad\\udcff\\nsecond"]
    log.set_up("json", os.open(os.devnull, os.O_WRONLY))  # as all other tests have it
