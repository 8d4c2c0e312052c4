"""One time step: equal to the textbook formulas, the reference and SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from support.reference_lstm import layer

from sklstm.nn import lstm_cell, sigmoid


@given(arrays(np.float64, array_shapes(min_dims=0, max_dims=3), elements=st.floats(-50, 50)))
def test_sigmoid_is_the_logistic_function(z):
    assert_allclose(sigmoid(z), expit(z), rtol=0, atol=2 * np.finfo(float).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_neither_overflows_nor_changes_the_dtype(dtype):
    z = np.array([-np.inf, -1e30, -1000, 0, 1000, 1e30, np.inf], dtype)
    result = sigmoid(z)
    assert result.dtype == dtype
    assert_array_equal(result, [0, 0, 0, 0.5, 1, 1, 1])


def test_one_unit_equals_the_textbook_formulas():
    (w_i, w_f, w_g, w_o), (u_i, u_f, u_g, u_o) = (0.5, -0.3, 0.8, 0.1), (0.2, 0.7, -0.6, -0.9)
    (b_i, b_f, b_g, b_o), x, h, c = (0.1, 1.0, -0.2, 0.3), 1.5, -0.4, 0.6
    i = 1 / (1 + math.exp(-(w_i * x + u_i * h + b_i)))
    f = 1 / (1 + math.exp(-(w_f * x + u_f * h + b_f)))
    g = math.tanh(w_g * x + u_g * h + b_g)
    o = 1 / (1 + math.exp(-(w_o * x + u_o * h + b_o)))
    new_c = f * c + i * g
    new_h = o * math.tanh(new_c)

    result = lstm_cell(
        np.array([x]),
        np.array([h]),
        np.array([c]),
        np.array([[w_i], [w_f], [w_g], [w_o]]),
        np.array([[u_i], [u_f], [u_g], [u_o]]),
        np.array([b_i, b_f, b_g, b_o]),
    )
    assert_allclose(np.ravel(result), [new_h, new_c], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-6), (np.float64, 1e-15)])
@pytest.mark.parametrize("batch_shape", [(), (4,), (2, 3)])
def test_a_batch_equals_its_samples_one_by_one(batch_shape, dtype, atol):
    rng = np.random.default_rng(0)
    n_features, n_units = 2, 3
    x = rng.normal(size=(*batch_shape, n_features)).astype(dtype)
    h, c = rng.normal(size=(2, *batch_shape, n_units)).astype(dtype)
    W_x = rng.normal(size=(4 * n_units, n_features)).astype(dtype)
    W_h = rng.normal(size=(4 * n_units, n_units)).astype(dtype)
    b = rng.normal(size=4 * n_units).astype(dtype)

    new_h, new_c = lstm_cell(x, h, c, W_x, W_h, b)
    assert new_h.dtype == new_c.dtype == dtype
    assert new_h.shape == new_c.shape == (*batch_shape, n_units)
    for index in np.ndindex(batch_shape):
        want_h, want_c = layer([x[index]], W_x, W_h, b, h[index], c[index])
        assert_allclose(new_h[index], want_h[0], rtol=0, atol=atol)
        assert_allclose(new_c[index], want_c, rtol=0, atol=atol)


def test_lstm_cell_does_not_write_to_its_arguments():
    rng = np.random.default_rng(0)
    shapes = [(4, 2), (4, 3), (4, 3), (12, 2), (12, 3), (12,)]
    arguments = [rng.normal(size=shape) for shape in shapes]
    for array in arguments:
        array.flags.writeable = False
    lstm_cell(*arguments)  # would raise
