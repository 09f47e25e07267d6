"""Calls of a model that cleans texts: every RPC cleans them, and offsets are the caller's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from both import Both
from click.testing import CliRunner
from conftest import config, running
from sentido_bundle import Bundle
from sentido_client import Client, InvalidRequestError
from sentido_client.main import sentido
from variants import with_cleaning

STEPS: list[dict[str, Any]] = [
    {"replace": "<[^>]+>", "with": " "},
    {"lower": True},
    {"replace": "@", "with": "x" * 1000},
]
TEXT = "<b>Wonderful</b> film"
GROWN = "@" * 50
WHY = r"grows to 50,000 characters in cleaning step 3 \(replace '@'\), at most 40,000 are allowed"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_cleaning(
        tmp_path_factory.mktemp("cleaning") / "bundle", STEPS, cleaned_by_caller=True
    )


@pytest.fixture(scope="module")
def both(transport: str, folder: Path) -> Iterator[Both]:
    settings = config(transport=transport, bundle=(str(folder),), max_text_characters=10_000)
    with running(settings) as address, Client(address) as client:
        yield Both(address, client)


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle.load(folder)


def test_predictions_and_vectors_are_those_of_the_cleaned_text(both: Both, bundle: Bundle) -> None:
    wanted = bundle.predict([TEXT]).probabilities[0].max()
    plain = both("predict", "wonderful film")
    found = both("predict", TEXT)
    assert found.probability == plain.probability == wanted
    assert (found.usage.character_count, found.usage.token_count) == (len(TEXT), 2)
    first, _ = both("predict", [TEXT, "fine"])
    assert first.probability == wanted
    (streamed,) = both.client.predict(iter([TEXT]))
    assert streamed.probability == wanted
    assert np.array_equal(both("embed", TEXT), both("embed", "wonderful film"))


def test_offsets_are_those_of_the_text_as_sent(both: Both) -> None:
    for found in (both("tokenize", TEXT), both("embed_tokens", TEXT)):
        words = [TEXT[token.start : token.end] for token in found.tokens]
        assert words == ["Wonderful", "film"]
        assert [token.text for token in found.tokens] == ["wonderful", "film"]


def test_a_text_that_grows_too_long_is_refused_with_the_step(both: Both) -> None:
    for verb in ("predict", "embed", "tokenize", "embed_tokens"):
        with pytest.raises(InvalidRequestError, match=f"text: {WHY}"):
            both(verb, GROWN)
    with pytest.raises(InvalidRequestError, match=rf"texts\[1\]: {WHY}") as error:
        both("predict", ["fine", GROWN])
    assert error.value.index == 1


def test_a_model_says_that_it_cleans_and_that_callers_must(both: Both) -> None:
    model = both("model")
    assert model.capabilities[-1] == "cleaning"
    assert model.cleaned_by_caller
    shown = CliRunner().invoke(sentido, ["--address", both.address, "--table", "model"])
    assert "It cleans texts itself, as the texts were that it learned from." in shown.output
    assert "Send it cleaned texts: cleaned as those were that it learned from." in shown.output
