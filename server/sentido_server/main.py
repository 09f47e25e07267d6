"""The command `sentido-server`."""

import asyncio
import os
import sys

from sentido_bundle import BundleError

from sentido_server import record
from sentido_server.config import Config


def main() -> int:
    """Run the command; return its exit code."""
    config = Config.load(sys.argv[1:], os.environ)
    record.set_up(config.log_format)
    # gRPC reads this when it is imported: its own lines are no use beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from sentido_server.app import StartError, run

    try:
        asyncio.run(run(config))
    except (StartError, BundleError) as error:
        print(f"sentido-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the signals are ours
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
