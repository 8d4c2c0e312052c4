"""What training minimises: a value for each sample, its gradient, and the link to predictions.

Arrays are features-first: a column for each sample, a row for each output.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import sigmoid

__all__ = ["BinaryCrossEntropy", "CategoricalCrossEntropy", "Loss", "SquaredError"]


class Loss(Protocol):
    """A loss between the head's linear output ``raw`` and the ``target``.

    All three methods are pure: they take and return arrays of shape (n_outputs, n_samples), but
    ``value`` returns one number for each sample.
    """

    activation: str

    def value(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Loss of each sample, of shape (n_samples,)."""
        ...

    def gradient(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Gradient of each sample's loss by its raw outputs."""
        ...

    def inverse_link(self, raw: NDArray[np.floating]) -> NDArray[np.floating]:
        """Prediction from the raw outputs."""
        ...


class SquaredError:
    """Half the squared error, averaged over outputs: mean of (y - y_pred)^2 / 2."""

    activation = "identity"

    def value(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Loss of each sample, of shape (n_samples,)."""
        return 0.5 * np.square(raw - target).mean(axis=0)

    def gradient(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Gradient of each sample's loss by its raw outputs."""
        return (raw - target) / len(raw)

    def inverse_link(self, raw: NDArray[np.floating]) -> NDArray[np.floating]:
        """Prediction from the raw outputs: the outputs themselves."""
        return raw


class CategoricalCrossEntropy:
    """-log p of the true class, with p = softmax(raw); targets are one-hot."""

    activation = "softmax"

    def value(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Loss of each sample, of shape (n_samples,)."""
        # -log p_y = log sum_k exp(raw_k - top) - (raw_y - top)
        shifted = raw - raw.max(axis=0)
        return np.log(np.exp(shifted).sum(axis=0)) - (target * shifted).sum(axis=0)

    def gradient(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Gradient of each sample's loss by its raw outputs."""
        return self.inverse_link(raw) - target

    def inverse_link(self, raw: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probability of each class."""
        p = np.exp(raw - raw.max(axis=0))
        return p / p.sum(axis=0)


class BinaryCrossEntropy:
    """-log p of the true label, with p = sigmoid(raw), summed over outputs (labels)."""

    activation = "logistic"

    def value(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Loss of each sample, of shape (n_samples,)."""
        # -y log p - (1 - y) log(1 - p) = max(raw, 0) - y raw + log(1 + exp(-|raw|))
        value = np.maximum(raw, 0) - target * raw + np.log1p(np.exp(-np.abs(raw)))
        return value.sum(axis=0)

    def gradient(
        self, target: NDArray[np.floating], raw: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Gradient of each sample's loss by its raw outputs."""
        return sigmoid(raw) - target

    def inverse_link(self, raw: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probability of each label."""
        return sigmoid(raw)
