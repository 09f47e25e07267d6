"""What the scorer writes of labels: those that hold, and the probabilities of all of several."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import config, running
from scoring import read_csv, read_jsonl, write_parquet
from sentido_bundle import Bundle
from sentido_score import Options, Servers, score, score_batches
from variants import LABELS, of_three_labels

TEXTS = ["a good film", None, "an awful mess", "", "wonderful", "bad"]
PROBABILITIES = [f"probability_{label}" for label in LABELS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = {"kind": "multi_label", "thresholds": [0.6, 0.6, 0.3]}
    return of_three_labels(tmp_path_factory.mktemp("labels") / "several", task=task)


@pytest.fixture(scope="module")
def remote(folder: Path) -> Iterator[str]:
    with running(config(bundle=(folder,))) as address:
        yield address


@pytest.fixture(scope="module")
def chosen(folder: Path) -> list[list[str] | None]:
    """The labels that hold of each text, None of that which is none."""
    bundle = Bundle.load(folder)
    found = bundle.chosen(bundle.predict([text or "" for text in TEXTS]).probabilities)
    names = [[label for label, holds in zip(LABELS, row, strict=True) if holds] for row in found]
    wanted = [None if text is None else row for text, row in zip(TEXTS, names, strict=True)]
    assert {len(row) for row in names} == {0, 1, 2}  # or the tests say nothing
    return wanted


def scored(path: Path, out: Path, folder: Path) -> Path:
    score(path, folder, out=out)
    return out


def test_a_model_of_several_labels_gives_those_chosen_and_every_probability(
    folder: Path, chosen: list[Any], tmp_path: Path
) -> None:
    table = pq.read_table(
        scored(write_parquet(tmp_path / "in.parquet", TEXTS), tmp_path / "out.parquet", folder)
    )
    results = [name for name in table.column_names if name not in ("id", "text")]
    assert results[: 2 + len(LABELS)] == ["label", *PROBABILITIES, "chosen"]
    assert table.schema.field("chosen").type == pa.list_(pa.string())
    assert table["chosen"].to_pylist() == chosen
    found = np.array([table[name].to_pylist() for name in PROBABILITIES], float).T
    wanted = Bundle.load(folder).predict([text for text in TEXTS if text is not None]).probabilities
    assert np.array_equal(found[[0, 2, 3, 4, 5]], wanted)
    assert np.isnan(found[1]).all()


def test_labels_that_hold_are_an_array_in_json_lines_and_in_a_field_of_csv(
    folder: Path, chosen: list[Any], tmp_path: Path
) -> None:
    path = write_parquet(tmp_path / "in.parquet", TEXTS)
    rows = read_jsonl(scored(path, tmp_path / "out.jsonl", folder))
    assert [row["chosen"] for row in rows] == chosen
    assert set(PROBABILITIES) <= set(rows[0])
    cells = [row["chosen"] for row in read_csv(scored(path, tmp_path / "out.csv", folder))]
    assert [json.loads(cell) if cell else None for cell in cells] == chosen


def test_a_server_s_choice_is_this_machine_s(folder: Path, remote: str, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "in.parquet", TEXTS)
    score(path, out=tmp_path / "remote.parquet", engine="remote", servers=Servers(remote))
    local = scored(path, tmp_path / "local.parquet", folder)
    assert pq.read_table(tmp_path / "remote.parquet").equals(pq.read_table(local))


def test_of_one_label_the_label_is_what_is_chosen(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "in.parquet", TEXTS)
    table = pa.Table.from_batches(score_batches(path))
    label = table["label"].to_pylist()
    assert table["chosen"].to_pylist() == [None if each is None else [each] for each in label]
    assert not set(PROBABILITIES) & set(table.column_names)
    options = Options(columns=("text", "label"))
    assert pa.Table.from_batches(score_batches(path, options=options)).column_names == [
        "text",
        "label",
    ]
