"""Keeps threads that only need Python's lock on one CPU, since only one of them can run at a time.

On two CPUs each of them that is woken finds the lock taken, sleeps again, and is woken once more on
a CPU that had gone to sleep meanwhile, which costs more than what it then does. What computes
without the lock is elsewhere. Where the system cannot bind threads, nothing is done.
"""

import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_LOOK_SECONDS = 1.0, 2.0  # between looks at what else is on the CPU: at random, so as not to meet
_CROWDED = 0.3  # of a CPU's time, which others use
_GAIN = 0.2  # of a CPU's time that another one must have more
_MOST_THREADS = 500  # of which the times are looked at


class OneCpu:
    """Binds threads to one CPU, and moves them when others crowd it.

    It has a thread of its own as long as any that has joined runs.
    """

    def __init__(self) -> None:
        self._cpus = sorted(_allowed())
        self._lock = threading.Lock()
        self._joined = threading.local()
        self._threads: list[threading.Thread] = []
        self._watched = False
        self._cpu = random.choice(self._cpus) if self._cpus else -1

    def join(self) -> None:
        """Run the calling thread on the CPU of the others from now on."""
        if len(self._cpus) < 2 or getattr(self._joined, "done", False):
            return
        self._joined.done = True
        with self._lock:
            self._threads.append(threading.current_thread())
            if not self._watched:
                with suppress(RuntimeError):  # the system has no more threads; the next one tries
                    threading.Thread(target=self._watch, name="one-cpu", daemon=True).start()
                    self._watched = True
            _bind(0, self._cpu)
        _yield_to_who_wakes()

    def _watch(self) -> None:
        before = self._times()
        while not self._is_over():
            began = time.monotonic()
            time.sleep(random.uniform(*_LOOK_SECONDS))
            now, seconds = self._times(), time.monotonic() - began
            if before is not None and now is not None:
                busy = {cpu: (now[0][cpu] - before[0][cpu]) / seconds for cpu in self._cpus}
                cpu = better(self._cpu, busy, (now[1] - before[1]) / seconds)
                if cpu != self._cpu:
                    self.move(cpu)
            before = now

    def members(self) -> list[int]:
        """Return the system's ids of the threads that have joined and still run."""
        with self._lock:
            return self._alive()

    def move(self, cpu: int) -> None:
        """Run all of them, and those that join later, on another CPU."""
        with self._lock:
            self._cpu = cpu
            for thread in self._alive():
                _bind(thread, cpu)

    def _alive(self) -> list[int]:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return [thread.native_id for thread in self._threads if thread.native_id is not None]

    def _is_over(self) -> bool:
        with self._lock:
            self._watched = bool(self._alive())
            return not self._watched

    def _times(self) -> tuple[dict[int, float], float] | None:
        """Return what was used so far: of each CPU, and by the threads here (seconds)."""
        threads = self.members()
        if len(threads) > _MOST_THREADS:
            return None
        try:
            return _busy(self._cpus), sum(map(_used, threads))
        except (OSError, LookupError, ValueError):  # another kind of system: stay where we are
            return None


def better(cpu: int, busy: Mapping[int, float], own: float) -> int:
    """Return the CPU to be on: `cpu`, unless others crowd it and another one has room.

    `busy`: the share of each CPU's time that was used; `own`: what the threads here used of theirs.
    """
    others = busy[cpu] - own
    freest = min(busy, key=lambda each: busy[each])
    return freest if others > _CROWDED and busy[freest] + _GAIN < others else cpu


def _allowed() -> Sequence[int]:
    if not hasattr(os, "sched_setaffinity"):
        return ()
    return tuple(os.sched_getaffinity(0))


def _bind(thread: int, cpu: int) -> None:
    with suppress(OSError):  # it has ended, or a sandbox forbids it
        os.sched_setaffinity(thread, {cpu})


def _yield_to_who_wakes() -> None:
    """Let the calling thread, once woken, wait for its waker, which still has Python's lock.

    Source: man 7 sched, SCHED_BATCH.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _busy(cpus: Sequence[int]) -> dict[int, float]:
    """Return the seconds that each CPU was busy. Source: man 5 proc, /proc/stat."""
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    times = {name: [int(ticks) for ticks in rest] for name, *rest in lines}
    # user, nice, system, and behind idle and iowait irq, softirq and steal
    return {cpu: sum((*(row := times[f"cpu{cpu}"])[:3], *row[5:8])) / _TICKS for cpu in cpus}


def _used(thread: int) -> float:
    """Return the seconds that a thread was on a CPU; 0 if it has ended."""
    try:
        text = Path(f"/proc/self/task/{thread}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(text.split()[0]) / 1e9
