"""MLServer: its gRPC server with adaptive batching, as it is documented."""

import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from sentido_bundle import Bundle


class Sentiment(MLModel):  # type: ignore[misc]
    """Tokenizes and runs the texts of a request, which may be several callers'."""

    async def load(self) -> bool:
        """Load the bundle."""
        self.bundle = Bundle.load(os.environ["SENTIDO_BUNDLE"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify texts."""
        texts = StringCodec.decode_input(payload.inputs[0])
        rows = self.bundle.predict(texts, threads=1).probabilities
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", rows)]
        )
