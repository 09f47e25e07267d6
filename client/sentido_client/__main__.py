"""`python -m sentido_client` is the command `sentido`."""

import sys

from sentido_command import main

if __name__ == "__main__":
    sys.exit(main())
