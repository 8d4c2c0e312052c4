"""Tables behind the defaults, measured on the training parts of the data sets only.

Forecasts: the rows before the first test row of the accuracy benchmark, divided again by rolling
origin; each number is an RMSE divided by that of a ridge on the same windows. Classification: the
accuracy in stratified 4-fold cross-validation within the training part. No test row is used. Run
``make bench-accuracy`` once, which installs the data; then ``.venv-bench/bin/python
benchmarks/defaults.py``. It takes about an hour; sets can be named.
"""

import sys
import warnings
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np
from accuracy_models import PLAIN, linear_model
from accuracy_sequences import scaled
from accuracy_sets import FORECASTS, SEQUENCES
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

N_SEEDS = 2
NONLINEAR = ("sunspots", "co2", "taylor")
START = "sklstm.regressor._START_FRACTION"
DRIFT = "sklstm.regressor._MAX_DRIFT"
DOUBTS = "sklstm.nn.linear._N_DOUBTS"
MEMORY = "sklstm.nn.training._MEMORY"

# Parameters of the estimator, and constants to change.
REGRESSORS = {
    "defaults": ({}, {}),
    "plain LSTM": (PLAIN, {}),
    "no linear part": ({"linear_skip": 0}, {}),
    "no early stopping": ({"early_stopping": False}, {}),
    "starts from the whole ridge": ({}, {START: 1.0}),
    "starts from the mean": ({}, {START: 0.0}),
    "no level drifts": ({}, {DRIFT: 1.0}),
    "2 doubts": ({}, {DOUBTS: 2}),
    "32 doubts": ({}, {DOUBTS: 32}),
    "no averaging": ({}, {MEMORY: 0.0}),
    "batches of 32": ({"batch_size": 32}, {}),
    "batches of 8": ({"batch_size": 8}, {}),
    "rate 0.003": ({"learning_rate_init": 0.003}, {}),
    "rate 0.03": ({"learning_rate_init": 0.03}, {}),
}
ALL = ("last", "mean", "max")
CLASSIFIERS = {
    "defaults": {},
    "last": {"pooling": "last"},
    "max": {"pooling": "max"},
    "mean and max": {"pooling": ("mean", "max")},
    "all, linear part": {"linear_skip": 300},
    "all, batches of 32": {"batch_size": 32},
    "all, early stopping": {"early_stopping": True},
}


def squared_errors(task, make):
    """Return the squared errors of rolling forecasts within the training part, for each seed."""
    levels = task.load()
    X = task.forward(levels).astype(np.float32)
    first = len(X) - task.n_origins * task.test_size  # the first test row
    X, level = X[:first], levels[:first, 0]
    y = X[:, 0].astype(float)
    size = min(task.test_size, first // 5)
    errors = []
    for train, test in TimeSeriesSplit(task.n_origins, test_size=size).split(X):
        model = make().fit(X[train], y[train])
        forecast = task.backward(model.predict(X[: test[-1] + 1])[test], level[test - 1])
        errors.append((forecast - level[test]) ** 2)
    return np.concatenate(errors)


def ratio_to_ridge(task, params, constants):
    def ridge():
        windows = SlidingWindow(task.window_size, lag=1, padding="edge", flatten=True)
        return make_pipeline(StandardScaler(), windows, linear_model(classify=False))

    def lstm(seed):
        regressor = LSTMRegressor(random_state=seed, **task.params, **params)
        return make_pipeline(StandardScaler(), SlidingWindow(task.window_size, lag=1), regressor)

    with ExitStack() as stack:
        for name, value in constants.items():
            stack.enter_context(patch(name, value))
        rmse = [
            np.sqrt(squared_errors(task, lambda seed=seed: lstm(seed)).mean())
            for seed in range(N_SEEDS)
        ]
    return np.mean(rmse) / np.sqrt(squared_errors(task, ridge).mean())


def accuracy(task, params):
    X, y, _, _ = task.load()[0]
    X, y = X[:600], y[:600]
    scores = []
    for seed in range(N_SEEDS):
        for train, test in StratifiedKFold(4, shuffle=True, random_state=seed).split(y, y):
            parts = ([X[i] for i in rows] for rows in (train, test))
            X_train, X_test = scaled(*parts)
            model = LSTMClassifier(random_state=seed, **task.params, **params)
            scores.append(model.fit(X_train, y[train]).score(X_test, y[test]))
    return np.mean(scores)


def main(names):
    warnings.simplefilter("ignore")
    forecasts = [name for name in FORECASTS if not names or name in names]
    if forecasts:
        print(f"{'':28}", *(f"{name:>11}" for name in forecasts), "  mean worst nonlinear")
    for variant, (params, constants) in REGRESSORS.items():
        if not forecasts:
            break
        ratios = [ratio_to_ridge(FORECASTS[name], params, constants) for name in forecasts]
        nonlinear = [r for name, r in zip(forecasts, ratios, strict=True) if name in NONLINEAR]
        print(
            f"{variant:28}",
            *(f"{ratio:11.3f}" for ratio in ratios),
            f"  {np.exp(np.mean(np.log(ratios))):.3f} {max(ratios):.3f}",
            f"{np.exp(np.mean(np.log(nonlinear or [np.nan]))):.3f}",
            flush=True,
        )
    classified = [name for name in SEQUENCES if name != "adding (R^2)"]
    classified = [name for name in classified if not names or name in names]
    for name in classified:
        scores = {v: accuracy(SEQUENCES[name], params) for v, params in CLASSIFIERS.items()}
        print(name, {variant: round(float(score), 3) for variant, score in scores.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
