"""What a client reads from an answer, before any server is asked."""

import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
from sentido.v1 import common_pb2, prediction_pb2
from sentido_client import Prediction, Score, Usage
from sentido_client.answers import batch_predictions
from sentido_client.chunking import Chunk

MADE = Prediction(
    label="good",
    probability=0.75,
    chosen=("good",),
    scores=(Score("bad", 0.25, False), Score("good", 0.75, True)),
    logits=(-0.5, 0.5),
    usage=Usage(12, 3, 2, 1),
    model="imdb",
    version="2",
    bundle_digest="d8b2",
    precision="int8",
)


def read() -> Prediction:
    """Return what is read from a message that says the same."""
    scores = [
        prediction_pb2.Score(label="bad", probability=0.25),
        prediction_pb2.Score(label="good", probability=0.75, chosen=True),
    ]
    usage = common_pb2.Usage(
        character_count=12, token_count=3, truncated_token_count=2, out_of_vocabulary_count=1
    )
    answer = prediction_pb2.BatchPredictResponse(
        predictions=[
            prediction_pb2.Prediction(
                label="good", probability=0.75, scores=scores, logits=[-0.5, 0.5], usage=usage
            )
        ],
        served_by=common_pb2.ServedBy(
            model="imdb", version="2", bundle_digest="d8b2", precision="int8"
        ),
    )
    return batch_predictions(Chunk(0, ["a good film."]), answer)[0]


def test_a_prediction_that_was_read_is_as_one_that_was_made() -> None:
    found = read()
    assert type(found) is Prediction
    assert found == MADE
    assert (repr(found), hash(found), vars(found)) == (repr(MADE), hash(MADE), vars(MADE))
    assert pickle.loads(pickle.dumps(found)) == replace(found) == MADE


@pytest.mark.parametrize("name", ["label", "timings", "another"])
def test_a_prediction_that_was_read_cannot_be_changed(name: str) -> None:
    found = read()
    with pytest.raises(FrozenInstanceError):
        setattr(found, name, "other")
    with pytest.raises(FrozenInstanceError):
        delattr(found, name)
    assert found == MADE
