"""Weights from and to Keras."""

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
    model_of,
    read_array,
    zero_weights,
)
from sklstm.nn.cell import Floats
from sklstm.nn.network import Network
from sklstm.regressor import LSTMRegressor

__all__ = ["from_keras", "to_keras"]


def to_keras(estimator: LSTMRegressor | LSTMClassifier) -> list[Floats]:
    """Give the weights as Keras has them.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator.

    Returns
    -------
    list of ndarray
        What ``set_weights`` takes of a ``Sequential`` of an ``LSTM(n_units)`` for each layer, in
        ``Bidirectional`` where the estimator is bidirectional, with ``return_sequences=True`` on
        all but the last, and a ``Dense(n_outputs)``: kernel, recurrent kernel and bias of each
        LSTM, then kernel and bias of the head.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    from_keras : The way back.

    Notes
    -----
    The Dense layer's activation has to be that of ``out_activation_``: none for "identity",
    "exponential", "softmax", or "sigmoid" for "logistic"; then the network predicts what the
    regressor's ``predict`` gives, in the units of y, the mean and the scale of ``normalize_y``
    being part of the head's weights; or what the classifier's ``predict_proba`` gives, but for two
    classes only the probability of the second. Steps that are missing need a ``Masking`` layer in
    front, and a value in place of NaN that it knows them by.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import to_keras
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
    >>> [weights.shape for weights in to_keras(model)]
    [(3, 16), (4, 16), (16,), (4, 1), (1,)]
    """
    return _keras_layout(*model_of(estimator).standalone_weights())


def from_keras(
    weights: Sequence[ArrayLike], estimator: Estimator, *, classes: ArrayLike | None = None
) -> Estimator:
    """Make a fitted estimator of the weights of a Keras model.

    Parameters
    ----------
    weights : list of array-like
        What ``get_weights()`` gives of a ``Sequential`` of LSTM layers, or of Bidirectional ones
        around them, and a ``Dense`` head, all with biases. The LSTMs must have Keras's default
        activations, and the head the activation that belongs to the estimator.
    estimator : LSTMRegressor or LSTMClassifier
        What the network becomes. Its ``hidden_layer_sizes`` and ``bidirectional`` must be those of
        the weights. It is not changed and need not be fitted. If it is, the copy keeps how it
        reads X, the shape of its predictions and its classes.
    classes : array-like of shape (n_classes,), default=None
        The classes, in the order of the network's outputs; for a single output the one that it
        is the probability of comes second. None stands for those of a fitted estimator, or for
        0, 1, ...

    Returns
    -------
    LSTMRegressor or LSTMClassifier
        A fitted copy of the estimator, with new Adam state and no history. It computes in float32
        if all the weights are of it, unless its ``dtype`` says otherwise.

    Raises
    ------
    ValueError
        If the weights are not those of such a model or do not go with the estimator.
    TypeError
        If something else is given than weights and an estimator.

    See Also
    --------
    to_keras : The way back.

    Notes
    -----
    A regressor's weights predict y in its own units. So, whatever ``normalize_y`` says, the copy
    goes on training with a mean of 0 and a scale of 1, until ``fit`` starts anew.

    A softmax over two classes has two outputs, of which the difference is all that counts; the
    estimator keeps that, as one logistic output.

    If the estimator is not fitted, X is 3-D, or 2-D if ``timesteps`` is set, and the outputs of a
    classifier are classes. For labels that do not exclude one another, give an estimator that was
    fitted on an indicator matrix.

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
            "weights must be a list, as get_weights() of the model gives it, got "
            f"{type(weights).__name__}."
        )
    named = {f"weights[{k}]": read_array(w, f"weights[{k}]") for k, w in enumerate(weights)}
    arrays = list(named.values())
    n_lstms, n_left = divmod(len(arrays) - 2, 3)
    if n_lstms < 1 or n_left:
        raise ValueError(
            "The weights of a Sequential of LSTM layers and a Dense layer are kernel, recurrent "
            "kernel and bias of each LSTM, then kernel and bias of the Dense layer, but weights "
            f"holds {len(arrays)} arrays."
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
    """Arrange weights as Keras does."""
    arrays: list[Floats] = []
    for k, b in enumerate(intercepts):
        # W_x and W_h of an LSTM, or what is left: W of the head
        arrays += [W.T.copy() for W in coefs[2 * k : 2 * k + 2]]
        arrays.append(b)
    return arrays
