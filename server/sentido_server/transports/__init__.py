"""How calls come in: gRPC on grpcio, gRPC on the native front, health and reflection."""
