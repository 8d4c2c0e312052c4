"""Threads of the BLAS library under NumPy, which are kept out of the numerics.

How a BLAS library shares a matrix product out among threads changes the last bits of the result.
Computing with one thread makes the same ``random_state`` give the same bits, alone and in the
workers of ``n_jobs``, whose threads are fewer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # which looks through all loaded libraries: once is enough


def one_blas_thread() -> Any:
    """Return a context manager within which BLAS computes in the calling thread alone."""
    return _controller().limit(limits=1, user_api="blas")
