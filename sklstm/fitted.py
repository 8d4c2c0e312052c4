"""The fitted attributes, which are read from the model and from the state of training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from sklstm.nn.cell import Floats
from sklstm.nn.training import History

__all__ = ["FittedAttributes"]


class FittedAttributes:
    """Fitted attributes of an estimator that holds ``_model`` and ``_training``."""

    def _fitted(self, name: str) -> Any:
        """Return the object that a fitted attribute is read from."""
        try:
            return self.__dict__[name]
        except KeyError:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            ) from None

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
        return self._fitted("_model").weights()[0]

    @property
    def intercepts_(self) -> list[Floats]:
        """Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,). A copy."""
        return self._fitted("_model").weights()[1]

    @property
    def skip_coef_(self) -> Floats | None:
        """Weights of the linear part, (n_outputs, n_steps, n_features), oldest step first.

        They are added to the head's output for the last ``n_steps`` time steps of the input,
        standardised with ``skip_mean_`` and ``skip_scale_``. None if there is no linear part. A
        copy.
        """
        model = self._fitted("_model")
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
        return self._history.n_epochs

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
        """The loss of each epoch; of epochs before the last call, of the last 10,000."""
        return self._history.losses

    @property
    def learning_rate_curve_(self) -> list[float]:
        """The learning rate of each epoch in ``loss_curve_``."""
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
