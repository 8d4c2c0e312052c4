"""The linear part: the ridge that it starts as, and how much of the LSTM is added to it.

The truth is scikit-learn's Ridge, and generalised cross-validation from the hat matrix.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge as SklearnRidge

from sklstm.nn import AbsoluteError, PinballLoss, SquaredError
from sklstm.nn.linear import (
    _N_DOUBTS,
    Gram,
    Ridge,
    autocorrelation,
    drift,
    lstm_fraction,
    mixture,
    recent_steps,
    with_ridge,
)
from sklstm.nn.network import Network
from sklstm.nn.prediction import raw_outputs
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import DenseSequences, RaggedSequences
from sklstm.nn.threads import ThreadPool

PENALTIES = np.logspace(-6, 6, 49)  # per unit of weight


def as_sequences(Z):
    """Return sequences of a single step whose features are the columns, read as they are."""
    n_inputs = Z.shape[1]
    recent = RecentSteps(1, np.zeros(n_inputs), np.ones(n_inputs))
    return DenseSequences(Z[:, np.newaxis], has_missing=False), recent


def solve(Z, y, weights=None, n_blocks=1):
    """Return the ridge of the code under test, with the samples added in some calls."""
    sequences, recent = as_sequences(Z)
    weights = np.ones(len(Z)) if weights is None else np.asarray(weights, float)
    gram = Gram(Z.shape[1], y.shape[1])
    for rows in np.array_split(np.arange(len(Z)), n_blocks):
        gram.add(sequences, rows, y, weights, recent)
    return gram.solve()


def by_brute_force(Z, y, weights=None):
    """Return the penalty of least generalised cross-validation, and scikit-learn's Ridge with it.

    For one output. The degrees of freedom are one for the intercept and the trace of the hat
    matrix D (D^T D + penalty)^-1 D^T, which is that of (D^T D + penalty)^-1 D^T D.
    """
    weights = np.ones(len(Z)) if weights is None else weights
    n, root = weights.sum(), np.sqrt(weights)
    D = root[:, np.newaxis] * (Z - np.average(Z, axis=0, weights=weights))
    centred = root * (y - np.average(y, weights=weights))
    best, chosen = np.inf, n * PENALTIES[-1]  # for no penalty leaves enough freedom
    for penalty in n * PENALTIES:
        inverse = np.linalg.inv(D.T @ D + penalty * np.eye(Z.shape[1]))
        left = 1 - (1 + np.trace(inverse @ D.T @ D)) / n
        residual = centred - D @ (inverse @ (D.T @ centred))
        gcv = residual @ residual / n / left**2
        if left >= 0.1 and gcv < best:
            best, chosen = gcv, penalty
    return chosen, SklearnRidge(alpha=chosen).fit(Z, y, sample_weight=weights)


def draw(n_samples, n_inputs, noise=1.0, seed=0, n_outputs=1):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n_samples, n_inputs)) @ rng.normal(size=(n_inputs, n_inputs))
    coef = rng.normal(size=(n_outputs, n_inputs))
    return Z, Z @ coef.T + 3 + noise * rng.normal(size=(n_samples, n_outputs))


# The ridge.


@settings(max_examples=20)
@given(
    st.integers(4, 40),
    st.integers(1, 8),
    st.sampled_from([0.01, 1.0, 100.0]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_ridge_has_the_penalty_of_least_generalised_cross_validation(
    n_samples, n_inputs, noise, weighted, seed
):
    Z, y = draw(n_samples, n_inputs, noise, seed)
    weights = np.ones(n_samples)
    if weighted:
        weights = np.random.default_rng(seed).uniform(0.2, 3, n_samples)
    ridge = solve(Z, y, weights)
    _, truth = by_brute_force(Z, y[:, 0], weights)
    assert_allclose(ridge.coef[0], truth.coef_, rtol=1e-6, atol=1e-8 * np.abs(y).max())
    assert_allclose(ridge.intercept[0], truth.intercept_, rtol=1e-6, atol=1e-8 * np.abs(y).max())
    assert_allclose(ridge.mean[0], np.average(y[:, 0], weights=weights), rtol=1e-12)


def test_noise_gets_a_large_penalty_and_a_clear_target_a_small_one():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 5))
    noise, line = rng.normal(size=(200, 1)), Z[:, :1] + 1e-4 * rng.normal(size=(200, 1))
    large, _ = by_brute_force(Z, noise[:, 0])
    small, _ = by_brute_force(Z, line[:, 0])
    assert large > 1e3 * small
    assert np.abs(solve(Z, noise).coef).max() < 0.05
    assert_allclose(solve(Z, line).coef[0], [1, 0, 0, 0, 0], atol=1e-4)


def test_each_output_has_a_penalty_of_its_own():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 6))
    y = np.column_stack([rng.normal(size=60), Z[:, 0] + 1e-3 * rng.normal(size=60)])
    both = solve(Z, y)
    for output in (0, 1):
        alone = solve(Z, y[:, [output]])
        assert_allclose(both.coef[output], alone.coef[0], rtol=1e-9)
        assert_allclose(both.intercept[output], alone.intercept[0], rtol=1e-9)
    penalties = [by_brute_force(Z, column)[0] for column in y.T]
    assert penalties[0] != penalties[1]


def test_a_weight_of_two_equals_the_row_given_twice():
    Z, y = draw(30, 4)
    counts = np.random.default_rng(1).integers(0, 4, 30)
    weighted = solve(Z, y, counts)
    repeated = solve(np.repeat(Z, counts, axis=0), np.repeat(y, counts, axis=0))
    assert_allclose(weighted.coef, repeated.coef, rtol=1e-9)
    assert_allclose(weighted.intercept, repeated.intercept, rtol=1e-9)
    assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)


@pytest.mark.parametrize("n_samples", [1023, 1024, 1025, 2500])
def test_many_rows_make_the_ridge_of_all(n_samples):
    """The sums run over blocks of 1024 rows."""
    Z, y = draw(n_samples, 3)
    ridge = solve(Z, y)
    _, truth = by_brute_force(Z, y[:, 0])
    assert_allclose(ridge.coef[0], truth.coef_, rtol=1e-9)
    assert_allclose(ridge.predict(*rows_of(Z)), truth.predict(Z)[:, np.newaxis], rtol=1e-9)


def rows_of(Z):
    sequences, recent = as_sequences(Z)
    return sequences, np.arange(len(Z)), recent


@pytest.mark.parametrize("n_blocks", [2, 7])
def test_samples_may_be_added_in_several_calls(n_blocks):
    Z, y = draw(50, 3)
    together, apart = solve(Z, y), solve(Z, y, n_blocks=n_blocks)
    assert_allclose(apart.coef, together.coef, rtol=1e-10)
    assert_allclose(apart.intercept, together.intercept, rtol=1e-10)


def test_the_same_samples_give_the_same_bits():
    Z, y = draw(3000, 5)
    first, second = solve(Z, y), solve(Z.copy(), y.copy())
    assert_array_equal(first.coef, second.coef)
    assert_array_equal(first.intercept, second.intercept)


def test_fewer_samples_than_inputs_do_not_interpolate_noise():
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(20, 100)), rng.normal(size=(20, 1))
    ridge = solve(Z, y)
    explained = 1 - np.var(y - ridge.predict(*rows_of(Z))) / np.var(y)
    _, truth = by_brute_force(Z, y[:, 0])
    assert_allclose(ridge.coef[0], truth.coef_, rtol=1e-6, atol=1e-10)
    assert explained < 0.95


@pytest.mark.parametrize("Z", [np.zeros((9, 3)), np.ones((9, 3))], ids=["zero", "constant"])
def test_constant_inputs_have_no_weight(Z):
    y = np.arange(9.0).reshape(9, 1)
    ridge = solve(Z, y)
    assert_allclose(ridge.coef, np.zeros((1, 3)), atol=1e-6)
    assert_allclose(ridge.predict(*rows_of(Z)), np.full((9, 1), 4.0), rtol=1e-9)


def test_equal_inputs_share_the_weight():
    Z, y = draw(40, 1, noise=0.1)
    ridge = solve(np.column_stack([Z, Z]), y)
    assert_allclose(ridge.coef[0, 0], ridge.coef[0, 1], rtol=1e-6)
    assert np.isfinite(ridge.coef).all()


def test_a_constant_target_is_its_mean():
    Z, _ = draw(30, 3)
    ridge = solve(Z, np.full((30, 1), 0.7))
    assert_allclose(ridge.coef, np.zeros((1, 3)), atol=1e-12)
    assert_allclose(ridge.intercept, [0.7], rtol=1e-12)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_a_shrunk_ridge_predicts_between_the_mean_and_the_ridge(fraction):
    Z, y = draw(30, 3, n_outputs=2)
    weights = np.random.default_rng(0).uniform(size=30)
    ridge = solve(Z, y, weights)
    mean = np.average(y, axis=0, weights=weights)
    expected = fraction * ridge.predict(*rows_of(Z)) + (1 - fraction) * mean
    assert_allclose(ridge.shrunk(fraction).predict(*rows_of(Z)), expected, rtol=1e-12)


# Mean and scale of the steps.


def steps_by_loop(samples, weights, n_steps):
    values, counts = [], []
    for sample, weight in zip(samples, weights, strict=True):
        for x_t in sample[-n_steps:]:
            if not np.isnan(x_t).any():
                values.append(x_t)
                counts.append(weight)
    mean = np.average(values, axis=0, weights=counts)
    return mean, np.sqrt(np.average((np.array(values) - mean) ** 2, axis=0, weights=counts))


@pytest.mark.parametrize("n_steps", [1, 3, 8])
@pytest.mark.parametrize("level", [0.0, 1e6, -1e9])
@pytest.mark.parametrize("form", ["dense", "missing", "ragged"])
def test_mean_and_scale_are_those_of_the_real_steps_that_are_read(form, level, n_steps):
    rng = np.random.default_rng(0)
    X = level + rng.normal(size=(1100, 5, 2)) * [1, 3]
    weights = rng.uniform(size=1100)
    if form != "dense":
        X[rng.uniform(size=(1100, 5)) < 0.3] = np.nan
        X[0] = np.nan
    samples = X
    if form == "ragged":
        samples = [sequence[~np.isnan(sequence[:, 0])] for sequence in X]
        sequences = RaggedSequences(samples, has_missing=False)
    else:
        sequences = DenseSequences(X, has_missing=form == "missing")
    recent = recent_steps(sequences, np.arange(1100), weights, n_steps)
    mean, scale = steps_by_loop(samples, weights, n_steps)
    assert recent.n_steps == n_steps
    assert_allclose(recent.mean, mean, rtol=1e-12, atol=1e-12)
    assert_allclose(recent.scale, scale, rtol=1e-6 if level else 1e-11)


def test_only_the_given_rows_count():
    X = np.arange(24.0).reshape(6, 4, 1)
    rows = np.array([1, 4])
    recent = recent_steps(DenseSequences(X, has_missing=False), rows, np.ones(6), 4)
    assert_allclose(recent.mean, [X[rows].mean()])
    assert_allclose(recent.scale, [X[rows].std()])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 / 3, -7.3e-12])
def test_a_constant_feature_has_a_scale_of_one(value):
    X = np.random.default_rng(0).normal(size=(50, 4, 2))
    X[:, :, 1] = value
    recent = recent_steps(DenseSequences(X, has_missing=False), np.arange(50), np.ones(50), 4)
    assert recent.scale[1] == 1
    assert_allclose(recent.mean[1], value, rtol=1e-15)


def test_a_small_scale_is_not_taken_for_a_constant():
    X = 5 + 1e-9 * np.random.default_rng(0).normal(size=(50, 4, 1))
    recent = recent_steps(DenseSequences(X, has_missing=False), np.arange(50), np.ones(50), 4)
    assert_allclose(recent.scale, X.std(), rtol=1e-5)


def test_without_a_real_step_nothing_is_standardized():
    sequences = DenseSequences(np.full((4, 3, 2), np.nan), has_missing=True)
    recent = recent_steps(sequences, np.arange(4), np.ones(4), 3)
    assert_array_equal(recent.mean, np.zeros(2))
    assert_array_equal(recent.scale, np.ones(2))


# Parameters of the network.


@pytest.mark.parametrize("pooling", [("last",), ("mean", "max")])
def test_the_network_predicts_what_the_ridge_predicts(pooling):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 4, 2))
    sequences, recent = (
        DenseSequences(X, has_missing=False),
        RecentSteps(3, rng.normal(size=2), np.ones(2)),
    )
    network = Network(2, (3,), 2, pooling=pooling, n_recent=6)
    parameters = network.initialize(np.random.RandomState(0))
    before = parameters.copy()
    ridge = Ridge(rng.normal(size=(2, 6)), rng.normal(size=2), np.zeros(2))
    mean, scale = np.array([1.0, -2.0]), np.array([5.0, 0.1])
    started = with_ridge(network, parameters, ridge, mean, scale)
    raw = raw_outputs(network, started, sequences, ThreadPool(1), recent=recent).T
    flat = ((X[:, -3:] - recent.mean) / recent.scale).reshape(20, 6)
    assert_allclose(raw * scale + mean, flat @ ridge.coef.T + ridge.intercept, rtol=1e-12)
    assert_array_equal(parameters, before)
    for ours, theirs in zip(
        network.matrices(started)[:-1], network.matrices(parameters)[:-1], strict=True
    ):
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_a_mixture_mixes_the_outputs(fraction):
    rng = np.random.default_rng(0)
    sequences = DenseSequences(rng.normal(size=(9, 4, 2)), has_missing=False)
    recent = RecentSteps(2, np.zeros(2), np.ones(2))
    network = Network(2, (3, 2), 2, pooling=("max", "last"), n_recent=4)
    trained = rng.normal(size=network.n_parameters)
    other = rng.normal(size=network.n_parameters)  # of other LSTMs too
    ridge = Ridge(rng.normal(size=(2, 4)), rng.normal(size=2), np.zeros(2))
    linear = with_ridge(network, other, ridge, np.zeros(2), np.ones(2))

    def raw(parameters):
        return raw_outputs(network, parameters, sequences, ThreadPool(1), recent=recent)

    mixed = raw(mixture(network, linear, trained, fraction))
    assert_allclose(mixed, (1 - fraction) * raw(linear) + fraction * raw(trained), rtol=1e-12)


# How much of the LSTM is added.


def draw_outputs(gain, n_samples=40, seed=0):
    """A target, a linear start, and a network that leaves a part of its error."""
    rng = np.random.default_rng(seed)
    target, error = rng.normal(size=(2, 1, n_samples))
    noise = 0.2 * rng.normal(size=(1, n_samples))
    return target, target + error, target + (1 - gain) * error + noise


def fraction_of(target, linear, trained, loss=None, weights=None):
    weights = np.ones(target.shape[1]) if weights is None else weights
    loss = SquaredError() if loss is None else loss
    return lstm_fraction(loss, target, weights, linear, trained)


@pytest.mark.parametrize("loss", [SquaredError(), AbsoluteError(), PinballLoss(0.8)])
@pytest.mark.parametrize("gain", [-0.5, 0.1, 0.5, 1.0])
def test_the_fraction_minimises_the_loss_with_some_samples_of_doubt(gain, loss):
    target, linear, trained = draw_outputs(gain)
    weights = np.random.default_rng(1).uniform(0.5, 2, 40)
    grid = np.arange(101) / 100
    r = autocorrelation(loss.gradient(target, linear))
    doubt = _N_DOUBTS * np.average(loss.value(target, linear), weights=weights) * (1 + r) / (1 - r)
    losses = [
        loss.value(target, linear + f * (trained - linear)) @ weights + doubt * f**2 for f in grid
    ]
    found = fraction_of(target, linear, trained, loss, weights)
    assert_allclose(found, grid[np.argmin(losses)], atol=1e-12)


def test_for_the_squared_error_the_fraction_is_that_of_a_shrunk_regression():
    """It is a regression of what the ridge leaves on what the LSTM adds, with a penalty."""
    target, linear, trained = draw_outputs(0.9)
    left, added = target - linear, trained - linear
    r = max((left[0, 1:] * left[0, :-1]).sum() / (left**2).sum(), 0)
    penalty = _N_DOUBTS * (left**2).mean() * (1 + r) / (1 - r)
    expected = (left * added).sum() / ((added**2).sum() + penalty)
    assert_allclose(fraction_of(target, linear, trained), expected, atol=0.0051)


def test_a_network_that_does_not_help_is_left_out():
    target, linear, trained = draw_outputs(-1.0)
    assert fraction_of(target, linear, trained) == 0
    assert fraction_of(target, linear, linear) == 0


def test_a_network_that_explains_much_is_taken_the_more_the_more_samples_say_so():
    few, many = (fraction_of(*draw_outputs(1.0, n)) for n in (8, 4000))
    assert few < 0.7
    assert many > 0.9


def test_an_exact_linear_start_is_left_alone():
    target, _, trained = draw_outputs(1.0)
    assert fraction_of(target, target, trained) == 0


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("coef", [0.0, 0.6, 0.9])
def test_the_autocorrelation_of_an_autoregression_is_its_coefficient(coef, n_outputs):
    e = np.random.default_rng(0).normal(size=(n_outputs, 20_000))
    for t in range(1, e.shape[1]):
        e[:, t] += coef * e[:, t - 1]
    assert autocorrelation(e) == pytest.approx(coef, abs=0.02)
    assert autocorrelation(1e-200 * e) == pytest.approx(autocorrelation(e), rel=1e-12)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([1, 1, 1, 1], 3 / 4), ([2, 1, -1], 1 / 6), ([1, -1, 1], 0), ([0, 0], 0), ([5], 0), ([], 0)],
)
def test_an_autocorrelation_is_between_zero_and_one(errors, expected):
    assert autocorrelation(np.array([errors], dtype=float)) == pytest.approx(expected)


def test_correlated_errors_count_as_fewer_samples():
    target, linear, trained = draw_outputs(0.8)
    order = np.argsort((target - linear)[0])
    sorted_ = fraction_of(*(a[:, order] for a in (target, linear, trained)))
    # Sorted errors say less than the same errors in random order.
    assert 0 < sorted_ < 0.8 * fraction_of(target, linear, trained)


def test_overlapping_targets_mislead_less_than_their_number_suggests():
    """The network is noise, as smooth as the errors; most of what it seems to explain is chance."""
    rng = np.random.default_rng(0)
    fractions = []
    for _ in range(200):
        smooth = np.cumsum(rng.normal(size=(2, 72)), axis=1)
        error, noise = (smooth[:, np.newaxis, 12:] - smooth[:, np.newaxis, :-12]) / 12**0.5
        fractions.append(fraction_of(error, np.zeros_like(error), noise))
    independent = [fraction_of(e, 0 * e, noise) for e, noise in rng.normal(size=(200, 2, 1, 60))]
    assert np.mean(fractions) < np.mean(independent) + 0.02


def test_samples_without_weight_do_not_count_for_the_fraction():
    target, linear, trained = draw_outputs(0.5)
    weights = np.ones(40)
    weights[::3] = 0
    kept = fraction_of(*(a[:, weights > 0] for a in (target, linear, trained)))
    assert fraction_of(target, linear, trained, weights=weights) == kept


# Whether a level drifts.


def random_walk(rng, n_samples=200):
    return np.cumsum(rng.normal(size=(n_samples, 1)), axis=0)


def test_drift_is_the_share_of_the_variance_between_fifths():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(50, 2)) + np.repeat([0, 1, 0, 2, 3], 10)[:, np.newaxis] * [0, 1]
    between = target.reshape(5, 10, 2).mean(axis=1).var(axis=0)
    assert_allclose(drift(target, np.ones(50)), (between / target.var(axis=0)).max())


def test_a_trend_and_a_random_walk_drift_and_a_level_that_stays_does_not():
    rng = np.random.default_rng(0)
    t = np.arange(200.0)[:, np.newaxis]
    ones = np.ones(200)
    assert drift(t, ones) > 0.9
    assert drift(np.sin(t), ones) < 0.01
    assert np.mean([drift(random_walk(rng), ones) > 0.3 for _ in range(200)]) > 0.9
    assert np.mean([drift(rng.normal(size=(200, 1)), ones) > 0.3 for _ in range(200)]) == 0


def test_a_weight_counts_for_drift_like_so_many_rows():
    rng = np.random.default_rng(0)
    target, weights = random_walk(rng), rng.integers(0, 3, 200)
    repeated = np.repeat(target, weights, axis=0)
    of_repeated = drift(repeated, np.ones(len(repeated)))
    assert_allclose(drift(target, weights), of_repeated, atol=0.05)
    is_counted = weights > 0
    of_counted = drift(target[is_counted], weights[is_counted])
    assert_allclose(drift(target, weights), of_counted, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_drift_does_not_depend_on_the_unit(size):
    target = random_walk(np.random.default_rng(0))
    assert_allclose(drift(size * target, np.ones(200)), drift(target, np.ones(200)), rtol=1e-12)


def test_a_constant_target_does_not_drift():
    assert drift(np.full((9, 2), 3.0), np.ones(9)) == 0
    assert drift(np.full((1, 1), 3.0), np.ones(1)) == 0
