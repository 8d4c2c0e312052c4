"""Windows over a series: as a transformer that keeps rows, and as plain arrays."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from sklstm.callbacks import CallbackSupportMixin, with_callbacks
from sklstm.context import Context, Rows, members_of
from sklstm.pickling import VersionedEstimator

__all__ = ["SlidingWindow", "forecast_targets", "make_windows"]


class SlidingWindow(CallbackSupportMixin, TransformerMixin, VersionedEstimator):
    """Give each row of a series the rows before it, as a window.

    Row t becomes the window of the rows t - lag - (window_size - 1) * sampling_rate, ...,
    t - lag - sampling_rate, t - lag, oldest first. The number of rows stays, so y and
    sample_weight stay as they are, and windows work inside a plain
    :class:`~sklearn.pipeline.Pipeline`, in :func:`~sklearn.model_selection.cross_val_score` and in
    a grid search over ``slidingwindow__window_size``.

    Parameters
    ----------
    window_size : int, default=10
        Rows in a window.
    lag : int, default=0
        How many rows back the newest row of a window lies. To forecast a series from its own
        past, with y the series itself, that is the forecast horizon: ``lag=1`` for one step ahead.
    sampling_rate : int, default=1
        Distance between the rows of a window.
    padding : {"nan", "edge", "zero"}, default="nan"
        What stands in for rows before the first: NaN, which the LSTM estimators skip, so that
        early rows are shorter sequences; the first row; or zeros.
    carry_context : bool, default=False
        Remember the last rows that were fitted, and give them as their past to rows that follow.
        So test folds, and rows that come in later, start with full windows, and
        ``cross_val_score(pipeline, X, y, cv=TimeSeriesSplit())`` is right as it stands. See Notes
        for which rows follow.
    group_column : int, str or None, default=None
        Column that tells the series of a panel apart, by position or by name. Windows never
        cross from one series into another, whose rows may be interleaved; the column is not in
        the output. With ``carry_context`` each series has its own past, and one that was not
        fitted has none.
    flatten : bool, default=False
        Give 2-D output, the steps of a window side by side, oldest first, for estimators that
        take no 3-D input. With feature names, the columns are called ``temperature_lag3``.

    Attributes
    ----------
    n_features_in_ : int
        Columns of the series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names that are all strings.

    See Also
    --------
    LSTMRegressor : Learns from the windows.

    make_windows : Complete windows and their targets, as plain arrays.

    Notes
    -----
    Without ``flatten``, the output is a read-only view of a single copy of the series: no window
    is copied, however many rows they share. A panel of several series is copied.

    With ``carry_context``, X in ``transform`` is one of two things. Either it begins with the rows
    of ``fit``, or is them; then the windows are those that ``fit_transform`` gave, and go on from
    there. Or it follows what was fitted last. A pandas index of increasing numbers or times tells
    which, for each series of a panel, and where it is regular how many rows are missing in
    between, which then count as missing time steps; rows that are neither are an error. A
    StandardScaler drops the index, unless ``pipeline.set_output(transform="pandas")`` keeps it.
    Without an index, or where both only count from zero, rows that do not begin with those of
    ``fit`` are *taken to follow directly*. The state of the transformer does not change in
    ``transform``: a live system either gives all rows since the fit each time, or calls
    ``partial_fit`` with each row once it has been used.

    With ``lag=0`` a window holds its own row. If y is a column of X, or one up to shift and scale,
    the model sees what it is to predict; ``fit`` warns of that.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import SlidingWindow
    >>> series = np.arange(4.0)[:, np.newaxis]
    >>> SlidingWindow(window_size=3).fit_transform(series)[:, :, 0]
    array([[nan, nan,  0.],
           [nan,  0.,  1.],
           [ 0.,  1.,  2.],
           [ 1.,  2.,  3.]])
    >>> SlidingWindow(window_size=2, lag=1, padding="edge").fit_transform(series)[:, :, 0]
    array([[0., 0.],
           [0., 0.],
           [0., 1.],
           [1., 2.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "window_size": [Interval(Integral, 1, None, closed="left")],
        "lag": [Interval(Integral, 0, None, closed="left")],
        "sampling_rate": [Interval(Integral, 1, None, closed="left")],
        "padding": [StrOptions({"nan", "edge", "zero"})],
        "carry_context": ["boolean"],
        "group_column": [Integral, str, None],
        "flatten": ["boolean"],
    }

    def __init__(
        self,
        window_size: int = 10,
        *,
        lag: int = 0,
        sampling_rate: int = 1,
        padding: str = "nan",
        carry_context: bool = False,
        group_column: int | str | None = None,
        flatten: bool = False,
    ) -> None:
        self.window_size = window_size
        self.lag = lag
        self.sampling_rate = sampling_rate
        self.padding = padding
        self.carry_context = carry_context
        self.group_column = group_column
        self.flatten = flatten

    def fit(self, X: ArrayLike, y: Any = None) -> SlidingWindow:
        """Check the parameters, and remember what is needed of the series.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The series, oldest row first.
        y : array-like, default=None
            The target, only to warn where the windows hold it.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        if self._fit(X, y):
            warnings.warn(
                "y is a column of X, and with lag=0 every window holds its own row: the model will "
                "see what it is to predict. Use lag=1 to predict one step ahead.",
                stacklevel=2,
            )
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: ArrayLike, y: Any) -> bool:
        """Fit; return whether the windows hold the target."""
        callbacks = self._init_callback_context()
        if callbacks is not None:
            callbacks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._validate_params()
        series, groups = self._check(X, reset=True)
        self._context = None
        if self.carry_context:
            self._context = Context.of(series, groups, _index_of(X), self._n_before, recognise=True)
        if callbacks is not None:
            callbacks.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self.lag == 0 and y is not None and _holds_target(series, y)

    def partial_fit(self, X: ArrayLike, y: Any = None) -> SlidingWindow:
        """Move on: let X, which follows the rows fitted so far, be the past of what comes next.

        A stream may begin with it. Without an index, ``transform`` then takes all rows to follow.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The rows that have come in.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        first = not hasattr(self, "n_features_in_")
        self._validate_params()
        series, groups = self._check(X, reset=first)
        if first:
            self._context = None
        if first and self.carry_context:
            self._context = Context.of(
                series, groups, _index_of(X), self._n_before, recognise=False
            )
        elif self.carry_context:
            self._context = self._checked_context().moved_on(
                series, groups, _index_of(X), may_have_gap=self.padding == "nan"
            )
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Make the windows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            A series, oldest row first. Its first row has no past, unless ``carry_context`` knows
            it.

        Returns
        -------
        ndarray of shape (n_rows, window_size, n_features)
            The windows, a read-only view; with ``flatten`` a new array of shape (n_rows,
            window_size * n_features). Integers become float64 where NaN is needed.
        """
        check_is_fitted(self)
        series, groups = self._check(X, reset=False)
        past: Rows = {}
        if self.carry_context:
            past = self._checked_context().past_of(
                series, groups, _index_of(X), may_have_gap=self.padding == "nan"
            )
        members = members_of(groups, len(series))
        if len(members) == 1:
            windows = self._windows(series, past.get(members[0][0]))
        else:
            parts = [(rows, self._windows(series[rows], past.get(name))) for name, rows in members]
            shape = len(series), self.window_size, series.shape[1]
            windows = np.empty(shape, np.result_type(*(part.dtype for _, part in parts)))
            for rows, part in parts:
                windows[rows] = part
            windows.flags.writeable = False
        if self.flatten:
            return windows.reshape(len(windows), -1).copy()
        return windows

    @property
    def _n_before(self) -> int:
        """Rows that a window reaches back beyond its own."""
        return self.lag + (self.window_size - 1) * self.sampling_rate

    def _checked_context(self) -> Context:
        context: Context | None = self._context
        if context is None or context.n_before < self._n_before:
            raise ValueError(
                "carry_context, window_size, lag or sampling_rate was set after fit, which has not "
                "kept enough rows for it: fit again."
            )
        return context

    def _check(self, X: Any, *, reset: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Check X, and take out the column that tells the series apart."""
        if self.group_column is None:
            series = validate_data(
                self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
            )
            self._settle_group_column(None, reset=reset)
            return series, None
        if not hasattr(X, "columns"):
            # As objects, so that a label may be a string beside numbers.
            X = X if hasattr(X, "shape") else np.array(X, dtype=object)
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        validate_data(self, X, reset=reset, skip_check_array=True)
        column = self._group_position(X)
        if hasattr(X, "columns"):
            names = list(X.columns)
            groups = np.asarray(X[names[column]])
            rest: Any = X[names[:column] + names[column + 1 :]]
        else:
            groups, rest = X[:, column], np.delete(X, column, axis=1)
            if rest.dtype == object:
                rest = rest.astype(np.float64)
        series = check_array(
            rest, dtype="numeric", ensure_all_finite="allow-nan", estimator=self, input_name="X"
        )
        _check_labels(groups, f"group_column={self.group_column!r}")
        self._settle_group_column(column, reset=reset)
        return series, groups

    def _settle_group_column(self, column: int | None, *, reset: bool) -> None:
        """Note which column tells the series apart, or hold it to that of fit."""
        if reset:
            self._group_number = column
        elif self._group_number != column:
            raise ValueError("group_column was set after fit, or its column has moved: fit again.")

    def _group_position(self, X: Any) -> int:
        """Find the column that tells the series apart."""
        n_columns: int = X.shape[1]
        column: Any = self.group_column
        if isinstance(column, str):
            names = [str(name) for name in getattr(X, "columns", [])]
            if column not in names:
                hint = (
                    f"{names}."
                    if names
                    else "which is an array and has no names: give a position, or keep the names "
                    "through the steps before with set_output(transform='pandas')."
                )
                raise ValueError(f"group_column={column!r} is not among the columns of X, {hint}")
            position = names.index(column)
        else:
            position = int(column) + (n_columns if column < 0 else 0)
            if not 0 <= position < n_columns:
                raise ValueError(
                    f"group_column={column} is not a column of X, which has {n_columns}."
                )
        if n_columns < 2:
            raise ValueError("X has 1 feature(s), which is nothing but the group_column.")
        return position

    def _windows(self, series: NDArray[Any], past: NDArray[Any] | None) -> NDArray[Any]:
        """Make the windows of one series, whose past may be known."""
        n_rows, n_features = series.shape
        known = series[:0] if past is None else past
        first = known[:1] if len(known) else series[:1]
        padding = self._padding_rows(first, max(0, self._n_before - len(known)))
        padded = np.concatenate([padding, known, series])
        padded = padded[len(padded) - n_rows - self._n_before :]
        per_row, per_feature = padded.strides
        # The window of row t starts in row t of the padded series.
        return as_strided(
            padded,
            (n_rows, self.window_size, n_features),
            (per_row, self.sampling_rate * per_row, per_feature),
            writeable=False,
        )

    def _padding_rows(self, first: NDArray[Any], n_rows: int) -> NDArray[Any]:
        """Make what stands in for rows before the first."""
        n_features = first.shape[1]
        if self.padding == "edge":
            return np.broadcast_to(first, (n_rows, n_features))
        if self.padding == "zero":
            return np.zeros((n_rows, n_features), first.dtype)
        is_float = first.dtype.kind == "f"
        return np.full((n_rows, n_features), np.nan, first.dtype if is_float else np.float64)

    def set_output(self, *, transform: str | None = None) -> SlidingWindow:
        """Choose the container of the output; without ``flatten`` that is always an array.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            As for any transformer of scikit-learn. It has no effect on windows of shape (n_rows,
            window_size, n_features), for which there is no frame.

        Returns
        -------
        self : object
            The transformer.
        """
        # As scikit-learn keeps it; super() would refuse while there are no names of columns.
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @available_if(lambda self: self.flatten)  # type: ignore[untyped-decorator]
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of the output's columns; only with ``flatten``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the series' columns; None for those that ``fit`` has seen.

        Returns
        -------
        ndarray of shape (window_size * `n_features_in_`,)
            ``name_lagK`` for the value K rows before.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if self._group_number is not None:
            names = np.delete(names, self._group_number)
        lags = [self.lag + k * self.sampling_rate for k in reversed(range(self.window_size))]
        return np.array([f"{name}_lag{lag}" for lag in lags for name in names], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = self.group_column is not None
        return tags


def _index_of(X: Any) -> Any:
    """Give the index of a pandas frame; None for anything else."""
    return X.index if hasattr(X, "iloc") else None


def _check_labels(groups: NDArray[Any], name: str) -> None:
    """Refuse labels of series that are missing, or that have no order."""
    labels = groups.tolist()
    if not all(label is not None and _equals_itself(label) for label in labels):
        raise ValueError(f"{name} holds missing values.")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"{name} mixes strings with other labels.")
    try:
        np.unique(groups)
    except TypeError as error:
        raise TypeError(f"{name}: the argument must be strings or numbers: {error}") from error


def _equals_itself(label: Any) -> bool:
    """Tell whether a label is not NaN or NA."""
    try:
        return bool(label == label)
    except TypeError:
        return False


# Fewer rows on one line may be an accident.
_MIN_ROWS_FOR_LEAK = 10


def _holds_target(series: NDArray[Any], y: Any) -> bool:
    """Tell whether a target is a column of the series, up to shift and scale."""
    try:
        targets = np.asarray(y, np.float64)
    except (TypeError, ValueError):
        return False  # labels
    if targets.ndim not in (1, 2) or len(targets) != len(series):
        return False
    # Of rounding to the coarser of the two, relative to the spread.
    precision = 1e-4 if np.float32 in (series.dtype, getattr(y, "dtype", None)) else 1e-8
    return any(
        _are_on_one_line(column.astype(np.float64), target, precision)
        for target in targets.reshape(len(targets), -1).T
        for column in series.T
    )


def _are_on_one_line(x: NDArray[np.float64], y: NDArray[np.float64], precision: float) -> bool:
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < _MIN_ROWS_FOR_LEAK:
        return False
    standardized = []
    for values in (x[both], y[both]):
        centred = values / (np.abs(values).max() or 1.0)  # so that no square over- or underflows
        centred = centred - centred.mean()
        spread = np.abs(centred).max()
        if spread <= 1e-6:  # constant but for rounding
            return False
        standardized.append(centred / spread)
    a, b = standardized
    return bool(min(np.abs(a - b).max(), np.abs(a + b).max()) <= precision)


def _checked_groups(groups: ArrayLike | None) -> NDArray[Any] | None:
    if groups is None:
        return None
    labels = column_or_1d(groups, dtype=object)
    _check_labels(labels, "groups")
    return labels


def _check_size(name: str, size: Any) -> None:
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {size!r}.")


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

    For use outside of a :class:`~sklearn.pipeline.Pipeline`; within one,
    :class:`SlidingWindow` keeps rows and targets together.

    Parameters
    ----------
    X : array-like of shape (n_rows,) or (n_rows, n_features)
        The series, oldest row first.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), default=None
        What is to be predicted, row by row; X itself if None.
    window_size : int
        Rows in a window.
    horizon : int, default=1
        How many rows after the window its target holds.
    stride : int, default=1
        Rows from the start of one window to the start of the next.
    sampling_rate : int, default=1
        Distance between the rows of a window.
    groups : array-like of shape (n_rows,), default=None
        Series that each row belongs to; no window crosses from one into another. Series come one
        after the other in the result.

    Returns
    -------
    X_windows : ndarray of shape (n_windows, window_size, n_features)
        The windows; a read-only view, unless there are several series.
    y_windows : ndarray of shape (n_windows, horizon) or (n_windows, horizon, n_targets)
        The targets; without the last axis if y is 1-D or has a single column.

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
    kinds: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": "allow-nan"}
    series = check_array(X, ensure_2d=False, input_name="X", **kinds)
    series = series.reshape(len(series), -1) if series.ndim == 1 else series
    target = series if y is None else check_array(y, ensure_2d=False, input_name="y", **kinds)
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    labels = _checked_groups(groups)
    check_consistent_length(series, target, labels)

    span = (window_size - 1) * sampling_rate + 1
    parts = []
    for _, rows in members_of(labels, len(series)):
        X_part, y_part = series[rows], target[rows]
        if len(X_part) >= span + horizon:
            windows = sliding_window_view(X_part[: len(X_part) - horizon], span, axis=0)
            windows = windows[::stride, :, ::sampling_rate].transpose(0, 2, 1)
            next_values = sliding_window_view(y_part[span:], horizon, axis=0)[::stride]
            parts.append((windows, np.moveaxis(next_values, -1, 1)))
    if not parts:
        raise ValueError(
            f"A window of {span} row(s) with a horizon of {horizon} needs {span + horizon} rows, "
            f"but X has {len(series)}{' in all' if labels is not None else ''}."
        )
    if len(parts) == 1:
        return parts[0]
    X_windows, y_windows = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return X_windows, y_windows


def forecast_targets(
    y: ArrayLike, horizon: int, *, groups: ArrayLike | None = None
) -> NDArray[np.floating]:
    """Give each row of a series the values that come next, for a forecast of several steps at once.

    Row t becomes [y_{t+1}, ..., y_{t+horizon}], which goes with ``SlidingWindow(lag=0)``: what is
    known once row t is there. The last ``horizon`` rows do not have all of it yet; they hold NaN
    and are what one predicts, not what one trains on.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The series, oldest row first.
    horizon : int
        How many steps ahead.
    groups : array-like of shape (n_rows,), default=None
        Series that each row belongs to; the values that come next are those of the same series.

    Returns
    -------
    ndarray of shape (n_rows, horizon)
        The targets, rows as in y.

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
    values = check_array(
        y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y"
    )
    if values.ndim != 1:
        raise ValueError(f"y has the shape {values.shape}, but must be of shape (n_rows,).")
    labels = _checked_groups(groups)
    check_consistent_length(values, labels)
    targets = np.empty((len(values), horizon))
    for _, rows in members_of(labels, len(values)):
        padded = np.concatenate([values[rows], np.full(horizon, np.nan)])
        targets[rows] = sliding_window_view(padded[1:], horizon)
    return targets
