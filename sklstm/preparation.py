"""From what users hand in to what training takes: samples, a new model, a validation set."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from sklstm.nn.cell import Floats
from sklstm.nn.linear import LinearStart, recent_steps
from sklstm.nn.losses import Loss
from sklstm.nn.model import InputForm, Model
from sklstm.nn.network import Network
from sklstm.nn.optimizers import Adam
from sklstm.nn.sequences import Sequences, WindowSequences
from sklstm.nn.stretches import Stretches, stretch_length
from sklstm.nn.training import TrainingState, ValidationSet
from sklstm.parameters import LSTMParameters
from sklstm.step_targets import check_steps, suggesting_return_sequences
from sklstm.targets import check_weights
from sklstm.validation import check_layer_sizes, check_sequences

__all__ = ["Preparation", "Samples"]


class Samples(NamedTuple):
    """Checked samples: the sequences, y as numbers, and the weights in training and in a score.

    There is a target for each sequence, or with ``return_sequences`` for each labelled step.
    """

    sequences: Sequences
    target: NDArray[Any]  # (n_targets, n_outputs)
    weights: Floats  # (n_targets,), class weights included
    score_weights: Floats  # (n_targets,)


class Preparation(LSTMParameters):
    """What an estimator does before it trains; nothing is written on it."""

    # What the regressor and the classifier define.

    @abstractmethod
    def _encode_target(
        self, y: ArrayLike, classes: ArrayLike | None, n_targets: int, known: Any
    ) -> tuple[NDArray[Any], Any]:
        """Check y and return it as numbers of shape (n_targets, n_outputs), and its output.

        The output says how numbers become y; ``known`` is that of earlier calls, or None.
        """

    def _warnings_about_target(self, y: Any, target: NDArray[Any], output: Any) -> list[Warning]:
        """Return warnings about a form of y that is often a mistake; target is y as numbers."""
        return []

    def _class_weights(self, target: NDArray[Any], output: Any) -> Floats | float:
        """Return the weights that the samples have for their class, of shape (n_samples,)."""
        return 1.0

    def _standardized(self, output: Any, target: NDArray[Any], weights: Floats) -> Any:
        """Return the output with a scale that suits the target of the first call."""
        return output

    @abstractmethod
    def _make_loss(self, output: Any) -> Loss:
        """Make the loss for an output."""

    @abstractmethod
    def _validation_score(self, output: Any, target: Floats, weights: Floats, raw: Floats) -> float:
        """Score raw outputs; they and the target are of shape (n_samples, n_outputs)."""

    def _stratify(self, target: NDArray[Any], output: Any) -> NDArray[Any] | None:
        """Return the classes whose proportions a random validation split keeps, if any."""
        return None

    def _plain_start(self, model: Model, samples: Samples, rows: NDArray[np.intp]) -> Model:
        """Start the head of a new model without a linear part, if the loss has a good start."""
        return model

    def _ridge_start(
        self,
        model: Model,
        samples: Samples,
        rows: NDArray[np.intp],
        *,
        is_validated: bool,
    ) -> tuple[Model, LinearStart | None]:
        """Start the linear part of a new model, if the loss has a good start for it."""
        return model, None

    def _prepare(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
        *,
        is_new: bool,
        min_samples: int = 1,
    ) -> tuple[Samples, Model, TrainingState]:
        """Check the input; make a new model for it, or return the one to train on."""
        model: Model | None = None if is_new else self._model
        sequences, form = self._check_sequences(X, model, min_samples)
        if self.train_on == "series" and not isinstance(sequences, WindowSequences):
            raise ValueError(_NO_WINDOWS.format(type=type(X).__name__, name=type(self).__name__))
        known = None
        if model is not None:
            self._check_same_form(model)
            self._check_same_link(model)
            known = model.output
        dtype = self._dtype_for(sequences) if model is None else model.dtype
        sequences, target, output, score_weights = self._check_target(
            sequences, y, sample_weight, classes, known, dtype
        )
        factors = self._class_weights(target, output)
        weights = check_weights(score_weights * factors, len(target), dtype)
        if model is None:
            with np.errstate(all="ignore"):
                output = self._standardized(output, target, weights)
            n_recent = self._n_recent(sequences, float(weights.sum())) * form.n_features
            model, state = self._new_model(form, output, dtype, n_recent)
        else:
            state = self._training
        self._scaled_target(model.output, target, dtype)  # raises where a value is too large
        return Samples(sequences, target, weights, score_weights), model, state

    def _check_target(
        self,
        sequences: Sequences,
        y: Any,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None,
        known: Any,
        dtype: np.dtype,
    ) -> tuple[Sequences, NDArray[Any], Any, Floats]:
        """Check y and the weights, of each sequence or of each step."""
        n_targets = len(sequences)
        if self.return_sequences:
            sequences, y, sample_weight = check_steps(sequences, y, sample_weight)
            n_targets = sequences.n_targets
        with suggesting_return_sequences(sequences, y):
            target, output = self._encode_target(y, classes, n_targets, known)
        return sequences, target, output, check_weights(sample_weight, n_targets, dtype)

    def _prepare_validation(
        self, model: Model, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> Samples:
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
            min_samples = 1 if self.return_sequences else 2
            sequences, _ = self._check_sequences(X, model, min_samples)
            sequences, target, _, weights = self._check_target(
                sequences, y, sample_weight, None, model.output, model.dtype
            )
            self._scaled_target(model.output, target, model.dtype)
        return Samples(sequences, target, weights, weights)

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

    def _scaled_target(self, output: Any, target: NDArray[Any], dtype: np.dtype) -> Floats:
        """Return the target on the scale of the loss, of shape (n_outputs, n_samples)."""
        with np.errstate(all="ignore"):
            scaled: Floats = output.encode(target).T.astype(dtype)
            is_finite = np.isfinite(target.astype(dtype)).all() and np.isfinite(scaled).all()
        if not is_finite:
            raise ValueError(f"y contains a value too large for {dtype}; use dtype='float64'.")
        return scaled

    def _start(
        self,
        model: Model,
        samples: Samples,
        rows: NDArray[np.intp],
        *,
        is_validated: bool,
    ) -> tuple[Model, LinearStart | None]:
        """Set up the head of a new model, from the samples to train on."""
        network = model.network
        rows = samples.sequences.targets(rows)
        if network.n_recent == 0:
            return self._plain_start(model, samples, rows), None
        n_steps = network.n_recent // network.n_features
        with np.errstate(all="ignore"):  # what is not finite is found here, or in training
            recent = recent_steps(samples.sequences, rows, samples.weights, n_steps, model.dtype)
            model = replace(model, recent=recent)
            return self._ridge_start(model, samples, rows, is_validated=is_validated)

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
        model = Model(
            network, parameters, form, output, return_sequences=bool(self.return_sequences)
        )
        return model, TrainingState(optimizer, rng)

    def _new_optimizer(self, n_parameters: int, dtype: np.dtype) -> Adam:
        betas = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return Adam(n_parameters, dtype, **betas)

    def _check_same_link(self, model: Model) -> None:
        """Refuse to continue training with a loss that needs another output activation."""
        link = self._make_loss(model.output).activation
        if model.output.activation != link:
            raise ValueError(
                f"The loss now needs the output activation {link!r}, but the network to continue "
                f"training has {model.output.activation!r}. Set warm_start=False and call fit to "
                "start again."
            )

    def _stretches(
        self,
        sequences: Sequences,
        rows: NDArray[np.intp],
        weights: Floats | None = None,
        batch_size: float = np.inf,
    ) -> Stretches | None:
        """Return rows along their series, or None where each row is used by itself.

        With ``weights``, of all rows, those without weight are left out.
        """
        if self.train_on != "series" or not isinstance(sequences, WindowSequences):
            return None
        if weights is not None:
            rows = rows[weights[rows] > 0]
        return Stretches(sequences, rows, stretch_length(sequences.n_timesteps, batch_size))

    def _rows_with_weight(self, samples: Samples) -> NDArray[np.intp]:
        """Return the rows that may be set aside: a sample without weight says nothing."""
        if self.return_sequences:  # the weights are those of steps
            return np.arange(len(samples.sequences))
        return np.flatnonzero(samples.score_weights)

    def _split(
        self, samples: Samples, model: Model, rng: np.random.RandomState
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the rows into a training part and a validation part."""
        shuffle = self.validation_split == "random"
        rows = self._rows_with_weight(samples)
        if len(rows) < 2:
            has_weight = "" if len(samples.sequences) < 2 else " with a weight"
            raise ValueError(
                f"early_stopping=True sets sequences aside, but X has only one{has_weight}. Cut it "
                "into several sequences, pass X_val and y_val, or set early_stopping=False."
            )
        classes = None
        if shuffle and not self.return_sequences:
            classes = self._stratify(samples.target[rows], model.output)
        rows, validation_rows = train_test_split(
            rows,
            test_size=self.validation_fraction,
            shuffle=shuffle,
            random_state=rng if shuffle else None,
            stratify=classes,
        )
        rows = rows[: max(0, len(rows) - self.validation_gap)]
        scored = samples.sequences.targets(validation_rows)
        if len(scored) < 2 or not samples.score_weights[scored].any():
            raise ValueError(
                f"The validation set of {len(validation_rows)} sample(s) is too small or has no "
                f"weight: increase validation_fraction (now {self.validation_fraction})."
            )
        if not samples.weights[samples.sequences.targets(rows)].any():
            raise ValueError(
                f"The {len(rows)} sample(s) left to train on are too few or have no weight: "
                f"decrease validation_fraction (now {self.validation_fraction}) or validation_gap "
                f"(now {self.validation_gap})."
            )
        return rows, validation_rows

    def _validation_set(
        self, model: Model, samples: Samples, rows: NDArray[np.intp] | None = None
    ) -> ValidationSet:
        """Return what early stopping scores: some rows of the samples, or all."""
        if rows is None:
            rows = np.arange(len(samples.sequences))
        scored = samples.sequences.targets(rows)
        target = self._scaled_target(model.output, samples.target[scored], model.dtype)
        weights = samples.score_weights[scored]
        score = functools.partial(self._validation_score, model.output, target.T, weights)
        stretches = self._stretches(samples.sequences, rows)
        loss = self._make_loss(model.output)
        return ValidationSet(samples.sequences, rows, score, loss, target, weights, stretches)


_NO_WINDOWS = (
    "train_on='series' needs X as the windows of series that SlidingWindow makes, but X is of type "
    "{type}. Put SlidingWindow before the estimator, as in make_pipeline(SlidingWindow(24, lag=1), "
    "{name}(train_on='series')), without a step between them that makes an array of the windows; "
    "or use train_on='windows'."
)


@contextmanager
def _about(names: str) -> Iterator[None]:
    """Say in the message of an error which arguments it is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"In {names}: {error}") from error
