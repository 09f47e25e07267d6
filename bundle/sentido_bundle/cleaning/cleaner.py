"""A bundle's steps in a row, and `cleaning.json`, which lists them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.cleaning.alignment import Aligned
from sentido_bundle.cleaning.errors import CleaningError, StepError
from sentido_bundle.cleaning.fields import kind_of, what_is_wrong
from sentido_bundle.cleaning.steps import (
    GrownError,
    Lower,
    RemoveWords,
    Replace,
    ReplaceWords,
    Step,
)
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.strict_json import parse_json


@dataclass(frozen=True)
class _Named:
    name: str  # in words for people
    step: Step


class Cleaner:
    """Takes all steps. Immutable; any thread may use it."""

    def __init__(
        self, facts: Sequence[Mapping[str, Any]], most_characters: int | None = None
    ) -> None:
        """Take the steps as `cleaning.json` has them.

        `most_characters`: of a text after any step; None: as many as a text of the usual limit.
        Raises StepError naming the step that cannot be taken.
        """
        if len(facts) > bounds.CLEANING_STEPS:
            raise StepError(
                f"has {len(facts):,} steps, at most {bounds.CLEANING_STEPS} are allowed"
            )
        self.facts = tuple(facts)
        usual = bounds.CLEANING_GROWTH * bounds.TEXT_CHARACTERS
        self._most = usual if most_characters is None else most_characters
        self._steps = [_named(number, each) for number, each in enumerate(facts, 1)]

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._steps)

    @property
    def engines(self) -> list[str]:
        """What runs each pattern, "re" or "automaton", in the order of the steps."""
        return [each.step.engine for each in self._steps if isinstance(each.step, Replace)]

    def clean(self, text: str) -> str:
        """Return the text after all steps. Raises CleaningError naming the step."""
        for each in self._steps:
            try:
                text = each.step.apply(text, self._most)
            except GrownError as error:
                raise self._grown(each, error.characters) from error
        return text

    def tried(self, text: str) -> str | CleaningError:
        """Return what `clean` does, or the error that it raises."""
        try:
            return self.clean(text)
        except CleaningError as error:
            return error

    def align(self, text: str) -> Aligned:
        """Return what `clean` does, and where each character comes from. Raises CleaningError."""
        aligned = Aligned.of(text)
        for each in self._steps:
            edits, length = [], len(aligned.text)
            for edit in each.step.edits(aligned.text):
                length += len(edit[2]) - (edit[1] - edit[0])
                if length > self._most + len(aligned.text):
                    raise self._grown(each, length)
                edits.append(edit)
            if length > self._most:
                raise self._grown(each, length)
            aligned = aligned.edited(edits)
        return aligned

    def _grown(self, each: _Named, characters: int) -> CleaningError:
        return CleaningError(
            f"grows to {characters:,} characters in {each.name}, at most {self._most:,} are allowed"
        )

    def dump(self) -> bytes:
        """Return the bytes of `cleaning.json`."""
        return (json.dumps(self.facts, ensure_ascii=False, indent=1) + "\n").encode()


def parse_cleaning(name: str, data: bytes, most_characters: int | None = None) -> Cleaner:
    """Read the steps that a file lists. Raises BundleError naming the file and the step."""
    if len(data) > bounds.CLEANING_BYTES:
        raise BundleError(f"{name}: has {len(data):,} bytes, at most {bounds.CLEANING_BYTES:,}")
    value = parse_json(name, data)
    if not isinstance(value, list) or not value:
        raise BundleError(f"{name}: a list of one or more steps is needed, each a JSON object")
    try:
        return Cleaner(value, most_characters)
    except StepError as error:
        raise BundleError(f"{name}: {error}") from error


def _named(number: int, facts: Any) -> _Named:
    """Return a step with its name. Raises StepError."""
    if not isinstance(facts, dict):
        raise StepError(f"step {number} is {quoted(facts)}: a JSON object is needed")
    kind = kind_of(facts)
    if kind is None:
        raise StepError(f"step {number} {what_is_wrong(facts)}")
    try:
        name = f"cleaning step {number} ({_shown(kind, facts)})"
        return _Named(name, _MAKERS[kind](facts))
    except StepError as error:
        raise StepError(f"step {number} ({_shown(kind, facts)}): {error}") from error


def _shown(kind: str, facts: Mapping[str, Any]) -> str:
    return f"replace {quoted(facts[kind])}" if kind == "replace" else kind


def _lower(facts: Mapping[str, Any]) -> Step:
    if facts["lower"] is not True and facts["lower"] != "ascii":
        raise StepError(
            f"lower is {quoted(facts['lower'])}: say true, or ascii for A to Z alone, or leave the"
            " step out"
        )
    return Lower(ascii_only=facts["lower"] == "ascii")


def _replace(facts: Mapping[str, Any]) -> Step:
    pattern, replacement = (_text(name, facts[name]) for name in ("replace", "with"))
    return Replace(pattern, replacement)


def _remove_words(facts: Mapping[str, Any]) -> Step:
    words = facts["remove_words"]
    if not isinstance(words, list):
        raise StepError("a list of words is needed")
    return RemoveWords(frozenset(_text("a word", word) for word in words))


def _replace_words(facts: Mapping[str, Any]) -> Step:
    words = facts["replace_words"]
    if not isinstance(words, dict):
        raise StepError("an object is needed, with what is put in the place of each word")
    return ReplaceWords(
        {_text("a word", word): _text("a replacement", new) for word, new in words.items()}
    )


_MAKERS: dict[str, Callable[[Mapping[str, Any]], Step]] = {
    "lower": _lower,
    "replace": _replace,
    "remove_words": _remove_words,
    "replace_words": _replace_words,
}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise StepError(f"{name} is {quoted(value)}: a string is needed")
    if len(value) > bounds.WORD_CHARACTERS:
        raise StepError(
            f"{name} has {len(value):,} characters, at most {bounds.WORD_CHARACTERS:,} are allowed"
        )
    return value
