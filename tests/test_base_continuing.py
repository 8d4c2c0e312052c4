"""Continued training with every option: in calls, in another process, after an interrupt."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from support.data import (
    ESTIMATORS,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
    run_python,
)

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.nn.training import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

X = make_sequences("missing", n_samples=30)

OPTIONS = {
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2},
    "bidirectional": {"bidirectional": True, "hidden_layer_sizes": (4, 3)},
    "cosine": {"learning_rate": "cosine"},
    # Settings that reduce the learning rate twice.
    "adaptive": {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "batch_size": 1},
    "float32": {"dtype": "float32"},
    "all": {
        "dropout": 0.3,
        "recurrent_dropout": 0.2,
        "bidirectional": True,
        "hidden_layer_sizes": (4, 3),
        "learning_rate": "adaptive",
        "tol": 10.0,
        "n_iter_no_change": 1,
        "batch_size": 1,
        "alpha": 0.1,
    },
}
LOSSES = {
    "huber": {"loss": "huber"},
    "poisson": {"loss": "poisson"},
    "quantile": {"loss": "quantile", "quantile": 0.3},
}
CASES = {
    **{(cls, name): params for cls in ESTIMATORS for name, params in OPTIONS.items()},
    **{(LSTMRegressor, name): OPTIONS["dropout"] | params for name, params in LOSSES.items()},
    (LSTMClassifier, "class_weight"): {"class_weight": {"low": 2.0, "mid": 0.5, "top": 1.0}},
}
EPOCHS = 6
every_case = pytest.mark.parametrize(
    ("cls", "name"), CASES, ids=[f"{cls.__name__}-{name}" for cls, name in CASES]
)


def estimator_for(cls, name):
    return quick(cls, **{"max_iter": EPOCHS, "learning_rate_init": 0.02} | CASES[cls, name])


def target_for(cls, name):
    y = make_target(cls, X)
    return np.exp(y / 3).round() if name == "poisson" else y


def training_state(estimator):
    """Return all that training continues from: optimizer, generator, progress and history."""
    state = estimator._training
    return state.optimizer, state.rng.get_state(legacy=False), state.progress, state.history


def assert_same_training(a, b):
    """Two estimators have the same fit and the same state of training."""
    assert_same_fit(a, b)
    assert a.learning_rate_curve_ == b.learning_rate_curve_
    assert a.loss_ == b.loss_
    assert joblib.hash(training_state(a)) == joblib.hash(training_state(b))


@every_case
def test_repeated_partial_fit_equals_fit(cls, name):
    y = target_for(cls, name)
    whole, parts = estimator_for(cls, name).fit(X, y), estimator_for(cls, name)
    assert whole.n_iter_ == EPOCHS
    if name in ("adaptive", "all"):
        assert len(set(whole.learning_rate_curve_)) == 3
    for _ in range(EPOCHS):
        partial_fit(parts, X, y)
    assert_same_training(parts, whole)


# Not with a cosine: its length is max_iter, which differs between the two.
@pytest.mark.parametrize(("cls", "name"), [case for case in CASES if "cosine" not in case])
def test_partial_fit_after_fit_equals_a_longer_fit(cls, name):
    y = target_for(cls, name)
    whole = estimator_for(cls, name).fit(X, y)
    parts = estimator_for(cls, name).set_params(max_iter=EPOCHS - 2).fit(X, y)
    for _ in range(2):
        partial_fit(parts, X, y)
    assert_same_training(parts, whole)


IN_ANOTHER_PROCESS = """
import joblib

for path in joblib.load("paths.joblib"):
    estimator, X, y = joblib.load(path)
    joblib.dump(estimator.partial_fit(X, y).partial_fit(X, y), path)
"""


@pytest.mark.slow
def test_training_continues_in_another_process_with_the_same_bits(tmp_path):
    paths = {case: str(tmp_path / f"{k}.joblib") for k, case in enumerate(CASES)}
    for (cls, name), path in paths.items():
        estimator, y = estimator_for(cls, name), target_for(cls, name)
        for _ in range(2):
            partial_fit(estimator, X, y)
        joblib.dump((estimator, X, y), path)
    joblib.dump(list(paths.values()), tmp_path / "paths.joblib")
    run_python("-W", "error", "-c", IN_ANOTHER_PROCESS, cwd=tmp_path)
    for (cls, name), path in paths.items():
        y = target_for(cls, name)
        parts = joblib.load(path)
        for _ in range(2):
            partial_fit(parts, X, y)
        assert_same_training(parts, estimator_for(cls, name).fit(X, y))


@every_case
def test_copies_continue_training_independently(cls, name):
    y = target_for(cls, name)
    estimator = partial_fit(estimator_for(cls, name), X, y)
    copies = [
        copy.copy(estimator),
        copy.deepcopy(estimator),
        pickle.loads(pickle.dumps(estimator)),
    ]
    for each in copies:
        partial_fit(each, X, y)
    partial_fit(estimator, X, y)
    for each in copies:
        assert_same_fit(each, estimator)


@both
def test_warm_start_continues_the_random_numbers_of_dropout(cls):
    y = make_target(cls, X)
    params = {"dropout": 0.3, "recurrent_dropout": 0.2, "bidirectional": True}
    whole = quick(cls, max_iter=4, **params).fit(X, y)
    parts = quick(cls, max_iter=2, warm_start=True, **params).fit(X, y).fit(X, y)
    assert_same_fit(parts, whole)


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_warm_start_resets_progress_and_learning_rate(cls, early_stopping, learning_rate):
    y = make_target(cls, X)
    params = {"tol": 10.0, "n_iter_no_change": 2, "max_iter": 100, "learning_rate_init": 1e-5}
    params["batch_size"] = 1  # 30 updates: each epoch counts as one
    estimator = quick(
        cls, warm_start=True, early_stopping=early_stopping, learning_rate=learning_rate, **params
    ).fit(X, y)
    # After the first epoch, no epoch improves the score by 10.
    rates = [1e-5, 2e-6, 4e-7] if learning_rate == "adaptive" else [1e-5]
    n_epochs = 1 + 3 * len(rates)
    expected = [rates[0], *np.repeat(rates, 3)]
    np.testing.assert_allclose(estimator.learning_rate_curve_, expected, rtol=1e-12)
    estimator.fit(X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 2 * n_epochs
    np.testing.assert_allclose(estimator.learning_rate_curve_, np.tile(expected, 2), rtol=1e-12)


def interrupt(monkeypatch, call):
    """Make the given epoch raise KeyboardInterrupt."""
    original, calls = Trainer.epoch, iter(range(1, 10**6))

    def epoch(*args, **kwargs):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", epoch)


@every_case
def test_training_continues_after_an_interrupted_fit(cls, name, monkeypatch):
    y = target_for(cls, name)
    whole = estimator_for(cls, name).fit(X, y)
    estimator = estimator_for(cls, name)
    with monkeypatch.context() as patch:
        interrupt(patch, call=4)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(X, y)
    assert estimator.n_iter_ == 3
    assert len(outputs(estimator, X)) == len(X)
    rest = copy.deepcopy(estimator)
    for _ in range(3):
        partial_fit(rest, X, y)
    assert_same_training(rest, whole)
    # A second fit starts again.
    assert_same_training(estimator.fit(X, y), estimator_for(cls, name).fit(X, y))


@both
def test_training_continues_after_an_interrupted_partial_fit(cls, monkeypatch):
    y = make_target(cls, X)
    estimator = partial_fit(quick(cls, dropout=0.2), X, y)
    with monkeypatch.context() as patch:
        interrupt(patch, call=1)
        with pytest.warns(UserWarning, match="interrupted"):
            partial_fit(estimator, X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    assert_same_fit(partial_fit(estimator, X, y), quick(cls, dropout=0.2, max_iter=2).fit(X, y))


@both
def test_warm_start_continues_after_an_interrupted_fit_with_early_stopping(cls, monkeypatch):
    y = make_target(cls, X)
    sets = {"X_val": X[:8], "y_val": y[:8]}
    params = {"early_stopping": True, "learning_rate_init": 0.1, "warm_start": True}
    estimator = quick(cls, linear_skip=0, max_iter=10, **params)
    with monkeypatch.context() as patch:
        interrupt(patch, call=6)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(X, y, **sets)
    assert len(estimator.validation_scores_) == estimator.n_iter_ == 5
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert estimator.score(X[:8], y[:8]) == pytest.approx(estimator.best_validation_score_)
    estimator.set_params(max_iter=4).fit(X, y, **sets)
    assert len(estimator.validation_scores_) == estimator.n_iter_ == 9
    assert estimator.best_iter_ > 5
    assert estimator.best_validation_score_ == max(estimator.validation_scores_[5:])
    assert estimator.score(X[:8], y[:8]) == pytest.approx(estimator.best_validation_score_)


@both
def test_a_clone_has_no_fitted_state(cls):
    y = make_target(cls, X)
    params = {"dropout": 0.2, "bidirectional": True, "learning_rate": "cosine"}
    estimator = quick(cls, **params).fit(X, y)
    cloned = clone(estimator)
    assert vars(cloned).keys() == cls().get_params().keys()
    assert_same_fit(cloned.fit(X, y), estimator)
