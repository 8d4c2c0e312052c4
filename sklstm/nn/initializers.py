"""Initial weights: Glorot uniform, orthogonal, and a forget bias of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["glorot_uniform", "lstm_biases", "orthogonal"]


def glorot_uniform(
    rng: np.random.RandomState, n_outputs: int, n_inputs: int
) -> NDArray[np.float64]:
    """Draw uniform weights of variance 2 / (fan_in + fan_out).

    This is the initialisation of Glorot and Bengio [1]_.

    Parameters
    ----------
    rng : RandomState
        Random number generator.
    n_outputs, n_inputs : int
        Shape of the matrix, its fan-out and its fan-in.

    Returns
    -------
    ndarray of shape (n_outputs, n_inputs)
        The weights.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    """
    limit = np.sqrt(6.0 / (n_inputs + n_outputs))
    return rng.uniform(-limit, limit, size=(n_outputs, n_inputs))


def orthogonal(rng: np.random.RandomState, n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """Draw a matrix with orthonormal columns, uniformly among all such matrices.

    Such weights keep the length of a state from one step to the next [1]_.

    Parameters
    ----------
    rng : RandomState
        Random number generator.
    n_rows, n_columns : int
        Shape of the matrix, ``n_rows >= n_columns``.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
        The weights; ``Q.T @ Q`` is the identity.

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics
       of learning in deep linear neural networks", ICLR 2014.
    """
    Q, R = np.linalg.qr(rng.normal(size=(n_rows, n_columns)))
    # With a positive diagonal of R, the factorisation is unique and Q is uniformly distributed.
    signs = np.where(np.diag(R) < 0, -1.0, 1.0)
    return Q * signs


def lstm_biases(n_units: int) -> NDArray[np.float64]:
    """Return zero biases, except ones for the forget gate, so that a new network remembers.

    An LSTM that forgets from the start learns long dependencies more slowly [1]_.

    Parameters
    ----------
    n_units : int
        Number of units of the layer.

    Returns
    -------
    ndarray of shape (4 * n_units,)
        Biases in the gate order i, f, g, o.

    References
    ----------
    .. [1] R. Jozefowicz, W. Zaremba and I. Sutskever, "An Empirical Exploration of Recurrent
       Network Architectures", ICML 2015.
    """
    return np.repeat([0.0, 1.0, 0.0, 0.0], n_units)
