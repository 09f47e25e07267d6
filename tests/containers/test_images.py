"""What the images hold and how they are set up."""

import json

import pytest
from conftest import ROOT
from engine import IMAGES, TAG, docker, inspect

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
LOOK = """
import importlib.util, json, os, shutil
folders = ["/", "/opt/sentido/lib", *os.environ["PATH"].split(":")]
print(json.dumps({
    "user": os.getuid(),
    "modules": [name for name in %r if importlib.util.find_spec(name)],
    "programs": [name for name in %r if shutil.which(name)],
    "writable": [folder for folder in folders if os.access(folder, os.W_OK)],
}))
"""
MODULES = ["pip", "setuptools", "ensurepip", "hatchling", "tensorflow", "keras", "onnxruntime"]
PROGRAMS = ["pip", "pip3", "cc", "gcc", "g++", "clang", "make"]


def test_the_server_adds_at_most_200_megabytes_to_its_base(images: dict[str, int]) -> None:
    assert images["server"] <= 200e6


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_what_it_runs_and_no_means_to_build(image: str) -> None:
    look = LOOK % (MODULES, PROGRAMS)
    run = ("run", "--rm", "--entrypoint=python", f"sentido-{image}:{TAG}", "-c", look)
    found = json.loads(docker(*run))
    models = {
        "server": ["onnxruntime"],
        "export": ["setuptools", "tensorflow", "keras", "onnxruntime"],  # TensorFlow asks for it
    }
    assert found == {
        "user": 10001,
        "modules": models.get(image, []),
        "programs": [],
        "writable": [],
    }


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is_and_runs_its_command_itself(image: str) -> None:
    config = inspect(f"sentido-{image}:{TAG}")["Config"]
    labels = {k.rpartition(".")[2]: v for k, v in config["Labels"].items() if "opencontainers" in k}
    text = (ROOT / image / "pyproject.toml").read_text()
    assert labels["title"] == f"sentido-{image}"
    for name, field in (("version", "version"), ("licenses", "license"), ("description",) * 2):
        assert f'{field} = "{labels[name]}"' in text
    starts = {"server": ["tini", "-s", "--"]}.get(image, [])
    command = "sentido" if image == "client" else f"sentido-{image}"
    assert config["Entrypoint"] == [*starts, command]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    health = ["CMD", "sentido-server", "--check"] if image == "server" else ["NONE"]
    assert config["Healthcheck"]["Test"] == health
