"""Bundles of other sizes for the benchmark, untrained: python bench/models.py FOLDER.

Writes a bundle for each of SIZES; what one computes is no use, how long it takes is.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

from dataclasses import replace

from sentido_bundle import (
    Bundle,
    Tokenizer,
    Vectors,
    default_bundle,
    fit_vocabulary,
    pack_bundle,
    write_bundle,
)
from sentido_export import verify
from sentido_export.convert import convert
from sentido_export.data import load
from sentido_export.model import build
from sentido_export.recipe import RECIPES

SIZES = {
    **{f"{words:,} words": (words, 32, 100) for words in (1000, 10_000, 100_000)},
    **{f"{units} units": (10_000, 32, units) for units in (32, 64, 128, 256, 512)},
}


def main(folder: Path) -> None:
    """Write them all."""
    texts = load("reviews", "text", "label").texts
    shipped = Bundle.load(default_bundle()).manifest
    for name, (words, dimensions, units) in SIZES.items():
        recipe = replace(RECIPES["tutorial"], words=words, dimensions=dimensions, units=units)
        rules = replace(shipped.tokenizer, num_words=words)
        inputs = replace(shipped.inputs, length=2000)
        vocabulary, _ = fit_vocabulary(texts, rules)
        layers = build(recipe, len(vocabulary), 2)
        manifest = replace(
            shipped,
            name="bench",
            tokenizer=rules,
            vocabulary_size=len(vocabulary),
            inputs=inputs,
            hidden=Vectors(units),
            steps=Vectors(units),
            word_vectors=Vectors(dimensions),
            int8=None,
        )
        golden = verify.golden_answers(layers.answer, Tokenizer(vocabulary, rules, inputs))
        write_bundle(folder / name, pack_bundle(manifest, vocabulary, convert(layers), golden))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
