"""Three replicas behind one name, a client in a container, and load while replicas come and go."""

import json
from collections.abc import Iterator

import pytest
from engine import SCALE, Load, Project, docker, failed, inspect, logs, project

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
REPLICAS = 3


@pytest.fixture(scope="module")
def scaled() -> Iterator[Project]:
    with project("scale", *SCALE) as scaled:
        scale(scaled)
        yield scaled


@pytest.fixture(scope="module")
def load(scaled: Project) -> Iterator[Load]:
    with scaled.load() as load:
        load.after(100)
        yield load


def scale(scaled: Project) -> None:
    """Bring up as many replicas as are missing, and wait until they are healthy."""
    scaled.compose(
        "up", "--detach", "--wait", "--no-recreate", f"--scale=server={REPLICAS}", "server"
    )
    assert len(scaled.containers()) == REPLICAS


def calls(container: str) -> int:
    """Give the number of calls of Predict in a container's log."""
    return logs(container).count('/Predict"')


def test_the_command_calls_them_by_their_name(scaled: Project) -> None:
    said = scaled.compose("run", "--rm", "--no-TTY", "client", "predict", "A wonderful film.")
    assert json.loads(said)["label"] == "positive"


def test_all_three_answer(scaled: Project, load: Load) -> None:
    assert not failed(load.after(200))
    counts = [calls(container) for container in scaled.containers()]
    assert min(counts) > sum(counts) / REPLICAS / 2


def test_a_replica_that_is_killed_fails_no_call_of_the_client(
    scaled: Project, load: Load, figures: dict[str, str]
) -> None:
    killed = max(scaled.containers(), key=calls)
    load.hurry()
    docker("kill", killed)
    ends = load.after(400)
    figures["calls failed during kill"] = (
        f"{sum(failed(ends).values())} of {ends['client: OK']} calls"
        f" (without retries {sum(failed(ends, 'plain').values())}, each UNAVAILABLE)"
    )
    assert not failed(ends)
    # Each of the 8 callers that retry nothing had one call in flight.
    assert failed(ends, "plain").keys() <= {"plain: UNAVAILABLE"}
    assert sum(failed(ends, "plain").values()) <= 8


def test_a_replica_that_comes_back_fails_no_call(
    scaled: Project, load: Load, figures: dict[str, str]
) -> None:
    scale(scaled)
    ends = load.after(200)
    figures["calls failed during scale"] = f"{sum(failed(ends).values())} of {ends['client: OK']}"
    assert not failed(ends)  # plain callers, who ask for no health, may meet it while it loads


def test_a_replica_that_is_stopped_drains_and_fails_no_call(
    scaled: Project, load: Load, figures: dict[str, str]
) -> None:
    stopped = max(scaled.containers(), key=calls)
    docker("stop", "--time=45", stopped)
    ends = load.after(200)
    figures["calls failed during stop"] = f"{sum(failed(ends).values())} of {ends['client: OK']}"
    assert not failed(ends)
    assert inspect(stopped)["State"]["ExitCode"] == 0
    log = logs(stopped)
    assert "drain timed out" not in log
    assert '"event": "stopped"' in log
