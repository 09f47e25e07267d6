"""What a value of a column is as a label."""

import math
import re

MISSING = frozenset(
    (
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    )
)
"""What pandas reads as a missing value."""

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")


def label_of(value: object) -> str | None:
    """Return a value as a label, None if there is none. Raises ValueError for what cannot be one.

    A whole number is one label however it is written: 1, 1.0 (what becomes of it beside a missing
    value), "1", "1.0" and " 1 ".
    """
    if isinstance(value, float):
        value = None if math.isnan(value) else repr(value)
        if value is not None and float(value).is_integer():
            value = str(int(float(value)))
    if value is None:
        return None
    if not isinstance(value, str | int):
        what = "not UTF-8" if isinstance(value, bytes) else f"of type {type(value).__name__}"
        raise ValueError(f"the label is {what}, a string or a number is needed")
    label = _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text := str(value).strip()) else text
    label = "0" if label == "-0" else label
    if not label.isprintable():
        raise ValueError(f"the label is {label!r:.40}, printable characters are needed")
    return label or None
