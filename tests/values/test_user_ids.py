"""The ids that an exported vocabulary gives are those of Keras' `Tokenizer`, whatever its options.

`make test` takes a few hundred texts per set of options, `make nightly-tokenizers` thousands.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from keras_text import keras_text
from sentido_bundle import Tokenizer, Truncation
from sentido_bundle.sections import Inputs, Layout
from sentido_export.imported.keras_imdb import read_keras_imdb
from sentido_export.imported.keras_tokenizer import read_tokenizer
from sentido_export.imported.vocabulary import TextOptions, Vocabulary
from sentido_export.imported.vocabulary_options import VocabularyOptions
from user_texts import generated

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "num_words": {"num_words": 50},
    "num_words and oov_token": {"num_words": 50, "oov_token": "<OOV>"},
    "all words and oov_token": {"oov_token": "<OOV>"},
    "an empty oov_token": {"oov_token": "", "num_words": 300},
    "an oov_token that is a word of the texts": {"oov_token": "the", "num_words": 200},
    "no words but the oov_token": {"oov_token": "the", "num_words": 3},
    "more num_words than words": {"num_words": 10**6},
    "num_words of 0": {"num_words": 0},
    "case kept": {"lower": False},
    "no filters": {"filters": ""},
    "filters with letters": {"filters": "aeiou İßé"},
    "upper case filtered": {"filters": "ABCdef", "lower": False},
    "split on commas": {"split": ",", "filters": ".!? "},
    "split on two characters": {"split": "th", "filters": ".!? "},
    "split on tabs": {"split": "\t", "filters": " .\n"},
    "split on a filtered letter": {"split": "ab", "filters": "ae"},
    "characters": {"char_level": True},
    "characters, case kept": {"char_level": True, "lower": False, "oov_token": "UNK"},
    "characters, few": {"char_level": True, "num_words": 20, "filters": "abc"},
    "characters, and what is not used then": {"char_level": True, "split": "", "filters": None},
    "characters, few, and oov_token": {"char_level": True, "num_words": 20, "oov_token": ""},
}


@pytest.fixture(scope="module")
def texts(reviews: list[str], request: pytest.FixtureRequest) -> list[str]:
    """Real texts and generated ones, twice as many."""
    count = request.config.getoption("--tokenizer-texts")
    chosen = random.Random(1)
    real = chosen.sample(reviews, count)
    return [text[:2000] for text in real] + [generated(chosen, real) for _ in range(2 * count)]


def ours(vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer(vocabulary.words(), vocabulary.rules())


def encoded(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids.tolist() for encoding in tokenizer.encode_all(texts)]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_tokenizers_ids_are_those_of_keras(
    options: dict[str, Any], texts: list[str], tmp_path: Path
) -> None:
    keras = keras_text().Tokenizer(**options)
    keras.fit_on_texts(texts[::3])  # so that others have words of their own
    path = tmp_path / "tokenizer.json"
    path.write_text(keras.to_json())
    tokenizer = ours(read_tokenizer(path))
    wanted = keras.texts_to_sequences(texts)
    assert max(map(len, wanted)) > 20
    assert encoded(tokenizer, texts) == wanted
    for text, ids in list(zip(texts, wanted, strict=True))[::4]:
        assert tokenizer.encode(text).ids.tolist() == ids
        assert [token.id for token in tokenizer.read_tokens(text)] == ids
        for token in tokenizer.tokens(text):
            piece = text[token.start : token.end]
            piece = piece.lower() if keras.lower else piece
            assert token.text.replace("ς", "σ") in piece.replace("ς", "σ")


@pytest.mark.parametrize("char_level", [False, True])
def test_a_word_index_with_holes_gives_the_ids_of_a_tokenizer_that_holds_it(
    char_level: bool, texts: list[str], tmp_path: Path
) -> None:
    keras = keras_text().Tokenizer(
        oov_token="<UNK>", num_words=900, char_level=char_level, filters=".!?"
    )
    keras.fit_on_texts(texts[::2])
    # As it is changed by hand: three ids more each, holes, an oov_token behind num_words.
    words = {word: 7 * id + 3 for word, id in keras.word_index.items()}
    keras.word_index = {**words, "<PAD>": 0, "<UNK>": 901}
    path = tmp_path / "word_index.json"
    path.write_text(json.dumps(keras.word_index))
    options = VocabularyOptions(
        word_index=path,
        oov_token="<UNK>",
        num_words=900,
        char_level=char_level,
        filters=".!?",
    )
    tokenizer = ours(options.read(1000))
    assert encoded(tokenizer, texts) == keras.texts_to_sequences(texts)


def test_a_program_that_only_splits_at_white_space_is_followed_by_its_filters(
    texts: list[str], tmp_path: Path
) -> None:
    plain = [text.encode("ascii", "ignore").decode().replace("\x1c", "") for text in texts]
    words = sorted({word for text in plain[::2] for word in text.lower().split()})
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words))
    options = VocabularyOptions(vocabulary=str(path), filters="\t\n\r\f\v")  # as the page says
    tokenizer = ours(options.read(len(words) + 1))
    ids = {word: id for id, word in enumerate(words, 1)}
    wanted = [[ids[word] for word in text.lower().split() if word in ids] for text in plain]
    assert encoded(tokenizer, plain) == wanted


def keras_imdb(texts: list[str], words: dict[str, int], num_words: int) -> list[list[int]]:
    """Number texts as `imdb.load_data` numbers reviews, by its own line of Python."""
    split = [keras_text().text_to_word_sequence(text) for text in texts]
    return [
        [i if i < num_words else 2 for i in [1, *(words.get(w, 10**9) + 3 for w in each)]]
        for each in split
    ]


def test_keras_imdb_numbers_texts_as_keras_numbered_its_reviews(
    texts: list[str], tmp_path: Path
) -> None:
    fitted = keras_text().Tokenizer()
    fitted.fit_on_texts(texts)
    path = tmp_path / "imdb_word_index.json"
    path.write_text(json.dumps(fitted.word_index))
    vocabulary = read_keras_imdb(path, TextOptions(num_words=200), 500)
    wanted = keras_imdb(texts, fitted.word_index, 200)
    assert encoded(ours(vocabulary), texts) == wanted
    for truncation in Truncation:
        inputs = Inputs(Layout.LENGTHS, 4, truncation)
        tokenizer = Tokenizer(vocabulary.words(), vocabulary.rules(), inputs)
        cut = slice(-4, None) if truncation is Truncation.PRE else slice(4)
        assert encoded(tokenizer, texts) == [ids[cut] for ids in wanted]
        for text, ids in zip(texts[:20], wanted, strict=False):
            encoding = tokenizer.encode(text)
            assert encoding.ids.tolist() == ids[cut]
            assert encoding.truncated_token_count == max(0, len(ids) - 4)
            assert [token.id for token in tokenizer.read_tokens(text)] == ids[cut]


def test_the_id_before_all_words_is_a_token_without_characters(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text('{"film": 1}')
    tokenizer = ours(read_keras_imdb(path, TextOptions(), 10))
    begin, film, unknown = tokenizer.tokens("Film noir")
    assert (begin.id, begin.text, begin.start, begin.end) == (1, "", 0, 0)
    assert (film.id, film.text, film.start, film.end) == (4, "film", 0, 4)
    assert (unknown.id, unknown.text, unknown.out_of_vocabulary) == (2, "noir", True)
    encoding = tokenizer.encode("")
    assert (encoding.ids.tolist(), encoding.out_of_vocabulary_count) == ([1], 0)
