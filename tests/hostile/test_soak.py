"""A server at 80 % of its load, amid all that goes wrong in life: no answer is wrong or lost.

make nightly-hostile       the same for half an hour on each transport
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from sentido.v1 import model_pb2
from sentido.v1.model_pb2_grpc import ModelServiceStub
from sentido_bundle import Bundle, default_bundle
from soak_callers import METADATA, STALL_SECONDS, TOKEN
from victims import TEXTS, Victim, in_process, over_the_wire, victim
from waiting import PATIENCE, wait_for

CALLERS = Path(__file__).parent / "soak_callers.py"
ADMIN = "admin-token-0123456789"
LOAD = 0.8  # of what it can do
LONG = 300  # seconds, which are in rounds: what is in flight comes and goes
ROUNDS = 4
REST_SECONDS = 15  # after each; by then idle threads have ended, and what was freed is back
FLAT = 0.05  # of its memory at rest, by which it may have grown after any later round
SEED = 12
COUNTED = ("calls", "compared", "wrong", "lost", "hung")


class Callers:
    """The program that calls, with all it needs to know."""

    def __init__(self, address: str, answers: Path) -> None:
        self._address = address
        self._answers = answers

    def command(self, seed: int, seconds: float, rate: float) -> list[str]:
        facts = (self._address, str(seed), str(seconds), str(rate), str(self._answers))
        return [sys.executable, str(CALLERS), *facts]

    def run(self, seed: int, seconds: float, rate: float) -> dict[str, Any]:
        """Call for so long; returns what became of the calls."""
        command = self.command(seed, seconds, rate)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds + 120)
        assert done.returncode == 0
        return dict(json.loads(done.stdout))


@contextmanager
def meanwhile(*bodies: Any) -> Iterator[threading.Event]:
    """Run each body on a thread, again and again until the block is left; raise what they raise."""
    over, errors = threading.Event(), []

    def run(body: Any) -> None:
        try:
            while not over.is_set():
                body(over)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield over
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
    if errors:
        raise errors[0]


class Life:
    """What happens beside the calls; a method runs again and again until `over`."""

    def __init__(self, attacked: Victim, callers: Callers, link: Path, folders: list[Path]) -> None:
        self.attacked = attacked
        self.memory: list[float] = []  # each second under load
        self.kills = 0
        self.reloads = 0
        self._callers = callers
        self._link = link
        self._folders = folders
        self._random = Random(SEED)

    def look(self, over: threading.Event) -> None:
        self.memory.append(self.attacked.usage().memory)
        over.wait(1)

    def kill(self, over: threading.Event) -> None:
        """Kill callers in the middle of what they do."""
        command = self._callers.command(1000 + self.kills, 60, 20)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            over.wait(self._random.uniform(0.8, 4))
            assert process.poll() is None
            process.kill()
        self.kills += 1

    def reload(self, over: threading.Event) -> None:
        """Let the link lead to the other folder, and the server load it, by either way."""
        new = self._link.with_name("new")
        new.symlink_to(self._folders[self.reloads % 2])
        os.replace(new, self._link)
        before = len(self.attacked.events("reloaded"))
        if self.reloads % 4 < 2:
            self.attacked.process.send_signal(signal.SIGHUP)
        else:
            with grpc.insecure_channel(self.attacked.address) as channel:
                request = model_pb2.ReloadModelRequest(name="imdb")
                metadata = (("authorization", f"Bearer {ADMIN}"),)
                ModelServiceStub(channel).ReloadModel(request, metadata=metadata, timeout=PATIENCE)
        wait_for(lambda: len(self.attacked.events("reloaded")) > before)
        self.reloads += 1
        over.wait(self._random.uniform(0.5, 5))


@pytest.fixture
def answers(bundle: Bundle, reviews: list[str], tmp_path: Path) -> Path:
    """A file of texts, each with the bits that this process computes."""
    texts = [*TEXTS, *reviews[::1000]]
    found = in_process(bundle, texts)
    both = [
        [bits.hex() for bits in pair]
        for pair in zip(found.probabilities, found.vectors, strict=True)
    ]
    path = tmp_path / "answers"
    path.write_text(json.dumps(dict(zip(texts, both, strict=True))))
    return path


def growth(resting: list[float]) -> float:
    """By how much it has grown at most since the first round, as a share."""
    return max(resting) / resting[0] - 1


def test_no_answer_is_wrong_lost_or_late_whatever_happens(
    transport: str,
    bundle: Bundle,
    answers: Path,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    figures: dict[str, str],
) -> None:
    seconds = pytestconfig.getoption("--soak-seconds")
    folders = [default_bundle(), Path(shutil.copytree(default_bundle(), tmp_path / "other"))]
    link = tmp_path / "served"
    link.symlink_to(folders[1])
    tokens = tmp_path / "tokens"
    tokens.write_text(f"call {TOKEN}\nadmin {ADMIN}\n")
    flags = ("--bundle", str(link), "--token-file", str(tokens), "--transport", transport)
    with victim(tmp_path, *flags, "--stall-seconds", str(STALL_SECONDS)) as attacked:
        callers = Callers(attacked.address, answers)
        capacity = callers.run(SEED, max(2, min(20, seconds / 10)), 0)["rate"]
        wait_for(lambda: attacked.in_flight() == 0)
        before = attacked.usage()
        life = Life(attacked, callers, link, folders)
        began = time.monotonic()
        totals: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        resting: list[float] = []  # memory after each round
        over = threading.Event()
        over.set()
        rounds, rest = (ROUNDS, REST_SECONDS) if seconds >= LONG else (1, 0)
        for seed in range(SEED + 1, SEED + 1 + rounds):
            with meanwhile(life.look, life.kill, life.reload):
                found = callers.run(seed, seconds / rounds, LOAD * capacity)
            assert not found["told"], f"seed {seed}: {found}"
            totals.update({name: found[name] for name in COUNTED})
            outcomes.update(found["outcomes"])
            attacked.wait_until_idle(before)
            life.reload(over)  # sessions that have run nothing but what comes next
            assert over_the_wire(attacked.address, metadata=METADATA) == in_process(bundle)
            time.sleep(rest)
            resting.append(attacked.usage().memory)
        assert totals["compared"] > 0
        attacked.check_log()
    shown = {**totals, "capacity": round(capacity), "kills": life.kills, "reloads": life.reloads}
    memory = (
        f"{min(life.memory):.0f} to {max(life.memory):.0f} MiB under load,"
        f" {', '.join(f'{each:.0f}' for each in resting)} at rest, {growth(resting):+.1%}"
    )
    name = f"soak of {time.monotonic() - began:.0f} s, {transport}"
    figures[name] = f"{shown}, {dict(outcomes.most_common())}, memory {memory}"
    assert growth(resting) < FLAT, resting
