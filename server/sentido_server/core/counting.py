"""What the server counts while it runs, in plain numbers, so that counting costs little.

`telemetry/prometheus.py` shows them to Prometheus. Made only if somebody wants to see them.
"""

import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from sentido_server.core.histogram import Histogram

STAGES = ("tokenize", "queue", "compute", "encode")
"""What a message goes through, in order. One that needs no model has only the outer two."""

DROP_REASONS = ("deadline", "cancelled", "shutdown")
"""Why a text that waited was not computed."""

REFUSALS = ("queue", "memory", "streams", "message_size")
"""Why a call ended with RESOURCE_EXHAUSTED: the first three are for want of room."""

_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
_STREAM_SECONDS = (0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0, 86400.0)

Marks = tuple[float, float, float, float, float]
"""When a message's first stage began, and when each ended (monotonic seconds)."""


Served = tuple[str, str]
"""Which model answers: its name and version."""

TextCounts = tuple[Served, int, int, int, int]
"""Of one message: texts, tokens, out-of-vocabulary tokens, texts cut to what the model reads."""

_MOST_WAITING = 500  # rows; whoever adds one more counts them all


class Metrics:
    """Counts of one server, since its start. Safe from any thread.

    What is added waits in a row of numbers and is counted with some hundred others, which costs a
    call less than a microsecond. Read under the lock, after `settle`.
    """

    def __init__(
        self, codes: Mapping[str, Iterable[int]], streams: Collection[str] = frozenset()
    ) -> None:
        """Count calls of these RPCs ("service/name"), which end with these codes.

        There are no other RPCs. `streams`: those of them that are streams.
        """
        rpcs = tuple(codes)
        self.lock = threading.RLock()
        self.calls: Counter[tuple[str, int]] = Counter(
            {(rpc, code): 0 for rpc in rpcs for code in codes[rpc]}
        )
        self.durations = {rpc: Histogram(_SECONDS) for rpc in rpcs if rpc not in streams}
        self.stream_durations = {rpc: Histogram(_STREAM_SECONDS) for rpc in streams}
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.stages = {stage: Histogram(_SECONDS) for stage in STAGES}
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self.texts: Counter[Served] = Counter()
        self.tokens: Counter[Served] = Counter()
        self.out_of_vocabulary_tokens: Counter[Served] = Counter()
        self.truncated_texts: Counter[Served] = Counter()
        self._rpcs = rpcs
        self._numbers = {rpc: number for number, rpc in enumerate(rpcs)}
        self._calls: deque[tuple[int, int, float]] = deque()  # number of the RPC, code, seconds
        self._messages: deque[tuple[Marks, TextCounts]] = deque()

    def add_call(self, rpc: str, code: int, seconds: float, refusal: str = "") -> None:
        """Count a call that has ended; `refusal`: why it was refused, one of REFUSALS."""
        if refusal:
            with self.lock:
                self.refused[refusal] += 1
        self._calls.append((self._numbers[rpc], code, seconds))
        if len(self._calls) >= _MOST_WAITING:
            self.settle()

    def add_message(self, marks: Marks, counts: TextCounts) -> None:
        """Count a message: its stages, and its texts, tokens and truncated texts."""
        self._messages.append((marks, counts))
        if len(self._messages) >= _MOST_WAITING:
            self.settle()

    def add_dropped(self, reason: str) -> None:
        """Count a text that waited and was not computed."""
        with self.lock:
            self.dropped[reason] += 1

    def settle(self) -> None:
        """Count what waits."""
        with self.lock:
            calls = [self._calls.popleft() for _ in range(len(self._calls))]
            messages = [self._messages.popleft() for _ in range(len(self._messages))]
            if calls:
                self._settle_calls(calls)
            if messages:
                self._settle_messages(messages)

    def _settle_calls(self, calls: Sequence[tuple[int, int, float]]) -> None:
        rows = np.array(calls)  # (calls, 3)
        for number in np.unique(rows[:, 0]):
            rpc, of_rpc = self._rpcs[int(number)], rows[rows[:, 0] == number]
            durations = self.durations.get(rpc) or self.stream_durations[rpc]
            durations.add_all(of_rpc[:, 2])
            codes, counts = np.unique(of_rpc[:, 1], return_counts=True)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                self.calls[rpc, int(code)] += count

    def _settle_messages(self, messages: Sequence[tuple[Marks, TextCounts]]) -> None:
        # (messages, stages); a stage that was skipped took no time
        seconds = np.diff(np.array([marks for marks, _ in messages]), axis=1)
        for histogram, taken in zip(self.stages.values(), seconds.T, strict=True):
            histogram.add_all(taken[taken > 0])
        by_model: dict[Served, list[TextCounts]] = {}
        for _, counts in messages:
            if counts[1]:  # texts
                by_model.setdefault(counts[0], []).append(counts)
        for served, of_model in by_model.items():
            _, texts, tokens, unknown, truncated = zip(*of_model, strict=True)
            self.texts[served] += sum(texts)
            self.tokens[served] += sum(tokens)
            self.out_of_vocabulary_tokens[served] += sum(unknown)
            self.truncated_texts[served] += sum(truncated)
