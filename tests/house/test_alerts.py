"""The alerts, by promtool: each is raised by what it is for, in compose and by the chart, alone.

`tests/process/test_prometheus.py` asks a real Prometheus for them.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerting import WORLDS, World, rules
from charts import CHART
from conftest import ROOT

pytestmark = pytest.mark.needs("promtool")
REQUESTS = 'sentido_calls_total{{rpc="a/B",code="{}"}}'
REFUSED = 'sentido_refused_calls_total{{reason="{}"}}'
STILL, GROWS, GROWS_FAST = "0x20", "0+6x20", "0+600x20"  # a minute
SERVED = {REQUESTS.format("OK"): GROWS_FAST, "up": "1x20"}
# What is seen in 20 minutes, and the alert that is raised at their end.
CASES: dict[str, tuple[dict[str, str], str | None]] = {
    "nothing happens": ({**SERVED}, None),
    "a replica does not answer": ({**SERVED, "up": "1x10 0x10"}, "SentidoDown"),
    "there is no replica": ({'up{job="other"}': "1x20"}, "SentidoDown"),
    "one call in fifty fails": (
        {**SERVED, REQUESTS.format("INTERNAL"): "0+12x20"},
        "SentidoFails",
    ),
    "every call fails from the start on": (
        {"up": "1x20", REQUESTS.format("OK"): STILL, REQUESTS.format("UNAVAILABLE"): GROWS},
        "SentidoFails",
    ),
    "one call in a thousand fails": ({**SERVED, REQUESTS.format("INTERNAL"): "0+0.6x20"}, None),
    "callers make mistakes": ({**SERVED, REQUESTS.format("INVALID_ARGUMENT"): GROWS}, None),
    "the queue is full": ({**SERVED, REFUSED.format("queue"): GROWS}, "SentidoOverloaded"),
    "the memory is full": ({**SERVED, REFUSED.format("memory"): GROWS}, "SentidoOverloaded"),
    "too many streams are open": (
        {**SERVED, REFUSED.format("streams"): GROWS},
        "SentidoOverloaded",
    ),
    "messages are too large": ({**SERVED, REFUSED.format("message_size"): GROWS}, None),
    "a reload fails": (
        {**SERVED, 'sentido_reloads_total{result="failure"}': "0x15 1x5"},
        "SentidoReloadFailed",
    ),
    "a reload succeeds": ({**SERVED, 'sentido_reloads_total{result="success"}': "0x15 1x5"}, None),
}


@dataclass(frozen=True)
class Case:
    """What is seen, in which world, and the alert that is expected."""

    world: World
    seen: dict[str, str]
    alert: str | None

    def series(self) -> Iterator[dict[str, str]]:
        """Return what is seen, with the labels that a scrape adds in this world."""
        for name, values in self.seen.items():
            name, _, own = name.rstrip("}").partition("{")
            labels = {**self.world.labels, "instance": "a:9464"}
            added = [f'{label}="{value}"' for label, value in labels.items() if label not in own]
            yield {
                "series": f"{name}{{{','.join([*filter(None, [own]), *added])}}}",
                "values": values,
            }


def promtool(
    folder: Path, rule_file: dict[str, Any], cases: list[Case]
) -> "subprocess.CompletedProcess[str]":
    """Let promtool see each case and compare the alerts that are raised after 20 minutes."""
    (folder / "alerts.yml").write_text(yaml.safe_dump(rule_file))
    names = [rule["alert"] for group in rule_file["groups"] for rule in group["rules"]]
    tests = [
        {
            "interval": "1m",
            "input_series": [*case.series()],
            # One firing alert of this name, whatever its labels, or none.
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
                    "eval_time": "20m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if name == case.alert else [],
                }
                for name in names
            ],
        }
        for case in cases
    ]
    file = folder / "tests.json"
    file.write_text(
        json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests})
    )
    return subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_else(
    world: World, helm: str, tmp_path: Path
) -> None:
    alerts = rules(world, helm, tmp_path)
    cases = [Case(world, seen, alert) for seen, alert in CASES.values()]
    result = promtool(tmp_path, alerts, cases)
    assert result.returncode == 0, result.stdout + result.stderr
    raised = {alert for _, alert in CASES.values()}
    assert raised - {None} == {r["alert"] for group in alerts["groups"] for r in group["rules"]}


def test_the_charts_alerts_are_of_its_own_release_alone(helm: str, tmp_path: Path) -> None:
    chart = WORLDS[1]
    alerts = rules(chart, helm, tmp_path)
    for label in ("job", "namespace"):
        quiet = {REFUSED.format("queue"): GROWS, 'sentido_reloads_total{result="failure"}': GROWS}
        seen = {f'{name[:-1]},{label}="other"}}': values for name, values in quiet.items()}
        result = promtool(tmp_path, alerts, [Case(chart, {**SERVED, **seen}, None)])
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_promtool_has_nothing_to_say_of_the_alerts(world: World, helm: str, tmp_path: Path) -> None:
    file = tmp_path / "alerts.json"
    file.write_text(json.dumps(rules(world, helm, tmp_path)))
    command: list[str | Path] = ["promtool", "check", "rules", "--lint-fatal", file]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_compose_mounts_the_alerts_that_the_chart_holds() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (file,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["rule_files"]
    assert ROOT / "deploy" / file == CHART / "alerts.yml"
    mounts = [mount.split(":")[:2] for mount in compose["services"]["prometheus"]["volumes"]]
    assert [f"./deploy/{file}", f"/etc/prometheus/{file}"] in mounts
