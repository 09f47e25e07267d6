"""Figures of quality, from counts: memory does not grow with the rows."""
