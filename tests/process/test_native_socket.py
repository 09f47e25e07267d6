"""Native, when the folder of the socket behind it is taken away, as those who clean /tmp do."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from conftest import raw_stream, raw_unary
from processes import Server, server
from sentido_client import Client
from waiting import wait_for

PREDICT = "/sentido.v1.PredictionService/Predict"
STREAM = "/sentido.v1.PredictionService/StreamPredict"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with server("--transport", "native", **environment) as running:
        yield running


def folder(tmp_path: Path) -> Path:
    (only,) = tmp_path.iterdir()
    return only


def is_whole(running: Server) -> bool:
    """Whether a stream and a check of health are answered. A call is, whatever becomes of those."""
    with grpc.insecure_channel(running.address) as channel:
        assert raw_unary(channel, PREDICT)(b"")
        try:
            (_,) = raw_stream(channel, STREAM)(iter([b""]))
        except grpc.RpcError:
            return False
    with Client(running.address) as client:
        return client.health() == "SERVING"


@pytest.mark.parametrize("taken", ["folder", "socket", "twice"])
def test_it_is_made_again(taken: str, running: Server, tmp_path: Path) -> None:
    for _ in range(2 if taken == "twice" else 1):
        lost = folder(tmp_path)
        if taken == "socket":
            (lost / "grpcio.sock").unlink()
        else:
            shutil.rmtree(lost)
        wait_for(lambda lost=lost: (lost / "grpcio.sock").exists())  # type: ignore[misc]
        wait_for(lambda: is_whole(running))
        assert lost.stat().st_mode & 0o777 == 0o700
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    said = [line["level"] for line in running.lines if line["event"] == "socket made again"]
    assert said == ["warning"] * (2 if taken == "twice" else 1)
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_made_in_a_folder_that_others_can_write_to(
    running: Server, tmp_path: Path
) -> None:
    lost = folder(tmp_path)
    shutil.rmtree(lost)
    lost.mkdir()
    lost.chmod(0o777)
    line = running.wait_for("socket lost")
    assert line["error"] == f"{lost} is not a folder of this user alone"
    assert list(lost.iterdir()) == []
    assert not is_whole(running)
    lost.chmod(0o700)
    running.wait_for("socket made again")
    wait_for(lambda: is_whole(running))


def test_a_server_that_takes_no_more_connections_holds_up_no_other_ones_start(
    tmp_path: Path,
) -> None:
    old = tmp_path / "sentido-hangs"
    old.mkdir(mode=0o700)
    path = str(old / "grpcio.sock")
    with ExitStack() as stack:
        hanging = stack.enter_context(socket.socket(socket.AF_UNIX))
        hanging.bind(path)
        hanging.listen(0)

        def is_taken() -> bool:
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            return caller.connect_ex(path) == 0

        while is_taken():
            pass
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        with server("--transport", "native", **environment) as running:
            assert is_whole(running)
    assert old.exists()
