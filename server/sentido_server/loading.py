"""Loads the bundles that the server was told of, at its start and again while it serves.

Each folder's path is resolved anew every time, so that it may be a link that is pointed at another
folder, which is never changed itself. What is loaded is verified as at the start, golden texts
included, beside what is served, and then takes its place; what is refused changes nothing.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sentido_bundle import Bundle, BundleError, RunLimits
from sentido_bundle.graphs import DEFAULT_LIMITS

from sentido_server import log
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import Reloaded
from sentido_server.sources import Source


class Loaded(NamedTuple):
    """A bundle, and the seconds that it took to load it."""

    bundle: Bundle
    seconds: float


class Loader:
    """Loads bundles and hands them to `use`. Lives as long as the server; safe from any thread.

    Loads run one after another; each blocks its caller.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        precision: str,
        use: Callable[[Registry, "Loader"], None],
        limits: RunLimits = DEFAULT_LIMITS,
    ) -> None:
        self._sources = sources
        self._precision = precision
        self._use = use
        self._limits = limits
        self._loading = threading.Lock()
        self.registry = Registry(())
        self.loaded: tuple[Loaded, ...] = ()  # what is in the registry, in its order
        self.reloads = Counter(success=0, failure=0)

    def load(self) -> None:
        """Load every bundle. Raises BundleError for the first that is bad."""
        with self._loading:
            self._swap([self._load(source) for source in self._sources])

    def reload_all(self) -> None:
        """Load every bundle again: all of them, or raise BundleError and keep what was there.

        A model may have another name or version then, as after a new start.
        """
        with self._loading:
            self._counted(lambda: self._swap([self._load(source) for source in self._sources]))

    def reload(self, name: str, version: str = "") -> Reloaded:
        """Load the bundle of one model again; which one, as `Registry.find` has it.

        It may have another version then, which no other bundle of its name may have. Raises
        NotFound for an unknown model, BundleError for a bundle that is bad or of another name, and
        keeps what was there.
        """
        with self._loading:
            loaded = list(self.loaded)
            old = self.registry.find(name, version)
            index = self.registry.bundles.index(old)

            def load() -> None:
                loaded[index] = self._load(self._sources[index])
                new = loaded[index].bundle
                if new.name != old.name:
                    raise BundleError(
                        f"bundle {self._sources[index].folder}: is now model {new.name!r}"
                        f" and not {old.name!r}; SIGHUP would serve it under that name"
                    )
                self._swap(loaded)

            self._counted(load)
            return Reloaded(loaded[index].bundle, old.digest)

    def _load(self, source: Source) -> Loaded:
        started = time.monotonic()
        # Once: a link may be pointed elsewhere while it is read. Path.resolve() raises RuntimeError
        # for links in a circle.
        folder = Path(os.path.realpath(source.folder))
        bundle = Bundle.load(folder, self._precision, name=source.name, limits=self._limits)
        loaded = Loaded(bundle, time.monotonic() - started)
        log.event(
            "loaded",
            model=bundle.name,
            version=bundle.version,
            digest=bundle.digest,
            precision=bundle.precision,
            folder=str(folder),
            seconds=round(loaded.seconds, 3),
        )
        return loaded

    def _swap(self, loaded: Sequence[Loaded]) -> None:
        try:
            registry = Registry([each.bundle for each in loaded])
        except ValueError as error:
            raise BundleError(str(error)) from error
        self.registry = registry
        self.loaded = tuple(loaded)
        self._use(registry, self)

    def _counted(self, load: Callable[[], None]) -> None:
        """Load, count it and say what came of it."""
        try:
            load()
        except Exception as error:
            self.reloads["failure"] += 1
            log.event("reload failed", error=str(error))
            raise
        self.reloads["success"] += 1
        bundles = self.registry.bundles
        log.event("reloaded", models={label(bundle): bundle.digest for bundle in bundles})


def label(bundle: Bundle) -> str:
    """Return a model's name and version, as the log has them where it lists models."""
    return f"{bundle.name} {bundle.version}"
