"""Every format in and out: nothing changed, nothing lost, bad rows as rows."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scoring import read_csv, read_jsonl, sentido_score, write_csv, write_jsonl, write_parquet
from sentido_bundle import Bundle
from sentido_score import Options, ScoreError, score, score_batches
from sentido_score.files.locations import expand
from sentido_score.formats.csv_reader import CsvReader
from sentido_score.formats.opening import open_source
from sentido_score.formats.window import Position

TEXTS = [
    "A wonderful little film.",
    'He said "dull",\nand left.\r\nSo did I.',
    "",
    "Ünïcode, 映画 and 🎬",
    "zzzz qqqq",
    "good " * 700,
]
WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def write(folder: Path, format: str) -> Path:
    return WRITERS[format](folder / f"in.{format}", TEXTS)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return read_jsonl(path) if path.suffix == ".jsonl" else [*read_csv(path)]


@pytest.mark.parametrize("out", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("format", list(WRITERS))
def test_every_format_becomes_every_other_with_the_same_results(
    format: str, out: str, tmp_path: Path, bundle: Bundle
) -> None:
    target = tmp_path / f"out.{out}"
    report = score(write(tmp_path, format), out=target)
    assert (report.rows, report.errors, report.truncated_texts) == (6, 0, 1)
    found = read(target)
    outputs = bundle.predict(TEXTS)
    encodings = [bundle.tokenizer.encode(text) for text in TEXTS]
    assert [row["text"] for row in found] == TEXTS
    best = outputs.probabilities.argmax(axis=1)
    assert [row["label"] for row in found] == [bundle.labels[i] for i in best]
    probabilities = np.array([float(row["probability"]) for row in found], np.float32)
    assert np.array_equal(probabilities, outputs.probabilities.max(axis=1))
    assert [int(row["token_count"]) for row in found] == [e.token_count for e in encodings]
    for name in ("truncated_token_count", "out_of_vocabulary_count"):
        assert [int(row[name]) for row in found] == [getattr(e, name) for e in encodings]
    assert all(row["error"] in (None, "") for row in found)


def test_the_columns_of_a_csv_file_pass_through_to_the_byte(tmp_path: Path) -> None:
    head = b'\xef\xbb\xbf"id";text;  space \r\n'
    rows = [b'007;"a ""good"" one\r\nof two lines";1.50\r\n', b' 1 ;plain;"x;y"\r\n', b'"";"";\r\n']
    path = tmp_path / "in.csv"
    path.write_bytes(head + b"".join(rows))
    out = tmp_path / "out.csv"
    sentido_score(path, "--out", out, "--delimiter", ";")
    found = out.read_bytes()
    assert found.startswith(head.rstrip() + b" ;label;probability;chosen;token_count;")
    position = 0
    for row in rows:
        position = found.index(b"\r\n" + row.rstrip(b"\r\n") + b";", position)
    assert found.count(b"\r\n") == found.count(b"\n")


PIECES = ["a", "b", " ", '"', ",", "\n", "\r\n", "\r", "'", "é", "\t"]
FIELD = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


@settings(deadline=None)
@example([("", "\n", "")], csv.QUOTE_MINIMAL, "\r", True, 1)
@given(
    st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=12),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(1, 7),
)
def test_csv_is_read_as_pythons_csv_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    quoting: int,
    newline: str,
    ends: bool,
    window: int,
) -> None:
    characters = "".join(map("".join, rows))
    if "\r" in characters or (newline == "\r" and "\n" in characters):
        quoting = csv.QUOTE_ALL  # Python's writer leaves the ends of other systems' lines bare
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=quoting, lineterminator=newline)  # type: ignore[arg-type]
    writer.writerows([("a", "text", "b"), *rows])
    data = buffer.getvalue().encode()
    if not ends and rows[-1][2]:
        data = data.removesuffix(newline.encode())
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(data)
    reader = CsvReader.open(expand([path]), Options(part_rows=window))
    windows = list(reader.windows(Position()))
    assert [text for each in windows for text in each.texts.good] == [row[1] for row in rows]
    assert [row for each in windows for row in reader.table(each.rows)[0].to_pylist()] == [
        dict(zip(("a", "text", "b"), row, strict=True)) for row in rows
    ]
    for number, each in enumerate(windows):  # a run that begins at a window's end reads the rest
        rest = list(reader.windows(each.end))
        assert [w.rows for w in rest] == [w.rows for w in windows[number + 1 :]]


def test_bad_rows_of_csv_have_an_error_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    lines = [
        b"id,text,n",
        b"1,fine,x",
        b"2",
        b"3,a,b,c",
        b"4,caf\xe9,x",
        b'5,"a"b,x',
        b"",
        b"6,ok,x",
    ]
    path.write_bytes(b"\n".join(lines) + b'\n7,"open,x\n')
    out = tmp_path / "out.csv"
    sentido_score(path, "--out", out, code=3)
    found = list(csv.DictReader(io.StringIO(out.read_text(errors="replace"))))
    errors = {row["id"]: row["error"] for row in found}
    assert errors == {
        "1": "",
        "2": "line 3: 1 fields, the first line has 3",
        "3": "line 4: 4 fields, the first line has 3; a text that holds ',' stands in quotes",
        "4": "line 5: not UTF-8",
        "5": "line 6: something stands behind a closing quote",
        "6": "",
        "": "line 9: a quote that is not closed, or a record over 16 MiB",
    }
    assert [row["label"] != "" for row in found] == [True, *[False] * 4, True, False]


def test_a_quote_that_is_closed_far_behind_is_the_error_of_its_line(tmp_path: Path) -> None:
    path, rest = tmp_path / "in.csv", "1,fine,x\n" * 3
    far = "y" * (17 << 20)
    path.write_text(f'id,text,n\n0,"open,x\n{rest}2,{far},z\n3,"closed",x\n{rest}')
    errors = [error for each in score_batches(path) for error in each["error"].to_pylist()]
    assert errors[0] == "line 2: a quote that is not closed, or a record over 16 MiB"
    assert errors[1:4] == [None] * 3
    assert errors[-4:] == [None] * 4


def test_bad_rows_of_json_lines_have_an_error_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        b'{"text": "fine", "n": 007}',
        b'{"text": "fine"}',
        b'{"text": null}',
        b'{"text": 7}',
        b'{"other": "x"}',
        b'["text"]',
        b'{"text": "\\ud83d"}',
        b'{"text": "\xe9"}',
        b'{"text": "' + b"x" * 30 + b'"}',
    ]
    path.write_bytes(b"\n".join(lines))
    out = tmp_path / "out.jsonl"
    result = sentido_score(path, "--out", out, "--max-text-characters", "20", code=3)
    assert b"8 of 9 rows could not be scored" in result.stderr
    found = read_jsonl(out)
    assert [row["error"] for row in found] == [
        "line 1: malformed JSON: Expecting ',' delimiter: line 1 column 24 (char 23)",
        None,
        "the text is null",
        "the text is of type int, a string is needed",
        "the text is null",
        "line 6: an object is needed",
        "the text is not valid Unicode: a lone surrogate at character 0, perhaps half of an emoji",
        "line 8: not UTF-8",
        "the text has 30 characters, at most 20 are allowed",
    ]
    assert found[3]["text"] == 7
    assert out.read_bytes().splitlines()[1].startswith(b'{"text": "fine", "label": ')
    assert all((row["label"] is None) == (row["error"] is not None) for row in found)
    report = json.loads((tmp_path / "out.jsonl.report.json").read_text())
    assert (report["rows"], report["scored"], report["errors"]) == (9, 1, 8)


def test_bad_rows_of_parquet_have_an_error_in_their_place(tmp_path: Path) -> None:
    texts = pa.array([b"fine", None, b"\xff"], pa.binary())
    pq.write_table(pa.table({"text": texts, "n": [1, 2, 3]}), tmp_path / "in.parquet")
    sentido_score(tmp_path / "in.parquet", "--out", tmp_path / "out.parquet", code=3)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["error"].to_pylist() == [None, "the text is null", "the text is not UTF-8"]
    assert found["text"].to_pylist() == texts.to_pylist()
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "in.parquet")
    with pytest.raises(ScoreError, match="of type int64, a string is needed"):
        score(tmp_path / "in.parquet", out=tmp_path / "x.parquet")


def test_too_many_errors_stop_the_run(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "in.parquet", [None, "a", None])
    result = sentido_score(path, "--out", tmp_path / "o.parquet", "--max-errors", "1", code=1)
    assert b"2 of 3 rows could not be scored, at most 1 are allowed" in result.stderr
    assert not (tmp_path / "o.parquet").exists()
    sentido_score(path, "--out", tmp_path / "o.parquet", "--max-errors", "2", "--resume", code=3)


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_files_are_read_and_written(ending: str, tmp_path: Path) -> None:
    plain, out = write_csv(tmp_path / "in.csv", TEXTS), tmp_path / "out.csv"
    packed = tmp_path / f"in.csv.{ending}"
    codec = {"gz": "gzip", "zst": "zstd"}[ending]
    with pa.CompressedOutputStream(str(packed), codec) as file:
        file.write(plain.read_bytes())
    score(plain, out=out)
    score(packed, out=tmp_path / f"out.csv.{ending}", options=Options(part_rows=2))
    with pa.input_stream(str(tmp_path / f"out.csv.{ending}"), compression=codec) as stream:
        assert stream.read() == out.read_bytes()
    if ending == "gz":  # the parts are members of one file
        assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == out.read_bytes()


@pytest.mark.parametrize("name", ["in.csv", "in.jsonl", "in.txt"])
def test_a_run_may_go_on_at_the_very_end_of_a_compressed_file(name: str, tmp_path: Path) -> None:
    lines = {"in.csv": "text\na\nb", "in.jsonl": '{"text": "a"}\n{"text": "b"}', "in.txt": "a\nb"}
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(lines[name].encode()))  # no line end at the end
    reader = open_source(path, Options())
    (window,) = reader.windows(Position())
    assert window.texts.good == ["a", "b"]
    assert list(reader.windows(window.end)) == []


def test_a_compressed_file_that_is_cut_off_is_an_error_and_no_end(tmp_path: Path) -> None:
    data = gzip.compress(write_csv(tmp_path / "in.csv", TEXTS * 100).read_bytes())
    (tmp_path / "in.csv.gz").write_bytes(data[: len(data) // 2])
    result = sentido_score(tmp_path / "in.csv.gz", "--out", tmp_path / "out.csv", code=1)
    assert b"in.csv.gz" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_folders_and_globs_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, text in (("b.jsonl", "b"), ("a.jsonl", "a"), ("sub/c.jsonl", "c"), ("_d.jsonl", "d")):
        (tmp_path / "in" / name).write_text(json.dumps({"text": text}) + "\n")

    def texts(source: str) -> list[str]:
        return [row for each in score_batches(source) for row in each["text"].to_pylist()]

    assert texts(str(tmp_path / "in")) == ["a", "b", "c"]
    assert texts(str(tmp_path / "in" / "*.jsonl")) == ["d", "a", "b"]
    assert texts(str(tmp_path / "in" / "**" / "[ac].jsonl")) == ["a", "c"]
    for source in ("nothing", "*.parquet"):
        with pytest.raises(ScoreError, match="no "):
            texts(str(tmp_path / source))
    (tmp_path / "in" / "e.txt").write_text("e")
    with pytest.raises(ScoreError, match="different formats"):
        texts(str(tmp_path / "in"))


def test_standard_input_is_lines_and_standard_output_what_is_asked_for() -> None:
    data = "\ufeffGood.\nBad.\r\n\n".encode() + b"caf\xe9"
    result = sentido_score("-", "--out", "-", "--format", "jsonl", stdin=data, code=3)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["text"] for row in found] == ["Good.", "Bad.", "", "caf\ufffd"]
    assert [row["error"] for row in found] == [None, None, None, "line 4: not UTF-8"]
    data = b"id,text\n1,good\n"
    result = sentido_score("-", "--out", "-", "--input-format", "csv", stdin=data)
    assert result.stdout.startswith(b"id,text,label,")
    assert result.stderr == b""


def test_a_result_whose_name_the_input_has_is_called_predicted(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,label,error\nfine,0,\n")
    result = sentido_score(path, "--out", tmp_path / "out.csv")
    assert b"the input has a column 'label', so the result is called 'predicted_label'" in (
        result.stderr
    )
    (row,) = read_csv(tmp_path / "out.csv")
    assert row["label"] == "0"
    assert row["predicted_label"] in ("negative", "positive")
    score(path, out=tmp_path / "out2.csv", options=Options(prefix="m_"))
    assert "m_label" in read_csv(tmp_path / "out2.csv")[0]
    path.write_text("text,label,predicted_label\nfine,0,1\n")
    with pytest.raises(ScoreError, match="choose a --prefix"):
        score(path, out=tmp_path / "out3.csv")


def test_a_field_that_comes_late_is_never_doubled(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n' * 5000 + '{"text": "b", "label": 1}\n{"text": "c", "n": 1}\n')
    score(path, out=tmp_path / "out.jsonl")
    *_, late, other = (tmp_path / "out.jsonl").read_text().splitlines()
    assert "'label' is in none of the first 4096 objects" in json.loads(late)["error"]
    assert late.count('"label"') == 1
    assert json.loads(other)["n"] == 1
    report = score(path, out=tmp_path / "out.parquet", options=Options(prefix="m_"))
    assert report.errors == 2
    *_, error = pq.read_table(tmp_path / "out.parquet")["m_error"].to_pylist()
    assert "'n' is in none of the first 4096 objects: write .jsonl" in error


@pytest.mark.parametrize("name", ["Label", "LABEL", "l\\u0061bel", "L\\u0041BEL"])
def test_a_late_field_that_differs_from_a_result_in_case_only_is_never_beside_it(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n' * 4096 + f'{{"text": "b", "{name}": 1, "n": 2}}\n')
    assert score(path, out=tmp_path / "out.jsonl").errors == 1
    *_, late = read_jsonl(tmp_path / "out.jsonl")
    assert [each.lower() for each in late].count("label") == 1
    assert (late["n"], late["label"]) == (2, None)
    assert "is in none of the first 4096 objects, so a result is called so" in late["error"]


def test_columns_chooses(tmp_path: Path) -> None:
    path, out = write_csv(tmp_path / "in.csv", TEXTS), tmp_path / "out.csv"
    sentido_score(path, "--out", out, "--columns", "note,id,probability,label")
    lines = out.read_text().splitlines()
    assert lines[0] == "note,id,probability,label"
    assert lines[1].startswith('"a, b",00000,0.')
    with pytest.raises(
        ScoreError, match="no column 'nope' to choose, there are 'id', 'text', 'note'"
    ):
        score(path, out=out, options=Options(columns=("nope",)), overwrite=True)


@pytest.mark.parametrize("kind", ["hidden", "mean"])
def test_vectors_are_float32_of_a_fixed_size(kind: str, tmp_path: Path, bundle: Bundle) -> None:
    path = write_parquet(tmp_path / "in.parquet", [TEXTS[0], None, *TEXTS[1:]])
    for out in ("parquet", "jsonl", "csv"):
        score(path, out=tmp_path / f"out.{out}", options=Options(embed=kind))
    found = pq.read_table(tmp_path / "out.parquet")["embedding"]
    wanted = bundle.predict(TEXTS).hidden
    if kind == "mean":
        ids = [bundle.tokenizer.encode(text).ids for text in TEXTS]
        wanted = np.stack([bundle.word_vectors.mean(each) for each in ids])
    assert found.type == pa.list_(pa.float32(), wanted.shape[1])
    vectors = found.to_pylist()
    assert vectors.pop(1) is None
    assert np.array_equal(np.array(vectors, np.float32), wanted)
    first, bad, *others = read_jsonl(tmp_path / "out.jsonl")
    rows = [first, *others]
    assert [row["token_count"] for row in rows] == [
        bundle.tokenizer.encode(text).token_count for text in TEXTS
    ]
    assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), wanted)
    assert bad["embedding"] is None
    found = [row["embedding"] for row in read_csv(tmp_path / "out.csv")]
    assert found.pop(1) == ""
    texts = [json.loads(each) for each in found]
    assert np.array_equal(np.array(texts, np.float32), wanted)


def test_a_column_a_label(tmp_path: Path, bundle: Bundle) -> None:
    path = write_parquet(tmp_path / "in.parquet", TEXTS)
    options = Options(all_probabilities=True)
    found = pa.Table.from_batches(score_batches(path, options=options))
    for index, label in enumerate(bundle.labels):
        column = found[f"probability_{label}"].to_numpy()
        assert np.array_equal(column, bundle.predict(TEXTS).probabilities[:, index])
    assert "probability" not in found.column_names


def test_files_of_other_columns_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\nx,1\n")
    (tmp_path / "b.csv").write_text("text,m\nx,1\n")
    with pytest.raises(ScoreError, match=r"b\.csv: its first line is not that of .*a\.csv"):
        list(score_batches(tmp_path / "*.csv"))
    with pytest.raises(ScoreError, match="no column 'review' among 'text', 'n'"):
        list(score_batches(tmp_path / "a.csv", options=Options(text_column="review")))
    write_parquet(tmp_path / "a.parquet", ["x"])
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(ScoreError, match=r"b\.parquet: its columns are not those of"):
        list(score_batches(tmp_path / "*.parquet"))


def test_a_tsv_file_has_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text('text\tn\n"A fine\t1\n')
    score(tmp_path / "in.tsv", out=tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text().splitlines()[1].startswith('"A fine\t1\t')
    write_csv(tmp_path / "in.csv", TEXTS)
    with pytest.raises(ScoreError, match=r"write \.csv"):
        score(tmp_path / "in.csv", out=tmp_path / "x.tsv")


def test_an_empty_input_gives_an_empty_output(tmp_path: Path) -> None:
    for format in ("csv", "parquet"):
        path = WRITERS[format](tmp_path / f"in.{format}", [])
        for out in ("csv", "jsonl", "parquet"):
            report = score(path, out=tmp_path / f"{format}.{out}")
            assert report.rows == 0
    assert pq.read_table(tmp_path / "csv.parquet").column_names[:4] == [
        "id",
        "text",
        "note",
        "label",
    ]
    assert (tmp_path / "csv.csv").read_text().startswith("id,text,note,label,")


def test_values_of_parquet_become_text_that_can_be_read_again(tmp_path: Path) -> None:
    from datetime import datetime
    from decimal import Decimal

    table = pa.table(
        {
            "text": ["a", "b"],
            "day": [datetime(2024, 1, 2), None],
            "sum": [Decimal("1.50"), None],
            "list": [[1, 2], None],
            "ratio": [float("nan"), 0.1],
            "bytes": [b"\xff", None],
            "empty": ["", None],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", out=tmp_path / "out.jsonl")
    first, second = read_jsonl(tmp_path / "out.jsonl")
    assert (first["day"], first["sum"], first["list"]) == (
        "2024-01-02T00:00:00.000000",
        "1.50",
        [1, 2],
    )
    assert (first["ratio"], second["ratio"], first["bytes"]) == (None, 0.1, "/w==")
    score(tmp_path / "in.parquet", out=tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[1].startswith('a,2024-01-02T00:00:00.000000,1.50,"[1, 2]",nan,/w==,"",')
    assert lines[2].startswith("b,,,,0.1,,,")


def test_times_that_python_cannot_hold_become_text_too(tmp_path: Path) -> None:
    late, odd = pa.array([2**62, 0]).cast(pa.timestamp("us")), pa.array([1, None])
    table = pa.table(
        {
            "text": ["a", "b"],
            "late": late,
            "stamp": odd.cast(pa.timestamp("ns", "UTC")),
            "time": odd.cast(pa.time64("ns")),
            "span": odd.cast(pa.duration("ns")),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    score(tmp_path / "in.parquet", out=tmp_path / "out.jsonl")
    first, second = read_jsonl(tmp_path / "out.jsonl")
    assert first["late"] == f"<value out of range: {2**62}>"
    assert second["late"] == "1970-01-01T00:00:00.000000"
    assert (first["stamp"], second["stamp"]) == ("1970-01-01T00:00:00.000000001Z", None)
    assert (first["time"], first["span"]) == ("00:00:00.000000001", "PT0.000000001S")


def test_two_columns_of_one_name_are_refused_unless_neither_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,a,text\n1,2,good\n")
    asked = (("x.jsonl", None), ("x.parquet", None), ("x.csv", None), ("x.csv", ("a", "label")))
    for out, columns in asked:
        with pytest.raises(ScoreError, match="2 columns 'a'"):
            score(path, out=tmp_path / out, options=Options(columns=columns))
    assert score(path, out=tmp_path / "x.csv", options=Options(columns=("text",))).rows == 1
    with pytest.raises(ScoreError, match="--columns names 'text' several times"):
        Options(columns=("text", "label", "text"))


def test_an_object_with_two_fields_of_one_name_is_an_error_in_its_row(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    long = f'{{"text": "a", "n": {"1" * 5000}, "n": 1}}'  # read by our own parser
    lines = ['{"text": "a", "text": "b"}', '{"text": "a", "x": {"y": 1, "y": 2}}', long]
    path.write_text("\n".join([*lines, '{"text": "a", "x": {"text": 1}}']))
    assert score(path, out=out).errors == 3
    errors = [row["error"] for row in read_jsonl(out)]
    assert errors == [
        *(
            f"line {n}: several fields are called {name!r}: which one is meant?"
            for n, name in enumerate(("text", "y", "n"), start=1)
        ),
        None,
    ]


def test_names_that_differ_in_case_only_are_said(tmp_path: Path) -> None:
    path, said = tmp_path / "in.csv", list[str]()
    path.write_text("Id,text,id\n1,good,2\n")
    score(path, out=tmp_path / "x.csv", say=said.append)
    assert said == ["Spark, Hive and DuckDB take the columns 'Id' and 'id' for one"]


def test_chosen_columns_may_hold_a_lone_surrogate(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "\\ud800"}\n{"text": "good"}\n')
    report = score(path, out=out, options=Options(columns=("text", "label")))
    assert (report.rows, report.errors) == (2, 1)
    assert [row["text"] for row in read_jsonl(out)] == ["\ud800", "good"]


def test_binary_texts_in_a_dictionary_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    texts = pa.array([b"good", None, b"\xff", b"bad"], pa.binary()).dictionary_encode()
    pq.write_table(pa.table({"text": texts}), path)
    report = score(path, out=tmp_path / "out.parquet")
    assert (report.rows, report.errors) == (4, 2)
