"""Initial weights: bounds, variance, orthogonality and its distribution."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import beta, binomtest, kstest, uniform

from sklstm.nn import glorot_uniform, lstm_biases, orthogonal


@pytest.mark.parametrize(("n_outputs", "n_inputs"), [(100, 50), (40, 200), (400, 30)])
def test_glorot_uniform_has_its_bound_and_variance(n_outputs, n_inputs):
    W = glorot_uniform(np.random.RandomState(0), n_outputs, n_inputs)
    assert W.shape == (n_outputs, n_inputs)
    variance = 2 / (n_inputs + n_outputs)
    bound = np.sqrt(3 * variance)  # a uniform distribution over [-a, a] has the variance a^2 / 3
    assert np.abs(W).max() <= bound
    assert_allclose(W.var(), variance, rtol=0.05)
    assert kstest(W.ravel(), uniform(-bound, 2 * bound).cdf).pvalue > 0.01


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (4, 1), (6, 6), (128, 32)])
def test_orthogonal_columns_are_orthonormal(n_rows, n_columns):
    Q = orthogonal(np.random.RandomState(0), n_rows, n_columns)
    assert Q.shape == (n_rows, n_columns)
    assert_allclose(Q.T @ Q, np.eye(n_columns), atol=1e-14)


def test_orthogonal_matrices_are_uniform():
    """They follow the Haar measure over O(n); QR alone would not, because of the signs of R."""
    n, n_draws = 4, 4000
    rng = np.random.RandomState(0)
    draws = np.array([orthogonal(rng, n, n) for _ in range(n_draws)])
    # Every entry is as often positive as negative, its square has a beta distribution.
    for k, j in np.ndindex(n, n):
        entry = draws[:, k, j]
        assert binomtest(int((entry > 0).sum()), n_draws).pvalue > 1e-3
        assert kstest(entry**2, beta(1 / 2, (n - 1) / 2).cdf).pvalue > 1e-3
    # Rotations and reflections are as frequent.
    n_rotations = int((np.linalg.det(draws) > 0).sum())
    assert binomtest(n_rotations, n_draws).pvalue > 1e-3
    # E[trace] = 0 and E[trace^2] = 1
    trace = np.trace(draws, axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 / np.sqrt(n_draws)
    assert_allclose((trace**2).mean(), 1, atol=0.1)


def test_only_the_forget_gate_has_a_bias_and_it_is_one():
    assert_array_equal(lstm_biases(3), [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
