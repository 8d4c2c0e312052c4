"""How the accuracy of classifiers, and of regressors of sequences, is measured."""

from functools import partial

import numpy as np
from accuracy_models import ALL, FEW, ONE, PLAIN, boosting, in_torch, linear_model, mlp
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor

# Steps of the linear part that a grid search may add: all of the longest sequences here.
LINEAR_STEPS = 300


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
    """Return functions of a seed with the features that the models read, and their most seeds."""
    lstm = partial(LSTMClassifier if classify else LSTMRegressor, **task.params)
    models = {
        "sklstm": ((lambda seed: lstm(random_state=seed), None), ALL),
        "plain": ((lambda seed: lstm(random_state=seed, **PLAIN), None), ALL),
        "torch": ((lambda seed: in_torch(lstm(random_state=seed, **PLAIN)), None), ALL),
        "chosen": ((partial(chosen, lstm, classify), None), FEW),
        "neighbour": (
            (lambda seed: KNeighborsClassifier(1) if classify else KNeighborsRegressor(), flat),
            ONE,
        ),
        "linear": ((lambda seed: linear_model(classify), flat), ONE),
        "boosting": ((partial(boosting, classify), flat), ONE),
        "mlp": ((partial(mlp, classify), flat), ALL),
    }
    if is_ragged:
        models["summaries"] = ((lambda seed: linear_model(classify), summaries), ONE)
    return models


def benchmark_sequences(task, measure):
    """Measure the scores on test parts.

    Parameters
    ----------
    task : SequenceTask
        The sequences.
    measure : callable
        Takes models and a function that evaluates a model with a seed; returns scores and seconds.

    Returns
    -------
    result : dict
        The entry of accuracy.json.
    first : tuple
        An LSTM, and the first training part: PyTorch is compared with these.
    """
    divisions = [
        (*scaled(X_train, X_test), y_train, y_test)
        for X_train, y_train, X_test, y_test in task.load()
    ]
    X_train, _, y_train, _ = divisions[0]
    classify = y_train.dtype.kind != "f"

    def score(model, seed):
        """Score all test parts together."""
        make, features = model
        scores = []
        for X_train, X_test, y_train, y_test in divisions:
            if features is not None:
                n_timesteps = max(map(len, X_train))
                X_train, X_test = features(X_train, n_timesteps), features(X_test, n_timesteps)
            scores.append(make(seed).fit(X_train, y_train).score(X_test, y_test))
        return np.average(scores, weights=[len(division[3]) for division in divisions])

    models = sequence_models(task, classify, isinstance(X_train, list))
    scores, seconds = measure(models, score)
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
    return result, (LSTMClassifier if classify else LSTMRegressor, X_train, y_train)
