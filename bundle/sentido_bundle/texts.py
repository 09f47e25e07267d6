"""What callers give as texts, checked before it is tokenized: a str would be read by letters."""

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any


def listed(texts: Any) -> Sequence[str]:
    """Return texts as a sequence. Raises TypeError, saying what to pass, for what is none."""
    found = texts if isinstance(texts, list | tuple) else _listed(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"texts[{index}] is of type {kind}, str is needed")
    return found


def _listed(texts: Any) -> list[Any]:
    if what := _unfit(texts):
        raise TypeError(f"texts is {what}")
    return list(texts)


def _unfit(texts: Any) -> str:
    """Say what is given in the place of texts, and what to pass; "" if it may be texts."""
    kind = type(texts).__name__
    if isinstance(texts, str | bytes | bytearray):
        return f"a {kind}: pass a list of str, such as [text]"
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        return f"a {kind}, which is iterated by its keys: pass the list of its texts"
    if isinstance(texts, Set) and not hasattr(texts, "mapping"):  # a dict's keys have an order
        return f"a {kind}, which has no order to answer in: pass a list"
    if not isinstance(texts, Collection) or getattr(texts, "ndim", 1) != 1:
        return f"of type {kind}: pass a list of str"
    return ""
