"""Prediction: raw outputs of many sequences at once, and of one new step of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.network import Network
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import Sequences
from sklstm.nn.steps import EveryStep
from sklstm.nn.stretches import Stretches
from sklstm.nn.threads import ThreadPool

__all__ = ["State", "advance_streams", "blocks_of", "raw_outputs", "raw_outputs_along"]

# For each layer (h, c); then, where the head reads them, the running summary of the hidden states
# (sum, maximum, number of steps) and the last time steps of the input.
State = tuple[Any, ...]

# Most and fewest sequences in a block. Wider blocks leave the cache; narrower ones pay more for
# each NumPy call, and their matrix products are inefficient. In one thread, in float32: with 16 and
# 32 units, 512 and 256 are level and 64 takes 1.1 to 1.5 times as long; with 64 to 256 units, 32 to
# 256 are level and 16 takes 1.2 times as long.
_MAX_WIDTH = 512
_MIN_WIDTH = 32

# Samples are divided into this many blocks, for as many threads, where each block has at least
# _MIN_BLOCK multiplications in the largest product of a step. Below, threads that wait for the
# interpreter lock lose more than they gain.
_N_BLOCKS = 4
_MIN_BLOCK = 1 << 19

# Numbers that prediction keeps where the head reads all hidden states: more take more memory, fewer
# make blocks narrow.
_MAX_KEPT = 1 << 23

# Hidden values (samples x steps x units) from which a second thread is worth its start: about two
# milliseconds. With half of it, 100 samples of 30 steps and 50 units took 1.2 times as long on a
# machine with other work.
_MIN_THREADED = 1 << 18


def raw_outputs(
    network: Network,
    parameters: Floats,
    sequences: Sequences,
    pool: ThreadPool,
    rows: NDArray[np.intp] | None = None,
    recent: RecentSteps | None = None,
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
    recent : RecentSteps, default=None
        How the linear part reads the sequences; None if there is none.

    Returns
    -------
    ndarray of shape (n_outputs, n_samples) or (n_outputs, n_targets)
        Raw outputs, in the order of the rows, see ``Sequences.targets``.
    """
    if isinstance(sequences, EveryStep):
        return _raw_outputs_at_steps(network, parameters, sequences, pool, rows, recent)
    n_samples = len(sequences) if rows is None else len(rows)
    raw = np.empty((network.n_outputs, n_samples), parameters.dtype)
    blocks = list(blocks_of(n_samples, _width(n_samples, network, sequences.n_timesteps)))
    n_values = n_samples * sequences.n_timesteps * sum(network.hidden_layer_sizes)
    n_lanes = min(pool.n_threads, len(blocks)) if n_values >= _MIN_THREADED else 1

    def run_lane(lane: int) -> None:
        buffers = network.state_buffers(parameters.dtype)
        with np.errstate(all="ignore"):
            for block in blocks[lane::n_lanes]:
                block_rows = block if rows is None else rows[block]
                batch, order = sequences.batch(block_rows, parameters.dtype, recent)
                raw[:, block][:, order] = network.raw_outputs(parameters, batch, buffers)

    pool.map(run_lane, range(n_lanes))
    return raw


def raw_outputs_along(
    network: Network,
    parameters: Floats,
    stretches: Stretches,
    pool: ThreadPool,
    recent: RecentSteps | None = None,
) -> Floats:
    """Compute the raw outputs of windows along stretches of their series.

    They differ from those of ``raw_outputs`` in what the LSTM remembers of steps before a window.

    Parameters
    ----------
    network : Network
        A network in one direction that reads the last hidden state.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    stretches : Stretches
        The windows.
    pool : ThreadPool
        Threads to compute in.
    recent : RecentSteps, default=None
        How the linear part reads the windows; None if there is none.

    Returns
    -------
    ndarray of shape (n_outputs, n_rows)
        Raw outputs, in the order of the rows that ``stretches`` was given.
    """
    cut = stretches.cut()
    raw = np.empty((network.n_outputs, len(cut.rows)), parameters.dtype)

    def batch(block: slice) -> tuple[Batch, NDArray[np.intp]]:
        part = cut.take(np.arange(block.start, block.stop))
        rows = stretches.order[cut.bounds[block.start] : cut.bounds[block.stop]]
        return stretches.batch(part, parameters.dtype, recent), rows

    _fill(raw, network, parameters, batch, cut.n_stretches, stretches.n_timesteps, pool)
    return raw


def _raw_outputs_at_steps(
    network: Network,
    parameters: Floats,
    sequences: EveryStep,
    pool: ThreadPool,
    rows: NDArray[np.intp] | None,
    recent: RecentSteps | None,
) -> Floats:
    """Compute the raw outputs at each step that has a target, see ``raw_outputs``."""
    raw = np.empty((network.n_outputs, sequences.n_targets), parameters.dtype)
    numbers = np.arange(len(sequences)) if rows is None else rows

    def batch(block: slice) -> tuple[Batch, NDArray[np.intp]]:
        batch, order = sequences.batch(numbers[block], parameters.dtype, recent)
        return batch, sequences.targets(numbers[block][order])

    _fill(raw, network, parameters, batch, len(numbers), sequences.n_timesteps, pool)
    return raw if rows is None else raw[:, sequences.targets(rows)]


def _fill(
    raw: Floats,
    network: Network,
    parameters: Floats,
    batch: Callable[[slice], tuple[Batch, NDArray[np.intp]]],
    n_sequences: int,
    n_timesteps: int,
    pool: ThreadPool,
) -> None:
    """Compute raw outputs at many places of each sequence, a block of sequences at a time.

    Parameters
    ----------
    raw : ndarray of shape (n_outputs, n)
        Receives the raw outputs.
    network, parameters, pool
        As in ``raw_outputs``.
    batch : callable
        Takes a block of sequences; returns the batch, and the columns of ``raw`` that its places
        belong to.
    n_sequences, n_timesteps : int
        Number of sequences, and of steps of the longest.
    """
    width = _width(n_sequences, network, n_timesteps, keeps_all=True)
    blocks = list(blocks_of(n_sequences, width))
    n_values = n_sequences * n_timesteps * sum(network.hidden_layer_sizes)
    n_lanes = min(pool.n_threads, len(blocks)) if n_values >= _MIN_THREADED else 1

    def run_lane(lane: int) -> None:
        buffers = network.state_buffers(parameters.dtype)
        with np.errstate(all="ignore"):
            for block in blocks[lane::n_lanes]:
                packed, columns = batch(block)
                raw[:, columns] = network.raw_outputs(parameters, packed, buffers)

    pool.map(run_lane, range(n_lanes))


def _width(n_samples: int, network: Network, n_timesteps: int, *, keeps_all: bool = False) -> int:
    """Return how many sequences to compute at once.

    That depends on the samples and on the network, not on the number of threads: the width of a
    matrix product may change its last bits.

    Parameters
    ----------
    n_samples : int
        Number of sequences.
    network : Network
        The network.
    n_timesteps : int
        Steps of the longest sequence.
    keeps_all : bool, default=False
        Whether the head reads at each step, so that all that it reads is kept.
    """
    widest = _MAX_WIDTH
    if keeps_all or network.pooling != ("last",):
        n_kept = network.n_directions * network.hidden_layer_sizes[-1]
        n_kept += network.n_recent * keeps_all  # what the linear part reads at each step
        n_kept *= n_timesteps
        widest = max(1, min(widest, _MAX_KEPT // max(1, n_kept)))
    narrowest = max(_MIN_WIDTH, _MIN_BLOCK // network.step_size)
    n_blocks = min(_N_BLOCKS, n_samples // narrowest)
    n_blocks = max(1, n_blocks - n_blocks % 2)  # two threads have equal shares
    return max(1, min(widest, -(-n_samples // n_blocks)))


def blocks_of(n_samples: int, size: int) -> Iterator[slice]:
    """Divide samples into consecutive blocks of at most ``size``."""
    for first in range(0, n_samples, size):
        yield slice(first, min(first + size, n_samples))


def advance_streams(
    network: Network,
    parameters: Floats,
    x: Floats,
    state: Any,
    *,
    is_single: bool,
    recent: RecentSteps | None = None,
) -> tuple[Floats, State]:
    """Take one time step of each stream through the network.

    Parameters
    ----------
    network : Network
        A network that is not bidirectional.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    x : ndarray of shape (n_streams, n_features)
        The time steps. A row of NaN is a missing step, which leaves the hidden state of its stream
        unchanged.
    state : tuple, or None
        The state after the previous step, see ``State``; arrays have a first axis for the streams,
        unless ``is_single``. None is the state before the first step.
    is_single : bool
        Whether there is a single stream whose state has no axis of streams.
    recent : RecentSteps, default=None
        How the linear part reads the steps; None if there is none.

    Returns
    -------
    raw : ndarray of shape (n_streams, n_outputs)
        Raw outputs.
    state : tuple
        The new state, in the form of the old one, which is not changed.
    """
    if network.bidirectional:
        raise ValueError(
            "predict_step needs bidirectional=False: the backward direction starts at the end of a "
            "sequence, which is not known while steps come in. Use predict."
        )
    n_layers = len(network.hidden_layer_sizes)
    after = _check_state(network, parameters.dtype, state, len(x), is_single, recent)
    layers, extra = after[:n_layers], list(after[n_layers:])
    given = np.flatnonzero(~np.isnan(x[:, 0]))
    with np.errstate(all="ignore"):
        if len(given):
            buffers = network.state_buffers(parameters.dtype)
            batch = Batch(x[given].T[np.newaxis], Packing.equal(1, len(given)))
            before = [(h[given].T, c[given].T) for h, c in layers]
            network.advance(parameters, batch, buffers, before)
            for (h, c), layer in zip(layers, buffers, strict=True):
                h[given], c[given] = layer.h.T, layer.c.T
        h_last = layers[-1][0]  # (n_streams, n_units)
        summary = {"last": h_last}
        if network.pooling != ("last",):
            total, maximum, n_steps = extra.pop(0)
            total[given] += h_last[given]
            # Before the first step there is no maximum.
            is_first = (n_steps[given] == 0)[:, np.newaxis]
            maximum[given] = np.where(
                is_first, h_last[given], np.maximum(maximum[given], h_last[given])
            )
            n_steps[given] += 1
            summary |= {"mean": total / np.maximum(n_steps, 1)[:, np.newaxis], "max": maximum}
        read = None
        if recent is not None:
            steps = extra.pop(0)  # (n_streams, n_steps, n_features), standardised
            steps[:, :-1] = steps[:, 1:].copy()
            steps[:, -1] = recent.standardize(x)
            read = steps.reshape(len(x), -1).T
        summaries = np.concatenate([summary[name].T for name in network.pooling])
        raw = network.head_outputs(parameters, summaries, read)
    if is_single:
        return raw.T, _map(lambda array: array[0], after)
    return raw.T, after


def _map(function: Callable[[NDArray[Any]], Any], state: Any) -> Any:
    """Apply a function to each array of a state."""
    if isinstance(state, tuple):
        return tuple(_map(function, part) for part in state)
    return function(state)


def _check_state(
    network: Network,
    dtype: np.dtype,
    state: Any,
    n_streams: int,
    is_single: bool,
    recent: RecentSteps | None,
) -> State:
    """Return a copy of a state, or the initial state, with a first axis for the streams."""
    sizes = network.hidden_layer_sizes
    initial: State = tuple((np.zeros((n_streams, n), dtype),) * 2 for n in sizes)
    if network.pooling != ("last",):
        top = np.zeros((n_streams, sizes[-1]), dtype)
        initial += ((top, top, np.zeros(n_streams, np.int64)),)
    if recent is not None:
        initial += (np.zeros((n_streams, recent.n_steps, len(recent.mean)), dtype),)
    if state is None:
        return _map(np.copy, initial)
    copied = _copied(initial, state, is_single)
    if copied is None:
        form = "a pair (h, c) for each layer, of shape " + ", ".join(
            str((n,) if is_single else (n_streams, n)) for n in sizes
        )
        raise ValueError(
            "state must be what predict_step returned for the previous step of the same stream(s), "
            f"finite real numbers: {form}"
            f"{', and what the head keeps of earlier steps' * (len(initial) > len(sizes))}."
        )
    return copied


def _copied(initial: Any, state: Any, is_single: bool) -> Any:
    """Copy a state that has the form of the initial one; None if it has not."""
    if isinstance(initial, tuple):
        if not isinstance(state, tuple | list) or len(state) != len(initial):
            return None
        parts = [_copied(a, b, is_single) for a, b in zip(initial, state, strict=True)]
        return None if any(part is None for part in parts) else tuple(parts)
    try:
        given = np.asarray(state)
    except ValueError:  # lists of unequal lengths
        return None
    is_numeric = given.dtype.kind in "buif" and not isinstance(state, np.ma.MaskedArray)
    given = given[np.newaxis] if is_single else given
    if not is_numeric or given.shape != initial.shape:
        return None
    with np.errstate(over="ignore"):
        copied = given.astype(initial.dtype)
    return copied if np.isfinite(copied).all() else None
