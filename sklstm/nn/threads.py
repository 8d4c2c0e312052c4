"""Threads: those of the BLAS library are kept out of the numerics, and our own take over.

How a BLAS library shares a matrix product out among threads changes the last bits of the result.
So BLAS computes in the calling thread, and what other threads do is cut out by rules that do not
look at their number: the same ``random_state`` gives the same bits alone and in the workers of
``n_jobs``, whose threads are fewer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

__all__ = ["Threads", "one_blas_thread"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = threading.Lock()
_n_inside = 0
_to_restore: list[tuple[Any, int]] = []


class Threads:
    """Threads to compute in, started when first needed.

    Parameters
    ----------
    n_threads : int
        How many; with one, everything happens in the caller's.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self._pool: ThreadPoolExecutor | None = None
        self._side: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply a function to each item; the results are in the items' order.

        The calling thread takes the first item, the others the rest.
        """
        if self.n_threads == 1 or len(items) == 1:
            return [function(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads - 1)
        futures = [self._pool.submit(function, item) for item in items[1:]]
        try:
            first = function(items[0])
        finally:
            wait(futures)  # nothing goes on behind the back of the caller
        return [first, *(future.result() for future in futures)]

    def submit(self, function: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
        """Start a function on one other thread, behind what was submitted before.

        Returns
        -------
        callable
            Returns the function's result, which it waits for, or computes where the other thread
            has not begun to.
        """
        if self.n_threads == 1:
            result = function(item)
            return lambda: result
        if self._side is None:
            self._side = ThreadPoolExecutor(1)
        # How NumPy treats overflow is a setting of each thread: there it is to be as here.
        settings = np.geterr()

        def run() -> Result:
            with np.errstate(**settings):
                return function(item)

        future = self._side.submit(run)
        return lambda: function(item) if future.cancel() else future.result()

    def close(self) -> None:
        """End the threads."""
        for pool in (self._pool, self._side):
            if pool is not None:
                pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=1)
def _blas_libraries() -> Sequence[Any]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # as may be where NumPy is alone; then BLAS does as it likes
        return ()
    # Looking through all loaded libraries takes milliseconds: once is enough. And each is set by
    # itself, as a limiter of all of them takes longer than a small network does.
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _limit(library: Any, n_threads: int) -> None:
    """Set the threads of one BLAS library, from whichever thread this is."""
    # From 3.8 on threadpoolctl does nothing, and does not say so, in any thread but the one that
    # was the first to set a limit. Ours take turns by a lock.
    clear = getattr(library, "clear_controlling_thread", lambda **_: None)
    clear(force=True)
    library.set_num_threads(n_threads)
    clear(force=True)


@contextmanager
def one_blas_thread() -> Iterator[Threads]:
    """Let BLAS compute in the calling thread alone.

    The limit holds for the process. It is set when the first thread comes in and lifted when the
    last one leaves, so that estimators fitted in several threads do not lift it for each other.

    Yields
    ------
    Threads
        Threads to use instead: as many as BLAS was allowed, which joblib's workers and
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
                _limit(library, 1)
        _n_inside += 1
    threads = Threads(n_threads)
    try:
        yield threads
    finally:
        try:
            threads.close()
        finally:  # an impatient second Ctrl-C
            with _lock:
                _n_inside -= 1
                if _n_inside == 0:
                    for library, number in _to_restore:
                        _limit(library, number)
