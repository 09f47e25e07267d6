"""The one error of this package."""


class ExportError(Exception):
    """An export cannot go on. The message says what was got, what was wanted and what to do.

    What cannot be printed is escaped: names of files, columns and labels are anybody's.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))
