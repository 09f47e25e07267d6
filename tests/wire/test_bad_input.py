"""Bad input over the wire: the documented status, the field by name, and a server that goes on."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from conftest import config, raw_stream, raw_unary, running
from google.rpc import error_details_pb2, status_pb2
from sentido.v1 import common_pb2, embedding_pb2, prediction_pb2, tokenizer_pb2
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido.v1.tokenizer_pb2_grpc import TokenizerServiceStub
from waiting import PATIENCE

PREDICT = "/sentido.v1.PredictionService/Predict"
BATCH = "/sentido.v1.PredictionService/BatchPredict"
STREAM = "/sentido.v1.PredictionService/StreamPredict"
LONG = "x" * 1_000_001


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(autouse=True)
def still_answering(channel: grpc.Channel) -> Iterator[None]:
    yield
    request = prediction_pb2.PredictRequest(text="a good film")
    answer = PredictionServiceStub(channel).Predict(request, timeout=PATIENCE)
    assert answer.prediction.label == "positive"


def refused(call: Any) -> tuple[grpc.StatusCode, dict[str, str], str]:
    """Give the code, the bad fields with their descriptions, and the message."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    fields: dict[str, str] = {}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0]
            assert status.message == error.details()
            fields = bad_fields(status)
    return error.code(), fields, error.details()


def bad_fields(status: status_pb2.Status) -> dict[str, str]:
    request = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(request):
            return {v.field: v.description for v in request.field_violations}
    return {}


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def test_a_text_that_is_not_utf8_is_named(channel: grpc.Channel) -> None:
    code, fields, _ = refused(lambda: raw_unary(channel, PREDICT)(b"\x0a\x04ab\xff\xfe"))
    assert (code, fields) == (INVALID, {"text": "is not valid UTF-8 at byte 2"})


def test_a_text_of_a_batch_that_is_not_utf8_is_named_by_its_index(channel: grpc.Channel) -> None:
    body = prediction_pb2.BatchPredictRequest(texts=["a", "b"]).SerializeToString()
    code, fields, _ = refused(lambda: raw_unary(channel, BATCH)(body + b"\x0a\x01\xc0"))
    assert (code, fields) == (INVALID, {"texts[2]": "is not valid UTF-8 at byte 0"})


def test_a_nested_field_that_is_not_utf8_is_named_by_its_path(channel: grpc.Channel) -> None:
    code, fields, _ = refused(lambda: raw_unary(channel, PREDICT)(b"\x12\x03\x0a\x01\xff"))
    assert (code, fields) == (INVALID, {"model.name": "is not valid UTF-8 at byte 0"})


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\x7fshort", b"\x08", b"\x0b\x0b\x0b"])
def test_bytes_that_are_no_message_say_which_one_is_needed(
    channel: grpc.Channel, body: bytes
) -> None:
    code, fields, _ = refused(lambda: raw_unary(channel, PREDICT)(body))
    assert code is INVALID
    assert fields == {"(request)": "is not a message of type sentido.v1.PredictRequest"}


def test_a_stream_message_that_cannot_be_read_ends_the_stream(channel: grpc.Channel) -> None:
    def call() -> None:
        list(raw_stream(channel, STREAM)(iter([b"\x0a\x01\xff"])))

    assert refused(call)[:2] == (INVALID, {"texts[0]": "is not valid UTF-8 at byte 0"})


def test_a_text_of_ten_megabytes_is_too_long(channel: grpc.Channel) -> None:
    request = prediction_pb2.PredictRequest(text="x" * 10_000_000)
    code, fields, _ = refused(lambda: PredictionServiceStub(channel).Predict(request))
    assert code is INVALID
    assert fields == {"text": "has 10000000 characters, at most 1000000 are allowed"}


def test_a_text_of_exactly_the_limit_is_answered(channel: grpc.Channel) -> None:
    request = prediction_pb2.PredictRequest(text="x" * 1_000_000)
    answer = PredictionServiceStub(channel).Predict(request)
    assert answer.prediction.usage.character_count == 1_000_000


def test_a_message_over_the_wires_limit_is_resource_exhausted(channel: grpc.Channel) -> None:
    request = prediction_pb2.PredictRequest(text="x" * (17 << 20))
    code, fields, message = refused(lambda: PredictionServiceStub(channel).Predict(request))
    assert (code, fields) == (grpc.StatusCode.RESOURCE_EXHAUSTED, {})
    assert "larger than max" in message


def test_a_hundred_thousand_texts_are_too_many(channel: grpc.Channel) -> None:
    request = prediction_pb2.BatchPredictRequest(texts=["good film"] * 100_000)
    code, fields, _ = refused(lambda: PredictionServiceStub(channel).BatchPredict(request))
    assert code is INVALID
    assert fields == {"texts": "has 100000 elements, at most 4096 are allowed a call"}


def test_a_stream_message_with_too_many_texts_ends_the_stream(channel: grpc.Channel) -> None:
    request = prediction_pb2.StreamPredictRequest(texts=["good film"] * 4097)
    stub = PredictionServiceStub(channel)
    code, fields, _ = refused(lambda: list(stub.StreamPredict(iter([request]))))
    assert (code, list(fields)) == (INVALID, ["texts"])


@pytest.mark.parametrize("rpc", ["BatchPredict", "BatchEmbed", "LookupWords"])
def test_no_texts_at_all_are_an_error(channel: grpc.Channel, rpc: str) -> None:
    stub: Any = PredictionServiceStub(channel)
    request: Any = prediction_pb2.BatchPredictRequest()
    if rpc != "BatchPredict":
        stub, request = EmbeddingServiceStub(channel), getattr(embedding_pb2, rpc + "Request")()
    code, fields, _ = refused(lambda: getattr(stub, rpc)(request))
    field = "words" if rpc == "LookupWords" else "texts"
    assert (code, fields) == (INVALID, {field: "is empty, 1 or more are needed"})


def test_every_bad_text_of_a_batch_is_named(channel: grpc.Channel) -> None:
    request = prediction_pb2.BatchPredictRequest(texts=["a", LONG, "b", LONG])
    code, fields, message = refused(lambda: PredictionServiceStub(channel).BatchPredict(request))
    assert (code, list(fields)) == (INVALID, ["texts[1]", "texts[3]"])
    assert message.endswith("(and 1 more)")


def test_a_thousand_bad_texts_still_fit_into_the_answer(channel: grpc.Channel) -> None:
    request = prediction_pb2.BatchPredictRequest(
        texts=["good " * 501] * 1000, truncation=common_pb2.TRUNCATION_FORBIDDEN
    )
    code, fields, message = refused(lambda: PredictionServiceStub(channel).BatchPredict(request))
    assert (code, len(fields)) == (INVALID, 20)
    assert message.endswith("(and 999 more)")


def test_a_bad_text_in_a_stream_is_its_own_error_and_not_the_streams(
    channel: grpc.Channel,
) -> None:
    requests = [["good", LONG, "awful"], ["good"]]
    answers = list(
        PredictionServiceStub(channel).StreamPredict(
            prediction_pb2.StreamPredictRequest(texts=texts) for texts in requests
        )
    )
    kinds = [[r.WhichOneof("result") for r in answer.results] for answer in answers]
    assert kinds == [["prediction", "error", "prediction"], ["prediction"]]
    error = answers[0].results[1].error
    assert error.code == INVALID.value[0]
    assert list(bad_fields(error)) == ["texts[1]"]
    assert answers[0].results[2].prediction.label == "negative"


@pytest.mark.parametrize("kind", ["EMBEDDING_KIND_HIDDEN", "EMBEDDING_KIND_MEAN"])
def test_a_bad_text_in_a_stream_of_vectors_leaves_the_other_vectors(
    channel: grpc.Channel, kind: Any
) -> None:
    stub = EmbeddingServiceStub(channel)
    requests = [["good", LONG, "awful"], [LONG], ["good"]]
    answers = list(
        stub.StreamEmbed(
            embedding_pb2.StreamEmbedRequest(texts=texts, kind=kind) for texts in requests
        )
    )
    kinds = [[r.WhichOneof("result") for r in answer.results] for answer in answers]
    assert kinds == [["usage", "error", "usage"], ["error"], ["usage"]]
    assert list(bad_fields(answers[0].results[1].error)) == ["texts[1]"]
    alone = stub.BatchEmbed(embedding_pb2.BatchEmbedRequest(texts=["good", "awful"], kind=kind))
    assert answers[0].embeddings == alone.embeddings
    assert answers[1].embeddings.shape == [0, alone.embeddings.shape[1]]


def test_an_unknown_kind_ends_a_stream_of_vectors(channel: grpc.Channel) -> None:
    request = embedding_pb2.StreamEmbedRequest(texts=["good"], kind=7)  # type: ignore[arg-type]
    stub = EmbeddingServiceStub(channel)
    code, fields, _ = refused(lambda: list(stub.StreamEmbed(iter([request]))))
    assert (code, list(fields)) == (INVALID, ["kind"])


@pytest.mark.parametrize("text", ["", "zzxqv wqxz", "\x00", "!?."])
def test_a_text_without_known_words_gets_the_models_prior(channel: grpc.Channel, text: str) -> None:
    stub = PredictionServiceStub(channel)
    answer = stub.Predict(prediction_pb2.PredictRequest(text=text)).prediction
    prior = stub.Predict(prediction_pb2.PredictRequest()).prediction
    assert answer.scores == prior.scores
    assert answer.usage.token_count == 0


def test_nul_bytes_are_characters_like_others(channel: grpc.Channel) -> None:
    request = tokenizer_pb2.TokenizeRequest(text="good\x00 \x00 bad")
    answer = TokenizerServiceStub(channel).Tokenize(request)
    assert [t.text for t in answer.tokens] == ["good\x00", "\x00", "bad"]


@pytest.mark.parametrize("rpc", ["Predict", "StreamPredict"])
@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (common_pb2.ModelSelector(name="nope"), "no model 'nope' is loaded, there are: imdb"),
        (common_pb2.ModelSelector(version="9"), "version '9' of model 'imdb' is not loaded"),
    ],
)
def test_an_unknown_model_is_not_found(
    channel: grpc.Channel, rpc: str, selector: common_pb2.ModelSelector, message: str
) -> None:
    stub = PredictionServiceStub(channel)

    def call() -> None:
        if rpc == "Predict":
            stub.Predict(prediction_pb2.PredictRequest(text="x", model=selector))
        request = prediction_pb2.StreamPredictRequest(texts=["x"], model=selector)
        list(stub.StreamPredict(iter([request])))

    code, _, found = refused(call)
    assert code is NOT_FOUND
    assert found.startswith(message)


def test_everything_that_is_wrong_with_a_request_is_said_at_once(channel: grpc.Channel) -> None:
    unknown: Any = 9
    request = embedding_pb2.BatchEmbedRequest(
        texts=["a", LONG, LONG], kind=unknown, truncation=unknown
    )
    code, fields, _ = refused(lambda: EmbeddingServiceStub(channel).BatchEmbed(request))
    assert (code, list(fields)) == (INVALID, ["truncation", "kind", "texts[1]", "texts[2]"])


def test_every_text_that_is_not_utf8_is_named(channel: grpc.Channel) -> None:
    body = b"\x0a\x01\xff\x0a\x01a\x0a\x02a\xc0"
    code, fields, _ = refused(lambda: raw_unary(channel, BATCH)(body))
    assert (code, list(fields)) == (INVALID, ["texts[0]", "texts[2]"])


def test_a_huge_broken_message_costs_little(channel: grpc.Channel) -> None:
    body = b"\x0a\x00" * 7_500_000 + b"\x0a\x01\xff"
    code, _, _ = refused(lambda: raw_unary(channel, BATCH)(body, timeout=PATIENCE))
    assert code is INVALID


def test_a_broken_message_of_many_levels_costs_little_too(channel: grpc.Channel) -> None:
    inner = b"\x0a\x01\xff" * 500
    body = (b"\x12" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner) * 10_000
    code, fields, _ = refused(lambda: raw_unary(channel, PREDICT)(body, timeout=PATIENCE))
    assert (code, len(fields)) == (INVALID, 1)  # one path, named again and again


@pytest.mark.parametrize("field", ["name", "version"])
def test_a_long_name_of_a_model_is_not_found_either(channel: grpc.Channel, field: str) -> None:
    selector = common_pb2.ModelSelector(**{field: "é" * 100_000})
    request = prediction_pb2.PredictRequest(text="x", model=selector)
    assert refused(lambda: PredictionServiceStub(channel).Predict(request))[0] is NOT_FOUND


def test_an_unknown_enum_value_is_named(channel: grpc.Channel) -> None:
    stub = EmbeddingServiceStub(channel)
    for request, field in (
        (embedding_pb2.EmbedRequest(text="x", kind=9), "kind"),  # type: ignore[arg-type]
        (embedding_pb2.EmbedRequest(text="x", truncation=-1), "truncation"),  # type: ignore[arg-type]
    ):
        code, fields, _ = refused(lambda request=request: stub.Embed(request))
        assert (code, list(fields)) == (INVALID, [field])


def test_a_text_that_would_be_cut_is_refused_if_that_is_forbidden(channel: grpc.Channel) -> None:
    request = prediction_pb2.PredictRequest(
        text="good " * 501, truncation=common_pb2.TRUNCATION_FORBIDDEN
    )
    code, fields, _ = refused(lambda: PredictionServiceStub(channel).Predict(request))
    assert code is INVALID
    assert fields["text"].startswith("has 501 tokens, the model reads at most 500")


@pytest.mark.parametrize("limit", [-1, 1001])
def test_a_number_of_neighbours_out_of_range_is_named(channel: grpc.Channel, limit: int) -> None:
    request = embedding_pb2.FindNearestWordsRequest(word="good", limit=limit)
    code, fields, _ = refused(lambda: EmbeddingServiceStub(channel).FindNearestWords(request))
    assert (code, list(fields)) == (INVALID, ["limit"])


def test_a_word_outside_the_vocabulary_has_no_neighbours(channel: grpc.Channel) -> None:
    request = embedding_pb2.FindNearestWordsRequest(word="zzxqv")
    code, _, message = refused(lambda: EmbeddingServiceStub(channel).FindNearestWords(request))
    assert code is NOT_FOUND
    assert message == "word 'zzxqv' is not in the vocabulary of model 'imdb'"


def test_a_full_queue_says_when_to_come_back(transport: str) -> None:
    with (
        running(config(transport=transport, threads=1, max_queued_tokens=1)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        stub = PredictionServiceStub(channel)
        request = prediction_pb2.BatchPredictRequest(texts=["good " * 500] * 200)
        refusals: list[Any] = []
        for _ in range(100):  # until calls come faster than they are computed
            calls = [stub.BatchPredict.future(request) for _ in range(6)]
            errors = [call.exception() for call in calls]
            refusals = [error for error in errors if error is not None]
            assert len(refusals) < 6  # the first was accepted
            if refusals:
                break
        assert refusals
        for error in refusals:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            metadata = dict(error.trailing_metadata())
            status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
            retry = error_details_pb2.RetryInfo()
            assert status.details[0].Unpack(retry)
            assert retry.retry_delay.ToMilliseconds() == 100


def test_a_call_whose_deadline_has_passed_ends_as_such(channel: grpc.Channel) -> None:
    request = prediction_pb2.BatchPredictRequest(texts=["good " * 500] * 900)
    code, _, _ = refused(
        lambda: PredictionServiceStub(channel).BatchPredict(request, timeout=0.001)
    )
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
