"""Sequences of any length as the columns of a batch: sorted by length, aligned at their end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats

__all__ = ["Batch", "Packing", "Padding", "Places", "Run", "reversed_in_time"]


# Training computes steps of like width together, as if they had the same: widths are rounded up to
# a multiple of this many sequences, or of this part of the batch. Each run costs some calls, and a
# matrix product of a few columns more takes hardly longer.
_MIN_GRANULE = 8
_MAX_WIDTHS = 8


class Run(NamedTuple):
    """Consecutive steps ``start`` to ``stop`` that are computed at the same width."""

    start: int
    stop: int
    width: int


class Padding(NamedTuple):
    """Steps of a run before some of its columns start."""

    run: int
    columns: slice
    n_steps: int  # from the start of the run


@dataclass(frozen=True)
class Packing:
    """How the sequences of a batch are arranged in columns: longest first, aligned at their end.

    Parameters
    ----------
    widths : tuple of int
        For each step the number of sequences that have started. It is at least one and never
        decreases.
    n_sequences : int
        Sequences in the batch, including those without a single step.
    """

    widths: tuple[int, ...]
    n_sequences: int

    @classmethod
    def from_lengths(cls, lengths: NDArray[np.intp]) -> Packing:
        """Return the packing of sequences whose lengths are given, longest first."""
        n_timesteps = int(lengths[0]) if len(lengths) else 0
        # Sequence j is active at step t if t >= n_timesteps - lengths[j].
        starts = np.bincount(n_timesteps - lengths, minlength=n_timesteps + 1)
        return cls(tuple(np.cumsum(starts[:n_timesteps]).tolist()), len(lengths))

    @classmethod
    @lru_cache(maxsize=16)
    def equal(cls, n_timesteps: int, n_sequences: int) -> Packing:
        """Return the packing of sequences of equal length."""
        return cls((n_sequences,) * n_timesteps, n_sequences)

    @cached_property
    def first_steps(self) -> NDArray[np.intp]:
        """For each sequence, the step at which it starts; the number of steps for an empty one."""
        return np.searchsorted(self.widths, np.arange(self.n_sequences), side="right")

    @cached_property
    def exact_runs(self) -> tuple[Run, ...]:
        """Runs of steps with the same width, in order of time."""
        return _runs_of(np.array(self.widths, int))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Runs of steps that training computes at the same width: that of the widest, rounded up.

        Some of the columns then belong to sequences that have not started, see ``lead_ins``.
        """
        n = self.n_sequences
        granule = max(_MIN_GRANULE, -(-n // _MAX_WIDTHS))
        if n <= granule and self.widths:
            return (Run(0, len(self.widths), n),)
        rounded = -(-np.array(self.widths, int) // granule) * granule
        return _runs_of(np.minimum(rounded, n))

    @cached_property
    def lead_ins(self) -> tuple[Padding, ...]:
        """Where the runs have columns of sequences that have not started."""
        lead_ins = []
        first_steps = self.first_steps.tolist()
        for k, (start, stop, width) in enumerate(self.runs):
            column = self.widths[start]
            while column < width:
                # The sequences that start at the same step.
                first = first_steps[column]
                last = min(width, self.n_sequences if first >= stop else self.widths[first])
                lead_ins.append(Padding(k, slice(column, last), min(first, stop) - start))
                column = last
        return tuple(lead_ins)


def _runs_of(widths: NDArray[np.intp]) -> tuple[Run, ...]:
    """Return the runs of equal widths."""
    cuts = np.flatnonzero(np.diff(widths)) + 1
    bounds = [0, *cuts.tolist(), len(widths)] if len(widths) else [0]
    return tuple(Run(a, b, int(widths[a])) for a, b in pairwise(bounds))


class Places(NamedTuple):
    """Steps of the sequences of a batch at which the head reads the hidden state.

    There may be any number of them for each sequence. Those of a sequence follow each other in
    order of time. If they ``are_distinct``, no step occurs twice, and none is before the first.
    """

    steps: NDArray[np.intp]  # (n_places,); -1 is before the first step, where the state is zero
    columns: NDArray[np.intp]  # (n_places,)
    are_distinct: bool = False


@dataclass(frozen=True)
class Batch:
    """Packed sequences, the input of the network.

    Parameters
    ----------
    x : ndarray of shape (n_timesteps, n_features, n_sequences)
        Values, aligned at the last step. What is before a shorter sequence is not read.
    packing : Packing
        Which columns are active at which step.
    recent : ndarray of shape (n_recent, n_sequences) or (n_recent, n_places), default=None
        The last time steps as the linear part reads them, see ``RecentSteps``.
    places : Places, default=None
        Where the head reads the hidden states, and gives an output for each; None for one output
        for each sequence.
    """

    x: Floats
    packing: Packing
    recent: Floats | None = None
    places: Places | None = None


def reversed_in_time(x: Floats, packing: Packing) -> Floats:
    """Reverse every sequence of a packed batch in time.

    Parameters
    ----------
    x : ndarray of shape (n_timesteps, n, n_sequences)
        The packed sequences. What is before a shorter sequence is not read.
    packing : Packing
        How the batch is arranged in columns.

    Returns
    -------
    ndarray of shape (n_timesteps, n, n_sequences)
        A view if all sequences have the same length, else a new array.
    """
    if len(packing.exact_runs) == 1 and packing.widths[0] == packing.n_sequences:
        return x[::-1]
    x_reversed = np.zeros_like(x)
    started = 0
    for start, _, width in packing.exact_runs:
        x_reversed[start:, :, started:width] = x[start:, :, started:width][::-1]
        started = width
    return x_reversed
