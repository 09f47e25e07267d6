"""The sentences that the default bundle is trained on: apart from those that judge it."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from sentido_export.errors import ExportError
from sentido_export.templates import Templates

TEMPLATES = ROOT / "bundle/recipe/templates.toml"
CHECKS = ROOT / "evaluate/sentido_evaluate/checks/film-reviews.toml"
LABELS = ("negative", "positive")
SHOWN = (
    "This movie is not good.",
    "Not bad at all!",
    "I expected to hate it but I loved it.",
)
ADJECTIVES = ("good", "bad", "long", "fine", "dull")
CONTENT = (
    *("noun", "part", "parts", "good", "good2", "bad", "bad2", "quality", "faults", "enjoy"),
    "enjoyed",
)
NOUNS = ("thing", "things", "people", "charm", "wit")

Table = dict[str, Any]
Alternatives = list[tuple[str, ...]]  # what may stand in one place, as words


def read(path: Path) -> Table:
    return tomllib.loads(path.read_text("utf-8"))


def words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w']+", text.lower()))


def templates(table: Table) -> Iterator[str]:
    for check in table["check"]:
        yield from check.get("texts", [])
        for pair in check.get("pairs", []):
            yield from pair


def listed(table: Table, names: Iterable[str] | None = None) -> set[str]:
    """The words of some lists, of pairs both."""
    lists = table["words"] if names is None else {name: table["words"][name] for name in names}
    both = (entry if isinstance(entry, list) else [entry] for of in lists.values() for entry in of)
    return {text.lower() for pair in both for text in pair}


def form(template: str, content: set[str]) -> tuple[str, ...]:
    """A template with `_` for each slot and for each word that could stand in one."""
    shown = re.sub(r"\{\w+\}", " _ ", template)
    return tuple("_" if word in content else word for word in words(shown))


def places(template: str, table: Table) -> Iterator[Alternatives]:
    """What may stand in each place of a template."""
    for part in re.split(r"(\{\w+\})", template):
        if part.startswith("{"):
            yield [words(entry) for entry in table["words"][part[1:-1]]]
        else:
            for word in words(part):
                yield [(word,)]


Blanked = list[set[tuple[str, ...]]]  # what may stand in each place, with `_` for content


def blanked(template: str, table: Table, content: set[str]) -> Blanked:
    return [
        {tuple("_" if word in content else word for word in chosen) for chosen in alternatives}
        for alternatives in places(template, table)
    ]


def has_form(template: Blanked, wanted: tuple[str, ...]) -> bool:
    """Whether a template can have a form."""
    reached = {0}
    for alternatives in template:
        reached = {
            at + len(a) for at in reached for a in alternatives if wanted[at : at + len(a)] == a
        }
        if not reached:
            return False
    return len(wanted) in reached


def after(state: frozenset[int], alternative: tuple[str, ...], piece: tuple[str, ...]) -> set[int]:
    """How many words of a piece may be matched after these, if so many were before."""
    for word in alternative:
        if len(piece) in state:
            break
        state = frozenset({n + 1 for n in state if piece[n] == word} | {0})
    return set(state)


def generate(table: Table, piece: tuple[str, ...]) -> bool:
    """Whether a text of one or two sentences may hold a piece: each place in turn."""
    state = frozenset({0})
    for _ in range(2):
        ends: set[int] = {0}
        for template in templates(table):
            reached = state
            for alternatives in places(template, table):
                reached = frozenset().union(*(after(reached, a, piece) for a in alternatives))
                if len(piece) in reached:
                    return True
            ends |= reached
        state = frozenset(ends)
    return False


def test_no_form_of_the_checks_is_trained_on_whatever_words_are_swapped() -> None:
    trained, judging = read(TEMPLATES), read(CHECKS)
    content = listed(trained, CONTENT) | listed(judging)
    forms = {form(template, content) for template in templates(judging)}
    assert len(forms) > 150
    assert form("This {thing} is hardly {x}!", content) == ("this", "_", "is", "hardly", "_")
    assert form("This film is hardly good.", content) == ("this", "_", "is", "hardly", "_")
    shown = blanked("{start} {subject} is not {good}", trained, content)
    assert has_form(shown, ("the", "_", "is", "not", "_"))
    for template in templates(trained):
        places_of = blanked(template, trained, content)
        assert not any(has_form(places_of, wanted) for wanted in forms), template


def test_of_the_checks_words_half_the_adjectives_and_nearly_all_nouns_are_not_trained_on() -> None:
    trained, judging = read(TEMPLATES), read(CHECKS)
    used = {word for text in listed(trained) for word in words(text)}
    used |= {word for template in templates(trained) for word in words(template)}
    for name in ADJECTIVES:
        adjectives = listed(judging, [name])
        assert 2 * len(adjectives & used) <= len(adjectives), name
    assert listed(judging, NOUNS) & used == {"film", "movie"}


@pytest.mark.parametrize("text", SHOWN)
def test_no_four_words_of_what_readers_try_first_can_be_generated(text: str) -> None:
    table, shown = read(TEMPLATES), words(text)
    for start in range(max(1, len(shown) - 3)):
        assert not generate(table, shown[start : start + 4])


def test_what_can_be_generated_is_found_within_sentences_and_across_two() -> None:
    table = read(TEMPLATES)
    drawn, _ = Templates.read(TEMPLATES, LABELS).draw(np.random.default_rng(0), 60)
    pieces = [
        piece for text in drawn for piece in zip(*(words(text)[n:] for n in range(4)), strict=False)
    ]
    assert len(pieces) > 100
    for piece in pieces[::25]:
        assert generate(table, piece), piece
    assert generate(table, ("never", "again", "never", "again"))
    assert not generate(table, ("again", "never", "again", "again"))


def test_each_label_and_form_is_drawn_as_often_and_alike_for_a_seed() -> None:
    read_twice = [Templates.read(TEMPLATES, LABELS) for _ in range(2)]
    (texts, labels), (again, _) = (t.draw(np.random.default_rng(5), 4000) for t in read_twice)
    assert texts == again
    assert abs(int(labels.sum()) - 2000) < 200
    assert len(set(texts)) > 2500
    assert 0.25 < np.mean([len(re.findall(r"[.!?] \S", text)) > 0 for text in texts]) < 0.5
    others, _ = read_twice[0].draw(np.random.default_rng(6), 4000)
    assert any(a != b for a, b in pairwise((texts, others)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no [[check]]"),
        ('[[check]]\ngroup="a"\nform="b"\nexpect="fine"\ntexts=["x"]', "the label 'fine'"),
        (
            '[[check]]\ngroup="a"\nform="b"\nstill=true\npairs=[["x", "y"]]',
            "the form 'b' has 'still': templates to train on have expect and texts",
        ),
    ],
)
def test_a_file_that_cannot_be_trained_on_is_one_sentence(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "templates.toml"
    path.write_text(text)
    with pytest.raises(ExportError, match=re.escape(message)) as error:
        Templates.read(path, LABELS)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
