"""What an epoch goes through: all training rows once, a batch at a time.

A batch is made of sequences. With ``SampleEpoch`` each row is a sequence of its own; with
``StretchEpoch`` a sequence is a stretch of consecutive rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.packing import Batch
from sklstm.nn.prediction import blocks_of
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import Sequences
from sklstm.nn.stretches import Stretches

__all__ = ["Epoch", "Labelled", "SampleEpoch", "StretchEpoch", "TrainingSet"]


@dataclass(frozen=True)
class TrainingSet:
    """What training uses.

    Parameters
    ----------
    sequences : Sequences
        The sequences, of which training uses ``rows``.
    rows : ndarray of shape (n_samples,)
        Numbers of the sequences to use.
    target : ndarray of shape (n_outputs, n_targets)
        Target of the loss, for all sequences, see ``Sequences.targets``.
    weights : ndarray of shape (n_targets,)
        Weights of the targets.
    recent : RecentSteps, default=None
        How the linear part reads the sequences; None if there is none.
    stretches : Stretches, default=None
        The rows with a weight, to train on stretches of them; None to train on each row by itself.
    """

    sequences: Sequences
    rows: NDArray[np.intp]
    target: Floats
    weights: Floats
    recent: RecentSteps | None = None
    stretches: Stretches | None = None

    def epoch(self, rng: np.random.RandomState | None) -> Epoch:
        """Begin an epoch: in a random order, or with None in the order that the rows are in."""
        if self.stretches is None:
            return SampleEpoch(self, self.rows if rng is None else rng.permutation(self.rows))
        return StretchEpoch(self, self.stretches, rng)


class Labelled(NamedTuple):
    """Sequences as a batch, and what belongs to its outputs."""

    batch: Batch
    order: NDArray[np.intp] | slice  # column j of the batch is the sequence order[j]
    target: Floats  # (n_outputs, n_sequences) or (n_outputs, n_places)
    weights: Floats  # (n_sequences,) or (n_places,)


class Epoch(ABC):
    """An epoch, whose sequences have numbers.

    Attributes
    ----------
    total_weight : float
        Sum of the weights of all rows.
    n_timesteps : int
        Time steps of the longest sequence.
    """

    total_weight: float
    n_timesteps: int

    @abstractmethod
    def batches(self, batch_size: int) -> Iterator[NDArray[np.intp]]:
        """Give the numbers of the sequences of each batch, of about ``batch_size`` rows."""

    @abstractmethod
    def weight(self, numbers: NDArray[np.intp]) -> float:
        """Return the sum of the weights of the rows of some sequences."""

    @abstractmethod
    def load(self, numbers: NDArray[np.intp], dtype: np.dtype) -> Labelled:
        """Return some sequences as a batch."""


class SampleEpoch(Epoch):
    """An epoch in which each row is a sequence of its own, whose number is that of the row.

    It has one target, or one at each of its steps.

    Parameters
    ----------
    data : TrainingSet
        The rows.
    rows : ndarray of int
        Their numbers, in the order of the epoch.
    """

    def __init__(self, data: TrainingSet, rows: NDArray[np.intp]) -> None:
        self.data, self.rows = data, rows
        self.n_timesteps = data.sequences.n_timesteps
        self.total_weight = self.weight(rows)

    def batches(self, batch_size: int) -> Iterator[NDArray[np.intp]]:
        """Give consecutive rows, see ``Epoch.batches``."""
        for block in blocks_of(len(self.rows), batch_size):
            yield self.rows[block]

    def weight(self, numbers: NDArray[np.intp]) -> float:
        """Return the sum of the weights of some rows."""
        return float(self.data.weights[self.data.sequences.targets(numbers)].sum())

    def load(self, numbers: NDArray[np.intp], dtype: np.dtype) -> Labelled:
        """Return some rows as a batch."""
        batch, order = self.data.sequences.batch(numbers, dtype, self.data.recent)
        targets = self.data.sequences.targets(numbers[order])
        target, weights = self.data.target[:, targets], self.data.weights[targets]
        return Labelled(batch, order, target, weights)


class StretchEpoch(Epoch):
    """An epoch in which a sequence is a stretch of rows.

    Parameters
    ----------
    data : TrainingSet
        The rows.
    stretches : Stretches
        The rows along their series.
    rng : RandomState or None
        Draws where the rows are cut, and the order of the stretches. None cuts them in the same
        way each time and keeps the order of time.
    """

    def __init__(
        self, data: TrainingSet, stretches: Stretches, rng: np.random.RandomState | None
    ) -> None:
        self.data, self.stretches = data, stretches
        self.n_timesteps = stretches.n_timesteps
        self.cut = stretches.cut(0 if rng is None else rng.randint(stretches.length))
        numbers = np.arange(self.cut.n_stretches)
        self.numbers = numbers if rng is None else rng.permutation(numbers)
        weights = data.weights[self.cut.rows]
        self.total_weight = float(weights.sum())
        self._weights = np.add.reduceat(weights, self.cut.bounds[:-1])  # of each stretch

    def batches(self, batch_size: int) -> Iterator[NDArray[np.intp]]:
        """Deal the stretches out evenly, see ``Epoch.batches``.

        There are as many batches as there would be of single rows. Their numbers of stretches
        differ by at most one, so that few shapes of batches occur.
        """
        n_batches = -(-len(self.cut.rows) // batch_size)
        yield from np.array_split(self.numbers, min(n_batches, len(self.numbers)))

    def weight(self, numbers: NDArray[np.intp]) -> float:
        """Return the sum of the weights of the rows of some stretches."""
        return float(self._weights[numbers].sum())

    def load(self, numbers: NDArray[np.intp], dtype: np.dtype) -> Labelled:
        """Return some stretches as a batch."""
        cut = self.cut.take(numbers)
        batch = self.stretches.batch(cut, dtype, self.data.recent)
        target, weights = self.data.target[:, cut.rows], self.data.weights[cut.rows]
        return Labelled(batch, slice(None), target, weights)
