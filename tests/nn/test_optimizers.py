"""Adam equals the algorithm of the paper; clipping of gradients."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklstm.nn import Adam, clip_by_global_norm


def algorithm_1(theta, gradient, n_updates, alpha, beta_1, beta_2, epsilon):
    """Algorithm 1 of Kingma and Ba (2015), line by line."""
    m = np.zeros_like(theta)
    v = np.zeros_like(theta)
    for t in range(1, n_updates + 1):
        g = gradient(theta, t)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        theta = theta - alpha * m_hat / (np.sqrt(v_hat) + epsilon)
    return theta


def noisy_gradient(theta, t):
    """Return a noisy gradient of a quadratic, with scales from 1e-6 to 1e2 and some zeros."""
    scale = np.logspace(-6, 2, len(theta))
    gradient = scale * (theta + np.random.default_rng(t).normal(size=len(theta)))
    gradient[:: t % 3 + 2] = 0
    return gradient


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, {"rtol": 1e-11}), (np.float32, {"atol": 1e-4})]
)
@pytest.mark.parametrize(
    ("learning_rate", "beta_1", "beta_2", "epsilon"),
    [
        (1e-3, 0.9, 0.999, 1e-8),
        (1e-4, 0.99, 0.9999, 1e-8),
        (0.1, 0.9, 0.999, 1e-2),
        (1e-2, 0.0, 0.9, 1e-8),
    ],
)
def test_adam_equals_algorithm_1_of_the_paper(
    learning_rate, beta_1, beta_2, epsilon, dtype, tolerance
):
    n_updates = 500
    start = np.random.default_rng(0).normal(size=20)
    parameters = start.astype(dtype)
    adam = Adam(len(start), parameters.dtype, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    for t in range(1, n_updates + 1):
        gradient = noisy_gradient(parameters.astype(np.float64), t).astype(dtype)
        adam.update(parameters, gradient, learning_rate)
    assert adam.n_updates == n_updates
    assert parameters.dtype == dtype
    want = algorithm_1(start, noisy_gradient, n_updates, learning_rate, beta_1, beta_2, epsilon)
    assert np.abs(want - start).max() > 50 * tolerance.get("atol", 0)
    assert_allclose(parameters, want, **tolerance)


def test_the_first_update_has_the_size_of_the_learning_rate():
    parameters = np.zeros(4)
    Adam(4, parameters.dtype).update(parameters, np.array([1e6, -1e-3, 5.0, 0.0]), 0.01)
    assert_allclose(parameters, [-0.01, 0.01, -0.01, 0], rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_with_zero_betas_every_update_has_the_size_of_the_learning_rate(dtype):
    """With both betas zero, m_hat / sqrt(v_hat) is the sign of g, even if g has become small."""
    adam = Adam(2, np.dtype(dtype), beta_1=0.0, beta_2=0.0, epsilon=1e-12)
    for size in [1.0, 1e-3, 1e-6, 1e-9]:
        parameters = np.zeros(2, dtype)
        adam.update(parameters, np.array([size, -size], dtype), 0.01)
        assert_allclose(parameters, [-0.01, 0.01], rtol=2e-3)


def test_adam_continues_after_pickling():
    gradients = np.random.default_rng(0).normal(size=(10, 5))
    parameters, resumed = np.ones(5), np.ones(5)
    adam = Adam(5, parameters.dtype)
    for gradient in gradients:
        adam.update(parameters, gradient.copy(), 0.1)

    half = Adam(5, parameters.dtype)
    for gradient in gradients[:5]:
        half.update(resumed, gradient.copy(), 0.1)
    rest = pickle.loads(pickle.dumps(half))
    for gradient in gradients[5:]:
        rest.update(resumed, gradient.copy(), 0.1)
    assert_array_equal(resumed, parameters)


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e3, 1e3)), st.floats(1e-3, 1e4))
def test_clipping_bounds_the_norm_and_keeps_the_direction(gradient, max_norm):
    before = gradient.copy()
    norm = clip_by_global_norm(gradient, max_norm)
    assert_allclose(norm, np.linalg.norm(before), rtol=1e-12)
    if norm <= max_norm:
        assert_array_equal(gradient, before)
    else:
        assert_allclose(np.linalg.norm(gradient), max_norm, rtol=1e-12)
        assert_allclose(gradient * norm, before * max_norm, rtol=1e-12, atol=1e-300)


def test_none_does_not_clip():
    gradient = np.array([3e5, 4e5])
    assert clip_by_global_norm(gradient, None) == 5e5
    assert_array_equal(gradient, [3e5, 4e5])


def test_clipping_keeps_float32():
    gradient = np.array([3, 4], np.float32)
    assert clip_by_global_norm(gradient, 1.0) == 5
    assert gradient.dtype == np.float32
    assert_allclose(gradient, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_not_scaled(value):
    gradient = np.array([1.0, value])
    assert not np.isfinite(clip_by_global_norm(gradient, 0.5))
    assert_array_equal(gradient, [1.0, value])
