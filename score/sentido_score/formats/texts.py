"""What a row must hold to be scored; the same rules before every engine."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RowError:
    """What is wrong with a row, in the place of its text."""

    message: str


@dataclass(frozen=True)
class Texts:
    """The good texts of some rows, and what is wrong with the others."""

    size: int  # rows, good or not
    good: list[str]
    rows: list[int]  # where the good ones stand
    errors: dict[int, str]  # by row


def check(values: Iterable[object], most_characters: int) -> Texts:
    """Sort values, one a row, into texts and errors."""
    good: list[str] = []
    rows: list[int] = []
    errors: dict[int, str] = {}
    row = -1
    for row, value in enumerate(values):
        problem = _problem(value, most_characters)
        if problem is None:
            good.append(value)  # type: ignore[arg-type]  # a str: it has no problem
            rows.append(row)
        else:
            errors[row] = problem
    return Texts(row + 1, good, rows, errors)


def _problem(value: object, most_characters: int) -> str | None:
    if isinstance(value, str):
        if len(value) > most_characters:
            return f"the text has {len(value)} characters, at most {most_characters} are allowed"
        return None if value.isascii() else _surrogate(value)
    if isinstance(value, RowError):
        return value.message
    if value is None:
        return "the text is null"
    if isinstance(value, bytes):
        return "the text is not UTF-8"
    return f"the text is of type {type(value).__name__}, a string is needed"


def _surrogate(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"the text is not valid Unicode: a lone surrogate at character {error.start}, perhaps"
            " half of an emoji"
        )
    return None
