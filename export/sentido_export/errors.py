"""The one error of this package."""


class ExportError(Exception):
    """An export cannot go on. The message says what was got, what was wanted and what to do."""
