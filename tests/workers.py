"""Which tests share a worker of pytest-xdist, and which begin first.

Tests of one module and transport share one, so that a server, a cluster or a bundle is made once.
(xdist's own groups, by a mark, do nothing with pytest 9.2: pytest-dev/pytest-xdist#1386.)
"""

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Where one worker must do what several modules ask for: names of tests by how they begin.
TOGETHER = {
    "engine": ("tests/containers/",),  # images are built once, and use both CPUs
    "keras": (  # which takes seconds to import
        "tests/values/test_tokenizer.py",
        "tests/values/test_own_model",
        "tests/values/test_training_export.py",
        "tests/process/test_own_models.py",
        "tests/process/test_keras_files.py",
    ),
}
# The groups that take longest, to begin with: else one worker ends long after the others.
LONGEST = (
    "engine",
    "keras",
    "tests/score/test_engines.py",
    "tests/process/test_export.py",
    "tests/process/test_installing.py",
    "tests/score/test_killing.py",
    "tests/hostile/test_hogs.py",
    "tests/hostile/test_hogs.py native",
)


def group(test: str) -> str:
    """Return the group of a test, by its id.

    >>> group("tests/wire/test_rpcs.py::test_a_call[native]")
    'tests/wire/test_rpcs.py native'
    """
    for name, beginnings in TOGETHER.items():
        if test.startswith(beginnings):
            return name
    module = test.partition("::")[0]
    return f"{module} native" if re.search(r"\[(.*-)?native(-.*)?\]$", test) else module


def turn(test: str) -> int:
    """Return the place of a test's group among those that begin first."""
    name = group(test)
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker one group after another. Lives as long as the run."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
