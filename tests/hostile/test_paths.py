"""Headers that no client sends: none ends a server, nor a call or stream of anybody else.

make nightly-hostile       the same with a million of them and of messages and frames
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest
from frames import HEALTH, PREDICT, Asked, Conversation, Headers, call_headers, message
from neighbours import neighbour
from sentido_bundle import Bundle
from victims import Victim, in_process, over_the_wire, victim

TOGETHER = 64  # calls that are sent at once on a connection
CONNECTIONS = 8  # gRPC's core takes up to a second to answer headers that it refuses
PSEUDO = (b":method", b":scheme", b":path", b":authority")
NAMES = (
    *(b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding"),
    *(b"authorization", b"traceparent", b"x-bin", b"grpc-status", b"grpc-message", b"host"),
    *(b"connection", b"transfer-encoding", b"content-length", b"cookie", b"upgrade", b":status"),
    *(b":protocol", b":unknown", b"", b"X-Upper", b"a b", b"\xff", b"grpc-previous-rpc-attempts"),
)
VALUES = (
    *(b"", b"\0", b"\r\n", b"a\r\nb: c", b"\x96", b"\xff\xfe", b"\xc3\xa9", b" ", b"\t", b"%00"),
    *(b"gzip", b"deflate", b"snappy", b"1S", b"0n", b"99999999H", b"-1S", b"1", b"S", b"9" * 30),
    *(b"GET", b"PUT", b"CONNECT", b"*", b"/", b"//", b"/a", b"/a/b/c", b"/sentido.v1.\x96/Predict"),
    *(b"http", b"https", b"unix", b"application/grpc+json", b"text/html", b"00-0-0-0", b"Bearer "),
    *(b"x" * 200, b"x" * 4000, b"x" * 17_000, b"x" * 70_000, b"/" * 3000, b"=" * 100, b"\x80" * 90),
)


@pytest.fixture(scope="module")
def attacked(transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("paths"), "--transport", transport) as attacked:
        yield attacked


@pytest.fixture(params=["main", "health"])
def port(request: pytest.FixtureRequest, attacked: Victim) -> tuple[str, Asked]:
    """An address, and a call that is answered there."""
    if request.param == "main":
        return attacked.address, PREDICT
    return attacked.health, HEALTH


def changed(headers: Headers, name: bytes, value: bytes) -> Headers:
    return [(old, value if old == name else kept) for old, kept in headers]


def one_by_one(good: Headers) -> Iterator[Headers]:
    """Every byte at every place, and all that is missing, doubled, empty or long."""
    for byte in range(256):
        odd = bytes((byte,))
        for name in PSEUDO:
            value = dict(good)[name]
            yield changed(good, name, value[:-3] + odd + value[-3:])
        yield [*good, (b"x-" + odd, b"value")]
        yield [*good, (b"x-name", b"val" + odd + b"ue")]
    for name, value in good:
        yield [pair for pair in good if pair[0] != name]
        yield [*good, (name, value)]
        yield from (changed(good, name, odd) for odd in VALUES)
    yield []
    yield good[::-1]


def at_random(good: Headers, random: Random) -> Headers:
    """Headers spoiled in one to three ways."""
    headers = list(good)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(len(headers)) if headers else 0
        match random.randrange(6 if headers else 1):
            case 0:
                headers.insert(at, (random.choice((*NAMES, *PSEUDO)), random.choice(VALUES)))
            case 1:
                del headers[at]
            case 2:
                headers.append(headers[at])
            case 3:
                headers[at] = (headers[at][0], random.choice(VALUES))
            case 4:
                name, value = headers[at]
                headers[at] = (name, spoiled(value, random))
            case 5:
                name, value = headers[at]
                headers[at] = (spoiled(name, random), value)
    return headers


def spoiled(text: bytes, random: Random) -> bytes:
    """Replace, insert or take away some bytes."""
    at = random.randrange(len(text) + 1)
    new = random.randbytes(random.choice((0, 1, 1, 3)))
    return text[:at] + new + text[at + random.choice((0, 1, 1, 5)) :]


def attack(address: str, asked: Asked, tried: Sequence[Headers]) -> Counter[str]:
    """Send calls with these headers, and behind them one that must be answered.

    It is, unless the connection is closed: then those before are tried apart.
    """
    with Conversation(address) as old, Conversation(address) as new:
        streams = [old.call(headers, message(asked.body)) for headers in tried]
        assert new.ask(asked).code == "OK", f"on a new connection, after {tried}"
        after = old.ask(asked).code
        assert after in ("OK", "closed"), f"on the same connection, after {tried}"
        old.wait(streams)
        codes = [old.outcome(stream).code for stream in streams]
    assert not {"2", "waits"} & set(codes), dict(zip(codes, tried, strict=True))
    if "closed" in codes and len(tried) > 1:
        half = len(tried) // 2
        return attack(address, asked, tried[:half]) + attack(address, asked, tried[half:])
    return Counter(codes)


def test_a_path_that_is_not_utf8_ends_nothing(port: tuple[str, Asked], attacked: Victim) -> None:
    address, asked = port
    service, _, method = asked.path[1:].partition("/")
    paths = [b"/" + service.encode() + b"\x96" + method.encode(), b"\xff", b"/\xc3\x28/\x80"]
    with Conversation(address) as old, neighbour(attacked) as beside:
        assert old.ask(asked).code == "OK"
        for path in paths:
            for sent in (message(asked.body), None):
                with Conversation(address) as raw:
                    assert raw.ask(asked).code == "OK"
                    stream = raw.call(changed(call_headers(asked.path), b":path", path), sent)
                    raw.wait([stream])
                    assert raw.outcome(stream).code != "waits"
                with Conversation(address) as new:
                    assert new.ask(asked).code == "OK"
                assert old.ask(asked).code == "OK"
                beside.check()


def test_no_headers_end_a_server_or_a_neighbour(
    port: tuple[str, Asked],
    attacked: Victim,
    pytestconfig: pytest.Config,
    figures: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    address, asked = port
    good = call_headers(asked.path)
    count = pytestconfig.getoption("--hostile-requests")
    every = [*one_by_one(good), *(at_random(good, Random(n)) for n in range(count // 10))]
    parts = [every[first : first + TOGETHER] for first in range(0, len(every), TOGETHER)]
    with neighbour(attacked) as beside, ThreadPoolExecutor(CONNECTIONS) as pool:
        outcomes = sum(pool.map(partial(attack, address, asked), parts), Counter[str]())
    what = f"{outcomes.total():,} odd headers, {request.node.callspec.id}"
    figures[what] = f"{dict(outcomes.most_common())}, beside {beside.calls:,} calls"


def test_afterwards_the_server_answers_to_the_bit(attacked: Victim, bundle: Bundle) -> None:
    assert attacked.process.poll() is None
    assert over_the_wire(attacked.address) == in_process(bundle)
    attacked.check_log()
