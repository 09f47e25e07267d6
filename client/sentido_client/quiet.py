"""Imports gRPC so that its core writes nothing to standard error: its lines are no use to callers.

Imported before all else. Whoever sets GRPC_VERBOSITY, or imports gRPC first, has its lines.
"""

import os

_VARIABLE = "GRPC_VERBOSITY"  # read once, when gRPC is imported

if _VARIABLE in os.environ:
    import grpc
else:
    os.environ[_VARIABLE] = "NONE"
    import grpc  # noqa: F401

    del os.environ[_VARIABLE]  # processes that this one starts are none of ours
