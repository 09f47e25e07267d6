"""Threads that do what they are handed: in turns, or one per call."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sentido_server.threads import CallThreads, FairThreads
from waiting import PATIENCE


@pytest.fixture
def fair() -> Iterator[FairThreads]:
    made = FairThreads(1, "test")
    yield made
    made.close()


def test_sources_take_turns_whatever_one_has_piled_up(fair: FairThreads) -> None:
    order: list[str] = []
    entered, go_on, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def first() -> None:
        entered.set()
        assert go_on.wait(PATIENCE)

    def job(name: str) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            done.release()

        return run

    fair.submit("a", first)
    assert entered.wait(PATIENCE)
    for number in range(5):
        fair.submit("a", job(f"a{number}"))
    fair.submit("b", job("b"))
    go_on.set()
    for _ in range(6):
        assert done.acquire(timeout=PATIENCE)
    assert [name for name in order if name != "b"] == ["a0", "a1", "a2", "a3", "a4"]
    assert order.index("b") <= 1


def test_each_call_has_a_thread_up_to_the_bound_and_more_wait() -> None:
    threads = CallThreads(3)
    entered, go_on = threading.Semaphore(0), threading.Event()

    def call(number: int) -> int:
        threads.turns.end()  # as each call does before it waits
        entered.release()
        assert go_on.wait(PATIENCE)
        return number

    futures = [threads.submit(call, number) for number in range(5)]
    for _ in range(3):
        assert entered.acquire(timeout=PATIENCE)
    assert not entered.acquire(timeout=0.05)
    go_on.set()
    assert [future.result(PATIENCE) for future in futures] == [0, 1, 2, 3, 4]


def test_calls_are_awake_one_after_another_until_they_wait() -> None:
    threads = CallThreads(8)
    first, go_on, second = threading.Event(), threading.Event(), threading.Event()

    def waits() -> None:
        first.set()
        assert go_on.wait(PATIENCE)
        threads.turns.end()
        assert second.wait(PATIENCE)

    begun = threads.submit(waits)
    assert first.wait(PATIENCE)
    other = threads.submit(second.set)
    assert not second.wait(0.05)
    go_on.set()
    begun.result(PATIENCE)
    other.result(PATIENCE)


def test_what_a_call_raises_is_its_futures() -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    future = CallThreads(1).submit(broken)
    assert isinstance(future.exception(PATIENCE), RuntimeError)


def test_a_thread_is_used_again() -> None:
    threads = CallThreads(8)
    names = {threads.submit(threading.get_ident).result(PATIENCE) for _ in range(3)}
    assert len(names) <= 3
