"""How the accuracy of forecasts is measured: one step ahead, several steps ahead, and of panels."""

from functools import partial

import numpy as np
from accuracy_models import (
    ALL,
    ALPHAS,
    ONE,
    PLAIN,
    beside_ridge,
    boosting_of_each,
    boosting_regressor,
    in_torch,
    mlp,
)
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow, forecast_targets


def forecasters(task, windows, scaler, boosting=boosting_regressor, **params):
    """Return the models of a task as functions of a seed, and their most seeds.

    Parameters
    ----------
    task : Forecast, StepsAhead or Panel
        The task.
    windows : dict
        Parameters of SlidingWindow.
    scaler : transformer
        Scales the columns.
    boosting : callable
        Takes a seed and returns a model.
    **params
        Parameters of all LSTMs.
    """

    def lstm(seed, wrap=lambda estimator: estimator, **more):
        regressor = LSTMRegressor(random_state=seed, **params | task.params | more)
        return make_pipeline(clone(scaler), SlidingWindow(**windows), wrap(regressor))

    def on_lags(model, seed):
        window = SlidingWindow(**windows, padding="edge", flatten=True)
        return make_pipeline(clone(scaler), window, model(seed))

    return {
        "sklstm": (lstm, ALL),
        "plain": (partial(lstm, **PLAIN), ALL),
        "torch": (partial(lstm, wrap=in_torch, **PLAIN), ALL),
        "torch and ridge": (
            partial(lstm, wrap=in_torch, **beside_ridge(task.window_size)),
            ALL,
        ),
        "ridge": (partial(on_lags, lambda seed: RidgeCV(ALPHAS)), ONE),
        "boosting": (partial(on_lags, boosting), ONE),
        "mlp": (partial(on_lags, partial(mlp, False)), ALL),
    }


def description(task, n_train, n_test, n_columns, scores, seconds):
    """Return what the entries of all forecasts have."""
    return {
        "n_train": int(n_train),
        "n_test": int(n_test),
        "shape": [task.window_size, n_columns],
        "params": task.params,
        "scores": scores,
        "seconds": seconds,
    }


def benchmark_forecast(task, measure):
    """Measure forecasts one step ahead.

    Parameters
    ----------
    task : Forecast
        The series.
    measure : callable
        Takes models and a function that evaluates a model with a seed; returns scores and seconds.

    Returns
    -------
    result : dict
        The entry of accuracy.json.
    first : tuple or None
        An LSTM, and the windows and targets of the first block: PyTorch is compared with these.
    """
    levels = task.load()
    X = task.forward(levels).astype(np.float32)  # so that both LSTMs compute in float32
    level, y = levels[:, 0], X[:, 0].astype(float)
    blocks = list(TimeSeriesSplit(task.n_origins, test_size=task.test_size).split(X))
    tested = np.concatenate([test for _, test in blocks])

    def rmse(forecasts):
        return root_mean_squared_error(level[tested], forecasts)

    def rolling(make, seed):
        forecasts = []
        for train, test in blocks:
            # One step ahead: a forecast may use all rows before its own, not only the fitted ones.
            model = make(seed).fit(X[train], y[train])
            forecast = model.predict(X[: test[-1] + 1])[test]
            forecasts.append(task.backward(forecast, level[test - 1]))
        return rmse(np.concatenate(forecasts))

    windows = {"window_size": task.window_size, "lag": 1}
    scores, seconds = measure(forecasters(task, windows, StandardScaler()), rolling)
    scores["naive"] = [rmse(level[tested - 1])]
    scores["seasonal naive"] = [rmse(level[tested - task.season])]
    result = {"kind": "forecast", "metric": "RMSE"} | description(
        task, len(blocks[0][0]), len(tested), X.shape[1], scores, seconds
    )
    first = X[blocks[0][0]]
    X_windows = SlidingWindow(**windows).fit_transform(StandardScaler().fit_transform(first))
    return result, (LSTMRegressor, X_windows, y[blocks[0][0]])


def benchmark_ahead(task, measure):
    """Measure forecasts of several steps at once.

    Each row is an origin; its targets are the next values, or the growth from the row to each of
    them. A model is fitted on the rows whose targets end before the block. The errors of all steps
    and of all origins are scored together.

    Parameters
    ----------
    task : StepsAhead
        The series, and the number of steps.
    measure : callable
        As for ``benchmark_forecast``, as is what is returned.
    """
    series, horizon = task.series, task.horizon
    levels = series.load()
    X = series.forward(levels).astype(np.float32)
    level = levels[:, 0]
    Y = forecast_targets(X[:, 0], horizon)
    if series.is_change:
        Y = Y.cumsum(axis=1)
    steps = np.arange(1, horizon + 1)
    blocks = []
    for train, test in TimeSeriesSplit(series.n_origins, test_size=series.test_size).split(X):
        # Forecasts begin with the last row of training; all their values must be known.
        origins = np.arange(train[-1], min(test[-1], len(X) - horizon))
        blocks.append((train[:-horizon], origins))
    tested = np.concatenate([origins for _, origins in blocks])
    observed = level[tested[:, np.newaxis] + steps]

    def rolling(make, seed):
        forecasts = []
        for train, origins in blocks:
            model = make(seed).fit(X[train], Y[train])
            forecast = model.predict(X[: origins[-1] + 1])[origins]
            forecasts.append(series.backward(forecast, level[origins, np.newaxis]))
        return rmse(np.concatenate(forecasts))

    def rmse(forecasts):
        return np.sqrt(np.mean((observed - forecasts) ** 2))

    models = forecasters(
        task,
        {"window_size": task.window_size},
        StandardScaler(),
        boosting_of_each,
        validation_gap=horizon - 1,
    )
    # The network in PyTorch has one output.
    models = {name: model for name, model in models.items() if "torch" not in name}
    scores, seconds = measure(models, rolling)
    scores["naive"] = [rmse(level[tested, np.newaxis])]
    season_before = steps - series.season * np.ceil(steps / series.season).astype(int)
    scores["seasonal naive"] = [rmse(level[tested[:, np.newaxis] + season_before])]
    result = {"kind": "ahead", "metric": "RMSE", "horizon": horizon} | description(
        task, len(blocks[0][0]), len(tested), X.shape[1], scores, seconds
    )
    return result, None


def benchmark_panel(task, measure):
    """Measure forecasts one step ahead of many series with one model.

    The values are changes in units of the standard deviation of each series; the score is their
    RMSE over all series. Rows are sorted by time, so the last rows are the last of each series.

    Parameters
    ----------
    task : Panel
        The series.
    measure : callable
        As for ``benchmark_forecast``, as is what is returned.
    """
    changes = task.forward(task.load())[1:]  # (n_times, n_series)
    n_series = changes.shape[1]
    blocks = list(TimeSeriesSplit(task.n_origins, test_size=task.test_size).split(changes))
    changes = changes / changes[blocks[0][0]].std(axis=0)
    X = np.column_stack([changes.ravel(), np.tile(np.arange(n_series), len(changes))])
    X = X.astype(np.float32)
    y = X[:, 0].astype(float)
    tested = np.concatenate([test for _, test in blocks])

    def rmse(forecasts):
        return root_mean_squared_error(changes[tested].ravel(), forecasts.ravel())

    def rows_of(times):
        return (times[:, np.newaxis] * n_series + np.arange(n_series)).ravel()

    def rolling(make, seed):
        forecasts = []
        for train, test in blocks:
            fitted, forecast = rows_of(train), rows_of(test)
            model = make(seed).fit(X[fitted], y[fitted])
            forecasts.append(model.predict(X[: forecast[-1] + 1])[forecast])
        return rmse(np.concatenate(forecasts))

    windows = {"window_size": task.window_size, "lag": 1, "group_column": 1}
    scaler = make_column_transformer((StandardScaler(), [0]), remainder="passthrough")
    models = forecasters(task, windows, scaler)
    scores, seconds = measure(models, rolling)
    if "ridge" in scores:
        scores["ridge of each"] = [rmse(ridge_of_each(task, changes, blocks))]
    scores["naive"] = [rmse(np.zeros_like(changes[tested]))]
    scores["seasonal naive"] = [rmse(changes[tested - task.season])]
    result = {"kind": "panel", "metric": "RMSE", "n_series": n_series} | description(
        task, len(blocks[0][0]) * n_series, len(tested) * n_series, 1, scores, seconds
    )
    return result, None


def ridge_of_each(task, changes, blocks):
    """Forecast each series of a panel with a ridge of its own."""
    forecasts = []
    for train, test in blocks:
        forecast = np.empty((len(test), changes.shape[1]))
        for i, y in enumerate(changes.T):
            window = SlidingWindow(task.window_size, lag=1, padding="edge", flatten=True)
            model = make_pipeline(StandardScaler(), window, RidgeCV(ALPHAS))
            model.fit(y[train, np.newaxis], y[train])
            forecast[:, i] = model.predict(y[: test[-1] + 1, np.newaxis])[test]
        forecasts.append(forecast)
    return np.concatenate(forecasts)
