"""Losses: the value for each sample, its gradient, and the inverse link to predictions.

Arrays have a row for each output and a column for each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from sklstm.nn.cell import Floats, sigmoid

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Huber",
    "Loss",
    "MultiPinballLoss",
    "PinballLoss",
    "Poisson",
    "SquaredError",
]

# The least step from one quantile to the next at the start, in standardised units: a step of zero
# has an infinite raw output, and a smaller one would take long to grow.
_LEAST_STEP = 1e-3


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
    """Pinball loss, averaged over outputs; it is least at a quantile.

    It is the loss of quantile regression [1]_.

    Parameters
    ----------
    quantile : float
        Fraction of the targets that should lie below the prediction, in (0, 1).

    References
    ----------
    .. [1] Roger Koenker and Gilbert Bassett, "Regression Quantiles", Econometrica 46(1), 1978.
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


class _OrderedLink:
    """The common part of losses whose predictions are in ascending order."""

    activation = "ordered"

    def inverse_link(self, raw: Floats) -> Floats:
        """Add steps that are not negative to a level: predictions that never decrease.

        The raw output in the middle is the level, the others give the steps away from it. Rounding
        keeps the order, since a sum of numbers that are not negative never falls as it goes on.
        """
        # y_m = raw_m;  y_j = y_(j-1) + s_j above, y_j = y_(j+1) - s_j below,
        # s = log(1 + exp(raw)),  m = n_outputs // 2
        m = len(raw) // 2
        steps = np.logaddexp(raw.dtype.type(0), raw)  # (n_outputs, n_samples)
        below = np.cumsum(steps[:m][::-1], axis=0)[::-1]
        above = np.cumsum(steps[m + 1 :], axis=0)
        return np.concatenate([raw[m] - below, raw[m : m + 1], raw[m] + above])


class MultiPinballLoss(_OrderedLink):
    """Pinball loss of several quantiles of one target, averaged over the quantiles.

    The predictions are a level and steps away from it that are not negative, see ``inverse_link``,
    so that no quantile lies above the next one [1]_.

    Parameters
    ----------
    quantiles : sequence of float
        For each output the fraction of targets that should lie below the prediction; in (0, 1) and
        increasing.

    References
    ----------
    .. [1] Y. Park, D. Maddix, F.-X. Aubet, K. Kan, J. Gasthaus and Y. Wang, "Learning Quantile
       Functions without Quantile Crossing for Distribution-free Time Series Forecasting", AISTATS
       2022.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.quantiles = np.array(quantiles, np.float64)[:, np.newaxis]  # (n_outputs, 1)

    def value(self, target: Floats, raw: Floats) -> Floats:
        """Compute the loss of each sample, of shape (n_samples,)."""
        # q e where e >= 0, (q - 1) e where e < 0,  e = y - y_pred
        q = self.quantiles.astype(raw.dtype)
        error = target - self.inverse_link(raw)
        return np.maximum(q * error, (q - 1) * error).mean(axis=0)

    def gradient(self, target: Floats, raw: Floats) -> Floats:
        """Compute the gradient of each sample's loss with respect to its raw outputs."""
        predicted = self.inverse_link(raw)
        below, above = target < predicted, target > predicted
        slope = below.astype(raw.dtype)
        slope -= self.quantiles.astype(raw.dtype) * (below | above)
        # The level moves all predictions, a step those that lie beyond it; s' = sigmoid(raw).
        m = len(raw) // 2
        gradient = sigmoid(raw)
        gradient[:m] *= -np.cumsum(slope[:m], axis=0)
        gradient[m] = slope.sum(axis=0)
        gradient[m + 1 :] *= np.cumsum(slope[:m:-1], axis=0)[::-1]
        return gradient / len(raw)

    def link(self, predicted: Floats) -> Floats:
        """Compute the raw outputs that give some predictions; a step of zero becomes a small one.

        Parameters
        ----------
        predicted : ndarray of shape (n_outputs, n_samples)
            Predictions that do not decrease.
        """
        m = len(predicted) // 2
        # raw = log(exp(s) - 1) = s + log(1 - exp(-s))
        steps = np.maximum(np.diff(predicted, axis=0), _LEAST_STEP)
        raw = steps + np.log(-np.expm1(-steps))
        return np.concatenate([raw[:m], predicted[m : m + 1], raw[m:]])


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
    for loss in (
        _IdentityLink(),
        _OrderedLink(),
        Poisson(),
        BinaryCrossEntropy(),
        CategoricalCrossEntropy(),
    )
}
