"""Whole files and a model that lacks what the default one has: a column is there or not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import second_model
from conftest import config, running
from scoring import sentido_score, write_csv
from sentido_bundle import Bundle
from sentido_score import Options, Scorer, Servers, score

TEXTS = ["a good film", "", "bad noise", "zzz a zzz.", "a " * 30]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second") / "bundle"
    second_model.write(folder)
    return folder


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[Servers]:
    with running(config(bundle=(str(folder),))) as address:
        yield Servers(address)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "texts.csv", TEXTS)


def test_the_vectors_that_it_lacks_are_an_absent_column(
    folder: Path, servers: Servers, source: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    options = Options(embed="hidden")
    local, remote = tmp_path / "local.parquet", tmp_path / "remote.parquet"
    score(source, folder, out=local, options=options, say=said.append)
    score(source, out=remote, options=options, engine="remote", servers=servers, say=said.append)
    for out in (local, remote):
        assert "embedding" not in pq.read_table(out).column_names
    sentence = "model 'second' has no vectors to embed: no column embedding is written"
    assert said.count(sentence) == 2


def test_what_it_has_is_scored_by_each_engine_alike(
    folder: Path, servers: Servers, source: Path, tmp_path: Path
) -> None:
    options = Options(embed="mean")
    places = tmp_path / "local.parquet", tmp_path / "remote.parquet"
    score(source, folder, out=places[0], options=options)
    score(source, out=places[1], options=options, engine="remote", servers=servers)
    local, remote = map(pq.read_table, places)
    bundle = Bundle.load(folder)
    wanted = [bundle.word_vectors.mean(bundle.tokenizer.encode(text).ids) for text in TEXTS]
    for table in (local, remote):
        assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), wanted)
    probabilities = bundle.predict(TEXTS).probabilities
    for index, label in enumerate(second_model.LABELS):
        for table in (local, remote):
            found = table[f"probability_{label}"].to_numpy()
            np.testing.assert_allclose(found, probabilities[:, index], atol=1e-6)


def test_a_scorer_leaves_the_column_out_too(folder: Path) -> None:
    table = pa.table({"text": TEXTS})
    assert "embedding" not in Scorer(folder, Options(embed="hidden"))(table).column_names
    assert "embedding" in Scorer(folder, Options(embed="mean"))(table).column_names


def test_the_command_says_which_column_there_is_not(
    folder: Path, source: Path, tmp_path: Path
) -> None:
    done = sentido_score(
        source, "--out", tmp_path / "out.jsonl", "--bundle", folder, "--embed", "hidden"
    )
    assert b"model 'second' has no vectors to embed: no column embedding is written" in done.stderr
    assert b"embedding" not in (tmp_path / "out.jsonl").read_bytes()
