"""Predictors of the runtime: the bits of the estimator with NumPy alone; invalid input raises."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime._models import (
    FORMS,
    NETWORKS,
    TASKS,
    X,
    X_missing,
    assert_predicts_the_same,
    assert_same,
    rng,
    saved_and_loaded,
    steps_of,
    y,
)
from threadpoolctl import threadpool_limits

from sklstm import LSTMClassifier, LSTMRegressor, runtime
from sklstm.datasets import load_sunspots

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")

ROOT = Path(__file__).parents[2]


# Predictions.


@pytest.mark.parametrize("task", TASKS)
def test_predictions_equal_the_estimator_for_every_target(task, tmp_path):
    estimator, target = TASKS[task]
    estimator.fit(X, target)
    predictor = saved_and_loaded(estimator, tmp_path)
    assert hasattr(predictor, "predict_proba") == hasattr(estimator, "predict_proba")
    assert_predicts_the_same(predictor, estimator, X)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", ["two outputs", "str"])
def test_predictions_equal_the_estimator_for_every_network(name, task, tmp_path):
    estimator, target = TASKS[task]
    estimator = type(estimator)(**{**estimator.get_params(), **NETWORKS[name]}).fit(X, target)
    assert_predicts_the_same(saved_and_loaded(estimator, tmp_path), estimator, X_missing)


@pytest.mark.parametrize("form", FORMS)
def test_predictions_equal_the_estimator_for_every_form_of_x(form, tmp_path):
    X, parameters = FORMS[form]
    estimator = LSTMRegressor(4, max_iter=2, random_state=0, **parameters).fit(X, y)
    assert_predicts_the_same(saved_and_loaded(estimator, tmp_path), estimator, X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_of_several_blocks_equal_the_estimator(dtype, tmp_path):
    X = rng.normal(size=(1100, 30, 2)).astype(dtype)
    estimator = LSTMRegressor((40, 20), max_iter=1, random_state=0).fit(X[:50], X[:50, -1, 0])
    predictor = saved_and_loaded(estimator, tmp_path)
    with threadpool_limits(2, user_api="blas"):
        assert_predicts_the_same(predictor, estimator, X)
        X[700, 4] = np.nan
        assert_predicts_the_same(predictor, estimator, X)
        X[1050, 5, 1] = np.inf
        with pytest.raises(ValueError, match="is at sample 1050, timestep 5"):
            predictor.predict(X)


@pytest.mark.parametrize("task", ["two outputs", "normalize_y", "quantiles", "str", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_step_equals_the_estimator(task, dtype, tmp_path):
    estimator, target = TASKS[task]
    parameters = {**estimator.get_params(), "hidden_layer_sizes": (5, 3), "dtype": dtype}
    estimator = type(estimator)(**parameters).fit(X, target)
    predictor = saved_and_loaded(estimator, tmp_path)
    for stream in (X_missing[0], X_missing[:6].transpose(1, 0, 2)):
        for actual, expected in zip(
            steps_of(predictor, stream), steps_of(estimator, stream), strict=True
        ):
            assert type(actual[0]) is type(expected[0])
            for one, other in zip(actual[1], expected[1], strict=True):
                assert_same(one[0], other[0])
                assert_same(one[1], other[1])
            np.testing.assert_array_equal(actual[0], expected[0])


@pytest.mark.parametrize("task", ["bool", "str", "multilabel"])
def test_predict_step_gives_the_probabilities_of_the_estimator(task, tmp_path):
    estimator, target = TASKS[task]
    estimator = estimator.fit(X, target)
    predictor = saved_and_loaded(estimator, tmp_path)
    params = {"response_method": "predict_proba"}
    for stream in (X_missing[0], X_missing[:6].transpose(1, 0, 2)):
        for (p, _), (expected, _) in zip(
            steps_of(predictor, stream, **params),
            steps_of(estimator, stream, **params),
            strict=True,
        ):
            assert_same(p, expected)


def test_an_unknown_response_method_raises(tmp_path):
    estimator, target = TASKS["huber"]
    predictor = saved_and_loaded(estimator.fit(X, target), tmp_path)
    with pytest.raises(ValueError, match="response_method must be 'predict', got 'predict_proba'"):
        predictor.predict_step(X[0, 0], response_method="predict_proba")


@pytest.mark.slow
@given(
    n_units=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    n_features=st.integers(1, 3),
    bidirectional=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_predictions_equal_the_estimator_for_any_network(
    n_units, n_features, bidirectional, seed, tmp_path_factory
):
    path = tmp_path_factory.mktemp("any") / "model.npz"
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(4, 3, n_features)), rng.normal(size=4)
    estimator = LSTMRegressor(
        n_units, bidirectional=bidirectional, max_iter=1, random_state=seed
    ).fit(X, y)
    runtime.save(estimator, path)
    assert_predicts_the_same(runtime.load(path), estimator, X)


# NumPy alone.


@pytest.mark.slow
def test_predictions_with_numpy_alone_equal_the_estimator(tmp_path):
    series, target = load_sunspots(return_X_y=True)
    X = np.lib.stride_tricks.sliding_window_view(series, 12, axis=0).transpose(0, 2, 1)[:-1]
    regressor = LSTMRegressor(8, max_iter=2, random_state=0).fit(X, target[12:])
    classifier = LSTMClassifier(8, max_iter=2, random_state=0).fit(X, target[12:] > 50)
    runtime.save(regressor, tmp_path / "regressor.npz")
    runtime.save(classifier, tmp_path / "classifier.npz")
    code = """
import sys

blocked = ["joblib", "matplotlib", "pandas", "scipy", "sklearn", "threadpoolctl"]
sys.modules.update(dict.fromkeys(blocked))  # None: importing it fails

import numpy as np
from sklstm import runtime

X, predictions = np.load("X.npy"), {}
for name in ("regressor", "classifier"):
    predictor, state = runtime.load(f"{name}.npz"), None
    predictions[name] = predictor.predict(X)
    for x_t in X[0]:
        step, state = predictor.predict_step(x_t, state)
    predictions[f"{name} step"] = step
predictions["probability"] = predictor.predict_proba(X)
np.savez("predictions.npz", **predictions)
assert not [name for name in blocked if sys.modules[name] is not None]
"""
    np.save(tmp_path / "X.npy", X)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    predictions = np.load(tmp_path / "predictions.npz")
    assert_same(predictions["regressor"], regressor.predict(X))
    assert_same(predictions["classifier"], classifier.predict(X))
    assert_same(predictions["probability"], classifier.predict_proba(X))
    for name, estimator in (("regressor", regressor), ("classifier", classifier)):
        np.testing.assert_array_equal(predictions[f"{name} step"], steps_of(estimator, X[0])[-1][0])


def test_importing_the_runtime_imports_numpy_alone():
    code = """
import sys
import numpy
before = set(sys.modules)
import sklstm.runtime
added = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
assert added <= {"numpy", "sklstm"}, added
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Invalid input.


@pytest.mark.parametrize(
    ("X_bad", "message"),
    [
        (X[:, :, :1], r"sequences of shape \(n_timesteps, 2\), which X does not fit"),
        (X[:, :, 0], "which X does not fit: 2-D"),
        (X[0, 0], "X has the shape"),
        (X[:0], "none of them 0"),
        (X[:, :0], "none of them 0"),
        ([], "no time step"),
        ([X[0], X[0, :, :1]], r"which X\[1\] does not fit"),
        ([X[0], X[0, 0]], "X must be an array of real numbers"),
        (X + 1j, "complex"),
        (X.astype(str), "real numbers, but it is of dtype <U"),
        (np.where(X > 0, None, "a"), "holds the string 'a'"),
        (np.where(X > 0, X, "1.5").astype(object), "holds the string '"),
        (np.ma.masked_greater(X, 1), r"X is a masked array.*X\.filled"),
        ([X[0], np.ma.masked_greater(X[1], 1)], r"X\[1\] is a masked array"),
        (np.where(X > 3, X, np.inf), "sample 0, timestep 0"),
        (np.where(np.arange(2) == 1, np.nan, X), "sample 0, timestep 0"),
        ([X[0], X[0] * np.inf], r"X\[1\] must be finite in float64.* is at row 0"),
        ("text", "X must hold real numbers"),
        (None, r"X has the shape \(\)"),
    ],
)
def test_invalid_sequences_raise(X_bad, message, tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    with pytest.raises(ValueError, match=message):
        predictor.predict(X_bad)
    with pytest.raises((ValueError, TypeError)):
        estimator.predict(X_bad)


def test_an_invalid_2d_x_raises(tmp_path):
    frame = pd.DataFrame(X[:, :, 0], columns=[*"abcdefg"])
    estimator = LSTMRegressor(4, max_iter=2, timesteps=7, random_state=0).fit(frame, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    for bad, message in (
        (X, "2-D X of 7 columns, which X does not fit: 3-D, 2 in the last"),
        (X[:, :6, 0], "2-D X of 7 columns, which X does not fit: 2-D, 6 in the last"),
        (frame[[*"gfedcba"]], r"columns \['g', .* fitted on \['a'"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.predict(bad)
    assert_same(predictor.predict(frame.to_numpy()), estimator.predict(frame))


def test_values_that_are_not_finite_in_the_dtype_of_the_network_raise(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, dtype="float32", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="finite in float32"):
        saved_and_loaded(estimator, tmp_path).predict(X * 1e300)


@pytest.mark.parametrize(
    ("x_t", "state", "message"),
    [
        (X[0, 0, :1], None, r"x_t has the shape \(1,\), but must be of shape \(2,\)"),
        (X, None, "x_t has the shape"),
        (1.0, None, "x_t has the shape"),
        (X[:0, 0], None, "x_t has the shape"),
        ([np.nan, 1], None, "x_t must be finite"),
        ([np.inf, 1], None, "x_t must be finite"),
        (["a", "b"], None, "x_t must hold real numbers"),
        (pd.Series(["1", "2"]), None, "x_t must hold real numbers"),
        (np.ma.masked_greater(X[0, 0], 1), None, "x_t is a masked array"),
        (X[0, 0], 3, "state must be"),
        (X[0, 0], ((np.zeros(4), np.full(4, np.nan)),), "state must be"),
        (X[0, 0], (), "state must be"),
        (X[0, 0], ((np.zeros(4), np.zeros(3)),), "state must be"),
        (X[0, 0], ((np.zeros((1, 4)), np.zeros((1, 4))),), "state must be"),
    ],
)
def test_an_invalid_step_or_state_raises(x_t, state, message, tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    with pytest.raises(ValueError, match=message):
        predictor.predict_step(x_t, state)


def test_predict_step_of_a_bidirectional_network_raises(tmp_path):
    estimator = LSTMRegressor(4, bidirectional=True, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="needs bidirectional=False"):
        saved_and_loaded(estimator, tmp_path).predict_step(X[0, 0])


def test_predict_step_does_not_change_the_given_state(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    _, state = predictor.predict_step(X[0, 0])
    before = [array.copy() for pair in state for array in pair]
    predictor.predict_step(X[0, 1], state)
    for array, copy in zip([array for pair in state for array in pair], before, strict=True):
        assert_same(array, copy)
