"""The RPCs of PredictionService."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sentido.v1.prediction_pb2 import (
    BatchPredictRequest,
    BatchPredictResponse,
    Prediction,
    PredictRequest,
    PredictResponse,
    Score,
    StreamPredictRequest,
    StreamPredictResponse,
    StreamPredictResult,
)
from sentido_bundle import Bundle, Encoding

from sentido_server.faults import InvalidArgument, Violation
from sentido_server.rpc import Final, Item, Plan, Result, Rpc, State, served_by
from sentido_server.texts import Check, usage

SERVICE = "sentido.v1.PredictionService"


def prepare_predict(state: State, request: PredictRequest) -> Plan:
    """Check and tokenize the text."""
    bundle, check = state.catalog.find(request.model), Check(state.limits)
    check.truncation(request.truncation)
    encoding = check.text("text", request.text, bundle.tokenizer, request.truncation)
    return _plan(bundle, [encoding])


def reply_predict(_: PredictRequest, plan: Plan, results: Sequence[Result]) -> PredictResponse:
    """Give the one prediction."""
    (prediction,) = _predictions(plan.items, results)
    return PredictResponse(prediction=prediction, served_by=served_by(plan))


def prepare_batch_predict(state: State, request: BatchPredictRequest) -> Plan:
    """Check and tokenize all texts, or name every bad one."""
    bundle, check = state.catalog.find(request.model), Check(state.limits)
    check.truncation(request.truncation)
    encodings = check.texts("texts", request.texts, bundle.tokenizer, request.truncation)
    return _plan(bundle, encodings)


def reply_batch_predict(
    _: BatchPredictRequest, plan: Plan, results: Sequence[Result]
) -> BatchPredictResponse:
    """Give a prediction a text."""
    predictions = _predictions(plan.items, results)
    return BatchPredictResponse(predictions=predictions, served_by=served_by(plan))


def prepare_stream_predict(state: State, request: StreamPredictRequest) -> Plan:
    """Check and tokenize one message's texts; the notes hold a text's encoding or what is wrong."""
    bundle, check = state.catalog.find(request.model), Check(state.limits)
    check.truncation(request.truncation)
    if request.texts:
        check.count("texts", len(request.texts))
    check.finish()
    checked = check.each("texts", request.texts, bundle.tokenizer, request.truncation)
    good = [encoding for encoding in checked if isinstance(encoding, Encoding)]
    return replace(_plan(bundle, good), notes=checked)


def reply_stream_predict(
    _: StreamPredictRequest, plan: Plan, results: Sequence[Result]
) -> StreamPredictResponse:
    """Give a prediction or a status a text."""
    predictions = _predictions(plan.items, results)
    return StreamPredictResponse(
        results=[
            StreamPredictResult(error=InvalidArgument([checked]).status())
            if isinstance(checked, Violation)
            else StreamPredictResult(prediction=next(predictions))
            for checked in plan.notes
        ],
        served_by=served_by(plan),
    )


def _plan(bundle: Bundle, encodings: Sequence[Encoding]) -> Plan:
    return Plan(bundle, encodings, [Item(bundle, encoding) for encoding in encodings])


def _predictions(items: Sequence[Item], results: Sequence[Result]) -> Iterator[Prediction]:
    for item, result in zip(items, results, strict=True):
        assert isinstance(result, Final)
        labels = item.bundle.labels
        best = int(result.probabilities.argmax())
        probabilities = result.probabilities.tolist()  # exact: every float32 is a float
        yield Prediction(
            label=labels[best],
            probability=probabilities[best],
            scores=[
                Score(label=label, probability=probability)
                for label, probability in zip(labels, probabilities, strict=True)
            ],
            usage=usage(item.encoding),
        )


RPCS = (
    Rpc(SERVICE, "Predict", PredictRequest, prepare_predict, reply_predict),
    Rpc(SERVICE, "BatchPredict", BatchPredictRequest, prepare_batch_predict, reply_batch_predict),
    Rpc(
        SERVICE,
        "StreamPredict",
        StreamPredictRequest,
        prepare_stream_predict,
        reply_stream_predict,
        streaming=True,
    ),
)
