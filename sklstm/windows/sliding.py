"""SlidingWindow, a transformer that turns each row of a series into a window."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_array,
    check_is_fitted,
    validate_data,
)

from sklstm.callbacks import CallbackSupportMixin, with_callbacks
from sklstm.pickling import VersionedEstimator
from sklstm.windows.history import History, RowsBySeries
from sklstm.windows.index import index_of
from sklstm.windows.leakage import warn_if_windows_hold_target
from sklstm.windows.panel import check_groups, members_of, position_of_column, take_out_column
from sklstm.windows.views import Layout, windows_of_panel

__all__ = ["SlidingWindow"]


class SlidingWindow(CallbackSupportMixin, TransformerMixin, VersionedEstimator):
    """Turn each row of a series into a window of recent rows.

    Row t becomes the window of the rows t - lag - (window_size - 1) * sampling_rate, ...,
    t - lag - sampling_rate, t - lag, oldest first. The number of rows does not change, so y and
    sample_weight need no change either. Windows therefore work inside a plain
    :class:`~sklearn.pipeline.Pipeline`, in :func:`~sklearn.model_selection.cross_val_score` and in
    a grid search over ``slidingwindow__window_size``.

    Parameters
    ----------
    window_size : int, default=10
        Number of rows in a window.
    lag : int, default=0
        Number of rows from the newest row of a window to the row that it belongs to. To forecast
        a series from its own past, with the series itself as y, this is the forecast horizon:
        ``lag=1`` for one step ahead.
    sampling_rate : int, default=1
        Distance between the rows of a window.
    padding : {"nan", "edge", "zero"}, default="nan"
        Padding for rows before the first one: NaN, which the LSTM estimators skip, so that early
        rows are shorter sequences; the first row; or zeros.
    carry_context : bool, default=False
        Keep the last fitted rows, and put them before rows that follow. Test folds and rows that
        arrive later then start with full windows, and
        ``cross_val_score(pipeline, X, y, cv=TimeSeriesSplit())`` is correct without further
        changes. The Notes say which rows follow.
    group_column : int, str or None, default=None
        Position or name of the column that labels the series of a panel. Windows never cross from
        one series into another, and the rows of the series may be interleaved. The column is not
        part of the output. With ``carry_context`` each series has its own past, and a series that
        was not fitted has none.
    flatten : bool, default=False
        Return 2-D output, with the steps of a window side by side, oldest first, for estimators
        that take no 3-D input. Columns with names become ``temperature_lag3`` and so on.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of the series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Defined only if X has names that are all strings.

    See Also
    --------
    LSTMRegressor : Learns from the windows.

    make_windows : Complete windows and their targets, as plain arrays.

    Notes
    -----
    Without ``flatten``, the output is a read-only view of a single copy of the series. Windows
    are not copied, no matter how many rows they have in common. The windows of a panel of several
    series are copied.

    With ``carry_context``, there are two kinds of X for ``transform``:

    - X begins with the rows of ``fit``, or is equal to them. The windows are then those of
      ``fit_transform``, and continue from there.
    - X follows the rows that were fitted last.

    A pandas index of increasing numbers or times tells which of the two X is, separately for each
    series of a panel. If the index is regular, it also tells how many rows are missing in
    between, and these count as missing time steps. Any other rows raise an error. A
    StandardScaler drops the index, unless ``pipeline.set_output(transform="pandas")`` keeps it.
    Without an index, or if both indexes only count from zero, rows that do not begin with those
    of ``fit`` are *taken to follow directly*.

    ``transform`` does not change the state of the transformer. A live system either passes all
    rows since the fit each time, or calls ``partial_fit`` with each row after using it.

    With ``lag=0`` a window holds its own row. If y is a column of X, up to shift and scale, the
    model sees the value that it has to predict, and ``fit`` warns about it.

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

    _group_position: int | None
    _history: History | None

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
        """Check the parameters and the series, and keep its last rows if they are needed.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The series, oldest row first.
        y : array-like, default=None
            The target. It only serves to warn if the windows hold it.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        series = self._fit(X, y)
        # Warnings come last: if one is turned into an error, the transformer is fitted.
        if self._history is not None:
            self._history.warn_if_unordered(index_of(X), stacklevel=2)
        if self.lag == 0:
            warn_if_windows_hold_target(series, y, stacklevel=2)
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: ArrayLike, y: Any) -> NDArray[Any]:
        """Fit, with the callbacks of scikit-learn around; return the checked series."""
        callbacks = self._init_callback_context()
        if callbacks is not None:
            callbacks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._validate_params()
        series = self._start(X, recognize=True)
        if callbacks is not None:
            callbacks.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return series

    def partial_fit(self, X: ArrayLike, y: Any = None) -> SlidingWindow:
        """Add rows that follow those fitted so far, to precede the rows of later calls.

        This may be the first call, for a stream that starts without any history. In that case,
        and without an index, ``transform`` takes all rows to follow.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The new rows.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.
        """
        is_first = not hasattr(self, "n_features_in_")
        self._validate_params()
        if is_first:
            self._start(X, recognize=False)
            if self._history is not None:
                self._history.warn_if_unordered(index_of(X), stacklevel=2)
            return self
        series, groups = self._check(X, reset=False)
        if self.carry_context:
            self._history = self._checked_history().extended(
                series, groups, index_of(X), may_have_gap=self.padding == "nan"
            )
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Make the windows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            A series, oldest row first. No row precedes the first one, unless ``carry_context``
            has kept some.

        Returns
        -------
        ndarray of shape (n_rows, window_size, n_features)
            The windows, a read-only view. With ``flatten`` a new array of shape (n_rows,
            window_size * n_features). Integers become float64 where NaN is needed.
        """
        check_is_fitted(self)
        series, groups = self._check(X, reset=False)
        before: RowsBySeries = {}
        if self.carry_context:
            before = self._checked_history().rows_before(
                series, groups, index_of(X), may_have_gap=self.padding == "nan"
            )
        windows = windows_of_panel(series, members_of(groups), before, self._layout)
        if self.flatten:
            return windows.reshape(len(windows), -1).copy()
        return windows

    def set_output(self, *, transform: str | None = None) -> SlidingWindow:
        """Choose the container of the output, which only has an effect with ``flatten``.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            As for any transformer of scikit-learn. It has no effect on windows of shape (n_rows,
            window_size, n_features), which do not fit into a data frame.

        Returns
        -------
        self : object
            The transformer.
        """
        # This is what scikit-learn stores. super() would raise an error while the output has no
        # column names.
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    @available_if(lambda self: self.flatten)  # type: ignore[untyped-decorator]
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the output columns. Only available with ``flatten``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of the series. If None, those that ``fit`` has seen.

        Returns
        -------
        ndarray of shape (window_size * `n_features_in_`,)
            ``name_lagK`` for the value K rows before.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if self._group_position is not None:
            names = np.delete(names, self._group_position)
        return np.array(
            [f"{name}_lag{lag}" for lag in self._layout.lags for name in names], dtype=object
        )

    @property
    def _layout(self) -> Layout:
        return Layout(self.window_size, self.lag, self.sampling_rate, self.padding)

    def _start(self, X: Any, *, recognize: bool) -> NDArray[Any]:
        """Take in the first rows, which later rows may begin with again; return them, checked."""
        series, groups = self._check(X, reset=True)
        self._history = None
        if self.carry_context:
            n_before = self._layout.n_before
            self._history = History.of(series, groups, index_of(X), n_before, recognize=recognize)
        return series

    def _checked_history(self) -> History:
        """Return the history, if it holds enough rows for the present parameters."""
        if self._history is None or self._history.n_before < self._layout.n_before:
            raise ValueError(
                "carry_context, window_size, lag or sampling_rate was changed after fit, which did "
                "not keep enough rows for the new value: fit again."
            )
        return self._history

    def _check(self, X: Any, *, reset: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Check X, and split it into the features and the labels of series, if there are any."""
        if self.group_column is None:
            series = validate_data(
                self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
            )
            self._check_group_position(None, reset=reset)
            return series, None
        if not hasattr(X, "columns"):
            # An object array keeps numbers as they are next to a label that is a string.
            X = X if hasattr(X, "shape") else np.array(X, dtype=object)
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        validate_data(self, X, reset=reset, skip_check_array=True)
        position = position_of_column(X, self.group_column)
        features, groups = take_out_column(X, position)
        series = check_array(
            features, dtype="numeric", ensure_all_finite="allow-nan", estimator=self, input_name="X"
        )
        check_groups(groups, f"group_column={self.group_column!r}")
        self._check_group_position(position, reset=reset)
        return series, groups

    def _check_group_position(self, position: int | None, *, reset: bool) -> None:
        """Keep the position of the group column, or compare it with that of fit."""
        if reset:
            self._group_position = position
        elif self._group_position != position:
            raise ValueError(
                "group_column was changed after fit, or its column has moved: fit again."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = self.group_column is not None
        return tags
