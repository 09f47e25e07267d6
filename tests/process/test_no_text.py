"""No text of a request is in what a server writes, whatever becomes of the call."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
from conftest import raw_stream, raw_unary
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from processes import SERVER
from sentido_server import log
from sentido_server.app import RPCS

CANARY = "zyxcanaryqv"


def filled(message: Message, text: str, names: str) -> Message:
    """Set every text of a message, and every name of a model if `names` is not empty."""
    for field in message.DESCRIPTOR.fields:
        value = names if message.DESCRIPTOR.name == "ModelSelector" else text
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if not field.is_repeated:
                filled(getattr(message, field.name), text, names)
        elif field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                getattr(message, field.name).extend([value, "good", value])
            else:
                setattr(message, field.name, value)
        elif field.type == FieldDescriptor.TYPE_INT32 and field.is_repeated:
            getattr(message, field.name).append(3)
        elif field.type == FieldDescriptor.TYPE_INT32:
            setattr(message, field.name, 3)
    return message


def bodies(rpc: Any) -> list[bytes]:
    """Requests of all kinds: good, over a limit, of no model, not UTF-8, of no message."""
    found = []
    for text in (CANARY, f"{CANARY} " * 400, "x" + f"{CANARY} " * 1000):
        for names in ("", CANARY):
            found.append(filled(rpc.request(), text, names).SerializeToString())
    broken = found[0].replace(b"canary", b"can\xffry")
    return [*found, broken, found[0] + b"\xff", CANARY.encode(), found[0][:-2]]


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """What receives spans, and the bytes that it has received."""
    received: list[bytes] = []

    def export(body: bytes, _: Any) -> bytes:
        received.append(body)
        return b""

    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    handlers: dict[str, Any] = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    listening = grpc.server(ThreadPoolExecutor(2))
    listening.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = listening.add_insecure_port("127.0.0.1:0")
    listening.start()
    yield f"http://127.0.0.1:{port}", received
    listening.stop(None).wait()


def said(line: str, name: str) -> str:
    """An address in a line of the log, of either format."""
    found = re.search(rf'\b{name}"?[=:] ?"?(127\.0\.0\.1:\d+)', line)
    assert found is not None, line
    return found[1]


def call_everything(address: str) -> set[str]:
    """Send every request of every RPC, with time to answer and without; give the codes."""
    codes = set()
    with grpc.insecure_channel(address) as channel:
        for rpc in RPCS:
            for body in bodies(rpc):
                for timeout in (10, 0.0001):
                    try:
                        if rpc.streaming:
                            list(raw_stream(channel, f"/{rpc.path}")(iter([body]), timeout=timeout))
                        else:
                            raw_unary(channel, f"/{rpc.path}")(body, timeout=timeout)
                        codes.add("OK")
                    except grpc.RpcError as error:
                        codes.add(error.code().name)
    return codes


def answered(process: "subprocess.Popen[str]") -> tuple[str, set[str], str]:
    """Call everything and stop the server; return its log, the codes, and its metrics."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(r"\bserving\b", line):
            break
    codes = call_everything(said(lines[-1], "address"))
    with urlopen(f"http://{said(lines[-1], 'metrics')}/metrics") as response:
        metrics = response.read().decode()
    process.send_signal(signal.SIGTERM)
    return "".join([*lines, process.stdout.read()]), codes, metrics


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_text_is_in_logs_metrics_or_spans_of_any_rpc(log_format: str, transport: str) -> None:
    flags = ["--transport", transport, "--log-format", log_format, "--max-text-characters", "9000"]
    with collector() as (endpoint, spans):
        command = [SERVER, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", *flags]
        with subprocess.Popen(
            [*command, "--otlp-endpoint", endpoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "GRPC_VERBOSITY": "DEBUG"},
        ) as process:
            try:
                log, codes, metrics = answered(process)
            finally:
                process.kill()  # else a test that fails would wait for it
    assert codes >= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED"}
    assert log.count("BatchPredict") >= 10
    assert "BatchPredict" in metrics
    assert b"BatchPredict" in b"".join(spans)
    for written in (log, metrics, b"".join(spans).decode("latin-1")):
        assert "canary" not in written.lower()


def test_no_text_is_in_the_traceback_of_a_bug(tmp_path: Path) -> None:
    shown = {}
    for log_format in ("json", "text"):
        file = tmp_path / log_format
        log.set_up(log_format, os.open(file, os.O_WRONLY | os.O_CREAT))
        try:
            dict[str, str]()[CANARY]
        except KeyError as first:
            try:
                raise ValueError(f"not a number: {CANARY}") from first
            except ValueError as error:
                log.failure("internal error", error, id="77")
        assert log.flush()
        shown[log_format] = file.read_text()
    log.set_up("json", os.open(os.devnull, os.O_WRONLY))  # as all other tests have it
    for text in shown.values():
        assert "builtins.KeyError" in text
        assert "builtins.ValueError" in text
        assert "test_no_text.py" in text
        assert CANARY not in text
