"""The page: one file that needs nothing else, and holds no texts unless they are asked for."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluating import TEXTS, run, write
from sentido_evaluate import render_page
from sentido_evaluate.figures.multi_label import MultiLabel
from sentido_evaluate.figures.single import SingleLabel
from sentido_evaluate.page.training import training


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """63 texts, 60 of which the default bundle answers as they are labelled."""
    return write(tmp_path / "labelled.csv", TEXTS)


MARK = "lifeless"  # a word of the texts


@pytest.fixture
def written(labelled: Path, tmp_path: Path) -> Callable[..., str]:
    """Write a page; return it."""

    def written(*flags: str) -> str:
        out = tmp_path / "page.html"
        code, _, err = run(labelled, "--report", out, *flags)
        assert code == 0, err
        return out.read_text("utf-8")

    return written


class Tags(HTMLParser):
    """Collects tags, and fails for one that is not closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_a_page_is_whole_and_loads_and_runs_nothing(written: Callable[..., str]) -> None:
    text = written("--checks", "film-reviews")
    tags = Tags()
    tags.feed(text)
    assert {"svg", "table", "style", "title"} <= tags.seen
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & tags.seen
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert not {"src", "href", "srcset"} & tags.attributes
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert len(text.encode()) < 200_000


def test_a_page_follows_light_and_dark_and_can_be_printed(written: Callable[..., str]) -> None:
    text = written()
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_texts_are_in_a_page_only_if_that_is_asked(written: Callable[..., str]) -> None:
    assert "wonderful" not in written("--checks", "film-reviews")
    shown = written("--texts")
    assert "A wonderful little film, I loved it." in shown
    assert "labelled.csv: line 62" in shown


def test_names_and_texts_cannot_break_out_of_a_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> & a wonderful little film, I loved it."
    path = write(tmp_path / "a.csv", [(evil, "negative"), ("A dull mess.", "negative")])
    out = tmp_path / "page.html"
    assert run(path, "--report", out, "--texts")[0] == 0
    text = out.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; a wonderful" in text


def test_a_page_of_a_thousand_labels_stays_below_a_megabyte() -> None:
    labels = tuple(f"label number {n}" for n in range(1000))
    counter, generator = SingleLabel(labels), np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(1000, 0.01), 2000).astype(np.float32)
    truth = generator.integers(1000, size=2000)
    counter.add(probabilities, truth, np.full(2000, 10), np.zeros(2000, np.int64))
    model: dict[str, Any] = {"name": "many", "version": "1", "digest": "0" * 64}
    model |= {"precision": "fp32", "labels": list(labels)}
    rows = {"evaluated": 2000, "errors": 3}
    found = {"model": model, "rows": rows, "notes": [], "checks": [], **counter.figures()}
    text = render_page(found)
    assert len(text.encode()) < 1_000_000
    assert "700 rarer labels are in the JSON" in text


def test_a_threshold_near_0_is_not_shown_as_0() -> None:
    counter = MultiLabel(("a", "b"), (0.0000123, 0.5))
    rows = np.zeros((3, 2), np.float32)
    words = np.ones(3, np.int64)
    counter.add(rows, rows > 1, rows > 1, words, words)
    model: dict[str, Any] = {"name": "rare", "version": "1", "digest": "0" * 64}
    model |= {"precision": "fp32", "labels": ["a", "b"]}
    found = {"model": model, "rows": {"evaluated": 3, "errors": 0}, "notes": [], "checks": []}
    assert '<td class="n">1.23e-05</td>' in render_page({**found, **counter.figures()})


def test_curves_show_each_epoch_of_training_and_whose_weights_are_kept() -> None:
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    epochs = [dict.fromkeys(names, 1 / number) for number in range(2, 5)]
    shown = training({"kept": [2, 2], "epochs": epochs})
    assert "has the weights of epoch 2," in shown
    assert shown.count("<polyline") == 4
    assert shown.count("epoch 3: 0.2500") == 4
    many = training({"kept": [3, 5], "epochs": epochs * 3333})
    assert "the mean of epochs 3 to 5" in many
    assert len(many) < 30_000


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, labelled: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("old")
    assert run(labelled, "--report", out, "--label-column", "none")[0] == 1
    assert out.read_text() == "old"
    assert run(labelled, "--report", out)[0] == 0
    assert out.read_text("utf-8").startswith("<!doctype html>")
    assert not re.findall(r"^\.page", "\n".join(p.name for p in tmp_path.iterdir()), re.MULTILINE)
