"""The effect of each option on a fit: losses, dropout, directions, schedules, class weights."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from support.data import (
    ESTIMATORS,
    FORMS,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
)
from support.plain import plain

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.base import fitted_copy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

X = make_sequences("missing", n_samples=30)

LOSSES = [
    {"loss": "squared_error"},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "poisson"},
    {"loss": "quantile", "quantile": 0.1},
    {"loss": "quantile", "quantile": 0.8},
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["loss"])
DROPOUTS = [
    {"dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"dropout": 0.5, "recurrent_dropout": 0.2},
]
every_dropout = pytest.mark.parametrize("dropouts", DROPOUTS, ids="-".join)


def make_target_for(loss, X):
    """Return a target that suits the loss: counts for "poisson"."""
    y = make_target(LSTMRegressor, X)
    return np.exp(y / 3).round() if loss["loss"] == "poisson" else y


def with_weights(estimator, coefs, intercepts):
    """Return a copy of a fitted estimator that predicts with other weights."""
    model = estimator.__sklstm_model__()
    return fitted_copy(estimator, model.with_parameters(model.network.pack(coefs, intercepts)))


# Learning rates.


@both
def test_a_constant_learning_rate_is_learning_rate_init(cls):
    estimator = quick(cls, learning_rate_init=0.02).fit(X, make_target(cls, X))
    assert estimator.learning_rate_curve_ == [0.02] * 3


@both
def test_a_cosine_learning_rate_restarts_every_max_iter_epochs(cls):
    y = make_target(cls, X)
    params = {"learning_rate": "cosine", "learning_rate_init": 0.02, "max_iter": 8}
    estimator = quick(cls, warm_start=True, **params).fit(X, y)
    expected = 0.02 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2
    np.testing.assert_allclose(estimator.learning_rate_curve_, expected, rtol=1e-14)
    # It starts again in the next fit, and in partial_fit after max_iter epochs.
    partial_fit(estimator.fit(X, y), X, y)
    expected = [*expected, *expected, 0.02]
    np.testing.assert_allclose(estimator.learning_rate_curve_, expected, rtol=1e-14)


@both
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_adaptive_learning_rate_is_reduced_instead_of_stopping(cls, early_stopping):
    y = make_target(cls, X)
    params = {"learning_rate_init": 0.05, "early_stopping": early_stopping, "max_iter": 500}
    params |= {"tol": 0.02, "n_iter_no_change": 2, "batch_size": 1}
    constant = quick(cls, **params).fit(X, y)
    estimator = quick(cls, learning_rate="adaptive", **params).fit(X, y)

    # The rule of scikit-learn's MLP, applied to the scores.
    scores = estimator.validation_scores_ or np.negative(estimator.loss_curve_)
    rate, best, stalled, expected = 0.05, -np.inf, 0, []
    for score in scores:
        expected.append(rate)
        stalled = stalled + 1 if score < best + 0.02 else 0
        best = max(best, score)
        if stalled > 2:
            is_least = rate <= 1e-6
            rate, stalled = rate / 5, 0
    np.testing.assert_allclose(estimator.learning_rate_curve_, expected, rtol=1e-12)
    assert is_least
    assert estimator.n_iter_ < 500
    assert 1e-6 / 5 < estimator.learning_rate_curve_[-1] <= 1e-6
    # Until the first reduction, the fit equals that with a constant learning rate.
    assert estimator.loss_curve_[: constant.n_iter_] == constant.loss_curve_
    assert estimator.learning_rate_curve_[constant.n_iter_] == pytest.approx(0.01)


def test_an_adaptive_learning_rate_starts_again_with_each_fit():
    y = make_target(LSTMRegressor, X)
    params = {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 4}
    params["batch_size"] = 1  # 30 updates: each epoch counts as one
    estimator = quick(LSTMRegressor, learning_rate_init=0.02, warm_start=True, **params)
    estimator.fit(X, y).fit(X, y)
    np.testing.assert_allclose(
        estimator.learning_rate_curve_, np.tile([0.02, 0.02, 0.02, 0.004], 2), rtol=1e-12
    )


@both
@pytest.mark.parametrize("schedule", ["adaptive", "cosine"])
def test_learning_rate_curve_holds_the_rates_of_the_updates(cls, schedule):
    y = make_target(cls, X)
    params = {"learning_rate_init": 0.05, "tol": 10.0, "n_iter_no_change": 1, "max_iter": 7}
    params["batch_size"] = 1  # 30 updates: each epoch counts as one
    scheduled = quick(cls, learning_rate=schedule, **params).fit(X, y)
    by_hand = quick(cls, batch_size=1)
    for rate in scheduled.learning_rate_curve_:
        partial_fit(by_hand.set_params(learning_rate_init=rate), X, y)
    assert len(set(scheduled.learning_rate_curve_)) > 2
    assert_same_fit(scheduled, by_hand)


# Dropout.


@both
@every_dropout
def test_dropout_does_not_affect_prediction(cls, dropouts):
    y = make_target(cls, X)
    estimator = quick(cls, linear_skip=0, hidden_layer_sizes=(4, 3), **dropouts).fit(X, y)
    before = outputs(estimator, X)
    np.testing.assert_array_equal(outputs(estimator, X), before)
    plain = quick(cls, linear_skip=0, hidden_layer_sizes=(4, 3)).fit(X, y)
    same_weights = with_weights(plain, estimator.coefs_, estimator.intercepts_)
    np.testing.assert_array_equal(outputs(same_weights, X), before)


@both
@every_dropout
def test_dropout_is_reproducible_and_has_an_effect(cls, dropouts):
    y = make_target(cls, X)
    estimator = quick(cls, **dropouts).fit(X, y)
    assert_same_fit(quick(cls, **dropouts).fit(X, y), estimator)
    plain, other = quick(cls).fit(X, y), quick(cls, random_state=1, **dropouts).fit(X, y)
    assert estimator.loss_curve_[0] != plain.loss_curve_[0] != other.loss_curve_[0]
    # The initial weights are the same, the trained weights differ.
    assert not np.allclose(estimator.coefs_[0], plain.coefs_[0], atol=1e-6)


@both
def test_a_dropout_of_zero_equals_no_dropout(cls):
    y = make_target(cls, X)
    zero = quick(cls, dropout=0, recurrent_dropout=0.0).fit(X, y)
    assert_same_fit(zero, quick(cls).fit(X, y))


@both
def test_each_batch_has_new_dropout_masks(cls):
    y = make_target(cls, X)
    params = {"dropout": 0.5, "learning_rate_init": 1e-300, "batch_size": 30, "alpha": 0}
    params["linear_skip"] = 0  # a ridge starts with a head that does not read the LSTM
    estimator = quick(cls, shuffle=False, max_iter=4, n_iter_no_change=np.inf, **params).fit(X, y)
    assert len(set(estimator.loss_curve_)) == 4


@pytest.mark.slow
def test_dropout_reduces_overfitting_of_noise():
    rng = np.random.RandomState(0)
    noise, y = rng.normal(size=(24, 4, 2)), rng.normal(size=24)
    params = {"hidden_layer_sizes": 16, "max_iter": 200, "learning_rate_init": 0.02}
    plain, dropped = (
        quick(LSTMRegressor, dropout=fraction, n_iter_no_change=np.inf, **params).fit(noise, y)
        for fraction in (0.0, 0.5)
    )
    assert plain.score(noise, y) > 0.99
    assert 1 - dropped.score(noise, y) > 10 * (1 - plain.score(noise, y))


# Both directions.


@both
@pytest.mark.parametrize("form", FORMS)
def test_a_bidirectional_network_has_weights_for_both_directions(cls, form):
    X = make_sequences(form)
    estimator = plain(cls, hidden_layer_sizes=(4, 3), bidirectional=True).fit(
        X, make_target(cls, X)
    )
    n_outputs = estimator.n_outputs_
    assert [W.shape for W in estimator.coefs_] == [
        *[(16, 2), (16, 4)] * 2,
        *[(12, 8), (12, 3)] * 2,
        (n_outputs, 6),
    ]
    assert [b.shape for b in estimator.intercepts_] == [*[(16,)] * 2, *[(12,)] * 2, (n_outputs,)]
    sizes = [array.size for array in estimator.coefs_ + estimator.intercepts_]
    assert estimator.n_parameters_ == sum(sizes)
    # The prediction for a sequence does not depend on the other sequences.
    for k in (0, 7):
        alone = outputs(estimator, X[k : k + 1])
        np.testing.assert_allclose(alone, outputs(estimator, X)[k : k + 1], rtol=1e-12)


def test_swapping_the_directions_equals_reversing_time():
    X = make_sequences("dense")
    estimator = plain(LSTMRegressor, bidirectional=True).fit(X, make_target(LSTMRegressor, X))
    expected = estimator.predict(X)
    forward_x, forward_h, backward_x, backward_h, head = estimator.coefs_
    forward_b, backward_b, head_b = estimator.intercepts_
    coefs = [backward_x, backward_h, forward_x, forward_h, np.roll(head, 4, axis=1)]
    swapped = with_weights(estimator, coefs, [backward_b, forward_b, head_b])
    np.testing.assert_allclose(swapped.predict(X[:, ::-1]), expected, rtol=1e-12)


# Losses.


@pytest.mark.slow
@every_loss
@pytest.mark.parametrize("normalize_y", [True, False])
def test_each_loss_decreases_in_training_with_several_outputs(loss, normalize_y):
    y = make_target_for(loss, X)
    Y = np.column_stack([y, y[::-1], y + 1])
    params = {"max_iter": 80, "learning_rate_init": 0.02, "normalize_y": normalize_y}
    estimator = quick(LSTMRegressor, **params, **loss).fit(X, Y)
    assert estimator.predict(X).shape == Y.shape
    assert estimator.n_outputs_ == 3
    assert estimator.loss_ < 0.7 * estimator.loss_curve_[0]
    single = quick(LSTMRegressor, **params, **loss).fit(X, Y[:, :1]).predict(X)
    assert single.shape == (30, 1)


@every_loss
@pytest.mark.parametrize("normalize_y", [True, False])
def test_weights_equal_repetition_for_each_loss(loss, normalize_y):
    y = make_target_for(loss, X)
    weights = np.arange(len(X)) % 4
    params = {"batch_size": 100, "max_iter": 20, "normalize_y": normalize_y, "bidirectional": True}
    params["early_stopping"] = False  # which samples are set aside depends on their number
    weighted = quick(LSTMRegressor, linear_skip=0, **params, **loss).fit(
        X, y, sample_weight=weights
    )
    repeated = quick(LSTMRegressor, linear_skip=0, **params, **loss)
    repeated.fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)


@pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES if loss["loss"] != "poisson"], ids=lambda loss: loss["loss"]
)
@pytest.mark.parametrize(("scale", "shift"), [(1e3, -7e3), (1e-3, 2.0)])
def test_predictions_scale_and_shift_with_the_target(loss, scale, shift):
    y = make_target(LSTMRegressor, X)
    Y = np.column_stack([y, y[::-1]])
    plain = quick(LSTMRegressor, **loss).fit(X, Y).predict(X)
    other = quick(LSTMRegressor, **loss).fit(X, scale * Y + shift).predict(X)
    np.testing.assert_allclose(other, scale * plain + shift, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_poisson_predictions_scale_with_the_target(scale):
    # With a log link, the target is scaled but not shifted.
    y = make_target_for({"loss": "poisson"}, X)
    plain = quick(LSTMRegressor, loss="poisson").fit(X, y).predict(X)
    other = quick(LSTMRegressor, loss="poisson").fit(X, scale * y).predict(X)
    np.testing.assert_allclose(other, scale * plain, rtol=1e-7)


def test_a_quantile_of_y_is_the_opposite_quantile_of_minus_y():
    X = make_sequences("missing", n_samples=29)  # an odd number, so that the median is one of them
    y = make_target(LSTMRegressor, X)
    params = {"loss": "quantile", "max_iter": 1, "batch_size": 30}
    low = plain(LSTMRegressor, quantile=0.1, **params).fit(X, y)
    high = plain(LSTMRegressor, quantile=0.9, **params).fit(X, -y)
    # The same network with the signs of the head reversed.
    *coefs, head = low.coefs_
    *intercepts, head_b = low.intercepts_
    high = with_weights(high, [*coefs, -head], [*intercepts, -head_b])
    np.testing.assert_allclose(high.predict(X), -low.predict(X), rtol=1e-12)
    loss = low.partial_fit(X, y).loss_
    assert high.partial_fit(X, -y).loss_ == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("normalize_y", [True, False])
def test_poisson_predictions_are_positive_and_have_the_mean_of_the_target(normalize_y):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 4, 1))
    y = rng.poisson(np.exp(1 + 0.5 * X.sum(axis=(1, 2))))
    params = {"loss": "poisson", "max_iter": 60, "learning_rate_init": 0.01, "alpha": 0.0}
    estimator = quick(LSTMRegressor, normalize_y=normalize_y, batch_size=50, **params).fit(X, y)
    predicted = estimator.predict(X)
    assert estimator.out_activation_ == "exponential"
    assert (predicted > 0).all()
    # At the minimum of the deviance, the bias makes the means equal.
    assert predicted.mean() == pytest.approx(y.mean(), rel=0.05)
    assert estimator.score(X, y) > 0.5


@pytest.mark.slow
def test_absolute_error_and_huber_are_robust_to_outliers():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 4, 1))
    y = X.sum(axis=(1, 2))
    y_bad = y.copy()
    y_bad[::10] = 50.0
    errors = {}
    for loss in ("squared_error", "huber", "absolute_error"):
        params = {"hidden_layer_sizes": 8, "max_iter": 60, "learning_rate_init": 0.02}
        estimator = quick(LSTMRegressor, loss=loss, batch_size=32, **params).fit(X, y_bad)
        errors[loss] = mean_absolute_error(y, estimator.predict(X))
    assert errors["absolute_error"] < 0.3 * errors["squared_error"]
    assert errors["huber"] < 0.8 * errors["squared_error"]


def test_the_quantile_loss_at_one_half_is_half_the_absolute_error():
    y = make_target(LSTMRegressor, X)
    params = {"alpha": 0.0, "max_grad_norm": None, "epsilon": 1e-300}
    half = quick(LSTMRegressor, loss="quantile", quantile=0.5, **params).fit(X, y)
    absolute = quick(LSTMRegressor, loss="absolute_error", **params).fit(X, y)
    np.testing.assert_allclose(2 * np.array(half.loss_curve_), absolute.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(half.predict(X), absolute.predict(X), rtol=1e-7)


@every_loss
def test_early_stopping_scores_by_the_deviance_of_the_loss(loss):
    y = make_target_for(loss, X)
    Y = np.column_stack([y, y[::-1]])
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 30}
    estimator = quick(LSTMRegressor, linear_skip=0, learning_rate_init=0.02, **params, **loss).fit(
        X, Y
    )
    predicted, true = estimator.predict(X)[-9:], Y[-9:]

    def deviance(predicted):
        error = true - predicted
        if loss["loss"] == "squared_error":
            return np.square(error).sum(axis=0)
        if loss["loss"] == "poisson":
            with np.errstate(all="ignore"):
                log = np.where(true > 0, true * np.log(true / predicted), 0)
            return (log - error).sum(axis=0)
        q = loss.get("quantile", 0.5)
        return np.maximum(q * error, (q - 1) * error).sum(axis=0)

    # The fraction of deviance explained. The best constant is the mean or one of the targets.
    least = np.min([deviance(constant) for constant in (*true, true.mean(axis=0))], axis=0)
    expected = np.mean(1 - deviance(predicted) / least)
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)


# Class weights.

THREE = make_target(LSTMClassifier, X)
LABELS = np.column_stack([THREE == "low", THREE != "top", np.arange(30) % 4 == 0]).astype(int)


def classifier(**params):
    return quick(LSTMClassifier, **params)


@pytest.mark.parametrize(
    "class_weight", ["balanced", {"low": 3.0, "mid": 0.5, "top": 1}, {"top": 2.5}]
)
@pytest.mark.parametrize(
    "sample_weight", [None, np.linspace(0.1, 2, 30)], ids=["plain", "weighted"]
)
def test_class_weights_multiply_sample_weights(class_weight, sample_weight):
    y = np.where(THREE == "mid", THREE, np.where(np.arange(30) % 3 == 0, "low", "top"))
    weights = compute_sample_weight(class_weight, y)
    expected = classifier().fit(
        X, y, sample_weight=weights if sample_weight is None else sample_weight * weights
    )
    estimator = classifier(class_weight=class_weight).fit(X, y, sample_weight=sample_weight)
    assert_same_fit(estimator, expected)
    assert estimator.loss_curve_ != classifier().fit(X, y, sample_weight=sample_weight).loss_curve_


def test_class_weights_of_two_classes_equal_sample_weights():
    y = (np.arange(30) % 5 == 0).astype(int)
    weights = np.where(y == 1, 4.0, 1.0)
    estimator = classifier(class_weight={1: 4.0}).fit(X, y)
    assert_same_fit(estimator, classifier().fit(X, y, sample_weight=weights))


@pytest.mark.parametrize(
    "class_weight",
    ["balanced", {0: 1.0, 1: 3.0}, [{0: 1, 1: 2}, {0: 0.5, 1: 1}, {0: 1, 1: 5}]],
    ids=["balanced", "dict", "list"],
)
def test_class_weights_of_a_multilabel_target_multiply_over_labels(class_weight):
    each = class_weight if isinstance(class_weight, list) else [class_weight] * 3
    weights = np.prod(
        [compute_sample_weight(w, column) for w, column in zip(each, LABELS.T, strict=True)], axis=0
    )
    estimator = classifier(class_weight=class_weight).fit(X, LABELS)
    assert_same_fit(estimator, classifier().fit(X, LABELS, sample_weight=weights))


def test_class_weights_apply_in_partial_fit():
    class_weight = {"low": 3.0, "mid": 0.5, "top": 1.0}
    estimator = classifier(class_weight=class_weight)
    expected = classifier()
    for rows in (slice(10), slice(10, 30)):
        partial_fit(estimator, X[rows], THREE[rows], classes=["low", "mid", "top"])
        weights = compute_sample_weight(class_weight, THREE[rows])
        partial_fit(
            expected, X[rows], THREE[rows], classes=["low", "mid", "top"], sample_weight=weights
        )
    assert_same_fit(estimator, expected)


def test_partial_fit_accepts_class_weights_for_an_absent_class():
    rows = THREE != "low"
    estimator = classifier(class_weight={"low": 3.0}).fit(X, THREE)
    expected = classifier().fit(X, THREE, sample_weight=np.where(THREE == "low", 3.0, 1.0))
    estimator.partial_fit(X[rows], THREE[rows])
    assert_same_fit(estimator, expected.partial_fit(X[rows], THREE[rows]))


def test_partial_fit_accepts_class_weights_for_an_absent_label():
    rows = LABELS[:, 2] == 0
    estimator = classifier(class_weight={1: 3.0}).fit(X, LABELS)
    expected = classifier(class_weight={0: 1.0, 1: 3.0}).fit(X, LABELS)
    estimator.partial_fit(X[rows], LABELS[rows])
    weights = 3.0 ** LABELS[rows].sum(axis=1)
    expected.set_params(class_weight=None).partial_fit(X[rows], LABELS[rows], sample_weight=weights)
    assert_same_fit(estimator, expected)


def test_explicit_balanced_weights_in_partial_fit_equal_balanced_in_fit():
    classes = np.unique(THREE)
    weights = compute_class_weight("balanced", classes=classes, y=THREE)
    as_dict = dict(zip(classes.tolist(), weights.tolist(), strict=True))
    balanced = classifier(class_weight="balanced", max_iter=1).fit(X, THREE)
    assert_same_fit(partial_fit(classifier(class_weight=as_dict), X, THREE), balanced)


def test_balanced_class_weights_give_a_rare_class_equal_probability():
    # Without any time step, the network learns only the class frequencies.
    nothing = np.full((40, 3, 1), np.nan)
    y = np.repeat(["rare", "usual"], [4, 36])
    params = {"max_iter": 150, "learning_rate_init": 0.05, "alpha": 0.0, "batch_size": 40}
    plain, balanced = (
        classifier(class_weight=weight, n_iter_no_change=np.inf, **params)
        .fit(nothing, y)
        .predict_proba(nothing[:1])[0, 0]
        for weight in (None, "balanced")
    )
    assert plain == pytest.approx(0.1, abs=0.02)
    assert balanced == pytest.approx(0.5, abs=0.02)
