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

from sentido_bundle import Bundle, BundleError

from sentido_server import log
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import Reloaded


class Loader:
    """Loads bundles and hands them to `use`. Lives as long as the server; safe from any thread.

    Loads run one after another; each blocks its caller.
    """

    def __init__(
        self, directories: Sequence[Path], precision: str, use: Callable[[Registry, "Loader"], None]
    ) -> None:
        self._directories = directories
        self._precision = precision
        self._use = use
        self._loading = threading.Lock()
        self.registry = Registry(())
        self.seconds: dict[str, float] = {}  # that the last load took, by model
        self.reloads = Counter(success=0, failure=0)

    def load(self) -> None:
        """Load every bundle. Raises BundleError for the first that is bad."""
        with self._loading:
            self._swap([self._load(directory) for directory in self._directories])

    def reload_all(self) -> None:
        """Load every bundle again: all of them, or raise BundleError and keep what was there.

        A model may have another name then, as after a new start.
        """
        with self._loading:
            self._counted(lambda: self._swap([self._load(each) for each in self._directories]))

    def reload(self, name: str) -> Reloaded:
        """Load the bundle of one model again, "" for the default one.

        Raises NotFound for an unknown name, BundleError for a bundle that is bad or of another
        name, and keeps what was there.
        """
        with self._loading:
            bundles = list(self.registry.bundles)
            old = self.registry.find(name)
            index = bundles.index(old)

            def load() -> None:
                bundles[index] = self._load(self._directories[index])
                if bundles[index].name != old.name:
                    raise BundleError(
                        f"bundle {self._directories[index]}: is now model {bundles[index].name!r}"
                        f" and not {old.name!r}; SIGHUP would serve it under that name"
                    )
                self._swap(bundles)

            self._counted(load)
            return Reloaded(bundles[index], old.digest)

    def _load(self, directory: Path) -> Bundle:
        started = time.monotonic()
        # Once: a link may be pointed elsewhere while it is read. Path.resolve() raises RuntimeError
        # for links in a circle.
        folder = Path(os.path.realpath(directory))
        bundle = Bundle.load(folder, self._precision)
        self.seconds[bundle.name] = time.monotonic() - started
        log.event(
            "loaded",
            model=bundle.name,
            version=bundle.manifest.version,
            digest=bundle.digest,
            precision=bundle.precision,
            folder=str(folder),
            seconds=round(self.seconds[bundle.name], 3),
        )
        return bundle

    def _swap(self, bundles: Sequence[Bundle]) -> None:
        try:
            registry = Registry(bundles)
        except ValueError as error:
            raise BundleError(str(error)) from error
        self.registry = registry
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
        log.event("reloaded", models={each.name: each.digest for each in self.registry.bundles})
