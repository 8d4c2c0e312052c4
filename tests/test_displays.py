"""Displays of the loss curve and of forecasts."""

import itertools
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LossCurveDisplay, LSTMClassifier, LSTMRegressor, SlidingWindow
from sklstm.nn import training

mpl.use("Agg")
import matplotlib.pyplot as plt

X = np.random.RandomState(0).normal(size=(60, 5, 1))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit(cls, **params):
    return cls(3, random_state=0, n_iter_no_change=2, tol=1e-2, **params).fit(X, X[:, -1, 0] > 0)


@pytest.mark.parametrize("cls", [LSTMRegressor, LSTMClassifier])
def test_a_loss_curve_display_draws_the_loss_of_every_epoch(cls):
    model = fit(cls, early_stopping=False)
    display = LossCurveDisplay.from_estimator(model)
    epochs, loss = display.line_.get_data()
    np.testing.assert_array_equal(epochs, np.arange(1, model.n_iter_ + 1))
    np.testing.assert_array_equal(loss, model.loss_curve_)
    assert display.score_ax_ is display.score_line_ is display.best_line_ is None
    assert display.ax_.get_title() == cls.__name__
    assert display.figure_ is display.ax_.figure


def test_a_loss_curve_display_draws_the_validation_score_and_the_best_epoch():
    model = fit(LSTMRegressor, early_stopping=True)
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.score_line_.get_ydata(), model.validation_scores_)
    assert set(display.best_line_.get_xdata()) == {model.best_iter_}
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["training loss", "validation score", "best epoch"]


def test_a_loss_curve_display_counts_the_epochs_that_are_no_longer_in_the_curve(monkeypatch):
    monkeypatch.setattr(training, "_N_EPOCHS_KEPT", 2)
    model = LSTMRegressor(2, random_state=0)
    for _ in range(5):
        model.partial_fit(X, X[:, -1, 0])
    epochs, _ = LossCurveDisplay.from_estimator(model).line_.get_data()
    np.testing.assert_array_equal(epochs, [3, 4, 5])


def test_a_loss_curve_display_uses_the_given_axes_and_keywords():
    ax = plt.figure().add_subplot()
    display = LossCurveDisplay.from_estimator(
        fit(LSTMRegressor), ax=ax, name="mine", color="red", label="loss"
    )
    assert display.ax_ is ax
    assert display.line_.get_color() == "red"
    assert display.line_.get_label() == "loss"
    assert ax.get_title() == "mine"
    assert display.plot().ax_ is not ax


def test_a_loss_curve_display_takes_the_last_step_of_a_pipeline():
    series = np.random.RandomState(0).normal(size=(50, 1))
    model = make_pipeline(StandardScaler(), SlidingWindow(4, lag=1), LSTMRegressor(2, max_iter=2))
    with pytest.warns(UserWarning, match="converged"):
        model.fit(series, series[:, 0])
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.loss_curve, model[-1].loss_curve_)


def test_a_loss_curve_display_of_another_estimator_raises():
    with pytest.raises(ValueError, match="not fitted"):
        LossCurveDisplay.from_estimator(LSTMRegressor())
    with pytest.raises(TypeError, match="LinearRegression"):
        LossCurveDisplay.from_estimator(LinearRegression().fit(X[:, 0], X[:, 0, 0]))


@pytest.mark.slow
def test_only_drawing_needs_matplotlib():
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.pyplot'] = None\n"
        "from sklstm import LossCurveDisplay\n"
        "try: LossCurveDisplay([1.0]).plot()\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'sklstm[plot]'" in result.stdout, result.stderr


def test_a_forecast_display_draws_values_forecast_interval_and_cutoff():
    y_true, y_pred = np.arange(5.0), np.arange(5.0) + 0.1
    dates = np.datetime64("2020-01-01") + np.arange(5)
    display = ForecastDisplay.from_predictions(
        y_true,
        y_pred,
        lower=y_pred - 1,
        upper=y_pred + 1,
        index=dates,
        cutoff=dates[2],
        name="LSTM",
    )
    np.testing.assert_array_equal(display.true_line_.get_ydata(), y_true)
    np.testing.assert_array_equal(display.pred_line_.get_ydata(), y_pred)
    np.testing.assert_array_equal(display.pred_line_.get_xdata(), dates)
    corners = display.band_.get_paths()[0].vertices[:, 1]
    assert corners.min() == y_pred.min() - 1
    assert corners.max() == y_pred.max() + 1
    assert set(display.cutoff_line_.get_xdata()) == {dates[2]}
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["observed", "LSTM", "interval", "end of training"]


@pytest.mark.parametrize("columns", [[0, 2, 4], [0, 1, 2, 3, 4]])
def test_a_forecast_display_of_quantiles_draws_the_middle_one_and_an_interval(columns):
    y_pred = np.sort(X[:, :, 0])[:, columns]
    display = ForecastDisplay.from_predictions(X[:, 0, 0], y_pred)
    np.testing.assert_array_equal(display.pred_line_.get_ydata(), y_pred[:, len(columns) // 2])
    other = ForecastDisplay.from_predictions(
        X[:, 0, 0], y_pred[:, len(columns) // 2], lower=y_pred[:, 0], upper=y_pred[:, -1]
    )
    np.testing.assert_array_equal(
        display.band_.get_paths()[0].vertices, other.band_.get_paths()[0].vertices
    )
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["observed", "predicted", "interval"]


@pytest.mark.parametrize("shape", [(60, 1), (60, 2), (60, 4), (60, 3, 3)])
def test_a_forecast_display_of_other_columns_raises(shape):
    with pytest.raises(ValueError, match=r"y_pred has the shape \(60, .* lower and upper"):
        ForecastDisplay.from_predictions(X[:, 0, 0], np.zeros(shape))


def test_quantiles_have_an_interval_of_their_own():
    y = X[:, 0, 0]
    with pytest.raises(ValueError, match="lower and upper must be None"):
        ForecastDisplay.from_predictions(y, np.zeros((60, 3)), lower=y, upper=y)


def test_a_forecast_display_of_a_pandas_series_uses_its_index():
    pd = pytest.importorskip("pandas")
    y = pd.Series([1.0, 2.0], index=pd.period_range("2020", periods=2, freq="Y").to_timestamp())
    display = ForecastDisplay.from_predictions(y, [1.0, np.nan], color="red")
    assert list(display.true_line_.get_xdata()) == list(y.index.to_numpy())
    assert display.pred_line_.get_color() == "red"
    assert display.band_ is display.cutoff_line_ is None


def test_a_forecast_display_accepts_a_period_index():
    pd = pytest.importorskip("pandas")
    y = pd.Series([1.0, 2.0], index=pd.period_range("2020-01", periods=2, freq="M"))
    display = ForecastDisplay.from_predictions(y, y + 1)
    assert list(display.true_line_.get_xdata()) == list(y.index.to_timestamp().to_numpy())
    with pytest.raises(ValueError, match="different indexes"):
        ForecastDisplay.from_predictions(y, y.set_axis(y.index + 1))


def overlap(a, b):
    """Return whether two boxes have more than an edge in common."""
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5


@pytest.mark.parametrize("size", [(6.4, 4.8), (3, 2.2), (12, 3), (4, 6)], ids=str)
@pytest.mark.parametrize("freq", ["min", "h", "D", "B", "W", "MS", "QS", "YS"])
@pytest.mark.parametrize("n_rows", [8, 30, 120])
def test_dates_do_not_overlap_and_the_legend_covers_no_curve(freq, n_rows, size):
    pd = pytest.importorskip("pandas")
    plt = pytest.importorskip("matplotlib.pyplot")
    index = pd.date_range("2019-12-28 21:00", periods=n_rows, freq=freq)
    y = pd.Series(np.random.RandomState(0).normal(size=n_rows).cumsum() - 50, index=index)
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = ForecastDisplay.from_predictions(
        y, y + 0.1, lower=y - 3, upper=y + 3, cutoff=index[n_rows // 2], ax=ax
    )
    figure.canvas.draw()
    labels = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    inside = [box for box in labels if ax.bbox.x0 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1]
    assert len(inside) >= (2 if size[0] > 5 else 1)
    assert not any(overlap(a, b) for a, b in itertools.pairwise(inside))
    legend = ax.get_legend().get_window_extent()
    tops = ax.transData.transform(display.band_.get_paths()[0].vertices)
    assert tops[:, 1].max() < legend.y0
    assert legend.x1 <= ax.bbox.x1 + 1
    plt.close(figure)


def test_a_forecast_display_shows_the_clock_of_a_time_zone():
    pd = pytest.importorskip("pandas")
    index = pd.date_range("2024-03-30", periods=48, freq="h", tz="Europe/Berlin")
    y = pd.Series(np.arange(48.0), index=index)
    display = ForecastDisplay.from_predictions(y, y, cutoff=index[24])
    assert display.true_line_.get_xdata()[0] == np.datetime64("2024-03-30")
    assert display.cutoff_line_.get_xdata()[0] == pd.Timestamp("2024-03-31")


def test_a_forecast_display_leaves_room_on_axes_with_a_common_scale():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots(nrows=2, sharey=True)
    for ax, level in zip(axes, [0, 100], strict=True):
        ForecastDisplay.from_predictions([level, level + 1.0], [level, level + 1.0], ax=ax)
    assert axes[0].get_ylim()[0] < 0
    assert axes[0].get_ylim()[1] > 101
    plt.close(figure)


@pytest.mark.parametrize("value", [np.nan, 0.0, 5.0])
def test_a_forecast_display_of_a_constant_or_nothing(value):
    display = ForecastDisplay.from_predictions([value] * 3, [value] * 3)
    assert np.isfinite(display.ax_.get_ylim()).all()


def test_a_forecast_display_of_inconsistent_arguments_raises():
    with pytest.raises(ValueError, match="both lower and upper"):
        ForecastDisplay.from_predictions([1.0], [1.0], lower=[0.0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ForecastDisplay.from_predictions([1.0], [1.0, 2.0])
