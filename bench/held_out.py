"""Write the reviews that the default bundle was measured on, and not trained on, to a CSV file.

    .venv/bin/python bench/held_out.py held-out.csv

Equal texts are one, and a tenth is held out, by the seed that the bundle's manifest names. Exits
with 1 if the bundle is not right on them as often as its manifest says.
"""

import csv
import sys
from pathlib import Path

from sentido_bundle import Bundle, default_bundle
from sentido_export import data

_HELD_OUT = 0.105  # as bundle/train-default


def main(path: Path) -> int:
    """Write the file; return the exit code."""
    bundle = Bundle.load(default_bundle())
    distinct, _ = data.drop_duplicates(data.load("reviews"), bundle.tokenizer.words)
    test = data.split(distinct, _HELD_OUT, bundle.manifest.training["split_seed"]).test
    right = bundle.predict(test.texts).probabilities.argmax(axis=1) == test.labels
    wanted = bundle.manifest.metrics["accuracy"]
    if abs(float(right.mean()) - wanted) > 1e-9:
        message = f"accuracy is {right.mean()}, the manifest says {wanted}: these are other texts"
        print(message, file=sys.stderr)
        return 1
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(
            (text, test.label_names[label])
            for text, label in zip(test.texts, test.labels, strict=True)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
