"""Trains a Keras text classifier and converts it to a bundle.

In reading order: `export.py` is the whole in one function; `data.py` loads and splits,
`model.py` builds, `train.py` trains and measures, `convert.py` makes the ONNX graphs, `verify.py`
compares them with Keras on `golden_texts.py` and more, `package.py` writes the bundle; `recipe.py`
holds the settings, `flags.py` the flags, `explain.py` the walk-through for learners. `imported/`
makes a bundle of a model that was trained elsewhere.
"""
