"""Prometheus in the compose project: it finds every replica and can answer the dashboard.

The image that docker-compose.yml names may be out of reach here, so the Prometheus of this machine
runs in its place, in a container with the same files, flags and limits. Grafana is not run.
"""

import json
import shutil
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboard import questions
from engine import BASE, project
from sentido_client import Client

pytestmark = [
    pytest.mark.needs("docker engine", "prometheus"),
    pytest.mark.usefixtures("images"),
]
REPLICAS = 2


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Give what a question in PromQL is answered with; fails if it is refused."""
        query = urllib.parse.urlencode({"query": question})
        url = f"http://{self._address}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return list(json.load(answer)["data"]["result"])

    def ask_until(self, question: str, results: int) -> None:
        """Ask until there are so many results."""
        for _ in range(120):
            if len(self.ask(question)) == results:
                return
            threading.Event().wait(0.5)  # its own pace is a scrape in 5 seconds
        raise AssertionError(f"{question}: {self.ask(question)}, not {results} results")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    stand_in = {
        "image": BASE,
        "user": "0:0",
        "entrypoint": ["/usr/local/bin/prometheus"],
        "volumes": [f"{program}:/usr/local/bin/prometheus:ro"],
    }
    override = Path(tmp_path_factory.mktemp("monitoring")) / "prometheus.yml"
    override.write_text(yaml.safe_dump({"services": {"prometheus": stand_in}}))
    files = ("docker-compose.yml", str(override))
    with project("monitoring", *files, PROMETHEUS_PORT="0") as monitored:
        scale = f"--scale=server={REPLICAS}"
        monitored.compose("up", "--detach", "--wait", scale, "server", "prometheus")
        prometheus = Prometheus(monitored.compose("port", "prometheus", "9090").strip())
        prometheus.ask_until('up{job="sentido"} == 1', REPLICAS)
        for number in range(1, REPLICAS + 1):
            address = monitored.compose("port", f"--index={number}", "server", "50051").strip()
            with Client(address) as client:
                for _ in range(50):
                    client.predict("A wonderful little film.")
        yield prometheus


def test_it_scrapes_every_replica_and_counts_their_calls(prometheus: Prometheus) -> None:
    prometheus.ask_until(
        'sum(sentido_calls_total{rpc=~".*/Predict", code="OK"})'
        f" == {50 * REPLICAS} and count(sentido_model_info) == {REPLICAS}",
        1,
    )


def test_the_dashboards_questions_have_answers(prometheus: Prometheus) -> None:
    prometheus.ask_until("count_over_time(sentido_texts_total[1m]) > 1", REPLICAS)
    answered = {title for title, question in questions().items() if prometheus.ask(question)}
    assert answered == questions().keys()


def test_no_alert_is_raised(prometheus: Prometheus) -> None:
    assert prometheus.ask("ALERTS") == []
