"""A name server of the tests' own: what a name's addresses are may change while clients run."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_HEADER = struct.Struct("!HHHHHH")
_ANSWER = struct.Struct("!HHHIH4s")
_A = 1  # the type of an IPv4 address
_TO_QUESTION = 0xC000 + _HEADER.size  # the name is the question's


class Names:
    """Answers every name with the same addresses. Lives as long as `names`."""

    def __init__(self, server: socket.socket) -> None:
        self.addresses: Sequence[str] = ()
        self.asked = 0
        self._server = server

    def target(self, port: int) -> str:
        """Return what a client calls: a name and a port, and that this server is to be asked."""
        host, own_port = self._server.getsockname()
        return f"dns://{host}:{own_port}/replicas:{port}"

    def answer_all(self) -> None:
        """Answer until the socket is closed, by an empty datagram."""
        while (received := self._server.recvfrom(4096))[0]:
            query, caller = received
            self._server.sendto(self._answer(query), caller)

    def _answer(self, query: bytes) -> bytes:
        number, *_ = _HEADER.unpack_from(query)
        end = query.index(b"\0", _HEADER.size) + 5
        kind = int.from_bytes(query[end - 4 : end - 2], "big")
        found = self.addresses if kind == _A else ()
        self.asked += kind == _A
        header = _HEADER.pack(number, 0x8180, 1, len(found), 0, 0)
        records = [
            _ANSWER.pack(_TO_QUESTION, _A, 1, 0, 4, socket.inet_aton(address)) for address in found
        ]
        return header + query[_HEADER.size : end] + b"".join(records)


@contextmanager
def names() -> Iterator[Names]:
    """Run a name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        running = Names(server)
        thread = threading.Thread(target=running.answer_all, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as goodbye:
                goodbye.sendto(b"", server.getsockname())
            thread.join()
