"""What is bounded is shared: who gets some, who waits, who is refused."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentido_server.admission import Allowance, Slots, source_of
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


def test_a_source_cannot_take_the_last_places() -> None:
    slots = Slots(4)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(slots.place("a"))
        stack.enter_context(slots.place("b"))  # at once
    with ExitStack() as stack:
        for source in "aaab":
            stack.enter_context(slots.place(source))


def test_places_are_handed_on_in_turns_between_sources() -> None:
    slots = Slots(2)  # of which one source holds one
    order: list[str] = []
    waiting: list[threading.Thread] = []

    def wait(source: str) -> None:
        with slots.place(source):
            order.append(source)

    with ExitStack() as stack:
        stack.enter_context(slots.place("x"))
        stack.enter_context(slots.place("y"))
        for source in "aaab":
            waiting.append(threading.Thread(target=wait, args=(source,)))
            waiting[-1].start()
            wait_for(lambda: slots.waiting == len(waiting))
    for thread in waiting:
        thread.join(PATIENCE)
    assert sorted(order) == ["a", "a", "a", "b"]
    assert order.index("b") <= 1


@pytest.mark.parametrize(
    ("peer", "is_shared"), [("ipv4:127.0.0.1:5", True), ("ipv6:[::1]:5", True), ("unix:", False)]
)
def test_a_connection_is_a_source_and_a_socket_hides_them(peer: str, is_shared: bool) -> None:
    one, other = object(), object()
    assert (source_of(peer, one) == source_of(peer, other)) == is_shared
