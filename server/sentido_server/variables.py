"""Looks at environment variables that are not settings, but may have been meant to be.

It knows the names that others read or make: no word is said of those.
"""

import re
from collections.abc import Collection, Iterator, Mapping

_MOST_EDITS = 2  # letters that are missing, too many or wrong
_ELSEWHERE = {
    *("SENTIDO_ADDRESS", "SENTIDO_CONNECT_CA", "SENTIDO_CONNECT_CERT"),  # of client and scorer
    *("SENTIDO_CONNECT_KEY", "SENTIDO_CONNECT_TOKEN_FILE"),
    *("SENTIDO_TAG", "SENTIDO_PORT", "SENTIDO_CPUS"),  # of docker-compose.yml
    *("SENTIDO_DATA", "SENTIDO_MINE", "SENTIDO_MODEL", "SENTIDO_MODEL_VERSION"),
}
_OF_KUBERNETES = re.compile(  # also in the client's environment.py, which imports nothing of ours
    r"SENTIDO(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)", re.ASCII
)


def mistyped(environ: Mapping[str, str], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Return the variables that are nearly one of these names, in any case, and that name.

    An empty one counts as none.
    """
    for given, value in environ.items():
        if value and given not in names and not is_known_elsewhere(given):
            for name in names:
                if is_near(given.upper(), name, _MOST_EDITS):
                    yield given, name


def is_known_elsewhere(name: str) -> bool:
    """Whether a variable is of another part of Sentido, of compose or of Kubernetes."""
    return name in _ELSEWHERE or is_of_kubernetes(name)


def is_of_kubernetes(name: str) -> bool:
    """Whether Kubernetes makes a variable of this name in a pod, for a Service of its namespace."""
    return _OF_KUBERNETES.fullmatch(name) is not None


def is_near(one: str, other: str, edits: int) -> bool:
    """Whether so many letters, added, left out or replaced, make one name of the other.

    >>> is_near("THREDS", "THREADS", 1), is_near("THRAEDS", "THREADS", 1)
    (True, False)
    """
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    if edits < abs(len(one) - len(other)):
        return False
    if not one or not other:
        return True
    return edits > 0 and (
        is_near(one[1:], other[1:], edits - 1)
        or is_near(one[1:], other, edits - 1)
        or is_near(one, other[1:], edits - 1)
    )
