"""`python -m sentido_server` is the command `sentido-server`."""

import sys

from sentido_server.main import main

if __name__ == "__main__":
    sys.exit(main())
