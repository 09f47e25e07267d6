"""Compare how fast two bundles answer: python bench/two_bundles.py OLD NEW [--rounds 7].

Both answer the same 1,000 reviews, in turns: in this process, on all CPUs, and by a server of their
own, which a client on the same CPUs sends one list. Printed are the medians of texts per second and
the ratio of NEW to OLD, the median of those of all rounds, with the least and the greatest.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

from sentido_bundle import Bundle
from sentido_client import Client
from sentido_export.data import load
from servers import sentido

TEXTS = 1000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("bundles", nargs=2, metavar="BUNDLE")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    texts = load("reviews", "text", "label").texts[:: 25_000 // TEXTS][:TEXTS]
    print("| | old, texts/s | new, texts/s | new / old |\n|---|---|---|---|")
    with ExitStack() as stack:
        ways: dict[str, list[Way]] = {
            "in process": [Bundle.load(bundle).predict for bundle in arguments.bundles],
            "served": served(arguments.bundles, stack),
        }
        for name, both in ways.items():
            rates = [[rate(way, texts) for way in both] for _ in range(1 + arguments.rounds)][1:]
            old, new = (median(side) for side in zip(*rates, strict=True))
            ratios = [new / old for old, new in rates]
            spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"| {name} | {old:,.0f} | {new:,.0f} | {spread} |", flush=True)


Way = Callable[[Sequence[str]], object]


def served(bundles: Sequence[str], stack: ExitStack) -> list[Way]:
    """Return what has texts answered by a server of each bundle."""
    servers = [stack.enter_context(sentido("--bundle", bundle)) for bundle in bundles]
    return [stack.enter_context(Client(server.address)).predict for server in servers]


def rate(way: Way, texts: Sequence[str]) -> float:
    """Return how many texts are answered in a second."""
    began = time.perf_counter()
    way(texts)
    return len(texts) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
