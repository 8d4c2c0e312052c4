"""The adding problem: two marked numbers out of fifty must be remembered and added.

S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997,
section 5.4, in its usual form today: the numbers are uniform over [0, 1], and the target is the sum
of the marked ones.
"""

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from sklstm import LSTMRegressor

pytestmark = pytest.mark.slow

N_TIMESTEPS = 50


def draw(n_samples, seed):
    """Return numbers and markers, (n_samples, N_TIMESTEPS, 2), and sums of the marked numbers."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(size=(n_samples, N_TIMESTEPS))
    steps = np.tile(np.arange(N_TIMESTEPS), (n_samples, 1))
    markers = rng.permuted(steps, axis=1) < 2
    X = np.stack([numbers, markers], axis=2).astype(np.float32)
    return X, X.prod(axis=2).sum(axis=1)


def error_on_new_sequences(regressor, *, flatten=False):
    """Return the mean squared error; that of predicting the mean is 1/6."""
    X, y = draw(5000, seed=0)
    X_new, y_new = draw(1000, seed=1)
    if flatten:
        X, X_new = X.reshape(len(X), -1), X_new.reshape(len(X_new), -1)
    return mean_squared_error(y_new, regressor.fit(X, y).predict(X_new))


def test_an_lstm_solves_the_adding_problem():
    regressor = LSTMRegressor(
        16, batch_size=20, learning_rate_init=0.01, tol=0.01, dtype="float32", random_state=0
    )
    assert error_on_new_sequences(regressor) < 0.01


@pytest.mark.parametrize("hidden_layer_sizes", [(100,), (64, 64)])
def test_a_feed_forward_network_does_not_solve_the_adding_problem(hidden_layer_sizes):
    regressor = MLPRegressor(
        hidden_layer_sizes=hidden_layer_sizes, early_stopping=True, random_state=0
    )
    with threadpool_limits(1):  # one thread is faster for matrices of this size
        assert error_on_new_sequences(regressor, flatten=True) > 0.1
