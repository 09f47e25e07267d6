"""That the page about your own model is true: its cell runs, its messages are those of the code."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from keras_text import TEXTS, fitted
from numpy.typing import NDArray
from sentido_export.imported.answers import read_answers
from sentido_export.imported.check import check, labels_of
from sentido_export.imported.sides import Sides, pad

PAGE = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
SOURCE = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("export/sentido_export", "bundle/sentido_bundle/cleaning")
    for path in (ROOT / folder).rglob("*.py")
)


def messages() -> list[str]:
    tables = re.findall(r"^\| message \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return re.findall(r"^\| `(.+?)` \|", "".join(tables), re.MULTILINE)


@pytest.mark.parametrize("message", messages())
def test_a_message_of_the_page_is_one_of_the_exporter(message: str) -> None:
    whole = re.sub(r'"\s*f?"', "", SOURCE)  # strings in several pieces
    assert message in whole


class Model:
    """Stands where a user's model does: a sum over places, in NumPy."""

    def __init__(self, length: int, words: int) -> None:
        self.table = np.random.default_rng(1).normal(size=(length, words, 2))

    def predict(self, rows: NDArray[np.int32], verbose: int = 0) -> NDArray[np.float32]:
        assert verbose == 0
        values = self.table[np.arange(rows.shape[1]), rows].sum(axis=1)
        shares: NDArray[np.float32] = (1 / (1 + np.exp(-values))).astype(np.float32)
        return shares


def test_the_cell_writes_answers_that_show_the_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = re.findall(r"<!-- the cell: .*?-->\n```python\n(.*?)^```", PAGE, re.M | re.S)
    tokenizer, length = fitted(), 5
    model = Model(length, 60)

    def pad_sequences(ids: list[list[int]], maxlen: int) -> Any:
        return pad(ids, maxlen, Sides("pre", "pre"))

    monkeypatch.chdir(tmp_path)
    texts = [*TEXTS, "the cat", "unheard", ""]
    program = {
        "load_some_texts": lambda: texts,
        "tokenizer": tokenizer,
        "model": model,
        "pad_sequences": pad_sequences,
        "maxlen": length,
    }
    exec(cell, program)
    checked = check(
        read_answers(tmp_path / "answers.jsonl"),
        tokenizer.texts_to_sequences(texts),
        length,
        model.predict,
        labels_of(),
        padding=None,
        truncating=None,
    )
    assert checked.sides == Sides("pre", "pre")
    assert checked.largest_difference == 0
