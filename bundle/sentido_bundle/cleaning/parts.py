r"""The parts of a pattern, and which of them may follow each.

Each character of the pattern is a *part*, numbered from 1; 0 stands for the beginning, and as what
follows for the end of the match. What may follow a part is a list, the part that `re` would try
first at its beginning, each with the surroundings (`^`, `$`, `\b`) in which it may. Repeats are
written out.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

from sentido_bundle.cleaning.characters import (
    Spans,
    others,
    spans_of,
    spans_of_codes,
)
from sentido_bundle.cleaning.errors import StepError
from sentido_bundle.cleaning.syntax import (
    CHARACTERS,
    UNLIMITED,
    Items,
    Parsed,
    local_flags,
    source_of,
)

_constants = importlib.import_module("re._constants")

END = 0
_MOST_PARTS = 1000

# What stands before a place of a text, and what stands behind it.
START, LINE_END, WORD, OTHER = range(4)
END_BEHIND, LAST_LINE_END_BEHIND, LINE_END_BEHIND, WORD_BEHIND, OTHER_BEHIND = range(5)
BESIDE = 5
_ANYWHERE = (1 << 4 * BESIDE) - 1

_REFUSED = {
    _constants.GROUPREF: "a back-reference",
    _constants.GROUPREF_EXISTS: "a conditional group",
    _constants.ATOMIC_GROUP: "an atomic group",
    _constants.POSSESSIVE_REPEAT: "a possessive repeat",
    _constants.FAILURE: "an empty negative look-ahead",
}


def _places(before: Sequence[int], behind: Sequence[int]) -> int:
    """Return a bit for each pair of what stands before and behind a place."""
    return reduce(or_, (1 << (b * BESIDE + a) for b in before for a in behind), 0)


_EVERY_BEFORE, _EVERY_BEHIND = range(4), range(5)
_NOT_WORD_BEFORE, _NOT_WORD_BEHIND = (START, LINE_END, OTHER), (0, 1, 2, 4)
_EDGE = _places([WORD], _NOT_WORD_BEHIND) | _places(_NOT_WORD_BEFORE, [WORD_BEHIND])
_AT = {
    _constants.AT_BEGINNING: _places([START], _EVERY_BEHIND),
    _constants.AT_BEGINNING_STRING: _places([START], _EVERY_BEHIND),
    _constants.AT_END: _places(_EVERY_BEFORE, [END_BEHIND, LAST_LINE_END_BEHIND]),
    _constants.AT_END_STRING: _places(_EVERY_BEFORE, [END_BEHIND]),
    _constants.AT_BOUNDARY: _EDGE,
    _constants.AT_NON_BOUNDARY: _ANYWHERE & ~_EDGE,
}
_AT_LINES = {
    _constants.AT_BEGINNING: _places([START, LINE_END], _EVERY_BEHIND),
    _constants.AT_END: _places(_EVERY_BEFORE, [END_BEHIND, LAST_LINE_END_BEHIND, LINE_END_BEHIND]),
}

_Next = list[Any]  # parts, _If and lists of them, in the order in which they are tried


class _If:
    """What follows only at some places."""

    def __init__(self, places: int, then: _Next) -> None:
        self.places, self.then = places, then


class Parts:
    """The parts of a pattern and what follows each. Raises StepError for what it cannot say."""

    def __init__(self, parsed: Parsed) -> None:
        self.sets: dict[Spans, int] = {}
        self.set_of = [-1]  # of each part
        self.word_flags: set[int] = set()  # of what `\b` takes for a word
        self.has_places = False
        self._next: list[_Next] = [[]]
        self._next[0] = self._sequence(parsed.items, parsed.flags, [END])
        self.following: list[list[tuple[int, int]]] = [list(_flat(each)) for each in self._next]
        if len(self.word_flags) > 1:
            raise StepError(r"has \b of two kinds, with (?a:...) and without: use one of them")

    def number(self, spans: Spans) -> int:
        """Return the number of a set of characters."""
        return self.sets.setdefault(spans, len(self.sets))

    def _sequence(self, items: Items, flags: int, then: _Next) -> _Next:
        for operation, argument in reversed(list(items)):
            then = self._item(operation, argument, flags, then)
        return then

    def _item(self, operation: Any, argument: Any, flags: int, then: _Next) -> _Next:
        if operation in CHARACTERS:
            return self._part(_spans(operation, argument, flags), then)
        if operation is _constants.BRANCH:
            return [self._sequence(items, flags, then) for items in argument[1]]
        if operation is _constants.SUBPATTERN:
            _, add, remove, items = argument
            return self._sequence(items, local_flags(flags, add, remove), then)
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            is_lazy = operation is _constants.MIN_REPEAT
            return self._repeat(*argument, flags=flags, then=then, is_lazy=is_lazy)
        if operation is _constants.AT:
            return self._place(argument, flags, then)
        raise StepError(
            f"has {_refused(operation, argument)} that cannot be run in linear time: say it without"
        )

    def _part(self, spans: Spans, then: _Next) -> _Next:
        if len(self._next) > _MOST_PARTS:
            raise too_large()
        self.set_of.append(self.number(spans))
        self._next.append(then)
        return [len(self._next) - 1]

    def _place(self, at: Any, flags: int, then: _Next) -> _Next:
        self.has_places = True
        if at in (_constants.AT_BOUNDARY, _constants.AT_NON_BOUNDARY):
            self.word_flags.add(flags & re.ASCII)
        lines = _AT_LINES if flags & re.MULTILINE else {}
        return [_If(lines.get(at, _AT[at]), then)]

    def _repeat(
        self, least: int, most: int, items: Any, *, flags: int, then: _Next, is_lazy: bool
    ) -> _Next:
        if items.getwidth()[0] == 0:
            raise StepError("repeats what can be empty: let each repeat hold a character at least")

        def either(more: _Next) -> _Next:
            return [then, more] if is_lazy else [more, then]

        behind = then
        if most == UNLIMITED:
            loop: _Next = []
            first = self._sequence(items, flags, loop)
            loop += either(first)
            behind, least = (loop, 0) if least == 0 else (first, least - 1)
        else:
            for _ in range(most - least):
                behind = either(self._sequence(items, flags, behind))
        for _ in range(least):
            behind = self._sequence(items, flags, behind)
        return behind


def _spans(operation: Any, argument: Any, flags: int) -> Spans:
    """Return the characters of a part; without asking `re` where they stand in the pattern."""
    items = argument if operation is _constants.IN else [(operation, argument)]
    is_other = items[0][0] in (_constants.NEGATE, _constants.NOT_LITERAL)
    ranges = [
        argument if name is _constants.RANGE else (argument, argument)
        for name, argument in items
        if name in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.RANGE)
    ]
    if flags & re.IGNORECASE or len(ranges) < len(items) - (items[0][0] is _constants.NEGATE):
        return spans_of(source_of(operation, argument), flags)
    spans = spans_of_codes(ranges)
    return others(spans) if is_other else spans


def _flat(following: _Next) -> Iterator[tuple[int, int]]:
    """Return parts with the places at which they may follow, in order, each place of each once."""
    seen: set[tuple[int, int]] = set()
    taken: dict[int, int] = {}
    stack: list[tuple[Any, int]] = [(following, _ANYWHERE)]
    while stack:
        item, places = stack.pop()
        if isinstance(item, int):
            new = places & ~taken.get(item, 0)
            if new:
                taken[item] = taken.get(item, 0) | places
                yield item, new
        elif isinstance(item, _If):
            stack.append((item.then, places & item.places))
        elif (id(item), places) not in seen:
            seen.add((id(item), places))
            stack += [(each, places) for each in reversed(item)]


def _refused(operation: Any, argument: Any) -> str:
    if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
        direction = "look-ahead" if argument[0] > 0 else "look-behind"
        return f"a {'negative ' * (operation is _constants.ASSERT_NOT)}{direction}"
    return _REFUSED.get(operation, str(operation))


def too_large() -> StepError:
    """Return the error of a pattern with too many parts or states."""
    return StepError(
        "is too large to be run in linear time: repeat less, or make several steps of it"
    )
