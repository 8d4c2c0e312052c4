"""Regressor and Classifier: they predict like the estimators and need NumPy alone."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm.frames import as_numbers
from sklstm.nn.model import Model
from sklstm.nn.prediction import State
from sklstm.nn.sequences import DenseSequences, RaggedSequences, Sequences

__all__ = ["Classifier", "Regressor"]

# Number of sequences whose values are checked at once.
_BLOCK_SIZE = 512


class _Predictor:
    """Base class of both predictors.

    Parameters
    ----------
    model : Model
        The fitted model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.n_outputs_ = model.network.n_outputs
        self.n_features_in_ = model.input.n_features_in
        if model.input.feature_names is not None:
            self.feature_names_in_ = model.input.feature_names

    def predict(self, X: Any) -> NDArray[Any] | Any:
        """Predict, as the estimator does.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that the estimator was fitted on.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions. Of an estimator with ``return_sequences``, for each time step: in place of
            n_samples, the shape has n_samples and n_timesteps; for a list of sequences it is a
            list of arrays.

        Raises
        ------
        ValueError
            If X has another form, or contains values that are not valid.
        """
        return self._model.predict(self._sequences(X))

    def predict_step(
        self, x_t: ArrayLike, state: Any = None, *, response_method: str = "predict"
    ) -> tuple[Any, State]:
        """Process one new time step of one stream or several streams, and predict.

        Parameters
        ----------
        x_t : array-like of shape (n_features,) or (n_streams, n_features)
            The new time step. NaN in all features is a missing step: the state does not change.
        state : tuple, default=None
            The state that the call for the previous step returned; None at the start.
        response_method : {"predict", "predict_proba"}, default="predict"
            The method whose result is returned; "predict_proba" only for a classifier.

        Returns
        -------
        y : number, label or ndarray
            The prediction for one sample, as that method returns it. If ``x_t`` is 2-D, the first
            axis is the streams.
        state : tuple of (h, c)
            Hidden state and cell state of each layer, of shape (n_units,) or (n_streams,
            n_units). The predictor itself keeps no state.

        Raises
        ------
        ValueError
            If the network is bidirectional, if there is no such method, or if shapes or values are
            not valid.
        """
        n_features = self._model.network.n_features
        x = as_numbers(x_t, "x_t")
        is_single = x.ndim == 1
        if x.ndim not in (1, 2) or x.shape[-1] != n_features or not len(x):
            raise ValueError(
                f"x_t has the shape {x.shape}, but must be of shape ({n_features},) for one "
                f"stream, or (n_streams, {n_features}) for several."
            )
        x = x.reshape(-1, n_features)
        _has_missing(x[:, np.newaxis], self._model.dtype, "x_t")
        return self._model.predict_step(
            x.astype(self._model.dtype),
            state,
            is_single=is_single,
            response_method=response_method,
        )

    def _sequences(self, X: Any) -> Sequences:
        """Check X and return it as Sequences."""
        if isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and X.dtype == object):
            return self._from_list(list(X))
        self._check_columns(X)
        return self._from_array(as_numbers(X, "X"))

    def _from_list(self, X: list[Any]) -> Sequences:
        for sequence in X:
            self._check_columns(sequence)
        arrays = [as_numbers(sequence, f"X[{number}]") for number, sequence in enumerate(X)]
        if any(array.ndim != 2 for array in arrays):
            return self._from_array(as_numbers(X, "X"))
        if not any(len(array) for array in arrays):
            raise ValueError("X has no time step: all its sequences are empty.")
        dtype, missing = self._model.dtype, []
        for number, array in enumerate(arrays):
            self._check_shape(array[np.newaxis], f"X[{number}]")
            missing.append(_has_missing(array[np.newaxis], dtype, f"X[{number}]"))
        return RaggedSequences(arrays, any(missing))

    def _from_array(self, values: NDArray[Any]) -> DenseSequences:
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise ValueError(
                f"X has the shape {values.shape}, but must be of shape (n_samples, n_timesteps, "
                "n_features) or (n_samples, n_columns), none of them 0."
            )
        self._check_shape(values, "X")
        if self._model.input.n_timesteps is not None:
            values = values.reshape(len(values), self._model.input.n_timesteps, -1)
        dtype = self._model.dtype
        missing = [
            _has_missing(values[first : first + _BLOCK_SIZE], dtype, "X", first)
            for first in range(0, len(values), _BLOCK_SIZE)
        ]
        return DenseSequences(values, any(missing))

    def _check_shape(self, values: NDArray[Any], name: str) -> None:
        """Raise an error if the dimensions or features of X differ from those in fit."""
        n_dims = 3 if self._model.input.n_timesteps is None else 2
        if values.ndim != n_dims or values.shape[-1] != self.n_features_in_:
            form = (
                "sequences of shape (n_timesteps, {})" if n_dims == 3 else "a 2-D X of {} columns"
            )
            raise ValueError(
                f"The estimator was fitted on {form.format(self.n_features_in_)}, which {name} "
                f"does not fit: {values.ndim}-D, {values.shape[-1]} in the last axis."
            )

    def _check_columns(self, X: Any) -> None:
        """Raise an error if a data frame has other columns than in fit."""
        known = getattr(self, "feature_names_in_", None)
        if known is not None and hasattr(X, "columns") and list(X.columns) != list(known):
            raise ValueError(
                f"X has the columns {reprlib.repr(list(X.columns))}, but the estimator was fitted "
                f"on {reprlib.repr(list(known))}, in this order."
            )


class Regressor(_Predictor):
    """Predictor of a saved :class:`~sklstm.LSTMRegressor`; needs NumPy alone.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a 2-D X, or of features per time step of sequences.
    feature_names_in_ : ndarray of shape (n_columns,)
        Column names; exists only if the estimator was fitted on data frames.
    n_outputs_ : int
        Number of outputs of the head.

    See Also
    --------
    load : Load a predictor from a file; this class is not meant to be created directly.
    """


class Classifier(_Predictor):
    """Predictor of a saved :class:`~sklstm.LSTMClassifier`; needs NumPy alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Number of columns of a 2-D X, or of features per time step of sequences.
    feature_names_in_ : ndarray of shape (n_columns,)
        Column names; exists only if the estimator was fitted on data frames.
    n_outputs_ : int
        Number of outputs of the head.

    See Also
    --------
    load : Load a predictor from a file; this class is not meant to be created directly.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.classes_ = model.output.classes

    def predict_proba(self, X: Any) -> NDArray[np.floating] | Any:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``; for multilabel targets, of
            each label. Of an estimator with ``return_sequences``, for each time step, see
            ``predict``.
        """
        return self._model.predict_proba(self._sequences(X))


def _has_missing(values: NDArray[Any], dtype: np.dtype, name: str, first: int = 0) -> bool:
    """Return whether any time step is missing; raise an error on other values not finite.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The values.
    dtype : dtype
        The values must be finite in this dtype.
    name : str
        Name of the values in error messages.
    first : int, default=0
        Number of the first sample in error messages.
    """
    if values.dtype.kind != "f":
        return False
    with np.errstate(over="ignore"):
        values = values.astype(dtype, copy=False)
    finite = np.isfinite(values)
    if finite.all():
        return False
    missing = np.isnan(values).all(axis=2, keepdims=True)
    bad = ~(finite | missing)
    if bad.any():
        sample, timestep, _ = np.argwhere(bad)[0]
        place = (
            f"sample {first + sample}, timestep {timestep}" if name == "X" else f"row {timestep}"
        )
        raise ValueError(
            f"{name} must be finite in {dtype}, or NaN in all features of a missing time step; "
            f"the first value that is neither is at {place}."
        )
    return True
