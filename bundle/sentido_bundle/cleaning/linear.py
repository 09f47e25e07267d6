"""Finds what a pattern matches in linear time, where Python's `re` would not.

A text is read twice. From its end to its beginning, so that it is known of every place what can
match from there; then, from each place where a match begins, along the parts of the pattern that
`re` would take: at each character the first in the order of trying from which the rest can match.
Nothing is taken back, and what lies behind a match is not read for it. (Source of the method: A.
Frisch and L. Cardelli, Greedy regular expression matching, 2004.)
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import getitem

import numpy as np

from sentido_bundle.cleaning.automaton import Automaton, State
from sentido_bundle.cleaning.errors import StepError
from sentido_bundle.cleaning.parts import END, START
from sentido_bundle.cleaning.syntax import Parsed

_PIECE = 50_000
"""Characters that are read in one step, which other threads have to wait for."""


class LinearPattern:
    """A pattern that is run by its automaton. Any thread may use it."""

    def __init__(self, parsed: Parsed) -> None:
        """Raise StepError for what cannot be said exactly, or is too large."""
        self._automaton = Automaton(parsed)
        first = self._automaton.first_kinds
        if not first:
            raise StepError("matches no text at all: leave the step out")
        self._first = re.compile(b"[%s]" % re.escape(bytes(first)))
        self._is_first = np.isin(np.arange(256), list(first))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Return where the pattern matches, as the spans of `re.finditer`."""
        kinds = self._automaton.alphabet.kinds(text)
        found = self._first.search(kinds)
        if found is None:
            return
        first = found.start()  # nothing matches before
        rest = kinds[first:]
        states = self._states(rest)
        before = self._before(kinds, first)
        end = 0
        for begin in np.flatnonzero(self._is_first[np.frombuffer(rest, np.uint8)]).tolist():
            if begin >= end and states[begin].begins >> before[begin] & 1:
                end = self._end(states, before, begin)
                yield first + begin, first + end

    def _states(self, kinds: bytes) -> list[State]:
        """Return the state of each place, that behind the last character among them."""
        states = [self._automaton.end]
        for stop in range(len(kinds), 0, -_PIECE):
            piece = kinds[max(0, stop - _PIECE) : stop]
            states += accumulate(reversed(piece), getitem, initial=states.pop())
        states.reverse()
        return states

    def _before(self, kinds: bytes, first: int) -> bytes:
        """Return what stands before each place from `first` on, if the pattern asks for it."""
        if not self._automaton.has_places:
            return bytes(len(kinds) - first + 1)
        found = kinds[max(0, first - 1) :].translate(self._automaton.before)
        return found if first else bytes([START]) + found

    def _end(self, states: Sequence[State], before: bytes, place: int) -> int:
        """Return where the match ends that begins at a place."""
        part = 0
        while True:
            state, beside = states[place], before[place]
            step = state.steps.get(part << 2 | beside)
            if step is None:
                step = state.steps[part << 2 | beside] = self._automaton.step(state, part, beside)
            if step == END:
                return place
            part = step
            place += 1
