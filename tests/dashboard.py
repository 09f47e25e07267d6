"""What the dashboard that deploy/ ships asks Prometheus."""

import json
from typing import Any

from conftest import ROOT

_FILE = ROOT / "deploy" / "grafana" / "dashboards" / "sentido.json"


def panels() -> list[dict[str, Any]]:
    """Give the dashboard's panels, as Grafana reads them."""
    return list(json.loads(_FILE.read_text())["panels"])


def variables() -> dict[str, dict[str, Any]]:
    """Return what is chosen at the top of the dashboard, by its name."""
    chosen = json.loads(_FILE.read_text())["templating"]["list"]
    return {variable["name"]: variable for variable in chosen}


def questions(**chosen: str) -> dict[str, str]:
    """Return each question in PromQL, by its panel's title, with values for Grafana's variables.

    `chosen`: those of the dashboard's own; by default its "All".
    """
    values = {"__rate_interval": "1m", "job": ".+", "namespace": ".*", **chosen}

    def filled(question: str) -> str:
        for name, value in values.items():
            question = question.replace(f"${name}", value)
        return question

    return {
        f"{panel['title']} {target['refId']}": filled(target["expr"])
        for panel in panels()
        for target in panel["targets"]
    }
