"""The two clients against a real server: the same verbs, the same answers, the same errors."""

import asyncio
import dataclasses
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sentido_client
from both import Both, outcome, same
from conftest import UNITS, config, running
from hypothesis import given, settings
from hypothesis import strategies as st
from sentido_bundle import Bundle, default_bundle
from sentido_bundle.settings import declared
from sentido_client import (
    AsyncClient,
    BundleChangedError,
    CallCancelledError,
    Client,
    DeadlineError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    Prediction,
    SentidoError,
    TooLargeError,
    UnavailableError,
)
from sentido_server.config import Config
from waiting import PATIENCE

LONG = "x" * 1_000_001


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(["good", "bad", "film", "the", "zzxqv", "İ", "👍", "not"]), max_size=40
        ).map(" ".join),
        min_size=1,
        max_size=40,
    )
)
def test_the_same_text_gives_the_same_bits_however_it_is_asked_for(
    both: Both, bundle: Bundle, texts: list[str]
) -> None:
    in_process = bundle.predict(texts).probabilities
    alone = [both.client.predict(text) for text in texts]
    assert both("predict", texts) == alone
    assert list(both.client.predict(iter(texts))) == alone
    scores = np.array([[s.probability for s in p.scores] for p in alone], np.float32)
    assert scores.tobytes() == in_process.tobytes()


def test_real_reviews_give_the_same_bits_however_they_are_asked_for(
    both: Both, bundle: Bundle, reviews: list[str]
) -> None:
    texts = reviews[::50]
    answers = both("predict", texts)
    assert list(both.client.predict(iter(texts))) == answers
    scores = np.array([[s.probability for s in p.scores] for p in answers], np.float32)
    assert scores.tobytes() == bundle.predict(texts).probabilities.tobytes()
    assert [p.usage.character_count for p in answers] == [len(t) for t in texts]
    vectors = both("embed", texts)
    assert vectors.tobytes() == bundle.predict(texts).hidden.tobytes()
    assert same(list(both.client.embed(iter(texts))), list(vectors))
    assert same(asyncio.run(both.call_async("embed", [iter(texts)], {})), list(vectors))


def test_a_prediction_says_all_there_is(both: Both, bundle: Bundle) -> None:
    prediction = both("predict", "A wonderful little film.")
    assert isinstance(prediction, Prediction)
    assert prediction.label == "positive"
    assert [score.label for score in prediction.scores] == ["negative", "positive"]
    assert prediction.probability == prediction.scores[1].probability > 0.5
    assert prediction.usage.token_count == 4
    assert (prediction.model, prediction.bundle_digest) == ("imdb", bundle.digest)


def test_an_iterable_is_answered_while_it_is_still_read(client: Client) -> None:
    endless = (f"wonderful, superb, great film {n}" for n in itertools.count())
    answers = client.predict(endless)
    assert [next(answers).label for _ in range(500)] == ["positive"] * 500
    answers.close()


def test_a_slow_source_is_answered_text_by_text(client: Client) -> None:
    answered = threading.Semaphore(0)

    def texts() -> Iterator[str]:
        for _ in range(5):
            yield "a good film"
            assert answered.acquire(timeout=PATIENCE), "the text before was not answered"

    count = 0
    for _ in client.predict(texts()):
        answered.release()
        count += 1
    assert count == 5


def test_an_async_iterable_streams(address: str) -> None:
    async def texts() -> AsyncIterator[str]:
        for n in range(300):
            yield f"good film {n}"

    async def main() -> list[Prediction]:
        async with AsyncClient(address) as client:
            return [answer async for answer in client.predict(texts())]

    assert len(asyncio.run(main())) == 300


def test_leaving_a_stream_early_leaves_a_client_that_works(address: str, client: Client) -> None:
    for _ in client.predict(iter(["good"] * 1000)):
        break
    assert client.predict("good").label == "positive"

    async def main() -> str:
        async with AsyncClient(address) as client:
            async for _ in client.predict(iter(["good"] * 1000)):
                break
            return (await client.predict("good")).label

    assert asyncio.run(main()) == "positive"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("mine"),
        TimeoutError("mine"),
        asyncio.InvalidStateError("mine"),
        GeneratorExit("mine"),
        UnavailableError("mine"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_what_the_callers_iterable_raises_reaches_the_caller_after_the_answers(
    both: Both, verb: str, error: BaseException
) -> None:
    def broken() -> Iterator[str]:
        yield "good"
        yield "bad"
        raise error

    answers = getattr(both.client, verb)(broken())
    assert len([next(answers), next(answers)]) == 2
    with pytest.raises(type(error), match="mine"):
        next(answers)

    async def main() -> int:
        async with AsyncClient(both.address) as client:
            answers = getattr(client, verb)(broken())
            count = len([await anext(answers), await anext(answers)])
            with pytest.raises(type(error), match="mine"):
                await anext(answers)
        return count

    assert asyncio.run(main()) == 2


def test_texts_that_were_read_are_answered_before_the_source_gives_more(address: str) -> None:
    # Three texts at once, then nothing until all three are answered.
    async def main() -> None:
        answered = asyncio.Semaphore(0)

        async def texts() -> AsyncIterator[str]:
            for text in ("one", "two", "three"):
                yield text
            for _ in range(3):
                await asyncio.wait_for(answered.acquire(), PATIENCE)

        async with AsyncClient(address) as client:
            async for _ in client.predict(texts()):
                answered.release()

    asyncio.run(main())
    done = threading.Semaphore(0)

    def texts() -> Iterator[str]:
        yield from ("one", "two", "three")
        for _ in range(3):
            assert done.acquire(timeout=PATIENCE)

    with Client(address) as client:
        for _ in client.predict(texts()):
            done.release()


def test_many_calls_at_once_are_all_answered(address: str) -> None:
    async def main() -> list[Any]:
        async with AsyncClient(address, timeout=PATIENCE) as client:
            calls = [client.predict(f"text {n}") for n in range(3000)]
            return list(await asyncio.gather(*calls, return_exceptions=True))

    assert {type(answer) for answer in asyncio.run(main())} == {Prediction}


def test_a_plain_iterable_leaves_the_event_loop_to_others(address: str) -> None:
    async def main() -> list[int]:
        turns: list[int] = []  # texts read until each turn of another task
        read = 0

        async def take_turns() -> None:
            while True:
                await asyncio.sleep(0)
                turns.append(read)

        def texts() -> Iterator[str]:
            nonlocal read
            while True:
                read += 1
                yield "good"

        others = asyncio.create_task(take_turns())
        async with AsyncClient(address) as client:
            answers = client.predict(texts())
            await anext(answers)
            async with asyncio.timeout(PATIENCE):
                while read < 20_000:  # it is read ahead, whether answers are taken or not
                    await asyncio.sleep(0)
            for _ in range(10_000):
                await anext(answers)
            await answers.aclose()
        others.cancel()
        return turns

    turns = asyncio.run(main())
    assert max(b - a for a, b in itertools.pairwise(turns)) < 10_000


def test_closing_a_client_in_use_is_a_cancelled_call(address: str) -> None:
    client = Client(address)
    answers = client.predict(iter(["good"] * 100_000))
    next(answers)
    client.close()
    with pytest.raises(CallCancelledError):
        list(answers)

    async def main() -> None:
        client = AsyncClient(address)
        answers = client.predict(iter(["good"] * 100_000))
        await anext(answers)
        await client.close()
        with pytest.raises(CallCancelledError):
            async for _ in answers:
                pass

    asyncio.run(main())


def test_a_stream_waits_where_a_call_would_be_refused(transport: str) -> None:
    with (
        running(config(transport=transport, threads=1, max_queued_tokens=1)) as address,
        Client(address) as client,
    ):
        counts: list[int] = []

        def stream() -> None:
            answers = client.predict(iter(["good " * 100] * 500))
            counts.append(sum(1 for _ in answers))

        threads = [threading.Thread(target=stream) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [500] * 4


@pytest.mark.parametrize("bad", [LONG, "\ud800", "good " * 501])
@pytest.mark.parametrize("place", [0, 299, 700])
def test_a_bad_text_is_named_by_the_callers_own_index(both: Both, bad: str, place: int) -> None:
    texts = ["good film"] * 800
    texts[place] = bad
    with pytest.raises(InvalidRequestError) as caught:
        both("predict", texts, truncation="forbidden")
    assert caught.value.index == place
    assert str(caught.value).startswith(f"texts[{place}]: ")
    for stream in (both.client.predict, both.client.embed):
        with pytest.raises(InvalidRequestError) as caught:
            list(stream(iter(texts), truncation="forbidden"))
        assert caught.value.index == place


def test_errors_can_take_the_place_of_answers(both: Both) -> None:
    texts = ["good", LONG, "awful", "\ud800", "good " * 501, "good"]
    options = {"errors": "return", "truncation": "forbidden"}
    answers = list(both.client.predict(iter(texts), **options))  # type: ignore[call-overload]
    assert same(both("predict", texts, **options), answers)
    kinds = [a.index if isinstance(a, InvalidRequestError) else a.label for a in answers]
    assert kinds == ["positive", 1, "negative", 3, 4, "positive"]
    again = asyncio.run(both.call_async("predict", [iter(texts)], options))
    assert same(again, answers)
    vectors: Any = list(both.client.embed(iter(texts), **options))  # type: ignore[call-overload]
    assert same(both("embed", texts, **options), vectors)
    assert same(asyncio.run(both.call_async("embed", [iter(texts)], options)), vectors)
    good = both("embed", [texts[0], texts[2], texts[5]])
    assert np.stack([vectors[0], vectors[2], vectors[5]]).tobytes() == good.tobytes()
    assert same([vectors[1], vectors[3], vectors[4]], [answers[1], answers[3], answers[4]])


def test_a_list_with_something_else_than_texts_is_a_type_error(both: Both) -> None:
    with pytest.raises(TypeError, match=r"texts\[1\] is of type int, str is needed"):
        both("predict", ["a", 1])
    with pytest.raises(TypeError, match="text is of type bytes"):
        both("embed_tokens", b"a")


def test_no_texts_give_no_answers(both: Both) -> None:
    assert both("predict", []) == []
    assert list(both.client.predict(iter([]))) == []
    assert both("embed", []).shape == (0, UNITS)
    assert both("embed", [], kind="mean").shape == (0, 32)
    assert both("lookup", []) == []


def test_vectors_come_as_arrays(both: Both, bundle: Bundle) -> None:
    assert both("embed", "good film").shape == (UNITS,)
    assert both("embed", ["good"] * 3, kind="mean").shape == (3, 32)
    unit = both("embed", ["good", ""], normalize=True)
    assert np.linalg.norm(unit, axis=1).tolist() == [pytest.approx(1), 0]
    tokens, vectors = both("embed_tokens", "A Good zzxqv film")
    assert [t.text for t in tokens] == ["a", "good", "film"]
    assert vectors.tobytes() == bundle.word_vectors.matrix[[t.id for t in tokens]].tobytes()
    assert both("embed_tokens", "good film", kind="hidden").vectors.shape == (2, UNITS)
    assert vectors.flags.writeable


def test_words_are_looked_up_one_or_several(both: Both) -> None:
    word = both("lookup", "Good")
    assert not word.out_of_vocabulary
    assert word.vector.shape == (32,)
    assert [w.out_of_vocabulary for w in both("lookup", ["good", "zzxqv"])] == [False, True]
    assert len(both("nearest", "wonderful", 3)) == 3
    with pytest.raises(NotFoundError, match="'zzxqv' is not in the vocabulary"):
        both("nearest", "zzxqv")
    with pytest.raises(InvalidRequestError, match=r"words\[1\]: is not valid Unicode"):
        both("lookup", ["a", "\ud800"])
    with pytest.raises(InvalidRequestError, match="model: is not valid Unicode"):
        both("predict", "a", model="\ud800")
    with pytest.raises(ValueError, match="k is 0"):
        both("nearest", "good", 0)
    with pytest.raises(InvalidRequestError, match="limit: is 1001"):
        both("nearest", "good", 1001)


def test_texts_are_tokenized_with_offsets(both: Both) -> None:
    text = "İ GOOD film"
    tokenization = both("tokenize", text)
    assert [text[t.start : t.end] for t in tokenization.tokens] == ["İ", "GOOD", "film"]
    assert [t.out_of_vocabulary for t in tokenization.tokens] == [True, False, False]
    assert tokenization.token_ids == tuple(t.id for t in tokenization.tokens[1:])


def test_models_are_described(both: Both, bundle: Bundle) -> None:
    model = both("model")
    assert model.name == "imdb"
    assert model.metrics["accuracy"] == bundle.manifest.metrics["accuracy"]
    assert both("models") == [model]
    assert both("model", "imdb") == model
    with pytest.raises(NotFoundError, match="no model 'x' is loaded"):
        both("model", "x")
    assert both("limits").max_texts == 4096


@pytest.mark.parametrize(
    ("verb", "argument", "options"),
    [
        ("predict", "good", {}),
        ("predict", ["good", "bad"], {}),
        ("predict", ["good", LONG], {"errors": "return"}),
        ("predict", ("good", "bad"), {"errors": "return"}),
        ("embed", "good", {}),
        ("embed", ["good", "bad"], {"kind": "mean"}),
        ("embed", [], {}),
        ("embed", [LONG], {"errors": "return"}),
        ("embed_tokens", "good", {}),
        ("lookup", "good", {}),
        ("lookup", ["good", "zzxqv"], {}),
        ("nearest", "good", {}),
        ("tokenize", "good", {}),
    ],
)
def test_an_answer_of_another_bundle_than_expected_is_not_returned(
    both: Both, bundle: Bundle, verb: str, argument: Any, options: dict[str, Any]
) -> None:
    model = both("model")
    answer = both(verb, argument, **options)
    for expected in (bundle.digest, model):
        assert same(both(verb, argument, **options, expect_bundle=expected), answer)
    with pytest.raises(BundleChangedError, match="expected is 0000") as raised:
        both(verb, argument, **options, expect_bundle="0" * 64)
    assert (raised.value.expected, raised.value.found) == ("0" * 64, bundle.digest)
    with pytest.raises(BundleChangedError, match=f"in fp32, expected is {bundle.digest} in int8"):
        both(verb, argument, **options, expect_bundle=dataclasses.replace(model, precision="int8"))
    with pytest.raises(BundleChangedError):  # such as of a variable that is not set
        both(verb, argument, **options, expect_bundle="")


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_a_stream_of_another_bundle_than_expected_returns_nothing(both: Both, verb: str) -> None:
    stream = getattr(both.client, verb)(iter(["good", LONG, "bad"]), expect_bundle="0" * 64)
    with pytest.raises(BundleChangedError):
        next(stream)

    async def first() -> Any:
        async with AsyncClient(both.address) as client:
            return await anext(getattr(client, verb)(iter(["good"]), expect_bundle="0" * 64))

    with pytest.raises(BundleChangedError):
        asyncio.run(first())


def test_results_say_the_precision_that_is_served(both: Both) -> None:
    assert both("predict", "good").precision == "fp32"
    assert both("tokenize", "good").precision == "fp32"


def test_health_is_a_word(both: Both) -> None:
    assert both("health") == "SERVING"
    assert both("health", "sentido.v1.PredictionService") == "SERVING"
    assert both("health", "nope") == "SERVICE_UNKNOWN"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truncation": "middle"}, "truncation is 'middle', one of recorded, keep_last"),
        ({"errors": "ignore"}, "errors is 'ignore', 'raise' or 'return' is needed"),
    ],
)
def test_an_unknown_option_is_a_value_error(
    both: Both, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(both.client.predict(iter(["a"]), **arguments))  # type: ignore[call-overload]


def test_nobody_at_the_address_is_unavailable() -> None:
    both = Both("127.0.0.1:1", Client("127.0.0.1:1"))
    with pytest.raises(UnavailableError, match=r"no server is ready at 127\.0\.0\.1:1: "):
        both.client.predict("good")
    with pytest.raises(UnavailableError, match=r"at 127\.0\.0\.1:1.*after 0\.2 seconds"):
        both("wait_until_ready", 0.2)
    assert isinstance(asyncio.run(both.call_async("predict", ["good"], {})), UnavailableError)
    assert isinstance(outcome(both.client.health), UnavailableError)


def test_a_list_fails_soon_where_nobody_is_also_without_a_timeout() -> None:
    async def ask_async() -> None:
        async with AsyncClient("127.0.0.1:1", timeout=None) as client:
            await client.predict(["good"], errors="return")

    with Client("127.0.0.1:1", timeout=None) as client:
        asks: list[Callable[[], object]] = [
            lambda: client.predict(["good"]),
            lambda: client.predict(["good"], errors="return"),
            lambda: asyncio.run(ask_async()),
        ]
        for ask in asks:
            with pytest.raises(UnavailableError, match=r"no server is ready at 127\.0\.0\.1:1: "):
                ask()


def test_a_stream_waits_for_a_server_until_its_timeout() -> None:
    async def main() -> None:
        async with AsyncClient("127.0.0.1:1", timeout=0.5) as client:
            await anext(client.predict(iter(["good"])))

    with Client("127.0.0.1:1", timeout=0.5) as client:
        with pytest.raises((UnavailableError, DeadlineError)):
            next(client.predict(iter(["good"])))
        with pytest.raises((UnavailableError, DeadlineError)):
            asyncio.run(main())


def test_a_deadline_is_a_deadline_error(address: str) -> None:
    with Client(address, timeout=0.02) as client, pytest.raises(DeadlineError):
        client.embed(["good " * 500] * 2000)


def test_calls_are_cut_by_the_servers_own_limits(transport: str) -> None:
    settings = config(
        transport=transport, max_texts=3, max_text_characters=2000, max_message_bytes=4096
    )
    with running(settings) as address, Client(address) as client:
        both = Both(address, client)
        texts = ["good film", "good " * 300] * 10
        assert both("predict", texts) == list(client.predict(iter(texts)))
        assert both("embed", texts).shape == (20, UNITS)
        with pytest.raises(InvalidRequestError, match=r"texts\[20\]: has 2500 characters"):
            both("predict", [*texts, "good " * 500])
        with pytest.raises(TooLargeError):
            client.embed_tokens("x" * 5000)
        with pytest.raises(InvalidRequestError, match=r"texts\[1\]: takes 6006 bytes, a message"):
            both("predict", ["good", "€" * 2000])


@pytest.mark.parametrize("source", [list, iter])
def test_a_client_outlives_a_server_that_is_started_anew_with_lower_limits(
    transport: str, source: Any
) -> None:
    texts = ["good film"] * 10

    async def predict(client: Client | AsyncClient) -> int:
        answer: Any = client.predict(source(texts))
        if isinstance(answer, AsyncIterator):
            return len([prediction async for prediction in answer])
        return len(list(answer if isinstance(client, Client) else await answer))

    async def main() -> None:
        with running(config(transport=transport)) as address:
            clients: tuple[Client, AsyncClient] = (Client(address), AsyncClient(address))
            assert [await predict(client) for client in clients] == [10, 10]
        with running(config(transport=transport, listen=address, max_texts=3)):
            for client in clients:
                with pytest.raises(InvalidRequestError, match="at most 3"):
                    await predict(client)
                assert await predict(client) == 10
        clients[0].close()
        await clients[1].close()

    asyncio.run(main())


def test_a_full_server_is_waited_for(transport: str) -> None:
    with (
        running(config(transport=transport, threads=1, max_queued_tokens=1)) as address,
        Client(address) as client,
    ):
        both = Both(address, client)
        texts = ["good " * 200] * 2000
        assert len(both("predict", texts)) == 2000
        with Client(address, timeout=0.05) as hasty:
            errors = [outcome(lambda: hasty.predict(texts)) for _ in range(3)]
        assert all(isinstance(e, OverloadedError | DeadlineError) for e in errors), errors


def test_a_client_can_be_used_again_after_it_was_closed(address: str) -> None:
    client = Client(address)
    assert client.predict("good").label == "positive"
    client.close()
    assert client.predict("good").label == "positive"
    client.close()


def test_several_bundles_are_served_by_name(
    transport: str, small_bundle: Any, bundle: Bundle
) -> None:
    with (
        running(config(transport=transport, bundle=(small_bundle, default_bundle()))) as address,
        Client(address) as client,
    ):
        assert [m.name for m in client.models()] == ["small", "imdb"]
        assert client.predict("good").model == "small"
        assert client.predict("good", model="imdb").bundle_digest == bundle.digest
        assert client.embed("good").shape == (12,)
        assert client.embed(["good"], model="imdb").shape == (1, UNITS)
        assert next(iter(client.predict(iter(["good"]), model="imdb"))).model == "imdb"


def test_every_error_is_a_sentido_error() -> None:
    errors = [e for e in vars(sentido_client).values() if isinstance(e, type)]
    errors = [e for e in errors if issubclass(e, Exception)]
    assert len(errors) == 15
    assert all(issubclass(e, SentidoError) for e in errors)


def test_a_client_is_made_of_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SENTIDO_CONNECT_CA", "SENTIDO_CONNECT_CERT", "SENTIDO_CONNECT_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SENTIDO_ADDRESS", "dns:///elsewhere:1")
    monkeypatch.setenv("SENTIDO_CONNECT_TOKEN_FILE", "/nowhere")
    with pytest.raises(ValueError, match="cannot read /nowhere"):
        Client.from_environment()
    monkeypatch.setenv("SENTIDO_CONNECT_TOKEN_FILE", "")  # is none
    assert Client.from_environment().address == "dns:///elsewhere:1"
    assert Client.from_environment(address="localhost:2", timeout=1).address == "localhost:2"
    assert AsyncClient.from_environment().address == "dns:///elsewhere:1"


def test_the_fewest_calls_that_a_connection_may_have_are_enough(transport: str) -> None:
    (least,) = (one.least for one in declared(Config) if one.name == "max_connection_calls")
    with (
        running(config(transport=transport, max_connection_calls=least)) as address,
        Client(address, timeout=PATIENCE) as client,
    ):
        one = client.predict("good")
        assert list(client.predict(iter(["good"] * 9))) == [one] * 9


def test_a_list_of_addresses_is_called_as_one_is(address: str) -> None:
    with Client(f"ipv4:{address},{address}") as client:
        assert client.predict("A wonderful little film.").label == "positive"
