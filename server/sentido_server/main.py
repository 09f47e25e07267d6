"""The command `sentido-server`."""

import asyncio
import os
import sys

from sentido_bundle import BundleError

from sentido_server import record
from sentido_server.config import Config, StartError


def main() -> int:
    """Run the command; return its exit code."""
    # gRPC reads this when it is imported: its own lines are no use beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from sentido_server.check import check, split

    address, argv = split(sys.argv[1:])
    config = Config.load(argv, os.environ)
    if address is not None:
        serving, message = check(address, config)
        print(f"sentido-server: {message}", file=sys.stdout if serving else sys.stderr)
        return 0 if serving else 1
    record.set_up(config.log_format)
    from sentido_server.app import run

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
