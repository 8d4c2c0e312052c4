"""Conversion of weights to and from PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
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

__all__ = ["from_torch", "to_torch"]


def to_torch(estimator: LSTMRegressor | LSTMClassifier) -> dict[str, Floats]:
    """Return the weights in the layout of PyTorch.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator. All its layers must have the same size, because ``torch.nn.LSTM`` has
        one size for all layers.

    Returns
    -------
    dict of str to ndarray
        The ``state_dict``, as NumPy arrays, of a module with two attributes: ``lstm``, a
        ``torch.nn.LSTM(n_features, n_units, num_layers=..., bidirectional=...)``, and ``head``, a
        ``torch.nn.Linear``. PyTorch adds two biases in each LSTM; ``bias_hh`` is zero here.

    Raises
    ------
    ValueError
        If the layers are of different sizes.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    from_torch : The inverse.

    Notes
    -----
    The head reads the last hidden state of the last layer. With ``_, (h_n, _) = lstm(x)`` this is
    ``h_n[-1]``, or ``torch.cat([h_n[-2], h_n[-1]], dim=1)`` if the estimator is bidirectional.

    For a regressor, the output of the head equals ``predict``, in the units of y: the mean and the
    scale of ``normalize_y`` are folded into the weights of the head. With ``loss="poisson"`` it is
    the logarithm of ``predict``. For a classifier, the output is the logits; the softmax or the
    sigmoid gives the probabilities, see ``out_activation_``. With two classes there is one output,
    the logit of the second class.

    To continue training in PyTorch as in sklstm, exclude ``bias_hh`` from the optimizer. Two biases
    with the same gradient move twice as far as one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import to_torch
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, linear_skip=0, n_iter_no_change=2, random_state=0)
    >>> model = model.fit(X, X[:, -1, 0])
    >>> for name, weights in to_torch(model).items():
    ...     print(name, weights.shape)
    lstm.weight_ih_l0 (16, 3)
    lstm.weight_hh_l0 (16, 4)
    lstm.bias_ih_l0 (16,)
    lstm.bias_hh_l0 (16,)
    head.weight (1, 4)
    head.bias (1,)
    """
    model = model_of(estimator)
    weights = exported_weights(model, "PyTorch")
    sizes = model.network.hidden_layer_sizes
    if len(set(sizes)) > 1:
        raise ValueError(
            "All layers of a torch.nn.LSTM have one size, but the layers of the estimator have "
            f"{sizes} units."
        )
    return _torch_layout(*weights, bidirectional=model.network.bidirectional)


def from_torch(
    state_dict: Mapping[str, Any], estimator: Estimator, *, classes: ArrayLike | None = None
) -> Estimator:
    """Return a fitted estimator with the weights of a PyTorch module.

    Parameters
    ----------
    state_dict : mapping of str to tensor or array-like
        The ``state_dict()`` of a module with two attributes: ``lstm``, a ``torch.nn.LSTM`` with
        biases and without ``proj_size``, and ``head``, a ``torch.nn.Linear`` that reads the last
        hidden state of the last layer, see the notes of :func:`to_torch`. Remove all other
        parameters of the module first.
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
        If the weights do not come from such a module or do not match the estimator.
    TypeError
        If ``state_dict`` is not a mapping or ``estimator`` is not an LSTM estimator.

    See Also
    --------
    to_torch : The inverse.
    from_keras : The same for Keras; its notes apply here as well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import from_torch, to_torch
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, linear_skip=0, n_iter_no_change=2, random_state=0)
    >>> model = model.fit(X, X[:, -1, 0])
    >>> copy = from_torch(to_torch(model), LSTMRegressor(4))
    >>> np.allclose(copy.predict(X), model.predict(X))
    True
    """
    check_is_lstm(estimator)
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "state_dict must be a mapping, such as state_dict() of the module returns, got "
            f"{type(state_dict).__name__}."
        )
    named = {name: read_array(tensor, name) for name, tensor in state_dict.items()}
    is_bidirectional = any(name.endswith("_reverse") for name in named)
    n_lstms = sum(name.startswith("lstm.weight_hh_l") for name in named)
    n_layers = max(n_lstms // (1 + is_bidirectional), 1)
    lstms = _torch_lstms(n_layers, is_bidirectional)
    expected_names = [name for names in lstms for name in names] + ["head.weight", "head.bias"]
    _check_names(named, expected_names)
    n_units = named[lstms[0][1]].shape[-1]
    network = Network(
        n_features=named[lstms[0][0]].shape[-1],
        hidden_layer_sizes=(n_units,) * n_layers,
        n_outputs=len(named["head.bias"]),
        bidirectional=is_bidirectional,
    )
    check_network(estimator, network)
    check_shapes(named, _torch_layout(*zero_weights(network), bidirectional=is_bidirectional))
    coefs = [named[name] for W_x, W_h, _, _ in lstms for name in (W_x, W_h)]
    intercepts = [named[b_x] + named[b_h] for _, _, b_x, b_h in lstms]
    return estimator_with_weights(
        estimator,
        network,
        ([*coefs, named["head.weight"]], [*intercepts, named["head.bias"]]),
        classes,
    )


def _torch_lstms(n_layers: int, bidirectional: bool) -> list[list[str]]:
    """Return the names of the four arrays of each LSTM, in the order of PyTorch."""
    directions = ["", "_reverse"] if bidirectional else [""]
    kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    return [
        [f"lstm.{kind}_l{k}{direction}" for kind in kinds]
        for k in range(n_layers)
        for direction in directions
    ]


def _torch_layout(
    coefs: list[Floats], intercepts: list[Floats], *, bidirectional: bool
) -> dict[str, Floats]:
    """Arrange weights in the layout of PyTorch."""
    n_lstms = len(intercepts) - 1
    arrays: dict[str, Floats] = {}
    for k, names in enumerate(_torch_lstms(n_lstms // (1 + bidirectional), bidirectional)):
        b = intercepts[k]
        values = [*coefs[2 * k : 2 * k + 2], b, np.zeros_like(b)]
        arrays |= dict(zip(names, values, strict=True))
    return arrays | {"head.weight": coefs[-1], "head.bias": intercepts[-1]}


def _check_names(found: Mapping[str, Floats], expected: list[str]) -> None:
    """Raise an error if parameters are missing or unknown."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing or unknown:
        raise ValueError(
            "state_dict must hold the parameters of a torch.nn.LSTM named lstm and of a "
            f"torch.nn.Linear named head, and nothing else. Missing: {missing}; unknown: {unknown}."
        )
