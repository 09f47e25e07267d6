"""Folders such as `year=2023/` are columns, as Hive, Spark and pyarrow write them."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scoring import read_csv, read_jsonl, sentido_score, write_csv, write_jsonl, write_parquet
from sentido_score import Options, ScoreError, score, score_batches
from sentido_score.formats.opening import open_source
from sentido_score.formats.partitions import Partitions

WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return read_jsonl(path) if path.suffix == ".jsonl" else [*read_csv(path)]


def lake(tmp_path: Path, *folders: str, format: str = "csv") -> Path:
    """Write a file with a text of its own into each folder."""
    for folder in folders:
        (tmp_path / "lake" / folder).mkdir(parents=True)
        WRITERS[format](tmp_path / "lake" / folder / f"a.{format}", [f"in {folder}"])
    return tmp_path / "lake"


def partitions(source: Path | str, **options: Any) -> Partitions:
    reader = open_source(source, Options(**options))
    return Partitions.of(reader.files, reader.names, reader.options.partitions)  # type: ignore[attr-defined]


@pytest.mark.parametrize("out", list(WRITERS))
@pytest.mark.parametrize("format", list(WRITERS))
def test_partitions_become_columns_between_the_inputs_and_the_results(
    format: str, out: str, tmp_path: Path
) -> None:
    source = lake(tmp_path, "year=2023/city=Bonn", "year=2024/city=K%C3%B6ln", format=format)
    score(source, out=tmp_path / f"out.{out}")
    first, second = rows(tmp_path / f"out.{out}")
    names = list(first)
    assert names[names.index("label") - 2 : names.index("label")] == ["year", "city"]
    assert names.index("text") < names.index("year")
    years = ("2023", "2024") if out == "csv" else (2023, 2024)
    assert (first["year"], second["year"]) == years
    assert (first["city"], second["city"]) == ("Bonn", "Köln")
    assert first["text"].startswith("in year=2023")


def test_whole_numbers_are_int32_and_all_else_strings(tmp_path: Path) -> None:
    for values, kind, found in (
        (("01", "-2", "__HIVE_DEFAULT_PARTITION__"), pa.int32(), {1, -2, None}),
        (("1", "x"), pa.string(), {"1", "x"}),
        (("1", str(2**31)), pa.string(), {"1", str(2**31)}),
        (("1.5",), pa.string(), {"1.5"}),
        (("__HIVE_DEFAULT_PARTITION__",), pa.string(), {None}),
        (("", "1"), pa.string(), {"", "1"}),
        (("١",), pa.string(), {"١"}),
        (("a%20b%3Dc", "100%"), pa.string(), {"a b=c", "100%"}),
    ):
        folder = tmp_path / str(abs(hash(values)))
        read = partitions(lake(folder, *(f"k={value}" for value in values)))
        assert read.schema == pa.schema([("k", kind)])
        assert {value for (value,) in read.values} == found


def test_partitions_are_those_that_pyarrow_finds(tmp_path: Path) -> None:
    folders = ("a%20a=1/b=x%2Fy", "a%20a=2/b=__HIVE_DEFAULT_PARTITION__", "a%20a=3/b=")
    source = lake(tmp_path, *folders, format="parquet")
    read = partitions(source)
    wanted = pq.ParquetDataset(source, partitioning="hive").read().select(["a a"])
    assert read.schema.names == ["a a", "b"]
    assert [value for value, _ in read.values] == wanted["a a"].to_pylist()
    assert [value for _, value in read.values] == ["x/y", None, ""]


def test_globs_names_and_folders_find_the_same_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lake(tmp_path, "year=2023", "year=2024")
    monkeypatch.chdir(source)
    for glob in ("year=*", "year=202?/*.csv", f"{source}/**/*.csv", f"file://{source}/year=*"):
        assert partitions(glob).values == [(2023,), (2024,)]
    assert partitions("year=2024/a.csv").values == [(2024,)]
    monkeypatch.chdir(source / "year=2024")
    assert partitions("a.csv").schema.names == []


def test_no_partitions_leaves_the_folders_names_out(tmp_path: Path) -> None:
    source, out = lake(tmp_path, "id=1"), tmp_path / "out.csv"
    result = sentido_score(source, "--out", out, code=1)
    assert b"the file has a column 'id', and a folder 'id=' stands for one too" in result.stderr
    sentido_score(source, "--out", out, "--no-partitions")
    assert read_csv(out)[0]["id"] == "00000"


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("a=1", "."), "name the columns 'a', those of .* none: score them apart"),
        (("a=1", "b=1"), "name the columns 'b', those of .* 'a'"),
        (("a=1/a=2",), "a folder 'a=' stands for a column, and a folder 'a=' stands for one too"),
        (("Text=1",), "the file has a column 'text', and a folder 'Text='"),
        (("a=%FF",), "'?%FF'? is not UTF-8 once its % are decoded"),
    ],
)
def test_partitions_that_make_no_table_are_refused(
    folders: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    for folder in folders:
        (tmp_path / "lake" / folder).mkdir(parents=True, exist_ok=True)
        write_csv(tmp_path / "lake" / folder / "a.csv", ["x"])
    with pytest.raises(ScoreError, match=said):
        partitions(tmp_path / "lake")
    assert partitions(tmp_path / "lake", partitions=False).schema.names == []


def test_a_folder_named_like_a_result_and_columns_are_told_apart(tmp_path: Path) -> None:
    source, out = lake(tmp_path, "Label=gold"), tmp_path / "out.csv"
    result = sentido_score(source, "--out", out, "--columns", "predicted_label,Label,text")
    assert b"the input has a column 'Label', so the result is called 'predicted_label'" in (
        result.stderr
    )
    (row,) = read_csv(out)
    assert set(row) == {"predicted_label", "Label", "text"}
    assert row["Label"] == "gold"


def test_names_that_differ_in_case_only_are_a_clash(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("text,Label,ERROR\ngood,gold,none\n")
    score(path, out=out)
    (row,) = read_csv(out)
    assert (row["Label"], row["ERROR"]) == ("gold", "none")
    assert {"predicted_label", "predicted_error"} <= set(row)
    assert len({name.casefold() for name in row}) == len(row)
    path.write_text("text,Label,PREDICTED_label\ngood,gold,x\n")
    with pytest.raises(ScoreError, match="a column 'PREDICTED_label' too: choose a --prefix"):
        score(path, out=out, overwrite=True)


def test_batches_have_the_partitions_too(tmp_path: Path) -> None:
    source = lake(tmp_path, "year=2023", "year=2024", format="parquet")
    found = pa.Table.from_batches(score_batches(source))
    assert found["year"].to_pylist() == [2023, 2024]
    assert found.column_names[:4] == ["id", "text", "year", "label"]


def test_a_run_is_resumed_with_the_partitions_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = lake(tmp_path, "year=2023"), tmp_path / "out.jsonl"
    monkeypatch.chdir(source)
    score("year=2023/a.csv", out=out)
    assert json.loads(out.read_text())["year"] == 2023
    os.chdir(source / "year=2023")
    with pytest.raises(ScoreError, match="it differs in partition_columns"):
        score("a.csv", out=out, resume=True)
