"""The batcher with three-line functions in place of a model: who waits for whom."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentido_server.core.batcher import BadResults, Batcher, BatchLimits, Closed, Dropped, Full
from waiting import PATIENCE

Run = Callable[[list[Any]], Sequence[Any]]
ROOMY = BatchLimits(rows=8, budget=1000, padding=1.0, queued=10**9)


class Gate:
    """A `run` that stops at a gate, and remembers the batches that passed."""

    def __init__(self, then: Run) -> None:
        self.then = then
        self.batches: list[list[Any]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def run(self, items: list[Any]) -> Sequence[Any]:
        self.batches.append(items)
        self.entered.release()
        assert self.open.wait(PATIENCE)
        return items if items == ["busy"] else self.then(items)


class Answers:
    """Collects what is done, and waits for it."""

    def __init__(self, count: int) -> None:
        self.found: dict[Any, Any] = {}
        self._left = threading.Semaphore(0)
        self._count = count

    def of(self, name: Any) -> Callable[[int, Any], None]:
        def done(index: int, result: Any) -> None:
            assert (name, index) not in self.found, "done twice"
            self.found[name, index] = result
            self._left.release()

        return done

    def wait(self) -> dict[Any, Any]:
        for _ in range(self._count):
            assert self._left.acquire(timeout=PATIENCE), self.found
        return self.found


@contextmanager
def batcher(
    run: Run, limits: BatchLimits = ROOMY, threads: int = 1
) -> Iterator["Batcher[Any, Any]"]:
    """Make one in which what begins with "alone" shares no batch."""
    made: Batcher[Any, Any] = Batcher(
        run,
        threads=threads,
        limits=limits,
        goes_alone=lambda item: str(item).startswith("alone"),
    )
    try:
        yield made
    finally:
        made.close()


@contextmanager
def held(
    limits: BatchLimits = ROOMY, then: Run = lambda items: items
) -> Iterator[tuple["Batcher[Any, Any]", Gate]]:
    """A batcher whose only thread is busy with an item of size 1, so that all else waits."""
    gate = Gate(then)
    with batcher(gate.run, limits) as made:
        made.submit([("busy", 1)], lambda *_: None)
        assert gate.entered.acquire(timeout=PATIENCE)
        try:
            yield made, gate
        finally:
            gate.open.set()


def test_a_caller_that_leaves_does_not_disturb_its_neighbours() -> None:
    answers = Answers(3)
    with held() as (made, gate):
        made.submit([("a", 5)], answers.of("a"))
        made.submit([("b", 5)], answers.of("b"), is_dropped=lambda: True)
        made.submit([("c", 5)], answers.of("c"))
        gate.open.set()
        found = answers.wait()
    assert (found["a", 0], found["c", 0]) == ("a", "c")
    assert isinstance(found["b", 0], Dropped)
    assert gate.batches == [["busy"], ["a", "c"]]


def test_a_batch_that_everyone_left_is_not_run() -> None:
    answers = Answers(2)
    with held() as (made, gate):
        made.submit([("a", 5), ("b", 5)], answers.of("x"), is_dropped=lambda: True)
        gate.open.set()
        answers.wait()
    assert gate.batches == [["busy"]]


def test_a_failed_batch_fails_only_its_own_callers() -> None:
    def run(items: list[str]) -> list[str]:
        if "bad" in items:
            raise KeyError("bad")
        return [item.upper() for item in items]

    answers = Answers(3)
    with batcher(run, BatchLimits(rows=2, budget=100, padding=0.0, queued=1000)) as made:
        made.submit([("bad", 7)], answers.of("bad"))
        made.submit([("good", 3), ("fine", 3)], answers.of("good"))
        found = answers.wait()
    assert isinstance(found["bad", 0], KeyError)
    assert (found["good", 0], found["good", 1]) == ("GOOD", "FINE")


@pytest.mark.parametrize("results", [[], [1], [1, 2, 3]])
def test_another_number_of_results_is_an_error_and_not_a_hang(results: list[int]) -> None:
    answers = Answers(2)
    with held(then=lambda _: results) as (made, gate):
        made.submit([("a", 1), ("b", 1)], answers.of("x"))
        gate.open.set()
        found = answers.wait()
    assert all(isinstance(error, BadResults) for error in found.values())


def test_a_thread_survives_a_failure() -> None:
    calls = iter([KeyError("once")])

    def run(items: list[str]) -> list[str]:
        for error in calls:
            raise error
        return items

    with batcher(run) as made:
        first, second = Answers(1), Answers(1)
        made.submit([("a", 1)], first.of("a"))
        assert isinstance(first.wait()["a", 0], KeyError)
        made.submit([("b", 1)], second.of("b"))
        assert second.wait()["b", 0] == "b"


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=80),
    rows=st.integers(1, 9),
    budget=st.integers(1, 200),
    padding=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    least_rows=st.integers(1, 4),
)
def test_a_batch_is_never_over_its_limits_and_everything_is_computed_once(
    sizes: list[int], rows: int, budget: int, padding: float, least_rows: int
) -> None:
    answers = Answers(len(sizes))
    with held(BatchLimits(rows, budget, padding, 10**9, least_rows)) as (made, gate):
        made.submit([(("item", i, size), size) for i, size in enumerate(sizes)], answers.of("x"))
        gate.open.set()
        found = answers.wait()
        assert made.queued == 0
    assert [found["x", i] for i in range(len(sizes))] == [
        ("item", i, size) for i, size in enumerate(sizes)
    ]
    for batch in gate.batches[1:]:
        lengths = [size for _, _, size in batch]
        padded = len(lengths) * max(lengths)
        assert len(batch) <= rows
        assert len(batch) <= least_rows or padded <= budget
        assert padded - sum(lengths) <= padding * padded


def test_items_of_one_size_fill_batches_in_the_order_they_came() -> None:
    answers = Answers(20)
    with held() as (made, gate):
        for n in range(20):
            made.submit([(n, 5)], answers.of(n))
        gate.open.set()
        answers.wait()
    assert gate.batches[1:] == [list(range(8)), list(range(8, 16)), list(range(16, 20))]


def test_items_that_go_alone_are_a_batch_each_and_everything_is_computed_once() -> None:
    names = ["a", "alone 1", "b", "alone 2", "alone 3", "c", "d"]
    answers = Answers(len(names))
    with held() as (made, gate):
        for number, name in enumerate(names):
            made.submit([(name, 5 + number % 2)], answers.of(name))
        gate.open.set()
        found = answers.wait()
    assert {name: found[name, 0] for name in names} == {name: name for name in names}
    for batch in gate.batches[1:]:
        assert len(batch) == 1 or not any(name.startswith("alone") for name in batch)
    assert max(map(len, gate.batches)) > 1  # the others still share


@pytest.mark.parametrize(("rare", "common"), [(500, 10), (10, 500)])
def test_no_size_starves_in_a_flood_of_another(rare: int, common: int) -> None:
    # 100 items of one size wait before the rare one and 400 come after it: the rare one is in the
    # batch after those that were before it, at the latest.
    answers = Answers(501)
    limits = BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**9)
    with held(limits) as (made, gate):
        for n in range(501):
            made.submit([(n, rare if n == 100 else common)], answers.of(n))
        gate.open.set()
        answers.wait()
    (turn,) = [number for number, batch in enumerate(gate.batches) if 100 in batch]
    assert turn <= 1 + 100 // 8 + 1


def test_a_free_thread_takes_what_there_is_at_once() -> None:
    answers = Answers(1)
    with batcher(lambda items: items) as made:
        made.submit([("alone", 3)], answers.of("x"))
        assert answers.wait() == {("x", 0): "alone"}


def test_several_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def run(items: list[str]) -> list[str]:
        both.wait()
        return items

    answers = Answers(2)
    with batcher(run, BatchLimits(1, 10, 0.0, 100), threads=2) as made:
        made.submit([("a", 1), ("b", 1)], answers.of("x"))
        answers.wait()


def test_a_full_queue_takes_nothing_more_and_one_with_room_takes_all_of_a_call() -> None:
    with held(BatchLimits(8, 100, 1.0, queued=10)) as (made, gate):
        answers = Answers(4)
        made.submit([("a", 4), ("b", 4)], answers.of("first"))
        made.submit([("c", 1), ("d", 2)], answers.of("second"))
        with pytest.raises(Full, match="11 wait, 10 may"):
            made.submit([("e", 1)], answers.of("refused"))
        gate.open.set()
        found = answers.wait()
    assert {name for name, _ in found} == {"first", "second"}


def test_an_empty_queue_takes_a_call_of_any_size() -> None:
    with held(BatchLimits(8, 100, 1.0, queued=10)) as (made, gate):
        answers = Answers(1)
        made.submit([("huge", 1000)], answers.of("x"))
        gate.open.set()
        assert answers.wait() == {("x", 0): "huge"}


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    answers = Answers(3)
    with held() as (made, gate):
        made.submit([("a", 1), ("b", 2), ("c", 3)], answers.of("x"))
        closing = threading.Thread(target=made.close)
        closing.start()
        gate.open.set()
        closing.join(PATIENCE)
        assert len(answers.wait()) == 3
        with pytest.raises(Closed):
            made.submit([("late", 1)], answers.of("late"))


def test_the_end_of_a_batch_is_told_after_its_last_result() -> None:
    told = threading.Semaphore(0)
    answers = Answers(3)
    seen: list[int] = []

    def after_batch() -> None:
        seen.append(len(answers.found))
        told.release()

    made: Batcher[Any, Any] = Batcher(
        lambda items: items, threads=1, limits=ROOMY, after_batch=after_batch
    )
    made.submit([("a", 5), ("b", 5), ("c", 5)], answers.of("x"))
    assert told.acquire(timeout=PATIENCE)
    made.close()
    assert seen == [3]


def test_what_was_done_is_counted() -> None:
    answers = Answers(4)
    limits = BatchLimits(rows=2, budget=100, padding=1.0, queued=1000)
    with held(limits) as (made, gate):
        made.submit([("a", 5), ("b", 3)], answers.of("x"))
        made.submit([("c", 9)], answers.of("y"))
        made.submit([("d", 9)], answers.of("z"), is_dropped=lambda: True)
        gate.open.set()
        answers.wait()
    counts = dict(vars(made.counts))
    rows, padded = counts.pop("rows"), counts.pop("padded")
    assert counts == {"batches": 3, "items": 4, "size": 18, "padding": 2, "dropped": 1}
    assert dict(rows.cumulative())["+Inf"] == dict(padded.cumulative())["+Inf"] == 3
    assert (rows.sum, padded.sum) == (4, 20)


def test_sources_take_turns_whatever_one_has_piled_up() -> None:
    answers = Answers(41)
    limits = BatchLimits(rows=8, budget=8, padding=0.0, queued=10**9)  # no batch holds two sizes
    with held(limits) as (made, gate):
        made.submit([(number, 1) for number in range(40)], answers.of("hog"), source="hog")
        made.submit([("other", 3)], answers.of("other"), source="other")
        gate.open.set()
        answers.wait()
        assert ["other"] in gate.batches[1:3]


def test_a_source_within_its_share_is_not_refused_for_what_another_has_queued() -> None:
    limits = BatchLimits(rows=8, budget=1000, padding=1.0, queued=100)
    answers = Answers(2)
    with held(limits) as (made, gate):
        made.submit([("all", 10_000)], answers.of("hog"), source="hog")
        with pytest.raises(Full):
            made.submit([("more", 1)], answers.of("hog"), source="hog")
        made.submit([("other", 30)], answers.of("other"), source="other")
        gate.open.set()
        answers.wait()
