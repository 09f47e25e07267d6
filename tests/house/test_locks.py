"""The locks: each holds everything that what it lists needs, as pip demands of it with hashes."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def names(lock: str) -> set[str]:
    text = (ROOT / "locks" / f"{lock}.txt").read_text("utf-8")
    return {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}


def needed(name: str) -> Iterator[str]:
    """What a package needs on this machine; nothing if it is for others and not installed here."""
    try:
        requirements = [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        return
    for each in requirements:
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            yield canonicalize_name(each.name)


@pytest.mark.parametrize(
    "lock", ["build", "client", "dev", "evaluate", "export", "score", "server"]
)
def test_a_lock_holds_what_its_packages_need(lock: str) -> None:
    locked = names(lock)
    assert len(locked) > 2
    for name in sorted(locked):
        assert set(needed(name)) <= locked, name
