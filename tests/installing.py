"""Environments that hold one distribution of ours and what it asks for, and nothing else.

What it asks for is linked from this environment, where it is installed at the locked versions:
that takes no network and no time, also where it is TensorFlow.
"""

import subprocess
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath

from conftest import BIN
from packaging.requirements import Requirement


class Environment:
    """A virtual environment with a part, what it needs of ours, and what they ask for."""

    def __init__(self, folder: Path, wheels: Path, part: str, *extras: str) -> None:
        """Make it in a folder: `part` is the name of the distribution."""
        self.bin = folder / "bin"
        self._wheels = wheels
        venv.create(folder, with_pip=False)
        (packages,) = folder.glob("lib/python*/site-packages")
        needed = self._needed(part, extras, {})
        own = {self._wheel(name) for name in needed if name.startswith("sentido-")}
        self.pip("install", "--quiet", "--no-deps", "--no-index", *own)
        for name, found in needed.items():
            if not name.startswith("sentido-"):
                _link(found, packages)

    def pip(self, *arguments: str | Path) -> str:
        """Run pip for this environment; return what it says."""
        command = [BIN / "python", "-m", "pip", "--python", self.bin / "python", *arguments]
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=60
        ).stdout

    def _needed(
        self, name: str, extras: Iterable[str], found: dict[str, Distribution]
    ) -> dict[str, Distribution]:
        """Add a distribution, and all that it asks for with these extras, to what is found."""
        for key in (name, *(f"{name}[{extra}]" for extra in extras)):
            if key not in found:
                found[key] = self._distribution(name)
                for asked in _asked_for(found[key], key):
                    self._needed(asked.name, asked.extras, found)
        return found

    def _distribution(self, name: str) -> Distribution:
        if not name.startswith("sentido-"):
            return distribution(name)
        wheel = self._wheel(name)
        return PathDistribution(ZipPath(wheel, f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info/"))

    def _wheel(self, name: str) -> Path:
        (wheel,) = self._wheels.glob(f"{name.partition('[')[0].replace('-', '_')}-*.whl")
        return wheel


def _asked_for(of: Distribution, key: str) -> Iterator[Requirement]:
    extra = key.partition("[")[2].rstrip("]")
    for line in of.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _link(installed: Distribution, packages: Path) -> None:
    for file in installed.files or ():
        target = packages / file
        if ".." not in file.parts and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file.locate())
