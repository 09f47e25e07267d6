"""Whom a run tells things, and what does not listen."""

from collections.abc import Callable

from sentido_score.results import Counts

Say = Callable[[str], None]
"""Is told what the caller should know, a sentence at a time."""

Watch = Callable[[Counts, float | None], None]
"""Is told what was met so far, and the part of the input that this is where that is known."""


def quiet(*_: object) -> None:
    """Hear nothing."""
