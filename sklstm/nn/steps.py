"""Sequences with a target at each of their time steps, and not one for the whole sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sklstm.nn.packing import Batch, Places
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import RaggedSequences, Rows, Sequences, as_contiguous

__all__ = ["EveryStep"]

# Numbers in the steps of sequences that are looked through together. More take more memory, fewer
# need more NumPy calls.
_MAX_STEPS = 1 << 21


class EveryStep(Sequences):
    """Sequences with a target at each of some time steps.

    The steps that have one are numbered, sequence after sequence, in order of time. ``batch``,
    ``lengths``, ``targets`` and the length of this object are about sequences. ``steps`` and
    ``recent``, from which the linear part is made, take numbers of targets: each stands for the
    sequence up to its step.

    Parameters
    ----------
    whole : Sequences
        The sequences.
    has_target : ndarray of bool of shape (n_steps,), default=None
        For each time step, sequence after sequence, whether it has a target, which a missing one
        has not; None for all steps, the missing ones included.
    """

    def __init__(self, whole: Sequences, has_target: NDArray[np.bool_] | None = None) -> None:
        self.whole = whole
        self.n_features, self.n_timesteps = whole.n_features, whole.n_timesteps
        self.dtype, self.overlap = whole.dtype, whole.overlap
        # Of each sequence, the number of its first step; and at the end, the number of steps.
        self._first = np.concatenate([[0], np.cumsum(whole.lengths)])
        # Little is kept for each step: there may be as many of them as numbers in X.
        is_real = whole.is_real()
        self._n_real = None  # up to each step, if any is missing
        if not is_real.all():
            self._n_real = np.concatenate([[0], np.cumsum(is_real)])
        self._numbers: NDArray[np.intp] | None = None  # of the steps that have a target
        self._bounds = self._first
        if has_target is not None:
            self._numbers = np.flatnonzero(has_target)
            self._bounds = np.searchsorted(self._numbers, self._first)
        self._counts = np.diff(self._bounds)  # targets of each sequence

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of time steps of each sequence, missing ones included."""
        return self.whole.lengths

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return int(self._bounds[-1])

    @property
    def sequence(self) -> NDArray[np.intp]:
        """Number of the sequence of each target."""
        return np.repeat(np.arange(len(self)), self._counts)

    @property
    def step(self) -> NDArray[np.intp]:
        """Number of the step of each target in its sequence."""
        return self._number(np.arange(self.n_targets)) - self._first[self.sequence]

    def is_real(self) -> NDArray[np.bool_]:
        """Return whether each step is not missing, see ``Sequences.is_real``."""
        return self.whole.is_real()

    def targets(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the numbers of the targets of some sequences."""
        counts = self._counts[rows]
        ends = np.cumsum(counts)
        n_targets = ends[-1] if len(ends) else 0
        return np.arange(n_targets) + np.repeat(self._bounds[rows] - ends + counts, counts)

    def batch(
        self, rows: Rows, dtype: np.dtype, recent: RecentSteps | None = None
    ) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Return some of the sequences as a batch, see ``Sequences.batch``.

        Its places, and the columns of what the linear part reads, are those of the targets of the
        sequences in the order of the columns.
        """
        batch, order = self.whole.batch(rows, dtype)
        numbers = np.arange(len(self))[rows][order]
        targets = self.targets(numbers)
        columns = np.repeat(np.arange(len(numbers)), self._counts[numbers])
        # The last step up to here that is not missing, counted without missing ones; -1 for none.
        step, first = self._number(targets), self._first[numbers[columns]]
        if self._n_real is None:
            place = step - first
        else:
            place = self._n_real[step + 1] - self._n_real[first] - 1
        steps = batch.packing.first_steps[columns] + place
        is_labelled = self._numbers is not None
        if not is_labelled:
            steps[place < 0] = -1
        read = None if recent is None else self._recent(targets, recent, dtype, dtype)
        places = Places(steps, columns, are_distinct=is_labelled)
        return replace(batch, recent=read, places=places), order

    def steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the last time steps up to those of some targets, see ``Sequences.steps``."""
        return self._read(rows, n_steps, lambda x: x)

    def recent(
        self, rows: Rows, recent: RecentSteps, dtype: np.dtype | None = None
    ) -> NDArray[np.float64]:
        """Return what the linear part reads at some targets, see ``Sequences.recent``."""
        return self._recent(rows, recent, dtype, np.dtype(np.float64))

    def by_sequence(self, values: NDArray[Any]) -> Any:
        """Divide an array with an entry for each target, all steps having one, by sequence.

        Returns
        -------
        ndarray of shape (n_sequences, n_timesteps, ...) or list of ndarray
            A list if the sequences may have different lengths.
        """
        if isinstance(self.whole, RaggedSequences):
            return np.split(values, self._bounds[1:-1])
        return values.reshape(len(self.whole), self.n_timesteps, *values.shape[1:])

    def _number(self, targets: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the numbers of the steps of some targets, counted over all sequences."""
        return targets if self._numbers is None else self._numbers[targets]

    def _sequences_of(self, targets: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the numbers of the sequences of some targets."""
        return np.searchsorted(self._bounds, targets, side="right") - 1

    def _recent(
        self, rows: Rows, recent: RecentSteps, dtype: np.dtype | None, read_dtype: np.dtype
    ) -> NDArray[Any]:
        """Return what ``recent`` returns, as ``read_dtype``."""

        def standardized(x: NDArray[Any]) -> NDArray[Any]:
            return recent.standardize(as_contiguous(x, dtype)).astype(read_dtype, copy=False)

        read = self._read(rows, recent.n_steps, standardized)
        return read.reshape(len(read), recent.n_inputs).T

    def _read(
        self, rows: Rows, n_steps: int, prepare: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> NDArray[Any]:
        """Return the last steps up to those of some targets, (n_targets, n_steps, n_features).

        ``prepare`` is applied to each step once, and not once for each target that reads it.
        """
        if isinstance(rows, slice):
            rows = np.arange(self.n_targets)[rows]
        sequence = self._sequences_of(rows)
        # A few of the sequences at a time: each may be long and have few targets.
        size = max(1, _MAX_STEPS // ((self.n_timesteps + n_steps) * self.n_features))
        block = np.cumsum(np.diff(sequence) != 0) // size  # of each row but the first
        starts = np.flatnonzero(np.diff(block, prepend=0)) + 1
        parts = [self._up_to(part, n_steps, prepare) for part in np.split(rows, starts)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _up_to(
        self,
        rows: NDArray[np.intp],
        n_steps: int,
        prepare: Callable[[NDArray[Any]], NDArray[Any]],
    ) -> NDArray[Any]:
        """Return what ``_read`` returns, from all sequences of the targets together."""
        sequence = self._sequences_of(rows)
        numbers, column = np.unique(sequence, return_inverse=True)
        age = self._first[sequence + 1] - self._number(rows)  # 1 for the last step of a sequence
        oldest = age.max(initial=1)
        newest = age.min(initial=oldest)
        n_taken = oldest + n_steps - 1
        x = prepare(self.whole.steps(numbers, n_taken)[:, : n_taken - newest + 1])
        windows = sliding_window_view(x, n_steps, axis=1).swapaxes(2, 3)
        return windows[column, oldest - age]  # (n_targets, n_steps, n_features)
