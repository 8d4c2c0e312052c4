"""Dense head: from what it reads of the hidden states to the raw outputs, and the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklstm.nn.cell import Floats

__all__ = ["HeadCache", "backward", "forward", "last_states"]


class HeadCache(NamedTuple):
    """What ``backward`` needs of the forward pass: ``h``, what the head has read."""

    h: Floats  # (n_directions * n_units, n_sequences)


def last_states(h_last: Sequence[Floats]) -> Floats:
    """Return what the head reads: the last hidden states of all directions.

    Parameters
    ----------
    h_last : list of ndarray of shape (n_units, n_sequences)
        Last hidden state of each direction of the last layer.
    """
    return np.concatenate(h_last)  # (n_directions * n_units, n_sequences)


def forward(W: Floats, h: Floats) -> tuple[Floats, HeadCache]:
    """Compute the raw outputs.

    Parameters
    ----------
    W : ndarray of shape (n_outputs, n_directions * n_units + 1)
        [W b], weights and biases.
    h : ndarray of shape (n_directions * n_units, n_sequences)
        What the head reads, see ``last_states``.

    Returns
    -------
    raw : ndarray of shape (n_outputs, n_sequences)
        The raw outputs.
    cache : HeadCache
        For ``backward``.
    """
    # raw = W h + b
    raw = W[:, :-1] @ h + W[:, -1:]  # (n_outputs, n_sequences)
    return raw, HeadCache(h)


def backward(W: Floats, d_raw: Floats, cache: HeadCache, dW: Floats) -> Floats:
    """Backpropagate through the head.

    Parameters
    ----------
    W : ndarray of shape (n_outputs, n_directions * n_units + 1)
        The weights that ``forward`` was given.
    d_raw : ndarray of shape (n_outputs, n_sequences)
        Gradient of the loss with respect to the raw outputs.
    cache : HeadCache
        From ``forward``.
    dW : ndarray of shape (n_outputs, n_directions * n_units + 1)
        The gradient of the loss with respect to W is added to it.

    Returns
    -------
    ndarray of shape (n_directions * n_units, n_sequences)
        Gradient of the loss with respect to what the head reads.
    """
    # dW = d_raw h^T;  db = sum over sequences of d_raw
    dW[:, :-1] += d_raw @ cache.h.T
    dW[:, -1] += d_raw.sum(axis=1)
    # dh = W^T d_raw
    return W[:, :-1].T @ d_raw
