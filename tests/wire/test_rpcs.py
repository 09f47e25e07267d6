"""Every RPC over a real connection, as a client in any language sees it: messages and bytes."""

import gc
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from conftest import UNITS, config, running
from sentido.v1 import common_pb2, embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido.v1.model_pb2_grpc import ModelServiceStub
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido.v1.tokenizer_pb2_grpc import TokenizerServiceStub
from sentido_bundle import Bundle, normalize

TEXT = "A wonderful little zzxqv film, warm & funny."


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


def array(tensor: common_pb2.Tensor) -> np.ndarray:
    assert tensor.data_type == common_pb2.DATA_TYPE_FLOAT32
    return np.frombuffer(tensor.data, "<f4").reshape(tuple(tensor.shape))


def test_predict_gives_the_bundles_own_bits(channel: grpc.Channel, bundle: Bundle) -> None:
    request = prediction_pb2.PredictRequest(text=TEXT)
    answer = PredictionServiceStub(channel).Predict(request)
    want = bundle.predict([TEXT]).probabilities[0]
    scores = answer.prediction.scores
    assert [score.label for score in scores] == ["negative", "positive"]
    assert np.array([s.probability for s in scores], np.float32).tobytes() == want.tobytes()
    assert answer.prediction.label == bundle.labels[int(want.argmax())]
    assert np.float32(answer.prediction.probability) == want.max()
    usage = answer.prediction.usage
    assert usage.character_count == len(TEXT)
    assert (usage.token_count, usage.out_of_vocabulary_count) == (6, 1)
    assert usage.truncated_token_count == 0
    assert answer.served_by.model == "imdb"
    assert answer.served_by.bundle_digest == bundle.digest


def test_the_label_is_the_most_probable_one_and_so_is_its_probability(
    channel: grpc.Channel,
) -> None:
    request = prediction_pb2.BatchPredictRequest(texts=["wonderful", "A dull, awful mess."])
    answer = PredictionServiceStub(channel).BatchPredict(request)
    assert [p.label for p in answer.predictions] == ["positive", "negative"]
    for prediction in answer.predictions:
        assert prediction.probability == max(s.probability for s in prediction.scores) > 0.5


def test_batch_predict_answers_in_order(channel: grpc.Channel, bundle: Bundle) -> None:
    texts = [f"good {'very ' * n} film" for n in (30, 0, 7)] + ["", "awful"]
    request = prediction_pb2.BatchPredictRequest(texts=texts)
    answer = PredictionServiceStub(channel).BatchPredict(request)
    got = np.array([[s.probability for s in p.scores] for p in answer.predictions], np.float32)
    assert got.tobytes() == bundle.predict(texts).probabilities.tobytes()


def test_stream_predict_answers_each_message_in_order(channel: grpc.Channel) -> None:
    messages = [["good", "bad"], [], ["awful " * 400], ["film"] * 100]
    answers = list(
        PredictionServiceStub(channel).StreamPredict(
            prediction_pb2.StreamPredictRequest(texts=texts) for texts in messages
        )
    )
    assert [len(answer.results) for answer in answers] == [2, 0, 1, 100]
    labels = [result.prediction.label for answer in answers for result in answer.results]
    assert labels[0] == "positive"
    assert labels[2] == "negative"


def test_a_client_that_leaves_a_stream_full_of_messages_leaves_nothing_behind(
    channel: grpc.Channel, capfd: pytest.CaptureFixture[str]
) -> None:
    messages = [prediction_pb2.StreamPredictRequest(texts=["good " * 100] * 50)] * 30
    for _ in range(10):
        stream: Any = PredictionServiceStub(channel).StreamPredict(iter(messages))
        next(stream)
        stream.cancel()
    answer = PredictionServiceStub(channel).Predict(prediction_pb2.PredictRequest(text="good"))
    assert answer.prediction.usage.token_count == 1
    gc.collect()  # what asyncio says of a task that nobody awaited, it says when it is collected
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("unit_length", [False, True])
@pytest.mark.parametrize(
    "kind", [embedding_pb2.EMBEDDING_KIND_UNSPECIFIED, embedding_pb2.EMBEDDING_KIND_MEAN]
)
def test_embed_and_batch_embed_give_the_bundles_own_vectors(
    channel: grpc.Channel, bundle: Bundle, kind: Any, unit_length: bool
) -> None:
    texts = [TEXT, "", "a dull mess"]
    ids = [bundle.tokenizer.encode(text).ids for text in texts]
    want = bundle.run(ids).hidden
    if kind == embedding_pb2.EMBEDDING_KIND_MEAN:
        want = np.stack([bundle.word_vectors.mean(each) for each in ids])
    want = normalize(want) if unit_length else want
    stub = EmbeddingServiceStub(channel)
    batch = stub.BatchEmbed(
        embedding_pb2.BatchEmbedRequest(texts=texts, kind=kind, normalize=unit_length)
    )
    assert array(batch.embeddings).tobytes() == want.tobytes()
    assert [usage.token_count for usage in batch.usages] == [6, 0, 3]
    one = stub.Embed(embedding_pb2.EmbedRequest(text=TEXT, kind=kind, normalize=unit_length))
    assert tuple(one.embedding.shape) == (want.shape[1],)
    assert one.embedding.data == want[0].tobytes()


@pytest.mark.parametrize("unit_length", [False, True])
@pytest.mark.parametrize(
    "kind", [embedding_pb2.EMBEDDING_KIND_UNSPECIFIED, embedding_pb2.EMBEDDING_KIND_MEAN]
)
def test_stream_embed_gives_the_bits_of_batch_embed_message_by_message(
    channel: grpc.Channel, kind: Any, unit_length: bool
) -> None:
    stub = EmbeddingServiceStub(channel)
    options = {"kind": kind, "normalize": unit_length}
    messages = [[TEXT, "", "a dull mess"], [], ["awful " * 600], ["film"] * 1000]
    answers = list(
        stub.StreamEmbed(
            embedding_pb2.StreamEmbedRequest(texts=texts, **options) for texts in messages
        )
    )
    assert [len(answer.results) for answer in answers] == [3, 0, 1, 1000]
    dimension = 32 if kind == embedding_pb2.EMBEDDING_KIND_MEAN else UNITS
    for texts, answer in zip(messages, answers, strict=True):
        assert tuple(answer.embeddings.shape) == (len(texts), dimension)
        assert answer.served_by.model == "imdb"
        if texts:
            batch = stub.BatchEmbed(embedding_pb2.BatchEmbedRequest(texts=texts, **options))
            assert answer.embeddings == batch.embeddings
            assert [result.usage for result in answer.results] == list(batch.usages)


def test_embed_tokens_gives_a_row_a_token(channel: grpc.Channel, bundle: Bundle) -> None:
    stub = EmbeddingServiceStub(channel)
    words = stub.EmbedTokens(embedding_pb2.EmbedTokensRequest(text=TEXT))
    ids = [token.id for token in words.tokens]
    assert [t.text for t in words.tokens] == ["a", "wonderful", "little", "film", "warm", "funny"]
    assert all(TEXT[t.start : t.end].lower() == t.text for t in words.tokens)
    assert array(words.embeddings).tobytes() == bundle.word_vectors.matrix[ids].tobytes()
    steps = stub.EmbedTokens(
        embedding_pb2.EmbedTokensRequest(text=TEXT, kind=embedding_pb2.TOKEN_EMBEDDING_KIND_HIDDEN)
    )
    assert tuple(steps.embeddings.shape) == (6, bundle.token_vectors("hidden").size)
    np.testing.assert_allclose(
        array(steps.embeddings)[-1], bundle.predict([TEXT]).hidden[0], atol=1e-6
    )


def test_embed_tokens_of_nothing_is_a_matrix_without_rows(channel: grpc.Channel) -> None:
    kinds: Any = embedding_pb2.TokenEmbeddingKind.values()
    for kind in kinds:
        request = embedding_pb2.EmbedTokensRequest(text="zzxqv", kind=kind)
        answer = EmbeddingServiceStub(channel).EmbedTokens(request)
        assert answer.embeddings.shape[0] == 0
        assert answer.usage.out_of_vocabulary_count == 1


def test_lookup_words_marks_what_is_unknown(channel: grpc.Channel, bundle: Bundle) -> None:
    request = embedding_pb2.LookupWordsRequest(words=["Good", "zzxqv"])
    answer = EmbeddingServiceStub(channel).LookupWords(request)
    assert [w.text for w in answer.words] == ["Good", "zzxqv"]
    assert [w.out_of_vocabulary for w in answer.words] == [False, True]
    rows = array(answer.embeddings)
    assert rows[0].tobytes() == bundle.word_vectors.matrix[answer.words[0].id].tobytes()
    assert answer.words[1].id == 0
    assert not rows[1].any()


def test_find_nearest_words_gives_the_bundles_own_neighbours(
    channel: grpc.Channel, bundle: Bundle
) -> None:
    stub = EmbeddingServiceStub(channel)
    answer = stub.FindNearestWords(embedding_pb2.FindNearestWordsRequest(word="awful", limit=3))
    word = bundle.tokenizer.lookup("awful")
    assert word is not None
    assert [w.text for w in answer.words] == [n.text for n in bundle.word_vectors.nearest(word, 3)]
    default = stub.FindNearestWords(embedding_pb2.FindNearestWordsRequest(word="awful"))
    assert len(default.words) == 10


def test_tokenize_shows_every_word_and_the_ids_that_count(channel: grpc.Channel) -> None:
    stub = TokenizerServiceStub(channel)
    answer = stub.Tokenize(tokenizer_pb2.TokenizeRequest(text=TEXT))
    assert [t.out_of_vocabulary for t in answer.tokens] == [
        t.text == "zzxqv" for t in answer.tokens
    ]
    assert list(answer.token_ids) == [t.id for t in answer.tokens if t.id]
    assert all(TEXT[t.start : t.end].lower() == t.text for t in answer.tokens)


@pytest.mark.parametrize(
    ("truncation", "first"),
    [
        (common_pb2.TRUNCATION_UNSPECIFIED, "good"),
        (common_pb2.TRUNCATION_KEEP_LAST, "good"),
        (common_pb2.TRUNCATION_KEEP_FIRST, "bad"),
    ],
)
def test_truncation_keeps_what_is_asked_for_and_says_what_it_cut(
    channel: grpc.Channel, truncation: Any, first: str
) -> None:
    text = "bad " * 100 + "good " * 500
    request = embedding_pb2.EmbedTokensRequest(text=text, truncation=truncation)
    answer = EmbeddingServiceStub(channel).EmbedTokens(request)
    assert answer.tokens[0].text == first
    assert (answer.usage.token_count, answer.usage.truncated_token_count) == (500, 100)


def test_the_server_says_what_it_is_and_what_it_has(channel: grpc.Channel, bundle: Bundle) -> None:
    stub = ModelServiceStub(channel)
    info = stub.GetServerInfo(model_pb2.GetServerInfoRequest())
    assert info.default_model == "imdb"
    assert info.limits.max_text_characters == 1_000_000
    assert info.limits.max_texts == 4096
    assert info.limits.max_message_bytes == 16 * 1024 * 1024
    (model,) = stub.ListModels(model_pb2.ListModelsRequest()).models
    assert stub.GetModel(model_pb2.GetModelRequest()).model == model
    assert stub.GetModel(model_pb2.GetModelRequest(name="imdb")).model == model
    assert model.bundle_digest == bundle.digest
    assert list(model.labels) == ["negative", "positive"]
    assert model.vocabulary_size == len(bundle.tokenizer.vocabulary)
    assert (model.embedding_dimension, model.hidden_units) == (32, UNITS)
    assert model.preprocessing.max_tokens == 500
    assert model.preprocessing.filters == bundle.manifest.tokenizer.filters
    assert dict(model.metrics) == bundle.manifest.metrics
    assert model.precision == "fp32"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_answer_names_its_bundle_and_the_precision_that_is_served(
    precision: str, transport: str, bundle: Bundle
) -> None:
    with (
        running(config(transport=transport, precision=precision)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        predictions, embeddings = PredictionServiceStub(channel), EmbeddingServiceStub(channel)
        answers = [
            predictions.Predict(prediction_pb2.PredictRequest(text="good")),
            predictions.BatchPredict(prediction_pb2.BatchPredictRequest(texts=["good"])),
            *predictions.StreamPredict(
                prediction_pb2.StreamPredictRequest(texts=texts) for texts in (["good"], [])
            ),
            embeddings.Embed(embedding_pb2.EmbedRequest(text="good")),
            embeddings.BatchEmbed(embedding_pb2.BatchEmbedRequest(texts=["good"])),
            *embeddings.StreamEmbed(
                embedding_pb2.StreamEmbedRequest(texts=texts) for texts in (["good"], [])
            ),
            embeddings.EmbedTokens(embedding_pb2.EmbedTokensRequest(text="good")),
            embeddings.LookupWords(embedding_pb2.LookupWordsRequest(words=["good"])),
            embeddings.FindNearestWords(embedding_pb2.FindNearestWordsRequest(word="good")),
            TokenizerServiceStub(channel).Tokenize(tokenizer_pb2.TokenizeRequest(text="good")),
        ]
        model = ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest()).model
    served = {(a.served_by.bundle_digest, a.served_by.precision) for a in answers}
    assert served == {(bundle.digest, precision)} == {(model.bundle_digest, model.precision)}
