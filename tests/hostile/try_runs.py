"""Ends runs of the scorer at random while things befall their input, their parts and their bundle.

A program of its own: given an engine and two seeds it tries those from the first to before the
second, names each on standard error before it is tried, and ends with an error at the first whose
output is wrong or that has harmed anything. One seed alone is `try_runs.py local 17 18`. What a
seed does is fixed, when it does it is not.
"""

import faulthandler
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from bundles import Sizes, signed, sized

sys.path.append(str(Path(__file__).parent.parent))  # as pytest has it

from processes import server
from ray_programs import CLUSTER
from scoring import SCORE
from sentido_bundle import default_bundle
from stories import Answer, Files, Story, snapshot
from waiting import PATIENCE, wait_for

_ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_ATTEMPTS = 5
Flags = list[str]


class Teller:
    """Tells one story with one engine, and looks after each run whether it has done harm."""

    def __init__(self, story: Story, engine: Flags) -> None:
        self.story, self.engine = story, engine
        self.log: list[str] = []
        self.whole: list[list[Answer]] = []  # outputs that may be there

    def tell(self) -> None:
        """Run, end and disturb; let it finish at last, and look at the output."""
        random = self.story.random
        if random.random() < 0.4:
            self._make_old_output()
        flag = "--overwrite" if self.story.out.exists() else "--resume"
        for _ in range(random.randrange(1, _ATTEMPTS)):
            if self._run(flag, is_left_alone=False) == 0:
                break
            self._event()
            flag = "--resume" if random.random() < 0.9 else "--overwrite"
        else:
            if self._run("--resume", is_left_alone=True) not in (0,):
                assert self._run("--overwrite", is_left_alone=True) == 0, "--overwrite is refused"
        assert not self.story.parts.exists(), sorted(self.story.parts.iterdir())

    def _make_old_output(self) -> None:
        assert self._run("--resume", is_left_alone=True) == 0
        self._event()

    def _event(self, *, is_running: bool = False) -> None:
        events = self.story.events(is_running=is_running)
        name = self.story.random.choice(("nothing", *events))
        self.log.append(name)
        events[name]()

    def _states(self) -> list[Answer]:
        return self.story.expected(snapshot(self.story.source), self.story.served)

    def _run(self, flag: str, *, is_left_alone: bool) -> int:
        story, random = self.story, self.story.random
        before, inputs = self._states(), snapshot(story.source)
        had = story.output() if story.out.is_file() or self._has_report() else None
        command = [SCORE, str(story.source), "--out", story.out_name, flag, *self.engine]
        command += ["--part-rows", str(story.part_rows), "--format", story.format]
        command += ["--input-format", story.format]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            if not is_left_alone:
                inputs = self._disturb(process, random, inputs)
            try:
                said = process.communicate(timeout=PATIENCE)[1].decode()
            finally:
                process.kill()
        code = process.returncode
        self.log.append(f"{flag} -> {code} {said[-300:]!r}")
        if code != -signal.SIGINT:  # before the command listens the interrupt is Python's
            assert "Traceback" not in said, said
        assert code in (0, 1, 130, 143, *(-number for number in _ENDS)), said
        assert not is_left_alone or code in (0, 1), said
        assert snapshot(story.source) == inputs, "the input is changed"
        assert story.read_others() == story.others, "files of others are changed"
        self._check_output(code, had, [before, self._states()])
        return code

    def _has_report(self) -> bool:
        return Path(f"{self.story.out}.report.json").exists()

    def _disturb(self, process: "subprocess.Popen[bytes]", random: Random, inputs: Files) -> Files:
        """Wait until some moment of a run, have something happen now and then, and end the run."""
        story, moment = self.story, random.random()
        if moment < 0.2:
            wait_for(lambda: process.poll() is not None or (story.parts / "whole").exists())
        elif moment < 0.35:
            wait_for(lambda: process.poll() is not None or self._has_report())
        elif moment < 0.8:
            wait_for(lambda: process.poll() is not None or list(story.parts.glob("part-*")))
            _wait(process, random.uniform(0, 0.4))
        else:
            _wait(process, random.uniform(0, 2))
        if random.random() < 0.25:
            self._event(is_running=True)
            inputs = snapshot(story.source)
            if random.random() < 0.5:
                return inputs
        process.send_signal(random.choice(_ENDS))
        return inputs

    def _check_output(self, code: int, had: list[Answer] | None, right: list[list[Answer]]) -> None:
        story, is_file = self.story, not self.story.out_name.endswith("/")
        if code == 0 or self._has_report():
            found = story.output()
            assert found is not None, "a report without an output"
            report = json.loads(Path(f"{story.out}.report.json").read_bytes())
            assert report["rows"] == len(found)
            is_old = code != 0 and found in (had, *self.whole)
            assert is_old or found in right, "the output is wrong"
            self.whole.append(found)
        elif is_file and story.out.exists():
            assert story.output() in (had, *right), "half an output"
        elif had is not None and is_file:
            raise AssertionError("the old output is gone")


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


@contextmanager
def engine_of(name: str, story: Story, cluster: str) -> Iterator[Flags]:
    """Run what an engine needs for a story; give its flags."""
    bundle = ["--bundle", str(story.link)]
    if name == "local":
        yield bundle
    elif name == "ray":
        yield [*bundle, "--engine", "ray", "--ray-address", cluster]
    else:
        with server(*bundle, "--threads", "1") as running:

            def reload() -> None:
                running.process.send_signal(signal.SIGHUP)
                running.wait_for("reloaded")

            story.reload = reload
            yield ["--engine", "remote", "--address", running.address]


@contextmanager
def cluster_for(engine: str) -> Iterator[str]:
    """Start the one cluster of all stories, for the engine that needs it; give its address."""
    if engine != "ray":
        yield ""
        return
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    command = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def write_other_bundle(folder: Path) -> Path:
    """Make a bundle that answers otherwise than the default one."""
    folder.mkdir()
    for name, data in signed(sized(Sizes())).items():
        (folder / name).write_bytes(data)
    return folder


def main(engine: str, first: int, end: int) -> int:
    """Tell the stories of some seeds; print what became of them."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as made, cluster_for(engine) as cluster:
        bundles = [default_bundle(), write_other_bundle(Path(made) / "other")]
        for seed in range(first, end):
            print(f"seed {seed}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(20 * PATIENCE, exit=True)
            with tempfile.TemporaryDirectory() as folder:
                story = Story(Path(folder), Random(seed), bundles)
                with engine_of(engine, story, cluster) as flags:
                    teller = Teller(story, flags)
                    try:
                        teller.tell()
                    except Exception:
                        traceback.print_exc()
                        command = f"python tests/hostile/try_runs.py {engine} {seed} {seed + 1}"
                        print(*teller.log, command, sep="\n", file=sys.stderr)
                        return 1
            counts["stories"] += 1
            counts["runs"] += sum(" -> " in line for line in teller.log)
            counts["ended"] += sum(" -> -9" in line or " -> 1" in line for line in teller.log)
            counts["events"] += sum(" -> " not in line for line in teller.log)
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
