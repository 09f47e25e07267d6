"""Calls a Sentido server.

    from sentido_client import Client

    with Client("localhost:50051") as client:
        client.predict("A wonderful little film.").label  # "positive"
        client.embed(["good", "bad"]).shape  # (2, 64)

`Client` waits for its answers, `AsyncClient` has the same verbs for asyncio. Results are frozen
dataclasses and NumPy arrays; errors are SentidoError and its kinds.
"""

import sentido_client.quiet  # noqa: F401, before gRPC is imported
from sentido_client.async_client import AsyncClient
from sentido_client.client import Client
from sentido_client.errors import (
    AuthenticationError,
    BundleChangedError,
    CallCancelledError,
    DeadlineError,
    InvalidRequestError,
    MissingCapabilityError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ReloadError,
    SentidoError,
    ServerError,
    TLSError,
    TooLargeError,
    UnavailableError,
    Violation,
)
from sentido_client.results import (
    Limits,
    Model,
    Neighbour,
    Prediction,
    Preprocessing,
    Score,
    Timings,
    Token,
    TokenEmbeddings,
    Tokenization,
    Usage,
    Word,
)

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "BundleChangedError",
    "CallCancelledError",
    "Client",
    "DeadlineError",
    "InvalidRequestError",
    "Limits",
    "MissingCapabilityError",
    "Model",
    "Neighbour",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "Prediction",
    "Preprocessing",
    "ReloadError",
    "Score",
    "SentidoError",
    "ServerError",
    "TLSError",
    "Timings",
    "Token",
    "TokenEmbeddings",
    "Tokenization",
    "TooLargeError",
    "UnavailableError",
    "Usage",
    "Violation",
    "Word",
]
