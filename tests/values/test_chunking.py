"""How the client cuts many texts into calls: by what they cost, within the server's limits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentido_client import InvalidRequestError, Limits
from sentido_client.chunking import CHUNK_TOKENS, cut
from sentido_client.outbox import Outbox

LIMITS = Limits(max_text_characters=1_000_000, max_texts=4096, max_message_bytes=16 << 20)
REVIEW = "a good film " * 100
LONG = "a good film " * 20_000


def sizes(texts: list[str], limits: Limits = LIMITS) -> list[int]:
    return [len(chunk.texts) for chunk in cut(texts, limits)]


def test_a_long_text_among_short_ones_is_a_chunk_of_its_own() -> None:
    assert sizes(["short"] * 10 + [LONG] + ["short"] * 10) == [10, 1, 10]


def test_chunks_of_long_texts_hold_fewer_of_them() -> None:
    reviews, halves = sizes([REVIEW] * 1000), sizes([REVIEW[: len(REVIEW) // 2]] * 1000)
    assert sum(reviews) == sum(halves) == 1000
    assert halves[0] == pytest.approx(2 * reviews[0], rel=0.05)
    tokens = REVIEW.count(" ") * reviews[0]
    assert CHUNK_TOKENS / 2 < tokens < CHUNK_TOKENS * 2  # the estimate is not far off


def test_chunks_of_short_texts_hold_as_many_as_the_server_takes() -> None:
    assert sizes(["a b"] * 10_000) == [4096, 4096, 1808]
    assert sizes(["a b"] * 5, replace(LIMITS, max_texts=2)) == [2, 2, 1]


def test_chunks_keep_to_the_bytes_that_the_server_takes() -> None:
    limits = replace(LIMITS, max_message_bytes=4096)
    chunks = list(cut(["ü" * 500] * 20, limits))
    assert [len(chunk.texts) for chunk in chunks] == [3, 3, 3, 3, 3, 3, 2]
    with pytest.raises(InvalidRequestError, match=r"texts\[1\]: takes 5006 bytes"):
        list(cut(["a", "ü" * 2500], limits))


@given(st.lists(st.sampled_from(["", "a", REVIEW, LONG, "ü" * 3000, "x" * 1_000_001])))
def test_no_text_is_lost_or_moved(texts: list[str]) -> None:
    outbox = Outbox(LIMITS)
    found: list[str | None] = []
    for text in texts:
        outbox.add(text)
    outbox.exhausted = True
    while outbox.may_send:
        if len(found) % 3 == 2:
            outbox.send()
            outbox.rewind()
        chunk = outbox.send()
        assert chunk.offset == len(found) == outbox.offset
        assert outbox.answered() is chunk
        found += chunk.texts or [None]
    assert outbox.is_done
    assert found == [None if len(text) > 1_000_000 else text for text in texts]
