"""What LSTMRegressor and LSTMClassifier share: parameters, fitting, fitted attributes."""

from __future__ import annotations

import copy
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm.callbacks import CallbackSupportMixin, EpochReport, with_callbacks
from sklstm.nn.losses import Loss
from sklstm.nn.network import Network
from sklstm.nn.optimizers import Adam
from sklstm.nn.prediction import State, advance
from sklstm.nn.sequences import Sequences
from sklstm.nn.threads import Threads, one_blas_thread
from sklstm.nn.training import Progress, Trainer, TrainingRun, TrainingSet, predict_raw
from sklstm.pickling import VersionedEstimator
from sklstm.validation import check_sequences, check_step, check_weights

__all__ = ["BaseLSTM"]

Floats = NDArray[np.floating]

# What batch_size="auto" means.
DEFAULT_BATCH_SIZE = 32


class BaseLSTM(CallbackSupportMixin, VersionedEstimator, metaclass=ABCMeta):
    """Stacked LSTM layers and a dense head, trained by backpropagation through time and Adam."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "bidirectional": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "adaptive", "cosine"})],
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
        "validation_gap": [Interval(Integral, 0, None, closed="left")],
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
        bidirectional: bool,
        dropout: float,
        recurrent_dropout: float,
        alpha: float,
        batch_size: int | str,
        learning_rate: str,
        learning_rate_init: float,
        max_iter: int,
        shuffle: bool,
        max_grad_norm: float | None,
        tol: float,
        n_iter_no_change: int,
        early_stopping: bool,
        validation_fraction: float,
        validation_split: str,
        validation_gap: int,
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
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.max_grad_norm = max_grad_norm
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.validation_gap = validation_gap
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

    def _class_weights(self, target: NDArray[Any]) -> Floats | float:
        """Weights that the samples have for their class, of shape (n_samples,)."""
        return 1.0

    def _check_parameters(self) -> None:
        """Check the parameters, and that they go together."""
        self._validate_params()
        if self.early_stopping and self.validation_gap > 0 and self.validation_split == "random":
            raise ValueError(
                f"validation_gap={self.validation_gap} leaves out samples between those to train "
                "on and those to stop by, which validation_split='random' mixes. Use "
                "validation_split='last', or validation_gap=0."
            )

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
    def _predictions(self, raw: Floats) -> NDArray[Any]:
        """Turn raw outputs, of shape (n_samples, n_outputs), into what ``predict`` gives."""

    @abstractmethod
    def _stratify(self, target: NDArray[Any]) -> NDArray[Any] | None:
        """Return the classes that a random validation split keeps in proportion, if any."""

    # Fitting.

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
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
        X_val : array-like or list of array-like, default=None
            Sequences to stop by, in the form of X, instead of a part of X. Needs
            ``early_stopping=True``. In a :class:`~sklearn.pipeline.Pipeline` with
            ``transform_input=["X_val"]`` they go through the steps before, as X does.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

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
        end, is_split_leaky = self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)
        # Not before: where warnings are errors, what was learned is kept all the same.
        if is_split_leaky:
            warnings.warn(
                "The sequences are windows that overlap, as SlidingWindow makes them, and "
                "validation_split='random' puts windows of the same time steps on both sides: "
                "early stopping sees a score that is too good. Use validation_split='last'.",
                stacklevel=2,
            )
        if end == "interrupted":
            _warn_of_interrupt()
        if end == "max_iter":
            warnings.warn(
                f"{type(self).__name__} did {self.max_iter} epochs (max_iter) and has not "
                "converged yet. Increase max_iter"
                + (
                    "."
                    if self.early_stopping
                    else ", or stop by a validation score with early_stopping=True."
                ),
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        X_val: Any,
        y_val: ArrayLike | None,
        sample_weight_val: ArrayLike | None,
    ) -> tuple[str, bool]:
        """Fit; return why training ended, and whether windows are on both sides of the split."""
        callbacks = self._init_callback_context(max_subtasks=self.max_iter)
        with self._all_or_nothing(), one_blas_thread() as threads:
            self._check_parameters()
            first = not (self.warm_start and hasattr(self, "_network"))
            data = self._prepare(X, y, sample_weight, first=first, min_samples=2)
            validation, is_split_leaky = None, False
            if not all(given is None for given in (X_val, y_val, sample_weight_val)):
                validation = self._prepare_validation(X_val, y_val, sample_weight_val)
            elif self.early_stopping:
                is_split_leaky = self.validation_split == "random" and data.sequences.overlap
                data, validation = self._validation_split(data)
            report = EpochReport(self, callbacks, X, y, sample_weight)
            self._progress = Progress()
            end = self._train(data, validation, threads, self.max_iter, report)
            report.close()
        return end, is_split_leaky

    def _partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
    ) -> None:
        """Go through the given samples once, from where the last call ended."""
        with self._all_or_nothing(), one_blas_thread() as threads:
            self._check_parameters()
            if self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True: there is no validation set "
                    "over calls. Score each call on rows of your own instead."
                )
            first = not hasattr(self, "_network")
            data = self._prepare(X, y, sample_weight, classes, first=first)
            if first:
                self._progress = Progress()
            end = self._train(data, None, threads, 1, EpochReport(self))
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
        is_training: bool = True,
    ) -> TrainingSet:
        """Check the input and, the first time, set up a new network for it."""
        sequences = self._check_sequences(X, reset=first, min_samples=min_samples)
        target = self._encode_target(y, sequences, classes, reset=first)
        if first:
            self._initialize(sequences, n_outputs=target.shape[1])
        else:
            self._check_same_network()
        dtype = self._parameters.dtype
        score_weights = weights = check_weights(sample_weight, sequences, dtype)
        if is_training:
            weights = check_weights(weights * self._class_weights(target), sequences, dtype)
        with np.errstate(all="ignore"):
            scaled = self._scale_target(target, weights, reset=first).T.astype(dtype)
            target = target.astype(dtype)
        if not (np.isfinite(target).all() and np.isfinite(scaled).all()):
            raise ValueError(f"y contains a value too large for {dtype}; use dtype='float64'.")
        return TrainingSet(sequences, np.arange(len(sequences)), scaled, weights, score_weights)

    def _check_same_network(self) -> None:
        """Refuse to go on training a network of another form."""
        for name, now, before in (
            ("hidden_layer_sizes", self._checked_layer_sizes(), self._network.hidden_layer_sizes),
            ("bidirectional", bool(self.bidirectional), self._network.bidirectional),
        ):
            if now != before:
                raise ValueError(
                    f"{name} is now {now}, but training was to go on with a network that was made "
                    f"with {name}={before}. Set warm_start=False and call fit to start anew."
                )
        link = self._loss.activation
        if getattr(self, "out_activation_", link) != link:
            raise ValueError(
                f"The loss now needs the output activation {link!r}, but training was to go on "
                f"with a network that has {self.out_activation_!r}. Set warm_start=False and call "
                "fit to start anew."
            )

    def _prepare_validation(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> TrainingSet:
        """Check a validation set that the user has given."""
        given = {"X_val": X, "y_val": y, "sample_weight_val": sample_weight}
        provided = next(name for name, value in given.items() if value is not None)
        for missing in ("X_val", "y_val"):
            if given[missing] is None:
                raise ValueError(f"{provided} is provided, but {missing} was not provided.")
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val are passed to fit, but early_stopping is False, so nothing would "
                "use them. Set early_stopping=True."
            )
        with _about("X_val, y_val"):
            return self._prepare(X, y, sample_weight, first=False, min_samples=2, is_training=False)

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
        self._network = Network(
            sequences.n_features, self._checked_layer_sizes(), n_outputs, bool(self.bidirectional)
        )
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
        self.learning_rate_curve_: list[float] = []
        self.validation_scores_: list[float] | None = None
        self.best_validation_score_: float | None = None
        self.best_iter_: int | None = None

    def _train(
        self,
        data: TrainingSet,
        validation: TrainingSet | None,
        threads: Threads,
        n_epochs: int,
        report: EpochReport,
    ) -> str:
        """Train for some epochs, or until convergence, and keep what was learned.

        Returns
        -------
        {"max_iter", "converged", "callback", "interrupted"}
            Why training ended.
        """
        # Copies: nothing that the estimator holds changes before all has gone well.
        run = TrainingRun(
            self._parameters.copy(),
            copy.deepcopy(self._optimizer),
            copy.deepcopy(self._rng),
            copy.copy(self._progress),
            has_validation=validation is not None,
        )
        run.optimizer.beta_1, run.optimizer.beta_2 = self.beta_1, self.beta_2
        run.optimizer.epsilon = self.epsilon
        trainer = Trainer(
            network=self._network,
            loss=self._loss,
            batch_size=DEFAULT_BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size),
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            threads=threads,
            dtype=run.parameters.dtype,
        )
        n_samples = len(data.rows)

        def fitted_now() -> dict[str, Any]:
            return self._fitted_attributes(run, n_samples) | {"_parameters": run.parameters.copy()}

        end = "max_iter"
        try:
            for _ in range(n_epochs):
                report.begin(fitted_now)
                rate = run.progress.learning_rate(
                    self.learning_rate, self.learning_rate_init, self.max_iter
                )
                with np.errstate(all="ignore"):
                    loss = trainer.epoch(data, run.parameters, run.optimizer, rate, run.rng)
                score = -loss
                if validation is not None:
                    score = self._score(validation, run.parameters, threads)
                run.record(loss, rate, score, self.tol)
                wants_stop = report.end(fitted_now)
                if run.progress.has_stalled(self.n_iter_no_change, rate, self.learning_rate):
                    end = "converged"
                    break
                if wants_stop:
                    end = "callback"
                    break
        except FloatingPointError as error:
            raise ValueError(
                f"Training diverged in epoch {self.n_iter_ + len(run.losses) + 1}: {error}. Lower "
                f"learning_rate_init (now {self.learning_rate_init:g}), set max_grad_norm (now "
                f"{self.max_grad_norm}), or bring the features and the target to a common scale, "
                "for instance with StandardScaler."
            ) from error
        except KeyboardInterrupt:
            end = "interrupted"

        self._optimizer, self._rng, self._progress = run.optimizer, run.rng, run.progress
        for name, value in self._fitted_attributes(run, n_samples).items():
            setattr(self, name, value)
        return end

    def _fitted_attributes(self, run: TrainingRun, n_samples: int) -> dict[str, Any]:
        """Say what training has come to, after the epochs of a run and all before it."""
        loss_curve = self.loss_curve_ + run.losses
        attributes = {
            "_parameters": run.kept_parameters,
            "n_iter_": self.n_iter_ + len(run.losses),
            "t_": self.t_ + len(run.losses) * n_samples,
            "loss_": loss_curve[-1] if loss_curve else np.inf,
            "loss_curve_": loss_curve,
            "learning_rate_curve_": self.learning_rate_curve_ + run.rates,
            "out_activation_": self._loss.activation,
        }
        if not run.has_validation:
            return attributes | {
                "best_loss_": min(loss_curve, default=np.inf),
                "validation_scores_": None,
                "best_validation_score_": None,
                "best_iter_": None,
            }
        # An entry for every epoch, as in loss_curve_: NaN for those without a score.
        earlier = self.validation_scores_ or [np.nan] * self.n_iter_
        return attributes | {
            "best_loss_": None,
            "validation_scores_": earlier + run.scores,
            "best_validation_score_": run.progress.best if run.best_epoch else None,
            "best_iter_": self.n_iter_ + run.best_epoch if run.best_epoch else None,
        }

    def _validation_split(self, data: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
        """Divide the samples into those to train on and those to stop by."""
        shuffle = self.validation_split == "random"
        rng = copy.deepcopy(self._rng)
        rows, validation_rows = train_test_split(
            data.rows,
            test_size=self.validation_fraction,
            shuffle=shuffle,
            random_state=rng if shuffle else None,
            stratify=self._stratify(data.target.T) if shuffle else None,
        )
        self._rng = rng
        rows = rows[: max(0, len(rows) - self.validation_gap)]
        if len(validation_rows) < 2 or not data.score_weights[validation_rows].any():
            raise ValueError(
                f"The validation set of {len(validation_rows)} sample(s) is too small or has no "
                f"weight: increase validation_fraction (now {self.validation_fraction})."
            )
        if not data.weights[rows].any():
            raise ValueError(
                f"The {len(rows)} sample(s) left to train on are too few or have no weight: "
                f"decrease validation_fraction (now {self.validation_fraction}) or validation_gap "
                f"(now {self.validation_gap})."
            )
        return data._replace(rows=rows), data._replace(rows=validation_rows)

    def _score(self, data: TrainingSet, parameters: Floats, threads: Threads) -> float:
        raw = predict_raw(self._network, parameters, data.sequences, threads, data.rows)
        target, weights = data.target[:, data.rows], data.score_weights[data.rows]
        return float(self._validation_score(target.T, raw.T, weights))

    # Using what was learned.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_network")

    def _raw_outputs(self, X: Any) -> Floats:
        """Compute the head's linear outputs, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        sequences = self._check_sequences(X, reset=False)
        with one_blas_thread() as threads:
            return predict_raw(self._network, self._parameters, sequences, threads).T

    def predict_step(self, x_t: ArrayLike, state: Any = None) -> tuple[Any, State]:
        """Take in one new time step, of one stream or of many, and predict.

        The prediction is that of ``predict`` for the whole sequence so far, at the cost of a single
        step.

        Parameters
        ----------
        x_t : array-like of shape (n_features,) or (n_streams, n_features)
            The new time step. NaN in all features is a missing step: the state stays.
        state : tuple, default=None
            What the call for the step before has returned; None at the start.

        Returns
        -------
        y : number, label or ndarray
            As ``predict`` gives it for one sample; with a first axis for the streams if ``x_t`` has
            it.
        state : tuple of (h, c)
            For each layer hidden state and cell state, of shape (n_units,) or (n_streams,
            n_units). The estimator keeps nothing.

        Raises
        ------
        ValueError
            If the network is bidirectional, which needs the end of a sequence before it can begin,
            or if shapes or values cannot be used.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import LSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(50, 8, 1))
        >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
        >>> state = None
        >>> for x_t in X[0]:
        ...     y, state = model.predict_step(x_t, state)
        >>> bool(np.isclose(y, model.predict(X[:1])[0]))
        True
        """
        check_is_fitted(self)
        network, parameters = self._network, self._parameters
        x, is_single = check_step(self, x_t, network.n_features, parameters.dtype)
        raw, state = advance(network, parameters, x, state, is_single=is_single)
        y = self._predictions(raw)
        return (y[0] if is_single else y), state

    @property
    def coefs_(self) -> list[Floats]:
        """Weights: W_x and W_h of each LSTM layer in turn, then those of the head.

        Of shape (4 * n_units, n_inputs) and (4 * n_units, n_units), rows in the gate order i, f,
        g, o, as :func:`sklstm.nn.lstm` takes them, and (n_outputs, n_units). With
        ``bidirectional``, those of the backward direction follow those of the forward one, layer
        by layer. A copy.
        """
        check_is_fitted(self)
        return self._network.unpack(self._parameters)[0]

    @property
    def intercepts_(self) -> list[Floats]:
        """Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,). A copy."""
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


@contextmanager
def _about(names: str) -> Iterator[None]:
    """Say in the message of an error which arguments it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"In {names}: {error}") from error
