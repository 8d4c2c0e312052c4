"""Checked sequences of equal or different lengths, which give batches to the network.

X is never copied as a whole: of a memory map or a view of overlapping windows, only one batch is in
memory at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.packing import Batch, Packing
from sklstm.nn.recent import RecentSteps
from sklstm.nn.windows import Windows

__all__ = [
    "DenseSequences",
    "RaggedSequences",
    "Sequences",
    "WindowSequences",
    "as_contiguous",
    "own_precision",
    "windows_overlap",
]

Rows = slice | NDArray[np.intp]

# Sequences that are looked through together, so that windows are never in memory as a whole.
_BLOCK_SIZE = 1024


class Sequences(ABC):
    """Checked sequences that give one batch at a time to the network."""

    n_features: int
    n_timesteps: int
    dtype: np.dtype
    overlap = False  # whether the sequences are windows that share memory

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of sequences."""

    @abstractmethod
    def batch(
        self, rows: Rows, dtype: np.dtype, recent: RecentSteps | None = None
    ) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Return some of the sequences as a batch.

        Parameters
        ----------
        rows : slice or ndarray of int
            Indices of the sequences.
        dtype : dtype
            dtype of the batch, float32 or float64.
        recent : RecentSteps, default=None
            How the linear part reads the sequences; None if there is none.

        Returns
        -------
        batch : Batch
            The sequences without their missing time steps, longest first.
        order : ndarray of int or slice
            Column j of the batch is the sequence with index ``rows[order][j]``.
        """

    @abstractmethod
    def steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the last time steps of some sequences, (n_sequences, n_steps, n_features).

        NaN stands for steps that are missing or before the first one.
        """

    @property
    @abstractmethod
    def lengths(self) -> NDArray[np.intp]:
        """Number of time steps of each sequence, missing ones included."""

    @abstractmethod
    def is_real(self) -> NDArray[np.bool_]:
        """Return for each time step, sequence after sequence, whether it is not missing."""

    def targets(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the numbers of the targets of some sequences, which have one each."""
        return rows

    def recent(
        self, rows: Rows, recent: RecentSteps, dtype: np.dtype | None = None
    ) -> NDArray[np.float64]:
        """Return what the linear part reads of some sequences, (n_recent, n_sequences).

        The steps are rounded to ``dtype`` first, as those that the LSTM reads are.
        """
        return recent.read(as_contiguous(self.steps(rows, recent.n_steps), dtype))

    def from_first_rows(self) -> Sequences:
        """Return the sequences with the first row of a series in place of the padding before it.

        Only sequences that are windows over series have such padding.
        """
        return self


def own_precision(dtype: np.dtype) -> np.dtype:
    """Return the precision in which values are computed unless another is asked for.

    float32 stays, in either byte order; all else becomes float64.
    """
    return np.dtype(np.float32 if dtype.newbyteorder("=") == np.float32 else np.float64)


def as_contiguous(steps: NDArray[Any], dtype: np.dtype | None) -> NDArray[Any]:
    """Return steps in C order, since the order of sums depends on the memory layout."""
    return np.ascontiguousarray(steps, dtype)


class DenseSequences(Sequences):
    """Sequences of equal length.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The sequences, of any real dtype.
    has_missing : bool
        Whether any time step is missing, that is, NaN in all features.
    """

    def __init__(self, values: NDArray[Any], has_missing: bool) -> None:
        self.values, self.has_missing = values, has_missing
        _, self.n_timesteps, self.n_features = values.shape
        self.dtype = values.dtype
        self.overlap = windows_overlap(values)

    def __len__(self) -> int:
        return len(self.values)

    def batch(
        self, rows: Rows, dtype: np.dtype, recent: RecentSteps | None = None
    ) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Return some of the sequences as a batch, see ``Sequences.batch``."""
        values = self._take(rows)  # (n_sequences, n_timesteps, n_features)
        n_sequences, n_timesteps, _ = values.shape
        order: NDArray[np.intp] | slice = slice(None)
        packing = Packing.equal(n_timesteps, n_sequences)
        if self.has_missing:
            # Validation has checked that a time step is NaN in all features or in none.
            valid = ~np.isnan(values[:, :, 0])
            if not valid.all():
                lengths = valid.sum(axis=1)
                order = np.argsort(-lengths, kind="stable")
                packing = Packing.from_lengths(lengths[order])
                n_steps = len(packing.widths)
                values = values[order]
                if (valid[:, 1:] < valid[:, :-1]).any():
                    # The stable sort moves the missing steps (False) to the front, and keeps the
                    # order of the others.
                    steps = np.argsort(valid[order], axis=1, kind="stable")
                    values = np.take_along_axis(values, steps[:, :, np.newaxis], axis=1)
                values = values[:, n_timesteps - n_steps :]
        read = None if recent is None else self.recent(rows, recent, dtype)[:, order].astype(dtype)
        return Batch(values.transpose(1, 2, 0), packing, read), order

    def steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the last time steps, see ``Sequences.steps``."""
        return _padded(self._take(rows, n_steps), n_steps)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of time steps of each sequence, missing ones included."""
        return np.full(len(self), self.n_timesteps)

    def is_real(self) -> NDArray[np.bool_]:
        """Return whether each step is not missing, see ``Sequences.is_real``."""
        is_real = np.ones((len(self), self.n_timesteps), bool)
        if self.has_missing:
            for first in range(0, len(self), _BLOCK_SIZE):
                rows = slice(first, min(first + _BLOCK_SIZE, len(self)))
                is_real[rows] = ~np.isnan(self._take(rows)[:, :, 0])
        return is_real.ravel()

    def _take(self, rows: Rows, n_steps: int | None = None) -> NDArray[Any]:
        """Return some of the sequences, whole or only their last steps."""
        return self.values[rows] if n_steps is None else self.values[rows, -n_steps:]


class WindowSequences(DenseSequences):
    """Windows over series, of which a batch at a time is gathered from their buffer.

    Parameters
    ----------
    windows : Windows
        The windows.
    has_missing : bool
        Whether any time step is missing, that is, NaN in all features.
    """

    def __init__(self, windows: Windows, has_missing: bool) -> None:
        self.windows, self.has_missing = windows, has_missing
        _, self.n_timesteps, self.n_features = windows.shape
        self.dtype = windows.dtype
        self.overlap = self.n_timesteps > 1

    def __len__(self) -> int:
        return len(self.windows)

    def from_first_rows(self) -> WindowSequences:
        """Return the windows with first rows for padding, see ``Sequences.from_first_rows``."""
        buffer, is_before = self.windows.buffer, self.windows.is_before
        if is_before is None or not self.has_missing:
            return self
        rows = np.arange(len(buffer))
        # For each row, the first one from there on that belongs to its series.
        own = np.where(is_before, len(buffer) - 1, rows)
        own = np.minimum.accumulate(own[::-1])[::-1]
        is_padding = is_before & np.isnan(buffer[:, 0])
        filled = buffer[np.where(is_padding, own, rows)]
        return WindowSequences(self.windows.with_buffer(filled), self.has_missing)

    def _take(self, rows: Rows, n_steps: int | None = None) -> NDArray[Any]:
        return self.windows.take(rows, n_steps)


def windows_overlap(values: NDArray[Any]) -> bool:
    """Return whether samples overlap in memory, as in a view of sliding windows.

    They overlap if the distance between two samples is smaller than the extent of one sample.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The samples.
    """
    n_samples, n_timesteps, _ = values.shape
    per_sample, per_step, _ = values.strides
    return (
        min(per_sample, per_step) > 0
        and per_sample < n_timesteps * per_step
        and n_samples * per_sample > per_step
    )


class RaggedSequences(Sequences):
    """Sequences of different lengths.

    Parameters
    ----------
    values : list of ndarray of shape (n_timesteps_i, n_features)
        The sequences, of any real dtype.
    has_missing : bool
        Whether any time step is missing, that is, NaN in all features.
    """

    def __init__(self, values: Sequence[NDArray[Any]], has_missing: bool) -> None:
        self.values, self.has_missing = values, has_missing
        self.n_timesteps = max(len(sequence) for sequence in values)
        self.n_features = values[0].shape[1]
        self.dtype = np.result_type(*{sequence.dtype for sequence in values})

    def __len__(self) -> int:
        return len(self.values)

    def batch(
        self, rows: Rows, dtype: np.dtype, recent: RecentSteps | None = None
    ) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Return some of the sequences as a batch, see ``Sequences.batch``."""
        numbers = np.arange(len(self))[rows]
        values = [self.values[number] for number in numbers]
        if self.has_missing:
            values = [sequence[~np.isnan(sequence[:, 0])] for sequence in values]
        lengths = np.array([len(sequence) for sequence in values])
        order = np.argsort(-lengths, kind="stable")
        packing = Packing.from_lengths(lengths[order])
        n_timesteps = len(packing.widths)
        x = np.zeros((n_timesteps, self.n_features, len(values)), dtype)
        for column, number in enumerate(order):
            x[n_timesteps - lengths[number] :, :, column] = values[number]
        read = None if recent is None else self.recent(rows, recent, dtype)[:, order].astype(dtype)
        return Batch(x, packing, read), order

    def steps(self, rows: Rows, n_steps: int) -> NDArray[Any]:
        """Return the last time steps, see ``Sequences.steps``."""
        numbers = np.arange(len(self))[rows]
        last = [_padded(self.values[number][np.newaxis, -n_steps:], n_steps) for number in numbers]
        none = np.empty((0, n_steps, self.n_features), self.dtype)
        return np.concatenate([none, *last])

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of time steps of each sequence, missing ones included."""
        return np.array([len(sequence) for sequence in self.values])

    def is_real(self) -> NDArray[np.bool_]:
        """Return whether each step is not missing, see ``Sequences.is_real``."""
        return np.concatenate([~np.isnan(sequence[:, 0]) for sequence in self.values])


def _padded(last: NDArray[Any], n_steps: int) -> NDArray[Any]:
    """Fill up sequences in front with NaN to a number of steps."""
    n_missing = n_steps - last.shape[1]
    if n_missing == 0:
        return last
    dtype = np.result_type(last.dtype, np.float32)
    padding = np.full((len(last), n_missing, last.shape[2]), np.nan, dtype)
    return np.concatenate([padding, last], axis=1)
