"""Stretches of series: windows that follow one upon the other as one sequence, with many targets.

The windows of two consecutive rows have all steps but one in common. A stretch holds these steps
once::

    windows     x1 x2 x3 -> y3
                   x2 x3 x4 -> y4
                      x3 x4 x5 -> y5
    stretch     x1 x2 x3 x4 x5
                      y3 y4 y5

It begins with a lead-in, all steps but the last of its first window, so that each of its rows is
preceded by at least one window. A stretch of as many rows as a window has steps is less than two
windows long, where its rows by themselves are that many windows.

A stretch spans fewer rows of a series than a window has steps. So the windows of its rows leave no
step of it out, and it reads nothing that they do not hold: no other series, no step before them, no
step after its last row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.packing import Batch, Packing, Places
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import WindowSequences

__all__ = ["Cut", "Stretches", "stretch_length"]

# Rows of a stretch, as a fraction of the window; at least so many, as long as the window has them.
_WINDOW_FRACTION = 1 / 2
_MIN_LENGTH = 8

# Stretches with fewer steps than most are lengthened to a multiple of this, since every shape of a
# batch needs buffers of its own.
_GRANULE = 8


def stretch_length(window_size: int, batch_size: float) -> int:
    """Return how many consecutive rows a stretch has at most, see ``Stretches``."""
    length = max(_MIN_LENGTH, round(_WINDOW_FRACTION * window_size))
    return int(min(length, window_size, batch_size))


class Cut(NamedTuple):
    """Rows cut into stretches; stretch k has the rows ``rows[bounds[k] : bounds[k + 1]]``."""

    rows: NDArray[np.intp]  # numbers of windows, those of a stretch in order of time
    bounds: NDArray[np.intp]

    @property
    def n_stretches(self) -> int:
        """Number of stretches."""
        return len(self.bounds) - 1

    def take(self, numbers: NDArray[np.intp]) -> Cut:
        """Return some of the stretches."""
        sizes = np.diff(self.bounds)[numbers]
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        shifts = np.repeat(self.bounds[numbers] - bounds[:-1], sizes)
        return Cut(self.rows[np.arange(bounds[-1]) + shifts], bounds)


class Stretches:
    """Rows of windows over series, which are cut into stretches.

    Parameters
    ----------
    sequences : WindowSequences
        The windows.
    rows : ndarray of int of shape (n_rows,)
        Numbers of the windows to use, in any order.
    length : int
        How many places of a series a stretch covers, at most ``window_size``. It has as many rows,
        unless not every place has one, or some have several.
    """

    def __init__(self, sequences: WindowSequences, rows: NDArray[np.intp], length: int) -> None:
        self.sequences, self.windows, self.length = sequences, sequences.windows, length
        starts, rate = self.windows.starts[rows], self.windows.sampling_rate
        # Rows of the buffer that lie sampling_rate apart are a chain, along which a stretch runs.
        self.order = np.lexsort((starts, starts % rate))
        self.rows = rows[self.order]
        self._chain, self._place = starts[self.order] % rate, starts[self.order] // rate

    @property
    def n_timesteps(self) -> int:
        """Number of steps of the longest stretch that there may be."""
        return self.windows.window_size - 1 + self.length

    def cut(self, offset: int = 0) -> Cut:
        """Cut the rows into stretches.

        Parameters
        ----------
        offset : int, default=0
            Where the cuts are: a number below ``length`` by which they are shifted.

        Returns
        -------
        Cut
            The stretches, in which each row occurs once.
        """
        piece = (self._place + offset) // self.length
        is_bound = np.ones(len(self.rows) + 1, bool)
        is_bound[1:-1] = (np.diff(piece) != 0) | (np.diff(self._chain) != 0)
        return Cut(self.rows, np.flatnonzero(is_bound))

    def batch(self, cut: Cut, dtype: np.dtype, recent: RecentSteps | None = None) -> Batch:
        """Return stretches as a batch, with the places at which their rows are read.

        All have the same number of steps: where a stretch has fewer, others follow its last row,
        which change nothing that is read.

        Parameters
        ----------
        cut : Cut
            The stretches.
        dtype : dtype
            dtype of the batch, float32 or float64.
        recent : RecentSteps, default=None
            How the linear part reads the windows of the rows; None if there is none.

        Returns
        -------
        Batch
            Its places, and the columns of ``recent``, are those of ``cut.rows``.
        """
        window_size, rate = self.windows.window_size, self.windows.sampling_rate
        starts = self.windows.starts[cut.rows]
        first = starts[cut.bounds[:-1]]
        last = starts[cut.bounds[1:] - 1] + (window_size - 1) * rate
        n_steps = (last - first) // rate + 1  # (n_stretches,)
        column = np.repeat(np.arange(cut.n_stretches), np.diff(cut.bounds))
        step = (starts - first[column]) // rate + window_size - 1  # (n_rows,)

        t = np.arange(self._rounded(n_steps))[:, np.newaxis]
        # After its last step a stretch repeats it. (n_timesteps, n_stretches, n_features)
        x = self.windows.buffer[np.minimum(first + t * rate, last)]
        read = None
        if recent is not None:
            steps = np.ascontiguousarray(x.swapaxes(0, 1), dtype)
            read = _read(recent, steps, step, column, window_size)
        if self.sequences.has_missing and (is_missing := np.isnan(x[:, :, 0])).any():
            is_real = ~is_missing
            x = _real_first(x, is_real)[: self._rounded(is_real.sum(axis=0))]
            step = is_real.cumsum(axis=0)[step, column] - 1
        packing = Packing.equal(len(x), cut.n_stretches)
        return Batch(x.transpose(0, 2, 1), packing, read, Places(step, column))

    def _rounded(self, n_steps: NDArray[np.intp]) -> int:
        """Return the number of steps of a batch of stretches."""
        longest = max(1, int(n_steps.max(initial=1)))
        return min(-(-longest // _GRANULE) * _GRANULE, self.n_timesteps)


def _real_first(x: Floats, is_real: NDArray[np.bool_]) -> Floats:
    """Move the real steps of each stretch to its beginning; zeros follow."""
    order = np.argsort(~is_real, axis=0, kind="stable")
    moved: Floats = np.take_along_axis(x, order[:, :, np.newaxis], axis=0)
    moved[np.arange(len(x))[:, np.newaxis] >= is_real.sum(axis=0)] = 0
    return moved


def _read(
    recent: RecentSteps,
    x: Floats,
    step: NDArray[np.intp],
    column: NDArray[np.intp],
    window_size: int,
) -> Floats:
    """Return what the linear part reads of the windows that end at some steps.

    Parameters
    ----------
    recent : RecentSteps
        How it is read.
    x : ndarray of shape (n_stretches, n_timesteps, n_features)
        The steps, in the precision that they are rounded to.
    step, column : ndarray of int of shape (n_rows,)
        The last step of each window, and the number of its stretch.
    window_size : int
        Number of steps in a window.

    Returns
    -------
    ndarray of shape (n_recent, n_rows)
        As ``recent.read`` lays it out.
    """
    n_held = min(recent.n_steps, window_size)
    n_stretches, n_timesteps, n_features = x.shape
    z = recent.standardize(x).astype(x.dtype)  # each step once, not once for each window
    # From each step on, (n_stretches * n_timesteps - n_held + 1, n_held * n_features)
    spans = as_strided(
        z,
        (n_stretches * n_timesteps - n_held + 1, n_held * n_features),
        (n_features * z.itemsize, z.itemsize),
        writeable=False,
    )
    held = spans[column * n_timesteps + step - n_held + 1]
    if n_held < recent.n_steps:  # steps before the window have their mean
        before = np.zeros((len(step), (recent.n_steps - n_held) * n_features), x.dtype)
        held = np.concatenate([before, held], axis=1)
    return held.T
