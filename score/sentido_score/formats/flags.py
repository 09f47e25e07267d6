"""The flags that say how a table is read: declared once, for every command that reads one."""

import argparse
from collections.abc import Sequence

from sentido_score.format_names import TABLES
from sentido_score.options import Options


def add_table_flags(
    group: argparse._ArgumentGroup,
    formats: Sequence[str] = TABLES,
    default: str = "by the files' names",
) -> None:
    """Add --text-column, --delimiter and --input-format.

    `default` says what is done without --input-format.
    """
    name = Options.text_column
    group.add_argument("--text-column", default=name, metavar="NAME", help=f"default: {name}")
    group.add_argument(
        "--delimiter",
        type=_delimiter,
        default=Options.delimiter,
        metavar="C",
        help="of CSV; default: a comma",
    )
    group.add_argument("--input-format", choices=formats, help=f"default: {default}")


def _delimiter(text: str) -> str:
    """Return a delimiter as it is typed: a character, or a tab by its name."""
    return {"\\t": "\t", "tab": "\t"}.get(text, text)
