"""The variables that say where the server is, and what lets in there.

The server's own variables have other names, so that both may be set in one environment.
"""

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any

VARIABLES = {
    "address": "SENTIDO_ADDRESS",
    "tls_ca": "SENTIDO_CONNECT_CA",
    "tls_cert": "SENTIDO_CONNECT_CERT",
    "tls_key": "SENTIDO_CONNECT_KEY",
    "token_file": "SENTIDO_CONNECT_TOKEN_FILE",
}
"""Arguments of `Client`, and the variable that stands for each."""

_OF_KUBERNETES = re.compile(  # also in the server's variables.py
    r"SENTIDO(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)", re.ASCII
)
_NEAR = 0.86  # ..._ADDR is near ..._ADDRESS; no variable of the server's is near any


def from_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the arguments of `Client` that the environment gives. An empty variable is none.

    Raises ValueError for a variable whose name is nearly one of these.
    """
    check_variables(environ)
    given = {argument: environ.get(variable) for argument, variable in VARIABLES.items()}
    return {argument: value for argument, value in given.items() if value}


def check_variables(environ: Mapping[str, str] = os.environ) -> None:
    """Raise ValueError for a variable whose name is nearly one of VARIABLES."""
    known = [*VARIABLES.values()]
    for name, value in environ.items():
        if name in known or is_of_kubernetes(name):
            continue
        if value and name.upper().startswith("SENTIDO_"):
            near = difflib.get_close_matches(name.upper(), known, cutoff=_NEAR)
            longer = [variable for variable in near if variable.startswith(name.upper())]
            for meant in longer or near:
                raise ValueError(f"there is no variable {name}; did you mean {meant}?")


def is_of_kubernetes(name: str) -> bool:
    """Whether Kubernetes makes a variable of this name in a pod, for a Service of its namespace."""
    return _OF_KUBERNETES.fullmatch(name) is not None


def with_environment(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return these arguments of `Client`, and what the environment says besides."""
    found = from_environment()
    if arguments.get("token") is not None:
        found.pop("token_file", None)
    return {**found, **arguments}
