"""The error of everything that a bundle can have wrong, and how names and reasons are shown.

What stands in a bundle was written by somebody else, and messages reach logs and terminals: names
are quoted and shortened where they are put into a message (`quoted`), and no message of a
BundleError is longer than a screen or holds a character that is not printable, whatever was put in.
"""

import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_MESSAGE_CHARACTERS = 1000

_repr = reprlib.Repr()
_repr.maxlevel = 3
_repr.maxstring = _repr.maxother = _repr.maxlong = 80
_repr.maxlist = _repr.maxtuple = _repr.maxdict = 8


class BundleError(Exception):
    """A bundle cannot be used. The message names the file, what it holds and what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MissingCapabilityError(BundleError):
    """A bundle was asked for something that its model cannot do; `capability` names it."""

    def __init__(self, model: str, capability: str, what_to_do: str = "", bundle: str = "") -> None:
        """`bundle`: the folder that was to be loaded."""
        self.model = model
        self.capability = capability
        self.what_to_do = what_to_do
        self.bundle = bundle
        where = f"bundle {bundle}: " if bundle else ""
        lacks = f"model {quoted(model)} has no {_IN_WORDS.get(capability, capability)}"
        super().__init__(f"{where}{lacks} (capability {capability}){what_to_do}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str, str]]:
        """Let it be pickled, with what it is about."""
        return type(self), (self.model, self.capability, self.what_to_do, self.bundle)


@contextmanager
def naming(directory: str | Path) -> Iterator[None]:
    """Have the errors of a bundle name its folder, and those of the system be BundleErrors."""
    try:
        yield
    except MissingCapabilityError as error:
        facts = error.model, error.capability, error.what_to_do
        raise MissingCapabilityError(*facts, bundle=str(directory)) from error
    except BundleError as error:
        raise BundleError(f"bundle {directory}: {error}") from error
    except OSError as error:
        raise BundleError(f"bundle {directory}: cannot be read: {reason(error)}") from error


_IN_WORDS = {
    "hidden": "hidden states",
    "steps": "hidden states of single tokens",
    "word_vectors": "word vectors",
    "logits": "logits",
    "int8": "int8 twin",
}


def quoted(value: object) -> str:
    """Return `repr(value)` of something from a bundle, its long strings and lists shortened."""
    return _repr.repr(value)


def printable(message: str) -> str:
    """Return the message without its middle if it is long, what is not printable escaped."""
    if len(message) > _MESSAGE_CHARACTERS:
        half = _MESSAGE_CHARACTERS // 2
        message = f"{message[:half]}...{message[-half:]}"
    return message if message.isprintable() else "".join(map(_escaped, message))


def _escaped(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def reason(error: OSError) -> str:
    """Return why the system refused, and which user, if that user lacks a permission.

    In a container that is the image's user, not the one who started the container.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'No such file or directory'
    """
    said = error.strerror or str(error)
    return f"{said} for user {os.geteuid()}" if isinstance(error, PermissionError) else said
