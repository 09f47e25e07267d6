"""Writes a bundle: all of it, verified, or nothing.

The files go to a hidden folder beside the target, are loaded and verified there as any reader
would, and then renamed: whatever happens, the target is a whole bundle or does not exist.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sentido_bundle.bundle import Bundle
from sentido_bundle.errors import BundleError, reason
from sentido_bundle.golden import GoldenText, dump_golden
from sentido_bundle.manifest import (
    CLEANING,
    EVALUATION,
    INT8_MODEL,
    MODEL,
    STEPS_MODEL,
    FileFacts,
    Manifest,
)
from sentido_bundle.sections import Precision


@dataclass(frozen=True)
class Graphs:
    """The serialized ONNX models by what they give, and the tensors that they share."""

    model: bytes
    weights: bytes
    steps: bytes | None = None  # gives `steps`, in bundles that have them
    int8: bytes | None = None  # the quantized twin of `model`


def check_target(directory: Path) -> None:
    """Raise BundleError unless a bundle can be written to `directory`."""
    if os.path.lexists(directory):  # a link that leads nowhere is there too
        raise BundleError(f"{directory} exists; a bundle is never changed: name a new folder")
    parent = directory.absolute().parent
    existing = next(p for p in (parent, *parent.parents) if p.exists())
    try:
        os.rmdir(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=existing))
    except OSError as error:
        raise BundleError(f"{directory} cannot be written: {reason(error)}") from error


def pack_bundle(
    manifest: Manifest,
    vocabulary: Sequence[str | None],
    graphs: Graphs,
    golden: Sequence[GoldenText],
    evaluation: bytes | None = None,
    cleaning: bytes | None = None,
) -> dict[str, bytes]:
    """Give the files of a bundle by name. `manifest.files` is filled in here.

    `evaluation`, `cleaning`: the files of that name, of a manifest with that section.
    Raises BundleError for a file that is larger than one of a bundle may be.
    """
    files = {
        "vocabulary.json": json.dumps(list(vocabulary), ensure_ascii=False, indent=0).encode(),
        MODEL: graphs.model,
        "weights.bin": graphs.weights,
        "golden.json": dump_golden(golden),
    }
    for name, data in (
        (STEPS_MODEL, graphs.steps),
        (INT8_MODEL, graphs.int8),
        (EVALUATION, evaluation),
        (CLEANING, cleaning),
    ):
        if data is not None:
            files[name] = data
    facts = {
        name: FileFacts(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    try:
        whole = replace(manifest, files=facts)
    except ValueError as error:
        raise BundleError(f"manifest.json: {error}") from error
    return {"manifest.json": whole.dump(), **files}


def write_bundle(directory: Path, files: Mapping[str, bytes]) -> Bundle:
    """Write the files of a bundle to the new folder `directory`; return it, loaded from there.

    Raises BundleError if the folder exists, cannot be written, or the bundle does not verify;
    nothing is left behind then, nor after any other exception.
    """
    check_target(directory)
    parent = directory.absolute().parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    staging: Path | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=parent))
        for name, data in files.items():
            _write_file(staging / name, data)
        bundle = Bundle.load(staging)
        if bundle.manifest.int8 is not None:
            Bundle.load(staging, Precision.INT8)
        staging.chmod(0o755)  # mkdtemp's 0700 would keep other users, a container's too, out
        _sync(staging)
        staging.rename(directory)
        _sync(parent)
    except BaseException as error:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # not there yet, or somebody else's things are in it by now
                folder.rmdir()
        if isinstance(error, OSError):
            raise BundleError(f"{directory} cannot be written: {reason(error)}") from error
        raise
    return bundle


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    """Make the entries of a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
