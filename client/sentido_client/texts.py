"""What callers give as texts: told apart before anything is sent, so that no guess is answered."""

from collections.abc import (
    AsyncIterable,
    ItemsView,
    Iterable,
    KeysView,
    Mapping,
    Sequence,
    Set,
    Sized,
)
from typing import Any


def ordered(texts: Any, field: str = "texts") -> Any:
    """Return a str as it is, what has a length as a sequence, and any other iterable as it is.

    Raises TypeError, saying what to pass, for what is not texts in an order.
    """
    if isinstance(texts, str):
        return texts
    if what := _unfit(texts, field):
        raise TypeError(f"{field} is {what}")
    if isinstance(texts, Sequence) or not _has_length(texts):
        return texts
    return list(texts)


def _unfit(texts: Any, field: str) -> str:
    """Say what is given in the place of texts, and what to pass; "" if it may be texts."""
    kind = type(texts).__name__
    if isinstance(texts, bytes | bytearray | memoryview):
        return f"of type {kind}: pass a str, as {field}.decode() gives"
    if isinstance(texts, Mapping):
        return (
            f"a {kind}, which is iterated by its keys: pass a list, such as list({field}.values())"
        )
    if isinstance(texts, Set) and not isinstance(texts, KeysView | ItemsView):
        return f"a {kind}, which has no order to answer in: pass a list, such as sorted({field})"
    if hasattr(texts, "columns"):
        return (
            f"a {kind}, which is iterated by its columns: pass one column, such as {field}['text']"
        )
    if getattr(texts, "ndim", 1) != 1:
        return f"a {kind} of {texts.ndim} dimensions: pass one of one dimension"
    if not isinstance(texts, Iterable | AsyncIterable) and not hasattr(texts, "__getitem__"):
        return f"of type {kind}: pass a str, a list of str, or another iterable of str"
    return ""


def _has_length(texts: Any) -> bool:
    try:
        return isinstance(texts, Sized) and len(texts) >= 0
    except TypeError:  # of what has a length only sometimes
        return False
