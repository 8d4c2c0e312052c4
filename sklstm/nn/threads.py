"""Reproducible threads: BLAS runs single-threaded, and a pool of our own does the rest.

How a BLAS library divides a matrix product among threads changes the last bits of the result.
So BLAS runs single-threaded, and the work for other threads is divided by rules that do not depend
on how many there are. The same ``random_state`` then gives the same bits alone and in the workers
of ``n_jobs``, which have fewer threads.

**Signals.** Python runs signal handlers between any two instructions of the main thread, and
Ctrl-C raises a KeyboardInterrupt there: in a ``finally`` or in an ``__exit__``, too. What
``call_with_pool`` changes for the whole process is restored nevertheless, see there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Generic, Self, TypeVar

import numpy as np

__all__ = ["ThreadPool", "blas_libraries", "call_with_pool"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Task(Generic[Item, Result]):
    """A call of a function, made once: by another thread, or by the one that wants the result."""

    def __init__(self, function: Callable[[Item], Result], item: Item) -> None:
        self._function, self._item = function, item
        self._is_taken, self._is_running = threading.Lock(), threading.Lock()
        self._error: BaseException | None = None

    def take(self) -> bool:
        """Keep all other threads from making the call; return False if one has taken it before."""
        return self._is_taken.acquire(blocking=False)

    def run(self) -> None:
        """Make the call in another thread than that which wants the result, unless it is taken."""
        # Held before the call is taken: nobody waits for a call that its taker, interrupted by a
        # signal, does not make. Only the main thread is interrupted, and it does not run this.
        with self._is_running:
            if self.take():
                try:
                    self._result = self._function(self._item)
                except BaseException as error:
                    self._error = error

    def wait(self) -> None:
        """Wait until no other thread makes the call."""
        with self._is_running:
            pass

    def result(self) -> Result:
        """Return the result, or raise the error; make the call here if no thread has taken it."""
        if self.take():
            return self._function(self._item)
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result


class _Workers:
    """Threads that run tasks in order; each is started when it is first needed."""

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[_Task[Any, Any] | None] = SimpleQueue()

    def start(self, task: _Task[Any, Any]) -> None:
        """Start a task when a thread is free."""
        self._tasks.put(task)
        if len(self._threads) == self._n_threads:
            return
        # As a daemon it cannot hold up the end of the process; ``end`` waits for it.
        thread = threading.Thread(target=self._run, daemon=True)
        self._threads.append(thread)  # before it runs, so that ``end`` cannot miss it
        try:
            thread.start()
        except RuntimeError:  # no more threads, or Python is shutting down: the caller computes
            self._threads.remove(thread)
            self._n_threads = len(self._threads)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # with its arrays, before the next one comes

    def end(self) -> None:
        """Drop the tasks that have not started, and end the threads."""
        while not self._tasks.empty():
            task = self._tasks.get()
            if task is not None:
                task.take()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()


class ThreadPool:
    """Threads to compute in; each is started when it is first needed.

    Used as a context manager, which ends the threads. What no other thread has started, the calling
    thread computes itself. So the results are the same where no thread can be started, in a process
    that is shutting down, and in a forked child, which has none of the threads of its parent.

    Parameters
    ----------
    n_threads : int
        Number of threads, the caller's own included. With one, no thread is started.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self._lanes = _Workers(n_threads - 1)
        self._side = _Workers(1)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply a function to each item and return the results in the order of the items.

        The calling thread takes the first item, the other threads take the rest.
        """
        if self.n_threads == 1 or len(items) == 1:
            return [function(item) for item in items]
        tasks = [_Task(function, item) for item in items[1:]]
        try:
            for task in tasks:
                self._lanes.start(task)
            first = function(items[0])
            # The last ones first: this thread computes those that no other has begun.
            others = [task.result() for task in reversed(tasks)]
            return [first, *reversed(others)]
        finally:
            # Nothing keeps running after the call has returned.
            for task in [task for task in tasks if not task.take()]:
                task.wait()

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Start a function on one other thread, after what was submitted before.

        Returns
        -------
        callable
            Returns the result of the function. It waits for the other thread, or computes the
            result itself if that thread has not started on it. To be called once.
        """
        if self.n_threads == 1:
            result = function(item)
            return lambda: result
        # NumPy's treatment of overflow is set in each thread: use the caller's there too.
        settings = np.geterr()

        def run(item: Item) -> Result:
            with np.errstate(**settings):
                return function(item)

        task = _Task(run, item)
        self._side.start(task)
        return task.result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lanes.end()
        self._side.end()


# Guards what follows. Reentrant, since a signal handler may predict while its thread holds it.
_lock = threading.RLock()
# The calls that compute, each with the number of its thread. A call is a lock that is held for as
# long as the call lasts.
_calls: dict[threading.Lock, int] = {}
_to_restore: list[tuple[Any, int]] = []


def call_with_pool(function: Callable[[ThreadPool], Result]) -> Result:
    """Call a function with a pool of threads, while BLAS computes in the calling thread alone.

    The limit of BLAS holds for the whole process. It is set when the first call begins and lifted
    when the last one ends, so estimators that are fitted in several threads do not lift it for each
    other. The pool has as many threads as BLAS was allowed, which joblib's workers and
    ``threadpool_limits`` lower; one if another call is computing already.

    Parameters
    ----------
    function : callable
        Takes a ``ThreadPool``.

    Returns
    -------
    object
        What the function returns.

    Notes
    -----
    A KeyboardInterrupt at any instruction leaves nothing behind: BLAS is allowed its threads again,
    and NumPy's settings are those from before the call (with NumPy 1.26, only if the interrupt does
    not come while they are being restored). Only if another one arrives within the microseconds in
    which the first is handled, may BLAS keep its limit; the next call lifts it.
    """
    call = threading.Lock()
    # Signal handlers run in no place where this lock is held outside of the block, or not held
    # within. So a call that has ended never counts as one that computes.
    with call:
        try:
            n_threads = _begin(call)
            # From NumPy 2 on, np.errstate changes this copy.
            return copy_context().run(_call, function, n_threads)
        finally:
            try:
                _end(call)
            finally:  # once more, where an interrupt has stopped the first
                _end(call)


def _call(function: Callable[[ThreadPool], Result], n_threads: int) -> Result:
    with ThreadPool(n_threads) as pool:
        return function(pool)


def _begin(call: threading.Lock) -> int:
    """Limit BLAS if no other call has; return the number of threads to use instead."""
    global _to_restore
    with _lock:
        for other in list(_calls):
            if not other.locked():  # it was interrupted while it ended
                del _calls[other]
        is_first = not _calls
        _calls[call] = threading.get_ident()
        if not is_first:
            return 1
        _restore()  # what an interrupted call may have left
        before = [(library, n) for library in blas_libraries() if (n := library.num_threads)]
        _to_restore = [(library, number) for library, number in before if number != 1]
        for library, _ in _to_restore:
            _set_num_threads(library, 1)
        return max((number for _, number in before), default=1)


def _end(call: threading.Lock) -> None:
    """Restore the limit of BLAS if no other call needs it. A second time changes nothing."""
    with _lock:
        if all(other is call for other in _calls):
            _restore()
        _calls.pop(call, None)


def _restore() -> None:
    global _to_restore
    for library, number in _to_restore:
        _set_num_threads(library, number)
    _to_restore = []


def _begin_fork() -> None:
    """Let no other thread hold the lock, or one of threadpoolctl, while the process forks."""
    _lock.acquire()


def _end_fork() -> None:
    _lock.release()


def _end_fork_in_child() -> None:
    """In the child, which has only the thread that forked: forget the calls of the others."""
    global _lock, _calls
    _lock = threading.RLock()
    this_thread = threading.get_ident()
    _calls = {call: thread for call, thread in _calls.items() if thread == this_thread}
    if not _calls:
        _restore()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_begin_fork, after_in_parent=_end_fork, after_in_child=_end_fork_in_child
    )


@lru_cache(maxsize=1)
def blas_libraries() -> Sequence[Any]:
    """Return the BLAS libraries of this process, as threadpoolctl controls them."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # where only NumPy is installed; BLAS then uses its own default
        return ()
    # Finding all loaded libraries takes milliseconds, so it is done once. Each library is then
    # limited on its own: a limiter of all of them takes longer than a small network.
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_num_threads(library: Any, n_threads: int) -> None:
    """Set the number of threads of one BLAS library, from any thread."""
    # From version 3.8 on, threadpoolctl silently does nothing in any thread but the first one that
    # has set a limit. Our threads take turns by a lock.
    clear = getattr(library, "clear_controlling_thread", lambda **_: None)
    clear(force=True)
    library.set_num_threads(n_threads)
    clear(force=True)
