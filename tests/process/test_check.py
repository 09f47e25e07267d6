"""`sentido-server --check`: a server's health, asked for by its own command."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from certificates import authority, certificate
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from processes import SERVER, failure, server
from sentido.v1.prediction_pb2 import PredictRequest
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub


def check(*flags: str, **environment: str) -> tuple[int, str, str]:
    """Run the check; give its exit code and what it says on either stream."""
    result = subprocess.run(
        [SERVER, *flags],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return result.returncode, result.stdout, result.stderr


def test_it_says_that_a_server_is_serving_wherever_it_listens(
    transport: str, tmp_path: Path
) -> None:
    path = f"unix:{tmp_path}/server.sock"
    with (
        server("--listen", "0.0.0.0:0", "--transport", transport) as everywhere,
        server("--listen", path, "--transport", transport),
    ):
        port = everywhere.address.rpartition(":")[2]
        said = f"sentido-server: 127.0.0.1:{port} is SERVING\n"
        assert check("--check", f"127.0.0.1:{port}") == (0, said, "")
        assert check("--listen", f"0.0.0.0:{port}", "--check") == (0, said, "")
        assert check("--check", SENTIDO_LISTEN=f"0.0.0.0:{port}") == (0, said, "")
        said = f"sentido-server: {path} is SERVING\n"
        assert check("--check", "--listen", path) == (0, said, "")


def test_it_has_a_plain_port_of_its_own_beside_tls(tmp_path: Path) -> None:
    files = certificate(authority(tmp_path, "ca")[0], tmp_path, "server")
    tls = (f"--tls-cert={files.cert}", f"--tls-key={files.key}")
    with server(*tls, "--health-listen", "127.0.0.1:0") as running:
        address = running.lines[-1]["health"]
        said = f"sentido-server: {address} is SERVING\n"
        assert check(*tls, "--health-listen", address, "--check") == (0, said, "")
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as raised:
            PredictionServiceStub(channel).Predict(PredictRequest(text="good"))
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    said = "sentido-server: --check speaks plain text: give a server with TLS --health-listen\n"
    assert check(*tls, "--check") == (1, "", said)


@pytest.mark.parametrize("listen", ["50052", "127.0.0.1:99999"])
def test_a_bad_address_for_health_is_one_sentence(listen: str) -> None:
    code, message = failure("--listen", "127.0.0.1:0", "--health-listen", listen)
    assert (code, message) == (
        1,
        f"sentido-server: cannot listen for health on {listen!r}: an address and a port are needed,"
        " such as 127.0.0.1:50051\n",
    )


def test_a_used_port_for_health_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ("--listen", "127.0.0.1:0", "--health-listen", address)
        code, message = failure(*flags, **{**os.environ, "TMPDIR": str(tmp_path)})
    assert code == 1
    assert message == (
        f"sentido-server: cannot listen for health on {address!r}: the port is in use\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_it_fails_where_nobody_answers(tmp_path: Path) -> None:
    code, out, err = check("--check", f"unix:{tmp_path}/nobody.sock")
    assert (code, out) == (1, "")
    assert err.startswith(f"sentido-server: unix:{tmp_path}/nobody.sock does not answer: UNAVAIL")
    assert err.count("\n") == 1


def test_an_address_that_is_not_utf8_is_one_sentence() -> None:
    code, out, err = check("--check", "\udcff:1")
    assert (code, out) == (1, "")
    assert err == "sentido-server: '\\udcff:1' is not an address: it is not UTF-8\n"


def test_it_fails_while_a_server_is_not_serving(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/loading.sock"
    status = health.HealthServicer()
    status.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    loading = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(status, loading)
    loading.add_insecure_port(address)
    loading.start()
    try:
        said = f"sentido-server: {address} is NOT_SERVING\n"
        assert check("--check", address) == (1, "", said)
    finally:
        loading.stop(None).wait()
