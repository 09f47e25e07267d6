"""Messages, service stubs and descriptors of the package `sentido.v1`, generated from `*.proto`.

Import a module by its proto file: `from sentido.v1 import prediction_pb2, prediction_pb2_grpc`.
"""
