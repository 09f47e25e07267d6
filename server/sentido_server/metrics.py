"""What the server counts while it runs, in plain numbers, so that counting costs little.

`exposition.py` shows them to Prometheus. Made only if somebody wants to see them.
"""

import threading
from collections import Counter
from collections.abc import Sequence

from sentido_server.histogram import Histogram

STAGES = ("tokenize", "queue", "infer", "encode")
"""What a message goes through, in order. One that needs no model has only the outer two."""

DROP_REASONS = ("deadline", "cancelled", "shutdown")
"""Why a text that waited was not computed."""

_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0),
)

Marks = tuple[float, float, float, float, float]
"""When a message's first stage began, and when each ended (monotonic seconds)."""


class Metrics:
    """Counts of one server, since its start. Safe from any thread."""

    def __init__(self, rpcs: Sequence[str]) -> None:
        """Count calls of these RPCs ("service/name"); there are no others."""
        self.lock = threading.Lock()
        self.requests: Counter[tuple[str, int]] = Counter({(rpc, 0): 0 for rpc in rpcs})
        self.durations = {rpc: Histogram(_SECONDS) for rpc in rpcs}
        self.stages = {stage: Histogram(_SECONDS) for stage in STAGES}
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self.texts = 0
        self.tokens = 0
        self.unknown_words = 0
        self.truncated_texts = 0

    def add_call(self, rpc: str, code: int, seconds: float) -> None:
        """Count a call that has ended."""
        with self.lock:
            self.requests[rpc, code] += 1
            self.durations[rpc].add(seconds)

    def add_stages(self, marks: Marks) -> None:
        """Count how long each stage of a message took; one that it skipped took no time."""
        with self.lock:
            began = marks[0]
            for histogram, ended in zip(self.stages.values(), marks[1:], strict=True):
                if ended > began:
                    histogram.add(ended - began)
                began = ended

    def add_texts(self, texts: int, tokens: int, unknown_words: int, truncated: int) -> None:
        """Count texts that were tokenized and admitted."""
        with self.lock:
            self.texts += texts
            self.tokens += tokens
            self.unknown_words += unknown_words
            self.truncated_texts += truncated

    def add_dropped(self, reason: str) -> None:
        """Count a text that waited and was not computed."""
        with self.lock:
            self.dropped[reason] += 1
