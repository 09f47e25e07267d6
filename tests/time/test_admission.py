"""What is bounded is shared: who gets some, who waits, who is refused."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentido_server.core.admission import Allowance, Left, Slots, source_of
from waiting import PATIENCE, wait_for


def test_one_source_may_hold_everything_and_no_more() -> None:
    memory = Allowance(100)
    assert memory.take("a", 60)
    assert memory.take("a", 40)
    assert not memory.take("a", 1)


def test_another_source_gets_its_share_of_what_one_has_filled() -> None:
    memory = Allowance(100)
    assert memory.take("a", 100)
    assert memory.take("b", 50)
    assert not memory.take("b", 1)
    assert memory.take("c", 33)
    assert not memory.take("a", 1)


def test_a_source_that_holds_more_than_its_share_waits_until_there_is_room() -> None:
    memory = Allowance(100)
    memory.take("a", 90)
    memory.take("b", 10)
    assert not memory.take("a", 10)
    memory.add("b", -10)
    assert memory.take("a", 10)


def test_what_is_larger_than_all_is_let_in_alone() -> None:
    memory = Allowance(100)
    assert memory.take("a", 500)
    assert not memory.take("a", 1)
    assert memory.take("b", 50)  # its share, whatever the first one holds
    memory.add("a", -500)
    assert not memory.take("a", 500)


def test_whoever_gives_back_is_forgotten() -> None:
    memory = Allowance(100)
    memory.take("a", 100)
    for number in range(1000):
        assert memory.take(number, 50)
        memory.add(number, -50)
    assert memory.take("b", 50)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), max_size=60))
def test_all_but_the_first_to_fill_it_hold_no_more_than_the_bound(
    asked: list[tuple[int, int]],
) -> None:
    memory = Allowance(100)
    held: dict[int, int] = {}
    for source, amount in asked:
        if memory.take(source, amount):
            held[source] = held.get(source, 0) + amount
        assert memory.held == sum(held.values())
        assert sum(held.values()) - max(held.values(), default=0) <= 100
    for source, amount in held.items():
        memory.add(source, -amount)
    assert memory.held == 0


class Waiting:
    """A call that waits for a place."""

    def __init__(self) -> None:
        self.ended = False
        self._callbacks: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(callback)
        return not self.ended

    def cancel(self) -> None:
        self.ended = True
        for callback in self._callbacks:
            callback()


def test_a_source_cannot_take_the_last_places() -> None:
    slots = Slots(4, 3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(slots.place("a", Waiting()))
        stack.enter_context(slots.place("b", Waiting()))  # at once
    with ExitStack() as stack:
        for source in "aaab":
            stack.enter_context(slots.place(source, Waiting()))


def test_places_are_handed_on_in_turns_between_sources() -> None:
    slots = Slots(2, 1)
    order: list[str] = []
    waiting: list[threading.Thread] = []

    def wait(source: str) -> None:
        with slots.place(source, Waiting()):
            order.append(source)

    with ExitStack() as stack:
        stack.enter_context(slots.place("x", Waiting()))
        last = stack.enter_context(ExitStack())
        last.enter_context(slots.place("y", Waiting()))
        for source in "aaab":
            waiting.append(threading.Thread(target=wait, args=(source,)))
            waiting[-1].start()
            wait_for(lambda: slots.waiting == len(waiting))
        last.close()  # and one place is handed on, from one to the next
        for thread in waiting:
            thread.join(PATIENCE)
    assert sorted(order) == ["a", "a", "a", "b"]
    assert order.index("b") <= 1


def test_a_caller_that_leaves_while_it_waits_is_let_go_at_once_and_takes_no_place() -> None:
    slots = Slots(1, 1)
    call, outcomes = Waiting(), []

    def wait() -> None:
        try:
            with slots.place("b", call):
                outcomes.append("held")
        except Left:
            outcomes.append("left")

    with slots.place("a", Waiting()):
        thread = threading.Thread(target=wait)
        thread.start()
        wait_for(lambda: slots.waiting == 1)
        call.cancel()
        thread.join(PATIENCE)
        assert outcomes == ["left"]
        assert slots.waiting == 0
    with slots.place("c", Waiting()):
        pass


def test_who_holds_a_place_for_too_long_is_ended_when_another_has_waited_as_long() -> None:
    slots = Slots(1, 1, patience=0.01)
    still, ended = Waiting(), threading.Event()
    still.add_callback(ended.set)

    def stand_still() -> None:
        with slots.place("a", still):
            assert ended.wait(PATIENCE)

    thread = threading.Thread(target=stand_still)
    thread.start()
    wait_for(lambda: not slots.is_free)
    with slots.place("b", Waiting()):
        assert still.ended
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("peer", "is_shared"), [("ipv4:127.0.0.1:5", True), ("ipv6:[::1]:5", True), ("unix:", False)]
)
def test_a_connection_is_a_source_and_a_socket_hides_them(peer: str, is_shared: bool) -> None:
    one, other = object(), object()
    assert (source_of(peer, one) == source_of(peer, other)) == is_shared
