"""The command `sentido`, for `python -c` and the like; see `sentido_command.py`."""

from sentido_command import main

__all__ = ["main"]
