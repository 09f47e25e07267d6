"""Scores files of hostile shape: each is refused in a sentence, or comes out as its judges read it.

A program of its own, so that a crash or a hang ends it and not the tests: given two seeds it tries
those from the first to before the second, names each on standard error before it is tried, and ends
with an error at the first that comes out wrong. One seed alone is `try_files.py 17 18`.

The judges: what was put into the file, Python's csv and json, pandas, pyarrow; and for each answer
the bundle in this process.
"""

import csv
import faulthandler
import io
import json
import resource
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from odd_files import Odd, Row, odd_file
from odd_folders import OddFolder
from sentido_bundle import Bundle, default_bundle
from sentido_score import Options, Report, ScoreError, score
from stories import snapshot

_SECONDS = 120  # that one file may take, on any machine
_FORMATS = ("csv", "jsonl", "parquet")


def options_of(random: Random, odd: Odd) -> Options:
    """Choose how a file is scored. Results have a prefix that no column has."""
    return Options(
        **odd.options,
        prefix="m_",
        part_rows=random.choice((1 << 16, 1 << 16, 700, 100)),
        embed=random.choice((None, None, "hidden", "mean")),
        memory=random.choice((1 << 30, 128 << 20)),
    )


def outcome(seed: int, bundle: Bundle, folder: Path) -> str:
    """Try one file. Raises AssertionError for an output that is wrong."""
    odd, random = odd_file(seed), Random(seed)
    options, source = options_of(random, odd), folder / odd.name
    source.write_bytes(odd.data)
    texts = judged_texts(odd, source)
    said = "scored"
    for number, format in enumerate((own_format(odd), random.choice(_FORMATS))):
        out = folder / f"out{number}.{format}"
        try:
            report = score(source, out=out, options=options)
        except ScoreError as error:
            check_refusal(str(error), odd, source, out)
            said = "refused"
            continue
        finally:
            assert source.read_bytes() == odd.data, "the input is changed"
        rows = read_output(out, options)
        check_counts(rows, report, texts)
        if odd.rows is not None:
            check_columns(rows, odd, source, out, options)
        if texts is None and (number == 0 or not odd.name.endswith(".parquet")):
            texts = [row["text"] for row in rows]  # the next output must have the same ones
        if texts is not None:  # bytes of Parquet that no judge reads are Base64 in other formats
            check_answers(rows, texts, bundle, options)
    return said


def outcome_of_folder(seed: int, folder: Path) -> str:
    """Try one folder. Raises AssertionError unless each of its rows comes out once."""
    random, out = Random(seed), folder / "out.parquet"
    odd = OddFolder(folder / random.choice(("in", "in [1]", "z=v")), random).make()
    before = snapshot(odd.path)
    score(odd.sources(), out=out, options=Options(part_rows=100))
    rows = pq.read_table(out, columns=["id", *odd.keys]).to_pylist()
    found = Counter((row["id"], tuple(row[key] for key in odd.keys)) for row in rows)
    assert found == odd.expected(), (found - odd.expected(), odd.expected() - found)
    assert snapshot(odd.path) == before, "the input is changed"
    return "folders"


def own_format(odd: Odd) -> str:
    """Return the format of an output that is most like a file."""
    return odd.name.split(".")[1].replace("tsv", "csv")


def judged_texts(odd: Odd, source: Path) -> list[object] | None:
    """Return the texts of a file as it was made, or as pyarrow reads it; None: nobody knows."""
    if odd.rows is not None:
        return [row.get("text") for row in odd.rows]
    if not odd.name.endswith(".parquet"):
        return None
    try:
        column = pq.read_table(source, columns=["text"])["text"]
        return list(column.cast(pa.string()).to_pylist())
    except (pa.ArrowException, OSError, ValueError, LookupError):
        return None


def check_refusal(message: str, odd: Odd, source: Path, out: Path) -> None:
    """Accept a sentence without an output, for what no judge reads."""
    assert message.isprintable(), message
    assert len(message) < 3000, message
    assert not out.exists()
    assert not Path(f"{out}.report.json").exists()
    if odd.rows is not None and not any("text" in row for row in odd.rows):
        assert "no field 'text' among" in message, message  # of objects
        return
    if odd.rows is not None:
        assert odd.name.endswith(".parquet"), message
        try:
            pq.read_table(source)
        except (pa.ArrowException, OSError):  # pyarrow cannot read all that it writes
            return
        raise AssertionError(message)


def read_output(out: Path, options: Options) -> list[Row]:
    """Return rows with the results, and of a text format with the input's columns."""
    if out.suffix == ".parquet":
        table = pq.read_table(out)
        results = [name for name in table.column_names if name.startswith("m_")]
        rows = list(table.select(results).to_pylist())
        try:
            texts = table["text"].cast(pa.large_binary()).to_pylist()
        except pa.ArrowNotImplementedError:  # numbers: no row has a text
            texts = [None] * len(rows)
        return [
            row | {"text": None if text is None else text.decode(errors="replace")}
            for row, text in zip(rows, texts, strict=True)
        ]
    if out.suffix == ".jsonl":
        lines = out.read_bytes().decode().split("\n")[:-1]
        return [{"text": None} | json.loads(line, parse_constant=_no_json) for line in lines]
    data = out.read_bytes().decode(errors="replace").removeprefix("\ufeff")
    csv.field_size_limit(1 << 30)
    file = io.StringIO(data, newline="")
    records = filter(None, csv.reader(file, delimiter=options.delimiter))
    names = next(records)
    return [
        {
            name: (value or None) if name.startswith("m_") else value
            for name, value in zip(names, record, strict=True)
        }
        for record in records
    ]


def _no_json(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def check_counts(rows: Sequence[Row], report: Report, texts: Sequence[object] | None) -> None:
    """Compare the number of rows with the report's and the judge's."""
    assert len(rows) == report.rows, f"{len(rows)} rows, the report says {report.rows}"
    assert sum(row["m_error"] is not None for row in rows) == report.errors
    assert texts is None or len(rows) == len(texts), f"{len(rows)} rows, {len(texts or ())} read"


def check_columns(rows: Sequence[Row], odd: Odd, source: Path, out: Path, options: Options) -> None:
    """Compare the input's columns in the output with those of a file that is whole."""
    assert odd.rows is not None
    if odd.name.endswith(".parquet"):
        if out.suffix == ".parquet":
            given, made = pq.read_table(source), pq.read_table(out)
            for name in given.column_names:
                assert made[name].combine_chunks().equals(given[name].combine_chunks()), name
        return
    if odd.name.startswith("in.jsonl") and out.suffix != ".jsonl":
        return  # columns are typed by their values, and what does not fit is an error
    for row, given in zip(rows, odd.rows, strict=True):
        assert isinstance(given.get("text"), str) == (row["m_error"] is None), row
        for name in given if out.suffix != ".parquet" else ("text",):
            assert row[name] == given[name], (name, row[name], given[name])
    if odd.name.startswith("in.csv") and out.suffix == ".csv" and is_plain(odd):
        check_frames(source, out, options)


def is_plain(odd: Odd) -> bool:
    """Tell whether pandas reads a file: no zstd here, and lines of blanks are no rows to it.

    Of many blanks at the beginning of a line it loses some.
    """
    assert odd.rows is not None
    is_wide = len(odd.rows) > 0 and len(odd.rows[0]) > 1
    has_blanks = any(
        len(value) > 1000 and value.isspace() for row in odd.rows for value in row.values()
    )
    is_packed = odd.name.endswith(".zst")
    return is_wide and not has_blanks and odd.options.get("delimiter") != " " and not is_packed


def check_frames(source: Path, out: Path, options: Options) -> None:
    """Compare every column of CSV with its input, by pandas."""
    given, made = (
        pd.read_csv(path, dtype=str, keep_default_na=False, sep=options.delimiter)
        for path in (source, out)
    )
    assert list(made.columns[: len(given.columns)]) == list(given.columns)
    assert made[given.columns].equals(given)


def check_answers(
    rows: Sequence[Row], texts: Sequence[object], bundle: Bundle, options: Options
) -> None:
    """Compare each answer with the bundle's in this process, to the bit."""
    found = [(row, text) for row, text in zip(rows, texts, strict=True) if not row["m_error"]]
    if not found:
        return
    unique = list({str(text): None for _, text in found})
    outputs = bundle.predict(unique)
    place = {text: number for number, text in enumerate(unique)}
    for row, text in found:
        assert isinstance(text, str), (row, text)
        number = place[text]
        best = int(outputs.probabilities[number].argmax())
        assert row["m_label"] == bundle.labels[best], row
        assert np.float32(row["m_probability"]) == outputs.probabilities[number, best], row
        assert int(row["m_token_count"]) == len(bundle.tokenizer.encode(text).ids), row
        if options.embed == "hidden":
            vector = row["m_embedding"]
            vector = json.loads(vector) if isinstance(vector, str) else vector
            assert np.array_equal(np.array(vector, np.float32), outputs.hidden[number]), row


def main(first: int, end: int) -> int:
    """Try the files of some seeds; print what became of them."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    bundle = Bundle.load(default_bundle())
    counts: Counter[str] = Counter()
    for seed in range(first, end):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                is_folder = seed % 5 == 4
                path = Path(folder)
                said = outcome_of_folder(seed, path) if is_folder else outcome(seed, bundle, path)
                counts[said] += 1
            except Exception:
                traceback.print_exc()
                print(f"python tests/hostile/try_files.py {seed} {seed + 1}", file=sys.stderr)
                return 1
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
