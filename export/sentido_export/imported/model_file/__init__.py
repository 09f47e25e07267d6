"""Reads the file of a Keras model as data: no Keras, and nothing in the file is run or imported.

In reading order: `read.py` is the whole in one function; `opening.py` says what kind of file it is;
`h5_process.py` reads it in a process of its own, which `arrays.py` starts; `json_text.py` parses
configurations, `topology.py` finds which layer takes what, `kinds.py` is the table of layers, by
`fields.py` and `activations.py`; `shapes.py` knows what shapes they take and return, `weights.py`
which array belongs to which layer.
"""
