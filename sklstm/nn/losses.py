"""Losses: the value for each sample, its gradient, and the inverse link to predictions.

Arrays have a row for each output and a column for each sample.
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

    All methods are pure functions of arrays of shape (n_outputs, n_samples).
    """

    activation: str

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        ...

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        ...

    def inverse_link(self, raw: Floats) -> Floats:
        """Compute the prediction from the raw outputs."""
        ...


class _IdentityLink:
    """The common part of losses whose predictions are the raw outputs."""

    activation = "identity"

    def inverse_link(self, raw: Floats) -> Floats:
        """Return the raw outputs, which are the prediction."""
        return raw


class SquaredError(_IdentityLink):
    """Half the squared error, averaged over outputs: mean of (y - y_pred)^2 / 2."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        return 0.5 * np.square(raw - target).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        return (raw - target) / len(raw)


class AbsoluteError(_IdentityLink):
    """Absolute error, averaged over outputs: mean of ``|y - y_pred|``."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        return np.abs(raw - target).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient with respect to the raw outputs; zero where the error is zero."""
        return np.sign(raw - target) / len(raw)


class Huber(_IdentityLink):
    """Huber loss, averaged over outputs: quadratic up to an error of one, linear beyond it."""

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # e^2 / 2 where e <= 1, e - 1 / 2 where e > 1,  e = |y - y_pred|
        error = np.abs(raw - target)
        small = np.minimum(error, 1)
        return (small * (error - 0.5 * small)).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        return np.clip(raw - target, -1, 1) / len(raw)


class PinballLoss(_IdentityLink):
    """Pinball loss, averaged over outputs; it is least at a quantile [1]_.

    Parameters
    ----------
    quantile : float
        Fraction of the targets that should lie below the prediction, in (0, 1).

    References
    ----------
    .. [1] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978.
    """

    def __init__(self, quantile: float) -> None:
        self.quantile = float(quantile)  # a NumPy scalar could turn float32 into float64

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # q e where e >= 0, (q - 1) e where e < 0,  e = y - y_pred
        error = target - raw
        return np.maximum(self.quantile * error, (self.quantile - 1) * error).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient with respect to the raw outputs; zero where the error is zero."""
        below, above = target < raw, target > raw
        gradient = below.astype(raw.dtype)
        gradient -= raw.dtype.type(self.quantile) * (below | above)
        return gradient / len(raw)


class Poisson:
    """Half the Poisson deviance, averaged over outputs, with y_pred = exp(raw)."""

    activation = "exponential"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # y log(y / y_pred) - y + y_pred,  0 log 0 = 0
        log_target = np.log(np.where(target > 0, target, 1))
        return (target * (log_target - raw) - target + np.exp(raw)).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        return (np.exp(raw) - target) / len(raw)

    def inverse_link(self, raw: Floats) -> Floats:
        """Compute the prediction, the exponential of the raw outputs."""
        return np.exp(raw)


class CategoricalCrossEntropy:
    """Cross-entropy of classes: -log p of the true class, p = softmax(raw), one-hot targets."""

    activation = "softmax"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # -log p_y = log sum_k exp(raw_k - top) - (raw_y - top)
        shifted = raw - raw.max(axis=0)
        return np.log(np.exp(shifted).sum(axis=0)) - (target * shifted).sum(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        return self.inverse_link(raw) - target

    def inverse_link(self, raw: Floats) -> Floats:
        """Compute the probability of each class."""
        p = np.exp(raw - raw.max(axis=0))
        return p / p.sum(axis=0)


class BinaryCrossEntropy:
    """Cross-entropy of labels: -log p of the true label, p = sigmoid(raw), summed over labels."""

    activation = "logistic"

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # -y log p - (1 - y) log(1 - p) = max(raw, 0) - y raw + log(1 + exp(-|raw|))
        value = np.maximum(raw, 0) - target * raw + np.log1p(np.exp(-np.abs(raw)))
        return value.sum(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        return sigmoid(raw) - target

    def inverse_link(self, raw: Floats) -> Floats:
        """Compute the probability of each label."""
        return sigmoid(raw)


# The inverse link of each output activation, by name.
INVERSE_LINKS: dict[str, Callable[[Floats], Floats]] = {
    loss.activation: loss.inverse_link
    for loss in (SquaredError(), Poisson(), BinaryCrossEntropy(), CategoricalCrossEntropy())
}
