"""Prediction: raw outputs of many sequences at once, and of one new step of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.network import Network
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.sequences import Sequences
from sklstm.nn.threads import ThreadPool

__all__ = ["State", "advance_streams", "blocks_of", "raw_outputs"]

State = tuple[tuple[Floats, Floats], ...]  # (h, c) of each layer

# Sequences in a block. Larger blocks leave the cache, smaller ones pay more for each NumPy call.
# Measured on one to 256 units: 256 to 1024 are level.
_BLOCK_SIZE = 512

# Hidden values (samples x steps x units) from which a second thread is worth its start.
_MIN_THREADED = 1 << 19


def raw_outputs(
    network: Network,
    parameters: Floats,
    sequences: Sequences,
    pool: ThreadPool,
    rows: NDArray[np.intp] | None = None,
) -> Floats:
    """Compute the raw outputs of sequences, a block at a time.

    Parameters
    ----------
    network : Network
        The network.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    sequences : Sequences
        The sequences.
    pool : ThreadPool
        Threads to compute in.
    rows : ndarray of int, default=None
        Row numbers of the sequences to use; None for all.

    Returns
    -------
    ndarray of shape (n_outputs, n_samples)
        Raw outputs, in the order of the rows.
    """
    n_samples = len(sequences) if rows is None else len(rows)
    raw = np.empty((network.n_outputs, n_samples), parameters.dtype)
    blocks = list(blocks_of(n_samples, _BLOCK_SIZE))
    n_values = n_samples * sequences.n_timesteps * sum(network.hidden_layer_sizes)
    n_lanes = min(pool.n_threads, len(blocks)) if n_values >= _MIN_THREADED else 1

    def run_lane(lane: int) -> None:
        buffers = network.state_buffers(parameters.dtype)
        with np.errstate(all="ignore"):
            for block in blocks[lane::n_lanes]:
                block_rows = block if rows is None else rows[block]
                batch, order = sequences.batch(block_rows, parameters.dtype)
                raw[:, block][:, order] = network.raw_outputs(parameters, batch, buffers)

    pool.map(run_lane, range(n_lanes))
    return raw


def blocks_of(n_samples: int, size: int) -> Iterator[slice]:
    """Divide samples into consecutive blocks of at most ``size``."""
    for first in range(0, n_samples, size):
        yield slice(first, min(first + size, n_samples))


def advance_streams(
    network: Network, parameters: Floats, x: Floats, state: Any, *, is_single: bool
) -> tuple[Floats, State]:
    """Take one time step of each stream through the network.

    Parameters
    ----------
    network : Network
        A network that is not bidirectional.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    x : ndarray of shape (n_streams, n_features)
        The time steps. A row of NaN is a missing step, which leaves the state of its stream
        unchanged.
    state : tuple of (h, c), or None
        Hidden state and cell state of each layer, of shape (n_units,) with ``is_single``, else
        (n_streams, n_units). None is the zero state.
    is_single : bool
        Whether there is a single stream whose state has no axis of streams.

    Returns
    -------
    raw : ndarray of shape (n_streams, n_outputs)
        Raw outputs.
    state : tuple of (h, c)
        The new state, in the form of the old one, which is not changed.
    """
    if network.bidirectional:
        raise ValueError(
            "predict_step needs bidirectional=False: the backward direction starts at the end of a "
            "sequence, which is not known while steps come in. Use predict."
        )
    after = _check_state(network, parameters.dtype, state, len(x), is_single)
    given = np.flatnonzero(~np.isnan(x[:, 0]))
    with np.errstate(all="ignore"):
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
    """Return a copy of a state, or the zero state, as (n_units, n_streams) for each layer."""
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
            "state must be what predict_step returned for the previous step of the same stream(s): "
            f"a pair (h, c) for each layer, of shape {', '.join(map(str, shapes))}."
        )
    return [(h.reshape(n_streams, -1).T, c.reshape(n_streams, -1).T) for h, c in given]
