"""The forms that checked sequences come in, each of which cuts out batches for the network.

No form copies X: a memory map or a view of overlapping windows costs a batch at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.packing import Batch, Packing

__all__ = ["DenseSequences", "RaggedSequences", "Sequences", "windows_overlap"]

Rows = slice | NDArray[np.intp]


class Sequences(ABC):
    """Checked sequences, of which a batch at a time is made ready for the network."""

    n_features: int
    n_timesteps: int
    dtype: np.dtype
    overlap = False  # whether they are windows that share time steps

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of sequences."""

    @abstractmethod
    def batch(self, rows: Rows, dtype: np.dtype) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Gather sequences as a batch.

        Parameters
        ----------
        rows : slice or ndarray of int
            Which sequences.
        dtype : dtype
            float32 or float64, for the values.

        Returns
        -------
        batch : Batch
            The sequences without their missing time steps, longest first.
        order : ndarray of int or slice
            Column j of the batch is the sequence ``rows[order][j]``.
        """


class DenseSequences(Sequences):
    """Sequences of one length, as an array of shape (n_samples, n_timesteps, n_features).

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        Of any real dtype.
    has_missing : bool
        Whether any time step is missing, which is to say all NaN.
    """

    def __init__(self, values: NDArray[Any], has_missing: bool) -> None:
        self.values, self.has_missing = values, has_missing
        _, self.n_timesteps, self.n_features = values.shape
        self.dtype = values.dtype
        self.overlap = windows_overlap(values)

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Rows, dtype: np.dtype) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Gather sequences as a batch, see ``Sequences.batch``."""
        values = self.values[rows]  # (n_sequences, n_timesteps, n_features)
        n_sequences, n_timesteps, _ = values.shape
        order: NDArray[np.intp] | slice = slice(None)
        packing = Packing.equal(n_timesteps, n_sequences)
        if self.has_missing:
            # Checked at the door: a time step is NaN in all of its features or in none.
            valid = ~np.isnan(values[:, :, 0])
            if not valid.all():
                lengths = valid.sum(axis=1)
                order = np.argsort(-lengths, kind="stable")
                packing = Packing.from_lengths(lengths[order])
                # A stable sort of False before True moves the valid steps, in order, to the end.
                steps = np.argsort(valid, axis=1, kind="stable")[order]
                values = values[order[:, None], steps[:, n_timesteps - len(packing.widths) :]]
        return Batch(values.transpose(1, 2, 0), packing), order


def windows_overlap(values: NDArray[Any]) -> bool:
    """Tell whether an array of shape (n_samples, n_timesteps, n_features) is a view of windows.

    Then one sample further in memory lies within the sample before, some time steps on.
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
        Of any real dtype.
    has_missing : bool
        Whether any time step is missing, which is to say all NaN.
    """

    def __init__(self, values: Sequence[NDArray[Any]], has_missing: bool) -> None:
        self.values, self.has_missing = values, has_missing
        self.n_timesteps = max(len(sequence) for sequence in values)
        self.n_features = values[0].shape[1]
        self.dtype = np.result_type(*{sequence.dtype for sequence in values})

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Rows, dtype: np.dtype) -> tuple[Batch, NDArray[np.intp] | slice]:
        """Gather sequences as a batch, see ``Sequences.batch``."""
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
        return Batch(x, packing), order
