"""The RPCs of PredictionService."""

from collections.abc import Sequence
from dataclasses import replace

from sentido.v1 import prediction_pb2
from sentido.v1.prediction_pb2 import (
    BatchPredictRequest,
    BatchPredictResponse,
    Prediction,
    PredictRequest,
    PredictResponse,
    StreamPredictRequest,
    StreamPredictResponse,
)
from sentido_bundle import Bundle, Encoding

from sentido_server.core.faults import InvalidArgument, Violation
from sentido_server.core.rpc import Plan, Result, Rpc, Serving, items_of, served_by
from sentido_server.rpcs.checks import SMALL_MANY, Check, bundle_of, good, set_usage, texts_of

_METHODS = prediction_pb2.DESCRIPTOR.services_by_name["PredictionService"].methods_by_name


def prepare_predict(serving: Serving, request: PredictRequest) -> Plan:
    """Check and tokenize the text."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    encoding = check.text("text", request.text, bundle.tokenizer, truncation)
    return _plan(bundle, [encoding], request.include_logits)


def reply_predict(_: PredictRequest, plan: Plan, results: Sequence[Result]) -> PredictResponse:
    """Give the one prediction."""
    response = PredictResponse(served_by=served_by(plan))
    _set_prediction(response.prediction, plan.bundle, plan.encodings[0], results[0])
    return response


def prepare_batch_predict(serving: Serving, request: BatchPredictRequest) -> Plan:
    """Check and tokenize all texts, or name every bad one."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    encodings = check.texts("texts", request.texts, bundle.tokenizer, truncation)
    return _plan(bundle, encodings, request.include_logits)


def reply_batch_predict(
    _: BatchPredictRequest, plan: Plan, results: Sequence[Result]
) -> BatchPredictResponse:
    """Give a prediction a text."""
    response = BatchPredictResponse(served_by=served_by(plan))
    for encoding, result in zip(plan.encodings, results, strict=True):
        _set_prediction(response.predictions.add(), plan.bundle, encoding, result)
    return response


def prepare_stream_predict(serving: Serving, request: StreamPredictRequest) -> Plan:
    """Check and tokenize one message's texts; the notes hold a text's encoding or what is wrong."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    checked = check.message("texts", request.texts, bundle.tokenizer, truncation)
    return replace(_plan(bundle, good(checked), request.include_logits), notes=checked)


def reply_stream_predict(
    _: StreamPredictRequest, plan: Plan, results: Sequence[Result]
) -> StreamPredictResponse:
    """Give a prediction or a status a text."""
    response = StreamPredictResponse(served_by=served_by(plan))
    predicted = iter(results)
    for checked in plan.notes:
        if isinstance(checked, Violation):
            response.results.add(error=InvalidArgument([checked]).status())
        else:
            prediction = response.results.add().prediction
            _set_prediction(prediction, plan.bundle, checked, next(predicted))
    return response


_PROBABILITIES, _WITH_LOGITS = ("probabilities",), ("probabilities", "logits")


def _plan(bundle: Bundle, encodings: Sequence[Encoding], with_logits: bool) -> Plan:
    outputs = _WITH_LOGITS if with_logits else _PROBABILITIES
    return Plan(bundle, encodings, items_of(bundle, encodings, outputs))


def _set_prediction(
    prediction: Prediction, bundle: Bundle | None, encoding: Encoding, result: Result
) -> None:
    """Fill in a prediction where it stands: several times faster than building and copying one."""
    assert bundle is not None
    labels, (row, *logits), scores = bundle.labels, result, prediction.scores
    probabilities = row.tolist()  # exact: every float32 is a float
    best = probabilities.index(max(probabilities))
    prediction.label = labels[best]
    prediction.probability = probabilities[best]
    for label, probability in zip(labels, probabilities, strict=True):
        scores.add(label=label, probability=probability)
    if bundle.thresholds:
        for score, probability, least in zip(scores, probabilities, bundle.thresholds, strict=True):
            score.chosen = probability >= least
    else:
        scores[best].chosen = True
    for values in logits:
        prediction.logits.extend(values.tolist())
    set_usage(prediction.usage, encoding)


RPCS = (
    Rpc(_METHODS["Predict"], prepare_predict, reply_predict, bytes_per_byte=16),
    Rpc(
        _METHODS["BatchPredict"],
        prepare_batch_predict,
        reply_batch_predict,
        rows=texts_of,
        small=SMALL_MANY,
    ),
    Rpc(
        _METHODS["StreamPredict"],
        prepare_stream_predict,
        reply_stream_predict,
        rows=texts_of,
        small=SMALL_MANY,
    ),
)
