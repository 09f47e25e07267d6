"""A real Prometheus scrapes a real server, and counts what was sent."""

import json
import signal
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
from alerting import WORLDS, World, rules
from conftest import raw_unary
from dashboard import questions, variables
from processes import Server, server
from sentido.v1.prediction_pb2 import BatchPredictRequest, PredictRequest
from sentido_bundle import default_bundle
from waiting import PATIENCE, wait_for

PREDICT = "sentido.v1.PredictionService/Predict"
BODY = PredictRequest(text="good").SerializeToString()


@contextmanager
def prometheus(
    target: str, labels: dict[str, str] | None = None, alerts: dict[str, Any] | None = None
) -> Iterator[str]:
    """Run Prometheus on a server's metrics; give the address of its API.

    `labels`: what it adds to what it scrapes. `alerts`: a file of rules.
    """
    with tempfile.TemporaryDirectory(prefix="sentido-prometheus-") as folder:
        settings = Path(folder) / "prometheus.yml"
        static = {"targets": [target], "labels": labels or {}}
        (Path(folder) / "alerts.yml").write_text(json.dumps(alerts or {}))  # JSON is YAML
        configuration = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "sentido", "static_configs": [static]}],
        }
        settings.write_text(json.dumps(configuration))
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
        counted = f'sentido_calls_total{{rpc="{PREDICT}",code="OK"}}'
        wait_for(lambda: query(api, counted))  # it finds its targets after five seconds
        wait_for(lambda: query(api, f"{counted} == 0"))
        with grpc.insecure_channel(running.address) as channel:
            for calls, total in ((300, 300), (500, 800)):
                send(channel, calls)
                wait_for(lambda total=total: query(api, f"{counted} == {total}"))  # type: ignore[misc]
        assert number(api, f"increase({counted}[1h])") >= 800
        assert number(api, f"rate({counted}[1h])") > 0
        wait_for(lambda: query(api, 'up{job="sentido"} == 1'))
        (info,) = query(api, "last_over_time(sentido_model_info[1h])")
        assert info["metric"]["model"] == "imdb"


def fail(running: Server, link: Path) -> None:
    """Have calls refused for want of room, one exceed its deadline, and a reload fail."""
    body = BatchPredictRequest(texts=["good " * 500] * 200).SerializeToString()
    with grpc.insecure_channel(running.address) as channel:
        batch = raw_unary(channel, "/sentido.v1.PredictionService/BatchPredict")
        for doubled in range(12):
            batch.future(body, timeout=0.01 * 2**doubled).exception()
            if running.metric("sentido_calls_total", code="DEADLINE_EXCEEDED"):
                break
        for _ in range(100):
            calls = [batch.future(body) for _ in range(6)]
            if any([call.exception() for call in calls]):  # noqa: C419, waits for all
                break
    link.unlink()
    running.process.send_signal(signal.SIGHUP)


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_alerts_are_raised_and_the_dashboard_is_answered_by_compose_and_by_the_chart(
    world: World, helm: str, tmp_path: Path
) -> None:
    link = tmp_path / "bundle"
    link.symlink_to(default_bundle())
    alerts = rules(world, helm, tmp_path)
    asked = {rule["alert"]: rule["expr"] for rule in alerts["groups"][0]["rules"]}
    small = ("--bundle", str(link), "--max-queued-tokens", "1", "--threads", "1")
    with (
        server("--metrics-listen", "127.0.0.1:0", *small) as running,
        prometheus(running.metrics, world.labels, alerts) as api,
    ):
        threading.Thread(target=running.end).start()  # reads the log, which else fills its pipe
        wait_for(lambda: query(api, "count_over_time(sentido_model_info[1m]) > 1"))
        chosen = {name: label_values(api, name) for name in variables()}
        assert chosen == {"job": world.labels["job"], "namespace": world.labels.get("namespace")}
        dashboard = questions(**{name: value for name, value in chosen.items() if value})
        # Nothing has happened yet, and the dashboard says so.
        wait_for(lambda: all(query(api, question) for question in dashboard.values()))
        wait_for(lambda: not any(query(api, expression) for expression in asked.values()))
        fail(running, link)
        for name in ("SentidoOverloaded", "SentidoFails"):
            wait_for(lambda name=name: query(api, asked[name]))  # type: ignore[misc]
        firing = 'ALERTS{alertname="SentidoReloadFailed",alertstate="firing"}'
        wait_for(lambda: query(api, firing))
        running.process.kill()
        wait_for(lambda: query(api, asked["SentidoDown"]))


def label_values(api: str, variable: str) -> str | None:
    """Return the one value that Grafana would offer for a variable of the dashboard."""
    asked = variables()[variable]["query"]["query"]
    series, _, label = asked.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    series = f"last_over_time({series.replace('$namespace', '.*')}[1h])"
    (found,) = query(api, series)
    value: str | None = found["metric"].get(label)
    return value
