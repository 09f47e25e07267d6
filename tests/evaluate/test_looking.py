"""The page as a browser shows it: on a phone and a desktop, light and dark, and on paper.

The pictures are left in pytest's temporary folder, to be looked at.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import variants
from browser import Browser, chromium
from evaluating import TEXTS, write
from numpy.typing import NDArray
from sentido_evaluate import Asked, evaluate, read_suite, render_page
from sentido_evaluate.figures.multi_label import MultiLabel
from sentido_evaluate.figures.single import SingleLabel
from sentido_evaluate.notes import notes

pytestmark = pytest.mark.needs("chromium")

PHONE, DESKTOP, PAPER = 375, 1280, 718  # pixels; A4 within Chromium's margins
ROWS = 4000
EPOCHS = [
    {
        "loss": 0.7 / number,
        "accuracy": 1 - 0.5 / number,
        "validation_loss": 0.72 / number + 0.01 * number,
        "validation_accuracy": 0.9 - 0.4 / number,
    }
    for number in range(1, 13)
]

Floats = NDArray[np.float32]


def answers(truth: NDArray[np.bool_]) -> Floats:
    """Return probabilities (rows, labels) that know something of the truth."""
    generator = np.random.default_rng(1)
    logits = generator.normal(-2, 1.5, truth.shape) + 3 * truth
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def facts(name: str, labels: tuple[str, ...]) -> dict[str, Any]:
    return {"name": name, "version": "1", "digest": "0" * 64, "precision": "fp32"} | {
        "labels": list(labels)
    }


def put_together(name: str, labels: tuple[str, ...], figures: dict[str, Any]) -> dict[str, Any]:
    rows = {"evaluated": ROWS, "errors": 3}
    whole = {"model": facts(name, labels), "rows": rows, "checks": [], **figures}
    return whole | {"notes": notes(whole)}


ODD = [
    "wonderful " + "\u0301" * 300,
    "wonderful \u202egood",
    "W" * 3000,
    "wonderful\n\n\n\tyes\x07",
]


def the_default_bundle(folder: Path) -> dict[str, Any]:
    """Every part that a page can have."""
    rows = [*TEXTS, *((text, "negative") for text in ODD)]
    path = write(folder / "a file with a long name of labelled texts.csv", rows)
    other = variants.copy(folder / "other", labels=["positive", "negative"])
    asked = Asked(path, compare=other, suites=[read_suite("film-reviews")], texts=True)
    return evaluate(asked) | {"training": {"kept": [5, 9], "epochs": EPOCHS}}


def three_labels(_: Path) -> dict[str, Any]:
    """One label of them rare, with long names."""
    labels = ("ordinary payments by card", "fraudulent", "Donaudampfschifffahrtsgesellschaft")
    truth = np.random.default_rng(0).choice(3, ROWS, p=[0.95, 0.045, 0.005])
    spread = answers(truth[:, None] == np.arange(3))
    spread /= spread.sum(axis=1, keepdims=True)
    counter = SingleLabel(labels)
    words = np.random.default_rng(0).integers(0, 1500, ROWS)
    counter.add(spread, truth, words, words // 8)
    return put_together("imbalanced", labels, counter.figures())


def several_labels(_: Path) -> dict[str, Any]:
    labels = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
    shares = [0.1, 0.01, 0.05, 0.003, 0.05, 0.009]
    truth = np.random.default_rng(0).random((ROWS, len(labels))) < shares
    probabilities, thresholds = answers(truth), (0.5, 0.31, 0.5, 0.123457, 0.4, 0.5)
    counter = MultiLabel(labels, thresholds)
    words = np.random.default_rng(0).integers(0, 120, ROWS)
    said = probabilities >= np.array(thresholds, np.float32)
    counter.add(probabilities, said, truth, words, words // 30)
    chosen = {"chosen": ["severe_toxic", "threat", "insult"], "texts": 3950}
    return put_together("toxic", labels, counter.figures()) | {"thresholds": chosen}


PAGES = [the_default_bundle, three_labels, several_labels]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests, whose scripts do not run."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: str(page.__name__))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    path = folder / "page.html"
    path.write_text(render_page(request.param(folder)), "utf-8")
    return path


CUT = """
[...document.querySelectorAll('h1, h2, p, li, .tile, figcaption, th, td')]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != 'inline')
  .map(e => e.textContent)
"""
BESIDE = """
[...document.querySelectorAll('svg text')].filter(e => {
  const [box, all] = [e.getBoundingClientRect(), e.closest('svg').getBoundingClientRect()];
  return box.left < all.left || box.right > all.right || box.bottom > all.bottom + 1;
}).map(e => e.textContent)
"""
OVER = """
[...document.querySelectorAll('svg')].flatMap(svg => {
  const place = e => [e.textContent, e.getBoundingClientRect()];
  const texts = [...svg.querySelectorAll('text')].map(place);
  return texts.flatMap(([a, one], i) => texts.slice(i + 1).filter(([b, two]) =>
    one.left < two.right - 1 && two.left < one.right - 1 &&
    one.top < two.bottom - 3 && two.top < one.bottom - 3).map(([b]) => a + ' / ' + b));
})
"""
SPILLED = """
[...document.querySelectorAll('td, th')].filter(e => getComputedStyle(e).overflow != 'hidden')
  .map(e => e.textContent)
"""
"""What does not fit where it stands, lies beside its picture, over other letters, or may: a text
of many accents is taller than its line."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_page_fits_the_screen_and_asks_for_nothing(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.open(page, width=width, dark=dark)
    name = f"{'phone' if width == PHONE else 'desktop'}-{'dark' if dark else 'light'}.png"
    browser.screenshot(page.with_name(name))
    content, screen = browser.width()
    assert content <= screen == width
    assert browser.found(CUT) == []
    assert browser.found(BESIDE) == []
    assert browser.found(OVER) == []
    assert browser.found(SPILLED) == []
    assert browser.problems() == []


FAINT = """
(() => {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const lights = c => c.map(v => linear(v / 255));
  const light = c => { const [r, g, b] = lights(c); return .2126 * r + .7152 * g + .0722 * b; };
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => below.map((v, i) => a * [r, g, b][i] + (1 - a) * v);
  const behind = e => e ? over(parts(getComputedStyle(e).backgroundColor), behind(e.parentElement))
    : [255, 255, 255];
  const own = e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
  const seen = [...document.body.querySelectorAll('*')].filter(e => own(e) && e.tagName != 'title');
  return seen.map(e => {
    const style = getComputedStyle(e);
    const letters = light(parts(e.closest('svg') ? style.fill : style.color).slice(0, 3));
    const back = light(behind(e));
    const ratio = (Math.max(letters, back) + .05) / (Math.min(letters, back) + .05);
    return [e.textContent, ratio];
  }).filter(([, ratio]) => ratio < 4.5);
})()
"""
"""Letters that are too near to what is behind them, as WCAG 2 counts it for its level AA."""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(
    browser: Browser, page: Path, dark: bool
) -> None:
    browser.open(page, width=DESKTOP, dark=dark)
    assert browser.found(FAINT) == []
    back = browser.found("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") != dark


def test_a_page_is_printed_in_black_on_white_and_nothing_is_cut_off(
    browser: Browser, page: Path
) -> None:
    browser.open(page, width=PAPER, dark=True, media="print")
    content, paper = browser.width()
    assert content <= paper
    assert browser.found("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.found(FAINT) == []
    printed = browser.printed(page.with_suffix(".pdf"))
    assert printed.startswith(b"%PDF")
    assert 1 <= printed.count(b"/Type /Page\n") <= 20
