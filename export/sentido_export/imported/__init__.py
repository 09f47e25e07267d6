"""Reads a Keras model that somebody else trained: as data, without running any of it.

In reading order: `architecture.py` says what a model is here, `model_file/` reads one,
`head.py` says what its output means, `graph/` makes an ONNX graph of it and `rebuilt.py` a Keras
model, to which the graph is held. `vocabulary.py` says what words are here,
`vocabulary_options.py` finds the file that holds them and reads it: a pickle by `pickle_reader.py`.
`check.py` holds all of it to the answers of the user's own program.
"""
