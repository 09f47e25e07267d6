"""Real certificates, made for a test."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    """A certificate, with those above it, and its key, in PEM."""

    cert: Path
    key: Path


def authority(folder: Path, name: str) -> tuple[trustme.CA, Path]:
    """An authority and the file of its own certificate."""
    made = trustme.CA()
    path = folder / f"{name}.pem"
    made.cert_pem.write_to_path(path)
    return made, path


def certificate(ca: trustme.CA, folder: Path, name: str, *hosts: str, days: int = 1) -> Files:
    """A certificate for hosts, 127.0.0.1 if none is given, that ends in `days`, or did.

    It replaces an older one of the name, each file at once.
    """
    now = datetime.now(UTC)
    made = ca.issue_cert(
        *(hosts or ("127.0.0.1", "localhost")),
        not_before=now - timedelta(days=7),
        not_after=now + timedelta(days=days),
    )
    files = Files(folder / f"{name}.crt", folder / f"{name}.key")
    made.private_key_pem.write_to_path(f"{files.key}.new")
    os.chmod(f"{files.key}.new", 0o600)
    os.replace(f"{files.key}.new", files.key)
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    Path(f"{files.cert}.new").write_bytes(chain)
    os.replace(f"{files.cert}.new", files.cert)
    return files
