"""Threads that do what they are handed: a few in turns between sources, or one per call."""

import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from sentido_server.core.admission import Source
from sentido_server.core.one_cpu import OneCpu

_IDLE_SECONDS = 10.0  # after which a thread that has nothing to do ends
_FEW_WATCHES = 32  # up to which SWITCH_SECONDS is not too short
_MOST_AWAKE = 4  # threads of calls: while one has Python's lock, the next are on their way to it
_Job = Callable[[], object]

SWITCH_SECONDS = 0.0001
"""After which a thread lets others have Python's lock; 5 ms by default."""


def make_room(watches: int) -> None:
    """Let a thread keep Python's lock for longer while so many threads wait for the same news.

    A thread that wants the lock wakes after each such time to ask for it. Hundreds that do so at
    once, as when all their callers leave, would leave no time for the one that has it.
    """
    crowd = max(1.0, watches / _FEW_WATCHES)
    sys.setswitchinterval(SWITCH_SECONDS * crowd * crowd)


class FairThreads:
    """A fixed number of threads that take work from each source in turn. Live until `close`.

    Jobs must not raise.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._jobs: OrderedDict[Source, deque[_Job]] = OrderedDict()  # the next source first
        self._change = threading.Condition()
        self._closed = False
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, source: Source, job: _Job) -> None:
        """Do the job when it is its source's turn, in the order of the source's jobs."""
        with self._change:
            self._jobs.setdefault(source, deque()).append(job)
            self._change.notify()

    def close(self) -> None:
        """Let the threads end once nothing waits; do not wait for that."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _work(self) -> None:
        while job := self._next():
            job()
            del job  # while the thread waits, it must not keep what the job holds

    def _next(self) -> _Job | None:
        with self._change:
            while not self._jobs and not self._closed:
                self._change.wait()
            return _next(self._jobs)


class Turns:
    """Lets few threads of calls be awake at once, sources in turn. Safe from any thread.

    Those that wait for Python's lock look for it again and again, so that a hundred of them leave
    little of the CPU to the one that has it. Here a thread is not even woken before its turn, which
    it gives up while it waits for anything.
    """

    def __init__(self, most: int = _MOST_AWAKE) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: OrderedDict[Source, deque[_Job]] = OrderedDict()  # the next source first
        self._of_thread = threading.local()

    def wake(self, wake: _Job, source: Source = None) -> None:
        """Call `wake` as soon as it is the turn of the thread that it wakes.

        It returns False if there is no thread to wake: the turn is then the next one's. Source
        None: a call that begins, of which the source is not known yet.
        """
        with self._lock:
            if self._taken >= self._most:
                self._waiting.setdefault(source, deque()).append(wake)
                return
            self._taken += 1
        if wake() is False:
            self.pass_on()

    def begin(self, source: Source = None) -> None:
        """Wait for this thread's turn."""
        turn = threading.Lock()
        turn.acquire()
        self.wake(turn.release, source)
        turn.acquire()
        self.take()

    def add(self) -> None:
        """Give a turn, beyond the bound, to a thread that is woken and gives it up at once."""
        with self._lock:
            self._taken += 1

    def take(self) -> None:
        """Note that this thread was woken by `wake`: it is its turn."""
        self._of_thread.is_mine = True

    def end(self) -> None:
        """Give this thread's turn up, if it has it."""
        if getattr(self._of_thread, "is_mine", False):
            self._of_thread.is_mine = False
            self.pass_on()

    def pass_on(self) -> None:
        """Wake whose turn is next."""
        while True:
            with self._lock:
                wake = _next(self._waiting)
                if wake is None:
                    self._taken -= 1
                    return
            if wake() is not False:
                return

    def wait(self, inbox: "SimpleQueue[None]") -> None:
        """Give the turn up until something comes, by `wake`, which is then this thread's turn."""
        self.end()
        inbox.get()
        self.take()


class CallThreads(Executor):
    """A thread for each call in progress, up to a bound; more calls wait for one to be free.

    The thread that was used last is used next, and one that has had nothing to do for a while ends,
    but for the last one: it is there from the start, since the system may have no more later.
    """

    def __init__(self, most: int, awake: int = _MOST_AWAKE, cpu: OneCpu | None = None) -> None:
        """Make at most so many; `cpu`: whereon they run, and so does whoever submits.

        Raises RuntimeError if the system has no thread at all.
        """
        self.turns = Turns(awake)
        self._cpu = cpu
        self._most = most
        self._lock = threading.Lock()
        self._count = 0
        self._idle: list[SimpleQueue[_Job]] = []  # of idle threads, most recently used last
        self._waiting: deque[_Job] = deque()
        self._start(None)

    def has_spare(self) -> bool:
        """Whether one more thread is there, or can be: who keeps one leaves one to others."""
        with self._lock:
            return bool(self._idle) or (not self._waiting and self._started(None))

    def start(self, job: _Job) -> bool:
        """Do a job that gives up its turn at once; False: there is no thread for it now."""
        self.turns.add()
        with self._lock:
            if self._idle:
                self._idle.pop().put(job)
                return True
            if not self._waiting and self._started(job):
                return True
        self.turns.pass_on()  # not under the lock, which who is woken takes
        return False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Call the function on a thread; the future is done when it has returned or raised.

        Raises nothing: it is called by a thread of gRPC's, without which there is no server.
        """
        if self._cpu is not None:
            self._cpu.join()
        future: Future[Any] = Future()

        def job() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.turns.wake(partial(self._begin, job))
        return future

    def _begin(self, job: _Job) -> bool:
        """Do the job on a thread; False: it waits until there is one."""
        with self._lock:
            if self._idle:
                self._idle.pop().put(job)
                return True
            if self._started(job):
                return True
            self._waiting.append(job)
            return False

    def _started(self, job: _Job | None) -> bool:
        """Start a thread, under the lock, for a job or to be idle; tell whether there could be."""
        if self._count >= self._most:
            return False
        try:
            self._start(job)
        except RuntimeError:  # the system has no more
            return False
        return True

    def _start(self, job: _Job | None) -> None:
        threading.Thread(target=self._work, args=(job,), name="call", daemon=True).start()
        self._count += 1

    def _work(self, job: _Job | None) -> None:
        inbox: SimpleQueue[_Job] = SimpleQueue()
        if self._cpu is not None:
            self._cpu.join()
        if job is None:
            job = self._next(inbox)
        else:
            self.turns.take()
        while job:
            job()
            job = None  # while the thread waits, it must not keep what the job holds
            self.turns.end()
            job = self._next(inbox)

    def _next(self, inbox: "SimpleQueue[_Job]") -> _Job | None:
        """Wait for a job, in whose turn the thread then is; None: the thread is to end."""
        with self._lock:
            job = self._waiting.popleft() if self._waiting else None
            if job is None:
                self._idle.append(inbox)
        if job is None:
            job = self._wait(inbox)
            self.turns.take()
        else:
            self.turns.begin()
        return job

    def _wait(self, inbox: "SimpleQueue[_Job]") -> _Job | None:
        """Wait for a job; None: none has come for so long that the thread is to end."""
        try:
            return inbox.get(timeout=_IDLE_SECONDS)
        except Empty:
            pass
        with self._lock:
            if inbox in self._idle and self._count > 1:  # the last one stays: there may be no other
                self._idle.remove(inbox)
                self._count -= 1
                return None
        return inbox.get()


def _next(jobs: "OrderedDict[Source, deque[_Job]]") -> _Job | None:
    """Take the oldest job of the source whose turn it is, which is then the last in turn."""
    if not jobs:
        return None
    source, of_source = jobs.popitem(last=False)
    job = of_source.popleft()
    if of_source:
        jobs[source] = of_source
    return job
