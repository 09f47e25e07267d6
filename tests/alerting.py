"""The alerts as Prometheus gets them, and the labels that it gives what it scrapes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from charts import CHART, render

MONITORED = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}


@dataclass(frozen=True)
class World:
    """A way to be monitored: the labels that a scrape adds."""

    name: str
    labels: dict[str, str]

    def __str__(self) -> str:
        return self.name


WORLDS = (
    World("compose", {"job": "sentido"}),
    # As the Prometheus operator makes them of a ServiceMonitor without `jobLabel`: the job is the
    # name of the Service.
    World(
        "chart",
        {
            "job": "release-sentido",
            "namespace": "default",
            "service": "release-sentido",
            "endpoint": "metrics",
            "container": "server",
            "pod": "release-sentido-0",
        },
    ),
)


def rules(world: World, helm: str, folder: Path) -> dict[str, Any]:
    """Return the content of a file of rules."""
    if world.name == "compose":
        return dict(yaml.safe_load((CHART / "alerts.yml").read_text()))
    resources = render(helm, folder, MONITORED)
    assert resources["Service"]["metadata"]["name"] == world.labels["service"]
    assert "jobLabel" not in resources["ServiceMonitor"]["spec"]
    return dict(resources["PrometheusRule"]["spec"])
