"""Conversion of weights to and from Keras."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from sklstm.classifier import LSTMClassifier
from sklstm.interop._weights import (
    Estimator,
    check_is_lstm,
    check_network,
    check_shapes,
    estimator_with_weights,
    exported_weights,
    model_of,
    read_array,
    zero_weights,
)
from sklstm.nn.cell import Floats
from sklstm.nn.network import Network
from sklstm.regressor import LSTMRegressor

__all__ = ["from_keras", "to_keras"]


def to_keras(estimator: LSTMRegressor | LSTMClassifier) -> list[Floats]:
    """Return the weights in the layout of Keras.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator.

    Returns
    -------
    list of ndarray
        Kernel, recurrent kernel and bias of each LSTM, then kernel and bias of the head. This is
        the argument of ``set_weights`` for a ``Sequential`` model with one ``LSTM(n_units)`` per
        layer and a ``Dense(n_outputs)``. All LSTMs but the last need ``return_sequences=True``. If
        the estimator is bidirectional, wrap each LSTM in ``Bidirectional``.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    from_keras : The inverse.

    Notes
    -----
    The Dense layer needs the activation that ``out_activation_`` names: no activation for
    "identity", "exponential", "softmax", or "sigmoid" for "logistic". For a regressor, the Keras
    model then predicts what ``predict`` returns, in the units of y: the mean and the scale of
    ``normalize_y`` are folded into the weights of the head. For a classifier, it predicts what
    ``predict_proba`` returns; with two classes, only the probability of the second.

    For missing steps, replace NaN by another value and put a ``Masking`` layer for that value in
    front of the first LSTM.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import to_keras
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, linear_skip=0, n_iter_no_change=2, random_state=0)
    >>> model = model.fit(X, X[:, -1, 0])
    >>> [weights.shape for weights in to_keras(model)]
    [(3, 16), (4, 16), (16,), (4, 1), (1,)]
    """
    return _keras_layout(*exported_weights(model_of(estimator), "Keras"))


def from_keras(
    weights: Sequence[ArrayLike], estimator: Estimator, *, classes: ArrayLike | None = None
) -> Estimator:
    """Return a fitted estimator with the weights of a Keras model.

    Parameters
    ----------
    weights : list of array-like
        The return value of ``get_weights()`` of a ``Sequential`` model of LSTM layers, each of
        which may be wrapped in ``Bidirectional``, and a ``Dense`` head. All layers must have
        biases. The LSTMs must have Keras's default activations, and the head must have the
        activation of the estimator.
    estimator : LSTMRegressor or LSTMClassifier
        The estimator to copy. Its ``hidden_layer_sizes`` and ``bidirectional`` must match the
        weights. It is not changed and need not be fitted. If it is fitted, the copy keeps its form
        of X, the shape of its predictions and its classes.
    classes : array-like of shape (n_classes,), default=None
        Class labels in the order of the network's outputs. For a single output, which is the
        probability of one class, that class comes second. If None, the labels of the fitted
        estimator are used, or 0, 1, ... if it is not fitted.

    Returns
    -------
    LSTMRegressor or LSTMClassifier
        A fitted copy of the estimator with a new Adam state and an empty loss curve. Unless its
        ``dtype`` is set, it computes in float32 if all weights are float32, else in float64.

    Raises
    ------
    ValueError
        If the weights do not come from such a model or do not match the estimator.
    TypeError
        If ``weights`` is not a list or ``estimator`` is not an LSTM estimator.

    See Also
    --------
    to_keras : The inverse.

    Notes
    -----
    The weights of a regressor predict y in its original units. The copy therefore uses a mean of 0
    and a scale of 1, even with ``normalize_y=True``, until ``fit`` is called again.

    A softmax over two classes depends only on the difference of its two outputs. The copy stores
    this difference as one logistic output.

    If the estimator is not fitted, the copy reads 3-D X, or 2-D X if ``timesteps`` is set, and the
    outputs of a classifier are treated as mutually exclusive classes. For a multilabel classifier,
    pass an estimator that was fitted on an indicator matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMClassifier
    >>> from sklstm.interop import from_keras
    >>> rng = np.random.default_rng(0)
    >>> weights = [rng.normal(size=shape) for shape in [(3, 16), (4, 16), (16,), (4, 2), (2,)]]
    >>> model = from_keras(weights, LSTMClassifier(4), classes=["fall", "rise"])
    >>> model.predict(np.ones((1, 8, 3))).shape
    (1,)
    """
    check_is_lstm(estimator)
    if not isinstance(weights, Sequence):
        raise TypeError(
            "weights must be a list, such as get_weights() of the model returns, got "
            f"{type(weights).__name__}."
        )
    named = {f"weights[{k}]": read_array(w, f"weights[{k}]") for k, w in enumerate(weights)}
    arrays = list(named.values())
    n_lstms, n_left = divmod(len(arrays) - 2, 3)
    if n_lstms < 1 or n_left:
        raise ValueError(
            f"weights holds {len(arrays)} arrays, but it must hold kernel, recurrent kernel and "
            "bias of each LSTM layer, then kernel and bias of the Dense layer."
        )
    units = [len(recurrent) for recurrent in arrays[1:-2:3]]
    is_bidirectional = n_lstms % 2 == 0 and len(arrays[-2]) == 2 * units[-1]
    network = Network(
        n_features=len(arrays[0]),
        hidden_layer_sizes=tuple(units[:: 1 + is_bidirectional]),
        n_outputs=len(arrays[-1]),
        bidirectional=is_bidirectional,
    )
    check_network(estimator, network)
    expected = _keras_layout(*zero_weights(network))
    check_shapes(named, dict(zip(named, expected, strict=True)))
    intercepts = [*arrays[2:-2:3], arrays[-1]]
    lstms = [matrix.T for k in range(n_lstms) for matrix in arrays[3 * k : 3 * k + 2]]
    return estimator_with_weights(estimator, network, ([*lstms, arrays[-2].T], intercepts), classes)


def _keras_layout(coefs: list[Floats], intercepts: list[Floats]) -> list[Floats]:
    """Arrange weights in the layout of Keras."""
    arrays: list[Floats] = []
    for k, b in enumerate(intercepts):
        # W_x and W_h of an LSTM; W of the head at the end
        arrays += [W.T.copy() for W in coefs[2 * k : 2 * k + 2]]
        arrays.append(b)
    return arrays
