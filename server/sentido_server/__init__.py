"""Serves predictions and embedding vectors of bundles over gRPC.

In reading order: `app.py` puts everything together; `rpc.py` says what an RPC is, `prediction.py`,
`embedding.py`, `tokenization.py` and `models.py` are the RPCs, two plain functions each, on what
`texts.py` and `catalog.py` check; `pipeline.py` runs them by one set of rules over the `Call` of a
transport, of which `aio.py` is the first; `faults.py` is everything that can be answered instead.
`loading.py` loads bundles, again too; `record.py`, `metrics.py`, `tracing.py` and `log.py` say what
went on.
"""
