"""The messages and stubs of the package sentido.v1, generated from the .proto files beside them."""

import warnings

with warnings.catch_warnings():
    # protobuf 6.30 and 6.31 warn of code that was generated for 5, which every 6 and 7 accepts.
    warnings.filterwarnings("ignore", "Protobuf gencode version 5", UserWarning)
    from sentido.v1 import (  # noqa: F401
        common_pb2,
        embedding_pb2,
        model_pb2,
        prediction_pb2,
        tokenizer_pb2,
    )
