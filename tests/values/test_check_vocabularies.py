"""A check that fails names the mistake: another way to number words, on any sides."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentido_bundle import Tokenizer
from sentido_export.errors import ExportError
from sentido_export.imported.answers import Answers, read_answers
from sentido_export.imported.check import check, labels_of
from sentido_export.imported.other_vocabularies import other_ids
from sentido_export.imported.sides import Sides, pad
from sentido_export.imported.vocabulary import TextOptions, Vocabulary, vocabulary_of

LENGTH, ROWS = 12, 300
LISTED = ["the", "A", "film", "is", "was", "Bad", "good", "best,", "worst", "i'll"]
WORDS = {word: id for id, word in enumerate(LISTED, 1)}
TEXTS = [
    "The film is A bad film, unheard of!",
    "the best, the worst\tGood I'll say good-film",
    "A film",
    "",
    "was the film unseen or is the film A Good Bad film of the best, worst unseen kind of film",
    *(f"the film {word} is the {word}" for word in WORDS),
]
SIDES = Sides("post", "pre")
TABLE = np.random.default_rng(3).normal(size=(LENGTH, ROWS))


def predict(rows: NDArray[np.int32]) -> NDArray[np.float32]:
    values = TABLE[np.arange(LENGTH), rows].sum(axis=1, keepdims=True)
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)


def ids_of(vocabulary: Vocabulary) -> list[NDArray[np.int32]]:
    tokenizer = Tokenizer(vocabulary.words(), vocabulary.rules())
    return [tokenizer.encode(text).ids for text in TEXTS]


def answers(right: Vocabulary, path: Path) -> Answers:
    """What a program answers that numbers words as `right` does."""
    rows = predict(pad(ids_of(right), LENGTH, SIDES)).tolist()
    lines = [{"text": text, "probabilities": row} for text, row in zip(TEXTS, rows, strict=True)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return read_answers(path)


def tried(wrong: Vocabulary, found: Answers) -> None:
    check(
        found,
        ids_of(wrong),
        LENGTH,
        predict,
        labels_of(),
        padding="post",
        truncating="pre",
        others=lambda texts: other_ids(wrong, ROWS, texts),
    )


def plain(**options: object) -> Vocabulary:
    words = {word.lower() if options.get("lower", True) else word: id for word, id in WORDS.items()}
    oov = options.get("oov_token")
    shifted = {word: id + 20 for word, id in words.items()}
    whole = {**({oov: 1} if isinstance(oov, str) else {}), **shifted}
    return vocabulary_of("words", whole, TextOptions(**options))  # type: ignore[arg-type]


def imdb(**changes: object) -> Vocabulary:
    words = {word.lower(): id + 23 for word, id in WORDS.items()}
    made = vocabulary_of("words", words, TextOptions())
    return replace(made, **{"start_id": 1, "oov_id": 2, **changes})  # type: ignore[arg-type]


def shifted(vocabulary: Vocabulary, by: int) -> Vocabulary:
    return replace(vocabulary, ids={word: id + by for word, id in vocabulary.ids.items()})


SPACES = TextOptions(filters="\t\n\r\f\v")
MISTAKES: dict[str, tuple[Callable[[], Vocabulary], Callable[[], Vocabulary]]] = {
    "drops unknown words (leave out --oov-token)": (
        lambda: plain(oov_token="<OOV>"),
        lambda: replace(plain(oov_token="<OOV>"), oov_id=None),
    ),
    "gives unknown words the id 1 (name its word": (plain, lambda: plain(oov_token="<OOV>")),
    "gives unknown words the id 2 (name its word": (plain, lambda: replace(plain(), oov_id=2)),
    "lowers upper case (leave out --no-lower)": (
        lambda: replace(plain(), options=TextOptions(lower=False)),
        plain,
    ),
    "keeps upper case (give --no-lower)": (
        lambda: replace(plain(lower=False), options=TextOptions()),
        lambda: plain(lower=False),
    ),
    "splits at white space only (give --filters": (
        plain,
        lambda: replace(plain(), options=SPACES),
    ),
    "separates words as Keras' Tokenizer does (leave out --filters)": (
        lambda: plain(filters=""),
        lambda: replace(plain(filters=""), options=TextOptions()),
    ),
    "has every id 1 higher": (plain, lambda: shifted(plain(), 1)),
    "has every id 1 lower": (plain, lambda: shifted(plain(), -1)),
    "has every id 3 lower": (imdb, lambda: shifted(imdb(), -3)),
    "numbers words as Keras' imdb does (give --vocabulary keras-imdb)": (
        lambda: shifted(imdb(start_id=None, oov_id=None), -3),
        imdb,
    ),
    "puts no id before texts (write its ids": (imdb, lambda: imdb(start_id=None)),
    "adds 3 to the id of unknown words (write": (imdb, lambda: imdb(oov_id=5)),
    "puts no id before texts and adds 3 to the id of unknown words and splits at white space": (
        imdb,
        lambda: imdb(start_id=None, oov_id=5, options=SPACES),
    ),
    "puts no id before texts and drops unknown words (write": (
        imdb,
        lambda: imdb(start_id=None, oov_id=None),
    ),
}


@pytest.mark.parametrize("named", MISTAKES)
def test_a_check_that_fails_names_the_mistake(named: str, tmp_path: Path) -> None:
    wrong, right = (make() for make in MISTAKES[named])
    found = answers(right, tmp_path / "answers.jsonl")
    tried(right, found)  # it is the right one
    with pytest.raises(ExportError) as caught:
        tried(wrong, found)
    assert f"its answers are those of a program that {named}" in str(caught.value)
    assert str(caught.value).endswith(f"with {SIDES}")


def test_the_answers_that_others_are_tried_on_are_to_texts_of_all_lengths(tmp_path: Path) -> None:
    found = answers(plain(), tmp_path / "answers.jsonl")
    few = found.some(3)
    assert few.texts[0] == min(TEXTS, key=len)
    assert few.texts[2] == max(TEXTS, key=len)
    for text, row, line in zip(few.texts, few.outputs, few.lines, strict=True):
        assert TEXTS[line - 1] == text
        assert (found.outputs[line - 1] == row).all()
    assert len(found.some(1000).texts) == len(TEXTS)


def test_a_mistake_that_is_none_of_these_is_not_named(tmp_path: Path) -> None:
    other = vocabulary_of("words", {"other": 7, "words": 8}, TextOptions())
    with pytest.raises(ExportError, match="does not give these answers with this vocabulary"):
        tried(plain(), answers(other, tmp_path / "answers.jsonl"))
