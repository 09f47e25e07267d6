"""A loaded bundle: the same bits whatever shares the batch, and vectors that are what they say."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentido_bundle import Bundle, BundleError, RunLimits, default_bundle, normalize
from sentido_bundle.files import read_files
from sentido_bundle.session import check_model


@cache
def shipped() -> Bundle:
    return Bundle.load(default_bundle())


SIZES = st.lists(st.integers(0, 80), min_size=1, max_size=24)


def sequences(bundle: Bundle, sizes: list[int], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    most = bundle.manifest.vocabulary_size
    return [generator.integers(1, most, size).astype(np.int32) for size in sizes]


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 2**32))
def test_a_text_gives_the_same_bits_alone_and_in_any_batch(sizes: list[int], seed: int) -> None:
    bundle = shipped()
    ids = sequences(bundle, sizes, seed)
    together = bundle.run(ids)
    for row, one in enumerate(ids):
        alone = bundle.run([one])
        assert alone.probabilities[0].tobytes() == together.probabilities[row].tobytes()
        assert alone.hidden[0].tobytes() == together.hidden[row].tobytes()


def test_fewer_texts_at_once_give_the_same_bits() -> None:
    bundle = shipped()
    length = bundle.manifest.inputs.length
    cost = check_model(
        "model.onnx", read_files(default_bundle()), bundle.manifest, RunLimits()
    ).cost
    for rows in (2, 3):
        limits = RunLimits(max_run_bytes=cost.memory_bytes(rows, length))
        small = Bundle.load(default_bundle(), limits=limits)
        ids = sequences(bundle, [length, 3, length - 1, 0, 200, length], rows)
        for found, wanted in (
            (small.run(ids), bundle.run(ids)),
            (small.run_batch(ids), bundle.run_batch(ids)),
        ):
            assert found.probabilities.tobytes() == wanted.probabilities.tobytes()
            assert found.hidden.tobytes() == wanted.hidden.tobytes()
    with pytest.raises(BundleError, match=r"one text of 500 tokens takes .+ bytes"):
        Bundle.load(default_bundle(), limits=RunLimits(cost.memory_bytes(1, length) - 1))


def test_real_reviews_give_the_same_bits_alone_and_together(
    bundle: Bundle, reviews: list[str]
) -> None:
    texts = reviews[::250]
    together = bundle.predict(texts)
    for row, text in enumerate(texts):
        assert bundle.predict([text]).probabilities.tobytes() == (
            together.probabilities[row].tobytes()
        )


def test_no_texts_are_refused_before_onnx_runtime_ends_the_process(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="no texts"):
        bundle.run([])


def test_an_empty_text_has_the_answer_of_the_untouched_state(bundle: Bundle) -> None:
    outputs = bundle.predict(["", "zzxqv"])
    assert not outputs.hidden.any()
    assert outputs.probabilities[0].tobytes() == outputs.probabilities[1].tobytes()
    assert outputs.probabilities[0].sum() == pytest.approx(1)


def test_the_last_step_is_the_final_state_and_word_vectors_are_rows(bundle: Bundle) -> None:
    ids = bundle.tokenizer.encode("a wonderful little film").ids
    steps = bundle.run_steps(ids)
    assert steps.shape == (4, bundle.token_vectors("hidden").size)
    np.testing.assert_allclose(steps[-1], bundle.run([ids]).hidden[0], atol=1e-6)
    assert np.array_equal(bundle.word_vectors.rows(ids), bundle.word_vectors.matrix[ids])
    np.testing.assert_allclose(
        bundle.word_vectors.mean(ids), bundle.word_vectors.matrix[ids].mean(0), atol=1e-7
    )
    assert not bundle.word_vectors.mean(ids[:0]).any()


def test_neighbours_are_the_most_similar_words(bundle: Bundle) -> None:
    word = bundle.tokenizer.lookup("Wonderful")
    assert word is not None
    found = bundle.word_vectors.nearest(word, 5)
    unit = normalize(bundle.word_vectors.matrix)
    similarities = unit @ unit[word]
    similarities[[0, word]] = -2
    assert [n.id for n in found] == list(np.argsort(-similarities, kind="stable")[:5])
    assert all(n.text == bundle.tokenizer.vocabulary[n.id] for n in found)
    assert all(-1 <= n.similarity <= 1 for n in found)
    assert len(bundle.word_vectors.nearest(word, 10**9)) == len(bundle.tokenizer.vocabulary) - 2


def test_padding_is_nobodys_neighbour(bundle: Bundle) -> None:
    everyone = bundle.word_vectors.nearest(5, 10**9)
    assert 0 not in [n.id for n in everyone]
    assert 5 not in [n.id for n in everyone]


def test_normalizing_leaves_zeros_alone() -> None:
    vectors = np.array([[3, 4], [0, 0]], np.float32)
    assert normalize(vectors).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
    assert normalize(vectors).dtype == np.float32
