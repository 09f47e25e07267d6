"""A file of checks of behaviour: TOML, read strictly, its templates turned into sentences.

Three kinds of checks, after M. T. Ribeiro et al., "Beyond accuracy: behavioral testing of NLP
models with CheckList", ACL 2020: texts whose label is expected, pairs of texts whose second should
move toward a label (or at least not away from it), and pairs that should be answered alike.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from sentido_bundle.errors import reason
from sentido_score.files.names import quoted

from sentido_evaluate.errors import EvaluateError

Pair = tuple[str, str]

_MOST_BYTES = 1 << 20
_MOST_CASES = 100_000  # of a file
_MOST = 50  # cases of a check, unless the file says otherwise
_SLOT = re.compile(r"\{(\w+)\}")
_KINDS = ("expect", "toward", "still")
_KEYS = {"form", "group", "texts", "pairs", "most", "tolerance", *_KINDS}


@dataclass(frozen=True)
class Check:
    """One form of sentences, and what is expected of them."""

    group: str  # such as "negation"
    form: str  # such as "contraction: isn't"
    kind: str  # "expect", "toward" or "still"
    label: str  # of "expect" and "toward"
    cases: tuple[Pair, ...]  # of "expect", both are the same text
    tolerance: float  # how far a probability may move the wrong way, or at all


@dataclass(frozen=True)
class Suite:
    """The checks of one file."""

    name: str
    title: str
    checks: tuple[Check, ...]

    def of(self, labels: Sequence[str], renamed: Mapping[str, str]) -> "Suite":
        """Return the checks with a model's own labels; `renamed`: what it calls others.

        Raises EvaluateError if a check expects a label that the model does not have.
        """
        checks = [replace(c, label=renamed.get(c.label, c.label)) for c in self.checks]
        if other := sorted({check.label for check in checks if check.label} - {*labels}):
            raise EvaluateError(
                f"{self.name}: its checks expect the label {other[0]!r}, the model has"
                f" {quoted(labels, 10)}: --rename {other[0]}=LABEL says which it is"
            )
        return replace(self, checks=tuple(checks))


def shipped() -> list[str]:
    """Return the names of the files of checks that this package brings."""
    folder = resources.files("sentido_evaluate") / "checks"
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def read_suite(name: str) -> Suite:
    """Read a file of checks, or one that is shipped, by its name. Raises EvaluateError."""
    try:
        if name in shipped():
            file = resources.files("sentido_evaluate") / "checks" / f"{name}.toml"
            data = file.read_bytes()
        else:
            with Path(name).open("rb") as opened:
                data = opened.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise EvaluateError(
            f"{name}: does not exist; a file of checks is needed, or the name of a shipped one:"
            f" {', '.join(shipped())}"
        ) from error
    except OSError as error:
        raise EvaluateError(f"{name}: cannot be read: {reason(error)}") from error
    if len(data) > _MOST_BYTES:
        raise EvaluateError(f"{name}: is larger than {_MOST_BYTES >> 20} MiB: split it")
    return parse_suite(name, data)


def parse_suite(name: str, data: bytes) -> Suite:
    """Read the contents of a file of checks. Raises EvaluateError naming what is wrong."""
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise EvaluateError(f"{name}: is not UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise EvaluateError(f"{name}: is not TOML: {error}") from error
    try:
        return _suite(name, table)
    except ValueError as error:
        raise EvaluateError(f"{name}: {error}") from error


def _suite(name: str, table: dict[str, Any]) -> Suite:
    _refuse_unknown(table, {"title", "most", "words", "check"})
    words = _words(_of(table, "words", dict, {}))
    most = _whole("most", table.get("most", _MOST))
    tables = _of(table, "check", list, [])
    if not tables:
        raise ValueError("holds no [[check]]")
    checks, left = [], _MOST_CASES
    for number, entry in enumerate(tables, start=1):
        if not isinstance(entry, dict):
            raise ValueError("check is not an array of tables: write [[check]]")
        form = entry.get("form")
        try:
            checks.append(_check(entry, words, most))
        except ValueError as error:
            raise ValueError(f"check {number} ({form!r:.80}): {error}") from error
        if (left := left - len(checks[-1].cases)) < 0:
            raise ValueError(f"more than {_MOST_CASES:,} cases: lower most, or split the file")
    if doubled := _doubled((check.group, check.form) for check in checks):
        raise ValueError(f"two checks of the group {doubled[0]!r} have the form {doubled[1]!r}")
    return Suite(name, _of(table, "title", str, name), tuple(checks))


def _check(entry: dict[str, Any], words: Mapping[str, Sequence[Pair]], most: int) -> Check:
    _refuse_unknown(entry, _KEYS)
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        raise ValueError(
            f"has {' and '.join(kinds) or 'none'} of expect, toward and still: one is needed"
        )
    (kind,) = kinds
    if kind == "still" and entry["still"] is not True:
        raise ValueError("still is not true: leave it out, or write still = true")
    key = "texts" if kind == "expect" else "pairs"
    other = "pairs" if key == "texts" else "texts"
    if other in entry:
        raise ValueError(f"has {other}: {kind} needs {key}")
    templates = [_pair(value, key) for value in _of(entry, key, list)]
    if not templates:
        raise ValueError(f"{key} is empty")
    share = max(1, _whole("most", entry.get("most", most)) // len(templates))
    cases = [case for template in templates for case in _filled(template, words, share)]
    tolerance = entry.get("tolerance", 0.1 if kind == "still" else 0.05)
    if not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is {tolerance!r:.40}, a number from 0 to 1 is needed")
    return Check(
        group=_name(entry, "group"),
        form=_name(entry, "form"),
        kind=kind,
        label="" if kind == "still" else _name(entry, kind),
        cases=tuple(dict.fromkeys(cases)),
        tolerance=float(tolerance),
    )


def _filled(template: Pair, words: Mapping[str, Sequence[Pair]], most: int) -> Iterator[Pair]:
    """Put words into a template's slots, `most` combinations of all, spread evenly."""
    slots = list(dict.fromkeys(_SLOT.findall(" ".join(template))))
    for slot in slots:
        if slot not in words:
            raise ValueError(
                f"{{{slot}}} is none of the words: {quoted(list(words), 20) or 'none'}"
            )
    total = math.prod(len(words[slot]) for slot in slots)
    step = max(1, int(total * 0.618))
    while math.gcd(step, total) != 1:
        step += 1
    for number in range(min(most, total)):
        place, chosen = number * step % total, {}
        for slot in slots:
            place, index = divmod(place, len(words[slot]))
            chosen[slot] = words[slot][index]
        yield _put(template[0], chosen, 0), _put(template[1], chosen, 1)


def _put(template: str, chosen: Mapping[str, Pair], side: int) -> str:
    return _SLOT.sub(lambda slot: chosen[slot[1]][side], template)


def _words(table: Mapping[str, Any]) -> dict[str, list[Pair]]:
    words = {}
    for name, values in table.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"words: {name} is not a list of words or of pairs of them")
        words[name] = [_pair(value, f"words: {name}") for value in values]
    return words


def _pair(value: object, what: str) -> Pair:
    """Return a pair of texts; one text alone is both of them."""
    both = [value, value] if isinstance(value, str) else value
    if not isinstance(both, list) or len(both) != 2 or not all(isinstance(t, str) for t in both):
        raise ValueError(f"{what} holds {value!r:.60}, a text or a pair of texts is needed")
    return both[0], both[1]


def _of(table: Mapping[str, Any], key: str, kind: type, default: Any = None) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        wanted = {"dict": "a table", "list": "a list", "str": "a string"}[kind.__name__]
        raise ValueError(f"{key} is {value!r:.40}, {wanted} is needed")
    return value


def _name(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f"{key} is {value!r:.40}, a string is needed")
    return value


def _whole(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_CASES:
        raise ValueError(
            f"{key} is {value!r:.40}, a whole number from 1 to {_MOST_CASES} is needed"
        )
    return value


def _refuse_unknown(table: Mapping[str, Any], known: set[str]) -> None:
    if other := sorted(table.keys() - known):
        raise ValueError(f"there is no key {other[0]!r}; known are {', '.join(sorted(known))}")


def _doubled(names: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
