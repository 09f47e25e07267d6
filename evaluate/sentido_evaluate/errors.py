"""The one error of this package, beside those of what it runs."""

from sentido_score.errors import escaped


class EvaluateError(Exception):
    """An evaluation cannot start or go on. The message says what was got and what to do.

    What cannot be printed is escaped: messages hold names of files, columns and labels.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))
