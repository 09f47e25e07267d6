"""What one writes next: grpc.aio, and batches of what came within 5 ms, padded to the longest."""

import asyncio
import os
from typing import Any

import grpc
import grpc.aio
from sentido.v1.prediction_pb2 import Prediction, PredictRequest, PredictResponse
from sentido.v1.prediction_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)
from sentido_bundle import Bundle

_WINDOW_SECONDS = 0.005
_ROWS = 32


class Service(PredictionServiceServicer):
    """Predicts."""

    def __init__(self) -> None:
        self.bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])
        self.waiting: asyncio.Queue[tuple[str, asyncio.Future[list[float]]]] = asyncio.Queue()

    async def Predict(self, request: PredictRequest, _: Any) -> PredictResponse:  # noqa: N802, gRPC's name
        """Classify a text."""
        answer: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((request.text, answer))
        row = await answer
        best = row.index(max(row))
        prediction = Prediction(label=self.bundle.labels[best], probability=row[best])
        return PredictResponse(prediction=prediction)

    async def run(self) -> None:
        """Batch what comes within a window."""
        running = set()
        while True:
            batch = [await self.waiting.get()]
            await asyncio.sleep(_WINDOW_SECONDS)
            while len(batch) < _ROWS and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            task = asyncio.create_task(self._answer(batch))
            running.add(task)
            task.add_done_callback(running.discard)

    async def _answer(self, batch: list[tuple[str, asyncio.Future[list[float]]]]) -> None:
        rows = await asyncio.to_thread(self._compute, [text for text, _ in batch])
        for (_, answer), row in zip(batch, rows, strict=True):
            if not answer.done():
                answer.set_result(row)

    def _compute(self, texts: list[str]) -> list[list[float]]:
        ids = [self.bundle.tokenizer.encode(text).ids for text in texts]
        rows: list[list[float]] = self.bundle.run_batch(ids).probabilities.tolist()
        return rows


async def main() -> None:
    """Serve until the process is ended; print the address."""
    server = grpc.aio.server()
    service = Service()
    add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await service.run()


if __name__ == "__main__":
    asyncio.run(main())
