"""Serves predictions and embedding vectors of bundles over gRPC.

In reading order: `app.py` puts everything together; `rpc.py` says what an RPC is, `prediction.py`,
`embedding.py`, `tokenization.py` and `models.py` are the RPCs, two plain functions each, on what
`texts.py` and `registry.py` check; `pipeline.py` runs them by one set of rules over the `Call` of a
transport: `grpcio.py`, which `threads.py` and `stalls.py` serve, or `native.py`; `admission.py`
shares out what is bounded, and `faults.py` is everything that can be answered instead. `life.py` is
the process, from its first signal to its last.
`loading.py` loads bundles, again too; `record.py`, `metrics.py`, `tracing.py` and `log.py` say what
went on.
"""
