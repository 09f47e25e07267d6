"""What a Sentido bundle is and how to run it.

    from sentido_bundle import Bundle, default_bundle

    bundle = Bundle.load(default_bundle())
    bundle.predict(["A wonderful little film."]).probabilities  # (1, 2)

A bundle is a folder that holds a text classifier with everything that decides its answers: the
ONNX graphs, the vocabulary and the rules that turn text into ids. See `docs/bundles.md`.
"""

import os
from pathlib import Path

# From 1.29 on ONNX Runtime reports to its maker what it runs, and keeps an id of the machine in the
# user's home, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from sentido_bundle.bundle import Bundle
from sentido_bundle.cleaning import Cleaner, CleaningError
from sentido_bundle.errors import BundleError, MissingCapabilityError
from sentido_bundle.golden import GoldenText
from sentido_bundle.graphs import RunLimits
from sentido_bundle.manifest import Manifest, check_plain_name
from sentido_bundle.outputs import Outputs
from sentido_bundle.sections import (
    Against,
    Cleaning,
    Evaluation,
    Inputs,
    Int8,
    Layout,
    Logits,
    Padding,
    Parity,
    Precision,
    Task,
    TaskKind,
    TokenizerKind,
    TokenizerRules,
    Truncation,
    Vectors,
)
from sentido_bundle.tokenizer import Encoding, Token, Tokenizer, fit_vocabulary
from sentido_bundle.word_vectors import Neighbour, WordVectors, normalize
from sentido_bundle.write import Graphs, check_target, pack_bundle, write_bundle

__all__ = [
    "Against",
    "Bundle",
    "BundleError",
    "Cleaner",
    "Cleaning",
    "CleaningError",
    "Encoding",
    "Evaluation",
    "GoldenText",
    "Graphs",
    "Inputs",
    "Int8",
    "Layout",
    "Logits",
    "Manifest",
    "MissingCapabilityError",
    "Neighbour",
    "Outputs",
    "Padding",
    "Parity",
    "Precision",
    "RunLimits",
    "Task",
    "TaskKind",
    "Token",
    "Tokenizer",
    "TokenizerKind",
    "TokenizerRules",
    "Truncation",
    "Vectors",
    "WordVectors",
    "check_plain_name",
    "check_target",
    "default_bundle",
    "fit_vocabulary",
    "normalize",
    "pack_bundle",
    "write_bundle",
]


def default_bundle() -> Path:
    """Give the folder of the bundle that this package ships: IMDB sentiment."""
    return Path(__file__).with_name("default")
