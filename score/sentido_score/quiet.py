"""Whom a run tells things, and what does not listen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # what lists files says things too, and comes before results
    from sentido_score.results import Counts

Say: TypeAlias = Callable[[str], None]
"""Is told what the caller should know, a sentence at a time."""

Watch: TypeAlias = "Callable[[Counts, float | None], None]"
"""Is told what was met so far, and the part of the input that this is where that is known."""


def quiet(*_: object) -> None:
    """Hear nothing."""
