"""A real Docker engine, for the tests of containers: projects of compose, and load on them."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conftest import ROOT

BASE = "python:3.11-slim-bookworm"
OURS = {"PYTHON_IMAGE": BASE}  # the engine may have it under its tag alone
TAG = f"test-{os.getpid()}"  # of this run alone: others may use the engine
SCALE = ("docker-compose.yml", "deploy/compose.scale.yml")
LOAD = ROOT / "tests" / "containers" / "load.py"
IMAGES = ("server", "client", "export")


def docker(*command: str, timeout: float = 120, **environment: str) -> str:
    """Run a docker command in the repository's root; give what it prints."""
    return _run(command, timeout, environment).stdout


def logs(container: str) -> str:
    """Give what a container has logged."""
    result = _run(("logs", container), 30, {})
    return result.stdout + result.stderr


def _run(
    command: tuple[str, ...], timeout: float, environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    result = subprocess.run(
        ["docker", *command],
        cwd=ROOT,
        env={**OURS, **os.environ, "SENTIDO_TAG": TAG, "SENTIDO_PORT": "0", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result


def inspect(name: str) -> dict[str, Any]:
    """Give what the engine knows of a container or an image."""
    (found,) = json.loads(docker("inspect", name))
    return dict(found)


@contextmanager
def images() -> Iterator[dict[str, int]]:
    """Build all images; give each one's size in bytes, and that of their "base"."""
    files = [f"--file={file}" for file in SCALE]
    docker("compose", *files, "--profile=*", "build", "--quiet", timeout=1200)
    built = {name: f"sentido-{name}:{TAG}" for name in IMAGES}
    try:
        named = {**built, "base": BASE}
        yield {name: inspect(image)["Size"] for name, image in named.items()}
    finally:
        docker("image", "rm", *built.values())


class Project:
    """A compose project with a name of its own; lives until it is taken down."""

    def __init__(self, name: str, files: tuple[str, ...], **environment: str) -> None:
        self.name = name
        self.environment = environment
        self._compose = ["compose", "--project-name", name, *(f"--file={file}" for file in files)]

    def compose(self, *command: str, timeout: float = 120) -> str:
        return docker(*self._compose, *command, timeout=timeout, **self.environment)

    def containers(self, service: str = "server") -> list[str]:
        """Give the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def leftovers(self) -> str:
        """Give what of the project is still there."""
        ours = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return "".join(docker(*kind, *ours) for kind in kinds)

    @contextmanager
    def load(self) -> "Iterator[Load]":
        """Run load.py in a container of the client."""
        mount = f"{LOAD}:/load.py:ro"
        run = ["run", "--rm", "--no-TTY", "--entrypoint=python", "--volume", mount]
        with subprocess.Popen(
            ["docker", *self._compose, *run, "client", "/load.py"],
            cwd=ROOT,
            env={**os.environ, "SENTIDO_TAG": TAG, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Load(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait(30)


class Load:
    """Calls that go on; see load.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def hurry(self) -> None:
        """Let every caller have a call in flight until the next report."""
        assert self._process.stdin is not None
        print("hurry", file=self._process.stdin, flush=True)

    def after(self, calls: int) -> Counter[str]:
        """Wait for so many more calls; give how all went since the last time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(calls, file=self._process.stdin, flush=True)
        return Counter(json.loads(self._process.stdout.readline()))


@contextmanager
def project(name: str, *files: str, **environment: str) -> Iterator[Project]:
    """Give a project; take it down in the end, whatever became of it."""
    made = Project(f"sentido-test-{name}-{os.getpid()}", files, **environment)
    try:
        yield made
    finally:
        made.compose("--profile=*", "down", "--volumes", "--timeout=45", "--remove-orphans")
        assert made.leftovers() == ""


def failed(ends: Counter[str], kind: str = "client") -> dict[str, int]:
    """Give the calls of one kind of caller that were not answered."""
    return {
        end: n for end, n in ends.items() if end.startswith(f"{kind}: ") and not end.endswith("OK")
    }
