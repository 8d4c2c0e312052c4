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
    "forward",
    "mask_of_summary",
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
    places: Places | None = None


def summarize(
    pooling: tuple[str, ...],
    h_last: Sequence[Floats],
    h: Floats | None,
    packing: Packing,
    places: Places | None = None,
) -> tuple[Floats, SummaryCache]:
    """Summarise the hidden states of each sequence, or take those at given places.

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
    places : Places, default=None
        Where to take hidden states; None for a summary of each sequence.

    Returns
    -------
    summary : ndarray of shape (len(pooling) * n_directions * n_units, n_sequences)
        The summaries; zero for a sequence without steps. With ``places``, the hidden states there,
        of shape (n_directions * n_units, n_places).
    cache : SummaryCache
        For ``summarize_backward``.
    """
    if places is not None:
        assert h is not None
        n_units = h.shape[1]
        if len(h) == 0:  # no sequence has a step
            states = np.zeros((n_units, len(places.steps)), h.dtype)
        else:
            states = h[places.steps, :, places.columns].T  # (n_directions * n_units, n_places)
            states = states * (places.steps >= 0)
        return states, SummaryCache(pooling, packing, n_units, places=places)
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
    d_summary : ndarray of shape (len(pooling) * n_directions * n_units, n_sequences) or \
            (n_directions * n_units, n_places)
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
    pooling, packing, n_units, winners, places = cache
    dh_last: Floats | None = None
    dh: Floats | None = None
    if places is not None or pooling != ("last",):
        shape = len(packing.widths), n_units, packing.n_sequences
        dh = np.zeros(shape, d_summary.dtype)
    if places is not None and dh is not None:
        _add_at(dh, places, d_summary)
        return None, dh
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


def mask_of_summary(mask: Floats, cache: SummaryCache) -> Floats:
    """Return the factors of a summary that stand for those of the hidden states.

    Parameters
    ----------
    mask : ndarray of shape (n_directions * n_units, n_sequences)
        Factors of the hidden states, the same at every step and not negative: so they may follow
        the summary.
    cache : SummaryCache
        From ``summarize``.
    """
    if cache.places is not None:
        return mask[:, cache.places.columns]
    return np.tile(mask, (len(cache.pooling), 1))


def _add_at(dh: Floats, places: Places, d_states: Floats) -> None:
    """Add gradients with respect to the hidden states at some places."""
    is_real = places.steps >= 0  # the state before the first step is a constant
    steps, columns, d_states = places.steps[is_real], places.columns[is_real], d_states[:, is_real]
    is_new = np.ones(len(steps), bool)
    is_new[1:] = (np.diff(steps) != 0) | (np.diff(columns) != 0)
    if not is_new.all():
        first = np.flatnonzero(is_new)
        steps, columns = steps[first], columns[first]
        d_states = np.add.reduceat(d_states, first, axis=1)
    dh[steps, :, columns] += d_states.T


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
    # raw = W h + b
    raw = W[:, :-1] @ summary + W[:, -1:]  # (n_outputs, n_sequences)
    if recent is not None:
        # raw += W_skip z
        raw += W_skip @ recent
    return raw


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
    dW[:, -1] += d_raw.sum(axis=1)
    if recent is not None:
        dW_skip += d_raw @ recent.T
    # dh = W^T d_raw
    return W[:, :-1].T @ d_raw
