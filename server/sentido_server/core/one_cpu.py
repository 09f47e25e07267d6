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
from typing import NamedTuple

_STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_RANDOM = random.Random()  # a program that seeds its own finds it as it left it
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
        self._cpu = _RANDOM.choice(self._cpus) if self._cpus else -1

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
            time.sleep(_RANDOM.uniform(*_LOOK_SECONDS))
            self.look_at_what_is_allowed()
            now = self._times()
            if before is not None and now is not None and before.busy.keys() == now.busy.keys():
                cpu = better(self._cpu, *now.since(before))
                if cpu != self._cpu:
                    self.move(cpu)
            before = now

    def look_at_what_is_allowed(self) -> None:
        """Follow the process when it is given other CPUs, as by `taskset` or a cpuset."""
        allowed = sorted(_allowed())
        if allowed != self._cpus:
            self._cpus = allowed
            self.move(self._cpu if self._cpu in allowed else _RANDOM.choice(allowed))

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

    def _times(self) -> "Times | None":
        """Return what was used so far."""
        threads = self.members()
        if len(threads) > _MOST_THREADS:
            return None
        try:
            busy, used = _busy(self._cpus), {each: _used(each) for each in threads}
        except (OSError, LookupError, ValueError):  # another kind of system: stay where we are
            return None
        own = {each: seconds for each, seconds in used.items() if seconds is not None}
        return Times(time.monotonic(), busy, own)


class Times(NamedTuple):
    """What was used so far, in seconds."""

    when: float
    busy: Mapping[int, float]  # of each CPU
    own: Mapping[int, float]  # by each thread

    def since(self, before: "Times") -> tuple[dict[int, float], float]:
        """Return the shares of time since then: of each CPU, and by the threads of both times."""
        seconds = self.when - before.when
        own = sum(used - before.own[each] for each, used in self.own.items() if each in before.own)
        busy = {cpu: (used - before.busy[cpu]) / seconds for cpu, used in self.busy.items()}
        return busy, own / seconds


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
    return tuple(os.sched_getaffinity(os.getpid()))  # of the main thread, which is never bound


def _bind(thread: int, cpu: int) -> None:
    with suppress(OSError):  # it has ended, or a sandbox forbids it
        os.sched_setaffinity(thread, {cpu})


def _yield_to_who_wakes() -> None:
    """Let the calling thread, once woken, wait for its waker, which still has Python's lock.

    Source: man 7 sched, SCHED_BATCH.
    """
    with suppress(OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:  # else somebody has chosen another one
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _busy(cpus: Sequence[int]) -> dict[int, float]:
    """Return the seconds that each CPU was busy. Source: man 5 proc, /proc/stat."""
    lines = (line.split() for line in _STAT.read_text().splitlines() if line.startswith("cpu"))
    times = {name: [int(ticks) for ticks in rest] for name, *rest in lines}
    # user, nice, system, and behind idle and iowait irq, softirq and steal
    return {cpu: sum((*(row := times[f"cpu{cpu}"])[:3], *row[5:8])) / _TICKS for cpu in cpus}


def _used(thread: int) -> float | None:
    """Return the seconds that a thread was on a CPU; None if it has ended."""
    try:
        text = Path(f"/proc/self/task/{thread}/schedstat").read_text()
    except OSError:
        return None
    return int(text.split()[0]) / 1e9
