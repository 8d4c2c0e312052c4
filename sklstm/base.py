"""What LSTMRegressor and LSTMClassifier share: parameters, fitting, fitted attributes."""

from __future__ import annotations

import copy
import time
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm.nn.losses import Loss
from sklstm.nn.network import Network
from sklstm.nn.optimizers import Adam
from sklstm.sequences import Sequences
from sklstm.threads import Threads, one_blas_thread
from sklstm.training import ConvergenceMonitor, Trainer, TrainingSet, predict_raw
from sklstm.validation import check_sequences, check_weights

__all__ = ["BaseLSTM"]

Floats = NDArray[np.floating]

# What batch_size="auto" means.
DEFAULT_BATCH_SIZE = 32


class BaseLSTM(BaseEstimator, metaclass=ABCMeta):
    """Stacked LSTM layers and a dense head, trained by backpropagation through time and Adam."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_split": [StrOptions({"last", "random"})],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "timesteps": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [
            StrOptions({"float32", "float64"}),
            Options(np.dtype, {np.dtype("float32"), np.dtype("float64")}),
            Options(type, {np.float32, np.float64}),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
    }

    @abstractmethod
    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...],
        *,
        alpha: float,
        batch_size: int | str,
        learning_rate_init: float,
        max_iter: int,
        shuffle: bool,
        max_grad_norm: float | None,
        tol: float,
        n_iter_no_change: int,
        early_stopping: bool,
        validation_fraction: float,
        validation_split: str,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        timesteps: int | None,
        dtype: Any,
        random_state: Any,
        verbose: bool | int,
        warm_start: bool,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.max_grad_norm = max_grad_norm
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.timesteps = timesteps
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    # What the regressor and the classifier define.

    @abstractmethod
    def _encode_target(
        self, y: ArrayLike, sequences: Sequences, classes: ArrayLike | None, *, reset: bool
    ) -> NDArray[Any]:
        """Check y and give it as numbers of shape (n_samples, n_outputs).

        With ``reset``, y and ``classes`` define what later targets are held to.
        """

    @abstractmethod
    def _scale_target(self, target: NDArray[Any], weights: Floats, *, reset: bool) -> NDArray[Any]:
        """Bring the encoded target to the scale on which it is learned."""

    @property
    @abstractmethod
    def _loss(self) -> Loss:
        """The loss, once ``_encode_target`` has seen what the target is."""

    @abstractmethod
    def _validation_score(self, target: Floats, raw: Floats, weights: Floats) -> float:
        """Score raw outputs, both arrays of shape (n_samples, n_outputs)."""

    @abstractmethod
    def _stratify(self, target: NDArray[Any]) -> NDArray[Any] | None:
        """Return the classes that a random validation split keeps in proportion, if any."""

    # Fitting.

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, an array of shape (n_samples, n_timesteps, n_features); or an array or data
            frame of shape (n_samples, n_columns), a column a time step, or ``timesteps`` steps in
            each row; or a list of arrays of shape (n_timesteps_i, n_features). A time step that
            is NaN in all features is missing and is skipped.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: numbers for a regressor; class labels, or an indicator matrix of labels, for a
            classifier.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts like the sample given twice.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input cannot be used, or if training diverges. The estimator is then as it was
            before.
        """
        with self._all_or_nothing(), one_blas_thread() as threads:
            self._validate_params()
            first = not (self.warm_start and hasattr(self, "_network"))
            data = self._prepare(X, y, sample_weight, first=first, min_samples=2)
            end = self._train(data, threads, self.max_iter, early_stopping=self.early_stopping)
        # Outside: where warnings are errors, what was learned is kept all the same.
        if end == "interrupted":
            _warn_of_interrupt()
        if end == "max_iter":
            warnings.warn(
                f"{type(self).__name__} did {self.max_iter} epochs (max_iter) and has not "
                "converged yet. Increase max_iter, or stop by a validation score with "
                "early_stopping=True.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
    ) -> None:
        """Go through the given samples once, from where the last call ended."""
        with self._all_or_nothing(), one_blas_thread() as threads:
            self._validate_params()
            if self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True: there is no validation set "
                    "over calls. Score each call on rows of your own instead."
                )
            first = not hasattr(self, "_network")
            data = self._prepare(X, y, sample_weight, classes, first=first)
            end = self._train(data, threads, 1, early_stopping=False)
        if end == "interrupted":
            _warn_of_interrupt()

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Leave the estimator as it was if anything goes wrong.

        Nothing within may change in place what the estimator holds.
        """
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _prepare(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
        *,
        first: bool,
        min_samples: int = 1,
    ) -> TrainingSet:
        """Check the input and, the first time, set up a new network for it."""
        sequences = self._check_sequences(X, reset=first, min_samples=min_samples)
        target = self._encode_target(y, sequences, classes, reset=first)
        if first:
            self._initialize(sequences, n_outputs=target.shape[1])
        elif self._network.hidden_layer_sizes != self._checked_layer_sizes():
            raise ValueError(
                f"hidden_layer_sizes is now {self.hidden_layer_sizes!r}, but training was to go on "
                f"with a network of {self._network.hidden_layer_sizes}. Set warm_start=False and "
                "call fit to start anew."
            )
        dtype = self._parameters.dtype
        weights = check_weights(sample_weight, sequences, dtype)
        with np.errstate(all="ignore"):
            scaled = self._scale_target(target, weights, reset=first).T.astype(dtype)
            target = target.astype(dtype)
        if not (np.isfinite(target).all() and np.isfinite(scaled).all()):
            raise ValueError(f"y contains a value too large for {dtype}; use dtype='float64'.")
        return TrainingSet(sequences, np.arange(len(sequences)), scaled, weights)

    def _check_sequences(self, X: Any, *, reset: bool, min_samples: int = 1) -> Sequences:
        if reset:
            dtype = None if self.dtype is None else np.dtype(self.dtype)
        else:
            dtype = self._parameters.dtype
        sequences = check_sequences(
            self, X, reset=reset, timesteps=self.timesteps, dtype=dtype, min_samples=min_samples
        )
        if not reset and sequences.n_features != self._network.n_features:
            raise ValueError(
                f"timesteps={self.timesteps} makes time steps of {sequences.n_features} features, "
                f"but the estimator was fitted on steps of {self._network.n_features} features."
            )
        return sequences

    def _checked_layer_sizes(self) -> tuple[int, ...]:
        given = self.hidden_layer_sizes
        sizes = (given,) if isinstance(given, int | Integral) else tuple(given)
        if not sizes or any(not isinstance(size, Integral) or size < 1 for size in sizes):
            raise ValueError(
                "hidden_layer_sizes must be a positive int or a non-empty sequence of them, got "
                f"{self.hidden_layer_sizes!r}."
            )
        return tuple(int(size) for size in sizes)

    def _initialize(self, sequences: Sequences, n_outputs: int) -> None:
        """Make a new network and forget all training."""
        dtype = self.dtype or (np.float32 if sequences.dtype == np.float32 else np.float64)
        self._network = Network(sequences.n_features, self._checked_layer_sizes(), n_outputs)
        # A generator of its own, so that it can be kept and gone on with.
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._rng = np.random.RandomState(seed)
        self._parameters = self._network.initialize(self._rng).astype(dtype)
        self._optimizer = Adam(
            self._network.n_parameters,
            self._parameters.dtype,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        self.n_outputs_ = n_outputs
        self.n_layers_ = len(self._network.hidden_layer_sizes) + 2
        self.n_parameters_ = self._network.n_parameters
        self.n_iter_ = 0
        self.t_ = 0
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = None
        self.best_validation_score_: float | None = None
        self.best_iter_: int | None = None

    def _train(
        self, data: TrainingSet, threads: Threads, n_epochs: int, *, early_stopping: bool
    ) -> str:
        """Train for some epochs, or until convergence, and keep what was learned.

        Returns
        -------
        {"max_iter", "converged", "interrupted"}
            Why training ended.
        """
        parameters, best_parameters = self._parameters.copy(), None
        optimizer, rng = copy.deepcopy(self._optimizer), copy.deepcopy(self._rng)
        optimizer.beta_1, optimizer.beta_2, optimizer.epsilon = (
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
        rows, validation_rows = data.rows, None
        if early_stopping:
            rows, validation_rows = self._validation_split(data, rng)
            data = data._replace(rows=rows)
        trainer = Trainer(
            network=self._network,
            loss=self._loss,
            batch_size=DEFAULT_BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size),
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            threads=threads,
            dtype=parameters.dtype,
        )
        monitor = ConvergenceMonitor(self.tol, self.n_iter_no_change)
        losses: list[float] = []
        scores: list[float] = []
        end = "max_iter"
        try:
            for epoch in range(n_epochs):
                started = time.perf_counter()
                with np.errstate(all="ignore"):
                    losses.append(trainer.epoch(data, parameters, optimizer, rng))
                if validation_rows is not None:
                    scores.append(self._score_rows(data, validation_rows, parameters, threads))
                is_best = monitor.update(scores[-1] if early_stopping else -losses[-1])
                if early_stopping and is_best:
                    best_parameters, self.best_iter_ = parameters.copy(), self.n_iter_ + epoch + 1
                if self.verbose:
                    _report(self.n_iter_ + epoch + 1, losses, scores, started)
                if monitor.converged:
                    end = "converged"
                    break
        except FloatingPointError as error:
            raise ValueError(
                f"Training diverged in epoch {self.n_iter_ + len(losses) + 1}: {error}. Lower "
                f"learning_rate_init (now {self.learning_rate_init:g}), set max_grad_norm (now "
                f"{self.max_grad_norm}), or bring the features and the target to a common scale, "
                "for instance with StandardScaler."
            ) from error
        except KeyboardInterrupt:
            end = "interrupted"

        self._parameters = parameters if best_parameters is None else best_parameters
        self._optimizer, self._rng = optimizer, rng
        self.n_iter_ += len(losses)
        self.t_ += len(losses) * len(rows)
        self.loss_curve_ = self.loss_curve_ + losses
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.inf
        self.best_loss_ = None if early_stopping else min(self.loss_curve_, default=np.inf)
        self.out_activation_ = self._loss.activation
        if early_stopping:
            self.validation_scores_ = (self.validation_scores_ or []) + scores
            self.best_validation_score_ = monitor.best
        else:
            self.validation_scores_ = self.best_validation_score_ = self.best_iter_ = None
        return end

    def _validation_split(
        self, data: TrainingSet, rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the rows into those to train on and those to stop by."""
        shuffle = self.validation_split == "random"
        rows, validation_rows = train_test_split(
            data.rows,
            test_size=self.validation_fraction,
            shuffle=shuffle,
            random_state=rng if shuffle else None,
            stratify=self._stratify(data.target.T) if shuffle else None,
        )
        if len(validation_rows) < 2 or not data.weights[validation_rows].any():
            raise ValueError(
                f"The validation set of {len(validation_rows)} sample(s) is too small or has no "
                f"weight: increase validation_fraction (now {self.validation_fraction})."
            )
        if not data.weights[rows].any():
            raise ValueError(
                "The samples left to train on have no weight: decrease validation_fraction (now "
                f"{self.validation_fraction})."
            )
        return rows, validation_rows

    def _score_rows(
        self,
        data: TrainingSet,
        rows: NDArray[np.intp],
        parameters: Floats,
        threads: Threads,
    ) -> float:
        raw = predict_raw(self._network, parameters, data.sequences, threads, rows)
        return float(self._validation_score(data.target[:, rows].T, raw.T, data.weights[rows]))

    # Using what was learned.

    def _raw_outputs(self, X: Any) -> Floats:
        """Compute the head's linear outputs, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        sequences = self._check_sequences(X, reset=False)
        with one_blas_thread() as threads:
            return predict_raw(self._network, self._parameters, sequences, threads).T

    @property
    def coefs_(self) -> list[Floats]:
        """Weights: W_x and W_h of each LSTM layer in turn, then those of the head.

        Of shape (4 * n_units, n_inputs) and (4 * n_units, n_units), rows in the gate order i, f,
        g, o, as :func:`sklstm.nn.lstm` takes them, and (n_outputs, n_units). A copy.
        """
        check_is_fitted(self)
        return self._network.unpack(self._parameters)[0]

    @property
    def intercepts_(self) -> list[Floats]:
        """Biases: of each LSTM layer, (4 * n_units,), then of the head, (n_outputs,). A copy."""
        check_is_fitted(self)
        return self._network.unpack(self._parameters)[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _warn_of_interrupt() -> None:
    warnings.warn(
        "Training interrupted by user; the estimator keeps what it has learned.", stacklevel=3
    )


def _report(epoch: int, losses: list[float], scores: list[float], started: float) -> None:
    """Print a line about an epoch."""
    score = f", validation score {scores[-1]:.6g}" if scores else ""
    seconds = time.perf_counter() - started
    print(f"Epoch {epoch}: loss {losses[-1]:.6g}{score}, {seconds:.3f} s")
