"""One time step of an LSTM, as the equations are written in the literature.

It is written for reading. Training uses :mod:`sklstm.nn.layer`, which computes the same for a whole
batch over time; the tests compare the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "lstm_cell", "sigmoid"]

Floats = NDArray[np.floating]


def sigmoid(z: Floats) -> Floats:
    """Compute the logistic function 1 / (1 + exp(-z)) without overflow or warnings.

    Parameters
    ----------
    z : ndarray
        Any shape.

    Returns
    -------
    ndarray
        Values in [0, 1], with the shape and dtype of ``z``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import sigmoid
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    # sigmoid(z) = (1 + tanh(z / 2)) / 2
    return 0.5 * np.tanh(0.5 * z) + 0.5


def lstm_cell(
    x_t: Floats,
    h: Floats,
    c: Floats,
    W_x: Floats,
    W_h: Floats,
    b: Floats,
) -> tuple[Floats, Floats]:
    """Advance an LSTM by one time step.

    The rows of ``W_x``, ``W_h`` and ``b`` are four blocks of ``n_units`` rows, in the gate order
    i, f, g, o: input gate, forget gate, candidate, output gate.

    Parameters
    ----------
    x_t : ndarray of shape (..., n_features)
        The input at this step, for one sequence or many.
    h, c : ndarray of shape (..., n_units)
        Hidden state and cell state after the previous step.
    W_x : ndarray of shape (4 * n_units, n_features)
        Input weights.
    W_h : ndarray of shape (4 * n_units, n_units)
        Recurrent weights.
    b : ndarray of shape (4 * n_units,)
        Biases.

    Returns
    -------
    h, c : ndarray of shape (..., n_units)
        Hidden state and cell state after this step.

    See Also
    --------
    lstm : A layer over a whole sequence.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
       1997.
    .. [2] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget: Continual Prediction
       with LSTM", Neural Computation 12(10), 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import lstm_cell
    >>> W_x, W_h, b = np.full((4, 1), 0.5), np.full((4, 1), 0.5), np.zeros(4)
    >>> h, c = lstm_cell(np.array([1.0]), np.zeros(1), np.zeros(1), W_x, W_h, b)
    >>> h.round(4), c.round(4)
    (array([0.1743]), array([0.2876]))
    """
    # z_t = W_x x_t + W_h h_{t-1} + b
    z = x_t @ W_x.T + h @ W_h.T + b  # (..., 4 * n_units)
    z_i, z_f, z_g, z_o = np.split(z, 4, axis=-1)  # (..., n_units) each
    # i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);  g = tanh(z_g)
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
    # c_t = f * c_{t-1} + i * g
    c = f * c + i * g
    # h_t = o * tanh(c_t)
    h = o * np.tanh(c)
    return h, c
