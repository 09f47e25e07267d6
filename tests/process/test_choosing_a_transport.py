"""Which transport `auto` takes, and what the log says of it: native only for this machine."""

from pathlib import Path

import pytest
from processes import Server, server


def lines(running: Server, level: str) -> dict[str, dict[str, str]]:
    """Return the lines of a level so far, by their events."""
    return {line["event"]: line for line in running.lines if line["level"] == level}


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "unix"])
def test_auto_is_native_where_all_callers_are_on_this_machine(listen: str, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket" if listen == "unix" else listen
    with server("--listen", address) as running:
        assert lines(running, "info")["serving"]["transport"] == "native"
        assert "transport" not in lines(running, "info")
        assert not lines(running, "warning")


def test_auto_is_grpcio_on_a_network_and_says_why_and_how_to_be_fast() -> None:
    with server("--listen", "0.0.0.0:0") as running:
        said = lines(running, "info")
        assert said["serving"]["transport"] == said["transport"]["transport"] == "grpcio"
        assert "no bound on the memory" in said["transport"]["reason"]
        assert "listen on 127.0.0.1 or a Unix socket behind a proxy" in said["transport"]["reason"]
        assert "compression" in said["transport"]["reason"]


def test_native_on_a_network_is_possible_and_a_warning() -> None:
    with server("--listen", "0.0.0.0:0", "--transport", "native") as running:
        assert lines(running, "info")["serving"]["transport"] == "native"
        warning = lines(running, "warning")["native on a network"]
        assert "compression" in warning["reason"]
        assert "--transport grpcio" in warning["reason"]
        assert warning["address"] == "0.0.0.0:0"


def test_grpcio_that_is_asked_for_says_nothing_of_native() -> None:
    with server("--listen", "0.0.0.0:0", "--transport", "grpcio") as running:
        assert "transport" not in lines(running, "info")
        assert lines(running, "warning").keys() == {"plain text beyond this machine"}
