"""SlidingWindow, a transformer that turns each row of a series into a window."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_array,
    check_is_fitted,
    validate_data,
)

from sklstm.callbacks import CallbackSupportMixin, with_callbacks
from sklstm.frames import check_columns_hold_numbers, check_is_table, check_not_masked
from sklstm.nn.windows import Windows
from sklstm.output import SetOutputMixin
from sklstm.pickling import VersionedEstimator, available_if
from sklstm.windows.grid import checked_freq, grid_positions, is_time, step_name
from sklstm.windows.history import History, RowsBySeries
from sklstm.windows.index import as_times, check_increasing, index_of, warn_about_order
from sklstm.windows.leakage import warn_if_windows_hold_target
from sklstm.windows.panel import (
    Member,
    Rows,
    check_groups,
    column_lags,
    position_of_column,
    split_index,
    take_out_column,
)
from sklstm.windows.views import Layout, Series, make_buffer, on_grid

__all__ = ["SlidingWindow"]

_ONE_BELOW_THE_OTHER = (
    " If it holds several series, put one below the other, and name the column that tells them "
    "apart as group_column."
)
_IF_IT_LABELS = " name it as group_column if it labels several series,"


class SlidingWindow(CallbackSupportMixin, SetOutputMixin, TransformerMixin, VersionedEstimator):
    """Turn each row of a series into a window of recent rows.

    Row t becomes the window of the rows t - lag - (window_size - 1) * sampling_rate, ...,
    t - lag - sampling_rate, t - lag, oldest first. The number of rows does not change, so y and
    sample_weight need no change either. Windows therefore work inside a plain
    :class:`~sklearn.pipeline.Pipeline`, in :func:`~sklearn.model_selection.cross_val_score` and in
    a grid search over ``slidingwindow__window_size``.

    Parameters
    ----------
    window_size : int, default=10
        Number of rows in a window. It may exceed the number of rows, in which case all windows are
        shorter sequences.
    lag : int, default=0
        Number of rows from the newest row of a window to the row that it belongs to. To forecast
        a series from its own past, with the series itself as y, this is the forecast horizon:
        ``lag=1`` for one step ahead.
    column_lags : dict of int, default=None
        Columns with a lag of their own, by name or position, such as ``{"holiday": 0}``. What is
        known in advance (the calendar, a weather forecast) then reaches up to the row itself, while
        the other columns stay ``lag`` rows behind. In each step of a window, each column has the
        value at its own lag. A step is missing as a whole if one of these values is a missing
        step, and padding if one of them lies before the series.
    sampling_rate : int, default=1
        Distance between the rows of a window.
    padding : {"nan", "edge", "zero"}, default="nan"
        Padding for rows before the first one: NaN, which the LSTM estimators skip, so that early
        rows are shorter sequences; the first row; or zeros.
    freq : str, DateOffset or "infer", default=None
        Count time and not rows. X is then a pandas data frame whose index holds times, and times
        that the index leaves out, within X or between calls, are missing time steps, which needs
        ``padding="nan"``. The step is one of pandas, such as "h", "D", "B" or "MS"; "infer" takes
        the most common one, which ``freq_`` then says.
    carry_context : bool or "follows", default=False
        Keep the last fitted rows, and put them before rows that follow. Test folds and rows that
        arrive later then start with full windows, and
        ``cross_val_score(pipeline, X, y, cv=TimeSeriesSplit())`` is correct without further
        changes. The Notes say which rows follow; with "follows", all do that ``transform`` gets.
    group_column : int, str or None, default=None
        Position or name of the column that labels the series of a panel, or the name of a level of
        the index. A position counts the columns that this transformer is given: a step before it,
        such as a ColumnTransformer, may have moved them. Windows never cross from one series into
        another, and the rows of the series may be interleaved. The column is not part of the
        output. With ``carry_context`` each series has its own past, and a series that was not
        fitted has none.
    flatten : bool, default=False
        Return 2-D output, with the steps of a window side by side, oldest first, for estimators
        that take no 3-D input, and as ``timesteps=window_size`` reads it. Columns with names become
        ``temperature_lag3`` and so on, each with the lag of its own value.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of the series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Defined only if X has names that are all strings.
    freq_ : str
        The step that windows count. Defined only with ``freq``.

    See Also
    --------
    LSTMRegressor : Learns from the windows.

    make_windows : Complete windows and their targets, as plain arrays.

    Notes
    -----
    Without ``flatten``, the output is a :class:`~sklstm.nn.Windows`: one buffer of the rows, and
    for each row the place where its window starts. It stands for a read-only array of shape
    (n_rows, window_size, n_features), no matter how many series or holes there are. No window is
    copied.

    An index of times must increase, within each series. If times are left out of it, and ``freq``
    is not given, ``fit`` warns that windows count rows.

    With ``carry_context``, there are two kinds of X for ``transform``:

    - X begins with the rows of ``fit``, or is equal to them. The windows are then those of
      ``fit_transform``, and continue from there.
    - X follows the rows that were fitted last.

    A pandas index of increasing numbers or times tells which of the two X is, separately for each
    series of a panel. It also tells how many rows are missing in between, by its most common step,
    and these count as missing time steps. An index whose labels are mostly further apart than this
    step, such as the times of events, only tells the order. Any other rows raise an error.

    Without an index, or if both indexes only count from zero, the values decide. Rows that begin
    with all fitted rows have no past. Rows from the middle of the fitted ones are an error: a run
    of at least ``window_size`` rows that occurs there once, and is too long for a coincidence. A
    few counts, a constant or a periodic stretch say nothing, and neither does a single row. All
    other rows are *taken to follow directly*. A StandardScaler drops the index, unless
    ``pipeline.set_output(transform="pandas")`` keeps it. ``carry_context="follows"`` says that all
    rows follow, and nothing is guessed.

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
        "column_lags": [dict, None],
        "sampling_rate": [Interval(Integral, 1, None, closed="left")],
        "padding": [StrOptions({"nan", "edge", "zero"})],
        "freq": [str, HasMethods("is_on_offset"), None],
        "carry_context": ["boolean", StrOptions({"follows"})],
        "group_column": [Integral, str, None],
        "flatten": ["boolean"],
    }

    _group_position: int | None
    _history: History | None
    _fitted_freq: Any
    _step: Any

    def __init__(
        self,
        window_size: int = 10,
        *,
        lag: int = 0,
        column_lags: dict[str | int, int] | None = None,
        sampling_rate: int = 1,
        padding: str = "nan",
        freq: Any = None,
        carry_context: bool | str = False,
        group_column: int | str | None = None,
        flatten: bool = False,
    ) -> None:
        self.window_size = window_size
        self.lag = lag
        self.column_lags = column_lags
        self.sampling_rate = sampling_rate
        self.padding = padding
        self.freq = freq
        self.carry_context = carry_context
        self.group_column = group_column
        self.flatten = flatten

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
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
        rows = self._fit(X, y)
        self._warn(rows, y, stacklevel=2)
        return self

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Windows | NDArray[Any]:
        """Fit, and make the windows of the fitted rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The series, oldest row first.
        y : array-like, default=None
            The target. It only serves to warn if the windows hold it.

        Returns
        -------
        Windows or ndarray
            As ``transform`` returns them.
        """
        rows = self._fit(X, y)
        self._warn(rows, y, stacklevel=3)  # one level more: scikit-learn wraps this method
        return self._windows(rows, {})

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: ArrayLike, y: Any) -> Rows:
        """Fit, with the callbacks of scikit-learn around; return the checked rows."""
        callbacks = self._init_callback_context()
        if callbacks is not None:
            callbacks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._check_parameters()
        rows = self._start(X, recognize=True)
        if callbacks is not None:
            callbacks.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return rows

    def _check_parameters(self) -> None:
        self._validate_params()
        for name in ("window_size", "lag", "sampling_rate", "group_column"):
            if isinstance(getattr(self, name), bool):  # which is an int for Python
                raise ValueError(
                    f"The {name!r} parameter of SlidingWindow must not be a bool, got "
                    f"{getattr(self, name)}."
                )

    def _warn(self, rows: Rows, y: Any, *, stacklevel: int) -> None:
        """Warn about what the fitted rows show. The transformer is fitted even if it raises."""
        if rows.index is not None:
            warn_about_order(
                [rows.labels_of(member) for member in rows.members],
                carries=bool(self.carry_context),
                counts_time=self.freq is not None,
                stacklevel=stacklevel + 1,
            )
        is_own_row = np.equal(self._lags, 0)
        if is_own_row.any():
            warn_if_windows_hold_target(rows.values[:, is_own_row], y, stacklevel=stacklevel + 1)

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
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
        self._check_parameters()
        if not hasattr(self, "n_features_in_"):
            self._warn(self._start(X, recognize=False), None, stacklevel=2)
            return self
        rows = self._check(X, reset=False)
        if self.carry_context:
            series = {member.group: self._on_grid(rows, member)[0] for member in rows.members}
            self._history = self._checked_history().extended(
                rows, series, may_have_gap=self.padding == "nan"
            )
        return self

    def transform(self, X: ArrayLike) -> Windows | NDArray[Any]:
        """Make the windows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            A series, oldest row first. No row precedes the first one, unless ``carry_context``
            has kept some.

        Returns
        -------
        Windows or ndarray
            The windows, which stand for a read-only array of shape (n_rows, window_size,
            n_features) and are not copied. With ``flatten`` a new array of shape (n_rows,
            window_size * n_features). Integers become float64 where NaN is needed.
        """
        check_is_fitted(self)
        rows = self._check(X, reset=False)
        before: RowsBySeries = {}
        if self.carry_context:
            history = self._checked_history()
            before = (
                history.newest_before(rows, may_have_gap=self.padding == "nan")
                if self.carry_context == "follows"
                else history.rows_before(rows, self.window_size, may_have_gap=self.padding == "nan")
            )
        return self._windows(rows, before)

    def _windows(self, rows: Rows, before: RowsBySeries) -> Windows | NDArray[Any]:
        """Make the windows of checked rows."""
        series = [
            Series(
                member.rows,
                *self._on_grid(rows, member),
                before.get(member.group, rows.values[:0]),
            )
            for member in rows.members
        ]
        windows = make_buffer(series, len(rows.values), self._layout)
        if self.flatten:
            return np.array(windows).reshape(len(windows), -1)
        return windows

    def _on_grid(self, rows: Rows, member: Member) -> tuple[NDArray[Any], NDArray[np.intp] | slice]:
        """Return the rows of a series with rows of NaN for times that are left out."""
        values = rows.values[member.rows]
        if self._step is None:
            return values, slice(None)
        positions = grid_positions(rows.labels_of(member), self._step)
        filled, places = on_grid(values, positions, self._layout.n_before)
        if self.padding != "nan" and len(filled) > len(values):
            place = int(np.argmax(np.diff(positions) > 1))
            raise ValueError(
                f"Rows are missing after {rows.labels_of(member)[place]}. With padding='nan' they "
                f"count as missing time steps; with padding={self.padding!r}, X needs a row for "
                "every time, for instance by X.asfreq(...).ffill()."
            )
        return filled, places

    @available_if(lambda self: self.flatten)
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the output columns. Only available with ``flatten``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of the series. If None, those that ``fit`` has seen.

        Returns
        -------
        ndarray of shape (window_size * `n_features_in_`,)
            ``name_lagK`` for the value K rows before, step after step: what ``timesteps`` of the
            estimators reads.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if self._group_position is not None:
            names = np.delete(names, self._group_position)
        lags = self._lags
        return np.array(
            [
                f"{name}_lag{lag + age}"
                for age in self._layout.ages
                for name, lag in zip(names, lags, strict=True)
            ],
            dtype=object,
        )

    @property
    def freq_(self) -> str:
        """The step that windows count. Defined only with ``freq``."""
        if getattr(self, "_step", None) is None:
            raise AttributeError("freq_ is defined after fit with freq.")
        return step_name(self._step)

    @property
    def _layout(self) -> Layout:
        lags = tuple(int(lag) for lag in self._lags)
        return Layout(self.window_size, lags, self.sampling_rate, self.padding)

    @property
    def _lags(self) -> NDArray[np.intp]:
        """The lag of each column of the output."""
        names = getattr(self, "feature_names_in_", None)
        lags = column_lags(self.column_lags or {}, self.lag, self.n_features_in_, names)
        return lags if self._group_position is None else np.delete(lags, self._group_position)

    def _start(self, X: Any, *, recognize: bool) -> Rows:
        """Take in the first rows, which later rows may begin with again; return them, checked."""
        # A refused fit changes nothing, and no thread that transforms sees half of a new one.
        fresh = object.__new__(type(self))
        fresh.__dict__ = dict(self.__dict__)
        rows = fresh._check(X, reset=True)
        members = rows.members
        fresh._fitted_freq = self.freq
        fresh._step = fresh._checked_step(rows)
        fresh._history = None
        n_before = fresh._layout.n_before
        if self.carry_context:
            series = {member.group: fresh._on_grid(rows, member)[0] for member in members}
            fresh._history = History.of(rows, series, n_before, fresh._step, recognize=recognize)
        self.__dict__ = fresh.__dict__
        return rows

    def _checked_step(self, rows: Rows) -> Any:
        """Return the step that windows count, None if they count rows."""
        if self.freq is None:
            return None
        self._check_has_index(rows)
        return checked_freq(self.freq, [rows.labels_of(member) for member in rows.members])

    def _check_has_index(self, rows: Rows) -> None:
        if rows.index is None:
            raise ValueError(
                f"freq={self.freq!r} needs a pandas frame whose index holds the times, but X has "
                "no index. A StandardScaler before the windows drops it, unless "
                "pipeline.set_output(transform='pandas') keeps it."
            )

    def _checked_history(self) -> History:
        """Return the history, if it holds enough rows for the present parameters."""
        if self._history is None or self._history.n_before < self._layout.n_before:
            raise ValueError(
                "carry_context, window_size, lag, column_lags or sampling_rate was changed after "
                "fit, which did not keep enough rows for the new value: fit again."
            )
        return self._history

    def _check(self, X: Any, *, reset: bool) -> Rows:
        """Check X: return its features, the labels of series and the index, if there are any."""
        check_not_masked(X, "X")
        check_is_table(X, "(n_rows, n_features)", {3: _ONE_BELOW_THE_OTHER})
        index, groups = split_index(index_of(X), self.group_column)
        index = as_times(index)
        position = None
        if self.group_column is None or groups is not None:
            check_columns_hold_numbers(X, _IF_IT_LABELS)
            values = validate_data(
                self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
            )
        else:
            if not hasattr(X, "columns"):
                # An object array keeps numbers as they are next to a label that is a string.
                X = X if hasattr(X, "shape") else np.array(X, dtype=object)
                X = check_array(
                    X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X"
                )
            validate_data(self, X, reset=reset, skip_check_array=True)
            position = position_of_column(X, self.group_column)
            features, groups = take_out_column(X, position)
            check_columns_hold_numbers(features)
            values = check_array(
                features,
                dtype="numeric",
                ensure_all_finite="allow-nan",
                estimator=self,
                input_name="X",
            )
        if groups is not None:
            check_groups(groups, f"group_column={self.group_column!r}")
        self._check_group_position(position, reset=reset)
        rows = Rows(values, groups, index)
        if index is not None and is_time(index):
            for member in rows.members:
                check_increasing(rows.labels_of(member))
        if not reset and self.freq != self._fitted_freq:
            raise ValueError("freq was changed after fit: fit again.")
        if not reset and self._step is not None:
            self._check_has_index(rows)
        return rows

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
