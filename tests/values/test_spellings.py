"""Negators in other spellings mean what the usual one does."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import pytest
from sentido_bundle import Cleaner, Inputs, Layout, Tokenizer, Truncation
from sentido_export.export import keras_rules
from sentido_export.model import Layers, build
from sentido_export.recipe import BEST, TUTORIAL, Recipe
from sentido_export.spellings import with_spellings

INPUTS = Inputs(Layout.LENGTHS, 5, Truncation.PRE)
SMALL = replace(BEST, words=50, dimensions=3, units=4)


def trained(
    words: Sequence[str], recipe: Recipe = SMALL, cleaner: Cleaner | None = None
) -> tuple[Layers, Tokenizer]:
    """Return layers with random weights for a vocabulary."""
    keras.utils.set_random_seed(1)
    tokenizer = Tokenizer([None, *words], keras_rules(recipe.words), INPUTS, cleaner)
    return build(recipe, 1 + len(words), 2), tokenizer


def answer(layers: Layers, tokenizer: Tokenizer, text: str) -> list[float]:
    """Return the probabilities of a text."""
    return [*map(float, layers.answer([tokenizer.encode(text).ids])["probabilities"][0])]


@pytest.mark.parametrize("spelling", ["isn’t", "isnt", "ISN’T", "can’t", "cannot"])
def test_other_spellings_are_answered_as_the_usual_one(spelling: str) -> None:
    words = ["it", "isn't", "good", "isnt", "cannot", "can't"]
    before = trained(words)
    layers, tokenizer, spellings = with_spellings(*before, SMALL)
    assert spellings == ["isnt", "isn’t", "can’t", "cant"]
    usual = {"c": "can't", "i": "isn't"}[spelling[0].lower()]
    told = answer(layers, tokenizer, f"it {spelling} good")
    is_same = told == answer(*before, f"it {usual} good")
    assert is_same == (spelling != "cannot")  # a word of its own
    for text in ("it isn't good", "good it", "it cannot", "CAN'T it"):
        assert answer(layers, tokenizer, text) == answer(*before, text)
    assert len(tokenizer.encode(" ".join(["can’t"] * 9)).ids) == INPUTS.length


def test_words_without_an_apostrophe_that_are_other_words_stay() -> None:
    recipe = replace(SMALL, negators=("we're", "not", "isn't"))
    _, tokenizer, spellings = with_spellings(*trained(["we're", "were", "not"], recipe), recipe)
    assert spellings == ["we’re"]
    assert tokenizer.vocabulary == (None, "we're", "were", "not", "we’re")


def test_a_full_vocabulary_loses_its_rarest_words_but_one_of_a_hundred_at_most() -> None:
    words = ["isn't", *(f"w{n}" for n in range(295)), "isnt", "x", "didn't"]
    recipe = replace(SMALL, words=300)
    before = trained(words, recipe)
    layers, tokenizer, spellings = with_spellings(*before, recipe)
    assert spellings == ["isnt", "isn’t", "didn’t", "didnt"]
    left = [word for word in words if word not in {"x", "w294", "w293"}]
    assert tokenizer.vocabulary == (None, *left, "isn’t", "didn’t", "didnt")
    assert layers.embedding.input_dim == 300
    for said, usual in (("isn’t", "isn't"), ("isnt", "isn't"), ("didnt", "didn't")):
        told = answer(layers, tokenizer, f"w0 {said} w1")
        assert told == answer(*before, f"w0 {usual} w1")
    tiny = replace(SMALL, words=4)
    _, tokenizer, spellings = with_spellings(*trained(["isn't", "a", "b"], tiny), tiny)
    assert (len(tokenizer.vocabulary), spellings) == (4, [])


def test_where_there_is_nothing_to_spell_nothing_changes() -> None:
    layers, tokenizer = trained(["isn't", "good"], TUTORIAL)
    assert with_spellings(layers, tokenizer, TUTORIAL) == (layers, tokenizer, [])


def test_a_spelling_that_cleaning_takes_apart_is_none() -> None:
    stripped = Cleaner([{"replace": "[^a-z' ]", "with": " "}])
    _, tokenizer, spellings = with_spellings(*trained(["isn't", "good"], cleaner=stripped), SMALL)
    assert spellings == ["isnt"]
    assert tokenizer.words("isn’t") == ["isn", "t"]


def test_weights_are_the_same_numbers_but_for_the_spellings() -> None:
    words = ["isn't", "isnt", "good"]
    layers, tokenizer = trained(words)
    old = [*map(np.copy, layers.model.get_weights())]
    grown, _, _ = with_spellings(layers, tokenizer, SMALL)
    table, *others = grown.model.get_weights()
    assert all(map(np.array_equal, others, old[1:]))
    assert np.array_equal(table[[0, 1, 3]], old[0][[0, 1, 3]])
    assert np.array_equal(table[[2, 4]], old[0][[1, 1]])
