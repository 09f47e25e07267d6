"""How a channel is set up: everything that gRPC can do for us is asked of gRPC."""

import json
import math
import random
from collections.abc import Callable
from typing import Any

from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido.v1.model_pb2_grpc import ModelServiceStub
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido.v1.tokenizer_pb2_grpc import TokenizerServiceStub

SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],  # over every address of a dns:/// name
        "healthCheckConfig": {"serviceName": ""},  # only servers that say they are SERVING
        "methodConfig": [
            {
                # No retryPolicy: a stream whose retries are spent may never end in gRPC's core, and
                # resuming goes on for longer (docs/decisions.md).
                "name": [
                    {"service": "sentido.v1.PredictionService", "method": "StreamPredict"},
                    {"service": "sentido.v1.EmbeddingService", "method": "StreamEmbed"},
                ],
            },
            {
                "name": [{}],  # every other method
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            },
        ],
    }
)

_SIZES = [
    # The server's limit is on what it receives; its answers may be larger than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 64 * 1024),
]

OPTIONS = [
    *_SIZES,
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.per_rpc_retry_buffer_size", 32 * 1024 * 1024),  # a larger call would not be retried
    # Channels that share a connection and watch its health crash now and then (docs/decisions.md).
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
"""Of the channel that calls are made on."""

_random = random.Random()  # of our own: a program's seeded sequence stays as it is

RENEW_SECONDS = 300.0
"""After which a channel is renewed, unless the client is made with something else."""

LOOK_SECONDS = 1.0  # that a look at why no server is ready may take

PLAIN_OPTIONS = [*_SIZES, ("grpc.enable_retries", 0)]
"""Of a channel to ask for health: it must connect to servers that are not SERVING too."""


class Stubs:
    """The services of a server on one channel, which lives as long as they do."""

    def __init__(self, channel: Any) -> None:
        """Take a channel of grpc or of grpc.aio."""
        self.channel = channel
        self.calls = 0  # in progress
        self.predictions: Any = PredictionServiceStub(channel)
        self.embeddings: Any = EmbeddingServiceStub(channel)
        self.tokenizers: Any = TokenizerServiceStub(channel)
        self.models: Any = ModelServiceStub(channel)


Method = Callable[[Stubs], Any]
"""Returns an RPC's method on a channel."""


def lifetime(renew_seconds: float) -> float:
    """Return the seconds after which a channel is to be renewed: never, if told 0.

    It varies by a fifth either way, so that clients started together do not connect together.
    """
    return renew_seconds * _random.uniform(0.8, 1.2) if renew_seconds else math.inf
