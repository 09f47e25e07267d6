"""The life of the server's process: it serves until a signal ends it, in bounded time.

The main thread does nothing but wait for signals, so that it hears them whatever hangs; the server
lives on another.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from sentido_bundle import BundleError

from sentido_server import descriptors, log, memory
from sentido_server.app import Running, serve
from sentido_server.config import Config
from sentido_server.core.threads import SWITCH_SECONDS
from sentido_server.loading import Loader, label

_STOPS = (signal.SIGTERM, signal.SIGINT)
_HEARD = (*_STOPS, signal.SIGHUP)
_SAME_SECONDS = 0.5  # in which a second signal is the first one, sent twice
_COLLECTIONS = 20_000, 20, 20  # of garbage: by far fewer than Python makes by itself
_LOADING_SECONDS = 1.0  # for a load to end by itself: no call was accepted yet
_FOREVER = float("inf")
_LEAST_BYTES = 448 << 20  # a quarter is for the process itself, which has 110 MB at the start
GRACE_SECONDS = 5.0
"""Beyond the times for the delay and for draining; then the process ends, whatever hangs."""


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; SIGHUP loads every bundle again.

    A second signal ends the process at once. Raises StartError or BundleError if it cannot start.
    """
    threading.excepthook = _on_death
    memory.return_large_blocks()
    sys.setswitchinterval(SWITCH_SECONDS)
    _raise_limits(config)
    _say_if_memory_is_short(memory.granted())
    with _Signals() as signals:
        with _blocked():
            life = _Life(config, signals.wake)
        code = _wait(life, config, signals)
    if life.error is not None:
        raise life.error
    return code


def _raise_limits(config: Config) -> None:
    """Let the process have as many connections as it may; say if those are too few."""
    most, needed = descriptors.raise_limit(), descriptors.needed(config.max_connections)
    if 0 <= most < needed:  # -1: there is no limit
        log.warning(
            "few open files",
            limit=most,
            reason=f"{config.named('max_connections')} {config.max_connections} needs {needed}:"
            " raise the limit (ulimit -n), or lower --max-connections; what is over the limit is"
            " not accepted",
        )


def _say_if_memory_is_short(granted: int) -> None:
    """Warn of what may end the process without a word: the kernel kills whoever takes too much."""
    if granted < _LEAST_BYTES:
        log.warning(
            "little memory",
            bytes=granted,
            reason="the server takes some 110 MB with the default bundle, and calls may take three"
            f" quarters of the memory: give it {_LEAST_BYTES >> 20} MiB or more, or the system may"
            " kill it",
        )


@contextmanager
def _blocked() -> Iterator[None]:
    """Keep signals from the threads that are started in the block, and from all that they start.

    One that interrupts a thread of gRPC's at the wrong moment makes it abort the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


class _Signals:
    """The signals that have come, whichever thread the system interrupted for them.

    Used in the main thread, as a context manager. None is lost, however many come: a byte in a
    socket only wakes. Afterwards they are ignored: the process is about to end.
    """

    def __init__(self) -> None:
        self._inbox, self._outbox = socket.socketpair()
        self._outbox.setblocking(False)
        self._came: deque[int] = deque()  # the numbers, of SIGHUP at most one

    def __enter__(self) -> Self:
        for number in _HEARD:
            signal.signal(number, self._add)
        signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)

    def _add(self, number: int, _: object) -> None:
        if number != signal.SIGHUP or number not in self._came:
            self._came.append(number)

    def wake(self) -> None:
        """Let `next` return. From any thread."""
        with suppress(BlockingIOError):  # full of what will wake it
            self._outbox.send(b"\0")

    def next(self, end: float) -> int | None:
        """Return the next signal; None if it was woken, or it is later than `end` (monotonic)."""
        if not self._came:
            left = None if end == _FOREVER else max(0.001, end - time.monotonic())
            self._inbox.settimeout(left)
            with suppress(TimeoutError):
                self._inbox.recv(65536)
        return self._came.popleft() if self._came else None


def _wait(life: "_Life", config: Config, signals: _Signals) -> int:
    """Hand signals to the server until it has ended, or must end; return the exit code."""
    stopped = end = _FOREVER
    code = 0
    while not life.ended:
        number = signals.next(end)
        now = time.monotonic()
        if number is None:
            if now >= end and not life.ended:
                log.warning("stopped at once", reason="something did not end in time")
                _exit(code or 1)
        elif number == signal.SIGHUP:
            life.reload()
        elif stopped == _FOREVER:
            stopped = now
            log.event("stopping", signal=signal.Signals(number).name)
            if life.running is None:
                code, end = 128 + number, now + _LOADING_SECONDS
            else:
                end = now + config.drain_delay + config.drain_seconds + GRACE_SECONDS
            life.stop()
        elif now - stopped > _SAME_SECONDS:
            log.event("stopped at once", signal=signal.Signals(number).name)
            _exit(1)
    return code


class _Life:
    """The server on a thread of its own, from its making until it has stopped."""

    def __init__(self, config: Config, wake: Callable[[], object]) -> None:
        """Start; `wake` is called in the end."""
        self.ended = False
        self.running: Running | None = None  # None: it is loading, or has not begun to
        self.error: BaseException | None = None  # that ended it
        self._config = config
        self._wake = wake
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._hung_up = threading.Event()
        threading.Thread(target=self._live, name="life", daemon=True).start()

    def stop(self) -> None:
        """Drain the server and stop it."""
        self._stopping.set()

    def reload(self) -> None:
        """Load every bundle again; what is asked for meanwhile counts as once.

        Passed over before it serves and once it stops: it has just loaded them, or needs none.
        """
        if self.running is not None and not self._stopping.is_set():
            self._hung_up.set()

    def _live(self) -> None:
        try:
            with serve(self._config) as running:
                self.running = running  # first: whoever reads that it serves may stop it at once
                self._accompany(running)
                self._announce(running)
                _collect_less()
                self._stopping.wait()
            counts = running.counts
            log.event(
                "stopped",
                batches=counts.batches,
                texts=counts.items,
                tokens=counts.size,
                padding_tokens=counts.padding,
                dropped=counts.dropped,
            )
        except BaseException as error:
            self.error = error
        finally:
            self.ended = True
            self._wake()

    def _accompany(self, running: Running) -> None:
        """Start what goes on beside serving, until the process ends."""
        reloads = (running.loader, self._hung_up)
        threading.Thread(target=_reload_on, args=reloads, name="reload", daemon=True).start()
        trim = memory.return_small_blocks
        threading.Thread(target=trim, args=(self._stopping,), name="memory", daemon=True).start()

    def _announce(self, running: Running) -> None:
        log.event(
            "serving",
            address=running.address,
            transport=running.transport,
            metrics=running.metrics_address,
            health=running.health_address,
            models=[label(bundle) for bundle in running.loader.registry.bundles],
            threads=self._config.thread_count(),
            seconds=round(time.monotonic() - self._started, 3),
        )


def _collect_less() -> None:
    """Look for garbage less often, and not among what was loaded: it stops all threads.

    Counted references free all but cycles, and what calls leave behind has none.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


def _reload_on(loader: Loader, hung_up: threading.Event) -> None:
    """Load every bundle again after each signal. Ends with the process."""
    while hung_up.wait():
        hung_up.clear()
        try:
            loader.reload_all()
        except BundleError:  # the loader has said so
            pass
        except Exception as error:  # whatever it is, the next signal must be heard
            log.failure("reload failed", error)


def _on_death(death: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread; without some threads there is no server any more."""
    name = death.thread.name if death.thread else "?"
    if death.exc_value is not None:
        log.failure("a thread ended", death.exc_value, thread=name)
    if "_serve" in name or name.partition("-")[0] in ("front", "compute", "prepare"):
        _exit(1)


def _exit(code: int) -> None:
    """End the process as it is: threads that hang cannot be ended otherwise."""
    log.flush()
    os._exit(code)
