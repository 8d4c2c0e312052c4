"""Training that diverges ends in an error or a warning that says what to change."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from support.data import ESTIMATORS, Unchanged, make_sequences, make_target, partial_fit, quick

from sklstm import LSTMRegressor

both = pytest.mark.parametrize("cls", ESTIMATORS)
X = make_sequences("dense", n_samples=60)


def messages_of_fit(estimator, y, **fit_params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, y, **fit_params)
    return [str(warning.message) for warning in caught]


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_enormous_learning_rate_is_an_error(cls, dtype, early_stopping):
    y = make_target(cls, X)
    estimator = quick(cls, learning_rate_init=1e9, dtype=dtype, early_stopping=early_stopping)
    message = r"Training diverged in epoch 1: .* Lower learning_rate_init \(now 1e\+09\)"
    with Unchanged(estimator, X, y), pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
    if not early_stopping:
        with Unchanged(estimator, X, y), pytest.raises(ValueError, match=message):
            partial_fit(estimator, X, y)


@both
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_loss_far_above_that_of_a_constant_is_a_warning(cls, early_stopping):
    estimator = quick(
        cls, learning_rate_init=1e3, max_iter=5, early_stopping=early_stopping, linear_skip=0
    )
    messages = messages_of_fit(estimator, make_target(cls, X))
    assert any("has diverged: the loss" in message for message in messages)
    assert any("Lower learning_rate_init (now 1000)" in message for message in messages)


@both
def test_partial_fit_warns_of_a_loss_far_above_that_of_a_constant(cls):
    y = make_target(cls, X)
    estimator = quick(cls, learning_rate_init=1e3, linear_skip=0)
    with pytest.warns(ConvergenceWarning, match=r"has diverged: the loss .* \(now 1000\)"):
        partial_fit(partial_fit(estimator, X, y), X, y)


@both
def test_partial_fit_on_single_samples_does_not_warn_of_divergence(cls):
    y = make_target(cls, X)
    estimator = partial_fit(quick(cls, linear_skip=0), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(len(X)):
            partial_fit(estimator, X[k : k + 1], y[k : k + 1])


@both
@pytest.mark.parametrize(
    "params",
    [{}, {"alpha": 1e3}, {"learning_rate_init": 0.3}, {"linear_skip": 3}, {"dropout": 0.8}],
    ids=str,
)
def test_training_that_goes_well_does_not_warn_of_divergence(cls, params):
    y = make_target(cls, X)
    for max_iter in (1, 30):
        messages = messages_of_fit(quick(cls, max_iter=max_iter, **params), y)
        assert not any("diverged" in message for message in messages)


@pytest.mark.parametrize(
    "params",
    [{"loss": "poisson"}, {"loss": "huber"}, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}],
    ids=str,
)
@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("y", ["counts", "large", "constant"])
def test_no_loss_and_no_target_warns_of_divergence_by_itself(params, normalize_y, y):
    counts = np.random.RandomState(0).poisson(3, len(X)).astype(float)
    y = {"counts": counts, "large": 1000 + counts, "constant": np.full(len(X), 5.0)}[y]
    estimator = quick(LSTMRegressor, normalize_y=normalize_y, max_iter=20, **params)
    assert not any("diverged" in message for message in messages_of_fit(estimator, y))
