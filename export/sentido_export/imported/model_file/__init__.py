"""Reads the file of a Keras model as data: no Keras, and nothing in the file is run or imported.

In reading order: `read.py` is the whole in one function; `opening.py` says what kind of file it is;
`h5_process.py` reads it in a process of its own, which `arrays.py` starts; `json_text.py` parses
configurations, `topology.py` and `calls.py` find which layer takes what; `kinds.py` is the table of
layers, by which `layer.py` reads them with `fields.py`; `flatten.py` makes one list of them, whose
shapes `shapes.py` knows; `weights.py` finds which array belongs to which layer, and `compiled.py`
what else a file says.
"""
