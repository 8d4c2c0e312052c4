"""Early stopping: with a validation set from the user, with a split, and without leakage."""

import copy

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import (
    ESTIMATORS,
    FORMS,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    quick,
    without_missing,
)

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

N_VAL = 8
WEIGHTS = np.linspace(0.1, 2, 30)


@pytest.fixture
def X():
    return make_sequences("missing", n_samples=30)


@pytest.fixture
def y(cls, X):
    return make_target(cls, X)


def stopper(cls, **params):
    """Return an estimator with early stopping that does not standardise the target.

    Without a linear part, so that what is kept are the parameters of the best epoch.
    """
    params.setdefault("linear_skip", 0)
    if cls is LSTMRegressor:
        params.setdefault("normalize_y", False)
    return quick(cls, early_stopping=True, **params)


@both
@pytest.mark.parametrize("linear_skip", [0, "auto"])
@pytest.mark.parametrize("split", ["last", "random"])
def test_samples_without_weight_are_not_set_aside(cls, split, linear_skip):
    X = make_sequences("missing", n_samples=60)
    y, weights = make_target(cls, X), np.ones(60)
    weights[::4] = weights[-8:] = 0
    estimator = stopper(cls, validation_split=split, linear_skip=linear_skip)
    excluded = clone(estimator).fit(X, y, sample_weight=weights)
    absent = clone(estimator).fit(X[weights > 0], y[weights > 0])
    assert_same_fit(excluded, absent)
    assert excluded.validation_scores_ == absent.validation_scores_
    np.testing.assert_array_equal(outputs(excluded, X), outputs(absent, X))


@both
def test_auto_counts_samples_with_a_weight(cls):
    X = make_sequences("dense", n_samples=60)
    y, weights = make_target(cls, X), np.ones(60)
    weights[20:] = 0
    estimator = stopper(cls).set_params(early_stopping="auto")
    assert estimator.fit(X, y, sample_weight=weights).validation_scores_ is None


@both
def test_one_sample_with_a_weight_is_too_few_to_set_some_aside(cls, X, y):
    with pytest.raises(ValueError, match="only one with a weight"):
        stopper(cls).fit(X, y, sample_weight=np.arange(30) == 3)


# A validation set from the user.


@both
def test_a_given_validation_set_equals_a_split_with_the_same_rows(cls, X, y):
    params = {"max_iter": 20, "learning_rate_init": 0.05, "n_iter_no_change": 4}
    fraction = N_VAL / len(X)
    split = stopper(cls, validation_split="last", validation_fraction=fraction, **params)
    split.fit(X, y, sample_weight=WEIGHTS)
    given = stopper(cls, **params).fit(
        X[:-N_VAL],
        y[:-N_VAL],
        sample_weight=WEIGHTS[:-N_VAL],
        X_val=X[-N_VAL:],
        y_val=y[-N_VAL:],
        sample_weight_val=WEIGHTS[-N_VAL:],
    )
    assert_same_fit(given, split)
    assert given.validation_scores_ == split.validation_scores_
    assert given.best_iter_ == split.best_iter_
    assert given.best_validation_score_ == split.best_validation_score_


@both
def test_a_given_validation_set_leaves_all_samples_for_training(cls, X, y):
    estimator = stopper(cls).fit(X, y, X_val=X[:5], y_val=y[:5])
    assert estimator.t_ == estimator.n_iter_ * len(X)
    without = stopper(cls).set_params(early_stopping=False).fit(X, y)
    assert estimator.loss_curve_ == without.loss_curve_


@both
@pytest.mark.parametrize("linear_skip", [0, "auto"])
@pytest.mark.parametrize("weights", [None, np.linspace(0, 3, N_VAL)], ids=["plain", "weighted"])
def test_the_validation_score_is_the_score_on_the_given_set(cls, X, y, weights, linear_skip):
    X_val = make_sequences("dense", n_samples=N_VAL, seed=5)
    y_val = y[:N_VAL]
    params = {"early_stopping": True, "max_iter": 15, "learning_rate_init": 0.05}
    estimator = quick(cls, linear_skip=linear_skip, **params)
    estimator.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    score = estimator.score(X_val, y_val, sample_weight=weights)
    assert estimator.best_validation_score_ == pytest.approx(score, rel=1e-12)
    if linear_skip == 0:  # otherwise what is kept is a mixture, which no epoch has had
        assert estimator.best_validation_score_ == max(estimator.validation_scores_)


@both
def test_the_given_validation_set_does_not_affect_the_updates(cls, X, y):
    others = make_sequences("dense", n_samples=N_VAL, seed=5)
    params = {"early_stopping": True, "n_iter_no_change": np.inf, "learning_rate_init": 0.1}
    fits = [
        quick(cls, **params).fit(X, y, X_val=X_val, y_val=y[:N_VAL])
        for X_val in (X[:N_VAL], others)
    ]
    assert fits[0].loss_curve_ == fits[1].loss_curve_
    assert fits[0].validation_scores_ != fits[1].validation_scores_


@both
def test_the_weights_of_the_epoch_with_the_best_score_are_kept(cls, X, y):
    sets = {"X_val": X[:N_VAL], "y_val": y[:N_VAL]}
    params = {"learning_rate_init": 0.2, "n_iter_no_change": 5}
    X, y = X[N_VAL:], y[N_VAL:]
    estimator = stopper(cls, max_iter=60, **params).fit(X, y, **sets)
    best = estimator.best_iter_
    assert best == np.argmax(estimator.validation_scores_) + 1 < estimator.n_iter_ < 60
    shorter = stopper(cls, max_iter=best, **params).fit(X, y, **sets)
    np.testing.assert_array_equal(outputs(estimator, X), outputs(shorter, X))


@both
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("form_val", FORMS)
def test_a_validation_set_can_be_in_any_form_of_sequences(cls, form, form_val):
    X, X_val = make_sequences(form, 30), make_sequences(form_val, N_VAL, n_timesteps=7, seed=1)
    y, y_val = make_target(cls, X), make_target(cls, X)[:N_VAL]
    estimator = stopper(cls).fit(X, y, X_val=X_val, y_val=y_val)
    if form_val == "missing":
        again = stopper(cls).fit(X, y, X_val=without_missing(X_val), y_val=y_val)
        assert again.validation_scores_ == pytest.approx(estimator.validation_scores_, rel=1e-12)
    assert max(estimator.validation_scores_) == pytest.approx(estimator.score(X_val, y_val))


@both
def test_a_validation_set_can_be_2d_with_timesteps(cls):
    X = make_sequences("dense", n_samples=30)
    y = make_target(cls, X)
    rows = X.reshape(30, -1)
    flat = stopper(cls, timesteps=5).fit(rows, y, X_val=rows[:N_VAL], y_val=y[:N_VAL])
    cubic = stopper(cls).fit(X, y, X_val=X[:N_VAL], y_val=y[:N_VAL])
    assert_same_fit(flat, cubic)
    assert flat.validation_scores_ == cubic.validation_scores_


def test_a_validation_set_can_be_multilabel():
    X = make_sequences("dense", n_samples=30)
    Y = (make_target(LSTMRegressor, X)[:, np.newaxis] > [-1, 0, 1]).astype(int)
    estimator = stopper(LSTMClassifier).fit(X, Y, X_val=X[:N_VAL], y_val=Y[:N_VAL])
    assert estimator.best_validation_score_ == estimator.score(X[:N_VAL], Y[:N_VAL])


def test_a_validation_set_can_lack_a_class():
    X = make_sequences("dense", n_samples=30)
    y = make_target(LSTMClassifier, X)
    rows = y != "low"
    estimator = stopper(LSTMClassifier, class_weight={"low": 3.0})
    estimator.fit(X, y, X_val=X[rows], y_val=y[rows])
    assert estimator.best_validation_score_ == estimator.score(X[rows], y[rows])


def test_the_target_is_standardised_by_the_training_set_only():
    X = make_sequences("dense", n_samples=30)
    y = make_target(LSTMRegressor, X)
    estimator = quick(LSTMRegressor, linear_skip=0, early_stopping=True, n_iter_no_change=np.inf)
    losses = estimator.fit(X, y, X_val=X[:5], y_val=1000 * y[:5]).loss_curve_
    assert (
        losses == quick(LSTMRegressor, linear_skip=0, n_iter_no_change=np.inf).fit(X, y).loss_curve_
    )


@both
def test_warm_start_can_add_a_validation_set(cls, X, y):
    estimator = quick(cls, warm_start=True, max_iter=4).fit(X, y)
    estimator.set_params(early_stopping=True).fit(X, y, X_val=X[:N_VAL], y_val=y[:N_VAL])
    scores = estimator.validation_scores_
    assert len(scores) == estimator.n_iter_ == len(estimator.loss_curve_) == 8
    assert np.isnan(scores[:4]).all()
    assert not np.isnan(scores[4:]).any()
    assert estimator.best_iter_ == np.nanargmax(scores) + 1
    assert estimator.best_validation_score_ == np.nanmax(scores)
    assert estimator.best_validation_score_ == pytest.approx(estimator.score(X[:N_VAL], y[:N_VAL]))


# A gap between the training rows and the validation rows.


@both
@pytest.mark.parametrize("gap", [0, 1, 5])
def test_a_gap_leaves_out_the_rows_before_the_validation_rows(cls, X, y, gap):
    params = {"validation_split": "last", "validation_fraction": 0.2, "batch_size": 30}
    estimator = stopper(cls, validation_gap=gap, n_iter_no_change=np.inf, **params).fit(X, y)
    n_train = 24 - gap
    assert estimator.t_ == estimator.n_iter_ * n_train
    by_hand = stopper(cls, n_iter_no_change=np.inf, **params)
    by_hand.fit(X[:n_train], y[:n_train], X_val=X[24:], y_val=y[24:])
    assert_same_fit(estimator, by_hand)
    assert estimator.validation_scores_ == by_hand.validation_scores_


@both
def test_a_gap_without_early_stopping_has_no_effect(cls, X, y):
    assert_same_fit(quick(cls, validation_gap=5).fit(X, y), quick(cls).fit(X, y))


# Windows of a series.


def windows_and_losses(series, target, **params):
    """Fit on windows of 40 rows, the last quarter for validation, and return the losses."""
    pipeline = make_pipeline(
        SlidingWindow(5),
        stopper(LSTMRegressor, validation_fraction=0.25, n_iter_no_change=np.inf, **params),
    )
    return pipeline.fit(series, target)[-1].loss_curve_


@pytest.mark.parametrize("linear_skip", [0, "auto"])
def test_no_training_window_holds_a_validation_row(linear_skip):
    def losses_of(series, target):
        return windows_and_losses(series, target, linear_skip=linear_skip)

    rng = np.random.RandomState(0)
    series, target = rng.normal(size=(40, 2)), rng.normal(size=40)
    losses = losses_of(series, target)
    others, other_targets = series.copy(), target.copy()
    others[30:], other_targets[30:] = rng.normal(size=(10, 2)), rng.normal(size=10)
    assert losses_of(others, other_targets) == losses
    others[29] = 0  # the last training row
    assert losses_of(others, target) != losses


@pytest.mark.parametrize("linear_skip", [0, "auto"])
@pytest.mark.parametrize("horizon", [1, 3])
def test_with_a_gap_no_training_target_is_later_than_the_first_validation_row(horizon, linear_skip):
    rng = np.random.RandomState(0)
    values = rng.normal(size=40 + horizon)

    def losses(values, gap):
        params = {"validation_gap": gap, "linear_skip": linear_skip}
        return windows_and_losses(values[:40, np.newaxis], values[horizon:], **params)

    # The window of the first validation row, 30, ends with that row.
    others = values.copy()
    others[31:] = rng.normal(size=len(others) - 31)
    assert losses(others, gap=horizon - 1) == losses(values, gap=horizon - 1)
    if horizon > 1:
        assert losses(others, gap=horizon - 2) != losses(values, gap=horizon - 2)


@both
@pytest.mark.filterwarnings("error")
def test_a_random_split_of_overlapping_windows_warns(cls):
    series = np.random.RandomState(0).normal(size=(40, 2))
    windows = SlidingWindow(3).fit_transform(series)
    y = make_target(cls, windows)
    params = {"validation_split": "random", "validation_fraction": 0.2, "tol": 10.0, "max_iter": 30}
    with pytest.warns(UserWarning, match="windows that overlap.*Use validation_split='last'") as w:
        estimator = quick(cls, early_stopping=True, **params).fit(windows, y)
    assert len(w) == 1
    assert w[0].filename == __file__
    assert estimator.best_iter_ is not None
    # No warning with another split, without early stopping, or with a given validation set.
    params.pop("validation_split")
    quick(cls, early_stopping=True, validation_split="last", **params).fit(windows, y)
    quick(cls, early_stopping=False, validation_split="random", **params).fit(windows, y)
    given = quick(cls, early_stopping=True, validation_split="random", **params)
    given.fit(windows, y, X_val=windows[:8], y_val=y[:8])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "arrange",
    [
        lambda X: X,
        np.asfortranarray,
        lambda X: np.ascontiguousarray(X.transpose(1, 0, 2)).transpose(1, 0, 2),
        lambda X: np.ascontiguousarray(X.transpose(2, 1, 0)).transpose(2, 1, 0),
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: X[::-1],
        lambda X: X[:, ::-1],
        lambda X: X[:, 1:3],
        lambda X: X[:, :1],
        lambda X: np.broadcast_to(X[:1], X.shape),
        list,
        lambda X: np.lib.stride_tricks.sliding_window_view(X.reshape(-1), 5)[::5][:, :, None],
    ],
    ids=[
        "C",
        "Fortran",
        "time first",
        "features first",
        "every second",
        "reversed",
        "backwards",
        "some steps",
        "one step",
        "repeated",
        "list",
        "side by side",
    ],
)
def test_a_random_split_of_sequences_that_do_not_overlap_does_not_warn(arrange):
    X = arrange(make_sequences("dense", n_samples=30))
    params = {"validation_split": "random", "validation_fraction": 0.2, "tol": 10.0, "max_iter": 30}
    y = np.random.RandomState(0).normal(size=len(X))
    estimator = quick(LSTMRegressor, early_stopping=True, **params).fit(X, y)
    assert estimator.best_iter_ is not None


# In a pipeline, as metadata.


def pipeline(cls, **params):
    estimator = quick(cls, early_stopping=True, learning_rate_init=0.02, max_iter=6, **params)
    estimator.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
    return make_pipeline(StandardScaler(), SlidingWindow(4), estimator, transform_input=["X_val"])


SERIES = 10 * np.random.RandomState(0).normal(size=(80, 2)) + 50


@both
def test_a_pipeline_transforms_the_validation_set(cls):
    windows = SlidingWindow(4).fit_transform(SERIES)
    y = make_target(cls, windows)
    weights = np.linspace(0, 1, 20)
    with config_context(enable_metadata_routing=True):
        model = pipeline(cls).fit(
            SERIES[:60], y[:60], X_val=SERIES[60:], y_val=y[60:], sample_weight_val=weights
        )
        by_hand = copy.deepcopy(model[-1])
        by_hand.fit(
            model[:-1].transform(SERIES[:60]),
            y[:60],
            X_val=model[:-1].transform(SERIES[60:]),
            y_val=y[60:],
            sample_weight_val=weights,
        )
    assert_same_fit(model[-1], by_hand)
    assert model[-1].validation_scores_ == by_hand.validation_scores_
    score = by_hand.score(model[:-1].transform(SERIES[60:]), y[60:], sample_weight=weights)
    assert model[-1].best_validation_score_ == pytest.approx(score, rel=1e-12)


@both
def test_a_search_over_pipelines_passes_the_validation_set(cls):
    y = make_target(cls, SlidingWindow(4).fit_transform(SERIES))
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            pipeline(cls), {"slidingwindow__window_size": [2, 4]}, cv=TimeSeriesSplit(2)
        )
        search.fit(SERIES[:60], y[:60], X_val=SERIES[60:], y_val=y[60:])
    best = search.best_estimator_
    score = best.score(SERIES[60:], y[60:])
    assert best[-1].best_validation_score_ == pytest.approx(score, rel=1e-12)


@both
def test_a_validation_set_that_was_not_requested_raises(cls):
    y = make_target(cls, SlidingWindow(4).fit_transform(SERIES))
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(SlidingWindow(4), cls(early_stopping=True), transform_input=["X_val"])
        with pytest.raises(ValueError, match=r"X_val.*not explicitly set"):
            model.fit(SERIES, y, X_val=SERIES, y_val=y)
