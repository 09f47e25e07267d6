"""The life of the server's process: it serves until a signal ends it, in bounded time.

The main thread does nothing but wait for signals, so that it hears them whatever hangs; the server
lives on another.
"""

import os
import signal
import sys
import threading
import time

from sentido_bundle import BundleError

from sentido_server import record
from sentido_server.app import Running, serve
from sentido_server.config import Config
from sentido_server.loading import Loader

_STOPS = (signal.SIGTERM, signal.SIGINT)
_ENDED = signal.SIGUSR1  # sent by ourselves: the server has ended
_SIGNALS = (*_STOPS, signal.SIGHUP, _ENDED)
_SAME_SECONDS = 0.5  # in which a second signal is the first one, sent twice
_LOADING_SECONDS = 1.0  # for a load to end by itself: no call was accepted yet
GRACE_SECONDS = 5.0
"""Beyond the times for the delay and for draining; then the process ends, whatever hangs."""


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code; SIGHUP loads every bundle again.

    A second signal ends the process at once. Raises StartError or BundleError if it cannot start.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before there are threads, which inherit it
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # an ignored signal could not be waited for
    threading.excepthook = _on_death
    life = _Life(config)
    _wait(life, config)
    if life.error is not None:
        raise life.error
    return 0


def _wait(life: "_Life", config: Config) -> None:
    """Hand signals to the server until it has ended, or must end."""
    stopped = end = float("inf")
    while True:
        left = min(end - time.monotonic(), threading.TIMEOUT_MAX)
        caught = signal.sigtimedwait(_SIGNALS, max(0.0, left))
        now = time.monotonic()
        if caught is None:
            if now >= end:
                record.warning("stopped at once", reason="something did not end in time")
                _exit(0 if life.running is None else 1)
        elif caught.si_signo == _ENDED:
            return
        elif caught.si_signo == signal.SIGHUP:
            life.reload()
        elif stopped == float("inf"):
            stopped = now
            drain = config.drain_delay + config.drain_seconds + GRACE_SECONDS
            end = now + (_LOADING_SECONDS if life.running is None else drain)
            record.event("stopping", signal=signal.Signals(caught.si_signo).name)
            life.stop()
        elif now - stopped > _SAME_SECONDS:
            record.event("stopped at once", signal=signal.Signals(caught.si_signo).name)
            _exit(1)


class _Life:
    """The server on a thread of its own, from its making until it has stopped."""

    def __init__(self, config: Config) -> None:
        self.running: Running | None = None  # None: it is loading, or has not begun to
        self.error: BaseException | None = None  # that ended it
        self._config = config
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._hung_up = threading.Event()
        threading.Thread(target=self._live, name="life", daemon=True).start()

    def stop(self) -> None:
        """Drain the server and stop it."""
        self._stopping.set()

    def reload(self) -> None:
        """Load every bundle again; what is asked for meanwhile counts as once."""
        self._hung_up.set()

    def _live(self) -> None:
        try:
            with serve(self._config) as running:
                self._announce(running)
                self.running = running
                reloads = (running.loader, self._hung_up)
                threading.Thread(
                    target=_reload_on, args=reloads, name="reload", daemon=True
                ).start()
                self._stopping.wait()
            counts = running.counts
            record.event(
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
            os.kill(os.getpid(), _ENDED)

    def _announce(self, running: Running) -> None:
        record.event(
            "serving",
            address=running.address,
            transport=running.transport,
            metrics=running.metrics_address,
            health=running.health_address,
            models=[bundle.name for bundle in running.loader.catalog.bundles],
            threads=self._config.thread_count(),
            seconds=round(time.monotonic() - self._started, 3),
        )


def _reload_on(loader: Loader, hung_up: threading.Event) -> None:
    """Load every bundle again after each signal. Ends with the process."""
    while hung_up.wait():
        hung_up.clear()
        try:
            loader.reload_all()
        except BundleError:  # the loader has said so
            pass
        except Exception as error:  # whatever it is, the next signal must be heard
            record.failure("reload failed", error)


def _on_death(death: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread; without some threads there is no server any more."""
    name = death.thread.name if death.thread else "?"
    if death.exc_value is not None:
        record.failure("a thread ended", death.exc_value, thread=name)
    if "_serve" in name or name.partition("-")[0] in ("front", "compute", "prepare"):
        _exit(1)


def _exit(code: int) -> None:
    """End the process as it is: threads that hang cannot be ended otherwise."""
    sys.stdout.flush()
    os._exit(code)
