"""A model whose tokens are characters, and that puts an id before them, through both clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from both import Both
from click.testing import CliRunner
from conftest import config, running
from sentido_bundle import Bundle
from sentido_client import InvalidRequestError
from sentido_client.main import sentido
from variants import of_characters

TEXT = "Aİb!"
TOKENS = [  # id, text, start, end
    (1, "", 0, 0),
    (3, "a", 0, 1),
    (11, "i", 1, 2),
    (30, "\u0307", 1, 2),  # "İ" is two characters in lower case
    (4, "b", 2, 3),
    (2, "!", 3, 4),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_characters(tmp_path_factory.mktemp("characters") / "letters")


@pytest.fixture(scope="module")
def address(transport: str, folder: Path) -> Iterator[str]:
    with running(config(transport=transport, bundle=(str(folder),))) as address:
        yield address


def test_characters_are_tokens_that_stand_where_they_are_in_the_text(both: Both) -> None:
    answer = both("tokenize", TEXT)
    tokens = [(token.id, token.text, token.start, token.end) for token in answer.tokens]
    assert tokens == TOKENS
    assert [token.out_of_vocabulary for token in answer.tokens] == [False] * 5 + [True]
    assert list(answer.token_ids) == [id for id, *_ in TOKENS]
    assert (answer.usage.token_count, answer.usage.out_of_vocabulary_count) == (6, 1)


def test_each_token_has_a_vector_also_the_one_before_all(both: Both, folder: Path) -> None:
    matrix = Bundle.load(folder).word_vectors.matrix
    tokens, vectors = both("embed_tokens", TEXT, kind="word")
    assert [(token.id, token.text, token.start, token.end) for token in tokens] == TOKENS
    assert (vectors == matrix[[id for id, *_ in TOKENS]]).all()


def test_a_model_says_how_it_reads_texts(both: Both) -> None:
    rules = both("model").preprocessing
    assert (rules.char_level, rules.start_id, rules.out_of_vocabulary_id) == (True, 1, 2)
    assert rules.out_of_vocabulary_token == ""


def test_ids_without_words_have_none(both: Both) -> None:
    assert both("detokenize", [3, 4, 2]) == ["a", "b", ""]
    with pytest.raises(InvalidRequestError, match="ids of words"):
        both("detokenize", [1])


def test_the_command_shows_every_token_in_order(address: str) -> None:
    shown = CliRunner().invoke(sentido, ["--address", address, "--table", "tokens", TEXT])
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    ids = [str(id) for id, *_ in TOKENS]
    assert [row[0] for row in rows if row and row[0] in ids and len(row) > 4] == ids
