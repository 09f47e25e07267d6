"""Bundles for the benchmark, untrained: python bench/models.py FOLDER.

What they compute is no use, how long it takes is. FOLDER/bundle is the one that all paths and
peers are measured on, so that figures stay comparable when the default bundle is trained with other
sizes; FOLDER/models holds a bundle for each of SIZES.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

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
from sentido_export.model import build, set_seed
from sentido_export.quantize import UNMEASURED, quantize
from sentido_export.recipe import RECIPES

Sizes = tuple[int, int, int]  # words, elements of a word's vector, units

STANDARD: Sizes = (20_000, 32, 100)
SIZES: dict[str, Sizes] = {
    **{f"{words:,} words": (words, 32, 100) for words in (1000, 10_000, 100_000)},
    **{f"{units} units": (10_000, 32, units) for units in (32, 64, 128, 256, 512)},
}


def main(folder: Path) -> None:
    """Write them all."""
    texts = load("reviews", "text", "label").texts
    write(folder / "bundle", texts, STANDARD, length=500)
    for name, sizes in SIZES.items():
        write(folder / "models" / name, texts, sizes, length=2000)


def write(out: Path, texts: Sequence[str], sizes: Sizes, length: int) -> None:
    """Write an untrained bundle with an int8 twin that reads `length` tokens of a text."""
    words, dimensions, units = sizes
    shipped = Bundle.load(default_bundle()).manifest
    recipe = replace(RECIPES["tutorial"], words=words, dimensions=dimensions, units=units)
    rules = replace(shipped.tokenizer, num_words=words)
    inputs = replace(shipped.inputs, length=length)
    vocabulary, _ = fit_vocabulary(texts, rules)
    set_seed(0)
    layers = build(recipe, len(vocabulary), 2)
    manifest = replace(
        shipped,
        name="imdb",
        tokenizer=rules,
        vocabulary_size=len(vocabulary),
        inputs=inputs,
        hidden=Vectors(units),
        steps=Vectors(units),
        word_vectors=Vectors(dimensions),
        int8=UNMEASURED,
        evaluation=None,
    )
    golden = verify.golden_answers(layers.answer, Tokenizer(vocabulary, rules, inputs))
    graphs = convert(layers)
    graphs = replace(graphs, int8=quantize(graphs))
    write_bundle(out, pack_bundle(manifest, vocabulary, graphs, golden))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
