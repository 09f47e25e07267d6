"""Reads a pattern with Python's own parser, and says by its syntax alone how it can be run.

`re` tries a pattern at each character of a text. A try that fails must cost little, whatever the
text: then all of them are linear, and `re` itself runs the pattern. What such a try can cost at
most follows from the pattern's tree; a repeat without an end may only stand where nothing that
follows it can fail. All other patterns are run by `linear.py`, or refused.
"""

import importlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.cleaning.errors import StepError

_parser = importlib.import_module("re._parser")
_constants = importlib.import_module("re._constants")

Items = Sequence[tuple[Any, Any]]  # a sequence of the parser's operations, each with its arguments

UNLIMITED = _constants.MAXREPEAT
CHARACTERS = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)

_MOST_WORK = 100  # comparisons of a try that fails, so that `re` runs the pattern
_MOST_ITEMS = 24  # of a class that `re` goes through one by one
_TOO_MUCH = 10**6
_NESTING = 40
_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.ASCII  # those that the tree leaves open

_CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}


@dataclass(frozen=True)
class Parsed:
    """A pattern as Python's parser reads it."""

    items: Items
    flags: int
    least_width: int  # characters of the shortest match
    groups: int
    widths: dict[int, int]  # of each group, at most


def parse(pattern: str) -> Parsed:
    """Read a pattern. Raises StepError for one that Python refuses, or that is too long."""
    if len(pattern) > bounds.PATTERN_CHARACTERS:
        raise StepError(
            f"has {len(pattern):,} characters, at most {bounds.PATTERN_CHARACTERS:,} are allowed"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may mean something else one day
            tree = _parser.parse(pattern)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise StepError(f"is not a pattern of Python's re: {error}") from error
    _check_nesting(tree, _NESTING)
    least = int(tree.getwidth()[0])
    if least == 0:
        raise StepError(
            "matches the empty text, too, and so between all characters: write + for *, or leave"
            " out what makes all of it optional"
        )
    state = tree.state
    widths = {
        group: min(int(width[1]), _TOO_MUCH)
        for group, width in enumerate(state.groupwidths)
        if width is not None
    }
    return Parsed(tree, state.flags & _FLAGS, least, state.groups - 1, widths)


def runs_in_re(parsed: Parsed) -> bool:
    """Return whether Python's `re` runs a pattern in linear time, whatever the text is."""
    work = _Work(parsed.widths).sequence(parsed.items, parsed.flags, None)
    return work is not None and work <= _MOST_WORK


def local_flags(flags: int, add: int, remove: int) -> int:
    """Return the flags within `(?i:...)` and the like."""
    if add & (re.ASCII | re.UNICODE):
        flags &= ~re.ASCII
    return (flags | (add & _FLAGS)) & ~remove


def source_of(operation: Any, argument: Any) -> str:
    """Return the pattern of a part for a single character, such as `[^a-z]`."""
    if operation is _constants.ANY:
        return "."
    if operation is _constants.LITERAL:
        return _escaped(argument)
    if operation is _constants.NOT_LITERAL:
        return f"[^{_escaped(argument)}]"
    return f"[{''.join(_class_item(*item) for item in argument)}]"


def _class_item(operation: Any, argument: Any) -> str:
    if operation is _constants.NEGATE:
        return "^"
    if operation is _constants.RANGE:
        return f"{_escaped(argument[0])}-{_escaped(argument[1])}"
    if operation is _constants.CATEGORY:
        return _CATEGORIES[argument]
    return _escaped(argument)


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


def _check_nesting(items: Items, levels: int) -> None:
    if levels == 0:
        raise StepError(f"has more than {_NESTING} groups in each other: write a simpler one")
    for _, argument in items:
        for inner in _inner(argument):
            _check_nesting(inner, levels - 1)


def _inner(argument: Any) -> list[Any]:
    """Return the sequences within the arguments of an operation."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [inner for each in argument for inner in _inner(each)]
    return []


class _Work:
    """Counts what a try can cost that fails: comparisons at most, from one character of a text.

    `then` is what follows in the pattern: None if that is its end, which cannot fail, else what it
    costs. What a repeat at the end reads belongs to the match, and is not read again.
    """

    def __init__(self, widths: dict[int, int]) -> None:
        self._widths = widths

    def sequence(self, items: Items, flags: int, then: int | None) -> int | None:
        for operation, argument in reversed(list(items)):
            then = min(self._item(operation, argument, flags, then), _TOO_MUCH)
        return then

    def _item(self, operation: Any, argument: Any, flags: int, then: int | None) -> int:
        if operation in CHARACTERS or operation is _constants.GROUPREF:
            return self._single(operation, argument, flags) + (then or 0)
        if operation is _constants.AT:
            return 1 + (then or 0)
        if operation is _constants.BRANCH:
            return sum(1 + (self.sequence(items, flags, then) or 0) for items in argument[1])
        if operation is _constants.SUBPATTERN:
            _, add, remove, items = argument
            return self.sequence(items, local_flags(flags, add, remove), then) or 0
        if operation is _constants.ATOMIC_GROUP:
            return self.sequence(argument, flags, then) or 0
        if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            return (self.sequence(argument[1], flags, 0) or 0) + (then or 0)
        if operation in REPEATS:
            least, most, repeated = argument
            return self._repeat(least, most, repeated, flags, then)
        return _TOO_MUCH

    def _single(self, operation: Any, argument: Any, flags: int) -> int:
        if operation is _constants.GROUPREF:
            return self._widths.get(argument, _TOO_MUCH)
        items = argument if operation is _constants.IN else ()
        if len(items) > _MOST_ITEMS:
            return _TOO_MUCH
        slow = 3 if flags & re.IGNORECASE else 1
        return slow * max(1, len(items) // 4)

    def _repeat(self, least: int, most: int, items: Items, flags: int, then: int | None) -> int:
        operation, argument = items[0]
        is_single = len(items) == 1 and operation in (*CHARACTERS, _constants.GROUPREF)
        if not is_single:
            return self._repeated_group(least, most, items, flags, then)
        each = self._single(operation, argument, flags)
        if then is None:
            return max(1, least) * each
        if most == UNLIMITED:
            return _TOO_MUCH
        return most * each + (most - least + 1) * then

    def _repeated_group(
        self, least: int, most: int, items: Items, flags: int, then: int | None
    ) -> int:
        if most == UNLIMITED:
            return _TOO_MUCH
        work = then
        for index in range(most):
            is_optional = index < most - least
            work = (self.sequence(items, flags, work) or 0) + ((then or 0) if is_optional else 0)
            if work >= _MOST_WORK:
                return _TOO_MUCH
        return work or 0
