"""Serves predictions and embedding vectors of bundles over gRPC.

In reading order: `life.py` is the process, `app.py` puts everything together; `rpc.py` says what an
RPC is, `prediction.py`, `embedding.py`, `tokenization.py` and `models.py` are the RPCs, two plain
functions each, on what `texts.py` and `catalog.py` check; `pipeline.py` runs them by one set of rules
over the `Call` of a transport, of which `grpcio.py` is the first; `admission.py` shares out what is
bounded; `faults.py` is everything that can be answered instead. `loading.py` loads bundles, again
too; `record.py`, `metrics.py`, `tracing.py` and `log.py` say what went on.
"""
