"""Training: from clean data to a result. Minibatches, epochs, learning rate, when to stop."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.epochs import Epoch, TrainingSet
from sklstm.nn.layer import unbuffered
from sklstm.nn.linear import LinearStart, lstm_fraction, mixture
from sklstm.nn.losses import Loss
from sklstm.nn.model import Model
from sklstm.nn.network import Network, Workspace
from sklstm.nn.optimizers import Adam, clip_by_global_norm
from sklstm.nn.prediction import blocks_of, raw_outputs, raw_outputs_along
from sklstm.nn.sequences import Sequences
from sklstm.nn.stretches import Stretches
from sklstm.nn.threads import ThreadPool

__all__ = [
    "End",
    "History",
    "Observer",
    "Progress",
    "Settings",
    "Trainer",
    "TrainingResult",
    "TrainingSet",
    "TrainingState",
    "ValidationSet",
    "train",
]

End = Literal["max_iter", "converged", "callback", "interrupted"]

# A batch is computed in two lanes, each in a thread of its own, where every lane has at least
# _MIN_LANE_SIZE multiplications in the largest product of a step; below, starting the thread costs
# more than it saves. It is computed in four or eight where every lane has _MIN_WIDE_LANE of these
# and _MIN_LANE_WIDTH sequences: on two cores that takes at most 3 % longer than two lanes do, with
# half of that width up to 15 %. The division into lanes does not depend on the number of threads.
_MIN_LANE_SIZE = 1 << 19
_MIN_WIDE_LANE, _MIN_LANE_WIDTH = 1 << 21, 64

# Decay of the moving average: about the last hundred updates. Measured on the training parts of the
# forecasting sets: 0.98 and 0.99 are level, without averaging errors are about 1 % larger.
_MEMORY = 0.99

# Another call of training keeps so many of the epochs before it in the curves. So online learning,
# an epoch a call, stays as fast, and its pickles as small: the curves take up to 0.2 MB
# and a copy of them 0.1 ms, of a call of at least 1 ms. It is enough for any plot.
_N_EPOCHS_KEPT = 10_000

# A weight of an LSTM layer above this has diverged: its gates are open or shut for whatever they
# read. Training with a sensible learning rate stays far below; one step of a rate of 1e9 does not.
_MAX_LSTM_WEIGHT = 1e8

# The learning rate below which "adaptive" does not go, as in scikit-learn's MLP.
_LEAST_LEARNING_RATE = 1e-6


class ValidationSet(NamedTuple):
    """What early stopping scores.

    Parameters
    ----------
    sequences : Sequences
        The sequences, of which ``rows`` are scored.
    rows : ndarray of shape (n_samples,)
        Numbers of the sequences to use.
    score : callable
        Takes raw outputs of shape (n_samples, n_outputs) and returns their score; greater is
        better.
    loss : Loss
        The loss, which decides how much of the network is added to a ridge.
    target : ndarray of shape (n_outputs, n_samples)
        Targets, in the units of raw outputs.
    weights : ndarray of shape (n_samples,)
        Weights of the samples.
    stretches : Stretches, default=None
        The rows, to score each epoch along stretches of them, as training goes through its own;
        what is kept in the end is scored on the sequences all the same. None: always on these.
    """

    sequences: Sequences
    rows: NDArray[np.intp]
    score: Callable[[Floats], float]
    loss: Loss
    target: Floats
    weights: Floats
    stretches: Stretches | None = None


@dataclass(frozen=True)
class Settings:
    """How to train; the names are those of the estimators' parameters.

    ``skip_rate`` multiplies the learning rate of the linear part; with 0 it is kept as it is and
    not penalised. ``n_epochs`` is the number of epochs of this call, ``max_iter`` the length of the
    "cosine" schedule. The penalty is ``alpha * |W|^2 / (2 * n_samples)``, biases excepted.
    """

    loss: Loss
    n_epochs: int
    max_iter: int
    batch_size: int
    alpha: float
    max_grad_norm: float | None
    shuffle: bool
    dropout: float
    recurrent_dropout: float
    learning_rate: str
    learning_rate_init: float
    beta_1: float
    beta_2: float
    epsilon: float
    tol: float
    n_iter_no_change: float
    skip_rate: float = 0.0


@dataclass
class Progress:
    """What decides the learning rate and when training ends.

    Parameters
    ----------
    epoch : int
        Epochs so far.
    best : float
        The best score so far; greater is better.
    n_stalled : int
        Consecutive epochs without progress.
    n_reductions : int
        How often an adaptive learning rate has been divided by five.
    """

    epoch: int = 0
    best: float = -np.inf
    n_stalled: int = 0
    n_reductions: int = 0

    def learning_rate(self, schedule: str, initial: float, n_epochs: int) -> float:
        """Return the step size of the next epoch.

        Parameters
        ----------
        schedule : {"constant", "adaptive", "cosine"}
            How it changes; "cosine" is [1]_ with a restart every ``n_epochs``.
        initial : float
            Step size of the first epoch.
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

    def record(self, score: float, tol: float) -> bool:
        """Record the score of an epoch and return whether it is the best so far."""
        self.epoch += 1
        self.n_stalled = self.n_stalled + 1 if score < self.best + tol else 0
        is_best = score > self.best
        if is_best:
            self.best = score
        return is_best

    def reduce_rate_or_end(self, n_iter_no_change: float, rate: float, schedule: str) -> bool:
        """Return whether training has converged; reduce an adaptive learning rate first."""
        if self.n_stalled <= n_iter_no_change:
            return False
        if schedule == "adaptive" and rate > _LEAST_LEARNING_RATE:
            self.n_reductions += 1
            self.n_stalled = 0
            return False
        return True


@dataclass
class History:
    """What training has gone through, epoch by epoch.

    Parameters
    ----------
    losses, rates : list of float
        Loss and learning rate of each epoch but the first ``n_dropped``.
    scores : list of float, or None
        Validation score of each epoch, NaN for epochs without one; None if the last call had no
        validation set.
    n_samples : int
        Samples seen, each counted once an epoch.
    n_dropped : int
        Number of epochs, the first ones, that are no longer in the curves.
    least_dropped : float
        The least of their losses.
    best_score : float or None
        Best validation score of the last call.
    best_epoch : int or None
        The epoch that it belongs to, counted from 1, whose parameters are kept.
    """

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    scores: list[float] | None = None
    n_samples: int = 0
    n_dropped: int = 0
    least_dropped: float = np.inf
    best_score: float | None = None
    best_epoch: int | None = None

    @property
    def n_epochs(self) -> int:
        """Epochs so far."""
        return self.n_dropped + len(self.losses)

    @property
    def loss(self) -> float:
        """The loss of the last epoch."""
        return self.losses[-1] if self.losses else np.inf

    @property
    def best_loss(self) -> float | None:
        """The least loss; None where a validation score decides."""
        return min([self.least_dropped, *self.losses]) if self.scores is None else None

    def begin_call(self, *, has_validation: bool) -> History:
        """Return a copy to which another call of training adds its epochs.

        It holds no more than the last epochs, so that it costs the same however many came before.
        """
        n_dropped = max(0, len(self.losses) - _N_EPOCHS_KEPT)
        scores = None
        if has_validation:
            scores = (self.scores or [np.nan] * len(self.losses))[n_dropped:]
        return History(
            self.losses[n_dropped:],
            self.rates[n_dropped:],
            scores,
            self.n_samples,
            self.n_dropped + n_dropped,
            min([self.least_dropped, *self.losses[:n_dropped]]),
        )

    def record(self, loss: float, rate: float, n_samples: int) -> None:
        """Record an epoch."""
        self.losses.append(loss)
        self.rates.append(rate)
        self.n_samples += n_samples

    def record_score(self, score: float, *, is_best: bool) -> None:
        """Record the validation score of the epoch that was recorded last."""
        assert self.scores is not None
        self.scores.append(score)
        if is_best:
            self.best_score, self.best_epoch = score, self.n_epochs

    def drop_incomplete(self) -> None:
        """Drop the last epoch if an interrupt has kept some of it from being recorded."""
        curves = [self.losses, self.rates]
        if self.scores is not None:
            curves.append(self.scores)
        n_complete = min(map(len, curves))
        for curve in curves:
            del curve[n_complete:]


@dataclass(frozen=True)
class TrainingState:
    """What training needs to continue: Adam's moments, the random generator, the progress.

    Training never changes one in place; it returns a new one.
    """

    optimizer: Adam
    rng: np.random.RandomState
    progress: Progress = field(default_factory=Progress)
    history: History = field(default_factory=History)

    def restarted(self) -> TrainingState:
        """Return the same state for a call that judges its progress from the start."""
        return replace(self, progress=Progress())


class TrainingResult(NamedTuple):
    """What ``train`` returns: the trained model, the state to continue from, why it ended."""

    model: Model
    state: TrainingState
    end: End


class Observer(Protocol):
    """What is told about each epoch of training.

    ``result`` returns the model and the state as they are at that moment; it copies only when it
    is called.
    """

    def begin_epoch(self, result: Callable[[], TrainingResult]) -> None:
        """Note that an epoch begins."""
        ...

    def end_epoch(self, result: Callable[[], TrainingResult]) -> bool:
        """Note that an epoch has ended; return whether training should stop."""
        ...


def train(
    model: Model,
    state: TrainingState,
    data: TrainingSet,
    validation: ValidationSet | None,
    settings: Settings,
    pool: ThreadPool,
    observer: Observer,
    start: LinearStart | None = None,
) -> TrainingResult:
    """Train a model for some epochs or until it has converged.

    Parameters
    ----------
    model : Model
        Where training starts. It is not changed.
    state : TrainingState
        State of the optimizer and the rest. It is not changed.
    data : TrainingSet
        The samples.
    validation : ValidationSet or None
        Samples whose score decides when to stop and which parameters are kept; with None the
        training loss decides when to stop and the last parameters are kept.
    settings : Settings
        How to train.
    pool : ThreadPool
        Threads to compute in.
    observer : Observer
        Is told about each epoch.
    start : LinearStart, default=None
        A ridge that the trained network must improve on: the validation set decides how much of
        the network is added to it. None keeps the network of the best epoch.

    Returns
    -------
    TrainingResult
        After a KeyboardInterrupt too: it holds what was learned until then.

    Raises
    ------
    FloatingPointError
        If training diverges: the loss or its gradient is not finite, or a weight is out of bounds.
    """
    optimizer, rng = copy.deepcopy(state.optimizer), copy.deepcopy(state.rng)
    progress = replace(state.progress)
    optimizer.beta_1, optimizer.beta_2 = settings.beta_1, settings.beta_2
    optimizer.epsilon = settings.epsilon
    history = state.history.begin_call(has_validation=validation is not None)
    parameters = model.parameters.copy()
    validator = None
    if validation is not None:
        validator = _Validator(model, validation, parameters, pool)
    average = None if validator is None else validator.average
    trainer = Trainer(model.network, settings, pool, parameters.dtype, average)

    def result_now() -> TrainingResult:
        now = parameters if average is None else average.parameters
        return TrainingResult(
            model.with_parameters(now.copy()),
            TrainingState(*copy.deepcopy((optimizer, rng, progress, history))),
            "max_iter",
        )

    end: End = "max_iter"
    try:
        for _ in range(settings.n_epochs):
            observer.begin_epoch(result_now)
            rate = progress.learning_rate(
                settings.learning_rate, settings.learning_rate_init, settings.max_iter
            )
            with np.errstate(all="ignore"):
                loss = trainer.epoch(data, parameters, optimizer, rate, rng)
            score = -loss
            if validator is not None:
                score = validator.score()
            is_best = progress.record(score, settings.tol)
            history.record(loss, rate, len(data.rows))
            if validator is not None:
                validator.keep_if(is_best)
                history.record_score(score, is_best=is_best)
            wants_stop = observer.end_epoch(result_now)
            if progress.reduce_rate_or_end(settings.n_iter_no_change, rate, settings.learning_rate):
                end = "converged"
                break
            if wants_stop:
                end = "callback"
                break
    except FloatingPointError as error:
        raise FloatingPointError(f"in epoch {history.n_epochs + 1}: {error}") from error
    except KeyboardInterrupt:
        end = "interrupted"
        history.drop_incomplete()
    kept = parameters if validator is None else validator.kept(parameters, start, history)
    return TrainingResult(
        model.with_parameters(kept), TrainingState(optimizer, rng, progress, history), end
    )


class _Validator:
    """Scores each epoch on a validation set and keeps the best parameters.

    What is scored and kept is the moving average of the parameters.

    Parameters
    ----------
    model : Model
        The model.
    validation : ValidationSet
        The validation set.
    parameters : ndarray of shape (n_parameters,)
        Parameters before the first epoch.
    pool : ThreadPool
        Threads to compute in.
    """

    def __init__(
        self, model: Model, validation: ValidationSet, parameters: Floats, pool: ThreadPool
    ) -> None:
        self.model, self.validation, self.pool = model, validation, pool
        self.average = MovingAverage(parameters)
        self.best: Floats | None = None

    def score(self) -> float:
        """Score the moving average."""
        parameters, stretches = self.average.parameters, self.validation.stretches
        if stretches is None:
            raw = self._raw_outputs(parameters)
        else:
            network, recent = self.model.network, self.model.recent
            raw = raw_outputs_along(network, parameters, stretches, self.pool, recent)
        return float(self.validation.score(raw.T))

    def keep_if(self, is_best: bool) -> None:
        """Keep the moving average if its score was the best so far."""
        if is_best:
            self.best = self.average.parameters.copy()

    def kept(self, last: Floats, start: LinearStart | None, history: History) -> Floats:
        """Return the parameters of the best epoch, or as much of them as improves on a ridge.

        Parameters
        ----------
        last : ndarray of shape (n_parameters,)
            Parameters to return if there was no epoch.
        start : LinearStart or None
            The ridge.
        history : History
            Receives the score of what is kept.
        """
        best = last if self.best is None else self.best
        if start is None:
            if self.validation.stretches is not None:
                history.best_score = float(self.validation.score(self._raw_outputs(best).T))
            return best
        linear, trained = self._raw_outputs(start.on_training), self._raw_outputs(best)
        of = self.validation
        fraction = lstm_fraction(of.loss, of.target, of.weights, linear, trained)
        raw = (1 - fraction) * linear + fraction * trained
        history.best_score = float(self.validation.score(raw.T))
        if fraction == 0:
            history.best_epoch = 0  # the state before the first epoch
        return mixture(self.model.network, start.on_all, best, fraction)

    def _raw_outputs(self, parameters: Floats) -> Floats:
        network, recent = self.model.network, self.model.recent
        sequences, rows = self.validation.sequences, self.validation.rows
        return raw_outputs(network, parameters, sequences, self.pool, rows, recent)


class MovingAverage:
    """Exponential moving average of the parameters over the updates [1]_.

    It is what early stopping scores and keeps: it generalises better than the parameters of a
    single update, and its score is less noisy.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Where it starts; copied.

    References
    ----------
    .. [1] B. T. Polyak and A. B. Juditsky, "Acceleration of Stochastic Approximation by
       Averaging", SIAM Journal on Control and Optimization 30(4), 1992.
    """

    def __init__(self, parameters: Floats) -> None:
        self.parameters = parameters.copy()
        self.n_updates = 0

    def update(self, parameters: Floats) -> None:
        """Add the parameters after an update."""
        self.n_updates += 1
        # A shorter memory at the beginning, so that the initial weights are soon forgotten.
        decay = min(_MEMORY, self.n_updates / (9 + self.n_updates))
        # average = decay * average + (1 - decay) * parameters
        self.parameters *= decay
        self.parameters += (1 - decay) * parameters


@dataclass(frozen=True)
class Trainer:
    """One epoch of minibatch training with Adam."""

    network: Network
    settings: Settings
    pool: ThreadPool
    dtype: np.dtype
    average: MovingAverage | None = None

    @cached_property
    def _free_workspaces(self) -> deque[Workspace]:
        # No more come into being than lanes are computed at once.
        return deque()

    @contextmanager
    def _workspace(self) -> Iterator[Workspace]:
        """Lend a workspace to a lane."""
        try:
            workspace = self._free_workspaces.pop()
        except IndexError:
            dropping = self.settings.recurrent_dropout > 0
            workspace = Workspace(self.network, self.dtype, dropping=dropping)
        yield workspace
        self._free_workspaces.append(workspace)

    def epoch(
        self,
        data: TrainingSet,
        parameters: Floats,
        optimizer: Adam,
        learning_rate: float,
        rng: np.random.RandomState,
    ) -> float:
        """Go through the data once; change ``parameters`` and ``optimizer`` in place.

        Returns
        -------
        float
            Mean over samples of loss plus penalty, each taken before the update that it is part of.
        """
        alpha = self.settings.alpha
        epoch = data.epoch(rng if self.settings.shuffle else None)
        total_weight, total_loss = epoch.total_weight, 0.0
        is_skip_fixed = self.settings.skip_rate == 0
        rate: float | Floats = learning_rate
        if not is_skip_fixed and self.network.n_recent:
            rate = np.full(len(parameters), learning_rate, self.dtype)
            self.network.skip_weights(rate)[...] *= self.settings.skip_rate
        for numbers in epoch.batches(self.settings.batch_size):
            batch_weight = epoch.weight(numbers)
            if batch_weight == 0:
                continue
            loss, gradient = self._loss_and_gradient(epoch, numbers, parameters, rng)
            loss /= batch_weight
            gradient /= batch_weight
            # + alpha |W|^2 / (2 n_samples), where a weight of 2 counts as two samples
            if is_skip_fixed:
                self.network.skip_weights(gradient)[...] = 0
            if alpha > 0:
                W = self.network.penalized(parameters)
                if is_skip_fixed:
                    self.network.skip_weights(W)[...] = 0
                loss += alpha / (2 * total_weight) * float(np.add.reduce(W * W))
                W *= alpha / total_weight
                gradient += W
            norm = clip_by_global_norm(gradient, self.settings.max_grad_norm)
            if not np.isfinite(loss + norm):
                raise FloatingPointError(
                    f"the loss is {loss:g} and the norm of its gradient {norm:g}"
                )
            optimizer.update(parameters, gradient, rate)
            if self.average is not None:
                self.average.update(parameters)
            total_loss += loss * batch_weight
        self._check_bounds(parameters)
        return total_loss / total_weight

    def _check_bounds(self, parameters: Floats) -> None:
        """Raise an error if a weight is out of bounds.

        No batch follows the last update to show what it did.
        """
        largest = float(np.abs(parameters).max())
        if not largest < np.sqrt(np.finfo(parameters.dtype).max):
            raise FloatingPointError(f"the largest weight is {largest:g}")
        *lstms, _ = self.network.matrices(parameters)
        largest = float(max(np.abs(W).max() for W in lstms))
        if largest > _MAX_LSTM_WEIGHT:
            raise FloatingPointError(f"the largest weight of an LSTM layer is {largest:g}")

    def _loss_and_gradient(
        self,
        epoch: Epoch,
        numbers: NDArray[np.intp],
        parameters: Floats,
        rng: np.random.RandomState,
    ) -> tuple[float, Floats]:
        """Compute the summed loss of some sequences and its gradient."""
        # Blocks of columns make a batch of any size cost the same memory.
        n_blocks = -(-len(numbers) // self.network.n_columns(epoch.n_timesteps))
        n_lanes = _n_lanes(len(numbers), self.network.step_size, n_blocks)
        n_blocks = -(-n_blocks // n_lanes) * n_lanes
        blocks = list(blocks_of(len(numbers), -(-len(numbers) // n_blocks)))
        masks = self.network.draw_masks(
            rng,
            len(numbers),
            dropout=self.settings.dropout,
            recurrent_dropout=self.settings.recurrent_dropout,
            dtype=self.dtype,
        )

        def run_lane(lane: int) -> tuple[float, Floats]:
            loss, gradient = 0.0, np.zeros_like(parameters)
            with self._workspace() as workspace:
                for block in blocks[lane::n_lanes]:
                    batch, order, target, weights = epoch.load(numbers[block], self.dtype)
                    in_batch = np.arange(block.start, block.stop)[order]
                    with np.errstate(all="ignore"), unbuffered():  # settings of each thread
                        loss += self.network.add_gradient(
                            parameters,
                            batch,
                            target,
                            weights,
                            self.settings.loss,
                            gradient,
                            workspace,
                            masks.columns(in_batch),
                            self.pool.submit if n_lanes == 1 else None,
                        )
            return loss, gradient

        (loss, gradient), *others = self.pool.map(run_lane, range(n_lanes))
        for other_loss, other_gradient in others:
            loss += other_loss
            gradient += other_gradient
        return loss, gradient


def _n_lanes(n_sequences: int, step_size: int, n_blocks: int) -> int:
    """Return in how many lanes a batch is computed: 1, 2, 4 or 8.

    Parameters
    ----------
    n_sequences : int
        Sequences in the batch.
    step_size : int
        Multiplications per sequence in the largest product of a step.
    n_blocks : int
        Least number of blocks that the batch is divided into.
    """
    size = n_sequences * step_size
    for n_lanes in (8, 4):
        if n_sequences >= n_lanes * _MIN_LANE_WIDTH and size >= n_lanes * _MIN_WIDE_LANE:
            return n_lanes
    is_large = size >= _MIN_LANE_SIZE * max(n_blocks, 2)
    return 2 if is_large and n_sequences > 1 else 1
