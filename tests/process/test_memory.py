"""That a stream of any length takes a constant amount of memory, on both sides.

make nightly-stream        the same with ten million texts
"""

import time
from collections.abc import Iterator

import pytest
from processes import resident, server
from sentido_client import Client

GROWTH = 12  # MiB that either side may grow by between a quarter of the stream and its end
FILLER = "." * 200  # nothing to tokenize, but seen if texts are kept: 15 MiB of 75,000 of them


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_the_memory_of_a_stream_does_not_grow_with_its_length(
    verb: str, pytestconfig: pytest.Config
) -> None:
    count: int = pytestconfig.getoption("--stream-texts")
    texts: Iterator[str] = (f"good film {n} {FILLER}" for n in range(count))
    looks: list[tuple[float, float]] = []  # (client, server), at each quarter
    with server() as running, Client(running.address) as client:
        began = time.perf_counter()
        for number, _ in enumerate(getattr(client, verb)(texts), start=1):
            if number % (count // 4) == 0:
                looks.append((resident("self"), resident(running.process.pid)))
        rate = count / (time.perf_counter() - began)
    shown = ", ".join(f"{ours:.0f} + {servers:.0f}" for ours, servers in looks)
    print(f"{verb}: {number} texts, {rate:.0f}/s, client + server in MiB: {shown}")
    assert number == count
    assert len(looks) == 4
    for quarter, end in zip(looks[0], looks[-1], strict=True):
        assert end - quarter < GROWTH
