"""Messages and frames that no client sends: documented statuses, and a server as it was before.

make nightly-hostile       the same with a million of them and of headers
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from frames import CANCEL, PREDICT, RST_STREAM, Conversation, call_headers, frame, message
from google.protobuf.message import Message
from google.rpc import status_pb2
from neighbours import neighbour
from sentido.v1 import common_pb2, embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2
from sentido_bundle import Bundle
from sentido_server.app import RPCS
from spoiling import conversation, spoiled_frames, spoiled_framing, spoiled_message
from victims import TEXTS, Usage, Victim, in_process, over_the_wire, victim
from waiting import wait_for

TOGETHER = 32  # calls that are sent at once on a connection
CONNECTIONS = 4

HIDDEN, MEAN = embedding_pb2.EMBEDDING_KIND_HIDDEN, embedding_pb2.EMBEDDING_KIND_MEAN
STEPS = embedding_pb2.TOKEN_EMBEDDING_KIND_HIDDEN
KEEP_LAST = common_pb2.TRUNCATION_KEEP_LAST
MODEL = common_pb2.ModelSelector(name="imdb", version="")
GOOD: dict[str, Message] = {
    "Predict": prediction_pb2.PredictRequest(text=TEXTS[2], model=MODEL),
    "BatchPredict": prediction_pb2.BatchPredictRequest(
        texts=TEXTS, truncation=KEEP_LAST, model=MODEL
    ),
    "StreamPredict": prediction_pb2.StreamPredictRequest(texts=TEXTS, model=MODEL),
    "Embed": embedding_pb2.EmbedRequest(text=TEXTS[3], kind=MEAN, normalize=True),
    "BatchEmbed": embedding_pb2.BatchEmbedRequest(texts=TEXTS, kind=HIDDEN, model=MODEL),
    "StreamEmbed": embedding_pb2.StreamEmbedRequest(texts=TEXTS, truncation=KEEP_LAST),
    "EmbedTokens": embedding_pb2.EmbedTokensRequest(text=TEXTS[3], kind=STEPS, model=MODEL),
    "LookupWords": embedding_pb2.LookupWordsRequest(words=["good", "zzxqv"], model=MODEL),
    "FindNearestWords": embedding_pb2.FindNearestWordsRequest(word="good", limit=5),
    "GetServerInfo": model_pb2.GetServerInfoRequest(),
    "ListModels": model_pb2.ListModelsRequest(),
    "GetModel": model_pb2.GetModelRequest(name="imdb"),
    "ReloadModel": model_pb2.ReloadModelRequest(name="imdb"),
    "Tokenize": tokenizer_pb2.TokenizeRequest(text=TEXTS[4], model=MODEL),
    "Detokenize": tokenizer_pb2.DetokenizeRequest(token_ids=[1, 2], model=MODEL),
}
CALLS = [(f"/{rpc.path}", GOOD[rpc.name].SerializeToString()) for rpc in RPCS]
CALLS.append(("/grpc.health.v1.Health/Check", b"\x0a\x00"))

# What a whole message may be answered with; one of those that are refused says why.
# INVALID_ARGUMENT to FAILED_PRECONDITION: a spoiled message may ask for logits, which are missing.
ANSWERED = {"OK", "3", "5", "7", "8", "9"}
# What broken framing may end with besides: gRPC's own words, or nothing until the deadline.
BROKEN = ANSWERED | {"1", "4", "12", "13", "reset", "closed", "waits"}


@pytest.fixture(scope="module")
def attacked(transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("messages"), "--transport", transport) as attacked:
        yield attacked


@pytest.fixture(scope="module")
def before(attacked: Victim) -> Usage:
    """What the server takes once it has answered some calls."""
    for seed in range(20):
        send_messages(attacked.address, seed)
    wait_for(lambda: attacked.in_flight() == 0)
    return attacked.usage()


def check_status(details: bytes, code: str) -> None:
    """See that the status that explains a refusal says the same as its code."""
    if details:
        unpacked = b64decode(details + b"=" * (-len(details) % 4))
        assert str(status_pb2.Status.FromString(unpacked).code) == code


def send_messages(address: str, seed: int) -> Counter[str]:
    """Send some whole messages, each as a call of its own; all are answered."""
    random = Random(seed)
    with Conversation(address) as raw:
        sent = []
        for _ in range(TOGETHER):
            path, body = random.choice(CALLS)
            spoiled = spoiled_message(body, random)
            sent.append((raw.call(call_headers(path), message(spoiled)), path, spoiled))
        raw.wait(stream for stream, _, _ in sent)
        codes: Counter[str] = Counter()
        for stream, path, spoiled in sent:
            outcome = raw.outcome(stream)
            assert outcome.code in ANSWERED, f"{outcome} to {path} {spoiled[:200]!r}"
            assert "Traceback" not in outcome.message, outcome
            check_status(outcome.details, outcome.code)
            codes[outcome.code] += 1
        return codes


def send_framing(address: str, seed: int) -> Counter[str]:
    """Send framing that lies, and behind it a call that must be answered."""
    random = Random(seed)
    with Conversation(address) as raw:
        streams = []
        for _ in range(TOGETHER):
            path, body = random.choice(CALLS)
            data, more = spoiled_framing(body, random)
            headers = call_headers(path, (b"grpc-timeout", b"300m"), *more)
            streams.append(raw.call(headers, data, ends=random.random() < 0.8))
        after = raw.ask(PREDICT)
        assert after.code in ("OK", "closed"), after
        raw.wait(streams, seconds=1.0)
        outcomes = [raw.outcome(stream) for stream in streams]
        for stream, outcome in zip(streams, outcomes, strict=True):
            assert outcome.code in BROKEN, outcome
            if outcome.code == "waits":
                raw.send(frame(RST_STREAM, 0, stream, CANCEL))
        return Counter(outcome.code for outcome in outcomes)


def send_frames(address: str, seed: int) -> Counter[str]:
    """Send a conversation that is spoiled, then nothing more: the server closes."""
    random = Random(seed)
    path, body = random.choice(CALLS)
    frames = conversation(call_headers(path), body)
    with Conversation(address, frames=spoiled_frames(frames, random)) as raw:
        if random.random() < 0.5:
            raw.wait([1], seconds=0.05)
        raw.finish()
        return Counter([raw.outcome(1).code])


KINDS = [("messages", send_messages, 5, TOGETHER), ("framing", send_framing, 5, TOGETHER)]
KINDS.append(("frames", send_frames, 10, 1))


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(("what", "send", "part", "size"), KINDS, ids=[kind[0] for kind in KINDS])
def test_what_no_client_sends_ends_as_is_written(
    what: str,
    send: Callable[[str, int], Counter[str]],
    part: int,
    size: int,
    attacked: Victim,
    transport: str,
    pytestconfig: pytest.Config,
    figures: dict[str, str],
) -> None:
    count = pytestconfig.getoption("--hostile-requests") // part
    seeds = range(1000, 1000 + count // size)

    def seeded(seed: int) -> Counter[str]:
        try:
            return send(attacked.address, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error

    with neighbour(attacked) as beside, ThreadPoolExecutor(CONNECTIONS) as pool:
        outcomes = sum(pool.map(seeded, seeds), Counter[str]())
    assert attacked.process.poll() is None
    figures[f"{outcomes.total():,} {what}, {transport}"] = (
        f"{dict(outcomes.most_common())}, beside {beside.calls:,} calls"
    )


def test_afterwards_everything_is_given_back_and_answers_are_right_to_the_bit(
    attacked: Victim, before: Usage, bundle: Bundle, transport: str, figures: dict[str, str]
) -> None:
    attacked.wait_until_idle(before)
    after = attacked.usage()
    figures[f"memory before and after all that, {transport}"] = f"{before} {after}"
    assert over_the_wire(attacked.address) == in_process(bundle)
    attacked.check_log()
