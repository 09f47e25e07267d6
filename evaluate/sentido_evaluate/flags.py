"""The flags that say where labels are and what they are called, for every command that reads some.

`--label-column` is each command's own.
"""

import argparse

from sentido_bundle.command_line import Pairs


def add_label_flags(group: argparse._ArgumentGroup, what: str = "data") -> None:
    """Add --label-columns and --rename; `what` has the labels that are renamed."""
    group.add_argument(
        "--label-columns",
        type=_names,
        default=(),
        metavar="A,B",
        help="a column of 0 and 1 for each label, in the place of --label-column, of models that"
        " give several labels",
    )
    group.add_argument(
        "--rename",
        type=_rename,
        action=Pairs,
        default={},
        metavar="OLD=NEW",
        help=f"what the model calls a label of the {what}; may be repeated",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _rename(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise argparse.ArgumentTypeError(f"{text!r:.60} is not OLD=NEW")
    return old, new
