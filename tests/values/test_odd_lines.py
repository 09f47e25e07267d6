"""Files of lines: the same texts and the same sentences for the scorer and `sentido predict`."""

import gzip
import re
from pathlib import Path
from random import Random

import pytest
from sentido_bundle import encodings
from sentido_client import InvalidRequestError
from sentido_client.text_file import TextFile, why_not_text
from sentido_score import Options, ScoreError
from sentido_score.formats.opening import open_source
from sentido_score.formats.window import Position

ODD = {
    "line feeds": b"good\nbad\n",
    "carriage returns": b"good\rbad\r",
    "both": b"good\r\nbad\r\n",
    "mixed": b"a\rb\nc\r\n\r\rd\n\re",
    "no end": b"good\nbad",
    "empty": b"",
    "a mark": b"\xef\xbb\xbfgood\n\xef\xbb\xbfbad\n",
    "a mark alone": b"\xef\xbb\xbf",
    "blank lines": b"\n\na\n\n",
    "other line ends": "a\x0bb\x0cc\x1cd\x85e\u2028f\n".encode(),
    "NULs": b"a\0b\n\0\nc\n",
    "latin-1": "good\ncaf\xe9\nbad".encode("latin-1"),
    "half an emoji": b"a\n\xed\xa0\xbd\nb",
    "utf-16": "good\n".encode("utf-16"),
    "utf-16 without a mark": "good\n".encode("utf-16-le"),
    "utf-32": "good\n".encode("utf-32-be"),
    "gzip": gzip.compress(b"good\n"),
    "a spreadsheet": b"PK\x03\x04" + bytes(40),
    "Parquet": b"PAR1\x15\x04",
    "a long line": b"a" * 3_000_000 + b"\rb",
}


def by_the_scorer(path: Path) -> list[str]:
    """Return each line, or what is wrong with it."""
    rows: list[str] = []
    reader = open_source(path, Options(max_text_characters=10**7))
    for window in reader.windows(Position()):
        texts = dict(zip(window.texts.rows, window.texts.good, strict=True))
        rows += [texts.get(row) or window.texts.errors.get(row, "") for row in range(len(window))]
    return rows


def by_the_client(path: Path) -> list[str]:
    """Return the same, as `sentido predict --file` reads it."""
    file, rows = TextFile(path), list[str]()
    for index, text in enumerate(file):
        try:
            text.encode()
        except UnicodeEncodeError:
            text = file.problem(index, InvalidRequestError("?"))
            text = text.removeprefix(f"{path}: ")
        rows.append(text)
    return rows


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_of_lines_is_read_alike(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(ODD[kind])
    try:
        rows = by_the_scorer(path)
    except ScoreError as error:
        with pytest.raises(SystemExit, match=f"^{re.escape(f'sentido: {error}')}$"):
            by_the_client(path)
        return
    assert by_the_client(path) == rows


def test_the_client_knows_the_encodings_that_the_bundle_knows() -> None:
    random, found = Random(0), set[str | None]()
    pieces = [b"\0", b"\0\0", b"a", b"bc", b"\xff\xfe", b"\xfe\xff", b"PK\3\4", b"PAR1\x15"]
    pieces += [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh91AY&", b"\xfd7zXZ\0", b"\xc3\xa9"]
    begins = [b"\0a" * 4, b"a\0" * 4, b"\0\0\0a" * 2, b"a\0\0\0" * 2]
    begins += [b"".join(random.choices(pieces, k=random.randrange(9))) for _ in range(20_000)]
    for beginning in begins:
        found.add(why_not_text(beginning))
        assert why_not_text(beginning) == encodings.why_not_text(beginning), beginning
    assert len(found) == 13  # all that there are, and none
