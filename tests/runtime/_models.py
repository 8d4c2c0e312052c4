"""Data, fitted estimators and assertions for the tests of the runtime."""

import numpy as np
import pandas as pd
import polars as pl

from sklstm import LSTMClassifier, LSTMRegressor, runtime

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 7, 2))
y = X[:, -1, 0]
labels = np.digitize(y, [-0.5, 0.5])
X_missing = X.copy()
X_missing[::3, 2] = np.nan
X_missing[1] = np.nan
ragged = [sequence[: number % 8] for number, sequence in enumerate(X)]
columns = [f"x{number}" for number in range(14)]

TASKS = {
    "normalize_y": (LSTMRegressor(4, max_iter=2, random_state=0), 1e6 + 3 * y),
    "not normalize_y": (LSTMRegressor(4, max_iter=2, normalize_y=False, random_state=0), y),
    "one column": (LSTMRegressor(4, max_iter=2, random_state=0), y[:, np.newaxis]),
    "two outputs": (LSTMRegressor(4, max_iter=2, random_state=0), np.column_stack([y, 9 * y])),
    "poisson": (LSTMRegressor(4, loss="poisson", max_iter=2, random_state=0), np.exp(y)),
    "quantile": (LSTMRegressor(4, loss="quantile", quantile=0.9, max_iter=2, random_state=0), y),
    "quantiles": (
        LSTMRegressor(4, loss="quantile", quantile=[0.1, 0.5, 0.9], max_iter=2, random_state=0),
        1e6 + 3 * y,
    ),
    "huber": (LSTMRegressor(4, loss="huber", max_iter=2, random_state=0), y),
    "bool": (LSTMClassifier(4, max_iter=2, random_state=0), y > 0),
    "int8": (LSTMClassifier(4, max_iter=2, random_state=0), labels.astype(np.int8)),
    "float32": (LSTMClassifier(4, max_iter=2, random_state=0), labels.astype(np.float32)),
    "str": (LSTMClassifier(4, max_iter=2, random_state=0), np.array(["é", "b", "cc"])[labels]),
    "object": (
        LSTMClassifier(4, max_iter=2, random_state=0),
        np.array(["a", "b", "cc"], dtype=object)[labels],
    ),
    "multilabel": (
        LSTMClassifier(4, max_iter=2, random_state=0),
        np.column_stack([y > 0, y > 1, y < 0]).astype(int),
    ),
}
NETWORKS = {
    "stacked": {"hidden_layer_sizes": (5, 3)},
    "bidirectional": {"bidirectional": True},
    "bidirectional, stacked": {"bidirectional": True, "hidden_layer_sizes": (3, 5, 2)},
    "float32": {"dtype": "float32"},
}
FORMS = {
    "missing steps": (X_missing, {}),
    "ragged": (ragged, {}),
    "ragged, missing steps": ([*ragged[:-1], X_missing[0]], {}),
    "nested lists": (X.tolist(), {}),
    "Series of sequences": (pd.Series(ragged), {}),
    "float32": (X.astype(np.float32), {}),
    "integers": ((10 * X).astype(int), {}),
    "2-D": (X.reshape(30, 14), {"timesteps": 7}),
    "2-D, a step a column": (X[:, :, 0], {}),
    "2-D, nested lists": (X[:, :, 0].tolist(), {}),
    "2-D, missing steps": (X_missing.reshape(30, 14), {"timesteps": 7}),
    "frame": (pd.DataFrame(X.reshape(30, 14), columns=columns), {"timesteps": 7}),
    "polars": (pl.DataFrame(X.reshape(30, 14), schema=columns), {"timesteps": 7}),
    "frame of mixed columns": (
        pd.DataFrame({"a": y, "b": y > 0, "c": labels}, dtype=object),
        {"timesteps": 3},
    ),
    "list of frames": ([pd.DataFrame(sequence, columns=["a", "b"]) for sequence in X], {}),
    "windows": (np.lib.stride_tricks.sliding_window_view(np.arange(36.0), 7)[:, :, np.newaxis], {}),
}


def saved_and_loaded(estimator, tmp_path):
    """Return the predictor of a saved estimator."""
    runtime.save(estimator, tmp_path / "model.npz")
    return runtime.load(tmp_path / "model.npz")


def assert_same(actual, expected):
    """Two arrays have the same values, shape and dtype."""
    np.testing.assert_array_equal(actual, expected, strict=True)


def assert_predicts_the_same(predictor, estimator, X):
    """A predictor has the predictions and the attributes of an estimator."""
    assert_same(predictor.predict(X), estimator.predict(X))
    if hasattr(estimator, "predict_proba"):
        assert_same(predictor.predict_proba(X), estimator.predict_proba(X))
        assert_same(predictor.classes_, estimator.classes_)
    for name in ("n_features_in_", "n_outputs_", "feature_names_in_"):
        assert hasattr(predictor, name) == hasattr(estimator, name)
        np.testing.assert_array_equal(getattr(predictor, name, 0), getattr(estimator, name, 0))


def steps_of(predictor, stream, **params):
    """Return prediction and state after each step of a stream."""
    state, results = None, []
    for x_t in stream:
        y_t, state = predictor.predict_step(x_t, state, **params)
        results.append((y_t, state))
    return results
