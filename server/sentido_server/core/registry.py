"""The loaded models, by name."""

from collections.abc import Sequence

from sentido_bundle import Bundle

from sentido_server.core.faults import NotFound, shorten


class Registry:
    """The bundles that a server answers from. Immutable."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        """Take one or more bundles, the default first. Raises ValueError for two of one name."""
        self.bundles = tuple(bundles)
        self._by_name = {bundle.name: bundle for bundle in bundles}
        if len(self._by_name) < len(self.bundles):
            names = [bundle.name for bundle in bundles]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"two bundles are named {twice!r}: export one of them again with another --name"
            )

    @property
    def default(self) -> Bundle:
        """The model of a call that names none."""
        return self.bundles[0]

    def find(self, name: str = "", version: str = "") -> Bundle:
        """Return the model of a name, "" for the default one, and of a version. Raises NotFound."""
        bundle = self._by_name.get(name) if name else self.default
        if bundle is None:
            raise NotFound(
                f"no model {shorten(name)!r} is loaded, there are:"
                f" {shorten(', '.join(self._by_name), 500)}"
            )
        if version not in ("", bundle.manifest.version):
            raise NotFound(
                f"version {shorten(version)!r} of model {bundle.name!r} is not loaded, but"
                f" {bundle.manifest.version!r} is"
            )
        return bundle
