"""Measure the scores from which the defaults of learning_rate_init, batch_size and max_iter follow.

All scores are computed on rows held out of the training sets; no test set is used. The spoken
digits and ItalyPowerDemand are read as in the tests: run ``make test`` once, then
``.venv/bin/python benchmarks/defaults.py``.
"""

import sys
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_airline, load_sunspots

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.real_data import load_italy_power_demand, load_spoken_digits


def forecast_error(series, n_validation, window_size, params):
    """Return the mean RMSE over three seeds on the last rows of the training set."""
    X = series[:, np.newaxis]
    errors = []
    for seed in range(3):
        model = make_pipeline(
            StandardScaler(),
            SlidingWindow(window_size, lag=1),
            LSTMRegressor(random_state=seed, **params),
        )
        y_pred = model.fit(X[:-n_validation], series[:-n_validation]).predict(X)
        errors.append(root_mean_squared_error(series[-n_validation:], y_pred[-n_validation:]))
    return np.mean(errors)


def italy_accuracy(params):
    X, y, _, _ = load_italy_power_demand()
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    return np.mean(
        [
            cross_val_score(LSTMClassifier(random_state=seed, **params), X, y, cv=folds).mean()
            for seed in range(3)
        ]
    )


def digits_accuracy(params):
    X, y = load_spoken_digits()
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    X, X_val, y, y_val = train_test_split(
        X[:1000], y[:1000], test_size=0.3, random_state=0, stratify=y[:1000]
    )
    scaler = StandardScaler().fit(np.concatenate(X))
    X, X_val = ([scaler.transform(s).astype(np.float32) for s in part] for part in (X, X_val))
    params = params | {"max_iter": params["max_iter"] // 4, "hidden_layer_sizes": 64}
    return LSTMClassifier(random_state=0, **params).fit(X, y).score(X_val, y_val)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    sunspots = load_sunspots(return_X_y=True)[1][:-60]
    airline = np.diff(np.log(load_airline(return_X_y=True)[1]))[:-36]
    print("rate   batch epochs  sunspots airline italy digits")
    for rate, batch_size, max_iter in product((0.001, 0.003, 0.01, 0.03), (16, 32, 64), (100, 200)):
        params = {
            "learning_rate_init": rate,
            "batch_size": batch_size,
            "max_iter": max_iter,
        }
        print(
            f"{rate:<6} {batch_size:<5} {max_iter:<6}"
            f"  {forecast_error(sunspots, 60, 20, params):8.1f}"
            f" {forecast_error(airline, 36, 12, params):7.4f}"
            f" {italy_accuracy(params):5.3f} {digits_accuracy(params):6.3f}",
            flush=True,
        )
