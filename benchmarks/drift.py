"""Levels that drift, and such that do not: errors of LSTMRegressor over those of a ridge.

Behind ``_MAX_DRIFT``: generated series, one step ahead from windows of 12 rows, the last fifth of
the rows being the test. ``.venv-bench/bin/python benchmarks/drift.py`` takes ten minutes.
"""

import warnings
from unittest.mock import patch

import numpy as np
from accuracy_models import linear_model
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

N_SEEDS, N_ROWS, WINDOW_SIZE = 8, (100, 300), 12
# Most drift with which training starts from half of the ridge: never, the default, always.
LIMITS = {"whole": -1.0, "default": 0.3, "half": 1.0}


def recursion(step, start=0.0):
    """Return a function that draws a series y_t = step(y_{t-1}, e_t, t)."""

    def draw(rng, n_rows):
        y = [start]
        for t, e in enumerate(rng.normal(size=n_rows - 1)):
            y.append(step(y[-1], e, t))
        return np.array(y)

    return draw


def around_season(slope):
    def draw(rng, n_rows):
        t = np.arange(n_rows)
        return slope * t + 2 * np.sin(2 * np.pi * t / 12) + 0.5 * rng.normal(size=n_rows)

    return draw


def local_trend(rng, n_rows):
    slope = np.cumsum(0.1 * rng.normal(size=n_rows))
    return np.cumsum(slope + rng.normal(size=n_rows))


def logistic(rng, n_rows):
    y = [rng.uniform(0.2, 0.8)]
    for _ in range(n_rows - 1):
        y.append(3.8 * y[-1] * (1 - y[-1]))
    return np.array(y) + 0.02 * rng.normal(size=n_rows)


SERIES = {
    "random walk": recursion(lambda y, e, t: y + e),
    "random walk, drift 0.1": recursion(lambda y, e, t: y + e + 0.1),
    "random walk, drift 0.3": recursion(lambda y, e, t: y + e + 0.3),
    "price": recursion(lambda y, e, t: y * np.exp(0.01 * e), 100.0),
    "local trend": local_trend,
    "autoregression 0.9": recursion(lambda y, e, t: 0.9 * y + e),
    "autoregression 0.95": recursion(lambda y, e, t: 0.95 * y + e),
    "season": around_season(0.0),
    "season and trend": around_season(0.05),
    "nonlinear and trend": recursion(
        lambda y, e, t: 0.5 * y + 0.02 * t + np.tanh(2 * y - 0.04 * t) + 0.3 * e
    ),
    "threshold": recursion(lambda y, e, t: (0.9 if y < 0 else -0.9) * y + e),
    "logistic map": logistic,
}


def ratios(draw, n_rows, seed):
    """Return the error of each variant over that of the ridge."""
    y = draw(np.random.default_rng(seed), n_rows)
    X, n_train = y[:, np.newaxis], n_rows * 4 // 5

    def error(estimator, **params):
        windows = SlidingWindow(WINDOW_SIZE, lag=1, **params)
        model = make_pipeline(StandardScaler(), windows, estimator)
        predicted = model.fit(X[:n_train], y[:n_train]).predict(X)
        return root_mean_squared_error(y[n_train:], predicted[n_train:])

    errors = []
    for limit in LIMITS.values():
        with patch("sklstm.regressor._MAX_DRIFT", limit):
            errors.append(error(LSTMRegressor(random_state=seed)))
    return np.array(errors) / error(linear_model(classify=False), padding="edge", flatten=True)


def main():
    warnings.simplefilter("ignore")
    print(f"{'mean and largest ratio':30}", *(f"{name:>12}" for name in LIMITS))
    means = []
    for name, draw in SERIES.items():
        for n_rows in N_ROWS:
            of_seeds = np.array([ratios(draw, n_rows, seed) for seed in range(N_SEEDS)])
            means.append(np.log(of_seeds).mean(axis=0))
            cells = zip(np.exp(means[-1]), of_seeds.max(axis=0), strict=True)
            print(f"{name:24} {n_rows:5}", *(f"{mean:7.3f} {worst:.2f}" for mean, worst in cells))
    print(f"{'all':30}", *(f"{mean:7.3f}     " for mean in np.exp(np.mean(means, axis=0))))


if __name__ == "__main__":
    main()
