"""The automaton of a pattern: what can still match, from each place of a text.

From the end of a text to its beginning, a *state* says which parts can begin a rest that matches.
There are few of them, all computed here, or the pattern is refused: so a text costs a step per
character, whatever it holds.
"""

from functools import reduce
from operator import or_
from typing import Any

from sentido_bundle.cleaning.characters import Alphabet, spans_of
from sentido_bundle.cleaning.parts import (
    BESIDE,
    END,
    END_BEHIND,
    LAST_LINE_END_BEHIND,
    LINE_END,
    LINE_END_BEHIND,
    OTHER,
    OTHER_BEHIND,
    START,
    WORD,
    WORD_BEHIND,
    Parts,
    too_large,
)
from sentido_bundle.cleaning.syntax import Parsed

_MOST_STATES = 2000
_MOST_WORK = 1_000_000  # what is looked at to make all states, and to take a step from each


class State(list[Any]):
    """What can match from a place of a text: first the state before each kind of character.

    Lists, so that `operator.getitem` goes from one to the next.
    """

    # begins: a bit for each thing before this place behind which a match may begin here
    # steps: what `Automaton.step` has found, by part and what stands before
    __slots__ = ("begins", "behind", "held", "steps")

    def __init__(self, held: int, behind: int, kinds: int) -> None:
        super().__init__([self] * kinds)
        self.held = held  # a bit for each part that can begin the rest; END's is always set
        self.behind = behind
        self.begins = 0
        self.steps: dict[int, int] = {}


class Automaton:
    """All states of a pattern. Immutable but for what it remembers; any thread may use it."""

    def __init__(self, parsed: Parsed) -> None:
        parts = Parts(parsed)
        self.has_places = parts.has_places
        if self.has_places:
            word = parts.number(spans_of(r"\w", next(iter(parts.word_flags), 0)))
            line_end = parts.number(spans_of(r"\n", 0))
        self.alphabet = Alphabet(list(parts.sets))
        kinds_in = self.alphabet.kinds_in
        self.before = bytes(256)
        """What each kind of character is before a place: of patterns that ask for it."""
        if self.has_places:
            self.before = bytes(
                WORD
                if kind in kinds_in[word]
                else LINE_END
                if kind in kinds_in[line_end]
                else OTHER
                for kind in range(self.alphabet.count)
            ).ljust(256, b"\0")
        self._following = parts.following
        self._parts_of = [
            [p for p in range(1, len(parts.set_of)) if kind in kinds_in[parts.set_of[p]]]
            for kind in range(self.alphabet.count)
        ]
        self._reached: dict[int, list[int]] = {}
        self.first_kinds = {
            kind
            for kind, held in enumerate(self._parts_of)
            if {part for part, _ in parts.following[0]} & set(held)
        }
        self.end = self._all_states()

    def step(self, state: State, part: int, before: int) -> int:
        """Return the part that is taken behind another at a place, END where the match ends."""
        place = 1 << (before * BESIDE + state.behind)
        for target, places in self._following[part]:
            if places & place and state.held >> target & 1:
                return target
        raise AssertionError("a part was taken from which nothing matches")

    def _all_states(self) -> State:
        """Return the state at the end of a text, with all that lead from it."""
        kinds = self.alphabet.count
        each = kinds + sum(map(len, self._parts_of)) + sum(map(len, self._following))
        end = State(1 << END, END_BEHIND if self.has_places else OTHER_BEHIND, kinds)
        states, waiting = {(end.held, end.behind): end}, [end]
        while waiting:
            state = waiting.pop()
            state.begins = self._begins(state)
            if len(states) > _MOST_STATES or len(states) * each > _MOST_WORK:
                raise too_large()
            for kind in range(kinds):
                held, behind = self._before(state, kind)
                if (held, behind) not in states:
                    states[held, behind] = State(held, behind, kinds)
                    waiting.append(states[held, behind])
                state[kind] = states[held, behind]
        return end

    def _begins(self, state: State) -> int:
        befores = range(4) if self.has_places else [START]
        return sum(
            1 << before
            for before in befores
            if self._reach(before * BESIDE + state.behind)[0] & state.held
        )

    def _before(self, state: State, kind: int) -> tuple[int, int]:
        """Return what can match from the character before a place, if it is of a kind."""
        before = self.before[kind]
        reach, held = self._reach(before * BESIDE + state.behind), 1 << END
        for part in self._parts_of[kind]:
            if reach[part] & state.held:
                held |= 1 << part
        if not self.has_places:
            return held, OTHER_BEHIND
        if before == LINE_END:
            return held, LAST_LINE_END_BEHIND if state.behind == END_BEHIND else LINE_END_BEHIND
        return held, WORD_BEHIND if before == WORD else OTHER_BEHIND

    def _reach(self, place: int) -> list[int]:
        """Return a bit for each part that may follow, for each part, at a place."""
        if place not in self._reached:
            self._reached[place] = [
                reduce(or_, (1 << t for t, places in each if places >> place & 1), 0)
                for each in self._following
            ]
        return self._reached[place]
