"""The entry of `sentido-evaluate`: an interrupt during the imports is no traceback either."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command, and end the process with its exit code."""
    # Arrow's own allocator keeps up to a third more than is used; read when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        from sentido_evaluate.main import main as run

        code = run()
    except KeyboardInterrupt:
        print("\nsentido-evaluate: interrupted", file=sys.stderr)
        code = 130
    except SystemExit as error:
        code = int(error.code or 0)
    os._exit(code)  # a thread may wait for a pipe that nobody writes to
