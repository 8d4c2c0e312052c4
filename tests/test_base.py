"""The base class of both estimators: fitted attributes, training, stopping, continuing."""

import copy
import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted
from support.data import (
    ESTIMATORS,
    FORMS,
    Unchanged,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
)
from support.plain import plain
from support.reference_lstm import categorical_cross_entropy, objective, squared_error
from threadpoolctl import threadpool_limits

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.nn import training
from sklstm.nn.network import Network
from sklstm.nn.training import Trainer

pytestmark = [
    pytest.mark.parametrize("cls", ESTIMATORS),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture
def X():
    return make_sequences("missing", n_samples=30)


@pytest.fixture
def y(cls, X):
    return make_target(cls, X)


def weights_norm(estimator):
    return sum(np.square(W).sum() for W in estimator.coefs_)


def encoded(estimator, y):
    """Return the target of the loss: y standardised, or a one-hot matrix of the classes."""
    if isinstance(estimator, LSTMRegressor):
        return ((y - y.mean()) / y.std())[:, np.newaxis]
    return (y[:, np.newaxis] == estimator.classes_).astype(float)


def loss_by_hand(estimator, X, target, weights=None, total_weight=None):
    weights = np.ones(len(X)) if weights is None else weights
    loss = squared_error if isinstance(estimator, LSTMRegressor) else categorical_cross_entropy
    return objective(
        X,
        target,
        weights,
        loss,
        estimator.coefs_,
        estimator.intercepts_,
        estimator.alpha,
        weights.sum() if total_weight is None else total_weight,
    )


# Fitted attributes.


def test_fitted_attributes_describe_network_and_training(cls, X, y):
    estimator = plain(cls, hidden_layer_sizes=(5, 3), max_iter=4).fit(X, y)
    n_outputs = 1 if cls is LSTMRegressor else 3
    assert estimator.n_features_in_ == 2
    assert estimator.n_outputs_ == n_outputs
    assert [W.shape for W in estimator.coefs_] == [
        (20, 2),
        (20, 5),
        (12, 5),
        (12, 3),
        (n_outputs, 3),
    ]
    assert [b.shape for b in estimator.intercepts_] == [(20,), (12,), (n_outputs,)]
    sizes = [array.size for array in estimator.coefs_ + estimator.intercepts_]
    assert estimator.n_parameters_ == sum(sizes)
    assert estimator.n_layers_ == 2 + 2  # with the input and the head, as in MLPRegressor
    assert estimator.n_iter_ == 4
    assert estimator.t_ == 4 * len(X)
    assert len(estimator.loss_curve_) == 4
    assert estimator.loss_ == estimator.loss_curve_[-1]
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert estimator.validation_scores_ is None
    assert estimator.best_validation_score_ is None
    assert estimator.best_iter_ is None
    assert estimator.out_activation_ == ("identity" if cls is LSTMRegressor else "softmax")
    assert hasattr(estimator, "classes_") == (cls is LSTMClassifier)


def test_an_unfitted_estimator_has_no_fitted_attributes_and_does_not_predict(cls, X):
    estimator = cls()
    for name in ("coefs_", "intercepts_", "n_iter_"):
        assert not hasattr(estimator, name)
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)


def test_coefs_are_copies(cls, X, y):
    estimator = quick(cls).fit(X, y)
    before = outputs(estimator, X)
    for array in estimator.coefs_ + estimator.intercepts_:
        array[...] = 7
    np.testing.assert_array_equal(outputs(estimator, X), before)


@pytest.mark.parametrize("sizes", [5, [5], (5,), np.array([5]), np.int64(5)])
def test_layer_sizes_can_be_an_integer_or_a_sequence(cls, X, y, sizes):
    estimator = quick(cls, hidden_layer_sizes=sizes).fit(X, y)
    assert_same_fit(estimator, quick(cls, hidden_layer_sizes=(5,)).fit(X, y))


# The loss.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_a_full_batch_equals_the_reference(cls, form, weighted):
    X = make_sequences(form)
    y = make_target(cls, X)
    weights = np.linspace(0, 3, len(X)) if weighted else None
    estimator = plain(cls, hidden_layer_sizes=(4, 3), batch_size=len(X), alpha=0.7)
    partial_fit(estimator, X, y, sample_weight=weights)
    if cls is LSTMRegressor and weighted:
        mean = np.average(y, weights=weights)
        target = ((y - mean) / np.sqrt(np.average((y - mean) ** 2, weights=weights)))[:, np.newaxis]
    else:
        target = encoded(estimator, y)
    for _ in range(3):
        expected = loss_by_hand(estimator, X, target, weights)
        partial_fit(estimator, X, y, sample_weight=weights)
        assert estimator.loss_ == pytest.approx(expected, rel=1e-12)


def test_the_loss_of_an_epoch_takes_each_batch_before_its_update(cls, X, y):
    order = np.argsort(y)
    order = np.concatenate([order[::2], order[1::2]])  # all classes in both batches
    X, y = X[order], y[order]
    first = plain(cls, batch_size=20, shuffle=False, alpha=0.0)
    partial_fit(first, X, y)
    target = encoded(first, y)
    halfway, whole = copy.deepcopy(first), copy.deepcopy(first)
    partial_fit(halfway, X[:20], y[:20])
    partial_fit(whole, X, y)
    losses = loss_by_hand(first, X[:20], target[:20]), loss_by_hand(halfway, X[20:], target[20:])
    assert whole.loss_ == pytest.approx(np.average(losses, weights=[20, 10]), rel=1e-12)


def test_training_lowers_the_loss(cls, X, y):
    estimator = quick(cls, max_iter=60, learning_rate_init=0.01).fit(X, y)
    assert estimator.loss_ < 0.7 * estimator.loss_curve_[0]


# The effect of each parameter.


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 1.0},
        {"batch_size": 7},
        {"learning_rate_init": 0.1},
        {"shuffle": False},
        {"max_grad_norm": 0.01},
        {"early_stopping": True},
        {"beta_1": 0.5},
        {"beta_2": 0.5},
        {"epsilon": 0.1},
        {"random_state": 1},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_a_parameter_changes_the_fit(cls, X, y, changed):
    estimator, other = quick(cls).fit(X, y), quick(cls, **changed).fit(X, y)
    # The random state changes the initial weights, the other parameters change the training.
    assert estimator.loss_curve_[0] != other.loss_curve_[0]
    assert not np.allclose(estimator.coefs_[0], other.coefs_[0], atol=1e-6)


def test_alpha_shrinks_the_weights_but_not_the_biases(cls, X, y):
    fits = [
        quick(cls, alpha=alpha, max_iter=60, learning_rate_init=0.01).fit(X, y) for alpha in (0, 30)
    ]
    assert weights_norm(fits[1]) < 0.5 * weights_norm(fits[0])
    # Without any time step, only the penalty changes weights.
    nothing = np.full_like(X, np.nan)
    estimator = quick(cls, alpha=30, max_iter=60).fit(nothing, y)
    start = np.repeat([0.0, 1.0, 0.0, 0.0], 4)
    np.testing.assert_array_equal(estimator.intercepts_[0], start)
    before = quick(cls, alpha=0, max_iter=60).fit(nothing, y)
    assert weights_norm(estimator) < 0.95 * weights_norm(before)


def test_gradients_below_max_grad_norm_are_not_clipped(cls, X, y):
    unbounded = quick(cls, max_grad_norm=None).fit(X, y)
    assert_same_fit(quick(cls, max_grad_norm=1e9).fit(X, y), unbounded)


def test_a_batch_size_above_the_number_of_samples_is_a_full_batch(cls, X, y):
    full = quick(cls, batch_size=len(X), shuffle=False).fit(X, y)
    assert_same_fit(quick(cls, batch_size=10**9, shuffle=False).fit(X, y), full)


def test_the_order_of_samples_in_a_full_batch_does_not_matter(cls, X, y):
    fits = [quick(cls, batch_size=len(X), shuffle=shuffle).fit(X, y) for shuffle in (False, True)]
    np.testing.assert_allclose(outputs(fits[0], X), outputs(fits[1], X), rtol=1e-9)


def test_verbose_prints_one_line_per_epoch(cls, X, y, capsys):
    quick(cls).fit(X, y)
    assert capsys.readouterr().out == ""
    estimator = quick(cls, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, (line, loss) in enumerate(zip(lines, estimator.loss_curve_, strict=True), start=1):
        assert line.startswith(f"Epoch {epoch}: loss {loss:.6g}, ")
    partial_fit(estimator, X, y)
    assert capsys.readouterr().out.startswith(f"Epoch 4: loss {estimator.loss_:.6g}, ")
    quick(cls, verbose=1, early_stopping=True).fit(X, y)
    assert capsys.readouterr().out.count("validation score") == 3


# Randomness.


def test_the_same_random_state_gives_the_same_bits(cls, X, y):
    first = quick(cls, random_state=np.random.RandomState(3)).fit(X, y)
    assert_same_fit(quick(cls, random_state=np.random.RandomState(3)).fit(X, y), first)
    assert_same_fit(quick(cls, random_state=3).fit(X, y), first)


def test_the_number_of_threads_does_not_change_any_bit(cls):
    # Large enough for BLAS to use several threads, as it does here but not in workers of n_jobs.
    X = make_sequences("dense", n_samples=64)
    y = make_target(cls, X)
    fits, answers = [], []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            fits.append(quick(cls, hidden_layer_sizes=100, batch_size=64).fit(X, y))
            answers.append(outputs(fits[-1], X))
    assert_same_fit(*fits)
    np.testing.assert_array_equal(*answers)


def test_a_second_fit_with_the_same_generator_differs(cls, X, y):
    estimator = quick(cls, random_state=np.random.RandomState(3)).fit(X, y)
    first = outputs(estimator, X)
    assert not np.allclose(outputs(estimator.fit(X, y), X), first)
    estimator.set_params(random_state=None)
    first = outputs(estimator.fit(X, y), X)
    assert not np.allclose(outputs(estimator.fit(X, y), X), first)


# Convergence.


def stops_after(scores, tol, n_iter_no_change):
    """Return the epoch after which the rule of scikit-learn's MLP stops."""
    best, stalled = -np.inf, 0
    for epoch, score in enumerate(scores, start=1):
        stalled = stalled + 1 if score < best + tol else 0
        best = max(best, score)
        if stalled > n_iter_no_change:
            return epoch
    return None


@pytest.mark.parametrize(
    ("params", "n_epochs"),
    [
        ({"batch_size": 32}, 1 + 3),  # full batches: the loss is not noisy
        ({"batch_size": 5}, 1 + 2 * 5 + 1),  # six updates: five epochs count as one
        ({"batch_size": 1}, 1 + 3),
        ({"batch_size": 5, "early_stopping": True}, 1 + 3),
    ],
    ids=str,
)
def test_patience_counts_epochs_of_30_updates(cls, X, y, params, n_epochs):
    model = quick(cls, tol=1e9, n_iter_no_change=2, max_iter=50, **params)
    assert model.fit(X, y).n_iter_ == n_epochs


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("tol", "n_iter_no_change"), [(0.02, 3), (0.001, 2), (10.0, 1)])
def test_training_stops_after_n_iter_no_change_epochs_without_progress(
    cls, X, y, early_stopping, tol, n_iter_no_change
):
    # An epoch has at least 30 updates, so that each counts as one.
    params = {"max_iter": 300, "early_stopping": early_stopping, "learning_rate_init": 0.01}
    estimator = quick(cls, batch_size=1, tol=tol, n_iter_no_change=n_iter_no_change, **params).fit(
        X, y
    )
    scores = estimator.validation_scores_ if early_stopping else np.negative(estimator.loss_curve_)
    assert 1 < estimator.n_iter_ < 300
    assert len(scores) == estimator.n_iter_ == stops_after(scores, tol, n_iter_no_change)


@pytest.mark.parametrize(("batch_size", "n_updates"), [(10, 3), (5, 6), (1, 30)])
def test_as_many_epochs_as_make_30_updates_count_as_one(cls, batch_size, n_updates):
    X = make_sequences("dense", n_samples=30)
    y = make_target(cls, X)
    params = {"tol": 1e6, "n_iter_no_change": 2, "max_iter": 100, "early_stopping": False}
    estimator = quick(cls, batch_size=batch_size, **params).fit(X, y)
    assert estimator.n_iter_ == 1 + 2 * (30 // n_updates) + 1


def test_an_infinite_n_iter_no_change_never_stops_training(cls, X, y):
    estimator = quick(cls, max_iter=30, tol=10.0, n_iter_no_change=np.inf).fit(X, y)
    assert estimator.n_iter_ == 30


@pytest.mark.filterwarnings("error")
def test_fit_warns_if_training_has_not_converged(cls, X, y):
    estimator = quick(cls)
    with pytest.warns(ConvergenceWarning, match=r"3 epochs \(max_iter\)") as caught:
        estimator.fit(X, y)
    assert caught[0].filename == __file__
    # No warning after convergence, and none from partial_fit.
    quick(cls, max_iter=20, tol=10.0).fit(X, y)
    partial_fit(quick(cls), X, y)


# Early stopping.


def test_early_stopping_keeps_the_best_weights(cls, X, y):
    params = {"early_stopping": True, "learning_rate_init": 0.05, "validation_fraction": 0.3}
    params["validation_split"] = "last"
    estimator = quick(cls, linear_skip=0, max_iter=40, n_iter_no_change=5, **params).fit(X, y)
    scores = estimator.validation_scores_
    assert estimator.best_iter_ == np.argmax(scores) + 1 < estimator.n_iter_
    assert estimator.best_validation_score_ == max(scores)
    assert estimator.score(X[-9:], y[-9:]) == pytest.approx(max(scores), rel=1e-12)
    assert estimator.best_loss_ is None
    # Training that ends with the best epoch gives the same weights.
    shorter = quick(cls, linear_skip=0, max_iter=estimator.best_iter_, **params).fit(X, y)
    for ours, theirs in zip(estimator.coefs_, shorter.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_validation_score_is_weighted(cls, X, y):
    weights = np.linspace(0, 3, len(X))
    params = {"early_stopping": True, "validation_fraction": 0.3, "validation_split": "last"}
    estimator = quick(cls, linear_skip=0, max_iter=20, **params).fit(X, y, sample_weight=weights)
    score = estimator.score(X[-9:], y[-9:], sample_weight=weights[-9:])
    assert estimator.best_validation_score_ == pytest.approx(score, rel=1e-12)
    assert score != pytest.approx(estimator.score(X[-9:], y[-9:]))


def test_rows_of_the_validation_set_are_not_trained_on(cls, X, y):
    params = {"early_stopping": True, "validation_fraction": 0.2, "validation_split": "last"}
    estimator = quick(cls, batch_size=24, n_iter_no_change=np.inf, **params)
    if cls is LSTMRegressor:
        estimator.set_params(normalize_y=False)
    # The best epoch depends on the validation set, but the losses do not.
    others = X.copy()
    others[-6:] = make_sequences("dense", n_samples=6, seed=5)
    losses = estimator.fit(X, y).loss_curve_
    assert clone(estimator).fit(others, y).loss_curve_ == losses
    others[-7] = others[-1]
    assert clone(estimator).fit(others, y).loss_curve_ != losses
    assert estimator.t_ == 3 * 24


def test_the_default_split_is_last_for_a_regressor_and_random_for_a_classifier(cls):
    assert cls().validation_split == ("last" if cls is LSTMRegressor else "random")


def test_random_validation_rows_depend_on_the_random_state(cls, X, y):
    params = {"early_stopping": True, "validation_fraction": 0.3, "validation_split": "random"}
    fits = [quick(cls, random_state=seed, **params).fit(X, y) for seed in (0, 0, 1)]
    assert_same_fit(fits[0], fits[1])
    assert fits[0].validation_scores_ == fits[1].validation_scores_ != fits[2].validation_scores_


def test_partial_fit_with_early_stopping_raises(cls, X, y):
    estimator = quick(cls, early_stopping=True)
    with Unchanged(estimator, X, y), pytest.raises(ValueError, match="early_stopping=True"):
        partial_fit(estimator, X, y)


@pytest.mark.parametrize("weights", [None, np.repeat([1.0, 0.0], [10, 20])])
def test_a_validation_set_that_is_too_small_raises(cls, X, y, weights):
    fraction = 0.01 if weights is None else 0.1
    estimator = quick(cls, early_stopping=True, validation_split="last")
    estimator.set_params(validation_fraction=fraction)
    with pytest.raises(ValueError, match="increase validation_fraction"):
        estimator.fit(X, y, sample_weight=weights)


def test_too_few_training_rows_with_a_weight_raise(cls, X, y):
    estimator = quick(cls, early_stopping=True, validation_split="last", validation_fraction=0.3)
    estimator.set_params(validation_gap=6)
    weights = np.repeat([0.0, 1.0], [21, 9])
    with Unchanged(estimator, X, y, weights), pytest.raises(ValueError, match="weight"):
        estimator.fit(X, y, sample_weight=weights)


# Continuing: partial_fit, warm_start, pickles.


def test_partial_fits_equal_the_epochs_of_a_fit(cls, X, y):
    whole, parts = quick(cls, max_iter=4).fit(X, y), quick(cls)
    for k in range(1, 5):
        assert partial_fit(parts, X, y) is parts
        assert parts.n_iter_ == len(parts.loss_curve_) == k
    assert_same_fit(parts, whole)
    assert parts.best_loss_ == whole.best_loss_


def test_many_partial_fits_keep_the_last_epochs_in_the_curves(cls, X, y, monkeypatch):
    monkeypatch.setattr(training, "_N_EPOCHS_KEPT", 3)
    whole, parts, sizes = quick(cls, max_iter=8).fit(X, y), quick(cls), []
    for _ in range(8):
        sizes.append(len(pickle.dumps(partial_fit(parts, X, y))))
    assert parts.loss_curve_ == whole.loss_curve_[-4:]
    assert parts.learning_rate_curve_ == whole.learning_rate_curve_[-4:]
    assert (parts.n_iter_, parts.t_, parts.best_loss_) == (8, whole.t_, whole.best_loss_)
    for ours, theirs in zip(parts.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sizes[-1] < sizes[3] + 20


def test_a_pickle_contains_the_state_of_the_optimizer(cls, X, y):
    estimator = partial_fit(quick(cls), X, y)
    loaded = pickle.loads(pickle.dumps(estimator))
    for _ in range(2):
        assert_same_fit(partial_fit(loaded, X, y), partial_fit(estimator, X, y))


def test_partial_fit_after_fit_continues_training(cls, X, y):
    estimator = partial_fit(quick(cls, max_iter=2).fit(X, y), X, y)
    assert_same_fit(estimator, quick(cls, max_iter=3).fit(X, y))


def test_fit_starts_again(cls, X, y):
    estimator = partial_fit(quick(cls), X, y)
    assert_same_fit(estimator.fit(X, y), quick(cls).fit(X, y))


def test_warm_start_continues_training(cls, X, y):
    estimator = quick(cls, max_iter=2, warm_start=True).fit(X, y).fit(X, y)
    assert_same_fit(estimator, quick(cls, max_iter=4).fit(X, y))


def test_warm_start_resets_the_count_of_epochs_without_progress(cls, X, y):
    params = {"max_iter": 300, "tol": 0.02, "n_iter_no_change": 5, "learning_rate_init": 0.03}
    estimator = quick(cls, warm_start=True, **params).fit(X, y)
    before = estimator.n_iter_
    assert before < 300
    estimator.fit(X, y)
    assert estimator.n_iter_ > before + 5


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 1.0},
        {"batch_size": 7},
        {"learning_rate_init": 0.1},
        {"shuffle": False},
        {"max_grad_norm": 0.01},
        {"beta_1": 0.5},
        {"beta_2": 0.5},
        {"epsilon": 0.1},
    ],
    ids=lambda changed: "-".join(changed),
)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_continued_training_uses_the_new_parameters(cls, X, y, changed, call):
    estimator = quick(cls, warm_start=True).fit(X, y)
    other = copy.deepcopy(estimator).set_params(**changed)
    for each in (estimator, other):
        each.fit(X, y) if call == "fit" else partial_fit(each, X, y)
    assert not np.allclose(estimator.coefs_[0], other.coefs_[0], atol=1e-6)


def test_warm_start_with_early_stopping_continues_the_score_curve(cls, X, y):
    params = {"early_stopping": True, "validation_fraction": 0.3, "validation_split": "last"}
    estimator = quick(cls, warm_start=True, **params).fit(X, y).fit(X, y)
    scores = estimator.validation_scores_
    assert len(scores) == estimator.n_iter_ == 6
    assert scores[estimator.best_iter_ - 1] == estimator.best_validation_score_
    assert estimator.score(X[-9:], y[-9:]) == pytest.approx(estimator.best_validation_score_)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_continuing_with_other_layer_sizes_raises(cls, X, y, call):
    estimator = quick(cls, warm_start=True).fit(X, y).set_params(hidden_layer_sizes=(4, 4))
    with (
        Unchanged(estimator, X, y),
        pytest.raises(ValueError, match=r"now \(4, 4\).*network .*\(4,\)"),
    ):
        estimator.fit(X, y) if call == "fit" else partial_fit(estimator, X, y)
    estimator.set_params(warm_start=False).fit(X, y)
    assert len(estimator.coefs_) == 5


# Weights.


# Training amplifies the rounding of a ridge.
@pytest.mark.parametrize(("linear_skip", "rtol"), [(0, 1e-10), ("auto", 1e-8)])
def test_weights_equal_repetition(cls, X, y, linear_skip, rtol):
    weights = np.arange(len(X)) % 4
    X_repeated, y_repeated = X.repeat(weights, axis=0), y.repeat(weights)
    params = {"linear_skip": linear_skip, "batch_size": 100, "max_iter": 20}
    params["early_stopping"] = False  # which samples are set aside depends on their number
    weighted = quick(cls, **params).fit(X, y, sample_weight=weights)
    repeated = quick(cls, **params).fit(X_repeated, y_repeated)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=100 * rtol)


def test_a_weight_of_zero_equals_removal(cls, X, y):
    weights = np.r_[np.ones(20), np.zeros(10)]
    weighted = quick(cls, batch_size=100, max_iter=20).fit(X, y, sample_weight=weights)
    removed = quick(cls, batch_size=100, max_iter=20).fit(X[:20], y[:20])
    np.testing.assert_allclose(weighted.loss_curve_, removed.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(outputs(weighted, X), outputs(removed, X), rtol=1e-8)


def test_batches_without_weight_are_skipped(cls, X, y):
    weights = np.r_[np.ones(16), np.zeros(8)]
    params = {"shuffle": False, "batch_size": 8, "max_iter": 3}
    weighted = quick(cls, linear_skip=0, **params).fit(X[:24], y[:24], sample_weight=weights)
    removed = quick(cls, linear_skip=0, **params).fit(X[:16], y[:16])
    np.testing.assert_allclose(weighted.loss_curve_, removed.loss_curve_, rtol=1e-12)


def test_weights_of_one_equal_no_weights(cls, X, y):
    estimator = quick(cls).fit(X, y)
    for ones in (np.ones(len(X)), [1] * len(X), 1):
        assert_same_fit(quick(cls).fit(X, y, sample_weight=ones), estimator)
    weighted = partial_fit(quick(cls), X, y, sample_weight=np.ones(len(X)))
    assert_same_fit(weighted, partial_fit(quick(cls), X, y))


def test_only_the_ratio_of_weights_matters_without_a_ridge(cls, X, y):
    weights = np.linspace(1, 2, len(X))
    fits = [
        quick(cls, linear_skip=0, alpha=0).fit(X, y, sample_weight=scale * weights)
        for scale in (1, 1e6)
    ]
    np.testing.assert_allclose(outputs(fits[0], X), outputs(fits[1], X), rtol=1e-9)


# Interrupts.


def interrupt(monkeypatch, owner, name, call):
    """Make the given call of a method raise KeyboardInterrupt."""
    original, calls = getattr(owner, name), iter(range(1, 10**6))

    def method(*args, **kwargs):
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, method)


@pytest.mark.filterwarnings("error")
def test_an_interrupted_fit_keeps_the_complete_epochs(cls, X, y, monkeypatch):
    partial_fit(partial_fit(two_epochs := quick(cls), X, y), X, y)
    interrupt(monkeypatch, Trainer, "epoch", call=3)
    with pytest.warns(UserWarning, match="interrupted") as caught:
        estimator = quick(cls, max_iter=50).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_same_fit(estimator, two_epochs)


@pytest.mark.filterwarnings("error")
def test_an_interrupted_fit_is_kept_if_warnings_are_errors(cls, X, y, monkeypatch):
    interrupt(monkeypatch, Trainer, "epoch", call=3)
    estimator = quick(cls, max_iter=50)
    with pytest.raises(UserWarning, match="interrupted"):
        estimator.fit(X, y)
    assert estimator.n_iter_ == 2


def test_an_interrupt_within_an_epoch_keeps_its_updates(cls, X, y, monkeypatch):
    first = quick(cls, max_iter=1).fit(X, y)
    interrupt(monkeypatch, Network, "add_gradient", call=7)  # the third of four batches
    with pytest.warns(UserWarning, match="interrupted"):
        estimator = quick(cls, max_iter=50).fit(X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    assert not np.array_equal(estimator.coefs_[0], first.coefs_[0])
    partial_fit(estimator, X, y)


def test_an_interrupt_in_the_first_epoch_leaves_a_fitted_estimator(cls, X, y, monkeypatch):
    interrupt(monkeypatch, Trainer, "epoch", call=1)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator = quick(cls, early_stopping=True).fit(X, y)
    assert estimator.n_iter_ == 0
    assert len(estimator.predict(X)) == len(X)


def test_an_interrupted_fit_with_early_stopping_keeps_the_best_weights(cls, X, y, monkeypatch):
    params = {"early_stopping": True, "validation_fraction": 0.3, "validation_split": "last"}
    interrupt(monkeypatch, Trainer, "epoch", call=6)
    with pytest.warns(UserWarning, match="interrupted"):
        estimator = quick(cls, linear_skip=0, max_iter=50, learning_rate_init=0.1, **params).fit(
            X, y
        )
    assert len(estimator.validation_scores_) == estimator.n_iter_ == 5
    assert estimator.score(X[-9:], y[-9:]) == pytest.approx(max(estimator.validation_scores_))


# Errors change nothing.


@pytest.mark.parametrize("call", ["fit", "partial_fit", "warm fit"])
def test_training_that_diverges_changes_nothing(cls, X, y, call):
    estimator = partial_fit(quick(cls), X, y)
    estimator.set_params(
        learning_rate_init=1e300, max_grad_norm=None, warm_start=call == "warm fit"
    )
    with (
        Unchanged(estimator, X, y),
        pytest.raises(ValueError, match=r"(?s)diverged.*Lower learning_rate_init \(now 1e\+300\)"),
    ):
        partial_fit(estimator, X, y) if call == "partial_fit" else estimator.fit(X, y)
    # Training continues as if the error had not occurred.
    estimator.set_params(**quick(cls).get_params())
    expected = partial_fit(partial_fit(quick(cls), X, y), X, y)
    assert_same_fit(partial_fit(estimator, X, y), expected)


def test_a_first_fit_that_diverges_leaves_the_estimator_unfitted(cls, X, y):
    estimator = quick(cls, learning_rate_init=1e300, max_grad_norm=None)
    with Unchanged(estimator, X, y), pytest.raises(ValueError, match="diverged in epoch 1"):
        estimator.fit(X, y)
    assert re.fullmatch(r"LSTM\w+\(.*\)", repr(estimator), flags=re.DOTALL)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_an_error_during_training_changes_nothing(cls, X, y, monkeypatch):
    estimator = quick(cls, max_iter=5).fit(X, y)

    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(Trainer, "epoch", fail)
    for call in (estimator.fit, lambda X, y: partial_fit(estimator, X, y)):
        with Unchanged(estimator, X, y), pytest.raises(MemoryError):
            call(X, y)


def test_training_a_copy_does_not_change_the_original(cls, X, y):
    estimator = quick(cls).fit(X, y)
    other = copy.copy(estimator)
    with Unchanged(estimator):
        partial_fit(other, X, y)
        other.fit(X, y)


def test_divergence_in_the_last_update_raises(cls, X, y):
    X = X.astype(np.float32)
    estimator = partial_fit(quick(cls, batch_size=1000), X, y)
    before = outputs(estimator, X)
    estimator.set_params(learning_rate_init=1e39, max_grad_norm=None)
    with pytest.raises(ValueError, match="largest weight"):
        partial_fit(estimator, X, y)
    np.testing.assert_array_equal(outputs(estimator, X), before)


def test_fit_without_early_stopping_resets_the_validation_scores(cls, X, y):
    estimator = quick(cls, early_stopping=True, validation_fraction=0.3, warm_start=True).fit(X, y)
    estimator.set_params(early_stopping=False).fit(X, y)
    assert estimator.validation_scores_ is None
    assert estimator.best_validation_score_ is None
    assert estimator.best_iter_ is None


def test_the_dtype_parameter_can_be_a_numpy_dtype(cls, X, y):
    assert quick(cls, dtype=np.dtype("float32")).fit(X, y).coefs_[0].dtype == np.float32
