"""linear_skip: the linear part beside the LSTM, in all that is done with an estimator.

The truth is a ridge on the standardised last steps, side by side, computed without sklstm.
"""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from support.data import (
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
)

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, runtime
from sklstm.interop import to_onnx
from sklstm.nn.linear import _N_DOUBTS
from sklstm.nn.sequences import WindowSequences

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FORMS = ["dense", "missing", "ragged"]
PENALTIES = np.logspace(-6, 6, 49)  # per unit of weight

# Nothing is learned beyond the ridge, and no sample is set aside.
FROZEN = {"learning_rate_init": 1e-12, "max_iter": 1, "early_stopping": False, "random_state": 0}


class FlatRidge:
    """A ridge on the last steps of sequences, its penalty by generalised cross-validation.

    The steps are standardised like those of ``like``, without weights; by default as those of X.
    """

    def __init__(self, n_steps, X, y, weights=None, like=None):
        y = np.asarray(y, float).reshape(len(X), -1)
        self.weights = np.ones(len(X)) if weights is None else np.asarray(weights, float)
        self.n_steps = n_steps
        steps = self.steps(X if like is None else like)
        is_real = ~np.isnan(steps[:, :, 0])
        of_steps = self.weights if like is None else np.ones(len(X))
        real, counts = steps[is_real], (is_real * of_steps[:, np.newaxis])[is_real]
        self.mean = np.average(real, axis=0, weights=counts)
        self.scale = np.sqrt(np.average((real - self.mean) ** 2, axis=0, weights=counts))
        self.scale[self.scale < 1e-12 * (1 + np.abs(self.mean))] = 1
        Z = self.flat(X)
        self.ridges = [self.fit_one(Z, column) for column in y.T]

    def steps(self, X):
        """The last steps, (n_samples, n_steps, n_features); NaN if missing or absent."""
        steps = np.full((len(X), self.n_steps, np.shape(X[0])[1]), np.nan)
        for row, sequence in zip(steps, X, strict=True):
            n = min(len(sequence), self.n_steps)
            row[self.n_steps - n :] = sequence[len(sequence) - n :]
        return steps

    def flat(self, X):
        z = (self.steps(X) - self.mean) / self.scale
        return np.nan_to_num(z, nan=0.0).reshape(len(X), -1)

    def fit_one(self, Z, y):
        n, root = self.weights.sum(), np.sqrt(self.weights)
        D = root[:, np.newaxis] * (Z - np.average(Z, axis=0, weights=self.weights))
        centred = root * (y - np.average(y, weights=self.weights))
        best, chosen = np.inf, n * PENALTIES[-1]
        for penalty in n * PENALTIES:
            inverse = np.linalg.inv(D.T @ D + penalty * np.eye(D.shape[1]))
            left = 1 - (1 + np.trace(inverse @ D.T @ D)) / n
            residual = centred - D @ (inverse @ (D.T @ centred))
            gcv = residual @ residual / n / left**2
            if left >= 0.1 and gcv < best:
                best, chosen = gcv, penalty
        return Ridge(alpha=chosen).fit(Z, y, sample_weight=self.weights)

    def predict(self, X):
        """Predict, of shape (n_samples, n_outputs)."""
        return np.column_stack([ridge.predict(self.flat(X)) for ridge in self.ridges])


def linear_target(X, noise=0.5, seed=5):
    """A target that is a line of the last steps, and noise."""
    rng = np.random.default_rng(seed)
    padded = [np.vstack([np.zeros((3, 2)), np.nan_to_num(sequence)])[-3:] for sequence in X]
    coef = np.array([[0.3, -1.0], [0.5, 0.2], [2.0, 1.0]])
    return 10 + np.einsum("ntf,tf->n", padded, coef) + noise * rng.normal(size=len(X))


# Where it starts.


@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("linear_skip", [1, 3, 5, 8])
@pytest.mark.parametrize("form", FORMS)
def test_before_the_lstm_learns_predictions_are_those_of_a_ridge(form, linear_skip, normalize_y):
    """A step that is missing, or before the first one, counts as the mean."""
    X, new = make_sequences(form, 60), make_sequences(form, 20, seed=9)
    y = linear_target(X)
    model = LSTMRegressor(4, linear_skip=linear_skip, normalize_y=normalize_y, **FROZEN).fit(X, y)
    ridge = FlatRidge(linear_skip, X, y)
    assert_allclose(model.predict(new), ridge.predict(new)[:, 0], rtol=1e-7)
    assert_allclose(model.skip_mean_, ridge.mean, rtol=1e-10)
    assert_allclose(model.skip_scale_, ridge.scale, rtol=1e-10)


@pytest.mark.parametrize("window", [{"window_size": 20}, {"window_size": 10, "sampling_rate": 2}])
@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize(("n_rows", "drifts"), [(50, False), (300, False), (300, True)])
def test_windows_before_a_series_do_not_bend_the_ridge(n_rows, drifts, lag, window):
    """The first row of a series stands for the padding, unless few windows have any.

    These are left out. Only of a series that drifts they are kept.
    """
    rng = np.random.default_rng(0)
    series = rng.normal(size=(n_rows, 2))
    if drifts:
        series = np.cumsum(series + 1, axis=0)
    y = series[:, 0] + 0.5 * series[:, 1] + rng.normal(size=n_rows)
    X = SlidingWindow(**window, lag=lag).fit_transform(series)
    model = LSTMRegressor(4, linear_skip=10, **FROZEN).fit(X, y)

    is_complete = ~np.isnan(X[:, -10:, 0]).any(axis=1)
    assert (is_complete.mean() > 5 / 6) == (n_rows == 300)
    is_left_out = n_rows == 300 and not drifts
    edge = SlidingWindow(**window, lag=lag, padding="edge").fit_transform(series)
    counts = is_complete if is_left_out else np.ones(n_rows)
    ridge = FlatRidge(10, np.asarray(edge), y, counts, like=np.asarray(X))
    assert_allclose(model.predict(X[40:]), ridge.predict(edge[40:])[:, 0], rtol=1e-7)
    assert_allclose(model.skip_mean_, ridge.mean, rtol=1e-10)
    # A missing step of a prediction is the mean, as anywhere else.
    filled = np.where(np.isnan(X), ridge.mean, X)
    assert_allclose(model.predict(X), ridge.predict(filled)[:, 0], rtol=1e-7)


def test_windows_with_a_gap_are_left_out_of_the_ridge_of_a_series_that_drifts():
    rng = np.random.default_rng(0)
    series = np.cumsum(1 + rng.normal(size=(300, 2)), axis=0)
    y = series[:, 0] + rng.normal(size=300)
    series[[100, 180]] = np.nan
    X = SlidingWindow(10).fit_transform(series)
    model = LSTMRegressor(4, linear_skip=10, **FROZEN).fit(X, y)
    edge = np.asarray(SlidingWindow(10, padding="edge").fit_transform(series))
    ridge = FlatRidge(10, edge, y, ~np.isnan(edge[:, :, 0]).any(axis=1), like=np.asarray(X))
    assert_allclose(model.predict(X[10:]), ridge.predict(edge[10:])[:, 0], rtol=1e-7)


def test_the_first_row_of_each_series_stands_for_its_padding_and_for_nothing_else():
    # The first row of the second series is missing.
    series = np.column_stack([[1.0, 2, np.nan, 4, np.nan, 6, 7, 8], np.repeat([0, 1], 4)])
    windows = SlidingWindow(3, group_column=1).fit_transform(series)
    before = windows.buffer.copy()
    filled = WindowSequences(windows, has_missing=True).from_first_rows().steps(slice(None), 3)
    nan = np.nan
    assert_array_equal(
        filled[:, :, 0],
        [
            *[[1, 1, 1], [1, 1, 2], [1, 2, nan], [2, nan, 4]],
            *[[nan, nan, nan], [nan, nan, 6], [nan, 6, 7], [6, 7, 8]],
        ],
    )
    assert_array_equal(windows.buffer, before)


def test_weights_and_outputs_are_those_of_the_ridge():
    X = make_sequences("missing", 60)
    y = np.column_stack([linear_target(X), np.random.default_rng(1).normal(size=60)])
    weights = np.random.default_rng(0).uniform(0.1, 3, 60)
    model = LSTMRegressor(4, linear_skip=4, **FROZEN).fit(X, y, sample_weight=weights)
    ridge = FlatRidge(4, X, y, weights)
    assert_allclose(model.predict(X), ridge.predict(X), rtol=1e-7, atol=1e-7)
    assert_allclose(model.skip_mean_, ridge.mean, rtol=1e-10)


def test_a_weight_of_two_counts_like_the_sample_given_twice():
    X = make_sequences("dense", 60)
    y, counts = linear_target(X), np.random.default_rng(0).integers(0, 3, 60)
    for params in ({}, {"loss": "absolute_error"}, {"loss": "quantile", "quantile": 0.8}):
        model = LSTMRegressor(4, linear_skip=3, **params, **FROZEN)
        weighted = model.fit(X, y, sample_weight=counts).predict(X)
        repeated = model.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).predict(X)
        assert_allclose(weighted, repeated, rtol=1e-7)


@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("level", [1e6, -1e9])
def test_a_target_with_a_large_level_keeps_its_digits(level, normalize_y):
    """As many as the target itself has at that level."""
    X = make_sequences("dense", 60)
    y = linear_target(X)
    model = LSTMRegressor(4, linear_skip=3, normalize_y=normalize_y, **FROZEN)
    near, far = (model.fit(X, target).predict(X) for target in (y, y + level))
    assert_allclose(far - level, near, rtol=0, atol=1e-14 * abs(level))


def test_features_with_a_large_level_keep_their_digits():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    model = LSTMRegressor(4, linear_skip=3, **FROZEN)
    near, far = (model.fit(values, y).predict(values) for values in (X, X + 1e6))
    assert_allclose(far, near, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("params", "q"),
    [
        ({"loss": "absolute_error"}, 0.5),
        ({"loss": "huber"}, 0.5),
        ({"loss": "quantile", "quantile": 0.9}, 0.9),
        ({"loss": "quantile", "quantile": 0.25}, 0.25),
    ],
    ids=str,
)
def test_for_other_losses_the_intercept_moves_to_a_quantile_of_the_residuals(params, q, weighted):
    X = make_sequences("missing", 61)
    y = linear_target(X) + np.random.default_rng(0).exponential(size=61)
    weights = np.random.default_rng(1).uniform(0.1, 3, 61) if weighted else np.ones(61)
    model = LSTMRegressor(4, linear_skip=3, **params, **FROZEN).fit(X, y, sample_weight=weights)
    ridge = FlatRidge(3, X, y, weights)
    residual = y - ridge.predict(X)[:, 0]
    order = np.argsort(residual)
    share = np.cumsum(weights[order]) / weights.sum()
    shift = residual[order][np.searchsorted(share, q)]
    new = make_sequences("missing", 20, seed=9)
    assert_allclose(model.predict(new), ridge.predict(new)[:, 0] + shift, rtol=1e-7)


def test_counts_start_from_their_mean_and_train_the_linear_part():
    """For "poisson" there is no ridge; the linear part starts at zero."""
    X = make_sequences("dense", 80)
    rng = np.random.default_rng(0)
    y = rng.poisson(np.exp(0.5 * X[:, -1, 0] - 0.4 * X[:, -2, 1])).astype(float)
    model = LSTMRegressor(4, linear_skip=3, loss="poisson", **FROZEN).fit(X, y)
    assert np.abs(model.skip_coef_).max() < 1e-9
    assert_allclose(model.skip_mean_, X[:, -3:].mean(axis=(0, 1)))
    model = quick(
        LSTMRegressor, linear_skip=3, loss="poisson", max_iter=40, early_stopping=False
    ).fit(X, y)
    assert model.skip_coef_[0, -1, 0] > 0.05
    assert model.skip_coef_[0, -2, 1] < -0.05


def test_the_ridge_is_not_trained_further():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    skips = [
        quick(LSTMRegressor, linear_skip=3, max_iter=n, early_stopping=False, alpha=alpha)
        .fit(X, y)
        .skip_coef_
        for n, alpha in ((1, 0.0), (5, 10.0))
    ]
    assert_array_equal(*skips)


def test_classes_start_from_zero_and_train_the_linear_part():
    X = make_sequences("dense", 90)
    y = make_target(LSTMClassifier, X)
    start = LSTMClassifier(4, linear_skip=3, **FROZEN).fit(X, y)
    assert start.skip_coef_.shape == (3, 3, 2)
    assert np.abs(start.skip_coef_).max() < 1e-9
    model = quick(LSTMClassifier, linear_skip=5, max_iter=40).fit(X, y)
    # The sum grows from "low" to "top", whatever the step.
    assert (model.skip_coef_[2] > model.skip_coef_[0]).all()


# How many steps.


@pytest.mark.parametrize(
    ("n_samples", "n_timesteps", "n_features", "n_steps"),
    [
        (40, 10, 2, 10),  # twenty columns, two samples for each
        (39, 10, 2, 9),  # nineteen columns at most
        (32, 5, 4, 4),
        (31, 5, 2, None),  # too few samples
        (40, 5, 21, None),  # not one step
        (60, 300, 1, 30),
        (1200, 300, 2, 256),
        (1100, 600, 1, 512),
        (1100, 3, 600, None),
    ],
)
def test_auto_bounds_the_columns(n_samples, n_timesteps, n_features, n_steps):
    """At most 512 columns, and at least two samples for each column."""
    X = np.random.default_rng(0).normal(size=(n_samples, n_timesteps, n_features))
    model = LSTMRegressor(1, batch_size=512, **FROZEN).fit(X, X[:, -1, 0])
    if n_steps is None:
        assert model.skip_coef_ is None
    else:
        assert model.skip_coef_.shape == (1, n_steps, n_features)


def test_the_defaults_are_all_steps_for_numbers_and_none_for_classes():
    X = make_sequences("dense", 60)
    assert quick(LSTMRegressor).fit(X, linear_target(X)).skip_coef_.shape == (1, 5, 2)
    classifier = quick(LSTMClassifier).fit(X, make_target(LSTMClassifier, X))
    assert classifier.skip_coef_ is None


def test_without_a_linear_part_its_attributes_are_none():
    X = make_sequences("dense")
    model = quick(LSTMRegressor, linear_skip=0)
    for name in ("skip_coef_", "skip_mean_", "skip_scale_"):
        assert not hasattr(model, name)
    model.fit(X, linear_target(X))
    assert (model.skip_coef_, model.skip_mean_, model.skip_scale_) == (None, None, None)
    assert not model.predict(X).shape[1:]


@pytest.mark.parametrize("y_dims", [1, 2, 3])
def test_attributes_have_the_documented_shapes_and_make_the_output(y_dims):
    """W h + b + the sum of skip_coef_ and the standardised steps."""
    X = make_sequences("dense", 60)
    y = linear_target(X) if y_dims == 1 else np.column_stack([linear_target(X)] * y_dims)
    model = quick(LSTMRegressor, linear_skip=4, normalize_y=False, early_stopping=False).fit(X, y)
    full = model.predict(X).reshape(60, -1)
    assert model.skip_coef_.shape == (y_dims, 4, 2)
    assert (model.skip_mean_.shape, model.skip_scale_.shape) == ((2,), (2,))
    assert model.coefs_[-1].shape == (y_dims, 4)
    assert model.n_parameters_ == model.skip_coef_.size + sum(
        part.size for part in [*model.coefs_, *model.intercepts_]
    )
    z = (X[:, -4:] - model.skip_mean_) / model.skip_scale_
    linear = np.einsum("otf,ntf->no", model.skip_coef_, z)
    # What is left is the LSTM's: the same for sequences whose input it cannot tell apart.
    lstm = quick(LSTMRegressor, linear_skip=0, normalize_y=False, early_stopping=False).fit(X, y)
    network = lstm._model.network
    parameters = network.pack(model.coefs_, model.intercepts_)
    lstm._model = lstm._model.with_parameters(parameters)
    assert_allclose(full, lstm.predict(X).reshape(60, -1) + linear, rtol=1e-9)


def test_attributes_are_copies():
    X = make_sequences("dense")
    model = quick(LSTMRegressor, linear_skip=3).fit(X, linear_target(X))
    before = model.predict(X)
    for name in ("skip_coef_", "skip_mean_", "skip_scale_"):
        getattr(model, name)[...] = np.nan
    assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("n_incomplete", [9, 10, 11])
def test_up_to_a_sixth_of_the_samples_is_left_out_where_a_step_is_missing(n_incomplete):
    """Else all of them count, with the mean for a missing step."""
    X = make_sequences("dense", 60)
    y = linear_target(X)
    X[:n_incomplete, 0], y[:n_incomplete] = np.nan, 100
    model = LSTMRegressor(4, linear_skip=5, normalize_y=False, **FROZEN).fit(X, y)
    counted = slice(n_incomplete if n_incomplete <= 10 else 0, None)
    ridge = FlatRidge(5, X, y)  # for mean and scale, which are those of all real steps
    ridge.weights = np.ones(len(y[counted]))
    ridge.ridges = [ridge.fit_one(ridge.flat(X[counted]), y[counted])]
    new = make_sequences("dense", 20, seed=9)
    assert_allclose(model.predict(new), ridge.predict(new)[:, 0], rtol=1e-7)


def test_auto_counts_a_weight_of_two_as_two_samples():
    X = make_sequences("dense", 16)
    y = linear_target(X)
    assert LSTMRegressor(4, **FROZEN).fit(X, y).skip_coef_ is None
    weighted = LSTMRegressor(4, **FROZEN).fit(X, y, sample_weight=np.full(16, 2))
    assert weighted.skip_coef_.shape == (1, 5, 2)
    weights = np.full(60, 1 / 60)
    X = make_sequences("dense", 60)
    assert LSTMRegressor(4, **FROZEN).fit(X, linear_target(X), weights).skip_coef_ is None


@pytest.mark.parametrize("value", [-1, 2.5, "all", None, [3], True])
@pytest.mark.parametrize("cls", [LSTMRegressor, LSTMClassifier])
def test_other_values_raise_an_error_that_names_the_parameter(cls, value):
    X = make_sequences("dense")
    with pytest.raises(ValueError, match="'linear_skip' parameter"):
        quick(cls, linear_skip=value).fit(X, make_target(cls, X))


def test_predicting_other_lengths_counts_from_the_end():
    X = make_sequences("dense", 60)
    model = LSTMRegressor(4, linear_skip=3, **FROZEN).fit(X, linear_target(X))
    longer = np.concatenate([np.full((60, 4, 2), 1e3), X], axis=1)
    assert_allclose(model.predict(longer), model.predict(X), rtol=1e-7)
    absent = np.array(X)
    absent[:, -3] = model.skip_mean_
    assert_allclose(model.predict(X[:, -2:]), model.predict(absent), rtol=1e-7)


# Continuing.


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_calls_of_partial_fit_equal_epochs_of_fit(loss, shuffle):
    X = make_sequences("missing", 60)
    y = np.abs(linear_target(X))
    params = {"loss": loss, "shuffle": shuffle, "random_state": 0, "pooling": ("last", "max")}
    model = LSTMRegressor(4, **params)
    for _ in range(3):
        model.partial_fit(X, y)
    fitted = LSTMRegressor(4, max_iter=3, early_stopping=False, **params).fit(X, y)
    assert_same_fit(model, fitted)
    assert_array_equal(model.skip_coef_, fitted.skip_coef_)
    assert_array_equal(model.predict(X), fitted.predict(X))


def test_partial_fit_keeps_the_linear_part_of_its_first_call():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    model = LSTMRegressor(4, random_state=0).partial_fit(X[:30], y[:30])
    ridge, mean = model.skip_coef_, model.skip_mean_
    model.partial_fit(X[30:, :3] + 5, y[30:])
    assert_array_equal(model.skip_coef_, ridge)
    assert_array_equal(model.skip_mean_, mean)


def test_one_sample_starts_partial_fit():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    for linear_skip in ("auto", 2):
        model = LSTMRegressor(4, linear_skip=linear_skip, random_state=0)
        model.partial_fit(X[:1], y[:1])
        assert_allclose(model.predict(X[:1]), y[:1], rtol=0.2)
        assert np.isfinite(model.partial_fit(X, y).predict(X)).all()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start_keeps_the_linear_part(early_stopping):
    X = make_sequences("dense", 60)
    y = linear_target(X)
    model = quick(LSTMRegressor, warm_start=True, early_stopping=early_stopping).fit(X, y)
    ridge, loss = model.skip_coef_, model.loss_curve_[-1]
    model.fit(X, y)
    # With early stopping, it has gone through the moving average of the weights.
    assert_allclose(model.skip_coef_, ridge, rtol=1e-12)
    assert model.loss_curve_[3] < 1.2 * loss
    with pytest.raises(ValueError, match=r"linear_skip is now 2, .* linear_skip=5"):
        model.set_params(linear_skip=2).fit(X, y)
    model.set_params(linear_skip=5).fit(X, y)


@pytest.mark.parametrize("cls", [LSTMRegressor, LSTMClassifier])
def test_a_pickled_estimator_continues_with_the_same_bits(cls):
    X = make_sequences("missing", 60)
    y = make_target(cls, X)
    model = partial_fit(cls(4, linear_skip=3, random_state=0), X, y)
    resumed = pickle.loads(pickle.dumps(model))
    for estimator in (model, resumed):
        partial_fit(estimator, X, y)
    assert_same_fit(model, resumed)
    assert_array_equal(model.skip_coef_, resumed.skip_coef_)


# With a validation set.


def ridge_error(X, y, new, y_new):
    return np.mean((FlatRidge(X.shape[1], X, y).predict(new)[:, 0] - y_new) ** 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_noise_the_error_is_about_that_of_the_ridge(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(400, 6, 1)), rng.normal(size=400)
    model = LSTMRegressor(8, random_state=0).fit(X[:150], y[:150])
    error = np.mean((model.predict(X[150:]) - y[150:]) ** 2)
    assert error < 1.04 * ridge_error(X[:150], y[:150], X[150:], y[150:])


def test_on_levels_that_drift_the_error_is_about_that_of_the_ridge():
    """The LSTM, which is bounded, is not asked for a level that it has not seen."""
    ratios = []
    for seed in range(4):
        level = np.cumsum(np.random.default_rng(seed).normal(0.3, 1, size=300))
        X, y = SlidingWindow(12, lag=1).fit_transform(level[:, np.newaxis]), level
        model = LSTMRegressor(random_state=seed).fit(X[:240], y[:240])
        edge = SlidingWindow(12, lag=1, padding="edge").fit_transform(level[:, np.newaxis])
        ridge = FlatRidge(12, edge[:240], y[:240]).predict(edge[240:])[:, 0]
        errors = [np.sqrt(np.mean((p - y[240:]) ** 2)) for p in (model.predict(X[240:]), ridge)]
        ratios.append(errors[0] / errors[1])
    assert max(ratios) < 1.1


@pytest.mark.parametrize("early_stopping", [True, False])
def test_on_a_product_the_error_is_far_below_that_of_the_ridge(early_stopping):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 4, 2))
    y = X[:, -1, 0] * X[:, -1, 1] + X[:, -2, 0]
    model = LSTMRegressor(
        12, early_stopping=early_stopping, max_iter=40, random_state=0, batch_size=16
    ).fit(X[:500], y[:500])
    error = np.mean((model.predict(X[500:]) - y[500:]) ** 2)
    assert error < 0.3 * ridge_error(X[:500], y[:500], X[500:], y[500:])


@pytest.mark.parametrize("gap", [0, 7])
@pytest.mark.parametrize("seed", range(6))
def test_early_stopping_mixes_where_training_ends_with_the_ridge_of_all_samples(seed, gap):
    """Training starts from half of the ridge, and here it ends there too.

    The fraction is what the samples set aside say, and a few more that say that it is zero. The
    ridge that is mixed in the end knows the samples of the gap as well.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(100, 3, 1))
    y = X[:, -1, 0] + rng.normal(size=100)
    model = LSTMRegressor(4, linear_skip=3, early_stopping=True, max_iter=1, random_state=0)
    model.set_params(learning_rate_init=1e-12, validation_gap=gap).fit(X, y)

    n = 90 - gap
    of_training, of_all = FlatRidge(3, X[:n], y[:n]), FlatRidge(3, X, y)
    of_all.mean, of_all.scale = of_training.mean, of_training.scale
    of_all.ridges = [of_all.fit_one(of_all.flat(X), y)]
    linear = of_training.predict(X)[:, 0]
    trained = (linear + y[:n].mean()) / 2
    fractions = np.arange(101) / 100
    left = y[90:] - linear[90:]
    r = max(0, np.sum(left[1:] * left[:-1]) / np.sum(left**2))
    doubt = _N_DOUBTS * np.mean(left**2) * (1 + r) / (1 - r)
    mixed = [(1 - f) * linear[90:] + f * trained[90:] for f in fractions]
    losses = [
        np.sum((y[90:] - p) ** 2) + doubt * f**2 for p, f in zip(mixed, fractions, strict=True)
    ]
    k = int(np.argmin(losses))
    f = fractions[k]

    expected = (1 - f) * of_all.predict(X)[:, 0] + f * trained
    assert_allclose(model.predict(X), expected, rtol=1e-6)
    assert_allclose(model.best_validation_score_, r2_score(y[90:], mixed[k]), rtol=1e-6)
    assert model.best_iter_ == (0 if f == 0 else 1)


def test_given_validation_samples_are_not_fitted_by_the_ridge():
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(2, 60, 3, 1))
    y, y_val = X[:, -1, 0] + rng.normal(size=60), X_val[:, -1, 0]
    model = LSTMRegressor(4, linear_skip=3, max_iter=1, learning_rate_init=1e-12, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_iter_ == 0  # the ridge of all is better than half of it
    assert_allclose(model.predict(X), FlatRidge(3, X, y).predict(X)[:, 0], rtol=1e-7)


def test_auto_stops_early_from_32_samples_on_and_for_classes_from_50():
    X = make_sequences("dense", 50)
    y = linear_target(X)
    model = quick(LSTMRegressor)
    assert model.early_stopping == "auto"
    assert model.fit(X[:31], y[:31]).validation_scores_ is None
    assert len(model.fit(X[:32], y[:32]).validation_scores_) == 3
    assert model.fit(X[:20], y[:20], X_val=X[20:], y_val=y[20:]).validation_scores_ is not None
    assert quick(LSTMRegressor).partial_fit(X, y).validation_scores_ is None
    classes = make_target(LSTMClassifier, X)
    assert quick(LSTMClassifier).fit(X, classes).validation_scores_ is None
    auto = quick(LSTMClassifier, early_stopping="auto")
    assert auto.fit(X, classes).validation_scores_ is not None
    assert auto.fit(X[:49], classes[:49]).validation_scores_ is None


def test_partial_fit_refuses_early_stopping_that_is_asked_for():
    X = make_sequences("dense", 60)
    with pytest.raises(ValueError, match="early_stopping=True"):
        quick(LSTMRegressor, early_stopping=True).partial_fit(X, linear_target(X))


# Data that are not like most.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_line_without_noise_is_predicted_nearly_exactly(loss, early_stopping, dtype):
    X = make_sequences("dense", 120, dtype=dtype)
    y = (3 + X[:, -1, 0] - 0.5 * X[:, -3, 1]).astype(dtype)
    model = quick(LSTMRegressor, loss=loss, max_iter=5, early_stopping=early_stopping).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    assert_allclose(model.predict(X), y, atol=1e-4)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("value", [0.0, 5.0, -1e7])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_constant_target_is_predicted(loss, value, early_stopping):
    X = make_sequences("missing", 60)
    model = quick(LSTMRegressor, loss=loss, early_stopping=early_stopping)
    predicted = model.fit(X, np.full(60, value)).predict(X)
    assert_allclose(predicted, value, atol=0.5, rtol=1e-6)
    both = np.column_stack([np.full(60, value), linear_target(X)])
    assert np.isfinite(model.fit(X, both).predict(X)).all()


def test_a_constant_feature_has_a_scale_of_one():
    X = make_sequences("dense", 60)
    X[:, :, 1] = 7.0
    model = quick(LSTMRegressor).fit(X, X[:, -1, 0])
    assert_allclose(model.skip_mean_[1], 7)
    assert model.skip_scale_[1] == 1
    assert np.isfinite(model.predict(X + 1)).all()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("form", FORMS)
def test_float32_stays_close_to_float64(form, loss):
    X = make_sequences(form, 60)
    y = np.abs(linear_target(X))
    # float32 and float64 see the same numbers.
    X = [x.astype(np.float32) for x in X] if form == "ragged" else X.astype(np.float32)
    models = [
        quick(LSTMRegressor, loss=loss, dtype=dtype, early_stopping=False).fit(X, y)
        for dtype in (np.float32, np.float64)
    ]
    single, double = (model.predict(X) for model in models)
    assert single.dtype == models[0].skip_coef_.dtype == np.float32
    assert models[0].skip_mean_.dtype == np.float64
    # The gradient of the absolute error jumps where a residual is zero up to rounding.
    assert_allclose(single, double, rtol=1e-2 if loss == "absolute_error" else 1e-3)


def test_two_dimensions_are_read_as_time_steps():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    for params in (FROZEN, {"max_iter": 3, "random_state": 0}):
        sequences = LSTMRegressor(4, **params).fit(X, y)
        flat = LSTMRegressor(4, timesteps=5, **params).fit(X.reshape(60, -1), y)
        assert_same_fit(flat, sequences)
        assert_array_equal(flat.predict(X.reshape(60, -1)), sequences.predict(X))
    single = LSTMRegressor(4, **FROZEN).fit(X[:, :, 0], y)
    assert single.skip_coef_.shape == (1, 5, 1)


def test_a_list_equals_an_array():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    assert_same_fit(quick(LSTMRegressor).fit(list(X), y), quick(LSTMRegressor).fit(X, y))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_sequences_without_a_step_are_predicted(early_stopping):
    X = [*make_sequences("ragged", 58), np.empty((0, 2)), np.empty((0, 2))]
    y = np.r_[linear_target(X[:58]), 10, 10]
    model = quick(LSTMRegressor, early_stopping=early_stopping).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, bool])
def test_whole_numbers_are_read(dtype):
    X = np.random.default_rng(0).integers(0, 2, (60, 5, 2)).astype(dtype)
    y = X[:, -1, 0] + 2.0 * X[:, -2, 1]
    for linear_skip in (3, 9):
        model = quick(LSTMRegressor, linear_skip=linear_skip).fit(X, y)
        assert_allclose(model.predict(X), y, atol=1e-3)


def test_a_single_epoch_has_a_result():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    with pytest.warns(ConvergenceWarning):
        model = LSTMRegressor(random_state=0, max_iter=1).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == 1


def test_samples_without_weight_do_not_count():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    spoiled, weights = y.copy(), np.ones(60)
    spoiled[::3], weights[::3] = 1e3, 0
    model = LSTMRegressor(4, linear_skip=3, **FROZEN)
    expected = model.fit(X[weights > 0], y[weights > 0]).predict(X)
    assert_allclose(model.fit(X, spoiled, sample_weight=weights).predict(X), expected, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_features_of_any_size_that_is_finite_are_read(scale):
    """The LSTM saturates, the linear part does not."""
    X = make_sequences("dense", 60)
    y = X[:, -1, 0] - X[:, -2, 1]
    model = LSTMRegressor(4, linear_skip=3, **FROZEN).fit(scale * X, y)
    assert_allclose(model.predict(scale * X), y, atol=1e-3)


@pytest.mark.parametrize("spoil", [lambda X: 1e200 * X, lambda X: np.sign(X) * 1.7e308])
def test_features_too_large_to_standardize_raise_an_error_that_says_what_to_do(spoil):
    X = make_sequences("dense", 60)
    y = linear_target(X)
    with pytest.raises(ValueError, match=r"X contains values too large .* linear_skip=0"):
        quick(LSTMRegressor).fit(spoil(X), y)
    assert np.isfinite(quick(LSTMRegressor, linear_skip=0).fit(spoil(X), y).predict(X)).all()


def test_x_is_not_changed():
    X = make_sequences("missing", 60)
    before = X.copy()
    X.flags.writeable = False
    quick(LSTMRegressor).fit(X, linear_target(X)).predict(X)
    assert_array_equal(X, before)


# Streams and other formats.


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("linear_skip", [1, 3, 7])
def test_each_step_of_a_stream_is_predicted_as_the_sequence_so_far(linear_skip, loss):
    """A missing step moves the others back by a position."""
    X = make_sequences("missing", 60)
    y = np.abs(linear_target(X))
    model = quick(LSTMRegressor, linear_skip=linear_skip, loss=loss).fit(X, y)
    streams = make_sequences("missing", 4, 9, seed=1)
    streams[0, :2] = np.nan
    state, states = None, [None] * 4
    for t in range(9):
        y, state = model.predict_step(streams[:, t], state)
        expected = model.predict(streams[:, : t + 1])
        assert_allclose(y, expected, rtol=1e-9)
        for j, stream in enumerate(streams):
            one, states[j] = model.predict_step(stream[t], states[j])
            assert_allclose(one, expected[j], rtol=1e-9)


def test_a_float32_model_rounds_what_it_reads_alike_everywhere(tmp_path):
    """In fit, in predict, in a stream and in a file, for float64 at a level that costs digits."""
    X = 1e5 + make_sequences("dense", 60)
    y = linear_target(X - 1e5)
    model = LSTMRegressor(4, linear_skip=3, dtype=np.float32, random_state=0).fit(X, y)
    assert_array_equal(model.predict(X), model.predict(X.astype(np.float32)))
    runtime.save(model, tmp_path / "model.npz")
    assert_array_equal(runtime.load(tmp_path / "model.npz").predict(X), model.predict(X))
    state = None
    for t in range(X.shape[1]):
        streamed, state = model.predict_step(X[:, t], state)
    assert_allclose(streamed, model.predict(X), rtol=1e-5)
    for other in (X.astype(np.float32), np.asfortranarray(X)):
        assert_same_fit(LSTMRegressor(**model.get_params()).fit(other, y), model)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "squared_error"},
        {"loss": "absolute_error"},
        {"loss": "huber"},
        {"loss": "poisson"},
        {"loss": "quantile", "quantile": 0.9},
    ],
    ids=lambda params: params["loss"],
)
def test_files_and_onnx_give_the_predictions_of_each_loss(params, tmp_path):
    """With several outputs, in their own units."""
    X = make_sequences("missing", 60).astype(np.float32)
    y = np.abs(np.column_stack([linear_target(X), 100 * linear_target(X, seed=1)]))
    model = quick(LSTMRegressor, linear_skip=6, dtype=np.float64, **params).fit(X, y)
    expected = model.predict(X)
    runtime.save(model, tmp_path / "model.npz")
    assert_array_equal(runtime.load(tmp_path / "model.npz").predict(X), expected)
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    (found,) = session.run(["variable"], {"X": X})
    assert_allclose(found, expected, rtol=1e-4)


def test_training_does_not_warn_by_the_way():
    """Neither of division nor of overflow, also where the scales are far apart."""
    X = make_sequences("dense", 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for y in (np.zeros(60), X[:, -1, 0], 1e-200 * X[:, -1, 0], 1e100 * X[:, -1, 0] ** 2):
            model = quick(LSTMRegressor).fit(X, y)
            assert np.isfinite(outputs(model, X)).all()
