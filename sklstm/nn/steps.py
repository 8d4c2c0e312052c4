"""Sequences with a target at each of their time steps, and not one for the whole sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.packing import Batch, Places
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import RaggedSequences, Rows, Sequences, as_contiguous

__all__ = ["EveryStep"]


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
        lengths, is_real = whole.lengths, whole.is_real()
        n_sequences, first = len(lengths), np.cumsum(lengths) - lengths
        sequence = np.repeat(np.arange(n_sequences), lengths)
        step = np.arange(len(is_real)) - first[sequence]
        # The last step up to here that is not missing, counted without missing ones; -1 for none.
        n_real = np.concatenate([[0], np.cumsum(is_real)])
        place = n_real[1:] - n_real[first][sequence] - 1
        if has_target is not None:
            sequence, step, place = sequence[has_target], step[has_target], place[has_target]
        self._is_labelled = has_target is not None
        # Of each target. (n_targets,)
        self.sequence, self.step, self._place = sequence, step, place
        self._age = lengths[sequence] - step  # 1 for the last step of a sequence
        self._bounds = np.searchsorted(sequence, np.arange(n_sequences + 1))
        self._counts = np.diff(self._bounds)  # targets of each sequence

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return len(self.step)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of time steps of each sequence, missing ones included."""
        return self.whole.lengths

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
        place = self._place[targets]
        steps = batch.packing.first_steps[columns] + place
        if not self._is_labelled:
            steps[place < 0] = -1
        read = None if recent is None else self.recent(targets, recent, dtype).astype(dtype)
        places = Places(steps, columns, are_distinct=self._is_labelled)
        return replace(batch, recent=read, places=places), order

    def steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the last time steps up to those of some targets, see ``Sequences.steps``."""
        return self._up_to(rows, n_steps, self._whole_steps(rows, n_steps))

    def recent(
        self, rows: Rows, recent: RecentSteps, dtype: np.dtype | None = None
    ) -> NDArray[np.float64]:
        """Return what the linear part reads at some targets, see ``Sequences.recent``."""
        x = as_contiguous(self._whole_steps(rows, recent.n_steps), dtype)
        z = recent.standardize(x)  # each step once, not once for each target that reads it
        read = self._up_to(rows, recent.n_steps, z)
        return read.reshape(len(read), recent.n_inputs).T

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

    def _whole_steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the sequences of some targets, aligned at the end, with enough steps before."""
        return self.whole.steps(np.unique(self.sequence[rows]), self.n_timesteps + n_steps - 1)

    def _up_to(self, rows: Rows, n_steps: int, x: NDArray[Any]) -> NDArray[Any]:
        """Return the last steps up to those of some targets, from ``_whole_steps``."""
        _, column = np.unique(self.sequence[rows], return_inverse=True)
        ends = x.shape[1] - self._age[rows]
        taken = ends[:, np.newaxis] + np.arange(1 - n_steps, 1)  # (n_targets, n_steps)
        return x[column[:, np.newaxis], taken]
