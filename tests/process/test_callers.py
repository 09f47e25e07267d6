"""Programs that call, in processes of their own: forks, proxies, event loops, interrupts."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from conftest import BIN
from sentido_client import Client, SentidoError
from waiting import PATIENCE

FORK = """
import os, signal, sys, threading
from sentido_client import Client, SentidoError

address, what = sys.argv[1:]
client = Client(address, timeout=20)
client.predict("good")
held = threading.Event()

def texts():
    yield "good"
    held.wait()

if what != "call":
    answers = client.predict(texts())
    next(answers)
child = os.fork()
if child == 0:
    signal.alarm(60)  # a call that hangs ends the process
    try:
        if what == "stream":
            next(answers)
        elif what == "new":
            client = Client(address, timeout=20)
        print("child", client.predict("good").label)
    except SentidoError as error:
        print(type(error).__name__, error)
    client.close()
    sys.exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print("parent", code, client.predict("good").label, flush=True)
held.set()
"""


def ran(program: str, *arguments: str, **variables: str) -> str:
    """Run a Python program that has nothing to say on standard error; return what it prints."""
    result = subprocess.run(
        # From 3.12 on Python warns of every fork beside threads.
        [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **variables},
    )
    assert (result.stderr, result.returncode) == ("", 0)
    return result.stdout


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("call", "child positive"),
        ("new", "child positive"),
        ("stream", "CallCancelledError this process was forked from the one that has the stream"),
        ("same", "CallCancelledError this process was forked while the client had a stream open"),
    ],
)
def test_a_child_calls_anew_or_is_told_that_a_stream_was_open(
    address: str, what: str, said: str
) -> None:
    child, parent = ran(FORK, address, what).splitlines()
    assert child.startswith(said)
    assert parent == "parent 0 positive"


LOOPS = """
import asyncio, sys
from sentido_client import AsyncClient

client = AsyncClient(sys.argv[1])
print(asyncio.run(client.predict("good")).label)
for ask in (lambda: client.predict("good"), lambda: client.limits(), lambda: anext(stream())):
    async def main():
        return await ask()
    async def stream():
        async for answer in client.predict(iter(["good"])):
            yield answer
    try:
        asyncio.run(main())
    except RuntimeError as error:
        print(error)

async def again():
    await client.close()
    async with client:
        print((await client.predict("good")).label)

asyncio.run(again())
"""


def test_an_async_client_says_that_it_is_another_event_loops(address: str) -> None:
    first, *refused, last = ran(LOOPS, address).splitlines()
    assert (first, last) == ("positive", "positive")
    assert len(refused) == 3
    assert all(
        line.startswith("this AsyncClient belongs to the event loop of its first call")
        for line in refused
    )


ASYNC_FORK = """
import asyncio, os, signal, sys
from sentido_client import AsyncClient

address, is_closed = sys.argv[1], sys.argv[2:]
client = AsyncClient(address, timeout=20)

async def before():
    await client.predict("good")
    if is_closed:
        await client.close()

async def after():
    for each in (client, AsyncClient(address, timeout=20)):
        for call in (lambda: each.predict("good"), each.health):
            try:
                print(type(await call()).__name__)
            except RuntimeError as error:
                print(error)
        await each.close()

asyncio.run(before())
child = os.fork()
if child == 0:
    signal.alarm(60)
    asyncio.run(after())
    sys.exit(0)
print("parent", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("closed", [[], ["closed"]], ids=["open", "closed"])
def test_a_child_is_told_that_an_async_client_was_used(address: str, closed: list[str]) -> None:
    *said, parent = ran(ASYNC_FORK, address, *closed).splitlines()
    assert len(said) == 4
    assert all(line.startswith("this ") for line in said)
    assert "forked after an AsyncClient was used" in said[-1]
    assert parent == "parent 0"


ASK = """
import sys
from sentido_client import Client, SentidoError

try:
    client = Client(sys.argv[1], timeout=20)
    print(client.predict("good").label if sys.argv[2:] else client.health())
except SentidoError as error:
    print(error)
"""


PROXIES = {"https_proxy": "http://user:secret@127.0.0.1:1", "no_proxy": ""}


def test_a_proxy_is_not_used_on_this_machine(address: str) -> None:
    port = address.rpartition(":")[2]
    for near in (address, f"localhost:{port}", f"dns:///localhost:{port}"):
        assert ran(ASK, near, **PROXIES) == "SERVING\n"
    assert ran(ASK, address, "predict", **PROXIES) == "positive\n"


def test_a_proxy_that_fails_is_named_by_its_variable() -> None:
    said = ran(ASK, "far.example:50051", **PROXIES)
    assert "the proxy in https_proxy; to go past it, name the host in no_proxy" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        ("http://{}", True),
        ("http://user:secret@{}/path", True),
        ("http://{}?a=b", True),
        ("nonsense-secret", False),
        ("{}", False),
        ("secret:1", False),
        ("https://secret@{}", False),
        ("HTTP://{}", True),
        ("socks5://{}", False),
        ("http://", False),
        ("http:{}", False),
        ("", False),
    ],
)
def test_an_error_says_whether_there_was_a_proxy_as_grpc_does(
    value: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging_up() as (proxy, callers):
        monkeypatch.setenv("grpc_proxy", value.format(proxy))
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_grpc_proxy", "")
        monkeypatch.setenv("no_proxy", ".invalid")
        with Client("nosuch.invalid:1", timeout=20) as client, pytest.raises(SentidoError) as said:
            client.health()
    assert bool(callers) == is_taken
    assert "secret" not in str(said.value)
    if is_taken:
        assert "(by the proxy in grpc_proxy; " in str(said.value)
    elif value:
        words = " (without a proxy: what grpc_proxy holds is not http://host:port)"
        assert str(said.value).endswith(f": its name has no address{words}")
    else:
        assert str(said.value).endswith(": its name has no address")


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[object]]]:
    """Give the address of one who hangs up on every caller, and the list of these."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    caller, address = listening.accept()
                    caller.close()
                    callers.append(address)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", callers
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def test_grpc_itself_says_nothing_to_a_user() -> None:
    # A name that has no address, nobody, a socket that is none: gRPC has a line for some of these.
    for address, words in (
        ("nosuch.invalid:1", "its name has no address"),
        (
            "127.0.0.1:1",
            "nobody listens there (connection refused); start one with: sentido-server",
        ),
        ("unix:/nosuch/socket", "there is no such socket; start one with: sentido-server"),
    ):
        said = ran(ASK, address, *["predict"] * (address == "127.0.0.1:1"))
        assert said.startswith(f"no server is ready at {address}: {words}")
        assert "last error" not in said


def test_grpc_says_what_it_is_asked_to_and_leaves_the_environment_alone() -> None:
    program = "import sentido_client, os; print(os.environ.get('GRPC_VERBOSITY'))"
    assert ran(program) == "None\n"
    assert ran(program, GRPC_VERBOSITY="ERROR") == "ERROR\n"


def test_an_interrupt_ends_the_command_with_130_and_a_sentence(address: str) -> None:
    command = [str(BIN / "sentido"), "predict", "--address", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("good\n")
        process.stdin.flush()
        process.stdout.readline()  # it works, and waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == "sentido: interrupted"
        process.stdin.close()


def test_an_interrupt_while_the_command_is_imported_is_a_sentence_too(address: str) -> None:
    program = "import sys; from sentido_command import main; sys.exit(main())"
    command = [sys.executable, "-X", "importtime", "-c", program, "predict", "--address", address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith(" numpy.version\n"):
                break
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("\nsentido: interrupted\n")
        assert process.wait(PATIENCE) == 130
