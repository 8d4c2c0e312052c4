"""What LSTMRegressor and LSTMClassifier share: parameters, fitting, fitted attributes."""

from __future__ import annotations

import copy
import functools
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm.callbacks import CallbackSupportMixin, EpochReport, with_callbacks
from sklstm.nn.cell import Floats
from sklstm.nn.head import POOLINGS
from sklstm.nn.linear import LinearStart, recent_steps
from sklstm.nn.losses import Loss
from sklstm.nn.model import InputForm, Model
from sklstm.nn.network import Network
from sklstm.nn.optimizers import Adam
from sklstm.nn.prediction import State
from sklstm.nn.sequences import Sequences
from sklstm.nn.threads import ThreadPool, single_threaded_blas
from sklstm.nn.training import (
    History,
    Settings,
    TrainingResult,
    TrainingSet,
    TrainingState,
    ValidationSet,
    train,
)
from sklstm.pickling import VersionedEstimator
from sklstm.validation import check_layer_sizes, check_sequences, check_step, check_weights

__all__ = ["BaseLSTM", "fitted_copy"]

# Samples per update with batch_size="auto": a power of two of about an eighth of the samples,
# between these. Small sets need more updates per epoch than 32 samples per update would give; on
# the training parts of forecasting sets of 70 to 250 rows, 8 and 16 make errors that are 1.5 %
# smaller than 32 does.
MIN_BATCH_SIZE, MAX_BATCH_SIZE = 8, 32

# Learning rate of a linear part that starts from zero, as a fraction of that of the rest: it has
# many more columns than a hidden state, which would drown the LSTM.
TRAINED_SKIP_RATE = 1 / 3

# Samples from which early_stopping="auto" is on.
MIN_SAMPLES_TO_STOP_EARLY = 50

# Most columns that linear_skip="auto" reads: the cost of the ridge grows with their third power,
# 0.1 s for 512 and 8 s for 3,200. There are also at least two samples for each column.
MAX_LINEAR_COLUMNS = 512


class _Samples(NamedTuple):
    """Checked samples: the sequences, y as numbers, and the weights in training and in a score."""

    sequences: Sequences
    target: NDArray[Any]  # (n_samples, n_outputs)
    weights: Floats  # (n_samples,), class weights included
    score_weights: Floats  # (n_samples,)


class BaseLSTM(CallbackSupportMixin, VersionedEstimator, metaclass=ABCMeta):
    """Stacked LSTM layers and a dense head, trained by backpropagation through time and Adam."""

    # What pooling="auto" means.
    _AUTO_POOLING: ClassVar[tuple[str, ...]] = ("last",)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "bidirectional": ["boolean"],
        "pooling": [StrOptions({"auto", *POOLINGS}), tuple, list],
        "linear_skip": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
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
        "early_stopping": ["boolean", StrOptions({"auto"})],
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
        pooling: str | tuple[str, ...],
        linear_skip: int | str,
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
        early_stopping: bool | str,
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
        self.pooling = pooling
        self.linear_skip = linear_skip
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
        self, y: ArrayLike, classes: ArrayLike | None, n_samples: int, known: Any
    ) -> tuple[NDArray[Any], Any]:
        """Check y and return it as numbers of shape (n_samples, n_outputs), and its output.

        The output says how numbers become y; ``known`` is that of earlier calls, or None.
        """

    def _class_weights(self, target: NDArray[Any], output: Any) -> Floats | float:
        """Return the weights that the samples have for their class, of shape (n_samples,)."""
        return 1.0

    @property
    @abstractmethod
    def _skip_rate(self) -> float:
        """Learning rate of the linear part, as a fraction of that of the rest."""

    def _standardized(self, output: Any, target: NDArray[Any], weights: Floats) -> Any:
        """Return the output with a scale that suits the target of the first call."""
        return output

    def _check_parameters(self) -> None:
        """Check each parameter, and that they agree with each other."""
        self._validate_params()
        self._checked_pooling()
        if self.early_stopping and self.validation_gap > 0 and self.validation_split == "random":
            raise ValueError(
                f"validation_gap={self.validation_gap} leaves out samples between the training "
                "part and the validation part, which validation_split='random' mixes. Use "
                "validation_split='last', or validation_gap=0."
            )

    @abstractmethod
    def _make_loss(self, output: Any) -> Loss:
        """Make the loss for an output."""

    @abstractmethod
    def _validation_score(self, output: Any, target: Floats, weights: Floats, raw: Floats) -> float:
        """Score raw outputs; they and the target are of shape (n_samples, n_outputs)."""

    def _stratify(self, target: NDArray[Any], output: Any) -> NDArray[Any] | None:
        """Return the classes whose proportions a random validation split keeps, if any."""
        return None

    def _ridge_start(
        self,
        model: Model,
        samples: _Samples,
        rows: NDArray[np.intp],
        validation_rows: NDArray[np.intp],
        *,
        is_validated: bool,
    ) -> tuple[Model, LinearStart | None]:
        """Start the linear part of a new model, if the loss has a good start for it."""
        return model, None

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
        for warning in self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val):
            # Last, so that what was learned is kept where warnings are errors.
            warnings.warn(warning, stacklevel=2)
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
    ) -> list[Warning]:
        """Fit, and return what the user should be warned about."""
        report = EpochReport(self, self.max_iter, X, y, sample_weight)
        self._check_parameters()
        messages: list[Warning] = []
        with single_threaded_blas() as n_threads, ThreadPool(n_threads) as pool:
            is_new = not (self.warm_start and hasattr(self, "_model"))
            samples, model, state = self._prepare(X, y, sample_weight, is_new=is_new, min_samples=2)
            rows, validation_rows = np.arange(len(samples.sequences)), np.arange(0)
            samples_val = None
            if not all(given is None for given in (X_val, y_val, sample_weight_val)):
                samples_val = self._prepare_validation(model, X_val, y_val, sample_weight_val)
            elif self._stops_early(len(samples.sequences)):
                rng = copy.deepcopy(state.rng)
                rows, validation_rows = self._split(samples, model, rng)
                state = replace(state, rng=rng)
                samples_val = samples
                if self.validation_split == "random" and samples.sequences.overlap:
                    messages.append(UserWarning(_LEAKY_SPLIT))
            start = None
            if is_new:
                model, start = self._start(
                    model, samples, rows, validation_rows, is_validated=samples_val is not None
                )
            validation = None
            if samples_val is not None:
                scored = validation_rows if samples_val is samples else None
                validation = self._validation_set(model, samples_val, scored)
            report.begin()
            settings = self._settings(model, self.max_iter, len(rows))
            result = self._train(
                model, state.restarted(), samples, rows, validation, settings, pool, report, start
            )
            report.close(lambda: result)
            self._model, self._training = result.model, result.state
        if result.end == "interrupted":
            messages.append(UserWarning(_INTERRUPTED))
        if result.end == "max_iter":
            messages.append(
                ConvergenceWarning(
                    f"{type(self).__name__} did {self.max_iter} epochs (max_iter) and has not "
                    "converged yet. Increase max_iter"
                    + (
                        "."
                        if validation is not None
                        else ", or stop by a validation score with early_stopping=True."
                    )
                )
            )
        return messages

    def _partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
    ) -> None:
        """Go through the given samples once and continue from the last call."""
        self._check_parameters()
        if self.early_stopping and self.early_stopping != "auto":
            raise ValueError(
                "partial_fit does not support early_stopping=True: there is no validation set "
                "over calls. Score each call on samples of your own instead."
            )
        with single_threaded_blas() as n_threads, ThreadPool(n_threads) as pool:
            is_new = not hasattr(self, "_model")
            samples, model, state = self._prepare(X, y, sample_weight, classes, is_new=is_new)
            rows = np.arange(len(samples.sequences))
            if is_new:
                model, _ = self._start(model, samples, rows, np.arange(0), is_validated=False)
            settings = self._settings(model, 1, len(rows))
            report = EpochReport(self)
            result = self._train(model, state, samples, rows, None, settings, pool, report)
            self._model, self._training = result.model, result.state
        if result.end == "interrupted":
            warnings.warn(_INTERRUPTED, stacklevel=3)

    def _prepare(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
        *,
        is_new: bool,
        min_samples: int = 1,
    ) -> tuple[_Samples, Model, TrainingState]:
        """Check the input; make a new model for it, or return the one to train on."""
        model: Model | None = None if is_new else self._model
        sequences, form = self._check_sequences(X, model, min_samples)
        known = None if model is None else model.output
        target, output = self._encode_target(y, classes, len(sequences), known)
        dtype = self._dtype_for(sequences) if model is None else model.dtype
        score_weights = check_weights(sample_weight, len(sequences), dtype)
        factors = self._class_weights(target, output)
        weights = check_weights(score_weights * factors, len(sequences), dtype)
        if model is None:
            with np.errstate(all="ignore"):
                output = self._standardized(output, target, weights)
            n_recent = self._n_recent(sequences) * form.n_features
            model, state = self._new_model(form, output, dtype, n_recent)
        else:
            self._check_same_network(model)
            state = self._training
        self._scaled_target(model.output, target, dtype)  # raises where a value is too large
        return _Samples(sequences, target, weights, score_weights), model, state

    def _prepare_validation(
        self, model: Model, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> _Samples:
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
            sequences, _ = self._check_sequences(X, model, min_samples=2)
            target, _ = self._encode_target(y, None, len(sequences), model.output)
            weights = check_weights(sample_weight, len(sequences), model.dtype)
            self._scaled_target(model.output, target, model.dtype)
        return _Samples(sequences, target, weights, weights)

    def _check_sequences(
        self, X: Any, model: Model | None, min_samples: int = 1
    ) -> tuple[Sequences, InputForm]:
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        return check_sequences(
            X,
            estimator=self,
            form=None if model is None else model.input,
            timesteps=self.timesteps,
            dtype=dtype if model is None else model.dtype,
            min_samples=min_samples,
        )

    def _dtype_for(self, sequences: Sequences) -> np.dtype:
        """Return the precision of a new model."""
        own = np.float32 if sequences.dtype == np.float32 else np.float64
        return np.dtype(own if self.dtype is None else self.dtype)

    def _scaled_target(self, output: Any, target: NDArray[Any], dtype: np.dtype) -> Floats:
        """Return the target on the scale of the loss, of shape (n_outputs, n_samples)."""
        with np.errstate(all="ignore"):
            scaled: Floats = output.encode(target).T.astype(dtype)
            is_finite = np.isfinite(target.astype(dtype)).all() and np.isfinite(scaled).all()
        if not is_finite:
            raise ValueError(f"y contains a value too large for {dtype}; use dtype='float64'.")
        return scaled

    def _stops_early(self, n_samples: int) -> bool:
        """Return whether part of the samples is set aside to decide when to stop."""
        if self.early_stopping == "auto":
            return n_samples >= MIN_SAMPLES_TO_STOP_EARLY
        return bool(self.early_stopping)

    def _checked_pooling(self) -> tuple[str, ...]:
        """Check ``pooling`` and return it as a tuple."""
        if self.pooling == "auto":
            return self._AUTO_POOLING
        names = (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)
        if not names or len(set(names)) < len(names) or not set(names) <= set(POOLINGS):
            raise ValueError(
                f"pooling must be 'auto', one of {', '.join(map(repr, POOLINGS))}, or a tuple of "
                f"these without repetition, got {self.pooling!r}."
            )
        return names

    def _n_recent(self, sequences: Sequences) -> int:
        """Return how many time steps the linear part of a new model reads."""
        if self.linear_skip != "auto":
            return int(self.linear_skip)
        n_columns = min(MAX_LINEAR_COLUMNS, len(sequences) // 2)
        return min(sequences.n_timesteps, n_columns // sequences.n_features)

    def _start(
        self,
        model: Model,
        samples: _Samples,
        rows: NDArray[np.intp],
        validation_rows: NDArray[np.intp],
        *,
        is_validated: bool,
    ) -> tuple[Model, LinearStart | None]:
        """Set up the linear part of a new model, from the samples to train on."""
        network = model.network
        if network.n_recent == 0:
            return model, None
        n_steps = network.n_recent // network.n_features
        recent = recent_steps(samples.sequences, rows, samples.weights, n_steps)
        model = replace(model, recent=recent)
        return self._ridge_start(model, samples, rows, validation_rows, is_validated=is_validated)

    def _new_model(
        self, form: InputForm, output: Any, dtype: np.dtype, n_recent: int = 0
    ) -> tuple[Model, TrainingState]:
        """Make a model with initial weights, and the state that training starts from."""
        network = Network(
            form.n_features,
            check_layer_sizes(self.hidden_layer_sizes),
            output.n_outputs,
            bool(self.bidirectional),
            self._checked_pooling(),
            n_recent,
        )
        # A generator of its own, so that it can be kept and training can continue with it.
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.RandomState(seed)
        parameters = network.initialize(rng).astype(dtype)
        optimizer = self._new_optimizer(network.n_parameters, dtype)
        return Model(network, parameters, form, output), TrainingState(optimizer, rng)

    def _new_optimizer(self, n_parameters: int, dtype: np.dtype) -> Adam:
        betas = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return Adam(n_parameters, dtype, **betas)

    def _check_same_network(self, model: Model) -> None:
        """Refuse to continue training with a network of another form."""
        network = model.network
        n_steps = network.n_recent // network.n_features
        for name, now, before in (
            (
                "hidden_layer_sizes",
                check_layer_sizes(self.hidden_layer_sizes),
                network.hidden_layer_sizes,
            ),
            ("bidirectional", bool(self.bidirectional), network.bidirectional),
            (
                "pooling",
                network.pooling if self.pooling == "auto" else self._checked_pooling(),
                network.pooling,
            ),
            (
                "linear_skip",
                n_steps if self.linear_skip == "auto" else int(self.linear_skip),
                n_steps,
            ),
        ):
            if now != before:
                raise ValueError(
                    f"{name} is now {now}, but the network to continue training was made with "
                    f"{name}={before}. Set warm_start=False and call fit to start again."
                )
        link = self._make_loss(model.output).activation
        if model.output.activation != link:
            raise ValueError(
                f"The loss now needs the output activation {link!r}, but the network to continue "
                f"training has {model.output.activation!r}. Set warm_start=False and call fit to "
                "start again."
            )

    def _n_in_batch(self, n_samples: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        power = 1 << max(0, (n_samples // 8).bit_length() - 1)
        return min(max(power, MIN_BATCH_SIZE), MAX_BATCH_SIZE)

    def _settings(self, model: Model, n_epochs: int, n_samples: int) -> Settings:
        return Settings(
            loss=self._make_loss(model.output),
            n_epochs=n_epochs,
            max_iter=self.max_iter,
            batch_size=self._n_in_batch(n_samples),
            alpha=self.alpha,
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            skip_rate=self._skip_rate,
        )

    def _train(
        self,
        model: Model,
        state: TrainingState,
        samples: _Samples,
        rows: NDArray[np.intp],
        validation: ValidationSet | None,
        settings: Settings,
        pool: ThreadPool,
        report: EpochReport,
        start: LinearStart | None = None,
    ) -> TrainingResult:
        """Train, and say what to do where that diverges."""
        target = self._scaled_target(model.output, samples.target, model.dtype)
        data = TrainingSet(samples.sequences, rows, target, samples.weights, model.recent)
        try:
            return train(model, state, data, validation, settings, pool, report, start)
        except FloatingPointError as error:
            raise ValueError(
                f"Training diverged {error}. Lower learning_rate_init (now "
                f"{self.learning_rate_init:g}), set max_grad_norm (now {self.max_grad_norm}), or "
                "bring the features and the target to a common scale, for instance with "
                "StandardScaler."
            ) from error

    def _split(
        self, samples: _Samples, model: Model, rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the rows into a training part and a validation part."""
        shuffle = self.validation_split == "random"
        rows, validation_rows = train_test_split(
            np.arange(len(samples.sequences)),
            test_size=self.validation_fraction,
            shuffle=shuffle,
            random_state=rng if shuffle else None,
            stratify=self._stratify(samples.target, model.output) if shuffle else None,
        )
        rows = rows[: max(0, len(rows) - self.validation_gap)]
        if len(validation_rows) < 2 or not samples.score_weights[validation_rows].any():
            raise ValueError(
                f"The validation set of {len(validation_rows)} sample(s) is too small or has no "
                f"weight: increase validation_fraction (now {self.validation_fraction})."
            )
        if not samples.weights[rows].any():
            raise ValueError(
                f"The {len(rows)} sample(s) left to train on are too few or have no weight: "
                f"decrease validation_fraction (now {self.validation_fraction}) or validation_gap "
                f"(now {self.validation_gap})."
            )
        return rows, validation_rows

    def _validation_set(
        self, model: Model, samples: _Samples, rows: NDArray[np.intp] | None = None
    ) -> ValidationSet:
        """Return what early stopping scores: some rows of the samples, or all."""
        if rows is None:
            rows = np.arange(len(samples.sequences))
        target = self._scaled_target(model.output, samples.target[rows], model.dtype)
        weights = samples.score_weights[rows]
        score = functools.partial(self._validation_score, model.output, target.T, weights)
        value = self._make_loss(model.output).value

        def loss(raw: Floats) -> float:
            return float(np.add.reduce(value(target, raw) * weights, dtype=np.float64))

        return ValidationSet(samples.sequences, rows, score, loss, float(weights.sum()))

    # Using what was learned.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __sklstm_model__(self) -> Model:
        """Return the fitted model, for whatever predicts with it outside of the estimator."""
        check_is_fitted(self)
        model: Model = self._model
        return model

    def _read(self, X: Any) -> tuple[Model, Sequences]:
        """Check X for prediction; return the model and the sequences."""
        model = self.__sklstm_model__()
        return model, self._check_sequences(X, model)[0]

    def predict_step(self, x_t: ArrayLike, state: Any = None) -> tuple[Any, State]:
        """Read one new time step, of one stream or of many, and predict.

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
        state : tuple
            To be given to the next call. It holds hidden state and cell state (h, c) of each layer,
            of shape (n_units,) or (n_streams, n_units); then, if the head reads them, the running
            sum, maximum and number of the hidden states, and the last time steps of the input. The
            estimator keeps nothing.

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
        model = self.__sklstm_model__()
        x, is_single = check_step(x_t, model.input, model.dtype)
        return model.predict_step(x, state, is_single=is_single)

    # Fitted attributes, read from the model and from the state of training.

    def _fitted(self, name: str) -> Any:
        """Return the object that a fitted attribute is read from."""
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.") from None

    @property
    def n_features_in_(self) -> int:
        """Columns of a 2-D X, features per time step of sequences."""
        return self._fitted("_model").input.n_features_in

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns, where X had names that are all strings."""
        names = self._fitted("_model").input.feature_names
        if names is None:
            raise AttributeError("X had no feature names that are all strings.")
        return names

    @property
    def n_outputs_(self) -> int:
        """Outputs of the head."""
        return self._fitted("_model").network.n_outputs

    @property
    def n_layers_(self) -> int:
        """Layers, including the input and the head."""
        return len(self._fitted("_model").network.hidden_layer_sizes) + 2

    @property
    def n_parameters_(self) -> int:
        """Total number of weights and biases."""
        return self._fitted("_model").network.n_parameters

    @property
    def out_activation_(self) -> str:
        """Name of the function from the head's output to predictions."""
        return self._fitted("_model").output.activation

    @property
    def coefs_(self) -> list[Floats]:
        """Weights: W_x and W_h of each LSTM layer in turn, then those of the head.

        Of shape (4 * n_units, n_inputs) and (4 * n_units, n_units), with rows in the gate order i,
        f, g, o, as :func:`sklstm.nn.lstm` takes them, and (n_outputs, n_units). With
        ``bidirectional``, those of the backward direction follow those of the forward one, layer
        by layer. A copy.
        """
        return self.__sklstm_model__().weights()[0]

    @property
    def intercepts_(self) -> list[Floats]:
        """Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,). A copy."""
        return self.__sklstm_model__().weights()[1]

    @property
    def skip_coef_(self) -> Floats | None:
        """Weights of the linear part, (n_outputs, n_steps, n_features), oldest step first.

        They are added to the head's output for the last ``n_steps`` time steps of the input,
        standardised with ``skip_mean_`` and ``skip_scale_``. None if there is no linear part. A
        copy.
        """
        model = self.__sklstm_model__()
        if model.recent is None:
            return None
        skip = model.network.skip_weights(model.parameters)
        return skip.reshape(len(skip), model.recent.n_steps, -1).copy()

    @property
    def skip_mean_(self) -> NDArray[np.float64] | None:
        """Mean of each feature with which the linear part standardises, or None."""
        recent = self._fitted("_model").recent
        return None if recent is None else recent.mean.copy()

    @property
    def skip_scale_(self) -> NDArray[np.float64] | None:
        """Standard deviation of each feature with which the linear part standardises, or None."""
        recent = self._fitted("_model").recent
        return None if recent is None else recent.scale.copy()

    @property
    def _history(self) -> History:
        return self._fitted("_training").history

    @property
    def n_iter_(self) -> int:
        """Epochs of training."""
        return len(self._history.losses)

    @property
    def t_(self) -> int:
        """Samples seen by training, each counted once an epoch."""
        return self._history.n_samples

    @property
    def loss_(self) -> float:
        """The last entry of ``loss_curve_``."""
        return self._history.loss

    @property
    def loss_curve_(self) -> list[float]:
        """The loss of each epoch."""
        return self._history.losses

    @property
    def learning_rate_curve_(self) -> list[float]:
        """The learning rate of each epoch."""
        return self._history.rates

    @property
    def best_loss_(self) -> float | None:
        """The least loss; None with early stopping."""
        return self._history.best_loss

    @property
    def validation_scores_(self) -> list[float] | None:
        """The validation score of each epoch, with early stopping."""
        return self._history.scores

    @property
    def best_validation_score_(self) -> float | None:
        """The best validation score of the last call of ``fit``."""
        return self._history.best_score

    @property
    def best_iter_(self) -> int | None:
        """The epoch with that score, counted from 1, whose weights are kept."""
        return self._history.best_epoch

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def fitted_copy(estimator: BaseLSTM, model: Model) -> Any:
    """Return a copy of an estimator that is fitted: it has the model, and no history.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        The estimator, fitted or not. It is not changed.
    model : Model
        The model. Its parameters are cast to the ``dtype`` of the estimator, if that is set.
    """
    fitted = copy.deepcopy(estimator)
    fitted._check_parameters()
    dtype = np.dtype(model.dtype if fitted.dtype is None else fitted.dtype)
    # Draws initial weights too, so that training continues with the same random numbers.
    _, state = fitted._new_model(model.input, model.output, dtype)
    fitted._model = model.with_parameters(model.parameters.astype(dtype))
    optimizer = fitted._new_optimizer(model.network.n_parameters, dtype)
    state = replace(state, optimizer=optimizer)
    fitted._training = state
    return fitted


_INTERRUPTED = "Training interrupted by user; the estimator keeps what it has learned."

_LEAKY_SPLIT = (
    "The sequences are windows that overlap, as SlidingWindow makes them, and "
    "validation_split='random' puts windows of the same time steps on both sides: early stopping "
    "sees a score that is too good. Use validation_split='last'."
)


@contextmanager
def _about(names: str) -> Iterator[None]:
    """Say in the message of an error which arguments it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"In {names}: {error}") from error
