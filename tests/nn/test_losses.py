"""Losses: values as in scikit-learn, gradients as the reference has them, extreme values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn._loss.loss import HuberLoss
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, complex_step, finite_differences

from sklstm.nn import (
    AbsoluteError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    MultiPinballLoss,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.model import NumericOutput

N_SAMPLES = 20


def draw(loss, n_outputs, dtype=np.float64):
    """Draw target and raw outputs, (n_outputs, n_samples), and sample weights."""
    rng = np.random.default_rng(0)
    raw = 3 * rng.normal(size=(n_outputs, N_SAMPLES))
    target = rng.normal(size=raw.shape)
    if isinstance(loss, Poisson):
        target = rng.poisson(2, size=raw.shape).astype(float)  # some are zero
    elif isinstance(loss, CategoricalCrossEntropy):
        target = np.eye(n_outputs)[:, np.arange(N_SAMPLES) % n_outputs]
    elif isinstance(loss, BinaryCrossEntropy):
        target = (target > 0).astype(float)
    return target.astype(dtype), raw.astype(dtype), rng.uniform(size=N_SAMPLES)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_squared_error_is_half_the_mean_squared_error(n_outputs):
    loss = SquaredError()
    target, raw, weights = draw(loss, n_outputs)
    value = np.average(loss.value(target, raw), weights=weights)
    assert_allclose(2 * value, mean_squared_error(target.T, raw.T, sample_weight=weights))
    assert_array_equal(loss.inverse_link(raw), raw)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_absolute_error_is_the_mean_absolute_error(n_outputs):
    loss = AbsoluteError()
    target, raw, weights = draw(loss, n_outputs)
    value = np.average(loss.value(target, raw), weights=weights)
    assert_allclose(value, mean_absolute_error(target.T, raw.T, sample_weight=weights))
    assert_array_equal(loss.inverse_link(raw), raw)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_pinball_loss_is_the_mean_pinball_loss(n_outputs, quantile):
    loss = PinballLoss(quantile)
    target, raw, weights = draw(loss, n_outputs)
    value = np.average(loss.value(target, raw), weights=weights)
    truth = mean_pinball_loss(target.T, raw.T, sample_weight=weights, alpha=quantile)
    assert_allclose(value, truth)
    assert_array_equal(loss.inverse_link(raw), raw)


QUANTILES = [(0.3,), (0.2, 0.9), (0.1, 0.5, 0.9), (0.05, 0.1, 0.4, 0.8), (0.1, 0.3, 0.5, 0.7, 0.95)]


@pytest.mark.parametrize("quantiles", QUANTILES)
def test_multi_pinball_loss_is_the_mean_over_quantiles_of_the_mean_pinball_loss(quantiles):
    loss = MultiPinballLoss(quantiles)
    target, raw, weights = draw(loss, len(quantiles))
    predicted = loss.inverse_link(raw)
    value = np.average(loss.value(target, raw), weights=weights)
    by_quantile = [
        mean_pinball_loss(*pair, sample_weight=weights, alpha=q)
        for *pair, q in zip(target, predicted, quantiles, strict=True)
    ]
    assert_allclose(value, np.mean(by_quantile))


@pytest.mark.parametrize("quantiles", QUANTILES)
def test_quantiles_are_the_middle_output_and_steps_away_from_it(quantiles):
    loss = MultiPinballLoss(quantiles)
    _, raw, _ = draw(loss, len(quantiles))
    predicted, middle = loss.inverse_link(raw), len(quantiles) // 2
    assert_array_equal(predicted[middle], raw[middle])
    steps = np.log1p(np.exp(np.delete(raw, middle, axis=0)))
    assert_allclose(np.diff(predicted, axis=0), steps)
    assert_allclose(predicted.T, [reference.ordered(z) for z in raw.T])


def test_a_single_quantile_in_a_tuple_is_the_pinball_loss():
    several, one = MultiPinballLoss((0.3,)), PinballLoss(0.3)
    target, raw, _ = draw(one, 1)
    for method in ("value", "gradient"):
        assert_allclose(getattr(several, method)(target, raw), getattr(one, method)(target, raw))


@given(
    st.data(),
    st.integers(1, 6),
    st.sampled_from([np.float32, np.float64]),
    st.floats(1e-6, 1e6),
    st.floats(-1e10, 1e10),
)
def test_quantiles_never_cross_whatever_the_raw_outputs_are(data, n, dtype, scale, mean):
    """Not by a rounding error, neither in raw units nor in those of y."""
    raw = data.draw(arrays(dtype, (n, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
    loss = MultiPinballLoss(np.arange(1, n + 1) / (n + 1))
    predicted = loss.inverse_link(raw)
    assert predicted.dtype == dtype
    assert (np.diff(predicted, axis=0) >= 0).all()
    output = NumericOutput("ordered", np.full(n, mean), np.full(n, scale), False)
    assert (np.diff(output.predict(raw.T), axis=1) >= 0).all()


@pytest.mark.parametrize("quantiles", QUANTILES)
def test_the_link_of_quantiles_is_the_inverse_of_the_inverse_link(quantiles):
    loss = MultiPinballLoss(quantiles)
    _, raw, _ = draw(loss, len(quantiles))
    raw = np.maximum(raw, -6)  # below are the steps that are too small to start from
    assert_allclose(loss.link(loss.inverse_link(raw)), raw, rtol=1e-9)
    equal = np.full_like(raw, 5.0)
    nearly = loss.inverse_link(loss.link(equal))
    assert_allclose(nearly, equal, atol=1e-3 * len(quantiles))
    assert np.isfinite(loss.link(1e30 * np.sort(raw, axis=0))).all()


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_huber_equals_scikit_learns_huber_loss_with_delta_one(n_outputs):
    loss, truth = Huber(), HuberLoss(delta=1)
    target, raw, _ = draw(loss, n_outputs)
    error = np.abs(target - raw)
    assert error.min() < 1 < error.max()
    pairs = list(zip(target, raw, strict=True))
    values = [truth.loss(y_true=y, raw_prediction=z) for y, z in pairs]
    assert_allclose(loss.value(target, raw), np.mean(values, axis=0))
    gradients = [truth.gradient(y_true=y, raw_prediction=z) for y, z in pairs]
    assert_allclose(loss.gradient(target, raw), np.array(gradients) / n_outputs)
    assert_array_equal(loss.inverse_link(raw), raw)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_poisson_is_half_the_mean_poisson_deviance(n_outputs):
    loss = Poisson()
    target, raw, weights = draw(loss, n_outputs)
    assert (target == 0).any()
    y_pred = loss.inverse_link(raw)
    assert_allclose(y_pred, np.exp(raw))
    value = np.average(loss.value(target, raw), weights=weights)
    by_output = [
        mean_poisson_deviance(y, z, sample_weight=weights)
        for y, z in zip(target, y_pred, strict=True)
    ]
    assert_allclose(2 * value, np.mean(by_output))


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_categorical_cross_entropy_is_the_log_loss(n_classes):
    loss = CategoricalCrossEntropy()
    target, raw, weights = draw(loss, n_classes)
    p = loss.inverse_link(raw)
    assert_allclose(p, softmax(raw, axis=0))
    value = np.average(loss.value(target, raw), weights=weights)
    assert_allclose(value, log_loss(target.argmax(axis=0), p.T, sample_weight=weights))


@pytest.mark.parametrize("n_labels", [1, 3])
def test_binary_cross_entropy_is_the_log_loss_summed_over_labels(n_labels):
    loss = BinaryCrossEntropy()
    target, raw, weights = draw(loss, n_labels)
    p = loss.inverse_link(raw)
    assert_allclose(p, expit(raw))
    value = np.average(loss.value(target, raw), weights=weights)
    by_label = [log_loss(y, q, sample_weight=weights) for y, q in zip(target, p, strict=True)]
    assert_allclose(value, sum(by_label))


def test_softmax_of_two_classes_equals_the_logistic_loss_of_one_label():
    target, raw, _ = draw(BinaryCrossEntropy(), 1)
    as_two = np.concatenate([np.zeros_like(raw), raw])
    one_hot = np.concatenate([1 - target, target])
    assert_allclose(
        CategoricalCrossEntropy().value(one_hot, as_two), BinaryCrossEntropy().value(target, raw)
    )


CASES = [
    (SquaredError(), reference.squared_error, 1),
    (SquaredError(), reference.squared_error, 3),
    (AbsoluteError(), reference.absolute_error, 1),
    (AbsoluteError(), reference.absolute_error, 3),
    (Huber(), reference.huber, 1),
    (Huber(), reference.huber, 3),
    (PinballLoss(0.1), reference.pinball(0.1), 1),
    (PinballLoss(0.9), reference.pinball(0.9), 3),
    *((MultiPinballLoss(q), reference.multi_pinball(q), len(q)) for q in QUANTILES),
    (Poisson(), reference.poisson, 1),
    (Poisson(), reference.poisson, 3),
    (CategoricalCrossEntropy(), reference.categorical_cross_entropy, 2),
    (CategoricalCrossEntropy(), reference.categorical_cross_entropy, 3),
    (BinaryCrossEntropy(), reference.binary_cross_entropy, 1),
    (BinaryCrossEntropy(), reference.binary_cross_entropy, 3),
]


@pytest.mark.parametrize(("loss", "truth", "n_outputs"), CASES)
def test_the_gradient_is_the_derivative_of_the_value(loss, truth, n_outputs):
    target, raw, _ = draw(loss, n_outputs)
    value, gradient = loss.value(target, raw), loss.gradient(target, raw)
    assert value.shape == (N_SAMPLES,)
    assert gradient.shape == raw.shape
    for y, z, v, d in zip(target.T, raw.T, value, gradient.T, strict=True):
        assert_allclose(v, truth(y, z))
        assert_gradient(d, complex_step(lambda z, y=y: truth(y, z), z), rtol=1e-11)
        by_value = finite_differences(lambda z, y=y: loss.value(y[:, None], z[:, None])[0], z)
        assert_gradient(d, by_value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "n_outputs"), [(loss, n) for loss, _, n in CASES])
def test_the_dtype_is_kept(loss, n_outputs, dtype):
    target, raw, _ = draw(loss, n_outputs, dtype)
    assert loss.value(target, raw).dtype == dtype
    assert loss.gradient(target, raw).dtype == dtype
    assert loss.inverse_link(raw).dtype == dtype


@pytest.mark.parametrize("quantile", [np.float64(0.9), np.float32(0.9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_quantile_may_be_a_numpy_scalar(quantile, dtype):
    target, raw, _ = draw(PinballLoss(0.9), 2, dtype)
    plain, loss = PinballLoss(float(quantile)), PinballLoss(quantile)
    for method in ("value", "gradient"):
        result = getattr(loss, method)(target, raw)
        assert result.dtype == dtype
        assert_array_equal(result, getattr(plain, method)(target, raw))


# Kinks: some entries equal their target, others do not.


@pytest.mark.parametrize(
    ("loss", "left", "right"),
    [
        (AbsoluteError(), -1, 1),
        (PinballLoss(0.5), -0.5, 0.5),
        (PinballLoss(0.1), -0.1, 0.9),
        (PinballLoss(0.9), -0.9, 0.1),
    ],
)
def test_the_gradient_at_the_kink_is_zero(loss, left, right):
    target = np.full((2, 3), 5.0)
    raw = np.array([[5.0, 4.5, 5.5], [5.0, 5.0, 5.0]])
    assert_allclose(loss.gradient(target, raw), np.array([[0, left, right], [0, 0, 0]]) / 2)
    at, below, above = loss.value(target, raw)
    assert at == 0
    assert_allclose([-below, above], np.array([left, right]) / 2 * 0.5)


def test_huber_value_and_slope_are_continuous_at_an_error_of_one():
    loss, error, target = Huber(), np.array([[-1.0, 1.0]]), np.full((1, 2), 5.0)
    assert_array_equal(loss.value(target, target + error), [0.5, 0.5])
    assert_array_equal(loss.gradient(target, target + error), error)
    for side in (1 - 1e-9, 1 + 1e-9):
        assert_allclose(loss.value(target, target + side * error), side - 0.5, rtol=1e-15)
        assert_allclose(loss.gradient(target, target + side * error), error, rtol=2e-9)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_pinball_loss_is_least_at_the_quantile(quantile):
    target = np.random.default_rng(0).normal(size=(1, 101))
    candidates = np.sort(target[0])
    loss = PinballLoss(quantile)
    values = [loss.value(target, np.full_like(target, z)).mean() for z in candidates]
    assert candidates[np.argmin(values)] == np.quantile(target, quantile)


def test_the_gradient_of_quantiles_is_zero_where_all_are_right():
    loss = MultiPinballLoss((0.1, 0.5, 0.9))
    raw = np.array([[0.3], [2.0], [-1.0]])
    assert_array_equal(loss.gradient(loss.inverse_link(raw), raw), np.zeros((3, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantiles_at_extreme_raw_outputs(dtype):
    loss = MultiPinballLoss((0.25, 0.5, 0.75))
    raw = np.array([[1e30, -1e30], [1, 1], [-1e30, 1e30]], dtype)
    predicted = np.array([[-1e30, 1], [1, 1], [1, 1e30]], dtype)
    assert_allclose(loss.inverse_link(raw), predicted, rtol=1e-6)
    target = np.zeros_like(raw)
    value = np.array([(0.25e30 + 0.5 + 0.25) / 3, (0.75 + 0.5 + 0.25e30) / 3], dtype)
    assert_allclose(loss.value(target, raw), value, rtol=1e-6)
    gradient = [[0.25, 0], [0.5 + 0.25 - 0.25, 0.75 + 0.5 + 0.25], [0, 0.25]]
    assert_allclose(loss.gradient(target, raw), np.array(gradient, dtype) / 3, rtol=1e-6)


# Extreme values.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("loss", "values", "slopes"),
    [
        (AbsoluteError(), [1e30, 1e30], [-1, 1]),
        (Huber(), [1e30, 1e30], [-1, 1]),
        (PinballLoss(0.25), [0.25e30, 0.75e30], [-0.25, 0.75]),
    ],
)
def test_huge_errors_have_a_linear_loss_and_a_bounded_gradient(loss, values, slopes, dtype):
    raw, target = np.array([[-1e30, 1e30]], dtype), np.ones((1, 2), dtype)
    assert_allclose(loss.value(target, raw), np.array(values, dtype), rtol=1e-6)
    assert_array_equal(loss.gradient(target, raw), np.array([slopes], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poisson_at_extreme_raw_outputs(dtype):
    loss = Poisson()
    target = np.array([[0, 0, 0, 3, 3]], dtype)
    raw = np.array([[-1e30, -1000, 50, -1000, 50]], dtype)
    rate = np.exp(dtype(50))
    constant = 3 * np.log(3) - 3
    value = np.array([0, 0, rate, 3000 + constant, rate - 150 + constant], dtype)
    assert_allclose(loss.value(target, raw), value, rtol=1e-6)
    assert_array_equal(loss.gradient(target, raw), np.array([[0, 0, rate, -3, rate - 3]], dtype))
    assert_array_equal(loss.inverse_link(raw), np.array([[0, 0, rate, 0, rate]], dtype))


def test_poisson_loss_of_a_correct_prediction_is_zero():
    target = np.array([[1e-3, 1.0, 7.0, 1e6]])
    raw = np.log(target)
    assert_allclose(Poisson().value(target, raw), 0, atol=1e-9)
    assert_allclose(Poisson().gradient(target, raw) / target, 0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_at_extreme_logits(dtype):
    loss = BinaryCrossEntropy()
    raw = np.array([[-1e30, -1000, 1000, 1e30] * 2], dtype)
    target = np.repeat([[0, 1]], 4, axis=1).astype(dtype)
    assert_array_equal(
        loss.value(target, raw), np.array([0, 0, 1000, 1e30, 1e30, 1000, 0, 0], dtype)
    )
    assert_array_equal(loss.gradient(target, raw), [[0, 0, 1, 1, -1, -1, 0, 0]])
    assert_array_equal(loss.inverse_link(raw), [[0, 0, 1, 1] * 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_categorical_cross_entropy_at_extreme_logits(dtype):
    loss = CategoricalCrossEntropy()
    raw = np.array([[1e30, 0, -1e30], [1000, 1000, 0], [0, 0, -1000]], dtype).T
    target = np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0]], dtype).T
    assert_allclose(
        loss.value(target, raw), np.array([2e30, 1000 + np.log(2), np.log(2)], dtype), rtol=1e-6
    )
    assert_allclose(loss.inverse_link(raw).T, [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]])
    assert_allclose(loss.gradient(target, raw).T, [[1, 0, -1], [0.5, 0.5, -1], [-0.5, 0.5, 0]])


def test_a_small_loss_is_precise():
    """For a confident correct answer, -log p is about exp(-raw) and not rounded to zero."""
    raw = np.array([[30.0]])
    assert_allclose(BinaryCrossEntropy().value(np.ones((1, 1)), raw), np.exp(-30), rtol=1e-12)
