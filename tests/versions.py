"""Bundles that differ in name or version only: their bytes are the default one's."""

import json
from pathlib import Path

from sentido_bundle import default_bundle


def copy(folder: Path, **changes: str) -> Path:
    """Make the default bundle in a folder, with other fields in its manifest."""
    folder.mkdir()
    for file in default_bundle().iterdir():
        (folder / file.name).hardlink_to(file)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    return folder
