"""The fields of each kind of step, and what to say of a step that has other ones."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sentido_bundle.errors import quoted

FIELDS: dict[str, tuple[str, ...]] = {
    "lower": ("lower",),
    "replace": ("replace", "with"),
    "remove_words": ("remove_words",),
    "replace_words": ("replace_words",),
}
"""What a step of each kind has, the first field being its name."""

_STEPS = "the steps are lower, replace (with its with), remove_words and replace_words"
_OF_PATTERNS = {  # by what programs call it: what says the same
    "flags": "flags stand in the pattern, such as (?i) at its beginning",
    "ignorecase": "write (?i) at the beginning of the pattern",
    "case": "write (?i) at the beginning of the pattern where case does not matter",
    "regex": "it always is a pattern of Python's re; a text that is none has a backslash before"
    " each of its special characters",
    "count": "it replaces all that it matches",
}


def kind_of(facts: Mapping[str, Any]) -> str | None:
    """Return the kind of the step that has exactly these fields, None if there is none."""
    return next((kind for kind, fields in FIELDS.items() if facts.keys() == {*fields}), None)


def what_is_wrong(facts: Mapping[str, Any]) -> str:
    """Return what is wrong with the fields of a step that is of no kind, and what to do."""
    kinds = [kind for kind in FIELDS if kind in facts]
    if len(kinds) > 1:
        return f"has {' and '.join(kinds)}: write a step for each of them, in their order"
    if not kinds:
        return _of_no_kind(facts)
    (kind,) = kinds
    if kind == "replace" and "with" not in facts:
        more = 'lacks with, the text that is put in, which is "" for nothing'
        return f"{more}: a step has replace and with" if len(facts) == 1 else more
    unknown = next(field for field in facts if field not in FIELDS[kind])
    fields = " and ".join(FIELDS[kind])
    why = _OF_PATTERNS.get(unknown.lower()) if kind == "replace" else None
    return (
        f"has the field {quoted(unknown)}, which is not one of {kind}: such a step has {fields}"
        f" alone; {why or 'leave the field out'}"
    )


def _of_no_kind(facts: Mapping[str, Any]) -> str:
    if not facts:
        return f"has no fields: {_STEPS}"
    fields = f"has the {'field' if len(facts) == 1 else 'fields'} {quoted(sorted(facts))}: {_STEPS}"
    if facts.keys() == {"with"}:
        return 'has with and no replace: {"replace": PATTERN, "with": TEXT} is needed'
    for field in facts:
        near = get_close_matches(_plain(field), [_plain(kind) for kind in FIELDS], 1, 0.7)
        if near:
            kind = next(kind for kind in FIELDS if _plain(kind) == near[0])
            return f"{fields}; is {kind} meant?"
    return (
        f"{fields}. What they cannot say, such as a stemmer or a lemmatizer, callers must do before"
        " they send a text: export with --cleaned-by-caller then"
    )


def _plain(field: str) -> str:
    """Return a name as it is compared: `removeWords` is nearly `remove_words`."""
    return field.lower().replace("_", "").replace("-", "")
