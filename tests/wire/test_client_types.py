"""What a type checker says of a caller's program: `make lint` checks it, strictly, and it runs."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from sentido_client import (
    AsyncClient,
    Client,
    InvalidRequestError,
    Limits,
    Model,
    Neighbour,
    Prediction,
    TokenEmbeddings,
    Tokenization,
    Word,
)

Vectors = NDArray[np.float32]


def test_a_checker_knows_what_each_shape_of_a_call_returns(client: Client) -> None:
    texts = ["good", "bad"]
    assert_type(client.predict("good"), Prediction)
    assert_type(client.predict(texts), list[Prediction])
    assert_type(client.predict(texts, errors="return"), list[Prediction | InvalidRequestError])
    assert_type(client.predict(iter(texts)), Generator[Prediction, None, None])
    assert_type(
        client.predict(iter(texts), errors="return"),
        Generator[Prediction | InvalidRequestError, None, None],
    )
    assert_type(client.embed("good"), Vectors)
    assert_type(client.embed(texts), Vectors)
    assert_type(client.embed(texts, errors="return"), list[Vectors | InvalidRequestError])
    assert_type(client.embed(iter(texts)), Generator[Vectors, None, None])
    assert_type(client.embed_tokens("good"), TokenEmbeddings)
    assert_type(client.lookup("good"), Word)
    assert_type(client.lookup(texts), list[Word])
    assert_type(client.nearest("good"), list[Neighbour])
    assert_type(client.tokenize("good"), Tokenization)
    assert_type(client.model(), Model)
    assert_type(client.models(), list[Model])
    assert_type(client.limits(), Limits)


def test_a_checker_knows_what_is_to_be_awaited(address: str) -> None:
    async def program() -> None:
        texts = ["good", "bad"]
        async with AsyncClient(address) as client:
            assert_type(await client.predict("good"), Prediction)
            assert_type(await client.predict(texts), list[Prediction])
            assert_type(
                await client.predict(texts, errors="return"),
                list[Prediction | InvalidRequestError],
            )
            assert_type(client.predict(iter(texts)), AsyncGenerator[Prediction, None])
            assert_type(await client.embed(texts), Vectors)
            assert_type(client.embed(iter(texts)), AsyncGenerator[Vectors, None])
            assert_type(await client.lookup("good"), Word)
            assert_type(await client.lookup(texts), list[Word])
            assert_type(await client.nearest("good"), list[Neighbour])
            assert_type(await client.tokenize("good"), Tokenization)

    asyncio.run(program())


def test_both_clients_take_the_same_arguments() -> None:
    for name in (*(name for name in vars(Client) if not name.startswith("_")), "__init__"):
        of_both = [
            [(one.name, one.kind, one.default) for one in signature.parameters.values()]
            for signature in (
                inspect.signature(getattr(Client, name)),
                inspect.signature(getattr(AsyncClient, name)),
            )
        ]
        assert of_both[0] == of_both[1], name
