"""The loaded models, by name and version."""

from collections.abc import Sequence

from sentido_bundle import Bundle

from sentido_server.core.faults import NotFound, shorten

_LISTED = 500  # characters of a list of names that an error repeats


class Registry:
    """The bundles that a server answers from. Immutable."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        """Take bundles, the default first. Raises ValueError for two of one name and version."""
        self.bundles = tuple(bundles)
        self._versions: dict[str, dict[str, Bundle]] = {}  # by name; those given first are first
        for bundle in self.bundles:
            versions = self._versions.setdefault(bundle.name, {})
            if bundle.version in versions:
                raise ValueError(
                    f"two bundles are model {bundle.name!r} in version {bundle.version!r}: serve"
                    " one of them under another name, by --bundle NAME=FOLDER"
                )
            versions[bundle.version] = bundle

    @property
    def default(self) -> Bundle:
        """The model of a call that names none."""
        return self.bundles[0]

    def find(self, name: str = "", version: str = "") -> Bundle:
        """Return the model of a name, "" for the default's, and of a version. Raises NotFound.

        Without a version: the first given of that name.
        """
        if not (name or version):
            return self.default
        versions = self._versions.get(name or self.default.name)
        if versions is None:
            raise NotFound(
                f"no model {shorten(name)!r} is loaded, there are:"
                f" {shorten(', '.join(self._versions), _LISTED)}"
            )
        if not version:
            return next(iter(versions.values()))
        if version not in versions:
            raise NotFound(
                f"version {shorten(version)!r} of model {name or self.default.name!r} is not"
                f" loaded, there are: {shorten(', '.join(versions), _LISTED)}"
            )
        return versions[version]
