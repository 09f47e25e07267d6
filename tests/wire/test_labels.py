"""What predictions say of labels: of one that is right, of several at once, and their logits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from both import Both
from conftest import config, running
from numpy.typing import NDArray
from sentido.v1.common_pb2 import ModelSelector
from sentido.v1.model_pb2 import GetModelRequest
from sentido.v1.model_pb2_grpc import ModelServiceStub
from sentido.v1.prediction_pb2 import (
    BatchPredictRequest,
    Prediction,
    PredictRequest,
    StreamPredictRequest,
)
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido_bundle import Bundle, default_bundle
from sentido_client import Client, MissingCapabilityError
from variants import LABELS, copy, of_three_labels

THRESHOLDS = (0.4, 0.6, 0.3)
TEXTS = ["a good film", "an awful mess", "", "fine", "wonderful", "bad"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three labels, any number of which hold."""
    task = {"kind": "multi_label", "thresholds": list(THRESHOLDS)}
    return of_three_labels(tmp_path_factory.mktemp("labels") / "several", task=task)


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def address(transport: str, folder: Path) -> Iterator[str]:
    """A server with the models `several`, of which labels hold, `one`, which says one, and imdb."""
    one = of_three_labels(folder.with_name("one"))
    bundles = (f"several={folder}", f"one={one}", str(default_bundle()))
    try:
        with running(config(transport=transport, bundle=bundles)) as address:
            yield address
    finally:
        one.rename(one.with_name(f"one-{transport}"))


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address) as channel:
        yield PredictionServiceStub(channel)


def predictions(stub: Any, **options: Any) -> Iterator[list[Prediction]]:
    """Predict the texts by each RPC."""
    yield [stub.Predict(PredictRequest(text=text, **options)).prediction for text in TEXTS]
    yield list(stub.BatchPredict(BatchPredictRequest(texts=TEXTS, **options)).predictions)
    (answer,) = stub.StreamPredict(iter([StreamPredictRequest(texts=TEXTS, **options)]))
    yield [result.prediction for result in answer.results]


def column(found: list[Prediction], field: str) -> NDArray[Any]:
    return np.array([[getattr(score, field) for score in each.scores] for each in found])


def test_of_several_labels_those_over_their_thresholds_are_chosen(
    stub: Any, bundle: Bundle
) -> None:
    wanted = bundle.predict(TEXTS).probabilities
    for found in predictions(stub):
        assert np.array_equal(column(found, "probability"), wanted)
        assert [each.label for each in found] == [LABELS[i] for i in wanted.argmax(axis=1)]
        assert [each.probability for each in found] == wanted.max(axis=1).tolist()
        chosen = column(found, "chosen")
        assert np.array_equal(chosen, wanted >= np.array(THRESHOLDS, np.float32))
        assert np.array_equal(chosen, bundle.chosen(wanted))
        assert set(chosen.sum(axis=1)) >= {1, 2}  # or the test says nothing


def test_of_one_label_exactly_the_likeliest_is_chosen_whatever_the_scores_add_up_to(
    stub: Any,
) -> None:
    for name in ("one", "imdb"):
        for found in predictions(stub, model=ModelSelector(name=name)):
            chosen, probabilities = column(found, "chosen"), column(found, "probability")
            assert chosen.sum(axis=1).tolist() == [1] * len(TEXTS)
            assert np.array_equal(chosen.argmax(axis=1), probabilities.argmax(axis=1))
            adds_up = np.allclose(probabilities.sum(axis=1), 1)
            assert adds_up == (name == "imdb")


def test_logits_are_given_to_those_who_ask(stub: Any, bundle: Bundle) -> None:
    wanted = bundle.predict(TEXTS).logits
    for found in predictions(stub, include_logits=True):
        assert np.array_equal(np.array([each.logits for each in found]), wanted)
    for found in predictions(stub):
        assert [list(each.logits) for each in found] == [[]] * len(TEXTS)


def test_clients_name_the_labels_that_are_chosen(
    client: Client, both: Both, bundle: Bundle
) -> None:
    outputs = bundle.predict(TEXTS)
    chosen = [
        tuple(label for label, holds in zip(LABELS, row, strict=True) if holds)
        for row in bundle.chosen(outputs.probabilities)
    ]
    found = both("predict", TEXTS, include_logits=True)
    assert [each.chosen for each in found] == chosen
    assert [each.logits for each in found] == [tuple(row) for row in outputs.logits.tolist()]
    assert found == list(client.predict(iter(TEXTS), include_logits=True))
    assert found[0] == both("predict", TEXTS[0], include_logits=True)
    assert both("predict", TEXTS[0]).logits == ()
    one = both("predict", TEXTS, model="one")
    assert [each.chosen for each in one] == [(each.label,) for each in one]


def test_a_model_without_logits_says_so_in_every_shape(client: Client, both: Both) -> None:
    for texts in ("good", ["good"], ["good", ""]):
        with pytest.raises(MissingCapabilityError, match="'imdb' has no logits") as caught:
            both("predict", texts, model="imdb", include_logits=True)
        assert (caught.value.model, caught.value.capability) == ("imdb", "logits")
    with pytest.raises(MissingCapabilityError, match="'imdb' has no logits"):
        next(client.predict(iter(["good"]), model="imdb", include_logits=True))


def test_a_model_says_its_task_its_thresholds_and_what_it_can_do(both: Both) -> None:
    several, one, imdb = both("models")
    assert (several.task, one.task, imdb.task) == ("multi_label", "single", "single")
    assert several.thresholds == tuple(np.array(THRESHOLDS, np.float32).tolist())
    assert one.thresholds == imdb.thresholds == ()
    assert several.capabilities == ("hidden", "steps", "word_vectors", "logits")
    assert imdb.capabilities == ("hidden", "steps", "word_vectors", "int8", "evaluation")
    assert [model.same_bits for model in (several, one, imdb)] == [True] * 3
    assert [model.cleaned_by_caller for model in (several, one, imdb)] == [False] * 3


def test_a_score_is_compared_with_its_threshold_as_float32(tmp_path: Path) -> None:
    task = {"kind": "multi_label", "thresholds": [0.7, 0.1, 1.0]}
    bundle = Bundle.load(of_three_labels(tmp_path / "exact", task=task, same_bits=False))
    exact = np.array([[0.7, 0.1, 1.0]], np.float32)
    assert bundle.chosen(exact).tolist() == [[True, True, True]]
    assert bundle.chosen(np.nextafter(exact, np.float32(0))).tolist() == [[False] * 3]
    assert bundle.chosen(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_in_int8_no_model_promises_the_same_bits() -> None:
    with (
        running(config(precision="int8")) as address,
        grpc.insecure_channel(address) as channel,
    ):
        model = ModelServiceStub(channel).GetModel(GetModelRequest()).model
    assert (model.precision, model.same_bits) == ("int8", False)


def test_a_model_tells_only_what_its_twin_was_measured_of(tmp_path: Path) -> None:
    measured = json.loads((default_bundle() / "manifest.json").read_bytes())["int8"]
    del measured["largest_difference_hidden"]  # as of a model without a hidden state
    folder = copy(tmp_path / "bundle", int8=measured)
    settings = config(precision="int8", bundle=(str(folder),))
    with running(settings) as address, Client(address) as client:
        metrics = client.model().metrics
    assert {f"int8_{name}": value for name, value in measured.items()}.items() <= metrics.items()
    assert "int8_largest_difference_hidden" not in metrics
