"""A real Prometheus scrapes a real server, and counts what was sent."""

import json
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import raw_unary
from processes import server
from sentido.v1.prediction_pb2 import PredictRequest
from waiting import PATIENCE, wait_for

PREDICT = "sentido.v1.PredictionService/Predict"
BODY = PredictRequest(text="good").SerializeToString()


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
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def number(api: str, promql: str) -> float:
    (only,) = query(api, promql)
    return float(only["value"][1])


def send(channel: grpc.Channel, calls: int) -> None:
    call = raw_unary(channel, f"/{PREDICT}")
    sent = [call.future(BODY) for _ in range(calls)]
    assert all(each.result() for each in sent)


@pytest.mark.needs("prometheus")
def test_prometheus_counts_every_call_that_was_sent_and_has_a_rate_of_them() -> None:
    with (
        server("--metrics-listen", "127.0.0.1:0") as running,
        prometheus(running.metrics) as api,
    ):
        threading.Thread(target=running.end).start()  # reads the log, which else fills its pipe
        counted = f'sentido_requests_total{{rpc="{PREDICT}",code="OK"}}'
        wait_for(lambda: query(api, counted))  # it finds its targets after five seconds
        assert number(api, counted) == 0
        with grpc.insecure_channel(running.address) as channel:
            for total in (300, 800):
                send(channel, total - int(number(api, counted)))
                wait_for(lambda total=total: number(api, counted) == total)  # type: ignore[misc]
        assert number(api, f"increase({counted}[1h])") >= 800
        assert number(api, f"rate({counted}[1h])") > 0
        assert number(api, 'up{job="sentido"}') == 1
        (info,) = query(api, "sentido_model_info")
        assert info["metric"]["model"] == "imdb"
