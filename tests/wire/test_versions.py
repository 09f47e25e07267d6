"""Several versions of a model at once: which one a call asks for, and which one answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from both import Both
from conftest import config, running
from sentido.v1.model_pb2 import GetModelRequest
from sentido.v1.model_pb2_grpc import ModelServiceStub
from sentido_bundle import Bundle, default_bundle
from sentido_client import Client, Model, NotFoundError
from variants import copy

VERBS: tuple[tuple[str, Any], ...] = (
    ("predict", "good"),
    ("predict", ["good", "bad"]),
    ("embed", "good"),
    ("embed", ["good"]),
    ("embed", []),
    ("embed_tokens", "good"),
    ("lookup", ["good"]),
    ("nearest", "good"),
    ("tokenize", "good"),
    ("detokenize", [12]),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Versions 1 and 2 of the model imdb."""
    return [default_bundle(), copy(tmp_path_factory.mktemp("versions") / "2", version="2")]


@pytest.fixture(scope="module")
def address(transport: str, folders: list[Path]) -> Iterator[str]:
    """A server with both versions, and with the second as the model `mine`, too."""
    first, second = folders
    bundles = (str(first), str(second), f"mine={second}")
    with running(config(transport=transport, bundle=bundles)) as address:
        yield address


@pytest.fixture(scope="module")
def models(client: Client) -> dict[tuple[str, str], Model]:
    return {(model.name, model.version): model for model in client.models()}


def test_all_are_listed_in_the_order_in_which_the_server_was_given_them(both: Both) -> None:
    found = [(model.name, model.version) for model in both("models")]
    assert found == [("imdb", "1"), ("imdb", "2"), ("mine", "2")]


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        (("", ""), ("imdb", "1")),
        (("imdb", ""), ("imdb", "1")),
        (("imdb", "2"), ("imdb", "2")),
        (("", "2"), ("imdb", "2")),
        (("mine", ""), ("mine", "2")),
        (("mine", "2"), ("mine", "2")),
    ],
)
def test_a_name_alone_is_the_first_of_that_name_and_a_version_alone_one_of_the_default(
    both: Both, asked: tuple[str, str], answers: tuple[str, str]
) -> None:
    model = both("model", *asked)
    assert (model.name, model.version) == answers
    name, version = asked
    prediction = both("predict", "good", model=name, model_version=version)
    assert (prediction.model, prediction.version) == answers
    assert prediction.bundle_digest == model.bundle_digest
    tokenization = both("tokenize", "good", model=name, model_version=version)
    assert (tokenization.model, tokenization.version) == answers


@pytest.mark.parametrize(("verb", "argument"), VERBS)
def test_every_verb_asks_for_the_version_that_it_is_told(
    both: Both, models: dict[tuple[str, str], Model], verb: str, argument: Any
) -> None:
    second = models["imdb", "2"]
    both(verb, argument, model="imdb", model_version="2", expect_bundle=second)
    message = "version '9' of model 'imdb' is not loaded, there are: 1, 2"
    with pytest.raises(NotFoundError, match=message):
        both(verb, argument, model="imdb", model_version="9")


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_a_stream_asks_for_the_version_that_it_is_told(
    client: Client, models: dict[tuple[str, str], Model], verb: str
) -> None:
    second = models["imdb", "2"]
    asked = getattr(client, verb)(iter(["good"]), model_version="2", expect_bundle=second)
    assert len(list(asked)) == 1
    with pytest.raises(NotFoundError, match="version '9'"):
        list(getattr(client, verb)(iter(["good"]), model_version="9"))


def test_a_model_that_is_not_loaded_is_not_found_by_its_version_either(both: Both) -> None:
    with pytest.raises(NotFoundError, match="no model 'x' is loaded, there are: imdb, mine"):
        both("model", "x", "2")
    with pytest.raises(NotFoundError, match="version '1' of model 'mine' is not loaded"):
        both("model", "mine", "1")


def test_a_request_of_before_there_were_versions_gets_the_first(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        answer = ModelServiceStub(channel).GetModel(GetModelRequest(name="imdb"))
    assert answer.model.version == "1"


def test_a_version_is_loaded_again_for_an_administrator(
    transport: str, folders: list[Path], tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("admin abcdefghijklmnopqrst\n")
    tokens.chmod(0o600)
    settings = config(transport=transport, bundle=tuple(folders), token_file=tokens)
    with (
        running(settings) as address,
        Client(address, token="abcdefghijklmnopqrst") as client,
    ):
        assert client.reload_model("imdb", "2").version == "2"
        assert client.reload_model("imdb").version == "1"
        assert client.reload_model(version="2").version == "2"
        with pytest.raises(NotFoundError, match="version '9' of model 'imdb' is not loaded"):
            client.reload_model("imdb", "9")


def test_a_model_named_from_outside_keeps_its_digest_and_answers(
    models: dict[tuple[str, str], Model],
) -> None:
    assert models["mine", "2"].bundle_digest == models["imdb", "2"].bundle_digest
    assert models["mine", "2"].bundle_digest != models["imdb", "1"].bundle_digest


def test_a_bundle_can_be_loaded_under_another_name() -> None:
    bundle = Bundle.load(default_bundle(), name="mine")
    assert (bundle.name, bundle.manifest.name, bundle.version) == ("mine", "imdb", "1")
    assert "<Bundle mine 1 in fp32" in repr(bundle)
    with pytest.raises(ValueError, match="name is 'a/b': 1 to 64 letters"):
        Bundle.load(default_bundle(), name="a/b")
