"""Reads a Keras model that somebody else trained: as data, without running any of it.

In reading order: `architecture.py` says what a model is here, `model_file/` reads one.
"""
