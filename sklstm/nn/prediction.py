"""One new time step of one stream or of many: the state that goes in, and what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklstm.nn.cell import Floats
from sklstm.nn.network import Network
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.threads import one_blas_thread

__all__ = ["State", "advance"]

State = tuple[tuple[Floats, Floats], ...]


def advance(
    network: Network, parameters: Floats, x: Floats, state: Any, *, is_single: bool
) -> tuple[Floats, State]:
    """Take a time step of each stream through the network.

    Parameters
    ----------
    network : Network
        Of one direction.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    x : ndarray of shape (n_streams, n_features)
        The time steps; NaN where one is missing, which leaves the state of its stream as it is.
    state : tuple of (h, c), or None
        For each layer hidden state and cell state, of shape (n_units,) if there is a single stream
        and ``is_single``, else (n_streams, n_units); zero if None.
    is_single : bool
        Whether states come and go without the axis of streams.

    Returns
    -------
    raw : ndarray of shape (n_streams, n_outputs)
        Raw outputs.
    state : tuple of (h, c)
        The new state, in the form of the old one, which does not change.

    Raises
    ------
    ValueError
        If the network is bidirectional, or if ``state`` is not a state of it.
    """
    if network.bidirectional:
        raise ValueError(
            "predict_step needs bidirectional=False: the backward direction starts at the end of a "
            "sequence, which a single step does not know. Use predict."
        )
    after = _check_state(network, parameters.dtype, state, len(x), is_single)
    given = np.flatnonzero(~np.isnan(x[:, 0]))
    with one_blas_thread(), np.errstate(all="ignore"):
        if len(given):
            buffers = network.state_buffers(parameters.dtype)
            batch = Batch(x[given].T[np.newaxis], Packing.equal(1, len(given)))
            before = [(h[:, given], c[:, given]) for h, c in after]
            network.raw_outputs(parameters, batch, buffers, before)
            for (h, c), layer in zip(after, buffers, strict=True):
                h[:, given], c[:, given] = layer.h, layer.c
        raw = network.head_outputs(parameters, [after[-1][0]])
    if is_single:
        return raw.T, tuple((h[:, 0], c[:, 0]) for h, c in after)
    return raw.T, tuple((h.T, c.T) for h, c in after)


def _check_state(
    network: Network, dtype: np.dtype, state: Any, n_streams: int, is_single: bool
) -> list[tuple[Floats, Floats]]:
    """Give a copy of a state, or that of the start, as (n_units, n_streams) for each layer."""
    sizes = network.hidden_layer_sizes
    if state is None:
        return [(np.zeros((n, n_streams), dtype), np.zeros((n, n_streams), dtype)) for n in sizes]
    shapes = [(n,) if is_single else (n_streams, n) for n in sizes]
    try:
        given = [(np.array(h, dtype), np.array(c, dtype)) for h, c in state]
    except (TypeError, ValueError):
        given = []
    if [(h.shape, c.shape) for h, c in given] != [(shape, shape) for shape in shapes]:
        raise ValueError(
            "state must be what predict_step returned for the step before of the same stream(s): "
            f"a pair (h, c) for each layer, of shape {', '.join(map(str, shapes))}."
        )
    return [(h.reshape(n_streams, -1).T, c.reshape(n_streams, -1).T) for h, c in given]
