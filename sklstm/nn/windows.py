"""Windows over series: one buffer of rows, and for each window the row at which it starts."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

__all__ = ["Windows"]


class Windows(NDArrayOperatorsMixin):
    """Windows over series, which stand for an array of shape (n_rows, window_size, n_features).

    No window is copied: step k of window t is row ``starts[t] + k * sampling_rate`` of the buffer.
    Rows taken from the windows, and pickles of them, keep the buffer. Everything else that works on
    an array works on the windows too, and makes the array: other indexing, arithmetic, NumPy's
    functions, the attributes and methods of :class:`numpy.ndarray`.

    Parameters
    ----------
    buffer : ndarray of shape (n_buffer_rows, n_features)
        The rows that the windows are made of: those of the series, and padding. It is not copied,
        and not to be changed.
    starts : ndarray of int of shape (n_rows,)
        For each window, the row of the buffer that is its first step.
    window_size : int
        Number of steps in a window.
    sampling_rate : int, default=1
        Distance in the buffer from one step of a window to the next.
    is_before : ndarray of bool of shape (n_buffer_rows,), default=None
        Whether a row of the buffer lies before the first row of its series: padding, or a row that
        was carried over from earlier ones. Transformers do not learn from such rows. None: no row.

    Attributes
    ----------
    buffer, starts, window_size, sampling_rate, is_before
        The parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import SlidingWindow
    >>> windows = SlidingWindow(2).fit_transform(np.arange(4.0)[:, np.newaxis])
    >>> windows
    Windows(shape=(4, 2, 1), dtype=float64)
    >>> windows[1:3]
    Windows(shape=(2, 2, 1), dtype=float64)
    >>> windows[1:3, :, 0]
    array([[0., 1.],
           [1., 2.]])
    """

    def __init__(
        self,
        buffer: NDArray[Any],
        starts: NDArray[np.intp],
        window_size: int,
        sampling_rate: int = 1,
        is_before: NDArray[np.bool_] | None = None,
    ) -> None:
        self.buffer, self.starts, self.is_before = buffer, starts, is_before
        self.window_size, self.sampling_rate = window_size, sampling_rate

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_rows, window_size, n_features)."""
        return len(self.starts), self.window_size, self.buffer.shape[1]

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return 3

    @property
    def size(self) -> int:
        """Number of elements of the array that the windows stand for."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes that are held, which the windows have in common."""
        n_before = 0 if self.is_before is None else self.is_before.nbytes
        return self.buffer.nbytes + self.starts.nbytes + n_before

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the elements."""
        return self.buffer.dtype

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"Windows(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> Any:
        rows = _only_rows(key)
        if rows is None:
            return np.asarray(self)[key]
        starts = self.starts[rows]
        if starts.ndim == 0:  # one window
            return self._view(slice(int(starts), int(starts) + 1))[0]
        return self.with_starts(starts)

    def with_starts(self, starts: NDArray[np.intp]) -> Windows:
        """Return other windows over the same buffer."""
        return Windows(self.buffer, starts, self.window_size, self.sampling_rate, self.is_before)

    def with_buffer(self, buffer: NDArray[Any]) -> Windows:
        """Return the same windows over another buffer of as many rows."""
        return Windows(buffer, self.starts, self.window_size, self.sampling_rate, self.is_before)

    def take(self, rows: Any, n_steps: int | None = None) -> NDArray[Any]:
        """Return some of the windows as an array.

        Parameters
        ----------
        rows : slice or ndarray of int
            Numbers of the windows.
        n_steps : int, default=None
            Take only so many of the last steps of each window; None takes all.

        Returns
        -------
        ndarray of shape (n, n_steps, n_features)
            The windows: a read-only view where they follow one upon the other, else a copy.
        """
        starts = self.starts[rows]
        first = 0 if n_steps is None else max(0, self.window_size - n_steps)
        if len(starts) and (np.diff(starts) == 1).all():
            return self._view(slice(int(starts[0]), int(starts[-1]) + 1), first)
        return self._view(slice(None), first)[starts]

    def used_rows(self) -> NDArray[np.bool_]:
        """Return for each row of the buffer whether it is a step of a window."""
        rate = self.sampling_rate
        n_chains = -(-(len(self.buffer) + 1) // rate)
        # A window covers window_size steps of the chain of rows that lie sampling_rate apart.
        changes = np.zeros((n_chains + self.window_size) * rate, np.intp)
        np.add.at(changes, self.starts, 1)
        np.add.at(changes, self.starts + self.window_size * rate, -1)
        n_windows = changes.reshape(-1, rate).cumsum(axis=0).ravel()
        return n_windows[: len(self.buffer)] > 0

    def _view(self, starts: slice, first: int = 0) -> NDArray[Any]:
        """Return the windows at consecutive starts as a view, from step ``first`` on."""
        per_row, per_feature = self.buffer.strides
        n_starts = len(self.buffer) - (self.window_size - 1) * self.sampling_rate
        view = as_strided(
            self.buffer,
            (n_starts, self.window_size, self.buffer.shape[1]),
            (per_row, self.sampling_rate * per_row, per_feature),
            writeable=False,
        )
        return view[starts, first:]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.take(slice(None))
        dtype = array.dtype if dtype is None else np.dtype(dtype)
        if copy is False and not (dtype == array.dtype and np.may_share_memory(array, self.buffer)):
            raise ValueError("These windows cannot become an array without a copy.")
        array = array.astype(dtype, copy=bool(copy))
        # As the view that it may be, unless the caller asked for a copy of its own.
        array.flags.writeable = bool(copy)
        return array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, Windows) for out in kwargs.get("out", ())):
            raise TypeError("Windows are read-only. np.array(windows) copies them.")
        arrays = [np.asarray(x) if isinstance(x, Windows) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        # The windows become an array of NumPy, whose namespace scikit-learn wraps.
        return sys.modules.get("sklearn.externals.array_api_compat.numpy", np)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'Windows' object has no attribute {name!r}")
        return getattr(np.asarray(self), name)


def _only_rows(key: Any) -> Any:
    """Return what an index selects of the first axis; None if it also selects of another one."""
    rows, *others = key if isinstance(key, tuple) and key else (key,)
    is_new_axis = rows is None or isinstance(rows, bool | np.bool_)
    is_row_index = isinstance(rows, slice) or (not is_new_axis and np.ndim(rows) <= 1)
    if not is_row_index or rows is Ellipsis or isinstance(rows, tuple) or len(others) > 2:
        return None
    is_whole = [
        part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in others
    ]
    return rows if all(is_whole) else None
