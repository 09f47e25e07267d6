"""What one writes first: grpcio with a pool of threads, one run of the graph a call."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from sentido.v1.prediction_pb2 import Prediction, PredictRequest, PredictResponse
from sentido.v1.prediction_pb2_grpc import (
    PredictionServiceServicer,
    add_PredictionServiceServicer_to_server,
)
from sentido_bundle import Bundle


class Service(PredictionServiceServicer):
    """Predicts."""

    def __init__(self) -> None:
        self.bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])

    def Predict(self, request: PredictRequest, _: Any) -> PredictResponse:  # noqa: N802, gRPC's name
        """Classify a text."""
        row = self.bundle.predict([request.text]).probabilities[0].tolist()
        best = row.index(max(row))
        prediction = Prediction(label=self.bundle.labels[best], probability=row[best])
        return PredictResponse(prediction=prediction)


def main() -> None:
    """Serve until the process is ended; print the address."""
    server = grpc.server(ThreadPoolExecutor(16))
    add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
