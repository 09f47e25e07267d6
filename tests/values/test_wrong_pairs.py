"""Pairs of a program and an export that do not fit: a check names the mistake in each."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sentido_bundle import Cleaner, Tokenizer, TokenizerKind
from sentido_bundle.text_vectorization import PUNCTUATION
from sentido_export.errors import ExportError
from sentido_export.imported.answers import read_answers
from sentido_export.imported.check import check, labels_of
from sentido_export.imported.differing import difference
from sentido_export.imported.other_cleanings import other_cleanings
from sentido_export.imported.other_vocabularies import other_ids
from sentido_export.imported.sides import Sides, pad
from sentido_export.imported.vocabulary import (
    KERAS_FILTERS,
    TextOptions,
    Vocabulary,
    vocabulary_of,
)

LENGTH, ROWS = 40, 1200
PRE = Sides("pre", "pre")
TABLE = np.random.default_rng(5).normal(0, 0.3, size=(ROWS, 6))
PLACES = np.random.default_rng(6).normal(0, 0.3, size=(LENGTH, 6))


@dataclass(frozen=True)
class Program:
    """What turns texts into the rows that a model reads."""

    vocabulary: Vocabulary
    sides: Sides = PRE
    table: NDArray[np.float64] = field(default_factory=lambda: TABLE)
    length: int = LENGTH
    steps: Sequence[Mapping[str, Any]] = ()  # of cleaning

    @property
    def cleaner(self) -> Cleaner | None:
        return Cleaner(self.steps) if self.steps else None

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.vocabulary.words(), self.vocabulary.rules(), cleaner=self.cleaner)

    def rows(self, texts: Iterable[str]) -> NDArray[np.int32]:
        tokenizer = self.tokenizer
        return pad([tokenizer.encode(text).ids for text in texts], self.length, self.sides)

    def layers(self, rows: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
        """An embedding, a layer that reads places, and a sigmoid."""
        vectors = self.table[rows]
        dense = np.tanh(vectors * PLACES[: self.length]).sum(axis=(1, 2))[:, None]
        return {"embedding": vectors, "dense": dense, "sigmoid": 1 / (1 + np.exp(-dense))}

    def predict(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return self.layers(rows)["sigmoid"].astype(np.float32)

    def sizes(self, rows: NDArray[np.int32]) -> dict[str, float]:
        return {name: float(np.abs(each).mean()) for name, each in self.layers(rows).items()}


@pytest.fixture(scope="module")
def texts(reviews: list[str]) -> list[str]:
    lines = [review[:90].replace(" ", "\n", 2).replace(" ", "\t", 1) for review in reviews[20:24]]
    short = [review[:60] for review in reviews[:20]]
    return [*short, *(review[:500] for review in reviews[20:40]), *lines]


@pytest.fixture(scope="module")
def words(texts: list[str]) -> dict[str, int]:
    """A word index of real texts, with words in upper case and with punctuation among them."""
    counts: dict[str, int] = {}
    for text in texts[:40]:
        plain = "".join(c for c in text if c not in PUNCTUATION)
        for word in (*plain.lower().split(), *text.split(), *plain.split()):
            counts[word] = counts.get(word, 0) + 1
    ranked = sorted(counts, key=lambda word: -counts[word])[: ROWS - 50]
    return {word: id for id, word in enumerate(ranked, 2)} | {"<OOV>": 1}


Made = Callable[[dict[str, int]], Program]


def program(sides: Sides = PRE, **options: Any) -> Made:
    def make(words: dict[str, int]) -> Program:
        settings = TextOptions(**{"num_words": 1000, **options})
        return Program(vocabulary_of("words", words, settings), sides)

    return make


def changed(make: Made, **changes: object) -> Made:
    """Return a program whose vocabulary is changed by hand."""

    def of(words: dict[str, int]) -> Program:
        made = make(words)
        return replace(made, vocabulary=replace(made.vocabulary, **changes))  # type: ignore[arg-type]

    return of


def shifted(make: Made, by: int) -> Made:
    def of(words: dict[str, int]) -> Program:
        made = make(words)
        ids = {word: id + by for word, id in made.vocabulary.ids.items()}
        return replace(made, vocabulary=replace(made.vocabulary, ids=ids))

    return of


def cleaned(*steps: Mapping[str, Any], sides: Sides = PRE) -> Made:
    return lambda words: replace(program(sides)(words), steps=steps)


LETTERS: dict[str, Any] = {"replace": "[^a-zA-Z]", "with": " "}
STOP: dict[str, Any] = {"remove_words": ["the", "a", "of", "is"]}


def reversed_words(words: dict[str, int]) -> Program:
    """Another model's vocabulary: the same words, numbered otherwise."""
    ids = sorted(words.values())
    return program()(dict(zip(words, ids[::-1], strict=True)))


def trained_again(words: dict[str, int]) -> Program:
    return replace(program()(words), table=np.roll(TABLE, 1))


def shorter(words: dict[str, int]) -> Program:
    return replace(program()(words), length=LENGTH - 10)


LAYER: dict[str, Any] = {
    "kind": TokenizerKind.TEXT_VECTORIZATION,
    "filters": PUNCTUATION,
    "oov_token": "<OOV>",
}
PAIRS: dict[str, tuple[Made, Made, str]] = {  # the program, the export, what names the mistake
    "padding": (program(Sides("post", "pre")), program(), "those of padding='post'"),
    "truncating": (program(Sides("pre", "post")), program(), "truncating='post', not those of"),
    "both sides": (
        program(Sides("post", "post")),
        program(),
        "those of padding='post', truncating='post'",
    ),
    "no num_words": (program(), program(num_words=None), r"has num_words=1000 \(give --num-words"),
    "num_words of another program": (
        program(num_words=500),
        program(num_words=501),
        "has num_words=500 ",
    ),
    "num_words that count one less": (
        program(num_words=61),
        program(num_words=60),
        "num_words=61 ",
    ),
    "num_words beside the model's rows": (
        program(num_words=ROWS),
        program(num_words=300),
        "has no num_words, with",
    ),
    "an oov_token that is forgotten": (
        program(oov_token="<OOV>"),
        program(),
        "gives unknown words the id 1",
    ),
    "an oov_token that is not the program's": (
        program(),
        program(oov_token="<OOV>"),
        "drops unknown words",
    ),
    "no oov_token and no num_words": (
        program(oov_token="<OOV>"),
        program(num_words=None),
        "has num_words=1000 .* and gives unknown words the id 1",
    ),
    "case": (program(lower=False), program(), "keeps upper case"),
    "filters": (program(filters="\t\n\r\f\v"), program(), "splits at white space only"),
    "filters that are empty": (
        program(filters=""),
        program(),
        r"splits at blanks only \(give --filters=''\)",
    ),
    "filters that are empty in the export": (
        program(),
        program(filters=""),
        "separates words as Keras' Tokenizer does",
    ),
    "empty filters and an oov_token": (
        program(filters="", oov_token="<OOV>"),
        program(),
        r"gives unknown words the id 1 .* and splits at blanks only",
    ),
    "white space where the program has no filters": (
        program(filters=""),
        program(filters="\t\n\r\f\v"),
        r"splits at blanks only",
    ),
    "filters that keep line breaks": (
        program(filters=KERAS_FILTERS[:-2]),
        program(),
        r"has filters='!.*{\|}~' \(give --filters \$'!.*\\\\",
    ),
    "filters that take apostrophes, too": (
        program(filters=KERAS_FILTERS + "'"),
        program(),
        r"separates words at \"'\", too \(give --filters \$'!.*\\t\\n\\''\), with padding",
    ),
    "filters that keep hyphens": (
        program(filters=KERAS_FILTERS.replace("-", "")),
        program(),
        r"does not separate words at '-' \(give --filters \$'!.*\+,\./.*\), with padding='pre'",
    ),
    "case and filters": (
        program(lower=False, filters="\t\n\r\f\v"),
        program(),
        "splits at white space only .* and keeps upper case",
    ),
    "case and sides": (
        program(Sides("post", "post"), lower=False),
        program(),
        "keeps upper case .* with padding='post', truncating='post'",
    ),
    "a TextVectorization": (
        program(**LAYER),
        program(oov_token="<OOV>"),
        "splits texts as a TextVectorization does",
    ),
    "a Tokenizer": (
        program(oov_token="<OOV>"),
        program(**LAYER),
        "separates words as Keras' Tokenizer does",
    ),
    "ids from another beginning": (shifted(program(), 1), program(), "has every id 1 higher"),
    "ids of imdb": (
        changed(shifted(program(), 3), start_id=1, oov_id=2),
        program(),
        "numbers words as Keras' imdb does",
    ),
    "ids from another beginning and an oov_token": (
        changed(shifted(program(), 1), oov_id=1),
        program(),
        "gives unknown words the id 1 .* and has every id 1 higher",
    ),
    "a step of cleaning that is forgotten": (
        cleaned(LETTERS),
        program(),
        r"takes the step {\"replace\": \"\[\^a-zA-Z\]\+\", .* first \(give it with --cleaning\)",
    ),
    "a step behind the others that is forgotten, and sides": (
        cleaned({"lower": True}, STOP, LETTERS, sides=Sides("post", "post")),
        cleaned({"lower": True}, STOP),
        "takes the step .* last .* with padding='post', truncating='post'",
    ),
    "a step of cleaning too many": (
        cleaned(LETTERS),
        cleaned(LETTERS, STOP),
        "does without cleaning step 2, with",
    ),
    "cleaning that the program has not": (
        program(),
        cleaned(LETTERS, STOP),
        "takes no cleaning step",
    ),
    "another model's vocabulary": (
        reversed_words,
        program(),
        r"line \d+: the ids differ: '.+' is \d+ here and \d+ in your program",
    ),
    "another model file": (
        trained_again,
        program(),
        "the ids are the same.*the first layer that differs is 'embedding'",
    ),
    "another length": (
        shorter,
        program(),
        "your program gives the model 30 of the text's .*compare --max-tokens, 40",
    ),
}


def written(made: Program, texts: list[str], path: Path) -> None:
    """Write down what the program answers, reads and computes, as the cells of the page do."""
    lines = [
        {
            **{"text": text, "probabilities": made.predict(row[None]).tolist()},
            **{"ids": row.tolist(), "layers": made.sizes(row[None])},
        }
        for text, row in zip(texts, made.rows(texts), strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize("what", PAIRS)
def test_a_check_names_what_does_not_fit(
    what: str, texts: list[str], words: dict[str, int], tmp_path: Path
) -> None:
    right, wrong, named = PAIRS[what]
    answers = tmp_path / "answers.jsonl"
    written(right(words), texts, answers)
    with pytest.raises(ExportError, match=named):
        checked(wrong(words), answers)


def checked(export: Program, path: Path) -> None:
    """Hold an export to answers, as the command does."""
    answers, tokenizer, cleaner = read_answers(path), export.tokenizer, export.cleaner

    def read(text: str) -> list[tuple[str, int]]:
        return [(token.text, token.id) for token in tokenizer.read_tokens(text)]

    def others(texts: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
        for what, other in other_cleanings(cleaner):
            ids = replace(export, steps=other.facts if other else ()).tokenizer
            yield what, [ids.encode(text).ids for text in texts]
        cleaned = [cleaner.clean(text) for text in texts] if cleaner else texts
        yield from other_ids(export.vocabulary, ROWS, cleaned)

    check(
        answers,
        [tokenizer.encode(text).ids for text in answers.texts],
        LENGTH,
        export.predict,
        labels_of(),
        padding=export.sides.padding,
        truncating=export.sides.truncating,
        others=others,
        explain=partial(difference, answers, LENGTH, read, export.sizes),
    )


def test_what_fits_is_let_pass(texts: list[str], words: dict[str, int], tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    for right, _, _ in PAIRS.values():
        made = right(words)
        if made.length == LENGTH:
            written(made, texts[::5], answers)
            checked(made, answers)


def test_a_mistake_without_ids_asks_for_them(
    texts: list[str], words: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    written(reversed_words(words), texts, path)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    bare = [{name: line[name] for name in ("text", "probabilities")} for line in kept]
    path.write_text("\n".join(map(json.dumps, bare)))
    with pytest.raises(ExportError, match="or let it write down its ids"):
        checked(program()(words), path)
