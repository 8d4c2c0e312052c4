"""The slow and obvious truth: the LSTM as loops over samples, time steps and the equations.

It shares no code with sklstm. Weights are in the public layout: gate order i, f, g, o.
"""

import numpy as np


def logistic(z):
    return 1.0 / (1.0 + np.exp(-z))


def layer(sequence, W_x, W_h, b, h=None, c=None):
    """Hidden states (n_timesteps, n_units) and the last cell state of one sequence."""
    n_units = W_h.shape[1]
    h = np.zeros(n_units) if h is None else h
    c = np.zeros(n_units) if c is None else c
    states = []
    for x_t in sequence:
        z = W_x @ x_t + W_h @ h + b
        i = logistic(z[:n_units])
        f = logistic(z[n_units : 2 * n_units])
        g = np.tanh(z[2 * n_units : 3 * n_units])
        o = logistic(z[3 * n_units :])
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
    return np.array(states).reshape(len(sequence), n_units), c


def network(sequence, coefs, intercepts):
    """Raw outputs (n_outputs,) of stacked layers and a dense head for one sequence.

    A time step whose features are all NaN is left out.
    """
    out = np.array([x_t for x_t in np.asarray(sequence) if not np.isnan(x_t).all()])
    last = np.zeros(coefs[-1].shape[1])
    for k in range(len(intercepts) - 1):
        if len(out):
            out, _ = layer(out, coefs[2 * k], coefs[2 * k + 1], intercepts[k])
            last = out[-1]
    return coefs[-1] @ last + intercepts[-1]
