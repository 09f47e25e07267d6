"""A model that has nothing in common with the default one, beside it on one server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import second_model
from both import Both
from click.testing import CliRunner
from conftest import config, running
from google.rpc import error_details_pb2, status_pb2
from sentido.v1.common_pb2 import ModelSelector
from sentido.v1.embedding_pb2 import EmbedRequest, StreamEmbedRequest
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido_bundle import Bundle, Layout, default_bundle
from sentido_client import Client, InvalidRequestError, MissingCapabilityError
from sentido_client.main import sentido

TEXTS = ["a good film", "", "noise", "zzz a zzz.", "bad mess of a film of a bad mess", "a " * 30]
LACKS: tuple[tuple[str, Any, dict[str, Any], str], ...] = (
    ("embed", "good", {}, "hidden"),
    ("embed", ["good", "bad"], {}, "hidden"),
    ("embed", [], {}, "hidden"),
    ("embed_tokens", "good", {"kind": "hidden"}, "steps"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second") / "bundle"
    second_model.write(folder)
    return folder


@pytest.fixture(scope="module")
def second(folder: Path) -> Bundle:
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def address(
    transport: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server with the default model, the second one, and two others of that.

    One of them runs each text alone, and one has no word vectors.
    """
    alone, wordless = (tmp_path_factory.mktemp("others") / name for name in ("alone", "wordless"))
    second_model.write(alone, Layout.ALONE)
    second_model.write(wordless, has_words=False)
    others = (f"alone={alone}", f"wordless={wordless}")
    bundles = (str(default_bundle()), str(folder), *others)
    with running(config(transport=transport, bundle=bundles)) as address:
        yield address


def scores(predictions: Any) -> np.ndarray:
    return np.array([[s.probability for s in each.scores] for each in predictions], np.float32)


def test_it_answers_as_the_model_that_it_was_made_of(both: Both, second: Bundle) -> None:
    ids = [second.tokenizer.encode(text).ids for text in TEXTS]
    wanted = second_model.answer(ids)["probabilities"]
    found = both("predict", TEXTS, model="second")
    assert [score.label for score in found[0].scores] == list(second_model.LABELS)
    np.testing.assert_allclose(scores(found), wanted, atol=1e-6)
    np.testing.assert_allclose(second.predict(TEXTS).probabilities, wanted, atol=1e-6)
    streamed = list(both.client.predict(iter(TEXTS), model="second"))
    np.testing.assert_allclose(scores(streamed), wanted, atol=1e-6)
    alone = [both("predict", text, model="second") for text in TEXTS]
    np.testing.assert_allclose(scores(alone), wanted, atol=1e-6)


def test_a_text_alone_in_its_batch_gives_the_same_bits_whatever_is_asked_beside_it(
    both: Both,
) -> None:
    together = scores(both("predict", TEXTS * 10, model="alone"))
    alone = scores([both("predict", text, model="alone") for text in TEXTS])
    assert together.tobytes() == np.concatenate([alone] * 10).tobytes()
    one = second_model.MATRIX[[2, 3, 4]].mean(axis=0) @ second_model.KERNEL + second_model.BIAS
    np.testing.assert_allclose(alone[0], 1 / (1 + np.exp(-one)), atol=1e-6)


def test_usage_counts_words_and_not_padding(both: Both) -> None:
    usage = both("predict", "zzz a zzz.", model="second").usage
    assert (usage.token_count, usage.out_of_vocabulary_count) == (3, 2)
    long = both("predict", "a " * 30, model="second").usage
    assert (long.token_count, long.truncated_token_count) == (8, 22)


def test_what_it_has_of_words_is_answered(both: Both, second: Bundle) -> None:
    rows = second_model.MATRIX
    assert np.array_equal(
        both("embed", "a good film", model="second", kind="mean"), rows[[2, 3, 4]].mean(0)
    )
    found = both("embed_tokens", "a zzz", model="second")
    assert np.array_equal(found.vectors, rows[[2, 1]])
    (word,) = both("lookup", ["film"], model="second")
    assert np.array_equal(word.vector, rows[4])
    neighbours = both("nearest", "good", 100, model="second")
    assert {each.id for each in neighbours} == {1, 2, 4, 6, 7, 8, 9}  # 0 and 5 have no word
    assert [each.word for each in neighbours] == [
        each.text for each in second.word_vectors.nearest(3, 100)
    ]


@pytest.mark.parametrize(("verb", "texts", "options", "capability"), LACKS)
def test_what_it_cannot_do_is_one_error_that_names_the_capability(
    both: Both, verb: str, texts: Any, options: dict[str, Any], capability: str
) -> None:
    with pytest.raises(MissingCapabilityError) as caught:
        both(verb, texts, model="second", **options)
    assert (caught.value.model, caught.value.capability) == ("second", capability)
    assert "model 'second' has no " in str(caught.value)
    assert f"(capability {capability})" in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "arguments", "options"),
    [
        ("embed", ("good",), {"kind": "mean"}),
        ("embed", (["good"],), {"kind": "mean"}),
        ("embed", ([],), {"kind": "mean"}),
        ("embed_tokens", ("good",), {}),
        ("lookup", (["good"],), {}),
        ("nearest", ("good",), {}),
        ("nearest", ("no such word",), {}),
    ],
)
def test_a_model_without_word_vectors_says_so_of_each_verb_that_needs_them(
    both: Both, verb: str, arguments: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(MissingCapabilityError) as caught:
        both(verb, *arguments, model="wordless", **options)
    assert (caught.value.model, caught.value.capability) == ("wordless", "word_vectors")


@pytest.mark.parametrize(
    "arguments", [("embed", "--kind", "mean", "good"), ("tokens", "good"), ("nearest", "good")]
)
def test_the_command_says_so_in_one_line(address: str, arguments: tuple[str, ...]) -> None:
    found = CliRunner().invoke(sentido, ["--address", address, "--model", "wordless", *arguments])
    assert found.exit_code == 1
    sentence = "sentido: model 'wordless' has no word vectors (capability word_vectors)"
    assert found.output.splitlines() == [sentence]


def test_a_stream_ends_with_that_error(client: Client) -> None:
    with pytest.raises(MissingCapabilityError, match="no hidden states"):
        list(client.embed(iter(["good"]), model="second"))


def test_the_status_says_so_to_a_program(address: str) -> None:
    model = ModelSelector(name="second")
    with grpc.insecure_channel(address) as channel:
        stub: Any = EmbeddingServiceStub(channel)
        for call in (
            lambda: stub.Embed(EmbedRequest(text="good", model=model)),
            lambda: list(stub.StreamEmbed(iter([StreamEmbedRequest(texts=["a"], model=model)]))),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            (status,) = [
                status_pb2.Status.FromString(value)
                for key, value in error.trailing_metadata()
                if key == "grpc-status-details-bin"
            ]
            info = error_details_pb2.ErrorInfo()
            assert status.details[0].Unpack(info)
            assert (info.reason, info.domain) == ("MISSING_CAPABILITY", "sentido")
            assert dict(info.metadata) == {"model": "second", "capability": "hidden"}


def test_the_command_says_so_in_one_sentence(address: str) -> None:
    found = CliRunner().invoke(
        sentido, ["--address", address, "--model", "second", "embed", "good"]
    )
    assert found.exit_code == 1
    assert found.output == "sentido: model 'second' has no hidden states (capability hidden)\n"


def test_a_bad_request_is_told_first(both: Both) -> None:
    with pytest.raises(InvalidRequestError, match="text: has 27 tokens"):
        both("embed", "a good film " * 9, model="second", truncation="forbidden")


@pytest.mark.parametrize("id", [0, 5, 10, 11])
def test_an_id_without_a_word_is_refused(both: Both, id: int) -> None:
    assert both("detokenize", [1, 2, 9], model="second") == ["", "a", "noise"]
    with pytest.raises(InvalidRequestError, match=rf"token_ids\[1\]: is {id}, "):
        both("detokenize", [2, id], model="second")


def test_both_models_are_computed_together(client: Client, second: Bundle, bundle: Bundle) -> None:
    texts = [f"{text} {number}" for number in range(40) for text in TEXTS]
    one, other = (client.predict(texts, model=name) for name in ("second", "imdb"))
    np.testing.assert_allclose(scores(one), second.predict(texts).probabilities, atol=1e-6)
    assert scores(other).tobytes() == bundle.predict(texts).probabilities.tobytes()
