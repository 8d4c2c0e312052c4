"""LSTMRegressor: the scale and the shape of the target, several outputs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning
from support.data import assert_same_fit, make_sequences, make_target, quick
from support.plain import plain
from support.reference_lstm import network, objective, squared_error

from sklstm import LSTMRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = make_sequences("missing")
y = make_target(LSTMRegressor, X)
Y = np.column_stack([y, 1000 * y[::-1] - 5000])


def regressor(**params):
    return quick(LSTMRegressor, **params)


def plain_regressor(**params):
    return plain(LSTMRegressor, **params)


def raw_outputs(estimator, X):
    return np.array([network(sequence, estimator.coefs_, estimator.intercepts_) for sequence in X])


def test_predictions_are_raw_outputs_in_the_units_of_the_target():
    estimator = plain_regressor().fit(X, y)
    expected = raw_outputs(estimator, X)[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12)


def test_without_normalize_y_predictions_are_raw_outputs():
    estimator = plain_regressor(normalize_y=False).fit(X, y)
    np.testing.assert_allclose(estimator.predict(X), raw_outputs(estimator, X)[:, 0], rtol=1e-12)


@pytest.mark.parametrize("shape", [(20,), (20, 1), (20, 2)])
@pytest.mark.parametrize("normalize_y", [True, False])
def test_predictions_have_the_shape_of_the_target(shape, normalize_y):
    target = np.resize(Y.T, shape[::-1]).T
    estimator = regressor(normalize_y=normalize_y).fit(X, target)
    assert estimator.predict(X).shape == shape
    assert estimator.predict(X[:1]).shape == (1, *shape[1:])
    assert estimator.n_outputs_ == (1 if len(shape) == 1 else shape[1])
    estimator.partial_fit(X, target)
    assert estimator.predict(X).shape == shape


def test_a_target_of_one_column_gives_the_fit_of_a_vector():
    column = regressor().fit(X, y[:, np.newaxis])
    assert_same_fit(column, regressor().fit(X, y))


@settings(max_examples=20)
@given(scale=st.floats(1e-3, 1e6), shift=st.floats(-1e3, 1e3))
def test_predictions_scale_and_shift_with_the_target(scale, shift):
    plain = regressor().fit(X, y).predict(X)
    other = regressor().fit(X, scale * y + shift * scale).predict(X)
    expected = scale * plain + shift * scale
    np.testing.assert_allclose(other, expected, rtol=1e-7, atol=1e-7 * abs(scale))


@pytest.mark.parametrize("magnitude", [1e-300, 1e-150, 1e150, 1e300])
def test_predictions_scale_with_targets_of_extreme_magnitude(magnitude):
    plain = regressor().fit(X, y).predict(X)
    other = regressor().fit(X, magnitude * y).predict(X)
    np.testing.assert_allclose(other, magnitude * plain, rtol=1e-7)


def test_a_frame_of_one_column_as_target_is_warned_of():
    frame = pd.DataFrame({"load": y})
    with pytest.warns(DataConversionWarning, match=r"Use y\['load'\], a vector") as caught:
        column = regressor().fit(X, frame).predict(X)
    assert caught[0].filename == __file__
    assert column.shape == (20, 1)
    np.testing.assert_array_equal(column[:, 0], regressor().fit(X, frame["load"]).predict(X))


def test_each_output_is_standardised_separately():
    estimator = regressor().fit(X, Y)
    other = regressor().fit(X, Y * [1e-3, 1e3] + [7, -7])
    expected = estimator.predict(X) * [1e-3, 1e3] + [7, -7]
    np.testing.assert_allclose(other.predict(X), expected, rtol=1e-7)


def test_the_loss_is_averaged_over_outputs():
    estimator = plain_regressor(batch_size=20, alpha=0.0).fit(X, Y)
    target = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    expected = objective(
        X, target, np.ones(20), squared_error, estimator.coefs_, estimator.intercepts_
    )
    assert estimator.partial_fit(X, Y).loss_ == pytest.approx(expected, rel=1e-12)


def test_the_first_partial_fit_determines_the_scale_of_the_target():
    estimator = plain_regressor().partial_fit(X, y)
    estimator.partial_fit(X, 100 * y + 1000)
    expected = raw_outputs(estimator, X)[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12)


def test_the_scale_of_the_target_is_weighted():
    weights = np.linspace(0, 1, len(y))
    estimator = plain_regressor().fit(X, y, sample_weight=weights)
    mean = np.average(y, weights=weights)
    std = np.sqrt(np.average((y - mean) ** 2, weights=weights))
    expected = raw_outputs(estimator, X)[:, 0] * std + mean
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 3.7, -1e12, 0.1 + 0.2])
def test_a_constant_target_is_learned(constant):
    params = {"max_iter": 300, "learning_rate_init": 0.02, "batch_size": 20}
    estimator = regressor(n_iter_no_change=np.inf, **params).fit(X, np.full(20, constant))
    np.testing.assert_allclose(estimator.predict(X), constant, atol=0.02, rtol=1e-12)


def test_one_of_several_outputs_can_be_constant():
    Y_constant = np.column_stack([y, np.full(20, 5.0)])
    predictions = regressor(max_iter=100, learning_rate_init=0.01).fit(X, Y_constant).predict(X)
    np.testing.assert_allclose(predictions[:, 1], 5.0, atol=0.2)
    assert np.corrcoef(predictions[:, 0], y)[0, 1] > 0.5


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float32, object])
def test_targets_can_be_of_any_real_dtype(dtype):
    target = (10 * np.abs(y)).astype(int).astype(dtype)
    estimator = regressor().fit(X, target)
    assert_same_fit(estimator, regressor().fit(X, target.astype(float)))
    assert estimator.predict(X).dtype == np.float64


def test_float32_predictions_of_a_float64_target_are_close():
    target = 1e6 + y
    single = regressor().fit(X.astype(np.float32), target).predict(X)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, regressor().fit(X, target).predict(X), rtol=1e-6)


def test_a_regressor_learns_the_sum_of_a_sequence():
    many = make_sequences("dense", n_samples=400, n_timesteps=4, n_features=1)
    total = many.sum(axis=(1, 2))
    estimator = LSTMRegressor(16, max_iter=60, learning_rate_init=0.01, random_state=0)
    estimator.fit(many[:300], total[:300])
    assert estimator.score(many[300:], total[300:]) > 0.97
