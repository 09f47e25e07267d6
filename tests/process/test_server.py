"""`sentido-server` as a process: how it starts, what it says, and how it ends."""

import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from conftest import BIN, raw_stream, raw_unary
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import SERVER, Server, failure, server, unread
from sentido.v1 import prediction_pb2
from sentido_bundle import Bundle, default_bundle
from sentido_bundle.settings import declared
from sentido_client import Client, UnavailableError
from sentido_server.config import Config
from waiting import PATIENCE, wait_for

BATCH = "/sentido.v1.PredictionService/BatchPredict"
PREDICT = "/sentido.v1.PredictionService/Predict"
ONE_THREAD = ("--threads", "1", "--metrics-listen", "127.0.0.1:0")


@pytest.fixture
def on_each_transport(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIDO_TRANSPORT", transport)


@pytest.mark.usefixtures("on_each_transport")
def test_it_serves_the_default_bundle_and_drains_on_sigterm() -> None:
    with server() as running:
        with Client(running.address) as client:
            client.wait_until_ready()
            assert client.predict("A wonderful little film.").label == "positive"
            running.process.send_signal(signal.SIGTERM)
            assert running.end() == 0
        (call,) = [line for line in running.lines if line.get("rpc", "").endswith("/Predict")]
        assert call["code"] == "OK"
        assert (call["texts"], call["tokens"]) == (1, 4)
        assert (call["model"], call["version"]) == ("imdb", "1")
        assert call["milliseconds"] > 0
        assert "wonderful" not in json.dumps(running.lines)
        assert [line["event"] for line in running.lines][-2:] == ["stopping", "stopped"]
        counts = running.lines[-1]
        assert (counts["texts"], counts["tokens"], counts["dropped"]) == (1, 4, 0)


@pytest.mark.usefixtures("on_each_transport")
def test_accepted_work_is_finished_and_new_work_refused_while_it_drains() -> None:
    with (
        server(*ONE_THREAD, "--drain-seconds", "3600") as running,
        grpc.insecure_channel(running.address) as channel,
        unread(running) as read,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        work = send_much(running, channel)
        running.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        late = raw_unary(channel, PREDICT).future(b"")
        error: Any = late.exception()
        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "the server is shutting down",
        )
        answer = prediction_pb2.BatchPredictResponse.FromString(work.result())
        assert len(answer.predictions) == 4000
        assert read() == "OK"
        with pytest.raises(grpc.RpcError):  # the Watch ends with the work, not with the grace
            next(watch)
        assert running.end() == 0


def send_much(running: Server, channel: grpc.Channel) -> Any:
    """Send a call of a million tokens, a second's work or so; return when it is accepted."""
    before = running.in_flight()
    body = prediction_pb2.BatchPredictRequest(texts=["good " * 250] * 4000)
    call = raw_unary(channel, BATCH).future(body.SerializeToString())
    wait_for(lambda: running.in_flight() > before or call.done())
    return call


@pytest.mark.usefixtures("on_each_transport")
def test_an_idle_stream_and_a_watch_do_not_hold_it_up() -> None:
    flags = ("--drain-seconds", "3600")
    with server(*flags) as running, grpc.insecure_channel(running.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        forever = threading.Event()

        def idle() -> Iterator[bytes]:
            yield b""
            forever.wait(PATIENCE)

        stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")(idle())
        assert next(stream)
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert running.end() == 0
        forever.set()


@pytest.mark.usefixtures("on_each_transport")
def test_calls_that_keep_coming_do_not_hold_it_up() -> None:
    flags = ("--drain-seconds", "60")
    with server(*flags) as running, grpc.insecure_channel(running.address) as channel:
        stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")
        ended = threading.Event()

        def insist() -> None:
            while not ended.is_set():
                # With a deadline: once gRPC's client waited on for a server that had ended.
                for call in [stream(iter([b""]), timeout=PATIENCE) for _ in range(30)]:
                    with suppress(grpc.RpcError):
                        list(call)

        threads = [threading.Thread(target=insist) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(1000):  # lines of calls: they come in numbers
                running.wait_for("call")
            running.process.send_signal(signal.SIGTERM)
            assert running.end() == 0
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert "drain timed out" not in [line["event"] for line in running.lines]


@pytest.mark.usefixtures("on_each_transport")
def test_a_port_that_is_taken_on_one_address_of_a_name_is_in_use() -> None:
    with server() as running:
        port = running.address.rpartition(":")[2]
        code, message = failure("--listen", f"localhost:{port}")
    assert code == 1
    assert message == f"sentido-server: cannot listen on 'localhost:{port}': the port is in use\n"


@pytest.mark.usefixtures("on_each_transport")
def test_draining_is_bounded_whatever_waits() -> None:
    flags = (*ONE_THREAD, "--drain-seconds", "1", "--max-queued-tokens", "100000000")
    with (
        server(*flags) as running,
        grpc.insecure_channel(running.address) as channel,
        unread(running) as read,
    ):
        calls = [send_much(running, channel) for _ in range(8)]
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
        for call in calls:  # each has ended, answered or not
            call.exception()
        assert read() != "OK"
    assert "drain timed out" in [line["event"] for line in running.lines]


@pytest.mark.usefixtures("on_each_transport")
def test_a_second_signal_ends_it_at_once() -> None:
    with (
        server(*ONE_THREAD, "--drain-seconds", "3600") as running,
        grpc.insecure_channel(running.address) as channel,
        unread(running) as read,
    ):
        calls = [send_much(running, channel) for _ in range(4)]
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        assert running.end_by(signal.SIGTERM) == 1
        for call in calls:
            call.exception()
        assert read() != "OK"


def test_two_signals_at_once_are_one() -> None:
    with server("--drain-seconds", "3600") as running, unread(running) as read:
        running.process.send_signal(signal.SIGSTOP)  # so that both reach it in one moment
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGCONT)
        running.wait_for("stopping")
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.5)  # it drains, and waits for the reader
        assert read() == "OK"
        assert running.end() == 0


def test_a_signal_that_timeout_sends_twice_is_one() -> None:
    # It sends SIGTERM to the process, and to the group that both are in. SIGALRM: the time is up.
    command = ["timeout", "86400", SERVER, "--listen", "127.0.0.1:0", "--drain-seconds", "3600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            running = Server(process)
            with unread(running) as read:
                process.send_signal(signal.SIGALRM)
                running.wait_for("stopping")
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1.5)  # it drains, and waits for the reader
                assert read() == "OK"
            assert running.end() == 124  # what timeout says whenever the time was up
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    events = [line["event"] for line in running.lines]
    assert events.count("stopping") == 1
    assert events[-1] == "stopped"


@pytest.mark.usefixtures("on_each_transport")
def test_a_log_that_nobody_reads_any_more_costs_no_call() -> None:
    with server() as running, grpc.insecure_channel(running.address) as channel:
        assert running.process.stderr is not None
        running.process.stderr.close()
        predict = raw_unary(channel, PREDICT)
        for _ in range(3):  # each fills the log
            calls: list[Any] = [predict.future(b"", timeout=PATIENCE) for _ in range(1000)]
            assert [call.exception() for call in calls] == [None] * len(calls)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0


def test_a_scraper_that_leaves_or_asks_for_nonsense_is_no_traceback_in_the_log() -> None:
    with server("--metrics-listen", "127.0.0.1:0") as running:
        host, _, port = running.metrics.partition(":")

        def ask(request: bytes) -> bytes:
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as asking:
                asking.sendall(request)
                return b"".join(iter(lambda: asking.recv(65536), b""))

        with socket.create_connection((host, int(port))) as leaving:
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.sendall(b"GET / HTTP/1.1\r\n")  # and closed by a reset
        ask(b"GET / HTTP/1.1\r\nAccept: application/openmetrics-text; version=x\r\n\r\n")
        assert b"sentido_model_info{" in ask(b"GET / HTTP/1.1\r\n\r\n")
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0  # every line was JSON
        assert [line["event"] for line in running.lines].count("scrape failed") <= 1


def test_settings_come_from_variables_and_flags_win() -> None:
    environment = {"SENTIDO_MAX_TEXTS": "7", "SENTIDO_THREADS": "1", "SENTIDO_LOG_FORMAT": "json"}
    with (
        server("--max-texts", "9", "--max-text-characters", "77", **environment) as running,
        Client(running.address) as client,
    ):
        limits = client.limits()
        assert (limits.max_texts, limits.max_text_characters) == (9, 77)
        assert running.lines[-1]["threads"] == 1


def test_it_serves_in_int8_and_says_so() -> None:
    texts = ["A wonderful little film.", "A dull, lifeless mess."]
    with server("--precision", "int8") as running, Client(running.address) as client:
        client.wait_until_ready()
        assert [prediction.label for prediction in client.predict(texts)] == [
            "positive",
            "negative",
        ]
        (loaded,) = [line for line in running.lines if line["event"] == "loaded"]
        assert loaded["precision"] == "int8"
        model = client.model()
        assert model.precision == "int8"
        assert client.models() == [model]
        assert 0.85 < model.metrics["int8_accuracy"] < 0.92
        exact = Bundle.load(default_bundle()).predict(texts[:1]).hidden
        assert 0 < np.abs(client.embed(texts[:1], kind="hidden") - exact).max() < 0.1
        command = [str(BIN / "sentido"), "model", "--json", "--address", running.address]
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert json.loads(shown.stdout)["precision"] == "int8"


def test_the_precision_can_be_a_variable_and_is_fp32_by_default() -> None:
    for environment, precision in (({"SENTIDO_PRECISION": "int8"}, "int8"), ({}, "fp32")):
        with server(**environment) as running, Client(running.address) as client:
            assert client.model().precision == precision


def test_int8_of_a_bundle_without_a_twin_is_one_sentence(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))
    (bundle / "model.int8.onnx").unlink()
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    del manifest["int8"], manifest["files"]["model.int8.onnx"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    flags = ["--listen", "127.0.0.1:0", "--bundle", str(bundle)]
    code, message = failure(*flags, "--precision", "int8")
    assert code == 1
    assert message == (
        f"sentido-server: bundle {bundle}: model 'imdb' has no int8 twin (capability int8): choose"
        " the precision fp32, or train a model with sentido-export and without --no-int8\n"
    )
    with server(*flags) as running, Client(running.address) as client:
        assert client.model().precision == "fp32"


@pytest.mark.parametrize("flag", ["--max-run-bytes", "--max-run-multiplications"])
def test_a_model_that_takes_more_than_a_run_may_is_one_sentence_that_names_the_flag(
    flag: str,
) -> None:
    code, message = failure("--listen", "127.0.0.1:0", flag, "1000")
    assert code == 1
    assert message.startswith(f"sentido-server: bundle {default_bundle()}: model.onnx: one text of")
    assert message.endswith(
        f" at most 1,000 are allowed: raise {flag}, or export it for shorter texts\n"
    )


@contextmanager
def starting(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A server that waits for its settings, from a pipe."""
    pipe = folder / "sentido.toml"
    os.mkfifo(pipe)
    command = [SERVER, "--config", str(pipe), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, pipe
        finally:
            process.kill()


def test_a_hangup_before_it_can_be_heard_does_not_end_it(tmp_path: Path) -> None:
    with starting(tmp_path) as (process, pipe):
        with pipe.open("w"):  # which waits until the server reads
            process.send_signal(signal.SIGHUP)
        running = Server(process)
        process.send_signal(signal.SIGTERM)
        assert running.end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_it_serves_ends_it_at_once(number: int, code: int, tmp_path: Path) -> None:
    with starting(tmp_path) as (process, pipe), pipe.open("w"):
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (code, "")


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, message = failure("--listen", address)
    assert code == 1
    assert message == f"sentido-server: cannot listen on {address!r}: the port is in use\n"


@pytest.mark.parametrize("listen", ["50051", "localhost", "localhost:http", "127.0.0.1:99999"])
def test_a_bad_address_is_one_sentence(listen: str) -> None:
    code, message = failure("--listen", listen)
    assert code == 1
    assert message == (
        f"sentido-server: cannot listen on {listen!r}: an address and a port are needed, such as"
        " 127.0.0.1:50051\n"
    )


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("::1:50051", "an IPv6 address stands in brackets, as in [::1]:50051"),
        ("127.0.0.1:\u0660", "an address and a port are needed, such as 127.0.0.1:50051"),
        ("http://127.0.0.1:0", "http:// does not belong in an address to listen on"),
        ("https://localhost", "https:// does not belong in an address to listen on"),
        ("no-such-host.invalid:1", "no-such-host.invalid is not an address: "),
        ("192.0.2.1:50999", "Cannot assign requested address"),
        ("unix:/tmp/" + "a" * 150, "the path of a socket has at most 107 bytes"),
        ("unix:/no/such/folder/socket", "there is no folder /no/such/folder"),
        ("unix:/etc/passwd", "/etc/passwd is not a socket"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(listen: str, message: str) -> None:
    code, found = failure("--listen", listen)
    assert code == 1
    assert found.count("\n") == 1
    assert f"sentido-server: cannot listen on {listen!r}: {message}" in found


@pytest.mark.parametrize(
    ("flags", "which"),
    [
        (("--listen", "[::1]:50999", "--metrics-listen", "[::1]:50999"), "listen and --metrics"),
        (("--listen", "[::]:50999", "--health-listen", "127.0.0.1:50999"), "listen and --health"),
        (
            ("--health-listen", "0.0.0.0:50999", "--metrics-listen", "127.0.0.1:50999"),
            "health-listen and --metrics",
        ),
    ],
)
def test_a_port_for_two_things_is_one_sentence(flags: tuple[str, ...], which: str) -> None:
    assert failure("--listen", "127.0.0.1:0", *flags) == (
        1,
        f"sentido-server: --{which}-listen name one port, 50999: each needs one of its own\n",
    )


def test_what_is_wrong_at_the_start_is_named_by_the_variable_that_it_is_from() -> None:
    environ = {**os.environ, "SENTIDO_METRICS_LISTEN": "127.0.0.1:50999"}
    _, said = failure("--listen", "127.0.0.1:50999", **environ)
    assert said.startswith("sentido-server: --listen and SENTIDO_METRICS_LISTEN name one port, ")
    environ = {**os.environ, "SENTIDO_OTLP_ENDPOINT": "x"}
    _, said = failure("--listen", "127.0.0.1:0", **environ)
    assert said.startswith("sentido-server: SENTIDO_OTLP_ENDPOINT 'x': a URL such as ")


def test_a_temporary_folder_too_deep_for_a_socket_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    code, message = failure("--listen", "127.0.0.1:0", "--transport", "native", TMPDIR=str(folder))
    assert code == 1
    assert "the path of a socket has at most 107 bytes" in message
    assert message.endswith("has more: set TMPDIR to a folder with a shorter path\n")
    assert not list(folder.glob("sentido-*"))


def test_no_folder_for_temporary_files_is_one_sentence() -> None:
    # A limit of the sizes of files at 0 lets no folder be written to, not even by root.
    command = (SERVER, "--listen", "127.0.0.1:0", "--transport", "native")
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert result.returncode == 1
    *_, said = result.stderr.splitlines()
    assert said.startswith("sentido-server: --transport native needs a folder for its socket")
    assert said.endswith("set TMPDIR to a folder that can be written to, or use --transport grpcio")


def test_the_next_server_clears_away_what_a_killed_one_has_left(tmp_path: Path) -> None:
    theirs = tmp_path / "sentido-theirs"
    theirs.mkdir(mode=0o700)
    (theirs / "weights").touch()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    flags = ("--transport", "native")

    def folders() -> set[Path]:
        return set(tmp_path.glob("sentido-*")) - {theirs}

    with server(*flags, **environment) as neighbour:
        (kept,) = folders()
        with server(*flags, **environment) as killed:
            assert len(folders()) == 2
            killed.process.kill()
            killed.process.wait(PATIENCE)
            assert len(folders()) == 2
        with server(*flags, **environment) as last:
            assert kept in folders()
            assert len(folders()) == 2
            for address in (neighbour.address, last.address):
                with Client(address) as client:
                    assert len(list(client.predict(iter(["good"])))) == 1  # through the socket
    assert (theirs / "weights").exists()


def test_a_missing_bundle_is_one_sentence(tmp_path: Path) -> None:
    code, message = failure("--listen", "127.0.0.1:0", "--bundle", str(tmp_path / "nope"))
    assert code == 1
    assert message == (
        f"sentido-server: bundle {tmp_path / 'nope'}: no such directory; a bundle is the folder"
        " that sentido-export wrote\n"
    )


@pytest.mark.parametrize("flag", ["--bundle", "--token-file", "--listen"])
def test_a_path_that_cannot_be_looked_at_is_one_sentence(flag: str) -> None:
    path = "/" + "a" * 300
    listen = f"unix:{path}/a" if flag == "--listen" else "127.0.0.1:0"
    code, message = failure("--listen", listen, *([] if flag == "--listen" else [flag, path]))
    assert code == 1
    assert message.count("\n") == 1
    assert "File name too long" in message


def test_links_in_a_circle_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    code, message = failure("--listen", "127.0.0.1:0", "--bundle", str(tmp_path / "circle"))
    assert code == 1
    assert message.startswith(f"sentido-server: bundle {tmp_path / 'circle'}: no such directory")


def test_two_bundles_of_one_name_and_version_are_a_start_up_error() -> None:
    twice = ["--bundle", str(default_bundle())] * 2
    code, message = failure("--listen", "127.0.0.1:0", *twice)
    assert code == 1
    assert "sentido-server: two bundles are model 'imdb' in version '1': serve one" in message


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (["--max-texts", "0"], {}, "'0' is not a whole number from 1 to 2147483647"),
        (["--max-texts", "many"], {}, "'many' is not a whole number from 1 to"),
        (["--max-message-bytes", "99999999999"], {}, "'99999999999' is not a whole number from"),
        (["--bundle", ""], {}, "--bundle: '' is not a path"),
        ([], {"SENTIDO_MAX_TEXTS": "--5"}, "SENTIDO_MAX_TEXTS: '--5' is not a whole number"),
        (["--log-format", "xml"], {}, "'xml' is not one of auto, json, text"),
        (["--max-connection-calls", "1"], {}, "'1' is not a whole number from 2 to 65535"),
        (["--precision", "fp16"], {}, "'fp16' is not one of fp32, int8"),
        ([], {"SENTIDO_PRECISION": "x"}, "SENTIDO_PRECISION: 'x' is not one of fp32, int8"),
        (["--colour"], {}, "there is no flag --colour"),
        ([], {"SENTIDO_THREADS": "x"}, "SENTIDO_THREADS: 'x' is not a whole number from 0 to 1024"),
    ],
)
def test_a_bad_flag_or_variable_is_named(
    flags: list[str], environment: dict[str, str], message: str
) -> None:
    code, found = failure(*flags, **environment)
    assert code == 2
    assert message in found


def test_the_largest_value_that_a_number_may_have_is_served_with() -> None:
    flags = [
        f"{one.flag}={one.most}"
        for one in declared(Config)
        if one.type is int and one.name != "threads"  # which would be started
    ]
    assert "--max-connections=2147483647" in flags
    health = ("--health-listen", "127.0.0.1:0")
    with server("--transport", "grpcio", *health, *flags) as running:
        with Client(running.address, timeout=PATIENCE) as client:
            assert client.predict("A wonderful little film.").label == "positive"
        with Client(running.health) as client:
            assert client.health() == "SERVING"


def test_a_bundle_that_does_not_verify_is_never_served(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))
    address = f"unix:{tmp_path}/sentido.sock"
    (bundle / "golden.json").write_bytes((bundle / "golden.json").read_bytes() + b" ")
    code, message = failure("--listen", address, "--bundle", str(bundle))
    assert code == 1
    assert "golden.json: " in message
    with pytest.raises(UnavailableError), Client(address) as client:
        client.health()


@pytest.mark.usefixtures("on_each_transport")
def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/sentido.sock"
    with server("--listen", address) as running, Client(running.address) as client:
        assert running.address == address
        code, message = failure("--listen", address)
        assert (code, message.count("\n")) == (1, 1)
        assert "another server listens on it" in message
        assert client.predict("wonderful").label == "positive"


WITHOUT_NATIVE = """
import sys
sys.modules["pygrpc_native"] = None  # what an import finds where the extra is not installed
from sentido_server.main import main
sys.exit(main())
"""


def test_native_without_its_package_says_what_to_install() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_NATIVE, "--transport", "native"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    needed = "run pip install ./proto ./bundle './server[native]' in Sentido's folder"
    assert f"{needed}, or use --transport grpcio\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_auto_without_the_package_is_grpcio() -> None:
    command = [sys.executable, "-c", WITHOUT_NATIVE, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        running = Server(process)
        assert running.lines[-1]["transport"] == "grpcio"
        process.send_signal(signal.SIGTERM)
        assert running.end() == 0


def test_two_clients_of_a_process_share_no_connection() -> None:
    with (
        server() as running,
        Client(running.address) as one,
        Client(running.address) as two,
    ):
        for client in (one, two, one):
            client.predict("good")
        first, second, third = [running.wait_for("call")["peer"] for _ in range(3)]
    assert first == third != second


def test_variables_that_are_no_settings_are_one_warning() -> None:
    with server(SENTIDO_FOO="1", SENTIDO_SPEED="2", SENTIDO_SERVICE_HOST="3") as running:
        (line,) = [line for line in running.lines if line["event"] == "unknown variables"]
    assert line["level"] == "warning"
    assert line["variables"] == ["SENTIDO_FOO", "SENTIDO_SPEED"]


def test_a_variable_that_is_nearly_a_settings_keeps_the_server_from_starting() -> None:
    code, message = failure(SENTIDO_PRECISON="int8")
    assert code == 2
    assert message.endswith(
        "there is no setting SENTIDO_PRECISON; did you mean SENTIDO_PRECISION?\n"
    )


def test_the_limit_of_open_files_is_raised_and_one_that_is_too_low_is_a_warning() -> None:
    for limit, most, warned in (("-Sn 100", None, False), ("-n 500", 500, True)):
        under = ("sh", "-c", f'ulimit {limit} && exec "$@"', "sh")
        with server(
            "--metrics-listen=127.0.0.1:0", "--max-connections=500", under=under
        ) as running:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            assert running.metric("process_max_fds") == (most or hard)
            said = [line for line in running.lines if line["event"] == "few open files"]
            assert bool(said) == warned
    assert said[0]["reason"].startswith("--max-connections 500 needs 600: raise the limit")
