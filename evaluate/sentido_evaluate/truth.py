"""The labels that rows should have: from a column of labels, or from a column of 0 and 1 per label.

A row whose label is missing, or is none of the model's, has an error in the place of a label.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sentido_bundle.settings import like, setting
from sentido_score.files.names import quoted
from sentido_score.format_names import TABLES
from sentido_score.formats.columns import refuse_doubles
from sentido_score.formats.labels import MISSING, label_of
from sentido_score.formats.reader import Reader
from sentido_score.formats.survey import refuse_column
from sentido_score.formats.window import Rows
from sentido_score.options import Options, parse_names

from sentido_evaluate.errors import EvaluateError

Held = frozenset[int]
"""The places of a text's labels among the model's."""

_YES = {"1": True, "true": True, "0": False, "false": False}
_APART = re.compile(r"[,;|\[\]]")  # what stands between labels in one string


def _rename(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise ValueError(f"{text!r:.60} is not OLD=NEW")
    return old, new


@dataclass(frozen=True)
class Columns:
    """Where the labels are. Raises EvaluateError for what cannot be meant."""

    text: str = like(Options, "text_column", flag_name="text_column", group="")
    label: str = setting(
        "label",
        "default: label; of models that give several labels also a list of them",
        flag_name="label_column",
        may_be_empty=True,  # which is refused below, beside those of --label-columns
        metavar="NAME",
    )
    labels: tuple[str, ...] = setting(
        (),
        "a column of 0 and 1 for each label, in the place of --label-column, of models that give"
        " several labels",
        flag_name="label_columns",
        read=parse_names,
        metavar="A,B",
    )
    renamed: Mapping[str, str] = setting(
        {},
        "what the model calls a label of the data, or of the checks; may be repeated",
        flag_name="rename",
        read=_rename,
        metavar="OLD=NEW",
    )

    def __post_init__(self) -> None:
        if self.text in (names := self.names):
            raise EvaluateError(
                f"the column {self.text!r} holds both the texts and labels: name two columns with"
                " --text-column and --label-column"
            )
        if self.labels and self.label != Columns.label:
            raise EvaluateError(
                "--label-column names one column of labels, --label-columns one for each label:"
                " give one of both"
            )
        if not all(names):
            flag, wanted = ("columns", "A,B,C") if self.labels else ("column", "NAME")
            raise EvaluateError(f"--label-{flag} has an empty name: write {wanted}")
        if doubled := [name for name in names if names.count(name) > 1]:
            raise EvaluateError(f"--label-columns names {doubled[0]!r} several times")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read beside the texts."""
        return self.labels or (self.label,)


class Truth:
    """Reads the labels of rows. Immutable."""

    def __init__(
        self,
        columns: Columns,
        labels: Sequence[str],
        *,
        many: bool,
        hint: str = "--rename NAME=LABEL says which it is",
    ) -> None:
        """`labels`: the model's; `many`: whether a text may have any number of them.

        `hint`: what to do where the data calls one otherwise, by the NAME that it has there.

        Raises EvaluateError if the columns and the model cannot go together.
        """
        self._columns = columns
        self._places = {label: place for place, label in enumerate(labels)}
        self._labels = labels
        self._many = many
        self._hint = hint
        if columns.labels and not many:
            raise EvaluateError(
                "--label-columns is for models that give several labels (multi_label): name the"
                " one column of labels with --label-column"
            )
        for old, new in columns.renamed.items():
            if new not in self._places:
                turned = f": write --rename {new}={old}" if old in self._places else ""
                raise EvaluateError(
                    f"--rename {old}={new}: the model has the labels {quoted(labels, 10)}{turned}"
                )
        if columns.labels and (other := {self._name(name) for name in columns.labels} ^ {*labels}):
            raise EvaluateError(
                f"--label-columns and the model's labels differ in {quoted(sorted(other), 3)}: one"
                f" column for each label is needed; {hint}"
            )

    @property
    def flag(self) -> str:
        """Return the flag that names where the labels are."""
        if self._columns.labels:
            return "--label-columns"
        several = ", or a column of 0 and 1 for each label with --label-columns"
        return "--label-column" + (several if self._many else "")

    def check(self, reader: Reader) -> None:
        """Raise ScoreError unless the input has the columns."""
        if reader.format not in TABLES:
            raise EvaluateError(
                "lines of text have no labels: give a table, or name its format with --input-format"
            )
        refuse_doubles(reader.names, [self._columns.text, *self._columns.names], hint="")
        if reader.format != "jsonl":  # whose columns are those of objects that may be bad
            for name in self._columns.names:
                refuse_column(reader.files[0], reader.names, name, flag=self.flag)

    def of(self, reader: Reader, rows: Rows) -> list[Held | str]:
        """Return the labels of each row, or what is wrong with them."""
        if self._columns.labels:
            values = [reader.values(rows, name) for name in self._columns.labels]
            places = [self._places[self._name(name)] for name in self._columns.labels]
            return [self._flags(row, places) for row in zip(*values, strict=True)]
        read = self._several if self._many else self._one
        return _each(read, reader.values(rows, self._columns.label))

    def _name(self, label: str) -> str:
        return self._columns.renamed.get(label, label)

    def _one(self, value: object) -> Held | str:
        label = label_of(value)
        if label is None:
            return f"no label in the column {self._columns.label!r} (--label-column)"
        if (place := self._places.get(self._name(label))) is None:
            if label in MISSING:
                return f"no label: {label!r} is how programs write a missing value"
            return f"the label {label!r:.60} is none of the model's, {self._why(label)}"
        return frozenset((place,))

    def _why(self, label: str) -> str:
        """Say what the model's labels are, and what to do about one that is none of them."""
        labels = quoted(self._labels, 5)
        parts = {part.strip(" '\"") for part in _APART.split(label)}
        if self._many and len(parts & {*self._labels}) > 0:
            return (
                f"{labels}: several labels of a text are a list in Parquet or JSON lines, or a"
                " column of 0 and 1 each (--label-columns)"
            )
        alike = [one for one in self._labels if one.casefold() == label.casefold()]
        hint = self._hint.replace("NAME", label[:40])
        return f"{labels}: {hint.replace('LABEL', alike[0]) if alike else hint}"

    def _several(self, value: object) -> Held | str:
        if not isinstance(value, list | tuple):
            return self._one(value)
        held: set[int] = set()
        for label in value:
            place = self._one(label)
            if isinstance(place, str):
                return place
            held |= place
        return frozenset(held)

    def _flags(self, values: Sequence[object], places: Sequence[int]) -> Held | str:
        held = set()
        for value, place in zip(values, places, strict=True):
            try:
                is_held = _YES.get((label_of(value) or "").lower())
            except ValueError as error:
                return str(error)
            if is_held is None:
                return (
                    f"the column of {self._labels[place]!r} holds {value!r:.40}, 0 or 1 is needed"
                )
            if is_held:
                held.add(place)
        return frozenset(held)


def _each(read: Callable[[object], Held | str], values: Sequence[object]) -> list[Held | str]:
    labels: list[Held | str] = []
    for value in values:
        try:
            labels.append(read(value))
        except ValueError as error:
            labels.append(str(error))
    return labels
