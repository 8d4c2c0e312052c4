"""Sequences of any length as the columns of a batch: sorted by length, aligned at their end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats

__all__ = ["Batch", "Packing", "Places", "Run", "reversed_in_time"]


class Run(NamedTuple):
    """Consecutive steps ``start`` to ``stop`` at which the same number of sequences is active."""

    start: int
    stop: int
    width: int


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
    def runs(self) -> tuple[Run, ...]:
        """Runs of steps with the same width, in order of time."""
        runs: list[Run] = []
        for t, width in enumerate(self.widths):
            if runs and runs[-1].width == width:
                runs[-1] = runs[-1]._replace(stop=t + 1)
            else:
                runs.append(Run(t, t + 1, width))
        return tuple(runs)


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
    if len(packing.runs) == 1 and packing.widths[0] == packing.n_sequences:
        return x[::-1]
    x_reversed = np.zeros_like(x)
    started = 0
    for start, _, width in packing.runs:
        x_reversed[start:, :, started:width] = x[start:, :, started:width][::-1]
        started = width
    return x_reversed
