"""mosec: an HTTP front in Rust, two Python workers, batches of up to 8."""

import os
from typing import Any

from mosec import Server, Worker
from sentido_bundle import Bundle


class Predict(Worker):  # type: ignore[misc]
    """Tokenizes and runs a batch of texts."""

    def __init__(self) -> None:
        self.bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])

    def deserialize(self, data: bytes) -> str:
        """Take a text as the body of a request."""
        return data.decode()

    def forward(self, texts: list[str]) -> list[dict[str, Any]]:
        """Classify texts."""
        labels = self.bundle.labels
        rows = self.bundle.predict(texts, threads=1).probabilities.tolist()
        return [{"label": labels[row.index(max(row))], "probability": max(row)} for row in rows]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Predict, num=2, max_batch_size=8, max_wait_time=1)
    server.run()
