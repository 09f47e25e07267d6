"""Compare what two versions of the client cost: python bench/paired_clients.py FOLDER.

FOLDER is a checkout of the other version: its `client` and `proto` are used in the place of ours.
Both ask one server, which has CPUs of its own, the same real reviews in turns: a single text per
call, a list, an iterable. Printed for each way to ask: the CPU time per text of the client's
process with all its threads, as medians, and the ratio of ours to theirs: the median of those of
all turns, and between what it lies with 95 % confidence.

A process may be a few per cent faster than another of the same code, by where its memory lies. So
both are started anew, `--processes` times. FOLDER may be this checkout: what differs then is noise.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from servers import BENCH, sentido

OURS = BENCH.parent
WAYS = ("one", "list", "iterable")
TEXTS = {"one": 30, "list": 240, "iterable": 240}  # per turn


Pairs = list[tuple[float, float]]  # µs per text in one turn: ours and theirs


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("theirs", type=Path, metavar="FOLDER")
    parser.add_argument("--processes", type=int, default=12, help="of each version")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each process per way")
    parser.add_argument("--only", default="", help="ways whose name has this in it")
    arguments = parser.parse_args()
    names = [
        f"{kind}.{verb}({way})"
        for kind in ("Client", "AsyncClient")
        for verb in ("predict", "embed")
        for way in WAYS
    ]
    names = [name for name in names if arguments.only in name]
    found = measured(arguments.theirs, names, arguments.processes, arguments.rounds)
    print("| | theirs, µs | ours, µs | ours / theirs | 95 % |\n|---|---|---|---|---|")
    for name, pairs in found.items():
        ours, theirs = (f"{median(side):.1f}" for side in zip(*pairs, strict=True))
        ratios = [one / other for one, other in pairs]
        low, high = limits_of_median(ratios)
        ratio = f"{median(ratios):.3f} | {low:.3f} to {high:.3f}"
        print(f"| {name} | {theirs} | {ours} | {ratio} |")


def measured(
    theirs: Path, names: Sequence[str], processes: int, rounds: int
) -> Mapping[str, Pairs]:
    """Return what each way to ask took, of both versions in each turn."""
    from common import make_bundles  # here, since a worker must not load the other client
    from sentido_export.data import load

    make_bundles()
    texts = load("reviews", "text", "label").texts[::60]
    *first, last = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, first or {last})
    found: dict[str, Pairs] = {name: [] for name in names}
    with sentido() as server:
        for _ in range(processes):
            with (
                worker(OURS, server.address, texts, last) as one,
                worker(theirs, server.address, texts, last) as other,
            ):
                for turn in range(-1, rounds):
                    for name in names:
                        pair = in_turns(one, other, name, turn)
                        if turn >= 0:  # the first of a process connects and warms up
                            found[name].append(pair)
    return found


def limits_of_median(values: Sequence[float]) -> tuple[float, float]:
    """Return between what the median lies with 95 % confidence, by the binomial distribution."""
    reach = 0.98 * len(values) ** 0.5
    low = max(0, round(len(values) / 2 - reach) - 1)
    return sorted(values)[low], sorted(values)[-1 - low]


def in_turns(ours: Any, theirs: Any, name: str, turn: int) -> tuple[float, float]:
    """Return the µs per text of both, each of which is the first in every second turn."""
    both = [ours, theirs]
    taken = {id(one): ask(one, name) for one in (both if turn % 2 else both[::-1])}
    return taken[id(ours)], taken[id(theirs)]


def ask(process: "subprocess.Popen[str]", name: str) -> float:
    """Let a worker ask once; return the µs of CPU time per text."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(name, file=process.stdin, flush=True)
    return float(process.stdout.readline())


@contextmanager
def worker(
    folder: Path, address: str, texts: Sequence[str], cpu: int
) -> Iterator["subprocess.Popen[str]"]:
    """Run this file with a checkout's client, on a CPU."""
    paths = os.pathsep.join(str(folder.resolve() / part) for part in ("client", "proto"))
    with subprocess.Popen(
        ["taskset", "-c", str(cpu), sys.executable, __file__, "--worker"],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        print(json.dumps([str(folder.resolve()), address, texts]), file=process.stdin, flush=True)
        try:
            yield process
        finally:
            process.stdin.close()


def work() -> None:
    """Be a worker: ask as each line says, and print the µs of CPU time per text."""
    import sentido_client  # the one of the folder
    from sentido_client import AsyncClient, Client

    folder, address, texts = json.loads(sys.stdin.readline())
    assert Path(sentido_client.__file__).is_relative_to(folder)
    asked = asyncio.Runner()
    blocking, other = Client(address), AsyncClient(address)
    for line in sys.stdin:
        kind, _, rest = line.strip().partition(".")
        verb, _, way = rest[:-1].partition("(")
        part = texts[: TEXTS[way]]
        began = time.process_time()
        if kind == "Client":
            ask_blocking(getattr(blocking, verb), way, part)
        else:
            asked.run(ask_async(getattr(other, verb), way, part))
        print(1e6 * (time.process_time() - began) / len(part), flush=True)


def ask_blocking(verb: Any, way: str, texts: Sequence[str]) -> None:
    """Ask a Client."""
    if way == "one":
        for text in texts:
            verb(text)
    elif way == "list":
        verb(texts)
    else:
        for _ in verb(iter(texts)):
            pass


async def ask_async(verb: Any, way: str, texts: Sequence[str]) -> None:
    """Ask an AsyncClient."""
    if way == "one":
        for text in texts:
            await verb(text)
    elif way == "list":
        await verb(texts)
    else:
        async for _ in verb(iter(texts)):
            pass


if __name__ == "__main__":
    work() if "--worker" in sys.argv else main()
