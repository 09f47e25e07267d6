"""The pipeline with a call that a test holds in its hand: what is computed, and what never is."""

import json
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc import code_pb2
from sentido.v1 import prediction_pb2
from sentido.v1.prediction_pb2 import BatchPredictRequest, PredictRequest, PredictResponse
from sentido_bundle import Bundle, default_bundle
from sentido_server.core.batcher import BatchLimits
from sentido_server.core.codec import PROTOBUF, Codec
from sentido_server.core.faults import (
    Fault,
    InvalidArgument,
    NotFound,
    QueueFull,
    Unavailable,
    Violation,
)
from sentido_server.core.pipeline import Message, Outcome, Pipeline
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import Item, Lane, Plan, RequestLimits, Rpc, Serving, run
from sentido_server.rpcs.prediction import prepare_predict, reply_predict
from sentido_server.security.bearer import Access
from waiting import PATIENCE, wait_for


@dataclass
class Call:
    """A call of no transport."""

    peer: str = "test"
    codec: Codec = PROTOBUF
    metadata: tuple[tuple[str, str], ...] = ()
    expired: bool = False
    cancelled: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    finished: threading.Event = field(default_factory=threading.Event)

    def is_expired(self) -> bool:
        return self.expired

    def is_cancelled(self) -> bool:
        return self.cancelled

    def finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.finished.set()

    def outcome(self) -> Outcome:
        assert self.finished.wait(PATIENCE)
        (outcome,) = self.outcomes
        return outcome


METHODS = prediction_pb2.DESCRIPTOR.services_by_name["PredictionService"].methods_by_name


def rpc(
    prepare: Any = prepare_predict, reply: Any = reply_predict, name: str = "Predict"
) -> Rpc[Any]:
    return Rpc(METHODS[name], prepare, reply)


BODY = PredictRequest(text="good").SerializeToString()


@pytest.fixture
def pipeline(bundle: Bundle) -> Iterator[Pipeline]:
    made = Pipeline(1, BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**6), Access(None))
    made.open(Serving(Registry([bundle]), RequestLimits(1000, 10, 10**6), "test"))
    yield made
    made.close()


def send(pipeline: Pipeline, call: Call, rpc: Rpc[Any], body: bytes = BODY) -> Message:
    return pipeline.submit(rpc, call, pipeline.begin(rpc, call), body, call.finish)


def never(*_: Any) -> Any:
    raise AssertionError("must not be called")


def test_a_call_is_answered(pipeline: Pipeline) -> None:
    call = Call()
    send(pipeline, call, rpc())
    outcome = call.outcome()
    assert isinstance(outcome, bytes)
    assert PredictResponse.FromString(outcome).served_by.model == "imdb"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Call(expired=True), code_pb2.DEADLINE_EXCEEDED),
        (Call(cancelled=True), code_pb2.CANCELLED),
    ],
)
def test_what_nobody_waits_for_is_not_even_parsed(
    pipeline: Pipeline, call: Call, code: int
) -> None:
    send(pipeline, call, rpc(never, never), b"\xff")
    outcome = call.outcome()
    assert isinstance(outcome, Fault)
    assert outcome.code == code


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda call: setattr(call, "expired", True), code_pb2.DEADLINE_EXCEEDED),
        (lambda call: setattr(call, "cancelled", True), code_pb2.CANCELLED),
    ],
)
def test_what_is_abandoned_while_it_waits_is_not_computed(
    pipeline: Pipeline, leave: Callable[[Call], None], code: int
) -> None:
    call = Call()

    def prepare(serving: Serving, request: Any) -> Plan:
        leave(call)  # after the check, before a compute thread takes it
        return prepare_predict(serving, request)

    send(pipeline, call, rpc(prepare, never))
    outcome = call.outcome()
    assert isinstance(outcome, Fault)
    assert outcome.code == code


@pytest.mark.parametrize("where", ["prepare", "reply"])
def test_a_bug_is_a_fixed_sentence_with_an_id_and_the_next_call_works(
    pipeline: Pipeline, where: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the secret of the database")

    call = Call()
    send(pipeline, call, rpc(broken) if where == "prepare" else rpc(reply=broken))
    outcome = call.outcome()
    assert isinstance(outcome, Fault)
    assert outcome.code == code_pb2.INTERNAL
    assert outcome.message.startswith("internal error; the server's log has more under the id ")
    assert "secret" not in outcome.message
    after = Call()
    send(pipeline, after, rpc())
    assert isinstance(after.outcome(), bytes)


class Json:
    """Protobuf's JSON form."""

    def decode(self, request: Any, body: bytes, most: int) -> Any:  # noqa: ARG002, for few
        try:
            return json_format.Parse(body, request())
        except json_format.ParseError as error:
            raise InvalidArgument([Violation("(request)", str(error))]) from error

    def encode(self, response: Any) -> bytes:
        return json_format.MessageToJson(response).encode()


def test_another_protocol_is_another_codec_on_the_call(pipeline: Pipeline) -> None:
    good, bad = Call(codec=Json()), Call(codec=Json())
    send(pipeline, good, rpc(), b'{"text": "good"}')
    answer = good.outcome()
    assert isinstance(answer, bytes)
    assert json.loads(answer)["prediction"]["label"] == "positive"
    send(pipeline, bad, rpc(), b'{"text": ')
    fault = bad.outcome()
    assert isinstance(fault, InvalidArgument)


def test_a_probe_is_answered_while_loading_and_while_draining(bundle: Bundle) -> None:
    ready = []

    def prepare(serving: Serving, _: Any) -> Plan:
        ready.append(serving.is_ready)
        return Plan()

    probe = replace(rpc(prepare, lambda *_: PredictResponse()), lane=Lane.PROBE)
    made = Pipeline(1, BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**6), Access(None))
    serving = Serving(Registry([bundle]), RequestLimits(1000, 10, 10**6), "test")
    try:
        steps: list[Callable[[], None]] = [lambda: None, lambda: made.open(serving), made.drain]
        for step in steps:
            step()
            call = Call()
            send(made, call, probe)
            assert call.outcome() == b""
        assert ready == [False, True, False]
        with pytest.raises(Unavailable, match="shutting down"):
            made.begin(rpc(), Call())
    finally:
        made.close()


def test_a_reload_that_ends_while_draining_lets_no_call_in_again(
    pipeline: Pipeline, bundle: Bundle
) -> None:
    pipeline.drain()
    pipeline.open(Serving(Registry([bundle]), RequestLimits(1000, 10, 10**6), "test"))
    with pytest.raises(Unavailable, match="shutting down"):
        pipeline.begin(rpc(), Call())


def test_a_flush_comes_after_every_outcome_on_whatever_thread(pipeline: Pipeline) -> None:
    finished: list[int] = []
    flushed = threading.Semaphore(0)

    def without_items(serving: Serving, request: Any) -> Plan:
        return replace(prepare_predict(serving, request), items=())

    here = rpc(without_items, lambda *_: PredictResponse())
    calls = [Call(), Call(cancelled=True), Call(), Call()]
    rpcs = [rpc(), rpc(), here, replace(here, small=0)]  # on a compute, this, another thread

    def flush() -> None:
        finished.append(sum(bool(call.outcomes) for call in calls))
        flushed.release()

    pipeline.flush_with(flush)
    for count, call in enumerate(calls, 1):
        send(pipeline, call, rpcs[count - 1])
        call.outcome()
        for _ in range(10):  # one more than needed may come, at the end of preparing
            assert flushed.acquire(timeout=PATIENCE)
            if finished[-1] == count:
                break
        assert finished[-1] == count


LARGE = PredictRequest(text="good " * 1000).SerializeToString()


def narrow(bundle: Bundle, memory: int) -> Pipeline:
    made = Pipeline(
        1, BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**6), Access(None), memory=memory
    )
    made.open(Serving(Registry([bundle]), RequestLimits(10**6, 10, 10**8), "test"))
    return made


def test_a_source_is_refused_beyond_its_share_before_it_is_read_and_others_are_not(
    bundle: Bundle,
) -> None:
    made = narrow(bundle, memory=40_000)
    entered, go_on = threading.Event(), threading.Event()

    def prepare(serving: Serving, request: Any) -> Plan:
        entered.set()
        assert go_on.wait(PATIENCE)
        return prepare_predict(serving, request)

    busy = Call(peer="ipv4:10.0.0.1:1")
    try:
        first = send(made, busy, rpc(prepare), LARGE)  # takes more than half of the memory
        assert entered.wait(PATIENCE)
        refused, other = Call(peer="ipv4:10.0.0.1:1"), Call(peer="ipv4:10.0.0.2:2")
        send(made, refused, rpc(never, never), LARGE)
        outcome = refused.outcome()
        assert isinstance(outcome, QueueFull)
        assert outcome.retry_seconds > 0
        second = send(made, other, rpc())
        assert isinstance(other.outcome(), bytes)
    finally:
        go_on.set()
    assert isinstance(busy.outcome(), bytes)
    first.release()
    second.release()
    made.close()


@pytest.mark.parametrize("characters", [10**6, 1000], ids=["answered", "too long"])
def test_memory_is_given_back_once_a_message_is_finished_and_its_answer_sent(
    bundle: Bundle, characters: int
) -> None:
    made = narrow(bundle, memory=40_000)
    made.open(Serving(Registry([bundle]), RequestLimits(characters, 10, 10**8), "test"))
    before, after = Call(), Call()
    message = send(made, before, rpc(), LARGE)
    assert isinstance(before.outcome(), bytes) == (characters > 1000)
    refused = Call()
    send(made, refused, rpc(never, never), LARGE)
    assert isinstance(refused.outcome(), QueueFull)
    message.release()
    send(made, after, rpc(), LARGE)
    assert not isinstance(after.outcome(), QueueFull)
    made.close()


def test_callers_on_a_unix_socket_are_a_source_each(bundle: Bundle) -> None:
    made = narrow(bundle, memory=40_000)
    calls = [Call(peer="unix:"), Call(peer="unix:")]
    send(made, calls[0], rpc(), LARGE)
    assert isinstance(calls[0].outcome(), bytes)
    send(made, calls[1], rpc())  # beside what the first still holds
    assert isinstance(calls[1].outcome(), bytes)
    made.close()


def test_a_fault_holds_no_request(pipeline: Pipeline) -> None:
    kept: list[Any] = []

    def prepare(*_: Any) -> Plan:
        in_the_frame = Call()
        kept.append(weakref.ref(in_the_frame))
        raise NotFound("no such thing")

    call = Call()
    send(pipeline, call, rpc(prepare), LARGE)
    outcome = call.outcome()
    assert isinstance(outcome, NotFound)
    wait_for(lambda: kept[0]() is None)


def test_what_may_be_far_too_many_is_not_parsed(pipeline: Pipeline) -> None:
    body = BatchPredictRequest(texts=[""] * 2_000_000).SerializeToString()
    call = Call()
    send(pipeline, call, rpc(never, never, "BatchPredict"), body)
    outcome = call.outcome()
    assert isinstance(outcome, InvalidArgument)
    assert outcome.violations[0].field == "texts"


def test_a_server_that_drains_refuses_and_finishes(pipeline: Pipeline) -> None:
    calls = [Call() for _ in range(20)]
    for call in calls:
        send(pipeline, call, rpc())
    pipeline.drain()
    with pytest.raises(Unavailable, match="shutting down"):
        pipeline.begin(rpc(), Call())
    assert all(isinstance(call.outcome(), bytes) for call in calls)


def test_a_server_that_loads_refuses() -> None:
    made = Pipeline(1, BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**6), Access(None))
    with pytest.raises(Unavailable, match="is loading its models"):
        made.begin(rpc(), Call())
    made.close()


def test_items_of_two_bundles_in_one_batch_are_each_computed_by_their_own(bundle: Bundle) -> None:
    twin = Bundle.load(default_bundle(), "int8")  # other answers to the same ids
    encodings = [bundle.tokenizer.encode(text) for text in ("a good film", "a dull mess")]
    ids = [encoding.ids for encoding in encodings]
    graphs = [(each, each.graph_of("probabilities")) for each in (bundle, twin)]
    items = [Item(graph, text, ("probabilities",)) for text in encodings for _, graph in graphs]
    found = iter(run(items))
    for row in range(2):
        for each, _ in graphs:
            (probabilities,) = next(found)
            assert probabilities.tolist() == each.run_batch(ids).probabilities[row].tolist()


def test_items_name_the_outputs_that_they_want_and_share_a_batch(bundle: Bundle) -> None:
    text = bundle.tokenizer.encode("a good film")
    graph, steps = bundle.graph_of("hidden"), bundle.graph_of("steps")
    alone = bundle.run_batch([text.ids])
    found = run(
        [
            Item(graph, text, ("hidden",)),
            Item(steps, text, ("steps",)),
            Item(graph, text, ("probabilities", "hidden")),
        ]
    )
    wanted = [[alone.hidden[0]], [bundle.run_steps(text.ids)]]
    wanted.append([alone.probabilities[0], alone.hidden[0]])
    assert [[each.tobytes() for each in row] for row in found] == [
        [each.tobytes() for each in row] for row in wanted
    ]
