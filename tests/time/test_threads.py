"""Threads that do what they are handed: in turns, or one per call."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sentido_server.core import one_cpu
from sentido_server.core.threads import CallThreads, FairThreads
from waiting import PATIENCE, wait_for


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
    threads = CallThreads(8, awake=1)
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


def test_a_job_for_which_there_is_no_thread_is_refused_and_holds_nobody_up() -> None:
    threads = CallThreads(1, awake=1)
    entered, go_on = threading.Event(), threading.Event()

    def call() -> bool:
        entered.set()
        assert go_on.wait(PATIENCE)
        return threads.has_spare() or threads.start(lambda: None)

    first, second = threads.submit(call), threads.submit(lambda: 2)  # which waits for its turn
    assert entered.wait(PATIENCE)
    go_on.set()
    assert first.result(PATIENCE) is False
    assert second.result(PATIENCE) == 2


def test_any_number_of_calls_may_wait_for_a_thread() -> None:
    threads = CallThreads(1, awake=1)
    begun, go_on = threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    first = threads.submit(waits)
    assert begun.wait(PATIENCE)
    # They wait for their turn, get it at once, and wait for the one thread.
    futures = [threads.submit(int) for _ in range(5000)]
    go_on.set()
    first.result(PATIENCE)
    assert [future.result(PATIENCE) for future in futures] == [0] * 5000


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_threads_of_calls_share_one_cpu_and_others_keep_theirs() -> None:
    before = os.sched_getaffinity(0)

    def call() -> set[int]:
        threads.turns.end()
        met.wait(PATIENCE)  # so that each has a thread of its own
        return os.sched_getaffinity(0)

    threads = CallThreads(3, cpu=one_cpu.OneCpu())
    met = threading.Barrier(3)
    # Whoever submits joins them: it is a thread that does nothing else.
    with ThreadPoolExecutor(1) as server:
        futures = server.submit(lambda: [threads.submit(call) for _ in range(3)]).result(PATIENCE)
    cpus = [future.result(PATIENCE) for future in futures]
    assert len(cpus[0]) == 1
    assert cpus == [cpus[0]] * 3
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("busy", "own", "better"),
    [
        ({0: 0.9, 1: 0.1}, 0.9, 0),  # by themselves
        ({0: 0.9, 1: 0.1}, 0.5, 1),  # others take almost half of it
        ({0: 0.9, 1: 0.1}, 0.7, 0),  # little
        ({0: 0.9, 1: 0.6}, 0.4, 0),  # there is no more room on the other one
        ({0: 1.0, 1: 0.6, 2: 0.0}, 0.2, 2),
    ],
)
def test_they_move_to_another_cpu_only_when_others_crowd_theirs(
    busy: dict[int, float], own: float, better: int
) -> None:
    assert one_cpu.better(0, busy, own) == better


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_all_of_them_move_together() -> None:
    group = one_cpu.OneCpu()
    stop = threading.Event()

    def join() -> None:
        group.join()
        assert stop.wait(PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(join)
        wait_for(lambda: len(group.members()) == 2)
        joined = group.members()
        home = {cpu for thread in joined for cpu in os.sched_getaffinity(thread)}
        assert len(home) == 1
        other = min(os.sched_getaffinity(0) - home)
        group.move(other)
        assert [os.sched_getaffinity(thread) for thread in joined] == [{other}] * 2
        stop.set()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_they_follow_the_process_to_the_cpus_that_it_is_given() -> None:
    group = one_cpu.OneCpu()
    stop = threading.Event()

    def join() -> None:
        group.join()
        assert stop.wait(PATIENCE)

    before = os.sched_getaffinity(os.getpid())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(join)
        wait_for(group.members)
        (joined,) = group.members()
        other = min(before - os.sched_getaffinity(joined))
        try:
            os.sched_setaffinity(os.getpid(), {other})  # as `taskset -p` does
            group.look_at_what_is_allowed()
            assert os.sched_getaffinity(joined) == {other}
        finally:
            os.sched_setaffinity(os.getpid(), before)
            stop.set()


def test_threads_that_have_ended_are_not_taken_for_others_who_crowd() -> None:
    before = one_cpu.Times(0.0, {0: 5.0, 1: 0.0}, {11: 4.0, 12: 90.0})
    now = one_cpu.Times(2.0, {0: 6.0, 1: 0.0}, {11: 5.0, 13: 70.0})
    busy, own = now.since(before)
    assert (busy, own) == ({0: 0.5, 1: 0.0}, 0.5)
    assert one_cpu.better(0, busy, own) == 0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_way_of_scheduling_that_somebody_has_chosen_stays() -> None:
    def join() -> int:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # as `chrt --idle` does
        one_cpu.OneCpu().join()
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(join).result(PATIENCE) == os.SCHED_IDLE


def test_what_a_call_raises_is_its_futures() -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    future = CallThreads(1).submit(broken)
    assert isinstance(future.exception(PATIENCE), RuntimeError)


def test_a_thread_is_used_again() -> None:
    threads = CallThreads(8)
    names = {threads.submit(threading.get_ident).result(PATIENCE) for _ in range(3)}
    assert len(names) <= 3
