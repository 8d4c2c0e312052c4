"""The public types, in programs as users write them.

``make lint`` checks this file with mypy and with pyright, without pytest; here it runs. A
``type: ignore`` marks a mistake that both must find: they report one that is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import (
    LSTMClassifier,
    LSTMRegressor,
    SlidingWindow,
    TimestepTransformer,
    forecast_targets,
    make_windows,
)
from sklstm.datasets import load_airline, load_sunspots
from sklstm.interop import from_keras, to_keras, to_torch
from sklstm.nn import Windows, lstm, lstm_cell
from sklstm.runtime import Classifier, Regressor, load, save

Floats = NDArray[np.floating[Any]]


def test_forecast_a_series() -> None:
    X, y = load_sunspots(return_X_y=True)
    regressor = LSTMRegressor([8, 4], n_iter_no_change=1, tol=1.0, dtype=np.float32, random_state=0)
    model = make_pipeline(StandardScaler(), SlidingWindow(12, lag=1, freq=None), regressor)
    model.fit(X, y)
    windows = SlidingWindow(12, lag=1).fit(X).transform(X)
    assert_type(windows, Windows | NDArray[Any])
    predicted = regressor.predict(windows)
    assert_type(predicted, Floats | Any)
    assert predicted.shape == y.shape
    assert_type(regressor.fit(windows, y), LSTMRegressor)
    assert_type(regressor.partial_fit(windows, y, sample_weight=np.ones(len(y))), LSTMRegressor)
    assert_type(regressor.loss_curve_, list[float])
    assert_type(regressor.best_iter_, int | None)
    assert_type(regressor.coefs_, list[Floats])
    regressor.n_iter_no_change = np.inf
    score: float = regressor.score(windows, y)
    assert score < 1


def test_classify_sequences(tmp_path: Path) -> None:
    X = [np.full((n, 2), n % 2, dtype=float) for n in range(3, 33)]
    y = ["odd" if len(x) % 2 else "even" for x in X]
    scaler = TimestepTransformer(StandardScaler())
    assert_type(scaler.partial_fit(X), TimestepTransformer)
    classifier = LSTMClassifier(
        4, n_iter_no_change=1, class_weight={"odd": 2.0}, random_state=np.random.RandomState(0)
    )
    assert_type(classifier.fit(scaler.transform(X), y), LSTMClassifier)
    assert_type(classifier.predict_proba(X), Floats | Any)
    _, state = classifier.predict_step(X[0][0])
    label, state = classifier.predict_step(X[0][1], state)
    assert label in classifier.classes_

    save(classifier, tmp_path / "model.npz")
    predictor = load(tmp_path / "model.npz")
    assert_type(predictor, Regressor | Classifier)
    assert isinstance(predictor, Classifier)
    assert_type(predictor.predict_proba(X), Floats | Any)


def test_other_frameworks() -> None:
    X, y = make_windows(np.arange(20.0), window_size=4)
    regressor = LSTMRegressor(4, linear_skip=0, n_iter_no_change=1, tol=1.0).fit(X, y)
    assert_type(to_torch(regressor), dict[str, Floats])
    assert_type(from_keras(to_keras(regressor), LSTMRegressor(4)), LSTMRegressor)


def test_arrays() -> None:
    sunspots = load_sunspots()
    assert sunspots.years[0] == 1700
    assert load_airline(as_frame=False).frame is None
    assert_type(forecast_targets(sunspots.target, horizon=3), Floats)
    W, b, h = np.zeros((4, 1)), np.zeros(4), np.zeros((5, 1))
    x = np.ones((5, 3, 1))
    assert_type(lstm(x, W, W, b, return_sequences=True), Floats)
    output, h_n, c_n = lstm(x, W, W, b, return_state=True)
    assert_type(lstm_cell(x[:, 0], h, h, W, W, b), tuple[Floats, Floats])
    assert sklstm.nn.sigmoid(output).shape == h_n.shape == c_n.shape


def mistakes() -> None:
    """Not called: only for the type checkers."""
    LSTMRegressor(hidden_units=4)  # type: ignore[call-arg]
    LSTMRegressor(max_iter="100")  # type: ignore[arg-type]
    SlidingWindow(window_size=None)  # type: ignore[arg-type]
    TimestepTransformer()  # type: ignore[call-arg]
    LSTMClassifier().fit([[[0.0]]])  # type: ignore[call-arg]
    load("model.npz").predict_proba([[[0.0]]])  # type: ignore[union-attr]
    print(sklstm.GRURegressor)  # type: ignore[attr-defined]
