"""`docker compose up`: one server with the default bundle, then with one of its user's own."""

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from engine import TAG, Project, docker, inspect, logs, project
from sentido_bundle import Bundle
from sentido_client import Client, SentidoError
from waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
TEXT = "A wonderful little film."


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project as a user brings it up, with a CSV file to train on."""
    data = tmp_path_factory.mktemp("data") / "mine.csv"
    rows = [f"a lovely film {n},good\nan awful film {n},bad\n" for n in range(60)]
    data.write_text("text,label\n" + "".join(rows))
    with project("up", "docker-compose.yml", SENTIDO_DATA=str(data)) as up:
        up.compose("up", "--detach", "--wait")
        yield up


@pytest.fixture(scope="module")
def server(up: Project) -> str:
    (container,) = up.containers()
    return container


@pytest.fixture(scope="module")
def address(up: Project) -> str:
    """Where the container's port is published, as a user of this machine calls it."""
    return up.compose("port", "server", "50051").strip()


def test_it_is_healthy_at_once(server: str, figures: dict[str, str]) -> None:
    state = inspect(server)["State"]
    assert state["Health"]["Status"] == "healthy"
    first = next(check for check in state["Health"]["Log"] if check["ExitCode"] == 0)
    assert "127.0.0.1:50051 is SERVING" in first["Output"]
    started, healthy = (datetime.fromisoformat(t) for t in (state["StartedAt"], first["End"]))
    figures["time from start to healthy"] = f"{(healthy - started).total_seconds():.1f} s"


def test_it_serves_the_default_bundle_to_this_machine_alone(address: str, bundle: Bundle) -> None:
    assert address.startswith("127.0.0.1:")
    with Client(address) as client:
        assert client.predict(TEXT).label == "positive"
        assert client.model().bundle_digest == bundle.digest


def test_it_may_do_as_little_as_its_file_says(server: str) -> None:
    host = inspect(server)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["Memory"], host["PidsLimit"]) == (2**30, 8192)
    assert host["CpuQuota"] == 2 * host["CpuPeriod"] > 0  # of two CPUs
    (bundles,) = [mount for mount in inspect(server)["Mounts"] if mount["Type"] == "volume"]
    assert bundles["RW"] is False


def test_a_bundle_trained_from_a_csv_is_served_after_sighup_and_no_call_fails(
    up: Project, server: str, address: str, figures: dict[str, str]
) -> None:
    small = ("--epochs=1", "--words=200", "--max-tokens=20", "--dimensions=4", "--units=6")
    said = up.compose("--progress=quiet", "run", "--rm", "--no-TTY", "export", *small)
    digest = said.split("digest")[1].split()[0]
    digests: list[str] = []
    failures: list[SentidoError] = []
    with Client(address) as client:

        def call() -> None:
            for _ in range(20_000):  # bounded; ends as soon as the new bundle answers
                try:
                    digests.append(client.predict(TEXT).bundle_digest)
                except SentidoError as error:
                    failures.append(error)
                    return
                if digests[-1] == digest:
                    return

        callers = [threading.Thread(target=call) for _ in range(8)]
        for caller in callers:
            caller.start()
        up.compose("kill", "--signal=HUP", "server")
        for caller in callers:
            caller.join(PATIENCE)
        assert client.model().labels == ("bad", "good")
    figures["calls failed during reload"] = f"{len(failures)} of {len(digests)}"
    assert not failures
    assert digests.count(digest) == len(callers), logs(server)


def test_a_bundle_stays_when_the_containers_go(up: Project) -> None:
    up.compose("down", "--timeout=45")
    up.compose("up", "--detach", "--wait")
    with Client(up.compose("port", "server", "50051").strip()) as client:
        assert client.model().labels == ("bad", "good")


def test_a_container_with_too_little_memory_says_so_before_it_may_be_killed() -> None:
    server = ("--memory=256m", f"sentido-server:{TAG}")
    container = docker("run", "--detach", *server).strip()
    try:
        wait_for(lambda: "give it 448 MiB or more" in logs(container))
    finally:
        docker("rm", "--force", container)


def test_a_csv_that_is_not_there_is_not_made_a_folder_by_the_engine(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    with project("missing", "docker-compose.yml", SENTIDO_DATA=str(missing)) as without:
        with pytest.raises(AssertionError, match="does not exist"):
            without.compose("run", "--rm", "export")
        assert not missing.exists()
