"""What the dashboard that deploy/ ships asks Prometheus."""

import json
from typing import Any

from conftest import ROOT

_FILE = ROOT / "deploy" / "grafana" / "dashboards" / "sentido.json"


def panels() -> list[dict[str, Any]]:
    """Give the dashboard's panels, as Grafana reads them."""
    return list(json.loads(_FILE.read_text())["panels"])


def questions() -> dict[str, str]:
    """Give each question in PromQL, by its panel's title, with a span in place of Grafana's own."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in panels()
        for target in panel["targets"]
    }
