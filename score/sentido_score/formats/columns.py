"""The output's columns: what they are called, and which of them are results."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from sentido_score.errors import ScoreError


@dataclass(frozen=True)
class Columns:
    """The output's columns: some of the input's, then some results."""

    inputs: tuple[str, ...]
    are_all_inputs: bool  # and in their order: records can be passed on as they are
    results: pa.Schema  # the names of partitions and results in the output
    keys: tuple[str, ...]  # what each result is
    renamed: dict[str, str]  # results whose name the input has

    def refuse_doubles(self, names: Sequence[str]) -> None:
        """Raise ScoreError if a chosen name is that of several of the input's columns."""
        for name in self.inputs:
            if (count := names.count(name)) > 1:
                raise ScoreError(
                    f"the input has {count} columns {name!r}: give each another name, or choose"
                    " others with --columns"
                )
