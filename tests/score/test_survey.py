"""All files are looked at before the first row is scored: a wrong one is named at once."""

import base64
import bz2
import csv
import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from scoring import read_csv, sentido_score, write_jsonl
from sentido_score import Options, ScoreError, score
from sentido_score.formats.opening import open_source
from sentido_score.formats.reader import Reader
from sentido_score.formats.survey import MOST_FILES
from sentido_score.formats.window import Position


def opened(source: Path, options: Options | None = None) -> Reader:
    return open_source(source, options or Options())


def texts(reader: Reader) -> list[str]:
    return [text for window in reader.windows(Position()) for text in window.texts.good]


class NoSecretKms(pe.KmsClient):  # type: ignore[misc]
    """Wraps keys in nothing."""

    def wrap_key(self, key: bytes, _master: str) -> bytes:
        return base64.b64encode(key)


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_encrypted_parquet_is_named_with_the_remedy(plaintext_footer: bool, tmp_path: Path) -> None:
    table, path = pa.table({"text": ["good"], "id": [1]}), tmp_path / "in.parquet"
    properties = pe.CryptoFactory(lambda _: NoSecretKms()).file_encryption_properties(
        pe.KmsConnectionConfig(),
        pe.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["text"]}, plaintext_footer=plaintext_footer
        ),
    )
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    with pytest.raises(ScoreError, match=r"in\.parquet: is encrypted, write it without encryption"):
        score(path, out=tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_parquet_without_columns_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "in.parquet")
    with pytest.raises(ScoreError, match="no column 'text' among none: one is needed"):
        opened(tmp_path / "in.parquet")


@pytest.mark.parametrize(
    ("header", "difference"),
    [
        ("id,text,m", "it lacks 'n' and it also has 'm'"),
        ("id,text", "it lacks 'n'"),
        ("id,text,n,m", "it also has 'm'"),
        ("text,id,n", "its column 1 is 'text' and not 'id'"),
        ("id,text,n,n", "it has 4 columns and not 3"),
        ("id,Text,n", "it lacks 'text' and it also has 'Text'"),
    ],
)
def test_a_wrong_header_far_behind_is_named_with_its_difference(
    header: str, difference: str, tmp_path: Path
) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.csv").write_text("id,text,n\n1,x,2\n")
    (tmp_path / "280.csv").write_text(f"{header}\n")
    with pytest.raises(ScoreError, match=rf"280\.csv: its first line .*000\.csv: {difference}:"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("columns", "difference"),
    [
        ({"text": ["x"], "m": [1]}, "it lacks 'n' and it also has 'm'"),
        ({"text": ["x"], "n": ["1"]}, "its column 'n' is of type string and not int64"),
        ({"n": [1], "text": ["x"]}, "its column 1 is 'n' and not 'text'"),
    ],
)
def test_a_footer_of_other_columns_is_named_with_its_difference(
    columns: dict[str, list[object]], difference: str, tmp_path: Path
) -> None:
    for number in range(40):
        pq.write_table(pa.table({"text": ["x"], "n": [1]}), tmp_path / f"{number:02}.parquet")
    pq.write_table(pa.table(columns), tmp_path / "30.parquet")
    with pytest.raises(ScoreError, match=rf"30\.parquet: its columns .*00\.parquet: {difference}:"):
        opened(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "txt"])
def test_a_file_that_cannot_be_read_is_named_before_the_first_row(
    ending: str, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.{ending}.gz").write_bytes(gzip.compress(b'text\n{"text": 1}\n'))
    (tmp_path / f"15.{ending}.gz").write_bytes(b"text\nx\n")
    with pytest.raises(ScoreError, match=rf"15\.{ending}\.gz"):
        opened(tmp_path)
    (tmp_path / f"15.{ending}.gz").write_bytes(gzip.compress("text\nx\n".encode("utf-16")))
    with pytest.raises(ScoreError, match=rf"15\.{ending}\.gz.*UTF-16"):
        opened(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt", "csv.gz"])
def test_a_file_of_another_form_than_its_name_tells_is_named_with_the_remedy(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"in.{ending}"
    pq.write_table(pa.table({"text": ["good"]}), tmp_path / "x.parquet")
    text = b"text\ngood\n"
    for data, named in (
        (gzip.compress(text), "compressed with gzip"),
        (pa.compress(text, "zstd", asbytes=True), "compressed with zstd"),
        (bz2.compress(text), "compressed with bzip2"),
        (lzma.compress(text), "compressed with xz"),
        (b"PK\x03\x04" + bytes(20), "a ZIP archive or a spreadsheet"),
        ((tmp_path / "x.parquet").read_bytes(), "Parquet"),
    ):
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
        with pytest.raises(ScoreError, match=f"is {named}, not UTF-8 text: "):
            score(path, out=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_names_are_compared_and_not_how_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,x\n")
    (tmp_path / "b.csv").write_bytes(b'"id","text"\r\n2,y\r\n')
    (tmp_path / "c.csv").write_bytes(b'\xef\xbb\xbfid,"text"\n3,z\n')
    score(tmp_path, out=tmp_path / "out.csv")
    assert [row["text"] for row in read_csv(tmp_path / "out.csv")] == ["x", "y", "z"]


def test_empty_files_and_blank_lines_are_no_rows_wherever_they_stand(tmp_path: Path) -> None:
    contents = [
        b"",
        b"\n\r\n",
        b"\xef\xbb\xbf",
        b"\n\r\nid,text\n1,x\n",
        b"",
        b"\nid,text\n\n2,y\n",
    ]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.csv").write_bytes(content)
    reader = opened(tmp_path)
    assert texts(reader) == ["x", "y"]
    (first, second) = reader.windows(Position())
    assert [window.texts.good for window in reader.windows(first.end)] == [["y"]]
    assert (first.end.line, second.end.line) == (4, 4)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.csv").write_bytes(b"\n")
    with pytest.raises(ScoreError, match=r"a\.csv: no line of column names"):
        opened(tmp_path / "empty")


def test_above_the_most_files_some_are_drawn_evenly_and_it_is_said(tmp_path: Path) -> None:
    count = MOST_FILES + 905
    for number in range(count):
        (tmp_path / f"{number:04}.csv").write_text("text\nx\n")
    said: list[str] = []
    reader = open_source(tmp_path, Options(), said.append)
    assert said == [
        "the input has 5,001 files: 4,096 of them, drawn evenly, are looked at before the first row"
        " is scored, the others when they are read"
    ]
    assert len(reader.files) == count
    wrong = tmp_path / "5000.csv"  # the last one is among them
    wrong.write_text("other\nx\n")
    with pytest.raises(ScoreError, match=r"5000\.csv"):
        opened(tmp_path)


@pytest.mark.parametrize("newline", ["\r", "\r\n", "\n"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_carriage_returns_end_lines_too(ending: str, newline: str, tmp_path: Path) -> None:
    path, tab = tmp_path / f"in.{ending}", "\t" if ending == "tsv" else ","
    rows = ["text,n", *(f"A film {number}.,{number}" for number in range(9000))]
    path.write_bytes("".join(row.replace(",", tab) + newline for row in rows).encode())
    reader = opened(path)
    assert texts(reader) == [f"A film {number}." for number in range(9000)]
    windows = list(reader.windows(Position()))
    assert windows[-1].end == Position(0, path.stat().st_size, 9001)
    for window in windows[:2]:
        assert sum(map(len, reader.windows(window.end))) < 9000


def test_the_first_line_end_becomes_that_of_the_output(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_bytes(b'text,n\rgood,1\rbad,"2\r3"\r')
    assert score(path, out=out).rows == 2
    with out.open(newline="") as file:
        assert [row["n"] for row in csv.DictReader(file)] == ["1", "2\r3"]
    assert b"\n" not in out.read_bytes()


def test_one_carriage_return_among_line_feeds_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"text\ngood\rbad\nfine\n")
    assert texts(opened(path)) == ["good", "bad", "fine"]


def test_a_line_end_of_two_bytes_may_be_torn_between_two_reads(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    for size in range((1 << 20) - 12, (1 << 20) + 2):
        path.write_bytes(b"text,n\r\n" + b"x" * (size - 12) + b",1\r\ny,2\r\n")
        (window,) = opened(path).windows(Position())
        assert (len(window), window.end) == (2, Position(0, path.stat().st_size, 3))


def test_a_record_of_thousands_of_lines_is_said_with_its_span(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows = [f"{number},fine,x" for number in range(3000)]
    rows[3], rows[2500] = '3,"open,x', '2500,closed",x'
    path.write_text("\n".join(["id,text,n", *rows, ""]))
    result = sentido_score(path, "--out", out)
    assert b"in.csv: lines 5 to 2502 are one record: if they should be several, a quote is" in (
        result.stderr
    )
    rows[3], rows[2500] = '3,"open"ed,x', "2500,fine,x"
    path.write_text("\n".join(["id,text,n", *rows, ""]))
    assert b"are one record" not in sentido_score(path, "--out", "-", code=3).stderr


def test_the_columns_of_json_lines_are_those_of_the_first_objects_of_the_run(
    tmp_path: Path,
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out.parquet"
    folder.mkdir()
    (folder / "0.jsonl").touch()
    (folder / "1.jsonl").write_text('\n[1]\nno\n{"text": "x", "id": 1}\n')
    write_jsonl(folder / "2.jsonl", ["y"] * 10)
    (folder / "3.jsonl").write_text(json.dumps({"text": "z", "lang": "de", "id": None}))
    report = score(folder, out=out)
    assert (report.rows, report.errors) == (14, 2)
    found = pq.read_table(out)
    assert found.column_names[:4] == ["text", "id", "tags", "lang"]
    assert found.schema.field("id").type == pa.int64()
    assert found["lang"].to_pylist()[-1] == "de"


def test_fields_are_those_of_4096_objects_and_not_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("\n" * 5000 + '{"text": "x"}\n' * 4095 + '{"text": "x", "a": 1}\n{"b": 1}\n')
    assert list(opened(path).names) == ["text", "a"]


@pytest.mark.parametrize("newline", ["\r", "\r\n", "\n"])
def test_lines_of_text_end_as_those_of_csv_do(newline: str, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    wanted = [*(f"A film {number}." for number in range(9000)), "", "x" * 900_000, "last"] * 3
    path.write_bytes(newline.join(wanted).encode())
    reader = opened(path)
    windows = list(reader.windows(Position()))
    assert texts(reader) == wanted
    assert windows[-1].end == Position(0, path.stat().st_size, len(wanted))
    for window in windows[:2]:
        assert sum(map(len, reader.windows(window.end))) + window.end.line == len(wanted)
    path.write_bytes(b"good\rbad\nfine\r")
    assert texts(opened(path)) == ["good", "bad", "fine"]
