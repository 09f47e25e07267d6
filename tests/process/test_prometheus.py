"""A real Prometheus scrapes a real server, and counts what was sent."""

import json
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import raw_unary
from processes import server
from sentido.v1.prediction_pb2 import PredictRequest

PREDICT = "sentido.v1.PredictionService/Predict"
BODY = PredictRequest(text="good").SerializeToString()
RATE = 200  # calls a second
SECONDS = 4
TOLERANCE = 0.1  # of the rate: scrapes and calls begin and end at different moments


@contextmanager
def prometheus(target: str) -> Iterator[str]:
    """Run Prometheus on a server's metrics; give the address of its API."""
    with tempfile.TemporaryDirectory(prefix="sentido-prometheus-") as folder:
        settings = Path(folder) / "prometheus.yml"
        jobs = [{"job_name": "sentido", "static_configs": [{"targets": [target]}]}]
        # JSON is YAML.
        settings.write_text(
            json.dumps({"global": {"scrape_interval": "500ms"}, "scrape_configs": jobs})
        )
        command = [
            "prometheus",
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield listening(process)
            finally:
                process.kill()


def listening(process: "subprocess.Popen[str]") -> str:
    """Wait until it is ready; give its address."""
    assert process.stderr is not None
    address, is_ready = "", False
    for line in process.stderr:
        facts = json.loads(line)
        if facts.get("msg") == "Listening on":
            address = facts["address"]
        is_ready = is_ready or facts.get("msg", "").startswith("Server is ready")
        if address and is_ready:
            return address
    raise AssertionError("it does not start")


def query(api: str, promql: str) -> list[Any]:
    url = f"http://{api}/api/v1/query?" + urllib.parse.urlencode({"query": promql})
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def number(api: str, promql: str) -> float:
    (only,) = query(api, promql)
    return float(only["value"][1])


def send_steadily(channel: grpc.Channel) -> None:
    """Send RATE calls a second, each at its time, for SECONDS."""
    call = raw_unary(channel, f"/{PREDICT}")
    began = time.monotonic()
    sent = [call.future(BODY) for due in range(RATE * SECONDS) if wait_until(began + due / RATE)]
    assert all(each.result() for each in sent)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def wait_until(moment: float) -> bool:
    time.sleep(max(0.0, moment - time.monotonic()))  # it is the rate that is tested
    return True


@pytest.mark.needs("prometheus")
def test_prometheus_finds_the_rate_that_was_sent() -> None:
    with (
        server("--metrics-listen", "127.0.0.1:0") as running,
        prometheus(running.lines[-1]["metrics"]) as api,
    ):
        threading.Thread(target=running.end).start()  # reads the log, which else fills its pipe
        wait_for(lambda: bool(query(api, "up")))  # it finds its targets after five seconds
        with grpc.insecure_channel(running.address) as channel:
            send_steadily(channel)
        rate = f'rate(sentido_requests_total{{rpc="{PREDICT}",code="OK"}}[3s])'
        assert number(api, rate) == pytest.approx(RATE, rel=TOLERANCE)
        assert number(api, 'up{job="sentido"}') == 1
        total = f'sentido_requests_total{{rpc="{PREDICT}",code="OK"}}'
        wait_for(lambda: number(api, total) == RATE * SECONDS)
        (info,) = query(api, "sentido_model_info")
        assert info["metric"]["model"] == "imdb"
