"""Columns of every type, with every value, are passed on to every format; none ends a run."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_columns import LEAVES, ROWS, filled, meaning, nested, read, read_text
from scoring import read_csv
from sentido_score import Options, ScoreError, Scorer, score
from sentido_score.formats.cells import json_values, texts

OUTPUTS = ("csv", "jsonl", "parquet")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A column of each type, and of each that holds it."""
    generator = random.Random(20)
    columns = {}
    for name, make in LEAVES.items():
        leaf = make(generator)
        for holder, array in {"": leaf, **nested(leaf)}.items():
            columns[f"{holder}<{name}>"] = filled(array, ROWS)
        columns[f"dictionary<{name}>"] = dictionary(leaf)
    columns = {name: array for name, array in columns.items() if is_held(array)}
    assert len(columns) > 7 * len(LEAVES)
    return pa.table({"id": range(ROWS), "text": ["A good film."] * ROWS, **columns})


def is_held(array: pa.Array) -> bool:
    """Whether Parquet can hold it at all."""
    try:
        columns = {"id": range(len(array)), "x": array}
        pq.write_table(pa.table(columns), pa.BufferOutputStream(), row_group_size=17)
    except (pa.ArrowNotImplementedError, OSError):
        return False
    return True


def dictionary(leaf: pa.Array) -> pa.Array:
    indices = pa.array([i % 7 if i % 5 else None for i in range(ROWS)], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, leaf.slice(0, 7))


@pytest.fixture(scope="module")
def scored(
    table: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pa.Table, dict[str, Path]]:
    """The table as it is read from Parquet, and the outputs."""
    folder = tmp_path_factory.mktemp("types")
    pq.write_table(table, folder / "in.parquet", row_group_size=17)
    outs = {out: folder / f"out.{out}" for out in OUTPUTS}
    for out in outs.values():
        report = score(folder / "in.parquet", out=out)
        assert (report.rows, report.errors) == (ROWS, 0)
    return pq.read_table(folder / "in.parquet"), outs


def same(value: Any, wanted: Any) -> bool:
    """Compare; in JSON a float that is not finite is null."""
    if isinstance(wanted, float) and not math.isfinite(wanted):
        return value is None or repr(value) == repr(wanted)
    if isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(same(value[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(same, value, wanted))
    return type(value) is type(wanted) and value == wanted


def whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if len(column.chunks) > 1 else column.chunk(0)


def test_parquet_keeps_every_value_of_every_type(
    scored: tuple[pa.Table, dict[str, Path]],
) -> None:
    given, outs = scored
    found = pq.read_table(outs["parquet"]).select(given.column_names)
    for name in given.column_names:
        assert found.schema.field(name) == given.schema.field(name)
        is_same = found[name].equals(given[name])  # or holds NaN
        assert is_same or meaningful(found[name]) == meaningful(given[name]), name


def meaningful(column: pa.ChunkedArray) -> str:
    return repr(meaning(whole(column)))  # in which NaN is NaN


def test_parquet_keeps_pandas_index_its_own_metadata_and_its_compression(tmp_path: Path) -> None:
    frame = pytest.importorskip("pandas").DataFrame({"text": ["a", "b", "c"], "n": [1, 2, 3]})
    frame.index = frame.index.map("key {}".format).rename("key")
    table = pa.Table.from_pandas(frame)
    mine = {b"source": b"shop", b"org.apache.spark.sql.parquet.row.metadata": b'{"fields": []}'}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **mine})
    for codec in ("zstd", "gzip", "none"):
        pq.write_table(table, tmp_path / "in.parquet", compression=codec)
        options = Options(part_rows=2)  # several parts, which are put together
        score(tmp_path / "in.parquet", out=tmp_path / f"{codec}.parquet", options=options)
        metadata = pq.read_metadata(tmp_path / f"{codec}.parquet")
        assert metadata.metadata[b"source"] == b"shop"
        assert b"org.apache.spark.sql.parquet.row.metadata" not in metadata.metadata
        wanted = {"none": "UNCOMPRESSED"}.get(codec, codec.upper())
        group = metadata.row_group(0)
        assert {group.column(i).compression for i in range(group.num_columns)} == {wanted}
        found = pq.read_table(tmp_path / f"{codec}.parquet").to_pandas()
        assert found[["text", "n"]].equals(frame)
        assert "label" in found.columns
    scored = Scorer()(table).to_pandas()
    assert scored.index.equals(frame.index)
    chosen = Options(columns=("n", "label"))
    score(tmp_path / "in.parquet", out=tmp_path / "chosen.parquet", options=chosen)
    assert list(pq.read_table(tmp_path / "chosen.parquet").to_pandas().index) == [0, 1, 2]


@pytest.mark.parametrize(
    "value",
    [
        *(b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"index_columns": 5, "columns": []}'),
        b'{"index_columns": [], "columns": [1]}',
    ],
)
def test_metadata_that_only_looks_like_pandas_harms_nothing(value: bytes, tmp_path: Path) -> None:
    table = pa.table({"text": ["a"]}).replace_schema_metadata({"pandas": value})
    pq.write_table(table, tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", out=tmp_path / "out.parquet").rows == 1
    assert "pandas" not in (pq.read_schema(tmp_path / "out.parquet").metadata or {})


def test_json_lines_hold_every_value_as_its_type_is_written(
    scored: tuple[pa.Table, dict[str, Path]],
) -> None:
    given, outs = scored
    rows = [json.loads(line, parse_constant=no) for line in outs["jsonl"].read_bytes().splitlines()]
    for name in given.column_names:
        kind = given.schema.field(name).type
        for row, wanted in zip(rows, meaning(whole(given[name])), strict=True):
            assert same(read(row[name], kind), wanted), (name, row[name], wanted)


def no(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_csv_holds_every_value_as_its_type_is_written(
    scored: tuple[pa.Table, dict[str, Path]],
) -> None:
    given, outs = scored
    rows = rows_of(outs["csv"])
    for name in given.column_names:
        kind = given.schema.field(name).type
        for row, wanted in zip(rows, meaning(whole(given[name])), strict=True):
            field = row[name]
            if wanted is None:
                assert field == ""
            elif isinstance(wanted, dict | list):
                assert same(read(json.loads(field, parse_constant=no), kind), wanted), name
            else:
                leaf = kind.value_type if pa.types.is_dictionary(kind) else kind
                assert same(read_text(field, leaf), wanted), (name, field, wanted)


def test_types_that_parquet_has_not_can_be_written_too() -> None:
    ends = pa.array([2, 3, 5], pa.int32())
    runs = pa.RunEndEncodedArray.from_arrays(ends, pa.array(["a", None, 'b"']))
    spans = pa.array([pa.MonthDayNano([14, -3, 1_500_000_000]), None])
    codes, numbers, words = (
        pa.array([0, 1, 0], pa.int8()),
        pa.array([1, 2, 3]),
        pa.array(list("xyz")),
    )
    sparse = pa.UnionArray.from_sparse(codes, [numbers, words])
    dense = pa.UnionArray.from_dense(codes, pa.array([0, 0, 1], pa.int32()), [numbers, words])
    assert texts(runs) == ["a", "a", None, 'b"', 'b"']
    assert json_values(runs.slice(1, 3)) == ['"a"', "null", '"b\\""']
    assert texts(spans) == ["P14M-3DT1.500000000S", None]
    assert json_values(sparse) == ["1", '"y"', "3"]
    assert json_values(dense) == ["1", '"x"', "2"]
    assert texts(pa.array([{}, None])) == ["{}", None]


BAD = b"caf\xe9"


def strings(kind: pa.DataType, size: int, bad: int) -> pa.Array:
    """Return strings, one of which is not UTF-8."""
    values = pa.array([BAD if i == bad else b"good" for i in range(size)], pa.binary())
    stored = {pa.string_view(): pa.binary_view(), pa.large_string(): pa.large_binary()}
    if kind == pa.string_view():
        values = pa.array(values.to_pylist(), pa.binary_view())
    values = values.cast(stored.get(kind, pa.binary()))
    return pa.Array.from_buffers(kind, size, values.buffers())


def columns_of_bad_strings() -> dict[str, pa.Array]:
    """Return columns that hold strings; in each the row of its number is not UTF-8."""
    kinds, size = (pa.string(), pa.large_string(), pa.string_view()), 10
    offsets, names = pa.array(range(size + 1), pa.int32()), pa.array(["x"] * size)
    columns: dict[str, pa.Array] = {}
    for kind in kinds:
        columns[f"plain_{kind}"] = strings(kind, size, len(columns))
        columns[f"list_{kind}"] = pa.ListArray.from_arrays(
            offsets, strings(kind, size, len(columns))
        )
    columns["struct"] = pa.StructArray.from_arrays(
        [strings(pa.string(), size, 6), names], ["s", "n"]
    )
    columns["map"] = pa.MapArray.from_arrays(offsets, names, strings(pa.string(), size, 7))
    columns["keys"] = pa.MapArray.from_arrays(offsets, strings(pa.string(), size, 8), names)
    return columns


@pytest.mark.parametrize("out", OUTPUTS)
def test_a_string_that_is_not_utf_8_is_its_rows_error_and_no_other_field_is_lost(
    out: str, tmp_path: Path
) -> None:
    columns = columns_of_bad_strings()
    path, target = tmp_path / "in.parquet", tmp_path / f"out.{out}"
    ids = [str(i) for i in range(10)]
    pq.write_table(pa.table({"id": ids, "text": ["good"] * 10, **columns}), path)
    report = score(path, out=target)
    if out == "parquet":  # holds the bytes as they came
        assert report.errors == 0
        assert texts(pq.read_table(target)["keys"]) == texts(columns["keys"])
        return
    rows = rows_of(target)
    assert [row["id"] for row in rows] == ids
    assert [row["error"] or None for row in rows] == [
        *(f"the column {name!r} holds what is not UTF-8" for name in columns),
        None,
    ]
    for row, name in zip(rows, columns, strict=False):
        assert "caf\ufffd" in str(row[name])
        assert [
            row[other] for other in columns if other != name and "\ufffd" in str(row[other])
        ] == []


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    return [*read_csv(path)]


def test_bytes_are_base64_in_every_row_whatever_the_others_hold(tmp_path: Path) -> None:
    values = [b"good"] * 4999 + [b"\xff\xfe\xfd\xfc"]
    for kind in (pa.binary(4), pa.binary()):
        columns = {"text": ["a"] * 5000, "bytes": pa.array(values, kind)}
        pq.write_table(pa.table(columns), tmp_path / "in.parquet")
        score(tmp_path / "in.parquet", out=tmp_path / "out.csv", overwrite=True)
        with (tmp_path / "out.csv").open() as file:
            assert {row["bytes"] for row in csv.DictReader(file)} == {"Z29vZA==", "//79/A=="}


def test_a_far_date_within_a_struct_is_a_text_with_its_number(tmp_path: Path) -> None:
    never = pa.array([253_402_300_800_000_000, 0], pa.int64()).cast(pa.timestamp("us"))
    columns = {"text": ["a", "b"], "s": pa.StructArray.from_arrays([never], ["t"]), "t": never}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    wanted = ["<value out of range: 253402300800000000>", "1970-01-01T00:00:00.000000"]
    for out in ("jsonl", "csv"):
        score(tmp_path / "in.parquet", out=tmp_path / f"out.{out}")
        rows = rows_of(tmp_path / f"out.{out}")
        structs = [json.loads(r["s"]) if out == "csv" else r["s"] for r in rows]
        assert [each["t"] for each in structs] == wanted
        assert [row["t"] for row in rows] == wanted


def test_columns_that_are_not_passed_on_cannot_harm(tmp_path: Path) -> None:
    columns = {"text": ["a"] * 3, "note": strings(pa.string(), 3, 1), "id": [1, 2, 3]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    report = score(
        tmp_path / "in.parquet", out=tmp_path / "o.jsonl", options=Options(columns=("id", "error"))
    )
    assert report.errors == 0


def test_a_scorer_reads_texts_as_the_file_run_does() -> None:
    scorer = Scorer()
    for values in ([b"good", None, BAD], [b"good", b"bad", b""]):
        for kind in (pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())):
            batch = pa.record_batch({"text": pa.array(values, pa.binary()).cast(kind)})
            errors = scorer(batch)["error"].to_pylist()
            assert errors == (
                [None, "the text is null", "the text is not UTF-8"] if BAD in values else [None] * 3
            )
    twice = pa.table([["a"], ["b"], ["c"]], names=["text", "n", "n"])
    with pytest.raises(ScoreError, match="2 columns 'n'"):
        scorer(twice)
    with pytest.raises(ScoreError, match="2 column 'text'"):
        scorer(pa.table([["a"], ["b"]], names=["text", "text"]))


def test_a_far_date_in_the_old_type_of_times_is_not_another_date(tmp_path: Path) -> None:
    never = pa.array([253_402_214_400_000_000, -1], pa.int64()).cast(pa.timestamp("us"))
    path = tmp_path / "in.parquet"
    table = pa.table({"text": ["a", "b"], "t": never})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    score(path, out=tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["t"].to_pylist() == never.to_pylist()
    score(path, out=tmp_path / "out.jsonl")
    first, second = rows_of(tmp_path / "out.jsonl")
    assert (first["t"], second["t"]) == ("9999-12-31T00:00:00.000000", "1969-12-31T23:59:59.999999")
