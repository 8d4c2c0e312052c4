"""Reproducible threads: BLAS runs single-threaded, and a pool of our own does the rest.

How a BLAS library divides a matrix product among threads changes the last bits of the result.
So BLAS runs single-threaded, and the work for other threads is divided by rules that do not depend
on how many there are. The same ``random_state`` then gives the same bits alone and in the workers
of ``n_jobs``, which have fewer threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self, TypeVar

import numpy as np

__all__ = ["ThreadPool", "single_threaded_blas"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class ThreadPool:
    """Threads to compute in; each is started when it is first needed.

    Used as a context manager, which ends the threads.

    Parameters
    ----------
    n_threads : int
        Number of threads, the caller's own included. With one, no thread is started.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self._lanes: ThreadPoolExecutor | None = None
        self._side: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply a function to each item and return the results in the order of the items.

        The calling thread takes the first item, the other threads take the rest.
        """
        if self.n_threads == 1 or len(items) == 1:
            return [function(item) for item in items]
        if self._lanes is None:
            self._lanes = ThreadPoolExecutor(self.n_threads - 1)
        futures = [self._lanes.submit(function, item) for item in items[1:]]
        try:
            first = function(items[0])
        finally:
            wait(futures)  # nothing keeps running after the call has returned
        return [first, *(future.result() for future in futures)]

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Start a function on one other thread, after what was submitted before.

        Returns
        -------
        callable
            Returns the result of the function. It waits for the other thread, or computes the
            result itself if that thread has not started on it.
        """
        if self.n_threads == 1:
            result = function(item)
            return lambda: result
        if self._side is None:
            self._side = ThreadPoolExecutor(1)
        # NumPy's treatment of overflow is set in each thread: use the caller's there too.
        settings = np.geterr()

        def run() -> Result:
            with np.errstate(**settings):
                return function(item)

        future = self._side.submit(run)
        return lambda: function(item) if future.cancel() else future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for executor in (self._lanes, self._side):
            if executor is not None:
                executor.shutdown(cancel_futures=True)


_lock = threading.Lock()
_n_inside = 0
_to_restore: list[tuple[Any, int]] = []


@contextmanager
def single_threaded_blas() -> Iterator[int]:
    """Make BLAS compute in the calling thread alone.

    The limit holds for the whole process. It is set when the first thread enters and lifted when
    the last one leaves, so estimators that are fitted in several threads do not lift it for each
    other.

    Yields
    ------
    int
        Number of threads to use instead: as many as BLAS was allowed, which joblib's workers and
        ``threadpool_limits`` lower; one if another thread is computing already.
    """
    global _n_inside, _to_restore
    with _lock:
        n_threads = 1
        if _n_inside == 0:
            before = [(library, n) for library in _blas_libraries() if (n := library.num_threads)]
            n_threads = max((number for _, number in before), default=1)
            _to_restore = [(library, number) for library, number in before if number != 1]
            for library, _ in _to_restore:
                _set_num_threads(library, 1)
        _n_inside += 1
    try:
        yield n_threads
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0:
                for library, number in _to_restore:
                    _set_num_threads(library, number)


@lru_cache(maxsize=1)
def _blas_libraries() -> Sequence[Any]:
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
