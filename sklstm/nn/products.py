"""Matrix products, cut into pieces that BLAS multiplies faster than the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from sklstm.nn.cell import Floats
from sklstm.nn.threads import blas_libraries

__all__ = ["product"]

# OpenBLAS copies the factors of a product into another layout first. For cores with AVX-512 it has
# kernels that do not, and takes them up to this many multiplications. In pieces of that size, a
# step's products take 10 to 20 % less time, and half of it at 256 units and 8 sequences.
_MOST_WITHOUT_COPY = 1_000_000
_CORES = {"SkylakeX", "Cooperlake", "SapphireRapids"}
_LEAST_ROWS = 8  # of a piece


def product(A: Floats, n_columns: int) -> Callable[[Floats, Floats], Any]:
    """Return a function of x and out that writes A x to out, for x with a number of columns.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_inner)
        The matrix.
    n_columns : int
        Columns of each x.

    Returns
    -------
    callable
        Takes arrays of shape (n_inner, n_columns) and (n_rows, n_columns), the second in C order.
    """
    n_rows, n_inner = A.shape
    n_pieces = _n_pieces(n_rows, n_inner, n_columns) if _knows_small_products() else 1
    if n_pieces == 1:
        return A.dot
    pieces = A.reshape(n_pieces, -1, n_inner)
    matmul, shape = np.matmul, (n_pieces, -1, n_columns)

    def multiply(x: Floats, out: Floats) -> None:
        matmul(pieces, x, out.reshape(shape))

    return multiply


def _n_pieces(n_rows: int, n_inner: int, n_columns: int) -> int:
    """Return into how many equal pieces a matrix is cut: as few as are small enough, or one."""
    least = -(-n_rows * n_inner * n_columns // _MOST_WITHOUT_COPY)
    most = n_rows // _LEAST_ROWS
    return next((n for n in range(max(1, least), most + 1) if n_rows % n == 0), 1)


@lru_cache(maxsize=1)
def _knows_small_products() -> bool:
    """Return whether BLAS multiplies small matrices without copying them first.

    Without threadpoolctl nothing is known, and products are not cut. Their last bits may differ.
    """
    return any(getattr(library, "architecture", None) in _CORES for library in blas_libraries())
