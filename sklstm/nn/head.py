"""Head: from the hidden states of the last layer to the raw outputs, and the gradient.

The head is linear. It reads a summary of the hidden states over the real steps of a sequence (the
last one, their mean, their maximum, or several of these), or the hidden states at given places, and
it may read the last time steps of the input directly: a linear part beside the LSTM [1]_.

References
----------
.. [1] G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling Long- and Short-Term Temporal Patterns
   with Deep Neural Networks", SIGIR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.packing import Packing, Places

__all__ = [
    "POOLINGS",
    "SummaryCache",
    "backward",
    "backward_at",
    "forward",
    "forward_at",
    "summarize",
    "summarize_backward",
]

# What the head can read of the hidden states over time.
POOLINGS = ("last", "mean", "max")


class SummaryCache(NamedTuple):
    """What ``summarize_backward`` needs of ``summarize``."""

    pooling: tuple[str, ...]
    packing: Packing
    n_units: int  # of all directions together
    winners: NDArray[np.intp] | None = None  # (n_units, n_sequences): the step of each maximum


def summarize(
    pooling: tuple[str, ...],
    h_last: Sequence[Floats],
    h: Floats | None,
    packing: Packing,
) -> tuple[Floats, SummaryCache]:
    """Summarise the hidden states of each sequence.

    Parameters
    ----------
    pooling : tuple of {"last", "mean", "max"}
        The summaries, which are concatenated.
    h_last : list of ndarray of shape (n_units, n_sequences)
        Last hidden state of each direction.
    h : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), or None
        Hidden states of all steps, zero before a sequence starts; needed for all but "last".
    packing : Packing
        How the batch is arranged in columns.

    Returns
    -------
    summary : ndarray of shape (len(pooling) * n_directions * n_units, n_sequences)
        The summaries; zero for a sequence without steps.
    cache : SummaryCache
        For ``summarize_backward``.
    """
    parts: list[Floats] = []
    winners = None
    last = np.concatenate(h_last)  # (n_directions * n_units, n_sequences)
    for name in pooling:
        if name == "last":
            parts.append(last)
            continue
        assert h is not None
        if name == "mean":
            parts.append(h.sum(axis=0) / _lengths(packing).astype(h.dtype))
        elif len(h) == 0:
            parts.append(np.zeros_like(last))
        else:
            is_active = np.arange(len(h))[:, np.newaxis] >= packing.first_steps
            is_dense = bool(is_active.all())
            # Hidden states are above -1.
            candidates = h if is_dense else np.where(is_active[:, np.newaxis], h, h.dtype.type(-2))
            winners = candidates.argmax(axis=0)  # (n_directions * n_units, n_sequences)
            # The h of an empty sequence is zero.
            parts.append(np.take_along_axis(h, winners[np.newaxis], axis=0)[0])
    summary = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return summary, SummaryCache(pooling, packing, len(last), winners)


def summarize_backward(
    d_summary: Floats, cache: SummaryCache
) -> tuple[Floats | None, Floats | None]:
    """Backpropagate through the summaries.

    Parameters
    ----------
    d_summary : ndarray of shape (len(pooling) * n_directions * n_units, n_sequences)
        Gradient of the loss with respect to the summaries.
    cache : SummaryCache
        From ``summarize``.

    Returns
    -------
    dh_last : ndarray of shape (n_directions * n_units, n_sequences), or None
        Gradient with respect to the last hidden state of each direction.
    dh : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), or None
        Gradient with respect to the hidden states of all steps; None if only the last is read.
    """
    pooling, packing, n_units, winners = cache
    dh_last: Floats | None = None
    dh: Floats | None = None
    if pooling != ("last",):
        shape = len(packing.widths), n_units, packing.n_sequences
        dh = np.zeros(shape, d_summary.dtype)
    for k, name in enumerate(pooling):
        d_part = d_summary[k * n_units : (k + 1) * n_units]
        if name == "last":
            dh_last = d_part
        elif name == "mean" and dh is not None:
            dh += d_part / _lengths(packing).astype(d_part.dtype)
        elif winners is not None and dh is not None:
            columns = np.arange(packing.n_sequences)
            # The step of the maximum has all of its gradient; each (unit, sequence) occurs once.
            dh[winners, np.arange(n_units)[:, np.newaxis], columns] += d_part
    return dh_last, dh


def _lengths(packing: Packing) -> NDArray[np.intp]:
    """Return the number of steps of each sequence, 1 for an empty one."""
    return np.maximum(len(packing.widths) - packing.first_steps, 1)


def forward(W: Floats, summary: Floats, W_skip: Floats, recent: Floats | None) -> Floats:
    """Compute the raw outputs.

    Parameters
    ----------
    W : ndarray of shape (n_outputs, n_summary + 1)
        [W b], weights of the summaries, and biases.
    summary : ndarray of shape (n_summary, n_sequences)
        From ``summarize``.
    W_skip : ndarray of shape (n_outputs, n_recent)
        Weights of the linear part.
    recent : ndarray of shape (n_recent, n_sequences), or None
        What the linear part reads; None if there is none.

    Returns
    -------
    ndarray of shape (n_outputs, n_sequences)
        The raw outputs.
    """
    # raw = W h + b + W_skip z
    return _with_bias_and_linear_part(W[:, :-1] @ summary, W, W_skip, recent)


def backward(
    W: Floats,
    summary: Floats,
    recent: Floats | None,
    d_raw: Floats,
    dW: Floats,
    dW_skip: Floats,
) -> Floats:
    """Backpropagate through the head.

    Parameters
    ----------
    W, summary, recent
        What ``forward`` was given.
    d_raw : ndarray of shape (n_outputs, n_sequences)
        Gradient of the loss with respect to the raw outputs.
    dW, dW_skip : ndarray
        The gradients of the loss with respect to W and W_skip are added to these.

    Returns
    -------
    ndarray of shape (n_summary, n_sequences)
        Gradient of the loss with respect to the summary.
    """
    # dW = d_raw h^T;  db = sum over sequences of d_raw;  dW_skip = d_raw z^T
    dW[:, :-1] += d_raw @ summary.T
    _backward_of_bias_and_linear_part(d_raw, recent, dW, dW_skip)
    # dh = W^T d_raw
    return W[:, :-1].T @ d_raw


def forward_at(
    W: Floats, h: Floats, places: Places, W_skip: Floats, recent: Floats | None
) -> Floats:
    """Compute the raw outputs at some places, from the hidden states there.

    Parameters
    ----------
    W, W_skip
        As in ``forward``.
    h : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences)
        Hidden states of all steps.
    places : Places
        The places.
    recent : ndarray of shape (n_recent, n_places), or None
        What the linear part reads; None if there is none.

    Returns
    -------
    ndarray of shape (n_outputs, n_places)
        The raw outputs.
    """
    # The outputs of all steps first: there are fewer of them than hidden states to pick out.
    outputs = np.matmul(W[:, :-1], h)  # (n_timesteps, n_outputs, n_sequences)
    steps, columns, are_distinct = places
    if are_distinct:
        raw = outputs[steps, :, columns].T  # (n_outputs, n_places)
    else:
        is_real = steps >= 0  # before the first step, the hidden state is zero
        raw = np.zeros((len(W), len(steps)), h.dtype)
        raw[:, is_real] = outputs[steps[is_real], :, columns[is_real]].T
    return _with_bias_and_linear_part(raw, W, W_skip, recent)


def backward_at(
    W: Floats,
    h: Floats,
    places: Places,
    recent: Floats | None,
    d_raw: Floats,
    dW: Floats,
    dW_skip: Floats,
) -> Floats:
    """Backpropagate through the head at some places.

    Parameters
    ----------
    W, h, places, recent
        What ``forward_at`` was given.
    d_raw : ndarray of shape (n_outputs, n_places)
        Gradient of the loss with respect to the raw outputs.
    dW, dW_skip : ndarray
        The gradients of the loss with respect to W and W_skip are added to these.

    Returns
    -------
    ndarray of shape (n_timesteps, n_directions * n_units, n_sequences)
        Gradient of the loss with respect to the hidden states.
    """
    d_outputs = np.zeros((len(h), len(W), h.shape[2]), h.dtype)
    _add_at(d_outputs, places, d_raw)
    dW[:, :-1] += np.matmul(d_outputs, h.transpose(0, 2, 1)).sum(axis=0)
    _backward_of_bias_and_linear_part(d_raw, recent, dW, dW_skip)
    return np.matmul(W[:, :-1].T, d_outputs)


def _with_bias_and_linear_part(
    products: Floats, W: Floats, W_skip: Floats, recent: Floats | None
) -> Floats:
    """Add the rest of the raw outputs to the products of weights and hidden states."""
    raw = products + W[:, -1:]
    if recent is not None:
        raw += W_skip @ recent
    return raw


def _backward_of_bias_and_linear_part(
    d_raw: Floats, recent: Floats | None, dW: Floats, dW_skip: Floats
) -> None:
    dW[:, -1] += d_raw.sum(axis=1)
    if recent is not None:
        dW_skip += d_raw @ recent.T


def _add_at(total: Floats, places: Places, values: Floats) -> None:
    """Add values, of shape (n, n_places), to an array of shape (n_timesteps, n, n_sequences)."""
    steps, columns, _ = places
    if not places.are_distinct:
        is_real = steps >= 0  # the state before the first step is a constant
        steps, columns, values = steps[is_real], columns[is_real], values[:, is_real]
        is_new = np.ones(len(steps), bool)
        is_new[1:] = (np.diff(steps) != 0) | (np.diff(columns) != 0)
        first = np.flatnonzero(is_new)
        steps, columns = steps[first], columns[first]
        values = np.add.reduceat(values, first, axis=1) if len(first) else values
    total[steps, :, columns] += values.T
