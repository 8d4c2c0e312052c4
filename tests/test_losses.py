"""Losses: values against scikit-learn, gradients against differences, and the far ends."""

import _reference_lstm as reference
import numpy as np
import pytest
from _gradcheck import assert_gradient, complex_step, finite_differences
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, mean_squared_error

from sklstm.nn import BinaryCrossEntropy, CategoricalCrossEntropy, SquaredError

N_SAMPLES = 20


def draw(loss, n_outputs, dtype=np.float64):
    """Target and raw outputs, (n_outputs, n_samples), and weights of the samples."""
    rng = np.random.default_rng(0)
    raw = 3 * rng.normal(size=(n_outputs, N_SAMPLES))
    target = rng.normal(size=raw.shape)
    if isinstance(loss, CategoricalCrossEntropy):
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


def test_two_classes_by_softmax_are_one_label_by_the_logistic_function():
    target, raw, _ = draw(BinaryCrossEntropy(), 1)
    as_two = np.concatenate([np.zeros_like(raw), raw])
    one_hot = np.concatenate([1 - target, target])
    assert_allclose(
        CategoricalCrossEntropy().value(one_hot, as_two), BinaryCrossEntropy().value(target, raw)
    )


CASES = [
    (SquaredError(), reference.squared_error, 1),
    (SquaredError(), reference.squared_error, 3),
    (CategoricalCrossEntropy(), reference.categorical_cross_entropy, 2),
    (CategoricalCrossEntropy(), reference.categorical_cross_entropy, 3),
    (BinaryCrossEntropy(), reference.binary_cross_entropy, 1),
    (BinaryCrossEntropy(), reference.binary_cross_entropy, 3),
]


@pytest.mark.parametrize(("loss", "truth", "n_outputs"), CASES)
def test_the_gradient_is_that_of_the_value(loss, truth, n_outputs):
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


def test_a_small_loss_keeps_its_digits():
    """-log p of a sure and right answer is about exp(-raw), not zero."""
    raw = np.array([[30.0]])
    assert_allclose(BinaryCrossEntropy().value(np.ones((1, 1)), raw), np.exp(-30), rtol=1e-12)
