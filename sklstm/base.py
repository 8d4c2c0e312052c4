"""What LSTMRegressor and LSTMClassifier share: parameters, fitting, fitted attributes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sklstm.callbacks import CallbackSupportMixin, EpochReport, with_callbacks
from sklstm.fitted import FittedAttributes
from sklstm.nn.linear import LinearStart
from sklstm.nn.model import Model
from sklstm.nn.prediction import State
from sklstm.nn.sequences import Sequences
from sklstm.nn.threads import ThreadPool, call_with_pool
from sklstm.nn.training import (
    Settings,
    TrainingResult,
    TrainingSet,
    TrainingState,
    ValidationSet,
    train,
)
from sklstm.output import SetOutputMixin
from sklstm.pickling import available_if
from sklstm.preparation import Preparation, Samples
from sklstm.step_targets import check_steps
from sklstm.validation import (
    check_step,
    warning_about_columns,
)

__all__ = ["BaseLSTM", "fitted_copy"]


class BaseLSTM(
    CallbackSupportMixin,
    SetOutputMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    FittedAttributes,
    Preparation,
):
    """Stacked LSTM layers and a dense head, trained by backpropagation through time and Adam."""

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
            classifier. With ``return_sequences``, targets of each time step: of shape (n_samples,
            n_timesteps) or (n_samples, n_timesteps, n_outputs), or a list of arrays of shape
            (n_timesteps_i,) or (n_timesteps_i, n_outputs). A step whose target is NaN or None is
            not labelled: it does not count.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts like the sample given twice, and a weight of 0 excludes
            it. With ``return_sequences``, there may be a weight for each time step, in the form of
            y.
        X_val : array-like or list of array-like, default=None
            Sequences to stop by, in the form of X, instead of a part of X. Not with
            ``early_stopping=False``. In a :class:`~sklearn.pipeline.Pipeline` with
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
            before, and so is a RandomState in ``random_state``.
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
        is_new = not (self.warm_start and hasattr(self, "_model"))

        def learn(pool: ThreadPool) -> TrainingResult:
            # The steps of one sequence are enough, if each has a target.
            min_samples = 1 if self.return_sequences else 2
            samples, model, state = self._prepare(
                X, y, sample_weight, is_new=is_new, min_samples=min_samples
            )
            messages.extend(self._warnings_about_target(y, samples.target, model.output))
            rows, validation_rows = np.arange(len(samples.sequences)), np.arange(0)
            samples_val = None
            if not all(given is None for given in (X_val, y_val, sample_weight_val)):
                samples_val = self._prepare_validation(model, X_val, y_val, sample_weight_val)
            elif self._stops_early(len(self._rows_with_weight(samples))):
                rng = copy.deepcopy(state.rng)
                rows, validation_rows = self._split(samples, model, rng)
                state = replace(state, rng=rng)
                samples_val = samples
                if self.validation_split == "random" and samples.sequences.overlap:
                    messages.append(UserWarning(_LEAKY_SPLIT))
            start = None
            if is_new:
                is_validated = samples_val is not None
                model, start = self._start(model, samples, rows, is_validated=is_validated)
            validation = None
            if samples_val is not None:
                scored = validation_rows if samples_val is samples else None
                validation = self._validation_set(model, samples_val, scored)
            report.begin()
            settings = self._settings(
                self._make_loss(model.output),
                self.max_iter,
                len(rows),
                samples.sequences.n_timesteps,
                is_validated=validation is not None,
            )
            result = self._train(
                model, state.restarted(), samples, rows, validation, settings, pool, report, start
            )
            messages.extend(self._warnings_of_divergence(model, samples, result, 2))
            report.close(lambda: result)
            return result

        with _unconsumed(self.random_state):
            result = call_with_pool(learn)
        self._publish(result)
        warning = warning_about_columns(result.model.input, self.timesteps)
        if is_new and warning is not None:
            messages.append(warning)
        if result.end == "interrupted":
            messages.append(UserWarning(_INTERRUPTED))
        if result.end == "max_iter":
            messages.append(
                ConvergenceWarning(
                    f"{type(self).__name__} did {self.max_iter} epochs (max_iter) and has not "
                    "converged yet. Increase max_iter"
                    + (
                        "."
                        if result.state.history.scores is not None
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
        is_new = not hasattr(self, "_model")
        messages: list[Warning] = []

        def learn(pool: ThreadPool) -> TrainingResult:
            samples, model, state = self._prepare(X, y, sample_weight, classes, is_new=is_new)
            rows = np.arange(len(samples.sequences))
            if is_new:
                model, _ = self._start(model, samples, rows, is_validated=False)
            settings = self._settings(
                self._make_loss(model.output),
                1,
                len(rows),
                samples.sequences.n_timesteps,
                is_validated=False,
            )
            report = EpochReport(self)
            result = self._train(model, state, samples, rows, None, settings, pool, report)
            # The few samples of a call, or a single one, may be far off in good training too.
            messages.extend(self._warnings_of_divergence(model, samples, result, 100))
            return result

        with _unconsumed(self.random_state):
            result = call_with_pool(learn)
        self._publish(result)
        warning = warning_about_columns(result.model.input, self.timesteps)
        if is_new and warning is not None:
            messages.append(warning)
        for message in messages:
            warnings.warn(message, stacklevel=3)
        if result.end == "interrupted":
            warnings.warn(_INTERRUPTED, stacklevel=3)

    def _publish(self, result: TrainingResult) -> None:
        """Become fitted; other threads, and a signal handler, see all of the result or nothing."""
        self.__dict__.update(_model=result.model, _training=result.state)

    def _train(
        self,
        model: Model,
        state: TrainingState,
        samples: Samples,
        rows: NDArray[np.intp],
        validation: ValidationSet | None,
        settings: Settings,
        pool: ThreadPool,
        report: EpochReport,
        start: LinearStart | None = None,
    ) -> TrainingResult:
        """Train, and say what to do where that diverges."""
        target = self._scaled_target(model.output, samples.target, model.dtype)
        sequences, weights = samples.sequences, samples.weights
        stretches = self._stretches(sequences, rows, weights, settings.batch_size)
        data = TrainingSet(sequences, rows, target, weights, model.recent, stretches)
        try:
            return train(model, state, data, validation, settings, pool, report, start)
        except FloatingPointError as error:
            raise ValueError(f"Training diverged {error}. {self._remedy_for_divergence}") from error

    @property
    def _remedy_for_divergence(self) -> str:
        return (
            f"Lower learning_rate_init (now {self.learning_rate_init:g}), set max_grad_norm (now "
            f"{self.max_grad_norm}), or bring the features and the target to a common scale, for "
            "instance with StandardScaler."
        )

    def _warnings_of_divergence(
        self, model: Model, samples: Samples, result: TrainingResult, factor: float
    ) -> list[Warning]:
        """Warn if training has ended with a loss of so many times that of a constant.

        ``model`` is the model before training.
        """
        history, weights = result.state.history, samples.weights
        # At least one: a constant target, which a constant predicts without error, is no reason.
        if result.state.progress.epoch == 0 or history.loss <= factor:
            return []
        target = self._scaled_target(model.output, samples.target, model.dtype)
        loss = self._make_loss(model.output).value(target, np.zeros_like(target))
        constant = float(np.average(loss, weights=weights))
        W = model.network.penalized(model.parameters)
        penalty = self.alpha / (2 * float(weights.sum())) * float(np.vdot(W, W))
        if history.loss <= factor * (max(constant, 1) + penalty):
            return []
        return [
            ConvergenceWarning(
                f"Training has diverged: the loss of the last epoch is {history.loss:.3g}, that of "
                f"a constant prediction {constant:.3g}. {self._remedy_for_divergence}"
            )
        ]

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
        while True:
            model = self.__sklstm_model__()
            sequences, _ = self._check_sequences(X, model)
            if model is self._model:  # else another thread has fitted the estimator meanwhile
                return model, sequences

    def _labelled(
        self, X: Any, y: Any, sample_weight: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[Any], ArrayLike | None]:
        """Return y, predictions and weights of the labelled steps, as ``score`` takes them."""
        model, sequences = self._read(X)
        steps, y, sample_weight = check_steps(sequences, y, sample_weight)
        return y, model.output.predict(model.raw_outputs(steps)), sample_weight

    def transform(self, X: Any) -> NDArray[np.floating] | Any:
        """Return what the LSTM gives its head for each sequence.

        These are features that the network has learned: for clustering, for another model, for
        plots. The linear part does not take part in them.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The last hidden state of the last layer, or its mean or its maximum over the steps, as
            ``pooling`` says; several poolings side by side, in their order. Of each, with
            ``bidirectional``, first the units of the forward direction and then those of the
            backward one. Zero for a sequence without steps. With ``return_sequences``, the hidden
            state of each step, of shape (n_samples, n_timesteps, n_units) or a list of arrays of
            shape (n_timesteps_i, n_units).

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import LSTMRegressor
        >>> X = np.random.default_rng(0).normal(size=(50, 8, 1))
        >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
        >>> model.transform(X).shape
        (50, 4)
        >>> model.get_feature_names_out()
        array(['lstmregressor0', 'lstmregressor1', 'lstmregressor2',
               'lstmregressor3'], dtype=object)
        """
        model, sequences = self._read(X)
        return model.transform(sequences)

    @available_if(lambda self: not self.return_sequences)
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the features. Not available with ``return_sequences``.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        ndarray of str of shape (n_units,)
            The name of the class in lower case, and a number.
        """
        names: NDArray[Any] = super().get_feature_names_out(input_features)
        return names

    @property
    def _n_features_out(self) -> int:
        return self._fitted("_model").network.n_summary

    def predict_step(
        self, x_t: ArrayLike, state: Any = None, *, response_method: str = "predict"
    ) -> tuple[Any, State]:
        """Read one new time step, of one stream or of many, and predict.

        The prediction is that of ``predict`` for the whole sequence so far, at the cost of a single
        step.

        Parameters
        ----------
        x_t : array-like of shape (n_features,) or (n_streams, n_features)
            The new time step. NaN in all features is a missing step: the state stays.
        state : tuple, default=None
            What the call for the step before has returned; None at the start.
        response_method : {"predict", "predict_proba"}, default="predict"
            The method whose answer is returned; "predict_proba" only for a classifier.

        Returns
        -------
        y : number, label or ndarray
            As ``predict``, or the method that is asked for, gives it for one sample; with a first
            axis for the streams if ``x_t`` has it.
        state : tuple
            To be given to the next call. It holds hidden state and cell state (h, c) of each layer,
            of shape (n_units,) or (n_streams, n_units); then, if the head reads them, the running
            sum, maximum and number of the hidden states, and the last time steps of the input. The
            estimator keeps nothing.

        Raises
        ------
        ValueError
            If the network is bidirectional, which needs the end of a sequence before it can begin,
            if the estimator has no such method, or if shapes or values cannot be used.

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
        return model.predict_step(x, state, is_single=is_single, response_method=response_method)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # With one step, whatever is NaN is part of a step, unless the whole sequence is missing.
        tags.input_tags.allow_nan = self.timesteps != 1
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if self.dtype is None else []
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
def _unconsumed(random_state: Any) -> Iterator[None]:
    """Let a call that fails draw nothing from a generator that the user has given."""
    is_given = isinstance(random_state, np.random.RandomState)
    before = random_state.get_state() if is_given else None
    try:
        yield
    except BaseException:
        if is_given:
            random_state.set_state(before)
        raise
