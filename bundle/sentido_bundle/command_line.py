"""A parser of flags whose errors are one line and name the flag that was meant.

Used by `sentido-server`, `sentido-export`, `sentido-score` and `sentido-evaluate`.
"""

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Parses as `argparse` does, but takes no part of a flag's name for the flag."""

    def __init__(self, prog: str, **options: Any) -> None:
        """Take what ArgumentParser takes; lines of description and epilog stay as they are.

        `prog`: the command, and the distribution that it is of, whose version it shows.
        """
        shape = argparse.RawDescriptionHelpFormatter
        # An abbreviation would break scripts as soon as there is another flag that begins like it.
        super().__init__(prog=prog, formatter_class=shape, allow_abbrev=False, **options)
        self.add_argument("--version", action="version", version=f"{prog} {version(prog)}")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse. Exits with 2 for an unknown flag, before anything else is looked at.

        From then on standard output takes names of files that it has no letters for.
        """
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        words = list(sys.argv[1:] if args is None else args)
        for word in words[: words.index("--") if "--" in words else None]:
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in word and name not in self._flags:
                near = difflib.get_close_matches(name, self._flags, 1)
                hint = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists them all"
                self.error(f"there is no flag {name}; {hint}")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with 2 after one line, which begins with the flag that is meant, if it is one."""
        line = " ".join(message.split()).removeprefix("argument ")
        self.exit(2, f"{self.prog}: error: {line}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit; that nobody reads what was printed is not an error."""
        if not flushed():
            status = status or 1
        super().exit(status, message)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print; exit with 1 if standard output does not take it: argparse would not notice."""
        if file is None or file is not sys.stdout:
            super()._print_message(message, file)
        elif not flushed(message):
            super().exit(1)

    @property
    def _flags(self) -> list[str]:
        return list(self._option_string_actions)


def flushed(text: str = "") -> bool:
    """Write out what was printed, and a text; whether it could be.

    If not, what is left goes nowhere: else Python would complain of it at its end.
    """
    try:
        if sys.stdout is not None:
            print(text, end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"standard output: {error.strerror}", file=sys.stderr)
        return False
    return True
