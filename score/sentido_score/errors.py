"""The one error of this package."""


class ScoreError(Exception):
    """A run cannot start or go on. The message says what was got, what is wanted, what to do."""
