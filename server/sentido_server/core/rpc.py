"""What an RPC is: two plain functions, and the values that go between them.

`prepare(serving, request) -> Plan` checks a request, tokenizes it and raises a Fault if it is bad;
`reply(request, plan, results) -> response` puts the answer together. What happens before, between
and after is the pipeline's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2
from numpy.typing import NDArray
from sentido.v1.common_pb2 import ServedBy
from sentido_bundle import Bundle, BundleError, Encoding
from sentido_bundle.running import RunnableGraph

from sentido_server.core.faults import (
    BundleRefused,
    Cancelled,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    MissingCapability,
    NoMessage,
    NotFound,
    PermissionDenied,
    QueueFull,
    Unauthenticated,
    Unavailable,
)
from sentido_server.core.registry import Registry

_CODES = tuple(  # of any call that is not OK
    fault.code
    for fault in (
        *(Cancelled, DeadlineExceeded, Internal, InvalidArgument),
        *(QueueFull, Unauthenticated, Unavailable),
    )
)
_OPTIONAL = {"kind", "word", "words", "include_logits"}
"""Fields of requests that ask for what a model may lack."""

Request = TypeVar("Request", bound=Message)


@dataclass(frozen=True)
class RequestLimits:
    """What a call may hold."""

    max_text_characters: int  # Unicode code points
    max_texts: int  # texts or words, a call or a stream message
    max_message_bytes: int  # on the wire


@dataclass(frozen=True)
class Reloaded:
    """What a model is answered by from now on, and what it was answered by before."""

    bundle: Bundle
    previous_digest: str


def _cannot_reload(name: str, version: str) -> Reloaded:
    raise BundleError(f"{name!r} {version!r} was not loaded from a folder")


@dataclass(frozen=True)
class Serving:
    """What every RPC answers from."""

    registry: Registry
    limits: RequestLimits
    server_version: str
    reload: Callable[[str, str], Reloaded] = _cannot_reload
    """Loads the model of a name and version, as `Registry.find` has it, again and answers from it.

    Raises NotFound or BundleError.
    """
    is_ready: bool = True  # else it is loading, or draining


@dataclass(frozen=True, slots=True)
class Item:
    """One text for a compute thread: checked, tokenized, bound to the graph it started with."""

    graph: RunnableGraph
    encoding: Encoding
    outputs: tuple[str, ...]  # of the graph, by name


Result = tuple[NDArray[np.float32], ...]
"""The outputs that an item names, in that order."""


def items_of(bundle: Bundle, encodings: Sequence[Encoding], outputs: tuple[str, ...]) -> list[Item]:
    """Return an item for each text that asks one graph for these outputs.

    Raises MissingCapabilityError for one that the bundle lacks.
    """
    graphs = [bundle.graph_of(output) for output in outputs]
    return [Item(graphs[0], encoding, outputs) for encoding in encodings]


@dataclass(frozen=True)
class Plan:
    """What `prepare` found out: the texts, the items to compute, and what else `reply` needs."""

    bundle: Bundle | None = None
    encodings: Sequence[Encoding] = ()  # of the good texts, in order
    items: Sequence[Item] = ()
    notes: Any = None


class Lane(Enum):
    """Where the messages of an RPC go."""

    COMPUTE = "compute"  # computed; refused while the queue is full, before they are even parsed
    LOOKUP = "lookup"  # looked up: never queued
    SLOW = "slow"  # looked up for long, whatever their size: off the transport's thread
    ADMIN = "admin"  # need a credential of that role; one at a time, on a thread of their own
    PROBE = "probe"  # answered while loading and draining too, and without a credential


@dataclass(frozen=True)
class Rpc(Generic[Request]):
    """One row of the table of RPCs. What the protocol says of a method is its descriptor's."""

    method: MethodDescriptor
    prepare: Callable[[Serving, Request], Plan]
    reply: Callable[[Request, Plan, Sequence[Result]], Message]
    lane: Lane = Lane.COMPUTE
    small: int = 4096  # bytes; a larger request is worked on off the transport's thread
    bytes_per_byte: int = 6  # of memory, for each byte of a request, until its answer is sent
    rows: Callable[[Request], int] = lambda _: 1  # texts or words of a request
    service: str = field(init=False)  # with its package: "sentido.v1.PredictionService"
    name: str = field(init=False)
    path: str = field(init=False)  # "service/name", as in the log
    request: type[Request] = field(init=False)
    streaming: bool = field(init=False)  # both ways; the functions then see one message

    def __post_init__(self) -> None:
        service, name = self.method.containing_service.full_name, self.method.name
        of_method = {
            "service": service,
            "name": name,
            "path": f"{service}/{name}",
            "request": GetMessageClass(self.method.input_type),
            "streaming": self.method.client_streaming,
        }
        for key, value in of_method.items():  # a frozen object's way
            object.__setattr__(self, key, value)

    def codes(self) -> Sequence[int]:
        """Return the status codes that a call can end with."""
        some = (
            (not self.streaming, NoMessage),
            (bool(self.request.DESCRIPTOR.fields), NotFound),  # a model, at least
            (bool(_OPTIONAL & set(self.request.DESCRIPTOR.fields_by_name)), MissingCapability),
            (self.lane is Lane.ADMIN, PermissionDenied),
            (self.lane is Lane.ADMIN, BundleRefused),
        )
        return (code_pb2.OK, *_CODES, *(fault.code for can_be, fault in some if can_be))


def run(items: Sequence[Item]) -> list[Result]:
    """Compute items, on a compute thread. One result an item, in order."""
    results: dict[int, Result] = {}
    groups: dict[int, list[int]] = {}  # of one graph, each
    for index, item in enumerate(items):
        groups.setdefault(id(item.graph), []).append(index)
    for indices in groups.values():
        rows = items[indices[0]].graph.run([items[i].encoding.ids for i in indices])
        for row, index in enumerate(indices):
            results[index] = tuple([rows[output][row] for output in items[index].outputs])
    return [results[index] for index in range(len(items))]


def served_by(plan: Plan) -> ServedBy:
    """Name the bundle that answered."""
    assert plan.bundle is not None  # of every RPC that says by what it was served
    bundle = plan.bundle
    return ServedBy(
        model=bundle.name,
        version=bundle.version,
        bundle_digest=bundle.digest,
        precision=bundle.precision,
    )
