"""Forecast airline passengers one month ahead: search, save, reload, compare.

Run it with ``make demo``, or with ``python examples/demo_airline.py`` where sklstm and matplotlib
are installed. The model and a picture go to the folder demo-output.
"""

import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_airline

N_TEST = 36
OUTPUT = Path("demo-output")


def main():
    started = time.perf_counter()
    # Training is meant to run for max_iter epochs here, so the warning is not needed.
    warnings.simplefilter("ignore", ConvergenceWarning)
    OUTPUT.mkdir(exist_ok=True)

    airline = load_airline()
    passengers, months = airline.target, airline.months
    # Trend and seasonality are multiplicative, so the models use the growth of each month over the
    # previous month, as a difference of logarithms. Row t is the growth to month t + 1.
    growth = np.diff(np.log(passengers))
    series = growth.reshape(-1, 1)
    train = slice(0, -N_TEST)
    say(f"{len(passengers)} months, {months[0]} to {months[-1]}; the last {N_TEST} are the test.")

    search = search_lstm(series[train], growth[train])
    lstm = save_and_reload(search.best_estimator_, series)

    # Scaled rows have mean 0, so zeros replace the months before the first one.
    ridge = make_pipeline(
        StandardScaler(), SlidingWindow(12, lag=1, padding="zero", flatten=True), Ridge()
    ).fit(series[train], growth[train])

    # The models get the whole series, so that the windows of test rows hold the previous months.
    # The predictions for the last rows are forecasts from the months before each of them.
    actual, previous = passengers[-N_TEST:], passengers[-N_TEST - 1 : -1]
    forecasts = {
        "LSTM": previous * np.exp(lstm.predict(series)[-N_TEST:]),
        "ridge on 12 lags": previous * np.exp(ridge.predict(series)[-N_TEST:]),
        "seasonal naive": passengers[-N_TEST - 12 : -12],
        "naive": previous,
    }
    errors = {
        name: (root_mean_squared_error(actual, forecast), mean_absolute_error(actual, forecast))
        for name, forecast in forecasts.items()
    }
    say(f"One step ahead over the last {N_TEST} months, in thousands of passengers:\n")
    print(f"   {'':<18}{'RMSE':>8}{'MAE':>8}")
    for name, (rmse, mae) in errors.items():
        print(f"   {name:<18}{rmse:>8.1f}{mae:>8.1f}")
    print(f"\n   {verdict(errors['LSTM'][0], errors['ridge on 12 lags'][0])}\n", flush=True)

    picture = OUTPUT / "airline.png"
    draw(months, passengers, forecasts, errors, lstm[-1].loss_curve_).savefig(picture, dpi=150)
    say(f"Picture: {picture.resolve()}")
    say(f"Done in {time.perf_counter() - started:.0f} s.")


def search_lstm(series, growth):
    """Choose window and layer size by time series cross-validation on the training months."""
    lstm = LSTMRegressor(max_iter=100, random_state=0)
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(lag=1), lstm)
    grid = {
        "slidingwindow__window_size": [6, 12, 24],
        "lstmregressor__hidden_layer_sizes": [16, 32],
    }
    search = GridSearchCV(
        pipeline,
        grid,
        # Two years in each fold: the windows of its first months are not yet full.
        cv=TimeSeriesSplit(n_splits=3, test_size=24),
        scoring="neg_root_mean_squared_error",
        n_jobs=2,
        verbose=2,
    )
    started = time.perf_counter()
    search.fit(series, growth)
    best = search.best_params_
    say(
        f"Searched in {time.perf_counter() - started:.0f} s. Best: a window of "
        f"{best['slidingwindow__window_size']} months and "
        f"{best['lstmregressor__hidden_layer_sizes']} units, refitted on all training months in "
        f"{search.refit_time_:.1f} s."
    )
    return search


def save_and_reload(model, series):
    """Save a fitted model with joblib, load it again and return the loaded model."""
    path = OUTPUT / "airline.joblib"
    joblib.dump(model, path)
    reloaded = joblib.load(path)
    assert np.array_equal(reloaded.predict(series), model.predict(series))
    say(f"Saved and reloaded, same predictions: {path.resolve()}")
    return reloaded


def verdict(lstm_rmse, ridge_rmse):
    """Return a comparison of both errors; up to 5 % counts as equal."""
    ratio = lstm_rmse / ridge_rmse
    if ratio < 0.95:
        return f"The LSTM's RMSE is {1 - ratio:.0%} below that of ridge."
    standing = "about equal to" if ratio <= 1.05 else f"{ratio - 1:.0%} above"
    return (
        f"The LSTM's RMSE is {standing} that of ridge: on a single short, regular series,\n"
        "   ridge regression on lags is enough. An LSTM is worth its cost for nonlinear\n"
        "   dynamics, long memory, sequences of different lengths and many series."
    )


def draw(months, passengers, forecasts, errors, loss_curve):
    """Draw the forecasts over the last years of the series, and the loss over the epochs."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.6, 1])
    shown, test = slice(-N_TEST - 36, None), slice(-N_TEST, None)

    left.axvspan(months[-N_TEST], months[-1], color="0.95")
    left.plot(months[shown], passengers[shown], color="0.35", lw=2.5, label="passengers")
    styles = {
        "LSTM": {"color": "C3", "lw": 1.6, "marker": "o", "ms": 3.5},
        "ridge on 12 lags": {"color": "C0", "lw": 1.2},
        "seasonal naive": {"color": "C2", "lw": 1.2, "ls": ":"},
    }
    for name, style in styles.items():
        label = f"{name} (RMSE {errors[name][0]:.1f})"
        left.plot(months[test], forecasts[name], label=label, **style)
    left.set(
        title=f"Airline passengers, the last {N_TEST} months forecast one month ahead",
        ylabel="thousands a month",
    )
    left.legend(loc="upper left", frameon=False)

    right.plot(np.arange(1, len(loss_curve) + 1), loss_curve, color="C3", lw=1.6)
    right.set(title="Training loss of the LSTM", xlabel="epoch", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def say(text):
    print(f"-- {text}", flush=True)


if __name__ == "__main__":
    main()
