"""From rows to windows: padding, missing times and the lag of each column, in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.windows import Windows

__all__ = ["Layout", "Series", "make_buffer", "on_grid"]


@dataclass(frozen=True)
class Layout:
    """Which rows a window holds, and the padding before the first row.

    Parameters
    ----------
    window_size : int
        Number of rows in a window.
    lags : tuple of int
        For each column, the distance from the newest row of a window to the row that it belongs to.
    sampling_rate : int
        Distance between the rows of a window.
    padding : {"nan", "edge", "zero"}
        Padding for rows before the first one.
    """

    window_size: int
    lags: tuple[int, ...]
    sampling_rate: int
    padding: str

    @property
    def span(self) -> int:
        """Number of rows from the oldest step of a window to its newest."""
        return (self.window_size - 1) * self.sampling_rate

    @property
    def n_before(self) -> int:
        """Number of rows before its own that a window reaches back."""
        return self.span + max(self.lags)

    @property
    def ages(self) -> list[int]:
        """Distance of each step of a window to its newest step."""
        return [k * self.sampling_rate for k in reversed(range(self.window_size))]


class Series(NamedTuple):
    """One series of X, ready to be made into windows.

    Parameters
    ----------
    rows : ndarray of int or slice
        The positions of its rows in X.
    values : ndarray of shape (n_values, n_features)
        Its rows, with rows of NaN for times that are left out, see ``on_grid``.
    places : ndarray of int or slice
        Where the rows of X are among the values.
    before : ndarray of shape (n_rows_before, n_features)
        Rows that precede it.
    """

    rows: NDArray[np.intp] | slice
    values: NDArray[Any]
    places: NDArray[np.intp] | slice
    before: NDArray[Any]


def on_grid(
    values: NDArray[Any], positions: NDArray[np.intp], n_before: int
) -> tuple[NDArray[Any], NDArray[np.intp] | slice]:
    """Put rows of NaN where times are left out.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        The rows of a series.
    positions : ndarray of int of shape (n_rows,)
        Their positions in time.
    n_before : int
        Number of rows before its own that a window reaches back: no more are put between two rows.

    Returns
    -------
    values : ndarray of shape (n_values, n_features)
        The rows and those between them.
    places : ndarray of int or slice
        Where the rows are among the values.
    """
    steps = np.minimum(np.diff(positions, prepend=positions[0]), n_before + 1)
    places = np.cumsum(steps)
    if places[-1] == len(values) - 1:
        return values, slice(None)
    dtype = values.dtype if values.dtype.kind == "f" else np.float64
    filled = np.full((places[-1] + 1, values.shape[1]), np.nan, dtype)
    filled[places] = values
    return filled, places


def make_buffer(series: Sequence[Series], n_rows: int, layout: Layout) -> Windows:
    """Make the windows of some series, none of which crosses from one into another.

    Parameters
    ----------
    series : sequence of Series
        The series.
    n_rows : int
        Number of rows of X.
    layout : Layout
        Which rows a window holds.

    Returns
    -------
    Windows
        The windows of all rows of X, in their order.
    """
    sizes = [len(part.values) + layout.span for part in series]
    padded = [_Padded(part, layout) for part in series]
    n_features = len(layout.lags)
    dtype = np.result_type(*{part.dtype for part in padded})
    buffer = np.empty((sum(sizes), n_features), dtype)
    starts = np.empty(n_rows, np.intp)
    is_before = np.zeros(len(buffer), bool)
    first = 0
    for part, size, filler in zip(series, sizes, padded, strict=True):
        filler.fill(buffer[first : first + size])
        # In these rows some column is padding or carried, in all others none is.
        is_before[first : first + layout.n_before] = True
        # The window of a row starts as many rows into the buffer as the row into its series.
        starts[part.rows] = first + np.arange(len(part.values))[part.places]
        first += size
    return Windows(buffer, starts, layout.window_size, layout.sampling_rate, is_before)


class _Padded:
    """The part of the buffer that holds one series.

    Row j of it holds, of each column, the value ``lag`` rows before row ``j - span`` of the series.

    Parameters
    ----------
    series : Series
        The series.
    layout : Layout
        Which rows a window holds.
    """

    def __init__(self, series: Series, layout: Layout) -> None:
        self.series, self.layout = series, layout
        self.known = known = series.before[max(0, len(series.before) - layout.n_before) :]
        self.n_rows = len(series.values) + layout.span
        # Rows of which some column lies before the first known row.
        self.n_padding = min(max(0, layout.n_before - len(known)), self.n_rows)
        # Rows of which some column is a missing step; such a row is missing as a whole.
        self.is_missing = np.zeros(self.n_rows, bool)
        if len(set(layout.lags)) > 1:
            gone = np.concatenate([_all_nan(known), _all_nan(series.values)])
            for lag in set(layout.lags):
                into, source = self._slices(lag)
                self.is_missing[into] |= gone[source]
        is_padded_with_nan = layout.padding == "nan" and self.n_padding > 0
        self.dtype = np.result_type(known.dtype, series.values.dtype)
        if (is_padded_with_nan or self.is_missing.any()) and self.dtype.kind != "f":
            self.dtype = np.dtype(np.float64)

    def fill(self, buffer: NDArray[Any]) -> None:
        """Fill the part of the buffer, of shape (n_rows, n_features)."""
        values, n_known = self.series.values, len(self.known)
        lags = np.array(self.layout.lags)
        for lag in set(self.layout.lags):
            columns: Any = slice(None) if (lags == lag).all() else np.flatnonzero(lags == lag)
            into, source = self._slices(lag)
            n_carried = max(0, min(n_known, source.stop) - source.start)
            carried = self.known[source.start : source.start + n_carried]
            buffer[into.start : into.start + n_carried, columns] = carried[:, columns]
            own = values[max(0, source.start - n_known) : max(0, source.stop - n_known)]
            buffer[into.start + n_carried : into.stop, columns] = own[:, columns]
        if self.n_padding:
            buffer[: self.n_padding] = self._padding()
        if self.is_missing.any():
            self.is_missing[: self.n_padding] = False
            buffer[self.is_missing] = np.nan

    def _slices(self, lag: int) -> tuple[slice, slice]:
        """Return which rows of the buffer a lag fills, from which of the known and own rows."""
        # Row j of the buffer is row n_known + j - span - lag of the known and own rows.
        shift = len(self.known) - self.layout.span - lag
        first, stop = max(0, -shift), self.n_rows
        first = min(first, stop)
        return slice(first, stop), slice(first + shift, stop + shift)

    def _padding(self) -> Any:
        """Return a row of padding."""
        if self.layout.padding == "nan":
            return np.nan
        if self.layout.padding == "zero":
            return 0
        return self.known[0] if len(self.known) else self.series.values[0]


def _all_nan(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each row whether it is a missing step."""
    return np.asarray(np.isnan(rows).all(axis=1))
