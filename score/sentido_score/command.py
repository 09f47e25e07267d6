"""The entry of `sentido-score`: an interrupt while things are imported is no traceback either."""

import sys


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from sentido_score.main import main as run

        return run()
    except KeyboardInterrupt:
        print("\nsentido-score: interrupted before it began", file=sys.stderr)
        return 130
