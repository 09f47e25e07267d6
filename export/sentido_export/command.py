"""The entry of `sentido-export`: it hears signals before the seconds in which all is imported."""

import sys

from sentido_score import signals


def main() -> int:
    """Run the command; return its exit code."""
    # No exception: libraries turn one that is raised while they are imported into another.
    signals.leave_at_once("sentido-export")
    from sentido_bundle.command_line import flushed

    from sentido_export.main import main as run

    interrupt = signals.Interrupt()
    try:
        return run()
    except KeyboardInterrupt:
        flushed()
        print(f"\nsentido-export: {interrupt.word}, no bundle was written", file=sys.stderr)
        interrupt.leave()
