"""The entry of `sentido-evaluate`: it hears signals before the seconds in which all is imported."""

import os
import sys
from typing import NoReturn

from sentido_score import signals


def main() -> NoReturn:
    """Run the command, and end the process with its exit code."""
    # No exception: libraries turn one that is raised while they are imported into another.
    signals.leave_at_once("sentido-evaluate")
    # Arrow's own allocator keeps up to a third more than is used; read when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from sentido_evaluate.main import main as run

    interrupt = signals.Interrupt()
    try:
        code = run()
    except KeyboardInterrupt:
        print(f"\nsentido-evaluate: {interrupt.word}", file=sys.stderr)
        interrupt.leave()
    except SystemExit as error:
        code = int(error.code or 0)
    os._exit(code)  # a thread may wait for a pipe that nobody writes to
