"""The output's columns: what they are called, and which of them are results."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sentido_score.errors import ScoreError

CHOOSE_OTHERS = ", or choose others with --columns"


@dataclass(frozen=True)
class Columns:
    """The output's columns: some of the input's, then some results."""

    inputs: tuple[str, ...]
    are_all_inputs: bool  # and in their order: records can be passed on as they are
    results: pa.Schema  # the names of partitions and results in the output
    keys: tuple[str, ...]  # what each result is
    renamed: dict[str, str]  # results whose name the input has


def refuse_doubles(
    names: Sequence[str], chosen: Sequence[str] | None = None, hint: str = CHOOSE_OTHERS
) -> None:
    """Raise ScoreError if several columns have one name; `chosen`: those that matter, None: all."""
    counts = Counter(names)
    for name in names if chosen is None else chosen:
        if counts[name] > 1:
            raise ScoreError(
                f"the input has {counts[name]} columns {name!r}: give each another name{hint}"
            )


def blind_to_case(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names that differ in case only."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            yield other, name
