"""From checked sequences to trained parameters: minibatches, the epoch, when to stop.

Nothing here is an estimator, and nothing here checks input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.layer import unbuffered
from sklstm.nn.losses import Loss
from sklstm.nn.network import Network, Workspace
from sklstm.nn.optimizers import Adam, clip_by_global_norm
from sklstm.nn.sequences import Sequences
from sklstm.nn.threads import Threads

__all__ = ["Progress", "Trainer", "TrainingRun", "TrainingSet", "predict_raw"]

Floats = NDArray[np.floating]

# Products in a step and lane from which training is worth two lanes, each in a thread of its own.
_N_LANES = 2
_MIN_LANES = 1 << 19

# Sequences that prediction takes through the network at once.
_PREDICTION_COLUMNS = 512

# Hidden values in a prediction from which it is worth starting threads.
_MIN_THREADED = 1 << 19


class TrainingSet(NamedTuple):
    """What an epoch goes through.

    Parameters
    ----------
    sequences : Sequences
        The sequences, of which training uses ``rows``.
    rows : ndarray of shape (n_samples,)
        Which of the sequences.
    target : ndarray of shape (n_outputs, n_sequences)
        What the loss is told to aim at, for all sequences.
    weights : ndarray of shape (n_sequences,)
        Weights in training, for all sequences.
    score_weights : ndarray of shape (n_sequences,)
        Weights in a score: without those of classes.
    """

    sequences: Sequences
    rows: NDArray[np.intp]
    target: Floats
    weights: Floats
    score_weights: Floats


@dataclass(frozen=True)
class Trainer:
    """One epoch of minibatch training with Adam.

    Parameters
    ----------
    network : Network
        What is trained.
    loss : Loss
        What is minimised, together with ``alpha * |W|^2 / (2 * n_samples)``.
    batch_size : int
        Samples for each update.
    alpha : float
        Strength of the penalty on the weights, biases excepted.
    max_grad_norm : float or None
        Bound on the norm of a gradient.
    shuffle : bool
        Whether each epoch has an order of its own.
    dropout, recurrent_dropout : float
        Shares of hidden states dropped on the way up and on the way to the next step.
    threads : Threads
        Threads to compute in.
    dtype : dtype
        Of the parameters.
    """

    network: Network
    loss: Loss
    batch_size: int
    alpha: float
    max_grad_norm: float | None
    shuffle: bool
    dropout: float
    recurrent_dropout: float
    threads: Threads
    dtype: np.dtype

    @cached_property
    def _workspaces(self) -> list[Workspace]:
        dropping = self.recurrent_dropout > 0
        return [Workspace(self.network, self.dtype, dropping=dropping) for _ in range(_N_LANES)]

    def epoch(
        self,
        data: TrainingSet,
        parameters: Floats,
        optimizer: Adam,
        learning_rate: float,
        rng: np.random.RandomState,
    ) -> float:
        """Go through the data once.

        Parameters
        ----------
        data : TrainingSet
            The samples.
        parameters : ndarray of shape (n_parameters,)
            Changed in place.
        optimizer : Adam
            Its moments are changed in place.
        learning_rate : float
            Its step size.
        rng : RandomState
            Draws the order, and what is dropped.

        Returns
        -------
        float
            Mean over samples of loss plus penalty, each taken before the update it is part of.

        Raises
        ------
        FloatingPointError
            If the loss or its gradient is not finite, or a weight is out of bounds afterwards.
        """
        rows = rng.permutation(data.rows) if self.shuffle else data.rows
        total_weight = float(data.weights[rows].sum())
        total_loss = 0.0
        for first in range(0, len(rows), self.batch_size):
            batch_rows = rows[first : first + self.batch_size]
            batch_weight = float(data.weights[batch_rows].sum())
            if batch_weight == 0:
                continue
            loss, gradient = self._loss_and_gradient(data, batch_rows, parameters, rng)
            loss /= batch_weight
            gradient /= batch_weight
            # + alpha |W|^2 / (2 n_samples), with weights for samples repeated that many times
            if self.alpha > 0:
                W = self.network.penalized(parameters)
                loss += self.alpha / (2 * total_weight) * float(np.add.reduce(W * W))
                W *= self.alpha / total_weight
                gradient += W
            norm = clip_by_global_norm(gradient, self.max_grad_norm)
            if not np.isfinite(loss + norm):
                raise FloatingPointError(
                    f"the loss is {loss:g} and the norm of its gradient {norm:g}"
                )
            optimizer.update(parameters, gradient, learning_rate)
            total_loss += loss * batch_weight
        # The last update has no batch behind it to show what it did.
        largest = float(np.abs(parameters).max())
        if not largest < np.sqrt(np.finfo(parameters.dtype).max):
            raise FloatingPointError(f"the largest weight is {largest:g}")
        return total_loss / total_weight

    def _loss_and_gradient(
        self,
        data: TrainingSet,
        rows: NDArray[np.intp],
        parameters: Floats,
        rng: np.random.RandomState,
    ) -> tuple[float, Floats]:
        """Compute the summed loss of some rows and its gradient."""
        # By blocks of columns, so that a batch of any size costs the same memory; and where a
        # step has enough to compute, in two lanes, whose cut does not depend on the threads.
        n_blocks = -(-len(rows) // self.network.n_columns(data.sequences.n_timesteps))
        n_lanes = 1
        if self.network.step_size * len(rows) >= _MIN_LANES * max(n_blocks, _N_LANES):
            n_lanes = _N_LANES
            n_blocks += n_blocks % _N_LANES
        blocks = list(_blocks(len(rows), -(-len(rows) // n_blocks)))
        masks = self.network.draw_masks(
            rng,
            len(rows),
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            dtype=self.dtype,
        )

        def run_lane(lane: int) -> tuple[float, Floats]:
            loss, gradient = 0.0, np.zeros_like(parameters)
            for block in blocks[lane::n_lanes]:
                batch, order = data.sequences.batch(rows[block], self.dtype)
                in_batch = np.arange(block.start, block.stop)[order]
                columns = rows[in_batch]
                with np.errstate(all="ignore"), unbuffered():  # settings of each thread
                    loss += self.network.add_gradient(
                        parameters,
                        batch,
                        data.target[:, columns],
                        data.weights[columns],
                        self.loss,
                        gradient,
                        self._workspaces[lane],
                        masks.columns(in_batch),
                        self.threads.submit if n_lanes == 1 else None,
                    )
            return loss, gradient

        (loss, gradient), *others = self.threads.map(run_lane, range(n_lanes))
        for other_loss, other_gradient in others:
            loss += other_loss
            gradient += other_gradient
        return loss, gradient


def predict_raw(
    network: Network,
    parameters: Floats,
    sequences: Sequences,
    threads: Threads,
    rows: NDArray[np.intp] | None = None,
) -> Floats:
    """Compute raw outputs, a block of sequences at a time.

    Parameters
    ----------
    network : Network
        The network.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    sequences : Sequences
        The sequences.
    threads : Threads
        Threads to compute in.
    rows : ndarray of int, default=None
        Which of them; None for all.

    Returns
    -------
    ndarray of shape (n_outputs, n_samples)
        Raw outputs, in the order of the rows.
    """
    n_samples = len(sequences) if rows is None else len(rows)
    raw = np.empty((network.n_outputs, n_samples), parameters.dtype)
    blocks = list(_blocks(n_samples, _PREDICTION_COLUMNS))
    n_values = n_samples * sequences.n_timesteps * sum(network.hidden_layer_sizes)
    n_lanes = min(threads.n_threads, len(blocks)) if n_values >= _MIN_THREADED else 1

    def run_lane(lane: int) -> None:
        buffers = network.state_buffers(parameters.dtype)
        with np.errstate(all="ignore"):
            for block in blocks[lane::n_lanes]:
                block_rows = block if rows is None else rows[block]
                batch, order = sequences.batch(block_rows, parameters.dtype)
                raw[:, block][:, order] = network.raw_outputs(parameters, batch, buffers)

    threads.map(run_lane, range(n_lanes))
    return raw


def _blocks(n_samples: int, size: int) -> Iterator[slice]:
    for first in range(0, n_samples, size):
        yield slice(first, min(first + size, n_samples))


# The least learning rate that "adaptive" goes down from, as in scikit-learn's MLP.
_LEAST_LEARNING_RATE = 1e-6


@dataclass
class Progress:
    """How training has got on: what decides when it ends, and the learning rate.

    Parameters
    ----------
    epoch : int
        Epochs so far.
    best : float
        The best score so far, the greater the better.
    n_stalled : int
        Epochs in a row without progress.
    n_reductions : int
        How often an adaptive learning rate has been divided by five.
    """

    epoch: int = 0
    best: float = -np.inf
    n_stalled: int = 0
    n_reductions: int = 0

    def learning_rate(self, schedule: str, initial: float, n_epochs: int) -> float:
        """Give the step size of the coming epoch.

        Parameters
        ----------
        schedule : {"constant", "adaptive", "cosine"}
            How it changes; "cosine" is [1]_ with a restart every ``n_epochs``.
        initial : float
            The first one.
        n_epochs : int
            Length of the cosine.

        References
        ----------
        .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
           ICLR 2017.
        """
        if schedule == "adaptive":
            return float(initial / 5**self.n_reductions)
        if schedule == "cosine":
            return float(initial * (1 + np.cos(np.pi * (self.epoch % n_epochs) / n_epochs)) / 2)
        return float(initial)

    def update(self, score: float, tol: float) -> bool:
        """Take note of an epoch's score.

        Returns
        -------
        bool
            Whether it is the best so far.
        """
        self.epoch += 1
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        is_best = score > self.best
        if is_best:
            self.best = score
        return is_best

    def has_stalled(self, n_iter_no_change: float, learning_rate: float, schedule: str) -> bool:
        """Tell whether training is at its end; an adaptive learning rate is reduced first."""
        if self.n_stalled <= n_iter_no_change:
            return False
        if schedule == "adaptive" and learning_rate > _LEAST_LEARNING_RATE:
            self.n_reductions += 1
            self.n_stalled = 0
            return False
        return True


@dataclass
class TrainingRun:
    """What one call of fit works on and has come to.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        As they are now.
    optimizer : Adam
        Adam and its state.
    rng : RandomState
        Source of what is random.
    progress : Progress
        How training has got on.
    has_validation : bool
        Whether scores are those of a validation set, by which the best parameters are kept.
    """

    parameters: Floats
    optimizer: Adam
    rng: np.random.RandomState
    progress: Progress
    has_validation: bool
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_parameters: Floats | None = None
    best_epoch: int | None = None

    def record(self, loss: float, rate: float, score: float, tol: float) -> None:
        """Take note of an epoch."""
        self.losses.append(loss)
        self.rates.append(rate)
        is_best = self.progress.update(score, tol)
        if self.has_validation:
            self.scores.append(score)
            if is_best:
                self.best_parameters, self.best_epoch = self.parameters.copy(), len(self.losses)

    @property
    def kept_parameters(self) -> Floats:
        """Those of the best epoch where there is a validation set, else the last."""
        return self.parameters if self.best_parameters is None else self.best_parameters
