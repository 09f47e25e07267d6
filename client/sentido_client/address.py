"""Where a server is: addresses as gRPC takes them, and whether a proxy stands before them."""

import ipaddress
import os
import re

_SEVERAL = re.compile(r"(?P<family>ipv4|ipv6):(?P<rest>.+)")
_ONE = re.compile(r"(dns:(//[^/]*/)?)?(?P<rest>.+)")
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]\s]+\]|[^\s:/,@?#\[\]]+):(?P<port>[0-9]{1,5})")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]+){3}|\[::1\]|0\.0\.0\.0|\[::\]")
_ADDRESSES = {"ipv4": ipaddress.IPv4Address, "ipv6": ipaddress.IPv6Address}
_SOCKET = re.compile(r"unix-abstract:.+|unix:(///+[^/]+.*|(?!//).*[^/].*)")
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")  # gRPC reads the first that is set,
_NO_PROXIES = ("no_grpc_proxy", "no_proxy")  # also where it is empty
_PROXY = re.compile(r"(?i:http)://[^/?#]+([/?#].*)?")  # other values gRPC leaves out
_EXAMPLE = "such as localhost:50051"


def check_address(address: str) -> str:
    """Return a server's address if it can be one. Raises TypeError or ValueError."""
    if not isinstance(address, str):
        raise TypeError(f"address is of type {type(address).__name__}, str is needed")
    if not address:
        raise ValueError(f"address is empty: host:port is needed, {_EXAMPLE}")
    try:
        address.encode()
    except UnicodeEncodeError as error:  # other bytes were in an argument or a variable
        raise ValueError(f"address is {address!r}, which is not UTF-8") from error
    if _SOCKET.fullmatch(address):
        return address
    ports = [int(found["port"]) for found in _hosts(address)]
    if not ports or not all(0 < port < 65536 for port in ports):
        raise ValueError(f"address is {address!r}: host:port is needed, {_EXAMPLE}{_hint(address)}")
    return address


def is_loopback(address: str) -> bool:
    """Whether only this machine is reached at an address: so it is at 0.0.0.0, too."""
    hosts = [found["host"] for found in _hosts(address)]
    return _is_socket(address) or all(_LOOPBACK.fullmatch(host) for host in hosts)


def is_near(address: str) -> bool:
    """Whether an address is this machine's, or a name without a dot: no proxy can know it."""
    hosts = [found["host"] for found in _hosts(address)]
    return is_loopback(address) or all(re.fullmatch(r"[^.\[\]]+", host) for host in hosts)


def proxy(address: str) -> str | None:
    """Return the variable that names the proxy through which gRPC calls an address."""
    if is_near(address):
        return None
    excepted = next((os.environ[name] for name in _NO_PROXIES if name in os.environ), "")
    ends = [end.strip() for end in excepted.split(",") if end.strip()]
    if all(any(found["host"].endswith(end) for end in ends) for found in _hosts(address)):
        return None
    first = next((name for name in _PROXIES if name in os.environ), "")
    return first if os.environ.get(first) else None


def is_proxy(variable: str) -> bool:
    """Whether gRPC takes what a variable holds; if not, it calls without a proxy."""
    return _PROXY.fullmatch(os.environ.get(variable, "")) is not None


def authority(address: str) -> str | None:
    """Return what a call names as its host, where that is not the address: the first of a list.

    A list itself is no host, and HTTP/2 servers refuse it.
    """
    several = _SEVERAL.fullmatch(address)
    return several["rest"].partition(",")[0] if several is not None else None


def _hosts(address: str) -> list[re.Match[str]]:
    """Return each host and port of an address; nothing if one of them is none."""
    several = _SEVERAL.fullmatch(address)
    if several is not None:
        parts = several["rest"].split(",")
        if not all(_is_numeric(part.rpartition(":")[0], several["family"]) for part in parts):
            return []
    else:
        one = _ONE.fullmatch(address)
        parts = [one["rest"]] if one is not None else []
    found = [_HOST_PORT.fullmatch(part) for part in parts]
    return [each for each in found if each is not None] if all(found) else []


def _is_numeric(host: str, family: str) -> bool:
    try:
        _ADDRESSES[family](host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_socket(address: str) -> bool:
    return address.startswith(("unix:", "unix-abstract:"))


def _hint(address: str) -> str:
    if address.startswith("unix:"):
        return ", or unix:path, or unix:///absolute/path"
    if _SEVERAL.fullmatch(address):
        return f"; {address[:4]}: takes numbers only, a name stands alone"
    scheme, colons, _ = address.partition("://")
    if colons and scheme != "dns":
        return f", without {scheme}://"
    if "," in address:
        return "; for several servers a name that has all their addresses, dns:///name:port"
    if address.count(":") > 1 and "[" not in address:
        return "; an IPv6 address stands in brackets, as in [::1]:50051"
    return ""
