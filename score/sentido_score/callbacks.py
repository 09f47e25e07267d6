"""Message callbacks, and their no-op default."""

from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]
"""Is told what the caller should know, one sentence at a time."""


def quiet(*_: object) -> None:
    """Do nothing."""
