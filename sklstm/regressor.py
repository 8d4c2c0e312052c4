"""The LSTM as a regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from sklstm.base import BaseLSTM
from sklstm.nn.losses import Loss, SquaredError
from sklstm.sequences import Sequences
from sklstm.validation import check_regression_target

__all__ = ["LSTMRegressor"]


class LSTMRegressor(RegressorMixin, BaseLSTM):
    """DOC"""

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "normalize_y": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...] = (32,),
        *,
        normalize_y: bool = True,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        max_grad_norm: float | None = 1.0,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "last",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        timesteps: int | None = None,
        dtype: Any = None,
        random_state: Any = None,
        verbose: bool | int = False,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            max_grad_norm=max_grad_norm,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            validation_split=validation_split,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            timesteps=timesteps,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
            warm_start=warm_start,
        )
        self.normalize_y = normalize_y

    def partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> LSTMRegressor:
        """Go through the given samples once, from where the last call ended.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in any of the forms that ``fit`` takes. The number of time steps may differ
            from call to call where X is 3-D or a list.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With ``normalize_y``, the first call fixes mean and scale.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : object
            The estimator.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> NDArray[np.floating]:
        """Predict the target.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that ``fit`` was given. The number of time steps may differ
            where X is 3-D or a list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the units and the shape of the y that was fitted.
        """
        raw = self._raw_outputs(X)  # (n_samples, n_outputs)
        y = self._loss.inverse_link(raw.T).T * self._y_scale + self._y_mean
        return y[:, 0] if self._y_is_1d else y

    def _encode_target(
        self, y: ArrayLike, sequences: Sequences, classes: ArrayLike | None, *, reset: bool
    ) -> NDArray[Any]:
        y = check_regression_target(self, y, sequences)
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if reset:
            self._y_is_1d = y.ndim == 1
        elif n_outputs != self.n_outputs_:
            raise ValueError(f"y has {n_outputs} output(s), but was first fitted with {self.n_outputs_}.")
        return y.reshape(len(y), n_outputs)

    def _scale_target(
        self, target: NDArray[Any], weights: NDArray[np.floating], *, reset: bool
    ) -> NDArray[Any]:
        target = target.astype(np.float64)
        if reset:
            mean, scale = np.zeros(target.shape[1]), np.ones(target.shape[1])
            if self.normalize_y:
                mean = np.average(target, axis=0, weights=weights)
                scale = np.sqrt(np.average((target - mean) ** 2, axis=0, weights=weights))
                # A constant target has a spread of no more than rounding.
                scale[scale <= 10 * np.finfo(target.dtype).eps * np.abs(mean)] = 1
            self._y_mean = mean.astype(weights.dtype)
            self._y_scale = scale.astype(weights.dtype)
        return (target - self._y_mean) / self._y_scale

    @property
    def _loss(self) -> Loss:
        return SquaredError()

    def _validation_score(
        self,
        target: NDArray[np.floating],
        raw: NDArray[np.floating],
        weights: NDArray[np.floating],
    ) -> float:
        return r2_score(target, raw, sample_weight=weights)

    def _stratify(self, target: NDArray[Any]) -> None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
