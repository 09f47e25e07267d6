"""The texts and arrays of a model file, read by a process of its own.

Used as a context: the process lives as long as the file is open here. What is wrong with the file,
also that it crashes the process, is an `ExportError` of one sentence.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError

_PROGRAM = Path(__file__).with_name("h5_process.py")
_SECONDS = 300  # of wall time; the process itself stops after 25 of CPU
_ENVIRONMENT = {
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no code for a filter that the file names
    "HDF5_USE_FILE_LOCKING": "FALSE",  # the file may be read-only, or open elsewhere
    "OPENBLAS_NUM_THREADS": "1",  # each thread of it reserves memory
    "OMP_NUM_THREADS": "1",
}


class ArrayFile:
    """A `.keras` or HDF5 file; `arrays` are (layer or path, name, shape) of what it holds.

    Where `by_order`, they are in the order in which Keras reads them; else their paths say which
    layer they belong to.
    """

    def __init__(self, path: Path) -> None:
        """Start the process that reads the file. Raises ExportError if the file is not readable."""
        self._path = path
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), os.path.abspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
        self._timer = Timer(_SECONDS, self._process.kill)
        self._timer.daemon = True
        self._timer.start()
        try:
            description = self._description()
        except BaseException:
            self.__exit__()
            raise
        self.texts: dict[str, str] = description["texts"]
        self.by_order: bool = description["by_order"]
        self.arrays = [(layer, name, tuple(shape)) for layer, name, shape in description["arrays"]]

    def _description(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._crashed()
        description = json.loads(line)
        if "error" in description:
            raise ExportError(f"{self._path} {description['error']}")
        return description

    def _crashed(self) -> ExportError:
        self._process.kill()
        return ExportError(
            f"{self._path} cannot be read: HDF5 crashed on it, or needed more memory or time than"
            " any model does: save the model again with model.save"
        )

    def read(self, indices: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return arrays by their indices in `arrays`; can be called once."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(list(indices)).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._crashed() from error
        return [self._array(self.arrays[index][2]) for index in indices]

    def _array(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        assert self._process.stdout is not None
        size = 4 * math.prod(shape)
        data = self._process.stdout.read(size)
        if len(data) != size:
            raise self._crashed()
        return np.frombuffer(data, "<f4").reshape(shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()
