"""Compare the recipes on other data: python bench/recipes.py [--seed 1] [--class-weights balanced].

Two data sets are made from the shipped texts: 500 reviews, and 3,500 texts with three labels, of
which "negative" is 13 times as common as "mixed", one sentence of praise and one of blame. A model
is trained by each recipe on each, and all are judged on texts that no part of training has seen.
"""

import argparse
import csv
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Bundle
from sentido_export.data import Dataset, load
from sentido_export.main import main as export
from sentido_export.recipe import RECIPES
from sentido_export.split import groups
from sklearn.metrics import f1_score

Rows = list[tuple[str, str]]  # text and label

SAMPLES = 2000  # of the bootstrap


def main(seed: int, flags: list[str]) -> None:
    """Train with these flags, judge and print."""
    generator = np.random.default_rng(seed)
    made = {"500 reviews": few(generator), "three labels": three(generator)}
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--seed", str(seed), "--name", "compared", "--no-int8", *flags]
        lines = [line for name, rows in made.items() for line in judged(name, rows, flags, folder)]
    print(*lines, sep="\n")


def few(generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return 500 reviews to train on and 3,000 to judge by."""
    of = by_label("reviews", generator, 1750)
    return rows(of, 0, 250), rows(of, 250, 1750)


def three(generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return 3,500 sentences to train on and 1,690 to judge by."""
    of = by_label("sentences", generator, 4150)
    negative, positive = iter(of["negative"]), iter(of["positive"])

    def part(negatives: int, positives: int, mixed: int) -> Rows:
        pairs = zip(negative, positive, strict=False)
        return [
            *((text, "negative") for text in islice(negative, negatives)),
            *((text, "positive") for text in islice(positive, positives)),
            *((" ".join(generator.permutation(pair)), "mixed") for pair in islice(pairs, mixed)),
        ]

    return part(2600, 700, 200), part(1250, 340, 100)


def by_label(source: str, generator: np.random.Generator, count: int) -> dict[str, list[str]]:
    """Draw so many texts of each label from a source, none nearly equal to another."""
    found: Dataset = load(source)
    drawn = found.take(generator.permutation(len(found)))
    _, first = np.unique(groups(drawn.texts), return_index=True)
    different = drawn.take(np.sort(first))
    return {
        name: different.take(np.flatnonzero(different.labels == label)[:count]).texts
        for label, name in enumerate(different.label_names)
    }


def rows(of: dict[str, list[str]], start: int, end: int) -> Rows:
    """Return some texts of each label."""
    return [(text, label) for label, texts in of.items() for text in texts[start:end]]


def judged(name: str, parts: tuple[Rows, Rows], flags: list[str], folder: str) -> list[str]:
    """Return the lines on a data set: of each recipe, and how far they are apart."""
    train, test = parts
    data = Path(folder) / "train.csv"
    with data.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *train])
    scores, lines = {}, [f"{name}: {len(train):,} texts, judged on {len(test):,}"]
    for recipe in RECIPES:
        out = Path(folder) / f"{name}-{recipe}"
        if export(["--data", str(data), "--out", str(out), "--recipe", recipe, *flags]) != 0:
            raise SystemExit(1)
        scores[recipe] = bootstrapped(Bundle.load(out), test)
        lines.append(f"  {recipe:<10} macro F1 {in_words(scores[recipe])}")
    lines.append(f"  difference {in_words(scores['best'] - scores['tutorial'])}")
    return lines


def bootstrapped(bundle: Bundle, test: Rows) -> NDArray[np.float64]:
    """Return the macro F1 of the texts, and then that of each sample of the bootstrap."""
    labels = np.array([bundle.labels.index(label) for _, label in test])
    answers = bundle.predict([text for text, _ in test]).probabilities.argmax(axis=1)
    draw = np.random.default_rng(0)  # the same samples for each recipe
    samples = [np.arange(len(test)), *draw.integers(len(test), size=(SAMPLES, len(test)))]
    known = range(len(bundle.labels))
    return np.array(
        [
            f1_score(labels[each], answers[each], labels=known, average="macro", zero_division=0)
            for each in samples
        ]
    )


def in_words(scores: NDArray[np.float64]) -> str:
    """Return a figure with its 95 % interval."""
    low, high = np.quantile(scores[1:], [0.025, 0.975])
    return f"{scores[0]:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--class-weights", default="none")
    arguments = parser.parse_args()
    main(arguments.seed, ["--class-weights", arguments.class_weights])
