"""`python -m sentido_export` is the command `sentido-export`."""

import sys

from sentido_export.command import main

if __name__ == "__main__":
    sys.exit(main())
