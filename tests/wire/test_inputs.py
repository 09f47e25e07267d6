"""What callers give as texts: tables, arrays and gaps in them, to both clients and in-process."""

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sentido_bundle import Bundle
from sentido_client import AsyncClient, Client, InvalidRequestError, Prediction

TEXTS = ["A wonderful film", "A dull mess", "good"]
GAPS = [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT, b"good", 3]


def asked(address: str, verb: str, texts: Any, **options: Any) -> Any:
    """Ask with AsyncClient."""

    async def main() -> Any:
        async with AsyncClient(address) as client:
            return await getattr(client, verb)(texts, **options)

    return asyncio.run(main())


@pytest.mark.parametrize(
    "texts",
    [
        pd.Series(TEXTS, index=[7, 3, 1]),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        dict.fromkeys(TEXTS).keys(),
        dict(enumerate(TEXTS)).values(),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_what_has_a_length_is_answered_like_a_list(
    client: Client, address: str, bundle: Bundle, texts: Any
) -> None:
    want = client.predict(TEXTS)
    assert client.predict(texts) == asked(address, "predict", texts) == want
    vectors = client.embed(texts)
    assert isinstance(vectors, np.ndarray)
    assert vectors.tobytes() == client.embed(TEXTS).tobytes()
    assert asked(address, "embed", texts).tobytes() == vectors.tobytes()
    assert client.predict(texts, errors="return") == want
    assert bundle.predict(texts).hidden.tobytes() == vectors.tobytes()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pd.DataFrame({"text": TEXTS}), r"a DataFrame, .*pass one column, such as texts\['text'\]"),
        (pa.table({"text": TEXTS}), "a Table, .*pass one column"),
        ({"text": "good"}, r"a dict, .*pass a list, such as list\(texts.values\(\)\)"),
        ({"good", "bad"}, r"a set, which has no order.*pass a list"),
        (frozenset(TEXTS), "a frozenset, which has no order"),
        (np.array([TEXTS]), "a ndarray of 2 dimensions"),
        (np.array("good"), "a ndarray of 0 dimensions"),
        (b"good", r"of type bytes: pass a str, as texts.decode\(\) gives"),
        (None, "of type NoneType: pass a str, a list of str, or another iterable"),
        (3, "of type int: pass a str, a list of str, or another iterable"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_what_is_not_texts_in_an_order_is_refused_with_what_to_pass(
    client: Client, address: str, verb: str, texts: Any, message: str
) -> None:
    for options in ({}, {"errors": "return"}):
        with pytest.raises(TypeError, match=f"^texts is {message}"):
            getattr(client, verb)(texts, **options)
        with pytest.raises(TypeError, match=f"^texts is {message}"):
            asked(address, verb, texts, **options)


@pytest.mark.parametrize("words", [{"good": 1}, {"good"}, b"good", None, pd.DataFrame()])
def test_words_to_look_up_have_an_order_too(client: Client, address: str, words: Any) -> None:
    with pytest.raises(TypeError, match=r"^words is "):
        client.lookup(words)
    with pytest.raises(TypeError, match=r"^words is "):
        asked(address, "lookup", words)
    assert [word.text for word in client.lookup(pd.Series(["good", "bad"]))] == ["good", "bad"]


@pytest.mark.parametrize("texts", ["good", b"good", {"good"}, {"a": "good"}, pd.DataFrame(), 3])
def test_a_bundle_refuses_what_is_not_a_list_of_texts(bundle: Bundle, texts: Any) -> None:
    with pytest.raises(TypeError, match=r"texts is .*: pass"):
        bundle.predict(texts)
    with pytest.raises(TypeError, match=r"texts is .*: pass"):
        bundle.tokenizer.encode_all(texts)


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: type(gap).__name__)
def test_a_gap_is_named_or_answered_by_an_error_in_its_place(
    client: Client, address: str, bundle: Bundle, gap: Any
) -> None:
    texts = ["good", gap, "awful"]
    answers = client.predict(texts, errors="return")
    found = [a.label if isinstance(a, Prediction) else a.index for a in answers]
    assert found == ["positive", 1, "negative"]
    for more in (
        asked(address, "predict", texts, errors="return"),
        list(client.predict(iter(texts), errors="return")),
        client.embed(texts, errors="return"),
    ):
        assert isinstance(more[1], InvalidRequestError)
        assert str(more[1]) == str(answers[1])
    with pytest.raises(TypeError, match=r"^texts\[1\] is of type .*, str is needed"):
        client.predict(texts)
    with pytest.raises(TypeError, match=r"^texts\[1\] is of type .*, str is needed"):
        list(client.embed(iter(texts)))
    with pytest.raises(TypeError, match=r"^texts\[1\] is of type .*, str is needed"):
        bundle.predict(texts)


def test_no_timeout_is_none(address: str) -> None:
    async def main() -> None:
        async with AsyncClient(address, timeout=None) as client:
            await client.wait_until_ready(None)
            assert len(await client.predict(TEXTS)) == len(TEXTS)

    with Client(address, timeout=None) as client:
        client.wait_until_ready(None)
        assert len(client.predict(TEXTS)) == len(TEXTS)
        assert len(list(client.embed(iter(TEXTS)))) == len(TEXTS)
    asyncio.run(main())
