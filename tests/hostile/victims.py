"""A server to be attacked: a process whose log is in a file, and what it takes of the machine."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import numpy as np
from processes import SERVER
from prometheus_client.parser import text_string_to_metric_families
from sentido.v1 import embedding_pb2, prediction_pb2
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido_bundle import Bundle
from waiting import PATIENCE, wait_for

TEXTS = [
    "",
    "good",
    "A wonderful little film, with a story that holds to the end.",
    "Dull, loud and far too long; I left after an hour. " * 12,
    "İstanbul'da geçen güzel bir film 🎬",
    "the " * 700,
]


KEPT = 80  # MiB that a server may keep of all that was done to it


@dataclass(frozen=True)
class Usage:
    """What a process holds."""

    memory: float  # MiB, resident
    threads: int
    descriptors: int


class Victim:
    """A running server. Its log is drained, however much there is of it."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log
        self._read = 0  # bytes
        self._lines: list[dict[str, Any]] = []
        wait_for(lambda: process.poll() is not None or self.events("serving"))
        assert process.poll() is None, log.read_text()
        (serving,) = self.events("serving")
        self.address: str = serving["address"]
        self.health: str = serving["health"]
        self._metrics: str = serving["metrics"]

    def lines(self) -> list[dict[str, Any]]:
        """Everything that it has said beside its lines of calls, which are many."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                facts = json.loads(line)
                if facts["event"] != "call":
                    self._lines.append(facts)
        return self._lines

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def in_flight(self) -> int:
        """How many calls and streams have begun and not ended."""
        with urlopen(f"http://{self._metrics}/metrics", timeout=PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        (sample,) = next(f for f in families if f.name == "sentido_calls_in_flight").samples
        return int(sample.value)

    def usage(self) -> Usage:
        root = Path(f"/proc/{self.process.pid}")
        status = (root / "status").read_text()

        def value(name: str) -> int:
            return int(status.partition(f"{name}:")[2].split()[0])

        descriptors = len(list((root / "fd").iterdir()))
        return Usage(value("VmRSS") / 1024, value("Threads"), descriptors)

    def peak(self) -> float:
        """The most that it has held since `forget_peak`, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def wait_until_idle(self, before: Usage) -> None:
        """Wait until nothing is in flight and threads, descriptors and memory are back."""

        def is_back() -> bool:
            now = self.usage()
            return (
                self.in_flight() == 0
                and now.threads <= before.threads
                and now.descriptors <= before.descriptors
                and now.memory < before.memory + KEPT
            )

        try:
            wait_for(is_back)
        except AssertionError as error:
            raise AssertionError(f"{self.usage()} of {before}, {self.in_flight()} calls") from error

    def check_log(self) -> None:
        """Raise AssertionError if it speaks of a fault of its own."""
        bad = ("internal error", "error", "the front failed", "an answer cannot be sent")
        for line in self.lines():
            told = line["event"] in bad or line.get("level") == "error"
            assert not told, line
            assert "Traceback" not in str(line), line


@contextmanager
def victim(folder: Path, *flags: str) -> Iterator[Victim]:
    """Run a server on free ports; kill it in the end."""
    ports = ("--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0")
    command = [SERVER, *ports, "--metrics-listen", "127.0.0.1:0", *flags]
    path = folder / "log"
    with path.open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield Victim(process, path)
        finally:
            process.kill()


@dataclass(frozen=True)
class Answers:
    """What a bundle says of texts, to the bit."""

    probabilities: list[bytes]
    vectors: list[bytes]


def in_process(bundle: Bundle, texts: Sequence[str] = TEXTS) -> Answers:
    """What the bundle says in this process."""
    outputs = bundle.predict(list(texts))
    return Answers(
        [row.astype("<f4").tobytes() for row in outputs.probabilities],
        [row.astype("<f4").tobytes() for row in outputs.hidden],
    )


def probabilities(prediction: prediction_pb2.Prediction) -> bytes:
    """The bits of a prediction."""
    return np.array([score.probability for score in prediction.scores], "<f4").tobytes()


def over_the_wire(
    address: str, texts: Sequence[str] = TEXTS, metadata: Sequence[tuple[str, str]] = ()
) -> Answers:
    """What a server says, one by one and together."""
    more: dict[str, Any] = {"timeout": PATIENCE, "metadata": metadata}
    with grpc.insecure_channel(address) as channel:
        predictions, embeddings = PredictionServiceStub(channel), EmbeddingServiceStub(channel)
        alone = [
            predictions.Predict(prediction_pb2.PredictRequest(text=text), **more) for text in texts
        ]
        messages = (prediction_pb2.StreamPredictRequest(texts=[text]) for text in texts)
        streamed = list(predictions.StreamPredict(messages, **more))
        request = embedding_pb2.BatchEmbedRequest(texts=texts)
        tensor = embeddings.BatchEmbed(request, **more).embeddings
    found = [probabilities(answer.prediction) for answer in alone]
    assert [probabilities(answer.results[0].prediction) for answer in streamed] == found
    size = len(tensor.data) // len(texts)
    vectors = [tensor.data[at : at + size] for at in range(0, len(tensor.data), size)]
    return Answers(found, vectors)
