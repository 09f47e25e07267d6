"""Numbers in arguments of `sentido`: in digits of ASCII, as all of Sentido's commands read them."""

from typing import Any

import click


class WholeNumber(click.IntRange):
    """A whole number, within bounds where it is made with some."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read an argument. Exits with 2 for what is no such number."""
        try:
            return int(super().convert(ascii_digits(value), param, ctx))
        except ValueError:
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)


def ascii_digits(value: Any) -> Any:
    """Return a value, of which int() and float() would read digits of any script in a text.

    Raises ValueError for other characters than ASCII's.
    """
    if isinstance(value, str) and not value.isascii():
        raise ValueError(f"{value!r} is not in ASCII")
    return value
