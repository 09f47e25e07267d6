"""Counts that several threads add to: nothing is lost, nothing counted twice."""

import threading

import numpy as np
from sentido_server.core.counting import Metrics
from sentido_server.core.histogram import Histogram

THREADS, EACH = 4, 5000
MODELS = ("imdb", "1"), ("imdb", "2")


def test_a_value_is_in_the_first_bucket_whose_bound_it_does_not_pass() -> None:
    histogram = Histogram((1, 2.5))
    for value in (0, 1, 1.1, 2.5, 3):
        histogram.add(value)
    assert list(histogram.cumulative()) == [("1.0", 2), ("2.5", 4), ("+Inf", 5)]
    assert histogram.sum == 7.6


def test_many_values_at_once_are_counted_as_one_by_one() -> None:
    values = np.random.default_rng(5).exponential(1, 1000)
    single, many = Histogram((0.1, 0.5, 1, 2)), Histogram((0.1, 0.5, 1, 2))
    for value in values:
        single.add(value)
    for part in np.array_split(values, 7):
        many.add_all(part)
    assert list(many.cumulative()) == list(single.cumulative())
    assert abs(many.sum - single.sum) < 1e-9


def test_what_several_threads_add_while_it_is_read_is_counted_once() -> None:
    metrics = Metrics({"a/A": [0], "b/B": [0]})

    def add() -> None:
        for number in range(EACH):
            metrics.add_call("a/A" if number % 2 else "b/B", number % 2 * 5, 0.001)
            metrics.add_message((0, 0.5, 0.5, 0.5, 1), (MODELS[number % 3 == 0], 1, 2, 3, 4))

    threads = [threading.Thread(target=add) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.settle()
    metrics.settle()
    count = THREADS * EACH
    assert metrics.calls == {("a/A", 5): count / 2, ("b/B", 0): count / 2, ("a/A", 0): 0}
    totals = (
        metrics.texts,
        metrics.tokens,
        metrics.out_of_vocabulary_tokens,
        metrics.truncated_texts,
    )
    first = sum(number % 3 == 0 for number in range(EACH)) * THREADS
    for factor, total in enumerate(totals, start=1):
        assert total == {MODELS[0]: factor * (count - first), MODELS[1]: factor * first}
    counted = {name: dict(each.cumulative())["+Inf"] for name, each in metrics.stages.items()}
    assert counted == {"tokenize": count, "queue": 0, "compute": 0, "encode": count}
