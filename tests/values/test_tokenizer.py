"""The tokenizer against Keras' own, and its offsets against the text."""

import random
import unicodedata
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_text import keras_text
from sentido_bundle import (
    Encoding,
    Inputs,
    Layout,
    Tokenizer,
    TokenizerKind,
    TokenizerRules,
    Truncation,
    fit_vocabulary,
)
from sentido_export.export import KERAS_FILTERS
from sentido_export.golden_texts import GOLDEN_TEXTS

DEFAULT = TokenizerRules(
    kind=TokenizerKind.KERAS,
    lower=True,
    filters=KERAS_FILTERS,
    split=" ",
    num_words=5000,
    oov_token=None,
)
VARIANTS = {
    "defaults": {},
    "case kept": {"lower": False},
    "no filters": {"filters": ""},
    "letters filtered": {"filters": "aeiouİß "},
    "upper case filtered after lower-casing": {"filters": "ABCdef"},
    "upper case filtered and kept": {"filters": "ABCdef", "lower": False},
    "few words": {"num_words": 20},
    "unknown words kept": {"oov_token": "<unk>", "num_words": 50},
    "split on commas": {"split": ",", "filters": ".!? "},
    "split on two characters": {"split": "ab", "filters": ".!? "},
    "an empty unknown token": {"oov_token": "", "num_words": 50},
    "only the unknown token": {"oov_token": "<unk>", "num_words": 1},
    "any number of words": {"num_words": None},
    "characters": {"char_level": True},
    "characters, case kept, unknown ones too": {
        **{"char_level": True, "lower": False, "num_words": 20},
        "oov_token": "<unk>",
    },
}
AWKWARD = st.text(
    st.one_of(
        st.sampled_from("aAbBcCdDeE ,.!?\t\n\r\x0b\x1c"),
        st.sampled_from(
            " \u00a0\u3000\u2009\r\n\t\x0b\x0c\x1c\x85\x00.,'İIıißẞΣσςǅﬁ\u0307\u0301👍🏽ab"
        ),
        st.characters(),  # lone surrogates too: a str may hold them
    ),
    max_size=60,
)

LONG_WORDS = st.text(st.sampled_from("ab\0é "), min_size=12, max_size=60)


def keras_and_ours(
    texts: list[str], changes: dict[str, Any], limit: int = 100_000
) -> tuple[Any, Tokenizer]:
    rules = replace(DEFAULT, **changes)
    keras = keras_text().Tokenizer(
        num_words=rules.num_words,
        filters=rules.filters,
        lower=rules.lower,
        split=rules.split,
        oov_token=rules.oov_token,
        char_level=rules.char_level,
    )
    keras.fit_on_texts(texts)
    vocabulary, _ = fit_vocabulary(texts, rules)
    return keras, Tokenizer(vocabulary, rules, Inputs(Layout.LENGTHS, limit, Truncation.PRE))


@pytest.fixture(scope="module")
def sample(reviews: list[str]) -> list[str]:
    return random.Random(1).sample(reviews, 1500)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_real_reviews_give_keras_ids(changes: dict[str, Any], sample: list[str]) -> None:
    keras, ours = keras_and_ours(sample[:1000], changes)
    texts = [*sample, *GOLDEN_TEXTS]
    assert [ours.encode(text).ids.tolist() for text in texts] == keras.texts_to_sequences(texts)


def test_the_vocabulary_is_keras_word_index(sample: list[str]) -> None:
    keras, ours = keras_and_ours(sample, {"num_words": 10**6})
    assert list(ours.vocabulary[1:]) == list(keras.word_index)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(AWKWARD, min_size=1, max_size=6))
def test_awkward_texts_give_keras_ids(changes: dict[str, Any], texts: list[str]) -> None:
    keras, ours = keras_and_ours(texts, changes)
    assert [ours.encode(text).ids.tolist() for text in texts] == keras.texts_to_sequences(texts)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@settings(max_examples=60, deadline=None)
@given(text=AWKWARD)
def test_every_word_is_found_where_its_offsets_say(changes: dict[str, Any], text: str) -> None:
    _, ours = keras_and_ours([text[:20]], changes)
    rules = ours.rules
    tokens = ours.tokens(text)
    assert [token.text for token in tokens] == ours.words(text)
    assert [token.id for token in ours.read_tokens(text)] == ours.encode(text).ids.tolist()
    for before, after in pairwise(tokens):
        assert before.end <= after.start + ("İ" in text)  # "İ" is two characters in lower case
    for token in tokens:
        piece = text[token.start : token.end]
        piece = piece.lower() if rules.lower else piece
        # A final sigma and an "İ" cut in two look other by themselves.
        assert token.text.replace("ς", "σ") in piece.replace("ς", "σ")


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@settings(max_examples=100, deadline=None)
@given(text=AWKWARD)
def test_awkward_texts_give_keras_ids_with_an_ordinary_vocabulary(
    changes: dict[str, Any], text: str
) -> None:
    keras, ours = keras_and_ours(["a ab b ba aba bab ǆ 👍 i̇ ß e.", "b a\u3000a d\u00a0d"], changes)
    encoding = ours.encode(text)
    assert [encoding.ids.tolist()] == keras.texts_to_sequences([text])
    unknown = [token for token in ours.tokens(text) if token.out_of_vocabulary]
    assert encoding.out_of_vocabulary_count == len(unknown)


def rows(encodings: list[Encoding]) -> list[list[object]]:
    return [[e.ids.tolist(), e.token_count, *list(vars(e).values())[1:]] for e in encodings]


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(AWKWARD | LONG_WORDS, min_size=1, max_size=6), limit=st.integers(1, 20))
def test_many_texts_at_once_give_what_each_gives(
    changes: dict[str, Any], texts: list[str], limit: int
) -> None:
    _, ours = keras_and_ours(texts[::2], changes, limit)
    many = [*texts, "", "a " * 4000, *reversed(texts)]  # "a " * 4000: enough for the bulk way
    for truncation in (None, Truncation.POST):
        each = [ours.encode(text, truncation) for text in many]
        assert rows(ours.encode_all(many, truncation)) == rows(each)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_many_real_reviews_at_once_give_keras_ids(
    changes: dict[str, Any], sample: list[str]
) -> None:
    keras, ours = keras_and_ours(sample[:1000], changes)
    texts = [*sample, *GOLDEN_TEXTS]
    encodings = ours.encode_all(texts)
    assert [encoding.ids.tolist() for encoding in encodings] == keras.texts_to_sequences(texts)
    assert all(encoding.ids.dtype == np.int32 for encoding in encodings)


def test_words_are_told_apart_up_to_their_last_byte() -> None:
    words = ["a" * n for n in range(1, 40)] + [f"{'b' * 14}{c}" for c in "abcdefgh"]
    ours = Tokenizer([None, *words], DEFAULT)
    texts = [f"{word} {word}x x{word}\0 {word}\0 {word}" for word in words]
    ids = [encoding.ids.tolist() for encoding in ours.encode_all(texts * 20)]
    assert ids[: len(words)] == [ours.encode(text).ids.tolist() for text in texts]
    assert [i[0] for i in ids[: len(words)]] == list(range(1, len(words) + 1))


def test_unknown_words_are_counted_also_where_a_token_stands_for_them() -> None:
    rules = replace(DEFAULT, oov_token="<unk>")
    encoding = Tokenizer([None, "<unk>", "a"], rules).encode("a b a c")
    assert encoding.ids.tolist() == [2, 1, 2, 1]
    assert encoding.out_of_vocabulary_count == 2


def test_an_unknown_token_that_is_a_word_is_refused() -> None:
    # Keras takes it and then gives the token the word's id, and id 1 to nothing.
    with pytest.raises(ValueError, match="oov_token 'film' is a word of the texts"):
        keras_and_ours(["a film"], {"oov_token": "film"})


def test_no_other_character_grows_in_lower_case() -> None:
    grown = [chr(c) for c in range(0x110000) if len(chr(c).lower()) != 1]
    assert grown == ["İ"], unicodedata.unidata_version


def test_offsets_survive_the_turkish_capital() -> None:
    _, ours = keras_and_ours(["iyi"], {})
    tokens = ours.tokens("İİ iyi")
    assert [(t.start, t.end) for t in tokens] == [(0, 2), (3, 6)]
    assert [t.id for t in tokens] == [0, 1]


def test_truncation_keeps_the_end_that_is_asked_for() -> None:
    inputs = Inputs(Layout.LENGTHS, 2, Truncation.PRE)
    tokenizer = Tokenizer([None, "a", "b", "c"], DEFAULT, inputs)
    encoding = tokenizer.encode("a x b c")
    assert encoding.ids.tolist() == [2, 3]
    assert (encoding.token_count, encoding.truncated_token_count) == (2, 1)
    assert (encoding.out_of_vocabulary_count, encoding.character_count) == (1, 7)
    assert tokenizer.encode("a x b c", Truncation.POST).ids.tolist() == [1, 2]
    assert [t.text for t in tokenizer.read_tokens("a x b c", Truncation.POST)] == ["a", "b"]
