"""The one error of this package."""


class BundleError(Exception):
    """A bundle cannot be used. The message names the file, what it holds and what was expected."""
