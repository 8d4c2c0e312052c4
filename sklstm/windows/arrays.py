"""Windows and forecast targets as plain arrays, for use outside a pipeline."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from sklstm.frames import check_columns_hold_numbers, check_not_masked
from sklstm.windows.panel import check_groups, members_of

__all__ = ["forecast_targets", "make_windows"]


def make_windows(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    window_size: int,
    horizon: int = 1,
    stride: int = 1,
    sampling_rate: int = 1,
    groups: ArrayLike | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut a series into complete windows, each with the values that come next as its target.

    This function is for use outside a :class:`~sklearn.pipeline.Pipeline`. Within one,
    :class:`SlidingWindow` keeps rows and targets aligned.

    Parameters
    ----------
    X : array-like of shape (n_rows,) or (n_rows, n_features)
        The series, oldest row first.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
        The values to predict, one for each row of X. If None, X itself.
    window_size : int
        Number of rows in a window.
    horizon : int, default=1
        Number of rows after the window that its target holds.
    stride : int, default=1
        Number of rows from the start of one window to the start of the next.
    sampling_rate : int, default=1
        Distance between the rows of a window.
    groups : array-like of shape (n_rows,), default=None
        The series that each row belongs to. No window crosses from one series into another. The
        result holds one series after the other.

    Returns
    -------
    X_windows : ndarray of shape (n_windows, window_size, n_features)
        The windows. A read-only view, unless there are several series.
    y_windows : ndarray of shape (n_windows, horizon) or (n_windows, horizon, n_targets)
        The targets. Without the last axis if y is 1-D or has a single column. With several columns
        they are 3-D, but the estimators take one number for each output: pass
        ``y_windows.reshape(len(y_windows), -1)``, or one target of y.

    Raises
    ------
    ValueError
        If a parameter is out of range, or if no series is long enough for a window.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import make_windows
    >>> X, y = make_windows(np.arange(6.0), window_size=3, horizon=2)
    >>> X[:, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.]])
    >>> y
    array([[3., 4.],
           [4., 5.]])
    """
    sizes = {
        "window_size": window_size,
        "horizon": horizon,
        "stride": stride,
        "sampling_rate": sampling_rate,
    }
    for name, size in sizes.items():
        _check_size(name, size)
    check_not_masked(X, "X")
    check_not_masked(y, "y")
    check_columns_hold_numbers(X)
    options: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": "allow-nan"}
    series = check_array(X, ensure_2d=False, input_name="X", **options)
    series = series.reshape(len(series), -1) if series.ndim == 1 else series
    target = series if y is None else check_array(y, ensure_2d=False, input_name="y", **options)
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    labels = _checked_groups(groups)
    check_consistent_length(series, target, labels)

    span = (window_size - 1) * sampling_rate + 1  # rows from the first of a window to its last
    X_parts, y_parts = [], []
    for _, rows in members_of(labels):
        X_part, y_part = series[rows], target[rows]
        if len(X_part) >= span + horizon:
            windows = sliding_window_view(X_part[: len(X_part) - horizon], span, axis=0)
            X_parts.append(windows[::stride, :, ::sampling_rate].transpose(0, 2, 1))
            next_values = sliding_window_view(y_part[span:], horizon, axis=0)[::stride]
            y_parts.append(np.moveaxis(next_values, -1, 1))
    if not X_parts:
        raise ValueError(
            f"A window of {span} row(s) with a horizon of {horizon} needs {span + horizon} rows, "
            f"but X has {len(series)}{' in all' if labels is not None else ''}."
        )
    if len(X_parts) == 1:
        return X_parts[0], y_parts[0]
    return np.concatenate(X_parts), np.concatenate(y_parts)


def forecast_targets(
    y: ArrayLike, horizon: int, *, groups: ArrayLike | None = None
) -> NDArray[np.floating]:
    """Give each row of a series the values that come next, as the target of a multi-step forecast.

    Row t becomes [y_{t+1}, ..., y_{t+horizon}]. These targets go with ``SlidingWindow(lag=0)``,
    whose windows hold what is known at row t. The last ``horizon`` rows hold NaN, because some of
    their values are still in the future. Predict these rows, but do not train on them.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The series, oldest row first.
    horizon : int
        Number of steps to forecast.
    groups : array-like of shape (n_rows,), default=None
        The series that each row belongs to. The targets of a row come from the same series.

    Returns
    -------
    ndarray of shape (n_rows, horizon)
        The targets, in the order of the rows of y.

    Raises
    ------
    ValueError
        If y is not a series of numbers, or if the horizon is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import forecast_targets
    >>> forecast_targets([1.0, 2.0, 3.0, 4.0], horizon=2)
    array([[ 2.,  3.],
           [ 3.,  4.],
           [ 4., nan],
           [nan, nan]])
    """
    _check_size("horizon", horizon)
    check_not_masked(y, "y")
    values = check_array(
        y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y"
    )
    if values.ndim != 1:
        raise ValueError(f"y has the shape {values.shape}, but must be of shape (n_rows,).")
    labels = _checked_groups(groups)
    check_consistent_length(values, labels)
    targets = np.empty((len(values), horizon))
    for _, rows in members_of(labels):
        padded = np.concatenate([values[rows], np.full(horizon, np.nan)])
        targets[rows] = sliding_window_view(padded[1:], horizon)
    return targets


def _check_size(name: str, size: Any) -> None:
    """Raise an error if a size is not a positive integer."""
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {size!r}.")


def _checked_groups(groups: ArrayLike | None) -> NDArray[Any] | None:
    """Return labels of series as an array, if there are any."""
    if groups is None:
        return None
    check_not_masked(groups, "groups")
    labels = column_or_1d(groups, dtype=object)
    check_groups(labels, "groups")
    return labels
