"""The command `sentido`. It needs the extra `cli`: click and rich."""

import os
import sys


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from sentido_client.shell import run

        return run()
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("sentido: the command needs more packages: pip install 'sentido-client[cli]'")
    except KeyboardInterrupt:
        print("sentido: interrupted", file=sys.stderr)
        os._exit(130)  # a thread may wait for standard input
