"""How far Sentido is from what the hardware allows: floors and paths, measured in one run.

    make bench              about 10 minutes, and once some minutes more to install the peers
    make bench-quick        about a minute: the floors, the bulk paths, one-text calls
    make bench-client       what each way to ask costs the client
    make bench-score        whole files: 25,000 reviews by each engine
    make bench-fairness     a short call beside callers who ask for too much (about 5 minutes)

All of it runs a bundle of its own, untrained and always of the same sizes (models.py), not the
default one. Every path is a ratio to a floor measured in the same run, since machines are shared
and noisy. The floors: K, what ONNX Runtime alone computes, one thread a CPU, on batches of
pre-tokenized texts sorted by length, of the best size; T, the tokenizer alone, on one thread; E, an
echo on the same transport. Servers are processes of their own, on the same CPUs as the load. Prints
a table and writes bench/results.json.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

from common import APART, CPUS, QUICK, RESULTS, Bench, make_bundles
from floors import floors
from lengths_and_load import mixed, overload
from life import fairness, life
from load import need_h2load
from others import against
from paths import bulk, client, score, unary
from report import Report
from scaling import sizes, threads


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a minute: the most important rows")
    parser.add_argument("--rounds", type=int, help="measurements a row (default: 3; quick: 2)")
    parser.add_argument("--seconds", type=float, help="of each (default: 0.9; quick: 0.3)")
    parser.add_argument("--only", metavar="NAME", help="run the floors and one part")
    arguments = parser.parse_args()
    need_h2load()
    make_bundles()
    seconds = arguments.seconds or (0.3 if arguments.quick else 0.9)
    rounds_a_row = arguments.rounds or (2 if arguments.quick else 3)
    report, began = Report(rounds_a_row, seconds), time.monotonic()
    bench = Bench(report, quick=arguments.quick)
    parts: dict[str, Callable[[Bench], None]] = {
        part.__name__: part
        for part in (
            bulk,
            score,
            unary,
            mixed,
            overload,
            threads,
            sizes,
            life,
            against,
            client,
            fairness,
        )
    }
    chosen = QUICK if arguments.quick else [name for name in parts if name not in APART]
    if arguments.only is not None:
        if arguments.only not in parts:
            parser.error(f"--only {arguments.only}: one of {', '.join(parts)} is needed")
        chosen = [arguments.only]
    floors(bench)
    for name in chosen:
        parts[name](bench)
    facts = {
        "cpus": CPUS,
        "load_average": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "seconds": round(time.monotonic() - began),
    }
    bench.report.write(RESULTS, facts)


if __name__ == "__main__":
    main()
