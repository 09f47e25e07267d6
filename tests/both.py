"""Both clients at once: what one answers, the other must."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
from sentido_client import AsyncClient, Client


class Both:
    """Calls a verb on both clients and demands that they agree."""

    def __init__(self, address: str, client: Client) -> None:
        self.address = address
        self.client = client

    def __call__(self, verb: str, *arguments: Any, **options: Any) -> Any:
        expected = outcome(lambda: listed(getattr(self.client, verb)(*arguments, **options)))
        got = asyncio.run(self.call_async(verb, arguments, options))
        assert same(got, expected), (got, expected)
        if isinstance(expected, Exception):
            raise expected
        return expected

    async def call_async(self, verb: str, arguments: Any, options: Any) -> Any:
        async with AsyncClient(self.address) as client:
            try:
                answer = getattr(client, verb)(*arguments, **options)
                if hasattr(answer, "__aiter__"):
                    return [item async for item in answer]
                return await answer
            except Exception as error:
                return error


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def listed(answer: Any) -> Any:
    return list(answer) if isinstance(answer, Iterator) else answer


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Exception):
        return type(a) is type(b) and str(a) == str(b)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.tobytes() == b.tobytes() and a.shape == b.shape
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(x, vars(b)[k]) for k, x in vars(a).items())
    return bool(a == b)
