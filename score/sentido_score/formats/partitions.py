"""Columns that files have from the folders they lie in, as Hive, Spark and pyarrow write them.

A file in `year=2023/month=01/` has the columns `year` and `month`, after those that are in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa

from sentido_score.errors import ScoreError
from sentido_score.files.locations import InputFile
from sentido_score.files.names import quoted, shown

_NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?[0-9]{1,10}")

Pairs = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Partitions:
    """The columns' types, and each file's values. Holds nothing open."""

    schema: pa.Schema
    values: Sequence[Sequence[str | int | None]]  # by file and column

    @classmethod
    def of(cls, files: Sequence[InputFile], names: Sequence[str], wanted: bool) -> "Partitions":
        """Read them from the files' paths. `names`: the columns that are in the files.

        Raises ScoreError for a file without a folder that others have, and for a name that is in
        the files too.
        """
        pairs = [_pairs(file) if wanted else () for file in files]
        columns = [name for name, _ in pairs[0]]
        for file, found in zip(files, pairs, strict=True):
            _refuse_others(file, files[0], [name for name, _ in found], columns)
        _refuse_doubles(files[0], columns, names)
        by_column = [[found[index][1] for found in pairs] for index in range(len(columns))]
        types = [_type(values) for values in by_column]
        typed = [
            [value if value is None or kind == pa.string() else int(value) for value in values]
            for values, kind in zip(by_column, types, strict=True)
        ]
        schema = pa.schema(list(zip(columns, types, strict=True)))
        return cls(schema, list(zip(*typed, strict=True)) if typed else [()] * len(files))

    def arrays(self, file: int, rows: int) -> dict[str, pa.Array]:
        """Return the columns of some rows of a file, by their keys among the results."""
        return {
            key_of(field.name): pa.repeat(pa.scalar(value, field.type), rows)
            for field, value in zip(self.schema, self.values[file], strict=True)
        }


def key_of(name: str) -> str:
    """Return what a column is called among the results, whose keys hold no equals sign."""
    return f"{name}="


def _pairs(file: InputFile) -> Pairs:
    """Read names and values from the folders of a file's path."""
    pairs = []
    for folder in file.folders:
        name, sign, value = folder.partition("=")
        if name and sign:
            pairs.append((_decoded(name, file), None if value == _NULL else _decoded(value, file)))
    return tuple(pairs)


def _decoded(text: str, file: InputFile) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise ScoreError(
            f"{file.name}: the folder's {shown(text)} is not UTF-8 once its % are decoded: rename"
            " it, or pass --no-partitions"
        ) from error


def _type(values: Sequence[str | None]) -> pa.DataType:
    """Return int32 if all values are whole numbers that it holds, else string."""
    known = [value for value in values if value is not None]
    is_whole = all(_WHOLE.fullmatch(value) and -(2**31) <= int(value) < 2**31 for value in known)
    return pa.int32() if known and is_whole else pa.string()


def _refuse_others(
    file: InputFile, first: InputFile, names: Sequence[str], wanted: Sequence[str]
) -> None:
    if names != wanted:
        raise ScoreError(
            f"{file.name}: its folders name the columns {quoted(names) or 'none'}, those of"
            f" {first.name} {quoted(wanted) or 'none'}: score them apart, or pass --no-partitions"
        )


def _refuse_doubles(file: InputFile, columns: Sequence[str], names: Sequence[str]) -> None:
    """Raise ScoreError for a name, in whatever case, of two folders or a folder and the file."""
    taken = {name.casefold(): f"the file has a column {name!r}" for name in names}
    for column in columns:
        if (other := taken.get(column.casefold())) is not None:
            raise ScoreError(
                f"{file.name}: {other}, and a folder {column + '='!r} stands for one too: pass"
                " --no-partitions to read what is in the files alone"
            )
        taken[column.casefold()] = f"a folder {column + '='!r} stands for a column"
