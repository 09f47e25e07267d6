"""What of the user's machine must not decide an export: settings of Keras, memory, room on a disk.

Imports neither Keras nor TensorFlow: their settings are read when they are imported.
"""

import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sentido_export.errors import ExportError

_CONTAINERS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where a container's limit and use of memory stand, in versions 2 and 1 of cgroups."""

_LAST = 253402300799  # seconds to the end of the year 9999

_FEWER = "choose fewer --units, --dimensions, --words or --batch-size"


def settle_keras() -> None:
    """Have Keras run on TensorFlow with its defaults, whatever the user's settings are."""
    for name in [name for name in os.environ if name.startswith("KERAS_")]:
        del os.environ[name]
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["KERAS_HOME"] = os.devnull  # where no keras.json is, and none can be written
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    # No chatter, and no sums in an order of oneDNN's choice.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def created() -> str:
    """Return when a bundle is made: now, or the time that SOURCE_DATE_EPOCH sets.

    That is the variable of https://reproducible-builds.org by which files get the same bytes again.
    Raises ExportError if it is no number of seconds.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if seconds and not (re.fullmatch("[0-9]{1,12}", seconds) and int(seconds) <= _LAST):
        raise ExportError(
            f"SOURCE_DATE_EPOCH is {seconds!r:.40}: a whole number of seconds since 1970 is needed,"
            f" from 0 to {_LAST}"
        )
    moment = datetime.fromtimestamp(int(seconds), UTC) if seconds else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Turn errors of too little memory into a MemoryError that says what to do.

    TensorFlow has a class for them, ONNX Runtime (and C++, which both are) a sentence.
    """
    try:
        yield
    except Exception as error:
        tensorflow = sys.modules.get("tensorflow")
        is_told = tensorflow and isinstance(error, tensorflow.errors.ResourceExhaustedError)
        if is_told or re.search(r"bad_alloc|bad allocation|allocate memory", str(error)):
            raise MemoryError(_FEWER) from error
        raise


def check_memory(weights: int) -> None:
    """Raise MemoryError if there is no memory to train so many bytes of weights.

    Training holds them, their gradients, and two numbers that Adam keeps of each. How much more it
    needs is not known before.
    """
    needed, free = 4 * weights, min(_free_memory(), default=None)
    if free is not None and free < needed:
        raise MemoryError(f"{free:,} bytes are free, training takes more than {needed:,}: {_FEWER}")


def _free_memory() -> Iterator[int]:
    """Yield how many bytes may still be taken, by each limit that there is."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, ValueError):
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            yield max(0, limit - pages * resource.getpagesize())
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        yield from (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    for folder, most, used in _CONTAINERS:
        with suppress(OSError, ValueError):  # "max" is not a number, and no limit
            statistics = (folder / "memory.stat").read_text().split()
            cached = int(statistics[statistics.index("inactive_file") + 1])
            taken = int((folder / used).read_text()) - cached
            yield max(0, int((folder / most).read_text()) - taken)


def check_room(out: Path, size: int) -> None:
    """Raise ExportError if a disk has no room for so many bytes of weights."""
    folder = next(each for each in out.absolute().parents if each.exists())
    if (free := shutil.disk_usage(folder).free) < size:
        raise ExportError(
            f"{out} cannot be written: {folder} has {free:,} bytes free, the bundle takes more than"
            f" {size:,}: make room, or name another folder with --out"
        )
