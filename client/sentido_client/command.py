"""The command `sentido`. It needs the extra `cli`: click and rich."""

import sys


def main() -> None:
    """Run the command."""
    try:
        from sentido_client.shell import sentido
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("sentido: the command needs more packages: pip install 'sentido-client[cli]'")
    sentido(prog_name="sentido")
