"""Model: a trained network, the form of X that it reads, and how its raw outputs become y.

The estimators, the runtime, streams and the converters to other frameworks all predict with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.losses import INVERSE_LINKS
from sklstm.nn.network import Network
from sklstm.nn.prediction import State, advance_streams, raw_outputs
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import Sequences
from sklstm.nn.steps import EveryStep
from sklstm.nn.threads import ThreadPool, call_with_pool

__all__ = ["ClassOutput", "InputForm", "Model", "NumericOutput"]

# What a step of a stream can be turned into.
_RESPONSE_METHODS = ("predict", "predict_proba")


@dataclass(frozen=True)
class InputForm:
    """The form of X that a model was fitted on.

    Parameters
    ----------
    n_features : int
        Features per time step.
    n_timesteps : int or None
        Time steps in a row of a 2-D X; None for sequences, a 3-D X or a list.
    feature_names : ndarray of str, or None
        Names of the columns of a data frame.
    """

    n_features: int
    n_timesteps: int | None = None
    feature_names: NDArray[np.object_] | None = None

    @property
    def n_features_in(self) -> int:
        """Columns of a 2-D X, features per time step of sequences."""
        return self.n_features * (self.n_timesteps or 1)


@dataclass(frozen=True)
class NumericOutput:
    """How raw outputs become numbers: y = scale * inverse_link(raw) + mean.

    Parameters
    ----------
    activation : str
        Name of the inverse link, a key of ``INVERSE_LINKS``.
    mean, scale : ndarray of shape (n_outputs,)
        Shift and scale of the standardisation of y, in float64.
    is_1d : bool
        Whether y is of shape (n_samples,) and not (n_samples, n_outputs).
    """

    activation: str
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_1d: bool

    @property
    def n_outputs(self) -> int:
        """Outputs of the head."""
        return len(self.mean)

    def encode(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Standardise y, of shape (n_samples, n_outputs)."""
        return (y - self.mean) / self.scale

    def predict(self, raw: Floats) -> Floats:
        """Turn raw outputs, of shape (n_samples, n_outputs), into predictions."""
        with np.errstate(over="ignore"):  # a count that is too large becomes inf
            # In float64: in float32, a y far from zero would lose digits of the prediction.
            y = INVERSE_LINKS[self.activation](raw.T).T * self.scale + self.mean
            y = y.astype(raw.dtype)
        return y[:, 0] if self.is_1d else y

    def fold_into_head(self, W: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Return head weights whose output, through the link alone, is y in its own units.

        Where the link is "ordered", y is still ``scale`` times that, plus ``mean``.
        """
        if self.activation == "exponential":
            # scale exp(raw) = exp(raw + log scale)
            return W, (b + np.log(self.scale)).astype(b.dtype)
        if self.activation == "ordered":
            return W, b  # the scale of the steps follows the link
        W = (W * self.scale[:, np.newaxis]).astype(W.dtype)
        return W, (b * self.scale + self.mean).astype(b.dtype)


@dataclass(frozen=True)
class ClassOutput:
    """How raw outputs become class labels.

    Parameters
    ----------
    activation : {"logistic", "softmax"}
        Name of the inverse link.
    classes : ndarray of shape (n_classes,)
        The class labels. Two classes have one output, the logit of the second.
    is_multilabel : bool
        Whether y is an indicator matrix with a column for each label.
    """

    activation: str
    classes: NDArray[Any]
    is_multilabel: bool

    @classmethod
    def of(cls, classes: NDArray[Any], *, is_multilabel: bool) -> ClassOutput:
        """Choose the activation that suits the classes."""
        is_logistic = is_multilabel or len(classes) == 2
        return cls("logistic" if is_logistic else "softmax", classes, is_multilabel)

    @property
    def n_outputs(self) -> int:
        """Outputs of the head."""
        n_classes = len(self.classes)
        return 1 if n_classes == 2 and not self.is_multilabel else n_classes

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return the target of the loss, which is the encoded y itself."""
        return y

    def decide(self, scores: Floats, threshold: float = 0.0) -> NDArray[np.intp]:
        """Turn scores, (n_samples, n_outputs), into class numbers or an indicator matrix."""
        if self.is_multilabel:
            return (scores > threshold).astype(int)
        if scores.shape[1] == 1:
            return (scores[:, 0] > threshold).astype(int)
        return scores.argmax(axis=1)

    def predict(self, raw: Floats) -> NDArray[Any]:
        """Turn raw outputs, of shape (n_samples, n_outputs), into predictions."""
        decided = self.decide(raw)
        return decided if self.is_multilabel else self.classes[decided]

    def predict_proba(self, raw: Floats) -> Floats:
        """Turn raw outputs into probabilities, of shape (n_samples, n_classes)."""
        p = INVERSE_LINKS[self.activation](raw.T).T
        return np.column_stack([1 - p, p]) if self.n_outputs < len(self.classes) else p

    def predict_log_proba(self, raw: Floats) -> Floats:
        """Turn raw outputs into log-probabilities, precise where they are close to zero."""
        if self.is_multilabel:
            # log sigmoid(z) = -log(1 + exp(-z))
            return -np.logaddexp(0, -raw)
        if self.n_outputs == 1:
            return -np.logaddexp(0, np.column_stack([raw, -raw]))
        # log softmax(z)_k = z_k - log sum_j exp(z_j)
        return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)

    def fold_into_head(self, W: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Return the head weights as they are: classes have no units."""
        return W, b


@dataclass(frozen=True)
class Model:
    """A network with its parameters, what it reads and what it predicts.

    Nothing changes in place: training makes a new one.

    Parameters
    ----------
    network : Network
        The network.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    input : InputForm
        The form of X.
    output : NumericOutput or ClassOutput
        How raw outputs become y.
    recent : RecentSteps, default=None
        How the linear part reads the last time steps; None if there is none.
    return_sequences : bool, default=False
        Whether it predicts y at each time step, and not once for each sequence.
    """

    network: Network
    parameters: Floats
    input: InputForm
    output: Any
    recent: RecentSteps | None = None
    return_sequences: bool = False

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters and of the computation."""
        return self.parameters.dtype

    def with_parameters(self, parameters: Floats) -> Model:
        """Return the same model with other parameters."""
        return replace(self, parameters=parameters)

    def raw_outputs(self, sequences: Sequences) -> Floats:
        """Compute raw outputs, of shape (n_samples, n_outputs) or (n_targets, n_outputs)."""

        def raw(pool: ThreadPool) -> Floats:
            return raw_outputs(self.network, self.parameters, sequences, pool, recent=self.recent)

        return call_with_pool(raw).T

    def predict(self, sequences: Sequences) -> Any:
        """Predict y for each sequence, or at each of its steps.

        The form of predictions at each step is that of ``EveryStep.by_sequence``; at a missing
        step, the LSTM is in the state of the step before.
        """
        return self._predicted(sequences, self.output.predict)

    def predict_proba(self, sequences: Sequences) -> Any:
        """Predict the probability of each class, (n_samples, n_classes), or at each step."""
        return self._predicted(sequences, self.output.predict_proba)

    def predict_log_proba(self, sequences: Sequences) -> Any:
        """Predict the log-probability of each class, (n_samples, n_classes), or at each step."""
        return self._predicted(sequences, self.output.predict_log_proba)

    def _predicted(self, sequences: Sequences, predict: Callable[[Floats], NDArray[Any]]) -> Any:
        if not self.return_sequences:
            return predict(self.raw_outputs(sequences))
        steps = EveryStep(sequences)
        return steps.by_sequence(predict(self.raw_outputs(steps)))

    def transform(self, sequences: Sequences) -> Any:
        """Compute what the head reads of the hidden states, of shape (n_samples, n_summary)."""
        # These are the raw outputs of the same LSTMs with a head that is the identity.
        n = self.network.n_summary
        network = replace(self.network, n_outputs=n, n_recent=0)
        *lstms, _ = self.network.matrices(self.parameters)
        identity = np.eye(n, n + 1, dtype=self.dtype)  # [I 0]
        parameters = np.concatenate([W.ravel() for W in (*lstms, identity)])
        model = replace(self, network=network, parameters=parameters, recent=None)
        return model._predicted(sequences, lambda raw: raw)

    def predict_step(
        self, x: Floats, state: Any, *, is_single: bool, response_method: str = "predict"
    ) -> tuple[Any, State]:
        """Take one time step of each stream and predict, see ``advance_streams``.

        ``response_method`` names the method of the output that turns raw outputs into y.
        """
        available = [name for name in _RESPONSE_METHODS if hasattr(self.output, name)]
        if response_method not in available:
            raise ValueError(
                f"response_method must be {' or '.join(map(repr, available))}, got "
                f"{response_method!r}."
            )

        def advance(_: ThreadPool) -> tuple[Floats, State]:
            return advance_streams(
                self.network, self.parameters, x, state, is_single=is_single, recent=self.recent
            )

        raw, state_after = call_with_pool(advance)
        y = getattr(self.output, response_method)(raw)
        return (y[0] if is_single else y), state_after

    def weights(self) -> tuple[list[Floats], list[Floats]]:
        """Return copies of the weights and biases in the public layout, see ``Network.unpack``."""
        return self.network.unpack(self.parameters)

    def standalone_weights(self) -> tuple[list[Floats], list[Floats]]:
        """Return the weights of a network that predicts y in its own units, through the link.

        Those of the linear part come from ``standalone_skip``.
        """
        coefs, intercepts = self.weights()
        coefs[-1], intercepts[-1] = self.output.fold_into_head(coefs[-1], intercepts[-1])
        return coefs, intercepts

    def standalone_skip(self) -> Floats:
        """Return the weights of the linear part, (n_outputs, n_recent), for y in its own units."""
        skip = self.network.skip_weights(self.parameters).copy()
        zero = np.zeros(self.network.n_outputs, skip.dtype)
        return self.output.fold_into_head(skip, zero)[0]
