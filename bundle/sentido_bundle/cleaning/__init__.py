"""Cleaning as data: the steps that a text takes before its tokens are looked for.

A bundle's `cleaning.json` lists them, and `Tokenizer` takes them wherever a text is read. See
`docs/bundles.md`.
"""

from sentido_bundle.cleaning.cleaner import Cleaner, parse_cleaning
from sentido_bundle.cleaning.errors import CleaningError, StepError

__all__ = ["Cleaner", "CleaningError", "StepError", "parse_cleaning"]
