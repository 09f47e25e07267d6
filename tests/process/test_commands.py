"""The commands as a person or a script uses them."""

import importlib
import json
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BIN, UNITS, config, running
from sentido_bundle import Bundle
from variants import of_three_labels

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of one server: that both transports answer alike is tested over the wire."""
    with running(config()) as address:
        yield address


@pytest.fixture
def sentido(address: str) -> Run:
    """Run the command `sentido` against the shared server."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Result:
        result = subprocess.run(
            [BIN / "sentido", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "SENTIDO_ADDRESS": address, **variables},
        )
        assert "Traceback" not in result.stderr
        return result

    return run


def lines(result: Result) -> list[dict[str, object]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predict_prints_json_lines_into_a_pipe(sentido: Run, bundle: Bundle) -> None:
    first, second = lines(sentido("predict", "A wonderful little film.", "A dull mess."))
    facts = ["label", "probability", "chosen", "scores", "usage", "model", "version"]
    facts += ["bundle_digest", "precision"]
    assert list(first) == ["index", *facts]
    assert first["chosen"] == [first["label"]]
    assert (first["index"], second["index"]) == (0, 1)
    assert (first["label"], second["label"]) == ("positive", "negative")
    assert first["model"] == "imdb"
    assert first["bundle_digest"] == bundle.digest
    want = bundle.predict(["A wonderful little film."]).probabilities[0]
    scores: Any = first["scores"]
    assert [s["probability"] for s in scores] == [float(str(number)) for number in want]
    assert first["probability"] == scores[1]["probability"]  # as few digits as name the float32


def test_texts_come_from_arguments_a_file_or_standard_input(sentido: Run, tmp_path: Path) -> None:
    texts = "A wonderful little film.\nA dull mess.\r\n\nİ 👍\n"
    file = tmp_path / "texts.txt"
    file.write_text(texts, encoding="utf-8", newline="")
    from_file = lines(sentido("predict", "--file", str(file)))
    assert len(from_file) == 4
    assert lines(sentido("predict", stdin=texts)) == from_file
    assert lines(sentido("predict", "--file", "-", stdin=texts)) == from_file
    assert lines(sentido("predict", *texts.replace("\r", "").split("\n")[:4])) == from_file


def test_tables_are_for_people(sentido: Run) -> None:
    shown = sentido("predict", "--table", "A wonderful little film.", COLUMNS="120").stdout
    assert "positive" in shown
    assert "A wonderful little film." in shown
    assert "{" not in shown


def test_a_terminal_gets_tables_without_asking(address: str) -> None:
    controller, terminal = pty.openpty()
    command: list[str | Path] = [
        BIN / "sentido",
        "nearest",
        "wonderful",
        "-k",
        "2",
        "--address",
        address,
    ]
    subprocess.run(command, stdout=terminal, check=True, timeout=60)
    os.close(terminal)
    shown = os.read(controller, 10_000).decode()
    os.close(controller)
    assert "similarity" in shown
    assert "{" not in shown


def test_every_subcommand_prints_json(sentido: Run) -> None:
    assert len(lines(sentido("embed", "good"))[0]["embedding"]) == UNITS  # type: ignore[arg-type]
    mean = lines(sentido("embed", "--kind", "mean", "good"))
    assert len(mean[0]["embedding"]) == 32  # type: ignore[arg-type]
    (tokens,) = lines(sentido("tokens", "A Good zzxqv film"))
    assert [t["text"] for t in tokens["tokens"]] == ["a", "good", "film"]  # type: ignore[attr-defined]
    assert len(tokens["vectors"]) == 3  # type: ignore[arg-type]
    assert len(lines(sentido("nearest", "good", "bad", "-k", "2"))) == 4
    assert lines(sentido("detokenize", "1", "2")) == [
        {"id": 1, "word": "the"},
        {"id": 2, "word": "and"},
    ]
    assert lines(sentido("model"))[0]["name"] == "imdb"
    assert lines(sentido("model", "--model", "imdb"))[0]["name"] == "imdb"
    assert lines(sentido("health")) == [{"status": "SERVING"}]


@pytest.mark.parametrize("command", ["predict", "embed", "tokens", "nearest", "model", "health"])
def test_every_subcommand_prints_tables_and_help(sentido: Run, command: str) -> None:
    arguments = [] if command in ("model", "health") else ["good"]
    assert sentido(command, "--table", *arguments).returncode == 0
    shown = sentido(command, "--help")
    assert shown.returncode == 0
    assert "--address" in shown.stdout


@pytest.mark.parametrize(("command", "fact"), [("predict", "label"), ("embed", "embedding")])
def test_a_bad_text_is_an_error_in_its_place_and_in_the_exit_code(
    sentido: Run, command: str, fact: str
) -> None:
    texts = "good\n" + "x" * 1_000_001 + "\nawful\n"
    result = sentido(command, stdin=texts)
    assert result.returncode == 1
    first, second, third = (json.loads(line) for line in result.stdout.splitlines())
    assert fact in first
    assert fact in third
    shown = sentido(command, "--table", stdin=texts)
    assert shown.returncode == 1
    assert "error" in shown.stdout
    assert second["index"] == 1
    assert second["error"].startswith("texts[1]: has 1000001 characters")
    assert "sentido: texts[1]: has 1000001 characters" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nearest", "zzxqv"], 1, "sentido: word 'zzxqv' is not in the vocabulary"),
        (["detokenize", "1", "0"], 1, "sentido: token_ids[1]: is 0, ids of words are 1 to"),
        (["detokenize", "good"], 2, "'good' is not a valid integer"),
        (["predict", "a", "--model", "x"], 1, "sentido: no model 'x' is loaded"),
        (["predict", "a", "--file", "-"], 2, "give texts or --file, not both"),
        (["predict", "--file", "/nope"], 2, "does not exist"),
        (["health", "nope"], 1, ""),
        (["health", "--address", "127.0.0.1:1"], 1, "sentido: no server is ready at 127.0.0.1:1"),
        (["predict", "a", "--timeout", "0"], 2, "timeout is 0.0, more than 0"),
        (["predict", "a", "--address", ""], 2, "address is empty"),
        (["nearest"], 2, "Missing argument"),
        (["nearest", "good", "-k", "0"], 2, "0 is not in the range"),
        (["nearest", "good", "-k", "\u0663"], 2, "'\u0663' is not a valid integer"),
        (["detokenize", "\u0663"], 2, "'\u0663' is not a valid integer"),
        (["predict", "a", "--timeout", "\u0663"], 2, "'\u0663' is neither a number of seconds nor"),
        (["health", "--address", "\udcff:1"], 2, "address is '\\udcff:1', which is not UTF-8"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    sentido: Run, arguments: list[str], code: int, message: str
) -> None:
    result = sentido(*arguments)
    assert result.returncode == code
    assert message in result.stderr


def test_a_line_that_is_not_utf8_is_an_error_in_its_place(sentido: Run, tmp_path: Path) -> None:
    file = tmp_path / "latin1.txt"
    file.write_bytes("good\ncafé\n".encode("latin-1") + b"awful\n")
    result = sentido("predict", "--file", str(file))
    assert result.returncode == 1
    kinds = [list(json.loads(line))[1] for line in result.stdout.splitlines()]
    assert kinds == ["label", "error", "label"]
    assert f"{file}: line 2: not UTF-8" in result.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_a_file_in_utf_16_is_named_with_the_remedy(
    sentido: Run, encoding: str, tmp_path: Path
) -> None:
    file = tmp_path / "windows.txt"
    file.write_bytes("good\nbad\n".encode(encoding))
    result = sentido("predict", "--file", str(file))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"sentido: {file}: is UTF-")
    assert ", not UTF-8: convert it first, as with iconv -f UTF-" in result.stderr


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_a_compressed_file_is_named_with_the_remedy(
    sentido: Run, module: str, tmp_path: Path
) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(importlib.import_module(module).compress(b"good\nbad\n"))
    result = sentido("predict", "--file", str(file))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"sentido: {file}: is compressed with ")


def test_an_id_below_zero_is_an_id_and_no_option(sentido: Run) -> None:
    result = sentido("detokenize", "5", "-1")
    assert result.returncode == 1
    assert result.stderr == "sentido: token_ids[1]: is -1, ids of words are 1 to 19999\n"


def test_a_byte_order_mark_is_no_part_of_the_first_word(sentido: Run, tmp_path: Path) -> None:
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbfterrible movie\r\n")
    assert lines(sentido("predict", "-f", str(file))) == lines(sentido("predict", "terrible movie"))


def test_a_text_is_shown_as_it_is_and_never_obeyed(sentido: Run) -> None:
    shown = sentido("predict", "--table", "[/foo] [red]x[/red] :smile: \x1b[31m", COLUMNS="150")
    assert shown.returncode == 0
    assert "[/foo] [red]x[/red] :smile: �[31m" in shown.stdout
    for command in ("tokens", "embed"):
        assert sentido(command, "--table", "[/b] film").returncode == 0


@pytest.mark.parametrize(
    ("verb", "fact", "size"), [("predict", "scores", 2), ("embed", "embedding", UNITS)]
)
def test_texts_of_a_slow_source_are_answered_as_they_come(
    address: str, verb: str, fact: str, size: int
) -> None:
    command: list[str | Path] = [BIN / "sentido", verb, "--address", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("one\ntwo\nthree\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert [len(answer[fact]) for answer in answers] == [size] * 3
        process.stdin.close()


def test_closed_standard_streams_are_one_sentence(address: str) -> None:
    for closed, what in (("<&-", "input"), (">&-", "output")):
        command = f"{BIN}/sentido predict --address {address} {closed}"
        result = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, timeout=60)
        assert result.returncode == 1
        assert result.stderr.startswith(f"sentido: standard {what} is closed")


def test_a_full_disk_and_a_closed_pipe_are_no_tracebacks(address: str) -> None:
    command = f"{BIN}/sentido predict good --address {address}"
    full = subprocess.run(
        f"{command} > /dev/full", shell=True, capture_output=True, text=True, timeout=60
    )
    assert full.returncode != 0
    closed = subprocess.run(
        f"yes good | head -5000 | {BIN}/sentido predict --address {address} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert closed.stdout.count("label") > 0
    assert "Traceback" not in full.stderr + closed.stderr


@pytest.mark.parametrize("command", ["sentido", "sentido-server", "sentido-export"])
def test_every_command_says_its_version(command: str) -> None:
    result = subprocess.run(
        [BIN / command, "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == f"{command} 0.1.0\n"


def test_an_option_may_stand_before_the_command_and_wins_over_the_environment(
    sentido: Run, address: str
) -> None:
    nowhere = {"SENTIDO_ADDRESS": "127.0.0.1:1"}
    asked = sentido("--address", address, "--json", "health", **nowhere)
    assert lines(asked) == [{"status": "SERVING"}]
    asked = sentido("--address", "127.0.0.1:1", "health", "--address", address, **nowhere)
    assert lines(asked) == [{"status": "SERVING"}]
    assert sentido("--model", "x", "predict", "good").returncode == 1


def test_a_variable_that_is_nearly_one_is_an_error(sentido: Run) -> None:
    result = sentido("health", SENTIDO_ADRESS="127.0.0.1:1")
    assert result.returncode == 2
    assert result.stderr == (
        "sentido: there is no variable SENTIDO_ADRESS; did you mean SENTIDO_ADDRESS?\n"
    )


def test_the_version_of_a_model_can_be_asked_for(sentido: Run) -> None:
    (answer,) = lines(sentido("--model-version", "1", "predict", "good"))
    assert (answer["model"], answer["version"]) == ("imdb", "1")
    for command in ("predict good", "embed good", "tokens good", "nearest good", "model", "health"):
        result = sentido(*command.split(), "--model-version", "9")
        assert result.returncode == 1
        assert "version '9' of model 'imdb' is not loaded, there are: 1" in result.stderr


def test_labels_that_are_chosen_are_printed_and_logits_where_asked_for(
    sentido: Run, tmp_path: Path
) -> None:
    task = {"kind": "multi_label", "thresholds": [0.6, 0.6, 0.3]}
    with running(config(bundle=(of_three_labels(tmp_path / "labels", task=task),))) as address:
        asked = ("predict", "wonderful", "an awful mess", "", "--address", address)
        title, *rows = sentido(*asked, "--table").stdout.splitlines()
        answers: Any = lines(sentido(*asked, "--logits"))
        model = sentido("model", "--table", "--address", address).stdout
    assert title.split()[:2] == ["label", "probability"]
    assert re.match(r"good, odd +0\.[6-9]\d{3}, 0\.[3-5]\d{3} ", rows[0])
    assert [row.split()[0] for row in rows[1:]] == ["bad", "none"]
    assert [answer["chosen"] for answer in answers] == [["good", "odd"], ["bad"], []]
    assert [len(answer["logits"]) for answer in answers] == [3, 3, 3]
    assert "0.6, 0.6, 0.3" in model
    assert model.endswith("\nIt has no int8 twin; asking for what it lacks is an error.\n")


def test_health_of_a_model_that_is_not_loaded_is_not_serving(sentido: Run) -> None:
    assert lines(sentido("health", "--model", "imdb")) == [{"status": "SERVING"}]
    for place in (("health", "--model", "foo"), ("--model", "foo", "health", "--table")):
        result = sentido(*place)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("sentido: no model 'foo' is loaded")
    result = sentido("reload", "imdb", "--model", "foo")
    assert (result.returncode, result.stdout) == (2, "")


def test_a_narrow_terminal_cuts_the_text_and_no_label(sentido: Run) -> None:
    text = "A wonderful little film that goes on and on and on and on and on."
    for verb, shown in (("predict", "positive"), ("embed", str(UNITS)), ("nearest", "wonderful")):
        texts = [text, "日本語" * 30] if verb != "nearest" else ["wonderful"]
        for columns in ("60", "20"):
            result = sentido(verb, "--table", *texts, COLUMNS=columns)
            assert shown in result.stdout
            assert "probability" in result.stdout or verb != "predict"
    wide = sentido("predict", "--table", text, "日本語" * 30, COLUMNS="60").stdout.splitlines()
    assert len(wide) == 3
    assert all(len(line) <= 60 and line.endswith(("text", "…")) for line in wide)
    assert "probability" in wide[0]
    model = sentido("model", "--table", COLUMNS="60").stdout
    assert "out_of_vocabulary_token" in model  # no word is cut that fits into a line
    assert all(len(line) <= 60 for line in model.splitlines())


def test_a_table_appears_row_by_row(address: str) -> None:
    command: list[str | Path] = [BIN / "sentido", "predict", "--table", "--address", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, text in enumerate(("one", "two", "three")):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            if number == 0:
                assert process.stdout.readline().startswith("label")
            assert process.stdout.readline().endswith(f"{text}\n")
        process.stdin.close()


def test_tokens_shows_the_words_that_the_model_does_not_know(sentido: Run) -> None:
    (facts,) = lines(sentido("tokens", "A zzxqv film"))
    tokens: Any = facts["out_of_vocabulary"]
    assert [(t["text"], t["start"]) for t in tokens] == [("zzxqv", 2)]
    rows = sentido("tokens", "--table", "A zzxqv film", COLUMNS="60").stdout.splitlines()[2:]
    assert [("unknown" in row, row.split()[-1] == "unknown") for row in rows] == [
        (False, False),
        (True, True),
        (False, False),
    ]


@pytest.mark.parametrize("verb", ["predict", "embed", "tokens"])
def test_json_says_which_text_it_is_and_the_text_if_asked(sentido: Run, verb: str) -> None:
    texts = "good\n" + "x" * 1_000_001 + "\ncaf\u00e9\n"
    found = [json.loads(line) for line in sentido(verb, stdin=texts).stdout.splitlines()]
    assert [each["index"] for each in found] == [0, 1, 2]
    assert not any("text" in each for each in found)
    found = [
        json.loads(line) for line in sentido(verb, "--with-text", stdin=texts).stdout.splitlines()
    ]
    assert [each["text"] for each in found] == texts.splitlines()
    assert ["error" in each for each in found] == [False, True, False]


def test_the_shell_completes_commands_and_options(sentido: Run) -> None:
    def completed(words: str) -> str:
        count = str(len(words.split()) - 1)
        variables = {"COMP_WORDS": words, "COMP_CWORD": count}
        return sentido(_SENTIDO_COMPLETE="bash_complete", **variables).stdout

    assert completed("sentido pre") == "plain,predict\n"
    assert "plain,--with-text" in completed("sentido predict --w")
    for shell in ("bash", "zsh", "fish"):
        assert "_SENTIDO_COMPLETE" in sentido(_SENTIDO_COMPLETE=f"{shell}_source").stdout


@pytest.mark.parametrize("form", ["--json", "--table"])
def test_a_reader_that_leaves_ends_the_command_without_a_word(address: str, form: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command: list[str | Path] = [BIN / "sentido", "predict", form, "good", "--address", address]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")
