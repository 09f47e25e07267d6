"""Serves predictions and embedding vectors of bundles over gRPC.

In reading order: `app.py` puts everything together; `core/rpc.py` says what an RPC is; `rpcs/` are
the RPCs, two plain functions each, on what `rpcs/checks.py` checks; `core/pipeline.py` runs them by
one set of rules over the `Call` of one of the `transports/`; `core/admission.py` shares out what is
bounded, and `core/faults.py` is everything that can be answered instead. `life.py` is
the process, from its first signal to its last.
`loading.py` loads bundles, again too; `core/call.py`, `core/counting.py`, `telemetry/` and
`log.py` say what went on.
"""
