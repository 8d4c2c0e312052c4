"""The windows as arrays: a padded copy of a series, and a strided view of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from sklstm.windows.panel import Member

__all__ = ["Layout", "windows_of_panel", "windows_of_series"]


@dataclass(frozen=True)
class Layout:
    """Which rows a window holds, and the padding before the first row.

    Parameters
    ----------
    window_size : int
        Number of rows in a window.
    lag : int
        Distance from the newest row of a window to the row that it belongs to.
    sampling_rate : int
        Distance between the rows of a window.
    padding : {"nan", "edge", "zero"}
        Padding for rows before the first one.
    """

    window_size: int
    lag: int
    sampling_rate: int
    padding: str

    @property
    def lags(self) -> list[int]:
        """Distance of each step of a window to the row that the window belongs to."""
        return [self.lag + k * self.sampling_rate for k in reversed(range(self.window_size))]

    @property
    def n_before(self) -> int:
        """Number of rows before its own that a window reaches back."""
        return self.lag + (self.window_size - 1) * self.sampling_rate

    def padding_rows(self, first: NDArray[Any], n_rows: int) -> NDArray[Any]:
        """Make the padding.

        Parameters
        ----------
        first : ndarray of shape (1, n_features)
            The first row of the series.
        n_rows : int
            Number of rows of padding.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            The padding. It is float64 if NaN is needed and the series holds no floats.
        """
        n_features = first.shape[1]
        if self.padding == "edge":
            return np.broadcast_to(first, (n_rows, n_features))
        if self.padding == "zero":
            return np.zeros((n_rows, n_features), first.dtype)
        is_float = first.dtype.kind == "f"
        return np.full((n_rows, n_features), np.nan, first.dtype if is_float else np.float64)


def windows_of_series(
    series: NDArray[Any], before: NDArray[Any] | None, layout: Layout
) -> NDArray[Any]:
    """Make the windows of one series.

    Parameters
    ----------
    series : ndarray of shape (n_rows, n_features)
        The series.
    before : ndarray of shape (n_rows_before, n_features) or None
        Rows that precede the series, if any are known.
    layout : Layout
        Which rows a window holds.

    Returns
    -------
    ndarray of shape (n_rows, window_size, n_features)
        A read-only view of one padded copy of the series.
    """
    n_rows, n_features = series.shape
    known = series[:0] if before is None else before
    first = known[:1] if len(known) else series[:1]
    padding = layout.padding_rows(first, max(0, layout.n_before - len(known)))
    padded = np.concatenate([padding, known, series])
    padded = padded[len(padded) - n_rows - layout.n_before :]  # (n_before + n_rows, n_features)
    per_row, per_feature = padded.strides
    # The window of row t starts at row t of the padded series.
    return as_strided(
        padded,
        (n_rows, layout.window_size, n_features),
        (per_row, layout.sampling_rate * per_row, per_feature),
        writeable=False,
    )


def windows_of_panel(
    rows: NDArray[Any],
    members: Sequence[Member],
    before: Mapping[Hashable, NDArray[Any]],
    layout: Layout,
) -> NDArray[Any]:
    """Make the windows of a panel, none of which crosses from one series into another.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows of all series.
    members : sequence of Member
        The series.
    before : mapping of ndarray
        Rows that precede each series, by its label. A series may be absent.
    layout : Layout
        Which rows a window holds.

    Returns
    -------
    ndarray of shape (n_rows, window_size, n_features)
        The windows, in the order of the rows. Read-only; a view if there is only one series.
    """
    if len(members) == 1:
        return windows_of_series(rows, before.get(members[0].group), layout)
    parts = [
        windows_of_series(rows[member.rows], before.get(member.group), layout) for member in members
    ]
    shape = len(rows), layout.window_size, rows.shape[1]
    windows = np.empty(shape, np.result_type(*(part.dtype for part in parts)))
    for member, part in zip(members, parts, strict=True):
        windows[member.rows] = part
    windows.flags.writeable = False
    return windows
