"""The option `--cleaning`: the steps that each text takes first, in training and in the bundle."""

import codecs
from pathlib import Path

from sentido_bundle import BundleError, Cleaner, bounds
from sentido_bundle.cleaning import parse_cleaning
from sentido_bundle.errors import reason

from sentido_export.errors import ExportError


def read_cleaning(path: Path | None) -> Cleaner | None:
    """Read a JSON list of steps; None without a file. Raises ExportError naming file and step."""
    if path is None:
        return None
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ExportError(f"--cleaning: {path}: {what}")
    try:
        with path.open("rb") as file:
            data = file.read(bounds.CLEANING_BYTES + 1)
        return parse_cleaning(str(path), data.removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise ExportError(f"--cleaning: {path}: cannot be read: {reason(error)}") from error
    except BundleError as error:
        raise ExportError(f"--cleaning: {error}") from error
