"""The one error of this package."""


class ScoreError(Exception):
    """A run cannot start or go on. The message says what was got, what is wanted, what to do.

    What cannot be printed is escaped: many messages hold names of files and columns.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


def escaped(text: str) -> str:
    r"""Return a text in which what a terminal would obey, or cannot show, is escaped.

    >>> escaped("a\x1b[31m.csv")
    'a\\x1b[31m.csv'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
