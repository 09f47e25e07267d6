"""How many files and connections this process may have open."""

import resource
from contextlib import suppress

_OWN = 100  # files, besides one for each connection: bundles, sockets, secrets that are looked at


def raise_limit() -> int:
    """Raise the limit as far as the system allows without asking; return it.

    What shells and engines give by default, often 1,024, is meant for programs that cannot count
    further. Source: https://0pointer.net/blog/file-descriptor-limits.html
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # not allowed here
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def needed(connections: int) -> int:
    """Return how many descriptors a server with so many connections needs."""
    return connections + _OWN
