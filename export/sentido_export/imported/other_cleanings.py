"""The cleanings that are easily mistaken for the right one, each with what would make it so.

Tried only where a check has failed, so that its message can name the mistake.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from sentido_bundle import Cleaner

Steps = list[Mapping[str, Any]]

_USUAL: Steps = [
    {"lower": True},
    *({"replace": "<[^>]+>", "with": put_in} for put_in in (" ", "")),
    *({"replace": "<br />", "with": put_in} for put_in in (" ", "")),
    {"replace": "[^a-zA-Z]+", "with": " "},
    *({"replace": r"[^a-zA-Z\s]", "with": put_in} for put_in in ("", " ")),
    *({"replace": r"[^a-zA-Z0-9\s]", "with": put_in} for put_in in ("", " ")),
    *({"replace": r"[^\w\s]", "with": put_in} for put_in in ("", " ")),
    *({"replace": r"\d+", "with": put_in} for put_in in ("", " ")),
    {"replace": r"https?://\S+|www\.\S+", "with": ""},
    {"replace": r"@\w+", "with": ""},
]
"""What programs do most before a Tokenizer."""


def other_cleanings(cleaner: Cleaner | None) -> Iterator[tuple[str, Cleaner | None]]:
    """Return cleanings that lack a step, have two the other way round, another one, or one more.

    Each comes with a clause that follows "its answers are those of a program that".
    """
    steps: Steps = list(cleaner.facts) if cleaner is not None else []
    for number in range(len(steps)):
        rest = steps[:number] + steps[number + 1 :]
        yield f"does without cleaning step {number + 1}", Cleaner(rest) if rest else None
    if len(steps) > 1:
        yield "takes no cleaning step (leave out --cleaning)", None
    for one, other in pairwise(range(len(steps))):
        turned = [*steps[:one], steps[other], steps[one], *steps[other + 1 :]]
        yield f"takes cleaning step {other + 1} before step {one + 1}", Cleaner(turned)
    for number, step in enumerate(steps):
        for instead in _otherwise(step):
            changed = Cleaner([*steps[:number], instead, *steps[number + 1 :]])
            yield f"takes {json.dumps(instead)} as cleaning step {number + 1}", changed
    for step in _USUAL if steps else _USUAL[1:]:  # lower case alone is a setting of the vocabulary
        said = f"takes the step {json.dumps(step)}"
        yield f"{said} first (give it with --cleaning)", Cleaner([step, *steps])
        if steps:
            yield f"{said} last (give it with --cleaning)", Cleaner([*steps, step])


def _otherwise(step: Mapping[str, Any]) -> Steps:
    """Return what a step is easily mistaken for: a blank or nothing put in, another lower case."""
    if step.get("with") in (" ", ""):
        return [{**step, "with": "" if step["with"] else " "}]
    if "lower" in step:
        return [{"lower": True if step["lower"] == "ascii" else "ascii"}]
    return []
