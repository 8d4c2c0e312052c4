"""The slow and obvious truth: the LSTM as loops over samples, time steps and the equations.

It shares no code with sklstm. Weights are in the public layout: gate order i, f, g, o. Every
function can be differentiated by a complex step: it is analytic, or, where a loss has kinks,
analytic piece by piece, the real part saying which piece.
"""

import numpy as np


def logistic(z):
    return 1.0 / (1.0 + np.exp(-z))


def layer(sequence, W_x, W_h, b, h=None, c=None, mask=1.0):
    """Hidden states (n_timesteps, n_units) and the last cell state of one sequence.

    ``mask`` (n_units,) is that of recurrent dropout.
    """
    n_units = W_h.shape[1]
    h = np.zeros(n_units) if h is None else h
    c = np.zeros(n_units) if c is None else c
    states = []
    for x_t in sequence:
        z = W_x @ x_t + W_h @ (mask * h) + b
        i = logistic(z[:n_units])
        f = logistic(z[n_units : 2 * n_units])
        g = np.tanh(z[2 * n_units : 3 * n_units])
        o = logistic(z[3 * n_units :])
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
    return np.array(states).reshape(len(sequence), n_units), c


def hidden_states(sequence, coefs, intercepts, bidirectional=False, outputs=None, recurrent=None):
    """Hidden states of the top layer: those of all steps, (n_steps, n_directions * n_units), and
    the last one of each direction. Missing steps are left out. See ``network``.
    """
    out = np.array([x_t for x_t in np.asarray(sequence) if not np.isnan(x_t).all()])
    last = np.zeros(coefs[-1].shape[1])
    lstms = [(coefs[2 * k], coefs[2 * k + 1], b) for k, b in enumerate(intercepts[:-1])]
    directions = 2 if bidirectional else 1
    for k in range(len(lstms) // directions):
        if len(out):
            masks = [1.0, 1.0] if recurrent is None else recurrent[k]
            above, _ = layer(out, *lstms[directions * k], mask=masks[0])
            last = above[-1]
            if bidirectional:
                backward, _ = layer(out[::-1], *lstms[2 * k + 1], mask=masks[1])
                last = np.concatenate([last, backward[-1]])
                above = np.concatenate([above, backward[::-1]], axis=1)
            out = above if outputs is None else above * outputs[k]
    if outputs is not None:
        last = last * outputs[-1]
    return out, last


def network(sequence, coefs, intercepts, bidirectional=False, outputs=None, recurrent=None):
    """Raw outputs (n_outputs,) of stacked layers and a dense head for one sequence.

    A time step whose features are all NaN is left out. ``outputs`` are masks (n_directions *
    n_units,) of each layer on the way up, ``recurrent`` masks (n_directions, n_units) of each.
    """
    _, last = hidden_states(sequence, coefs, intercepts, bidirectional, outputs, recurrent)
    return coefs[-1] @ last + intercepts[-1]


def every_step(sequence, coefs, intercepts, *options):
    """Raw outputs (n_timesteps, n_outputs) at each step of one sequence, see ``network``.

    A missing step has the output of the last step before it; before the first, the state is zero.
    """
    states, _ = hidden_states(sequence, coefs, intercepts, *options)
    h, raw, n_real = np.zeros(coefs[-1].shape[1]), [], 0
    for x_t in np.asarray(sequence):
        if not np.isnan(x_t).all():
            h, n_real = states[n_real], n_real + 1
        raw.append(coefs[-1] @ h + intercepts[-1])
    return np.array(raw).reshape(len(sequence), len(intercepts[-1]))


def squared_error(target, raw):
    """Half the squared error of one sample, averaged over its outputs."""
    return ((target - raw) ** 2).mean() / 2


def absolute_error(target, raw):
    """|y - y_pred| of one sample, averaged over its outputs."""
    error = target - raw
    return np.where(error.real > 0, error, -error).mean()


def huber(target, raw):
    """A parabola of the error up to one, from there on its tangent, averaged over outputs."""
    error = target - raw
    above, below = error - 0.5, -error - 0.5
    tangent = np.where(error.real > 0, above, below)
    return np.where(np.abs(error.real) <= 1, error**2 / 2, tangent).mean()


def pinball(quantile):
    """Loss of one sample that is least at that quantile, averaged over its outputs."""

    def loss(target, raw):
        error = target - raw
        return np.where(error.real > 0, quantile * error, (1 - quantile) * -error).mean()

    return loss


def ordered(raw):
    """Quantiles of one sample: the output in the middle, and softplus steps away from it."""
    middle = len(raw) // 2
    steps = np.log(1 + np.exp(raw))
    return np.array(
        [
            raw[middle] - sum(steps[k:middle])
            if k < middle
            else raw[middle] + sum(steps[middle + 1 : k + 1])
            for k in range(len(raw))
        ]
    )


def multi_pinball(quantiles):
    """Pinball loss of ordered quantiles of one sample, averaged over them."""

    def loss(target, raw):
        predicted = ordered(raw)
        return sum(
            pinball(q)(target[k : k + 1], predicted[k : k + 1]) for k, q in enumerate(quantiles)
        ) / len(quantiles)

    return loss


def poisson(target, raw):
    """Half the deviance of one sample from y_pred = exp(raw), averaged over its outputs."""
    return sum(
        np.exp(z) - y - y * z + (y * np.log(y) if y > 0 else 0)
        for y, z in zip(target, raw, strict=True)
    ) / len(raw)


def categorical_cross_entropy(target, raw):
    """-log p of the class that is one in ``target``, with p = softmax(raw)."""
    return -np.log((target * np.exp(raw)).sum() / np.exp(raw).sum())


def binary_cross_entropy(target, raw):
    """-log p of every label, with p = logistic(raw), summed over the labels."""
    p = logistic(raw)
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()


def objective(
    sequences,
    targets,
    weights,
    loss,
    coefs,
    intercepts,
    alpha=0.0,
    total_weight=1.0,
    bidirectional=False,
    masks=None,
):
    """Weighted mean of the loss over some samples, and the penalty on the weights.

    ``total_weight`` is that of the whole training set; ``masks`` are pairs (outputs, recurrent),
    one for each sequence.
    """
    masks = [(None, None)] * len(sequences) if masks is None else masks
    losses = [
        weight * loss(target, network(sequence, coefs, intercepts, bidirectional, *masks_j))
        for sequence, target, weight, masks_j in zip(
            sequences, targets, weights, masks, strict=True
        )
    ]
    squares = sum((W**2).sum() for W in coefs)
    return sum(losses) / sum(weights) + alpha / (2 * total_weight) * squares
