"""That a container of the server's image ends whenever it is told to, from its first moment on."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from engine import TAG, docker, inspect, logs
from waiting import PATIENCE

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
IMAGE = f"sentido-server:{TAG}"
MOMENTS = 20  # in the first second of a container


def stopped(after: float) -> tuple[int, float]:
    """Start a container, and send SIGTERM after so many seconds.

    Returns its exit code and how many seconds it took to end. A signal that was lost would leave it
    running for ever.
    """
    container = docker("run", "--detach", IMAGE).strip()
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
    container = docker("run", "--detach", "--init", IMAGE).strip()
    try:
        docker("stop", "--time=45", container)
        assert inspect(container)["State"]["ExitCode"] in (0, 128 + 15)
        assert all(line.startswith("{") for line in logs(container).splitlines())
    finally:
        docker("rm", "--force", container)
