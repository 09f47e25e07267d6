"""That a container of the server's image ends whenever it is told to, from its first process on."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine import TAG, docker, inspect, logs
from waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
IMAGE = f"sentido-server:{TAG}"
MOMENTS = 20  # in the first second of a container


def started(*flags: str) -> str:
    """Start a container; return its name once its first process has started another.

    A signal that comes before, while the engine still makes the first one, is dropped by the
    kernel, whatever the image starts.
    """
    container = docker("run", "--detach", *flags, IMAGE).strip()
    wait_for(lambda: len(docker("top", container).splitlines()) > 2)  # a title, tini, Python
    return container


def stopped(after: float) -> tuple[int, float]:
    """Start a container, and send SIGTERM so many seconds after tini has started the server.

    Returns its exit code and how many seconds it took to end. A signal that was lost would leave it
    running for ever.
    """
    container = started()
    try:
        time.sleep(after)  # the moment is what is tested
        docker("kill", "--signal=TERM", container)
        began = time.monotonic()
        code = docker("wait", container, timeout=PATIENCE)
        return int(code), time.monotonic() - began
    finally:
        docker("rm", "--force", container)


def test_sigterm_ends_a_container_in_any_moment_of_its_first_second(
    figures: dict[str, str],
) -> None:
    with ThreadPoolExecutor(4) as pool:  # the engine has work for several at once
        ends = list(pool.map(stopped, (moment / MOMENTS for moment in range(MOMENTS))))
    longest = max(seconds for _, seconds in ends)
    figures[f"SIGTERM in the first second, {MOMENTS} containers"] = f"{longest:.1f} s at most"
    assert {code for code, _ in ends} <= {0, 128 + 15}


def test_the_exit_code_is_the_servers() -> None:
    with pytest.raises(AssertionError, match="is not a whole number from 1"):
        docker("run", "--rm", IMAGE, "--max-texts", "zork")
    container = docker("run", "--detach", IMAGE, "--max-texts", "zork").strip()
    try:
        assert docker("wait", container, timeout=PATIENCE).strip() == "2"
    finally:
        docker("rm", "--force", container)


def test_an_engine_may_bring_an_init_of_its_own() -> None:
    container = started("--init")
    try:
        docker("stop", "--time=45", container)
        assert inspect(container)["State"]["ExitCode"] in (0, 128 + 15)
        assert all(line.startswith("{") for line in logs(container).splitlines())
    finally:
        docker("rm", "--force", container)
