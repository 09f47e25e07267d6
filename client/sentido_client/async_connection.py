"""The channel of the client for asyncio: renewed as in `connection.py`, by a task."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from sentido_client.channel import Stubs, lifetime
from sentido_client.errors import CallCancelledError


class AsyncConnection:
    """Lives from a client's first call until `close`, on one event loop."""

    def __init__(self, open_channel: Callable[[], Any], renew_seconds: float) -> None:
        self.process = os.getpid()
        self.loop = asyncio.get_running_loop()
        self._open_channel = open_channel
        self._renew_seconds = renew_seconds
        self._current = Stubs(open_channel())
        self._retired: set[Stubs] = set()  # with calls in progress
        self._renewing: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._renew_at = self.loop.time() + lifetime(renew_seconds)

    def take(self) -> Stubs:
        """Return what to make one call on, until `end`. Raises CallCancelledError if closed."""
        if self._closed:
            raise CallCancelledError("the client was closed")
        if self._renewing is None and self.loop.time() >= self._renew_at:
            self._renewing = self.loop.create_task(self._renew())
        self._current.calls += 1
        return self._current

    def end(self, stubs: Stubs) -> None:
        """Note that a call has ended, after the last of which a retired channel is closed."""
        stubs.calls -= 1
        if stubs in self._retired and not stubs.calls:
            self._retired.remove(stubs)
            closing = self.loop.create_task(stubs.channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close the channels. Calls in progress are cancelled."""
        self._closed = True
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        retired, self._retired = self._retired, set()
        for stubs in (self._current, *retired):
            await stubs.channel.close()
        await asyncio.gather(*self._closing)

    async def _renew(self) -> None:
        """Open a channel, wait until it is READY, and make new calls on it."""
        stubs = Stubs(self._open_channel())
        try:
            await stubs.channel.channel_ready()
        except BaseException:
            await stubs.channel.close()
            raise
        old, self._current, self._renewing = self._current, stubs, None
        self._renew_at = self.loop.time() + lifetime(self._renew_seconds)
        old.calls += 1  # of our own, so that `end` closes it, now or later
        self._retired.add(old)
        self.end(old)
