"""Checks whether windows hold the target that a model is to predict from them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["holds_target", "warn_if_windows_hold_target"]

# With fewer rows, a target may match a column by chance.
_MIN_ROWS = 10

# Largest difference between a target and a column that counts as rounding, after both are scaled
# to a largest absolute value of 1. Larger tolerances would also match a target that only nearly
# equals a column. Float32 has 7 digits, a few of which are lost where the level of a column is
# large compared with its range.
_FLOAT64_TOLERANCE = 1e-8
_FLOAT32_TOLERANCE = 1e-4

# Values that vary by less than this fraction of their size count as constant.
_CONSTANT = 1e-6


def warn_if_windows_hold_target(series: NDArray[Any], y: Any, *, stacklevel: int) -> None:
    """Warn if each row of a series holds its own target.

    Parameters
    ----------
    series : ndarray of shape (n_rows, n_features)
        The series, of which each window holds its own row.
    y : array-like or None
        The target.
    stacklevel : int
        As for ``warnings.warn``: 1 points to this function.
    """
    if y is not None and holds_target(series, y):
        warnings.warn(
            "y is a column of X, and with lag=0 every window holds its own row: the model would "
            "see the value that it has to predict. Use lag=1 to predict one step ahead.",
            stacklevel=stacklevel + 1,
        )


def holds_target(series: NDArray[Any], y: Any) -> bool:
    """Return whether a target is a column of the series, up to shift and scale.

    Parameters
    ----------
    series : ndarray of shape (n_rows, n_features)
        The series.
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
        The target. Any other shape and labels that are not numbers give False.

    Returns
    -------
    bool
        Whether a column of y is a column of the series.
    """
    try:
        targets = np.asarray(y, np.float64)
    except (TypeError, ValueError):
        return False  # labels of classes
    if targets.ndim not in (1, 2) or len(targets) != len(series):
        return False
    is_float32 = np.float32 in (series.dtype, getattr(y, "dtype", None))
    tolerance = _FLOAT32_TOLERANCE if is_float32 else _FLOAT64_TOLERANCE
    return any(
        _are_linearly_related(column.astype(np.float64), target, tolerance)
        for target in targets.reshape(len(targets), -1).T
        for column in series.T
    )


def _are_linearly_related(x: NDArray[np.float64], y: NDArray[np.float64], tolerance: float) -> bool:
    """Return whether y is x up to shift and scale, in the rows where both are finite."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < _MIN_ROWS:
        return False
    scaled = []
    for values in (x[both], y[both]):
        centered = values / (np.abs(values).max() or 1.0)  # to a size of 1
        centered = centered - centered.mean()
        largest = np.abs(centered).max()
        if largest <= _CONSTANT:
            return False
        scaled.append(centered / largest)
    a, b = scaled
    return bool(min(np.abs(a - b).max(), np.abs(a + b).max()) <= tolerance)
