"""What a client was made with: enough to show it, and to make another like it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sentido_client.channel import RENEW_SECONDS

_DEFAULTS = {
    "timeout": 30.0,
    "insecure_tokens": False,
    "renew_seconds": RENEW_SECONDS,
    "timings": False,
}


class Arguments:
    """The arguments of a client: paths of files, never what is in them. Lives as long as it."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def shown(self, name: str) -> str:
        """Return a client's repr: what is not a default, without a token.

        >>> Arguments(address="localhost:50051", timeout=5.0, token="secret").shown("Client")
        "Client('localhost:50051', timeout=5.0, token=...)"
        """
        said = [repr(self._values["address"])]
        for key, value in self._values.items():
            if key != "address" and value != _DEFAULTS.get(key):
                said.append(f"{key}={'...' if key == 'token' else repr(value)}")
        return f"{name}({', '.join(said)})"

    def made_again(self, kind: type) -> tuple[Callable[[], Any], tuple[()]]:
        """Return what `pickle` wants. Raises TypeError for a token, which must not be in a file."""
        if self._values["token"] is not None:
            raise TypeError(
                f"a {kind.__name__} made with token= cannot be pickled, since whoever reads the"
                " pickle could read the token: make it with token_file="
            )
        return partial(kind, **self._values), ()
