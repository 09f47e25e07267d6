"""What the steps of a cleaning cost: CPU time per text, on reviews, and on the worst texts.

.venv/bin/python bench/cleaning.py
"""

import time
from collections.abc import Sequence
from typing import Any

from sentido_bundle import Bundle, Cleaner, default_bundle
from sentido_export import data

TEXTS = 500
CONTRACTIONS = {"can't": "can not", "won't": "will not", "n't": "not", "it's": "it is"}
STOP_WORDS = ["i", "me", "my", "we", "our", "you", "he", "she", "it", "the", "a", "an", "and", "of"]
STEPS: list[dict[str, Any]] = [
    {"lower": True},
    {"replace": "[^a-zA-Z]+", "with": " "},
    {"replace": r"\s+", "with": " "},
    {"replace": r"https?://\S+|www\.\S+", "with": ""},
    {"replace": r"\b\w{1,2}\b", "with": ""},
    {"replace": "<[^>]+>", "with": " "},
    {"replace": r"\[[^]]*\]", "with": ""},
    {"replace": r"\s+[a-zA-Z]\s+", "with": " "},
    {"replace": r"\w*\d\w*", "with": ""},
    {"replace": r"[\w.+-]+@[\w-]+\.[\w.-]+", "with": ""},
    {"remove_words": STOP_WORDS},
    {"replace_words": CONTRACTIONS},
]
WORST = ["<" * 100_000, "a" * 100_000, "<>" * 50_000, "a1 " * 33_333, " a" * 50_000]


def seconds_of(call: Any, texts: Sequence[str], times: int = 3) -> float:
    """Return the least CPU time per text."""
    found = []
    for _ in range(times):
        start = time.process_time()
        for text in texts:
            call(text)
        found.append(time.process_time() - start)
    return min(found) / len(texts)


def main() -> None:
    """Print a table."""
    reviews = data.load("reviews", "text", "label").texts[:TEXTS]
    print(f"{len(reviews)} reviews of {sum(map(len, reviews)) // len(reviews):,} characters")
    print("| step | run by | per review, µs | 100,000 characters at worst, ms |")
    print("|---|---|---|---|")
    for step in STEPS:
        cleaner = Cleaner([step])
        worst = max(seconds_of(cleaner.clean, [text]) for text in WORST)
        (name, value), *_ = step.items()
        shown = f"{name} `{value}`".replace("|", "\\|") if name == "replace" else name
        engine = (*cleaner.engines, "Python")[0]
        cost = seconds_of(cleaner.clean, reviews)
        print(f"| {shown} | {engine} | {cost * 1e6:.0f} | {worst * 1e3:.0f} |")
    bundle = Bundle.load(default_bundle())
    alone = seconds_of(lambda text: bundle.predict([text], threads=1), reviews[:200])
    print(f"\nPredicting a review of them alone takes {alone * 1e6:.0f} µs.")


if __name__ == "__main__":
    main()
