"""Reads a Keras model that somebody else trained: as data, without running any of it.

In reading order: `architecture.py` says what a model is here, `model_file/` reads one,
`head.py` says what its output means, `graph/` makes an ONNX graph of it and `rebuilt.py` a Keras
model, to which the graph is held.
"""
