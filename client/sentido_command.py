"""The entry of `sentido`, outside of the package, whose import may take a second."""

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command; return its exit code. It needs the extra `cli`: click and rich."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is to be ignored
        signal.signal(signal.SIGINT, _interrupted)
    try:
        from sentido_client.main import run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(
            "sentido: the command needs more packages: run pip install ./proto './client[cli]'"
            " in Sentido's folder"
        )
    return run()


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """End at once: other threads may wait for standard input, and an exception hang in a lock."""
    os.write(2, b"\nsentido: interrupted\n")
    os._exit(130)
