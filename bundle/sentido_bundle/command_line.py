"""A parser of flags whose errors are one line and name the flag that was meant.

Used by `sentido-server`, `sentido-export`, `sentido-score` and `sentido-evaluate`.
"""

import argparse
import dataclasses
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from sentido_bundle.sections import Precision

_Options = TypeVar("_Options")


class Parser(argparse.ArgumentParser):
    """Parses as `argparse` does, but takes no part of a flag's name for the flag."""

    def __init__(self, **options: Any) -> None:
        """Take what ArgumentParser takes; lines of description and epilog stay as they are."""
        shape = argparse.RawDescriptionHelpFormatter
        # An abbreviation would break scripts as soon as there is another flag that begins like it.
        super().__init__(formatter_class=shape, allow_abbrev=False, **options)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse. Exits with 2 for an unknown flag, before anything else is looked at."""
        words = list(sys.argv[1:] if args is None else args)
        for word in words[: words.index("--") if "--" in words else None]:
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in word and name not in self._flags:
                near = difflib.get_close_matches(name, self._flags, 1)
                hint = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists them all"
                self.error(f"there is no flag {name}; {hint}")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with 2 after one line."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit; that nobody reads what was printed is not an error."""
        if not flushed():
            status = status or 1
        super().exit(status, message)

    @property
    def _flags(self) -> list[str]:
        return list(self._option_string_actions)


class Pairs(argparse.Action):
    """Collects the pairs of a flag that may be repeated, which has a type and the default {}."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _flag: str | None = None,
    ) -> None:
        """Add a pair. Exits with 2 for a name that was given before."""
        (name, value), before = values, getattr(namespace, self.dest)
        if name in before:
            raise argparse.ArgumentError(
                self, f"{name!r:.60} is given twice: {before[name]} and {value}"
            )
        setattr(namespace, self.dest, {**before, name: value})


def add_precision_flag(group: argparse._ArgumentGroup) -> None:
    """Add --precision, of a command that runs a bundle itself."""
    group.add_argument("--precision", choices=[*map(str, Precision)], default=str(Precision.FP32))


def options_of(kind: type[_Options], arguments: argparse.Namespace, **others: Any) -> _Options:
    """Make a dataclass of the arguments that have the names of its fields, and of the others."""
    given = vars(arguments) | others
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: given[name] for name in names})


def flushed() -> bool:
    """Write out what was printed; whether it could be. If not, what is left goes nowhere.

    Else Python would complain of it at its end.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"standard output: {error.strerror}", file=sys.stderr)
        return False
    return True
