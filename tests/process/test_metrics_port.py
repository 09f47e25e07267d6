"""The port for metrics, when more connect to it than scrape."""

import socket
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

from processes import Server, server
from waiting import PATIENCE, wait_for

IDLE = 64
MOST = 16  # as docs/metrics.md says


def threads(running: Server) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_whoever_connects_and_says_little_keeps_no_scrape_out_and_takes_few_threads() -> None:
    with server("--metrics-listen", "127.0.0.1:0") as running, ExitStack() as stack:
        before = threads(running)
        host, _, port = running.metrics.rpartition(":")
        idle = []
        for _ in range(IDLE):
            connection = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            connection.sendall(b"G")  # and no more
            connection.setblocking(False)
            idle.append(connection)
        with urlopen(f"http://{running.metrics}/metrics", timeout=PATIENCE) as answer:
            assert b"sentido_model_info" in answer.read()
        wait_for(lambda: sum(map(is_open, idle)) <= MOST)  # the others had to go
        assert threads(running) <= before + MOST


def test_a_scrape_that_is_not_read_keeps_no_other_out() -> None:
    with server("--metrics-listen", "127.0.0.1:0") as running, ExitStack() as stack:
        host, _, port = running.metrics.rpartition(":")
        for _ in range(3 * MOST):
            connection = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        with urlopen(f"http://{running.metrics}/metrics", timeout=PATIENCE) as answer:
            assert b"sentido_model_info" in answer.read()
