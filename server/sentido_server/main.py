"""The command `sentido-server`."""

import asyncio
import os
import sys

from sentido_bundle import BundleError

from sentido_server import record
from sentido_server.app import StartError, run
from sentido_server.config import Config


def main() -> int:
    """Run the command; return its exit code."""
    config = Config.load(sys.argv[1:], os.environ)
    record.set_up(config.log_format)
    try:
        asyncio.run(run(config))
    except (StartError, BundleError) as error:
        print(f"sentido-server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
