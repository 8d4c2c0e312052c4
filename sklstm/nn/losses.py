"""What training minimises: a value for each sample, its gradient, and the link to predictions.

Arrays are features-first: a column for each sample, a row for each output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from sklstm.nn.cell import Floats, sigmoid

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Huber",
    "Loss",
    "PinballLoss",
    "Poisson",
    "SquaredError",
]


class Loss(Protocol):
    """A loss between the head's linear output ``raw`` and the ``target``.

    All three methods are pure: they take and return arrays of shape (n_outputs, n_samples), but
    ``value`` returns one number for each sample.
    """

    activation: str

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        ...

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        ...

    def inverse_link(self, raw: Floats) -> Floats:
        """Prediction from the raw outputs."""
        ...


class _IdentityLink:
    """What losses share whose predictions are the raw outputs."""

    activation = "identity"

    def inverse_link(self, raw: Floats) -> Floats:
        """Prediction from the raw outputs: the outputs themselves."""
        return raw


class SquaredError(_IdentityLink):
    """Half the squared error, averaged over outputs: mean of (y - y_pred)^2 / 2."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        return 0.5 * np.square(raw - target).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        return (raw - target) / len(raw)


class AbsoluteError(_IdentityLink):
    """Absolute error, averaged over outputs: mean of ``|y - y_pred|``; least at the median."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        return np.abs(raw - target).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs; zero where they meet the target."""
        return np.sign(raw - target) / len(raw)


class Huber(_IdentityLink):
    """Half the squared error up to an error of one, from there on linear, averaged over outputs."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        # e^2 / 2 where e <= 1, e - 1 / 2 where e > 1,  e = |y - y_pred|
        error = np.abs(raw - target)
        small = np.minimum(error, 1)
        return (small * (error - 0.5 * small)).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        return np.clip(raw - target, -1, 1) / len(raw)


class PinballLoss(_IdentityLink):
    """Pinball loss, averaged over outputs: least at a quantile [1]_.

    Parameters
    ----------
    quantile : float
        Share of the targets that is to lie below the prediction, in (0, 1).

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978.
    """

    def __init__(self, quantile: float) -> None:
        self.quantile = float(quantile)  # a NumPy number would make float32 float64

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        # q e where e >= 0, (q - 1) e where e < 0,  e = y - y_pred
        error = target - raw
        return np.maximum(self.quantile * error, (self.quantile - 1) * error).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs; zero where they meet the target."""
        below, above = target < raw, target > raw
        gradient = below.astype(raw.dtype)
        gradient -= raw.dtype.type(self.quantile) * (below | above)
        return gradient / len(raw)


class Poisson:
    """Half the Poisson deviance, averaged over outputs, with y_pred = exp(raw)."""

    activation = "exponential"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        # y log(y / y_pred) - y + y_pred,  0 log 0 = 0
        log_target = np.log(np.where(target > 0, target, 1))
        return (target * (log_target - raw) - target + np.exp(raw)).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        return (np.exp(raw) - target) / len(raw)

    def inverse_link(self, raw: Floats) -> Floats:
        """Prediction from the raw outputs: their exponential."""
        return np.exp(raw)


class CategoricalCrossEntropy:
    """-log p of the true class, with p = softmax(raw); targets are one-hot."""

    activation = "softmax"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        # -log p_y = log sum_k exp(raw_k - top) - (raw_y - top)
        shifted = raw - raw.max(axis=0)
        return np.log(np.exp(shifted).sum(axis=0)) - (target * shifted).sum(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        return self.inverse_link(raw) - target

    def inverse_link(self, raw: Floats) -> Floats:
        """Probability of each class."""
        p = np.exp(raw - raw.max(axis=0))
        return p / p.sum(axis=0)


class BinaryCrossEntropy:
    """-log p of the true label, with p = sigmoid(raw), summed over outputs (labels)."""

    activation = "logistic"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Loss of each sample, of shape (n_samples,)."""
        # -y log p - (1 - y) log(1 - p) = max(raw, 0) - y raw + log(1 + exp(-|raw|))
        value = np.maximum(raw, 0) - target * raw + np.log1p(np.exp(-np.abs(raw)))
        return value.sum(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Gradient of each sample's loss by its raw outputs."""
        return sigmoid(raw) - target

    def inverse_link(self, raw: Floats) -> Floats:
        """Probability of each label."""
        return sigmoid(raw)


# What turns raw outputs into predictions, by the name of the output activation.
INVERSE_LINKS: dict[str, Callable[[Floats], Floats]] = {
    loss.activation: loss.inverse_link
    for loss in (SquaredError(), Poisson(), BinaryCrossEntropy(), CategoricalCrossEntropy())
}
