"""Parses JSON of anybody's: of bounded size and depth, every failure one sentence."""

import json
import re
from typing import Any

from sentido_export.errors import ExportError

MOST_CHARACTERS = 64 << 20
TOO_LARGE = (
    "an initializer that holds a matrix does that: make the layer without it, set_weights the"
    " matrix, and save the model again"
)
MOST_DEPTH = 200  # levels; a nested model adds about six
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|([\[{])|[\]}]', re.DOTALL)


def parse(text: str, what: str) -> Any:
    """Return the value of a JSON text; `what` names it in an ExportError."""
    if len(text) > MOST_CHARACTERS:
        raise ExportError(f"{what} has more than {MOST_CHARACTERS:,} characters: {TOO_LARGE}")
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0][0] != '"':
            depth += 1 if token[1] else -1
        if depth > MOST_DEPTH:
            raise ExportError(f"{what} is nested more than {MOST_DEPTH} levels deep: no model is")
    try:
        return json.loads(text)
    except ValueError as error:
        raise ExportError(f"{what} is not JSON: {error}") from error
