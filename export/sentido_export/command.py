"""The entry of `sentido-export`: an interrupt while things are imported is no traceback either."""

import sys


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from sentido_export.main import main as run

        return run()
    except KeyboardInterrupt:
        print("\nsentido-export: interrupted, no bundle was written", file=sys.stderr)
        return 130
