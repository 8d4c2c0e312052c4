"""Plots of training curves and forecasts, in the style of scikit-learn's Display classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ForecastDisplay", "LossCurveDisplay"]

# Room for the label of a date on the horizontal axis.
_INCHES_PER_DATE = 0.6


def _new_axes(ax: Axes | None) -> Axes:
    """Return the given axes, or those of a new figure if None."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "A Display needs matplotlib: pip install 'sklstm[plot]', or pip install matplotlib."
        ) from error
    return plt.subplots()[1]


class LossCurveDisplay:
    """Plot of the training loss and, with early stopping, the validation score of each epoch.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss after each epoch.
    validation_scores : array-like of shape (n_epochs,), default=None
        Validation score after each epoch.
    best_iter : int, default=None
        The epoch, counted from 1, whose weights were kept.
    first_epoch : int, default=1
        Number of the epoch that the curves begin with.
    estimator_name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the loss.
    score_ax_ : matplotlib Axes or None
        Axes of the validation score, with its scale on the right.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        Curve of the training loss.
    score_line_ : matplotlib Line2D or None
        Curve of the validation score.
    best_line_ : matplotlib Line2D or None
        Vertical line at the best epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LossCurveDisplay, LSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 1))
    >>> model = LSTMRegressor(4, early_stopping=True, random_state=0).fit(X, X[:, -1, 0])
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        loss_curve: ArrayLike,
        *,
        validation_scores: ArrayLike | None = None,
        best_iter: int | None = None,
        first_epoch: int = 1,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.best_iter = best_iter
        self.first_epoch = first_epoch
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Axes | None = None, **line_kw: Any
    ) -> Self:
        """Plot the curves of a fitted estimator.

        Parameters
        ----------
        estimator : LSTMRegressor, LSTMClassifier or Pipeline
            A fitted estimator. Of a pipeline, the last step is used.
        name : str, default=None
            Title of the plot. If None, the name of the class.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **line_kw : dict
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot` for the training loss.

        Returns
        -------
        LossCurveDisplay
            The display.
        """
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        check_is_fitted(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                "LossCurveDisplay plots the loss_curve_ of an LSTMRegressor or LSTMClassifier, "
                f"alone or as the last step of a Pipeline, but got a {type(estimator).__name__}."
            )
        display = cls(
            estimator.loss_curve_,
            validation_scores=getattr(estimator, "validation_scores_", None),
            best_iter=getattr(estimator, "best_iter_", None),
            first_epoch=estimator.n_iter_ - len(estimator.loss_curve_) + 1,
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, **line_kw)

    def plot(self, ax: Axes | None = None, *, name: str | None = None, **line_kw: Any) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        name : str, default=None
            Title of the plot. If None, ``estimator_name``.
        **line_kw : dict
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot` for the training loss.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        self.ax_ = _new_axes(ax)
        self.figure_ = self.ax_.figure
        epochs = self.first_epoch + np.arange(len(np.asarray(self.loss_curve)))
        (self.line_,) = self.ax_.plot(
            epochs, self.loss_curve, **{"label": "training loss", **line_kw}
        )
        self.ax_.set(xlabel="epoch", ylabel="training loss", title=name or self.estimator_name)
        lines = [self.line_]
        self.score_ax_ = self.score_line_ = self.best_line_ = None
        if self.validation_scores is not None:
            self.score_ax_ = self.ax_.twinx()
            (self.score_line_,) = self.score_ax_.plot(
                epochs, self.validation_scores, color="C1", label="validation score"
            )
            self.score_ax_.set_ylabel("validation score")
            lines.append(self.score_line_)
        if self.best_iter is not None:
            self.best_line_ = self.ax_.axvline(
                self.best_iter, color="gray", linestyle=":", label="best epoch"
            )
            lines.append(self.best_line_)
        self.ax_.legend(handles=lines, loc="center right")
        return self


class ForecastDisplay:
    """Plot of observed and predicted values, with an interval and the end of training.

    Use :meth:`from_predictions` to create one.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Observed values; NaN where none is known.
    y_pred : array-like of shape (n_rows,) or (n_rows, n_quantiles)
        Predicted values; NaN where there is no prediction. Of an odd number of quantiles, in
        ascending order, the middle one is the line, and the outer ones are the interval.
    lower, upper : array-like of shape (n_rows,), default=None
        Bounds of a prediction interval.
    index : array-like of shape (n_rows,), default=None
        Horizontal positions of the rows, for instance dates. If None, 0, 1, ...
    cutoff : default=None
        Where training ended, on the scale of ``index``.
    name : str, default=None
        Name of the forecast in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        The figure.
    true_line_, pred_line_ : matplotlib Line2D
        Curves of the observed and the predicted values.
    band_ : matplotlib PolyCollection or None
        The interval.
    cutoff_line_ : matplotlib Line2D or None
        Vertical line at the end of training.

    Examples
    --------
    >>> from sklstm import ForecastDisplay
    >>> display = ForecastDisplay.from_predictions(
    ...     [1.0, 2.0, 3.0], [1.2, 1.9, 3.1], lower=[0.8, 1.5, 2.6], upper=[1.6, 2.3, 3.5]
    ... )
    >>> display.pred_line_.get_label()
    'predicted'
    """

    def __init__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        index: ArrayLike | None = None,
        cutoff: Any = None,
        name: str | None = None,
    ) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.lower = lower
        self.upper = upper
        self.index = index
        self.cutoff = cutoff
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        index: Any = None,
        cutoff: Any = None,
        name: str | None = None,
        ax: Axes | None = None,
        **line_kw: Any,
    ) -> Self:
        """Plot a forecast.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
            Observed values; NaN where a value is missing.
        y_pred : array-like of shape (n_rows,) or (n_rows, n_quantiles)
            Predicted values; NaN where a value is missing. Of an odd number of quantiles, in
            ascending order, the middle one is the line, and the outer ones are the interval.
        lower, upper : array-like of shape (n_rows,), default=None
            Bounds of a prediction interval. Pass both or neither.
        index : array-like of shape (n_rows,), default=None
            Horizontal positions of the rows, for instance dates. If None, the index of ``y_true``
            if it is a pandas Series, else 0, 1, ...
        cutoff : default=None
            Where training ended, on the scale of ``index``.
        name : str, default=None
            Name of the forecast in the legend.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **line_kw : dict
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot` for the predicted values.

        Returns
        -------
        ForecastDisplay
            The display.
        """
        if (lower is None) != (upper is None):
            raise ValueError("An interval needs both lower and upper, but only one was given.")
        shape = np.shape(y_pred)
        if len(shape) > 1 and (len(shape) > 2 or shape[1] % 2 == 0 or shape[1] == 1):
            raise ValueError(
                f"y_pred has the shape {shape}, but must be of shape (n_rows,), or (n_rows, "
                "n_quantiles) with an odd number of quantiles, the middle one of which is the "
                "line. Pass a line and the bounds of the interval as y_pred, lower and upper."
            )
        if len(shape) > 1 and lower is not None:
            raise ValueError(
                "y_pred of several quantiles has an interval of its own, so lower and upper must "
                "be None."
            )
        if index is None and hasattr(y_true, "iloc"):
            index = y_true.index
            if hasattr(y_pred, "iloc") and not index.equals(y_pred.index):
                raise ValueError(
                    "y_true and y_pred have different indexes: reindex both to the union of their "
                    "indexes, which gives NaN where a value is missing."
                )
        check_consistent_length(y_true, y_pred, lower, upper, index)
        display = cls(
            y_true, y_pred, lower=lower, upper=upper, index=index, cutoff=cutoff, name=name
        )
        return display.plot(ax=ax, **line_kw)

    def plot(self, ax: Axes | None = None, *, name: str | None = None, **line_kw: Any) -> Self:
        """Plot the forecast.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        name : str, default=None
            Name of the forecast in the legend. If None, the name given to the constructor.
        **line_kw : dict
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot` for the predicted values.

        Returns
        -------
        ForecastDisplay
            The display itself.
        """
        self.ax_ = _new_axes(ax)
        self.figure_ = self.ax_.figure
        y_true, y_pred = np.asarray(self.y_true), np.asarray(self.y_pred)
        lower, upper = self.lower, self.upper
        if y_pred.ndim == 2:
            lower, y_pred, upper = y_pred[:, [0, y_pred.shape[1] // 2, -1]].T
        x = np.arange(len(y_true)) if self.index is None else np.asarray(_on_the_clock(self.index))
        (self.true_line_,) = self.ax_.plot(x, y_true, color="black", label="observed")
        label = name or self.name or "predicted"
        (self.pred_line_,) = self.ax_.plot(x, y_pred, **{"label": label, **line_kw})
        self.band_ = self.cutoff_line_ = None
        if lower is not None and upper is not None:
            self.band_ = self.ax_.fill_between(
                x,
                np.asarray(lower),
                np.asarray(upper),
                color=self.pred_line_.get_color(),
                alpha=0.25,
                linewidth=0,
                label="interval",
            )
        if self.cutoff is not None:
            self.cutoff_line_ = self.ax_.axvline(
                _on_the_clock(self.cutoff), color="gray", linestyle=":", label="end of training"
            )
        if x.dtype.kind == "M":
            _space_out_dates(self.ax_)
        _put_legend_above_data(self.ax_)
        return self


def _on_the_clock(times: Any) -> Any:
    """Return periods by their start and times of a zone as its clock shows them."""
    if hasattr(times, "to_timestamp"):
        times = times.to_timestamp()
    return times.tz_localize(None) if getattr(times, "tz", None) is not None else times


def _space_out_dates(ax: Axes) -> None:
    """Show no more dates than there is room for, each as short as possible."""
    import matplotlib.dates

    dates: Any = matplotlib.dates  # which has no types
    n_most = int(ax.get_window_extent().width / ax.figure.dpi / _INCHES_PER_DATE)
    # The locator finds an interval only if the largest number is more than twice the least.
    n_least = 2 if n_most >= 5 else 1
    locator = dates.AutoDateLocator(minticks=n_least, maxticks=max(n_most, 2 * n_least + 1))
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _put_legend_above_data(ax: Axes) -> None:
    """Make room for the legend above the curves, inside of the axes."""
    siblings = ax.get_shared_y_axes().get_siblings(ax)
    low = min(other.dataLim.y0 for other in siblings)
    high = max(other.dataLim.y1 for other in siblings)
    legend = ax.legend(loc="upper left", ncols=2, fontsize="small")
    if legend.get_window_extent().width > 0.9 * ax.get_window_extent().width:
        legend = ax.legend(loc="upper left", fontsize="small")
    if ax.get_yscale() != "linear" or not np.isfinite([low, high]).all():
        return
    margin = 0.05 * (high - low or abs(high) or 1.0)
    low, high = low - margin, high + margin
    taken = legend.get_window_extent().height / ax.get_window_extent().height
    # Of the new height, the fraction below the legend holds the curves.
    ax.set_ylim(low, low + (high - low) / (1 - min(taken + 0.05, 0.7)))
