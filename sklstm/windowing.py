"""Windows over a series, as a transformer that keeps rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklstm.callbacks import CallbackSupportMixin, with_callbacks

__all__ = ["SlidingWindow"]


class SlidingWindow(CallbackSupportMixin, TransformerMixin, BaseEstimator):
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

    Notes
    -----
    Without ``flatten``, the output is a read-only view of a single copy of the series: no window
    is copied, however many rows they share.

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
        "flatten": ["boolean"],
    }

    def __init__(
        self,
        window_size: int = 10,
        *,
        lag: int = 0,
        sampling_rate: int = 1,
        padding: str = "nan",
        flatten: bool = False,
    ) -> None:
        self.window_size = window_size
        self.lag = lag
        self.sampling_rate = sampling_rate
        self.padding = padding
        self.flatten = flatten

    def fit(self, X: ArrayLike, y: Any = None) -> SlidingWindow:
        """Check the parameters and note the columns of the series.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            The series, oldest row first.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._fit(X, y)
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(self, X: ArrayLike, y: Any) -> None:
        callbacks = self._init_callback_context()
        if callbacks is not None:
            callbacks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._validate_params()
        self._check(X, reset=True)
        if callbacks is not None:
            callbacks.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Make the windows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            A series, oldest row first. Its first row has no past.

        Returns
        -------
        ndarray of shape (n_rows, window_size, n_features)
            The windows, a read-only view; with ``flatten`` a new array of shape (n_rows,
            window_size * n_features). Integers become float64 where NaN is needed.
        """
        check_is_fitted(self)
        series = self._check(X, reset=False)
        n_rows, n_features = series.shape
        n_before = self.lag + (self.window_size - 1) * self.sampling_rate
        series = np.concatenate([self._padding_rows(series, n_before), series])
        per_row, per_feature = series.strides
        # The window of row t starts in row t of the padded series.
        windows = as_strided(
            series,
            (n_rows, self.window_size, n_features),
            (per_row, self.sampling_rate * per_row, per_feature),
            writeable=False,
        )
        return windows.copy().reshape(n_rows, -1) if self.flatten else windows

    def _check(self, X: ArrayLike, *, reset: bool) -> NDArray[Any]:
        return validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")

    def _padding_rows(self, series: NDArray[Any], n_rows: int) -> NDArray[Any]:
        if self.padding == "edge":
            return np.broadcast_to(series[0], (n_rows, series.shape[1]))
        if self.padding == "zero":
            return np.zeros((n_rows, series.shape[1]), series.dtype)
        is_float = series.dtype.kind == "f"
        return np.full((n_rows, series.shape[1]), np.nan, series.dtype if is_float else np.float64)

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
        return super().set_output(transform=transform) if self.flatten else self

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
        lags = [self.lag + k * self.sampling_rate for k in reversed(range(self.window_size))]
        return np.array([f"{name}_lag{lag}" for lag in lags for name in names], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
