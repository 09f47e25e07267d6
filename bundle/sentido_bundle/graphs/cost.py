"""What a run of a graph takes, in memory and multiplications, before it is run."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError
from sentido_bundle.graphs.sizes import Factor, Size, evaluate_factors, factors
from sentido_bundle.settings import setting


@dataclass(frozen=True)
class RunLimits:
    """What one run of a graph may take at most, and how long a text is that comes to it."""

    max_run_bytes: int = setting(
        bounds.RUN_BYTES,
        "bytes that one run of a model's graph may take; a bundle is refused if its longest text"
        " takes more, and a batch has as many texts as fit",
        least=1,
        most=1 << 50,
    )
    max_run_multiplications: int = setting(
        bounds.RUN_MULTIPLICATIONS, "multiplications of one run, likewise", least=1, most=10**18
    )
    max_text_characters: int = setting(
        bounds.TEXT_CHARACTERS, "Unicode code points of a text", least=1
    )


DEFAULT_LIMITS = RunLimits()


class _Sum:
    """A sum of sizes, those that differ only in a number added up."""

    def __init__(self) -> None:
        self._terms: dict[tuple[Factor, ...], int] = defaultdict(int)

    def add(self, sizes: Iterable[Size]) -> None:
        for size in sizes:
            number, symbols = 1, []
            for factor in factors(size):
                if isinstance(factor, int):
                    number *= factor
                else:
                    symbols.append(factor)
            self._terms[tuple(sorted(symbols, key=str))] += number

    def at(self, rows: int, tokens: int) -> int:
        return sum(
            number * evaluate_factors(symbols, rows, tokens)
            for symbols, number in self._terms.items()
        )


class Cost:
    """What a run takes: a batch of more texts or of longer ones never takes less.

    Memory is every tensor between inputs and outputs, what operators need beside them, and the
    copies of weights that ONNX Runtime makes when it opens a graph: all of it at once, so that
    the order in which nodes run and tensors are freed does not matter.
    """

    def __init__(self) -> None:
        self._bytes, self._multiplications = _Sum(), _Sum()

    def add(self, memory: Iterable[Size], multiplications: Iterable[Size]) -> None:
        """Count what a node takes."""
        self._bytes.add(memory)
        self._multiplications.add(multiplications)

    def memory_bytes(self, rows: int, tokens: int) -> int:
        """Return the bytes that a batch of so many texts takes, the longest of so many tokens."""
        return self._bytes.at(rows, tokens)

    def multiplications(self, rows: int, tokens: int) -> int:
        """Return the multiplications of a batch; an element that is made counts as one at least."""
        return self._multiplications.at(rows, tokens)

    def fits(self, rows: int, tokens: int, limits: RunLimits) -> bool:
        """Return whether a batch is within the limits of a run."""
        return (
            self.memory_bytes(rows, tokens) <= limits.max_run_bytes
            and self.multiplications(rows, tokens) <= limits.max_run_multiplications
        )

    def rows(self, tokens: int, most: int, limits: RunLimits) -> int:
        """Return how many texts of so many tokens fit into one batch: 1 to `most`."""
        if self.fits(most, tokens, limits):
            return most
        least = 1
        while least < most:  # bisection
            middle = (least + most + 1) // 2
            if self.fits(middle, tokens, limits):
                least = middle
            else:
                most = middle - 1
        return least

    def check(self, name: str, tokens: int, limits: RunLimits) -> None:
        """Raise BundleError unless one text of so many tokens is within the limits of a run."""
        for what, found, most, flag in (
            ("bytes", self.memory_bytes(1, tokens), limits.max_run_bytes, "--max-run-bytes"),
            (
                "multiplications",
                self.multiplications(1, tokens),
                limits.max_run_multiplications,
                "--max-run-multiplications",
            ),
        ):
            if found > most:
                raise BundleError(
                    f"{name}: one text of {tokens:,} tokens takes {found:,} {what}, at most"
                    f" {most:,} are allowed: raise {flag}, or export it for shorter texts"
                )
