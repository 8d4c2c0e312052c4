"""Measure the accuracy of sklstm, compared with simple methods and PyTorch.

``python benchmarks/accuracy.py`` measures all sets of accuracy_sets.py, or the sets named as
arguments. It updates accuracy.json after each set, and finally writes the tables and plots of the
documentation. ``--report`` writes these again without measuring. All settings were fixed before the
measurements, and no model is chosen by its score on test rows.
"""

import argparse
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from accuracy_report import print_tables, write_report
from accuracy_sets import FORECASTS, SEQUENCES
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

RESULTS = Path(__file__).with_name("accuracy.json")
DOCS = Path(__file__).parents[1] / "docs" / "accuracy"

ALPHAS = np.logspace(-3, 4, 15)
# The plain network: nothing beside the LSTM, and training until the loss has converged.
PLAIN = {"linear_skip": 0, "pooling": "last", "early_stopping": False, "batch_size": 32}
# Steps of the linear part that a grid search may add: all of the longest sequences here.
LINEAR_STEPS = 300
MLP = {"max_iter": 500}  # the default 200 epochs end before the loss does


def in_torch(estimator):
    """Return the same network in PyTorch, which only these models need."""
    from torch_lstm import TorchLSTM

    return TorchLSTM(estimator)


def standardised(model):
    """Standardise the target, as LSTMRegressor does."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def linear_model(classify):
    if classify:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return make_pipeline(StandardScaler(), RidgeCV(ALPHAS))


def boosting(classify, seed):
    if classify:
        return HistGradientBoostingClassifier(random_state=seed)
    return HistGradientBoostingRegressor(random_state=seed)


def mlp(classify, seed):
    if classify:
        return MLPClassifier(random_state=seed, **MLP)
    return standardised(MLPRegressor(random_state=seed, **MLP))


# Forecasts.


def forecasters(task):
    """Return the models of a series as functions of a seed, and whether the seed matters."""

    def lstm(seed, wrap=lambda estimator: estimator, **params):
        return make_pipeline(
            StandardScaler(),
            SlidingWindow(task.window_size, lag=1),
            wrap(LSTMRegressor(random_state=seed, **task.params, **params)),
        )

    def on_lags(model, seed):
        return make_pipeline(
            StandardScaler(),
            SlidingWindow(task.window_size, lag=1, padding="edge", flatten=True),
            model(seed),
        )

    return {
        "sklstm": (lstm, True),
        "plain": (partial(lstm, **PLAIN), True),
        "torch": (partial(lstm, wrap=in_torch, **PLAIN), True),
        "ridge": (partial(on_lags, lambda seed: RidgeCV(ALPHAS)), False),
        "boosting": (partial(on_lags, partial(boosting, False)), False),
        "mlp": (partial(on_lags, partial(mlp, False)), True),
    }


def benchmark_forecast(task, only):
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

    scores, seconds = {}, {}
    for name, (make, is_random) in selected(forecasters(task), only).items():
        scores[name], seconds[name] = timed(
            partial(rolling, make), task.n_seeds if is_random else 1
        )
    scores["naive"] = [rmse(level[tested - 1])]
    scores["seasonal naive"] = [rmse(level[tested - task.season])]
    result = {
        "kind": "forecast",
        "metric": "RMSE",
        "n_train": len(blocks[0][0]),
        "n_test": len(tested),
        "shape": [task.window_size, X.shape[1]],
        "params": task.params,
        "scores": scores,
        "seconds": seconds,
    }
    if "torch" in scores:
        windows = SlidingWindow(task.window_size, lag=1).fit_transform(
            StandardScaler().fit_transform(X[blocks[0][0]])
        )
        result["same_draws"] = same_draws(LSTMRegressor, windows, y[blocks[0][0]])
    return result


# Sequences.


def flat(X, n_timesteps):
    """Flatten sequences to rows of equal length; shorter ones are padded with zeros, the mean."""
    rows = np.zeros((len(X), n_timesteps, X[0].shape[1]))
    for row, x in zip(rows, X, strict=True):
        x = x[:n_timesteps]
        row[: len(x)] = x
    return rows.reshape(len(X), -1)


def summaries(X, n_timesteps):
    """Return mean, standard deviation, minimum and maximum of each feature, and the length."""
    return np.array([np.r_[x.mean(0), x.std(0), x.min(0), x.max(0), len(x)] for x in X])


def scaled(X_train, X_test):
    """Standardise features over all steps; float32, as for forecasts."""
    scaler = StandardScaler().fit(np.concatenate(list(X_train)))
    parts = ([scaler.transform(x).astype(np.float32) for x in X] for X in (X_train, X_test))
    if isinstance(X_train, list):
        return tuple(parts)
    return tuple(np.stack(part) for part in parts)


def chosen(lstm, classify, seed):
    """Choose pooling and linear part by cross-validation within the training part."""
    grid = {"pooling": ["last", "max", ("last", "mean", "max")], "linear_skip": [0, LINEAR_STEPS]}
    folds = StratifiedKFold(4, shuffle=True, random_state=seed) if classify else KFold(4)
    return GridSearchCV(lstm(random_state=seed), grid, cv=folds)


def sequence_models(task, classify, is_ragged):
    """Return the models as functions of a seed, their features, and whether the seed matters."""
    lstm = partial(LSTMClassifier if classify else LSTMRegressor, **task.params)
    models = {
        "sklstm": (lambda seed: lstm(random_state=seed), None, True),
        "plain": (lambda seed: lstm(random_state=seed, **PLAIN), None, True),
        "torch": (lambda seed: in_torch(lstm(random_state=seed, **PLAIN)), None, True),
        "chosen": (partial(chosen, lstm, classify), None, True),
        "neighbour": (
            lambda seed: KNeighborsClassifier(1) if classify else KNeighborsRegressor(),
            flat,
            False,
        ),
        "linear": (lambda seed: linear_model(classify), flat, False),
        "boosting": (partial(boosting, classify), flat, False),
        "mlp": (partial(mlp, classify), flat, True),
    }
    if is_ragged:
        models["summaries"] = (lambda seed: linear_model(classify), summaries, False)
    return models


def benchmark_sequences(task, only):
    divisions = [
        (*scaled(X_train, X_test), y_train, y_test)
        for X_train, y_train, X_test, y_test in task.load()
    ]
    X_train, _, y_train, _ = divisions[0]
    classify = y_train.dtype.kind != "f"

    def score(make, features, seed):
        """Score all test parts together."""
        scores = []
        for X_train, X_test, y_train, y_test in divisions:
            if features is not None:
                n_timesteps = max(map(len, X_train))
                X_train, X_test = features(X_train, n_timesteps), features(X_test, n_timesteps)
            scores.append(make(seed).fit(X_train, y_train).score(X_test, y_test))
        return np.average(scores, weights=[len(division[3]) for division in divisions])

    scores, seconds = {}, {}
    models = sequence_models(task, classify, isinstance(X_train, list))
    for name, (make, features, is_random) in selected(models, only).items():
        scores[name], seconds[name] = timed(
            partial(score, make, features), task.n_seeds if is_random else 1
        )
    result = {
        "kind": "sequences",
        "metric": "accuracy" if classify else "R^2",
        "n_train": len(y_train),
        "n_test": sum(len(division[3]) for division in divisions),
        "shape": [min(map(len, X_train)), max(map(len, X_train)), X_train[0].shape[1]],
        "params": task.params,
        "scores": scores,
        "seconds": seconds,
    }
    if "torch" in scores:
        lstm = LSTMClassifier if classify else LSTMRegressor
        result["same_draws"] = same_draws(lstm, X_train, y_train)
    return result


# Both.


def selected(models, only):
    return {name: model for name, model in models.items() if name in (only or models)}


def timed(evaluate, n_seeds):
    start = time.perf_counter()
    scores = [float(evaluate(seed)) for seed in range(n_seeds)]
    return scores, (time.perf_counter() - start) / n_seeds


def same_draws(lstm, X, y, n_epochs=3):
    """Return the largest relative difference of the losses from the same initial weights.

    Both libraries compute in float64 and use the same order of samples, so chance plays no part.
    """
    X = [x.astype(float) for x in X[:200]] if isinstance(X, list) else np.array(X[:200], float)
    from torch_lstm import TorchLSTM

    model = lstm(random_state=0, max_iter=n_epochs, **PLAIN)
    ours = model.fit(X, y[:200]).loss_curve_
    theirs = TorchLSTM(model, same_draws=True).fit(X, y[:200]).loss_curve_
    return float(np.max(np.abs(np.divide(theirs, ours) - 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="sets; all if none is named")
    parser.add_argument("--report", action="store_true", help="only write the report")
    parser.add_argument("--models", nargs="+", help="measure only these models again")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not arguments.report:
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name in arguments.names or [*FORECASTS, *SEQUENCES]:
            start = time.perf_counter()
            if name in FORECASTS:
                result = benchmark_forecast(FORECASTS[name], arguments.models)
            else:
                result = benchmark_sequences(SEQUENCES[name], arguments.models)
            if arguments.models and name in results:
                for key in ("scores", "seconds"):
                    result[key] = results[name][key] | result[key]
                if "same_draws" in results[name]:
                    result.setdefault("same_draws", results[name]["same_draws"])
            results[name] = result
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            means = {model: f"{np.mean(s):.4g}" for model, s in results[name]["scores"].items()}
            print(f"{name} ({time.perf_counter() - start:.0f} s): {means}", flush=True)
    order = [name for name in [*FORECASTS, *SEQUENCES] if name in results]
    results = {name: results[name] for name in order}
    write_report(results, DOCS)
    print_tables(results)


if __name__ == "__main__":
    main()
