"""The system has no more threads: what is served goes on, and what is new is refused in words."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.request import urlopen

import pytest
from conftest import config, running, running_server
from frames import HEALTH, PREDICT, Asked, Conversation
from waiting import PATIENCE

STREAM = Asked("/sentido.v1.PredictionService/StreamPredict", b"")
WATCH = Asked("/grpc.health.v1.Health/Watch", b"")
REFLECTION = Asked("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"")
TOO_LARGE = 1 << 46  # bytes of a thread's stack, which no system has


@contextmanager
def no_threads() -> Iterator[None]:
    """Let Python start no thread in the block."""
    before = threading.stack_size(TOO_LARGE)
    try:
        with pytest.raises(RuntimeError):
            threading.Thread(target=print).start()
        yield
    finally:
        threading.stack_size(before)


def test_calls_are_answered_and_streams_refused_without_a_thread_more(transport: str) -> None:
    """From the first call on: no thread of calls is left of earlier ones."""
    settings = config(
        transport=transport, health_listen="127.0.0.1:0", metrics_listen="127.0.0.1:0"
    )
    with running_server(settings) as server:
        assert server.health_address
        addresses = (server.address, server.health_address)
        with Conversation(addresses[0]) as main, Conversation(addresses[1]) as probes:
            with no_threads():
                for _ in range(2):
                    assert main.ask(PREDICT).code == "OK"
                    for raw in (main, probes):
                        assert raw.ask(HEALTH).code == "OK"
                        refused = raw.ask(WATCH)
                        assert (refused.code, refused.message[:29]) == (
                            "8",
                            "the server has no more thread",
                        )
                    for asked in (STREAM, REFLECTION):
                        assert main.ask(asked).code == "8"
                with urlopen(f"http://{server.metrics_address}/metrics", timeout=PATIENCE) as page:
                    assert b"sentido_calls_in_flight 0" in page.read()
            assert main.ask(STREAM).code != "8"


def test_a_server_stops_without_a_thread_more(transport: str) -> None:
    serving = ExitStack()
    address = serving.enter_context(running(config(transport=transport)))
    with Conversation(address) as raw:
        assert raw.ask(PREDICT).code == "OK"
        with no_threads():
            serving.close()
        raw.finish()
    with pytest.raises(ConnectionRefusedError):
        Conversation(address)


def test_a_server_that_gets_no_thread_says_so_in_one_line() -> None:
    program = (
        f"import threading; threading.stack_size({TOO_LARGE});"
        "from sentido_server.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "--listen=127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    assert "no more threads" in ended.stderr
    assert "Traceback" not in ended.stderr
