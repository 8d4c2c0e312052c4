"""Networks in and out of other frameworks: weights for Keras and PyTorch, models in ONNX.

A weight keeps its value on the way; what differs is where it stands. Beside sklstm's own layout,
which is that of ``coefs_`` and ``intercepts_``, for an LSTM of ``u`` units that reads ``m`` inputs:

=========  =============  ==================  =====================  ==========  =================
Layout     Gates          Input weights       Recurrent weights      Biases      Second direction
=========  =============  ==================  =====================  ==========  =================
sklstm     i, f, g, o     (4 u, m)            (4 u, u)               one, (4 u)  LSTM after LSTM
Keras      i, f, g, o     (m, 4 u)            (u, 4 u)               one         LSTM after LSTM
PyTorch    i, f, g, o     (4 u, m)            (4 u, u)               two, added  LSTM after LSTM
ONNX       i, o, f, g     (1 or 2, 4 u, m)    (1 or 2, 4 u, u)       two, added  a first axis
=========  =============  ==================  =====================  ==========  =================
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from sklstm.base import BaseLSTM
from sklstm.callbacks import EpochReport
from sklstm.classifier import LSTMClassifier
from sklstm.nn.layer import gate_rows
from sklstm.nn.network import Network
from sklstm.nn.sequences import DenseSequences
from sklstm.nn.threads import one_blas_thread
from sklstm.nn.training import Progress, TrainingSet
from sklstm.regressor import LSTMRegressor

__all__ = [
    "from_keras",
    "from_torch",
    "register_onnx_converters",
    "to_keras",
    "to_onnx",
    "to_torch",
]

Floats = NDArray[np.floating]
Weights = tuple[list[Floats], list[Floats]]  # coefs and intercepts, as Network.pack takes them
Estimator = TypeVar("Estimator", bound=BaseLSTM)

# The newest that the current releases of onnx, onnxruntime and skl2onnx all know, and the oldest
# in which every operator of the graph has the form that is used here.
_OPSET, _OLDEST_OPSET = 22, 13


# Keras.


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
    return _keras_layout(*_exported(estimator))


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
    _check_is_lstm(estimator)
    if not isinstance(weights, Sequence):
        raise TypeError(
            "weights must be a list, as get_weights() of the model gives it, got "
            f"{type(weights).__name__}."
        )
    named = {f"weights[{k}]": _read_array(w, f"weights[{k}]") for k, w in enumerate(weights)}
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
    network = _network(
        estimator,
        n_features=len(arrays[0]),
        hidden_layer_sizes=tuple(units[:: 1 + is_bidirectional]),
        n_outputs=len(arrays[-1]),
        bidirectional=is_bidirectional,
    )
    expected = _keras_layout(*_zero_weights(network))
    _check_shapes(named, dict(zip(named, expected, strict=True)))
    intercepts = [*arrays[2:-2:3], arrays[-1]]
    lstms = [matrix.T for k in range(n_lstms) for matrix in arrays[3 * k : 3 * k + 2]]
    return _imported(estimator, network, ([*lstms, arrays[-2].T], intercepts), classes)


def _keras_layout(coefs: list[Floats], intercepts: list[Floats]) -> list[Floats]:
    """Arrange weights as Keras does."""
    arrays: list[Floats] = []
    for k, b in enumerate(intercepts):
        # W_x and W_h of an LSTM, or what is left: W of the head
        arrays += [W.T.copy() for W in coefs[2 * k : 2 * k + 2]]
        arrays.append(b)
    return arrays


# PyTorch.


def to_torch(estimator: LSTMRegressor | LSTMClassifier) -> dict[str, Floats]:
    """Give the weights as PyTorch has them.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator. All its layers must have the same size, as those of a
        ``torch.nn.LSTM`` have.

    Returns
    -------
    dict of str to ndarray
        The ``state_dict`` of a module that has an ``lstm``, a ``torch.nn.LSTM(n_features, n_units,
        num_layers=..., bidirectional=...)``, and a ``head``, a ``torch.nn.Linear``, as arrays of
        NumPy. PyTorch has two biases in each LSTM, of which only the sum counts: ``bias_hh`` is
        zero.

    Raises
    ------
    ValueError
        If the layers are of different sizes.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    from_torch : The way back.

    Notes
    -----
    The head reads the last hidden state of the last layer: with ``_, (h_n, _) = lstm(x)`` that is
    ``h_n[-1]``, or ``torch.cat([h_n[-2], h_n[-1]], dim=1)`` if the estimator is bidirectional. Its
    output is what the regressor's ``predict`` gives, in the units of y, the mean and the scale of
    ``normalize_y`` being part of the head's weights, but the logarithm of it with
    ``loss="poisson"``; or, for a classifier, what softmax or sigmoid makes the probabilities of,
    see ``out_activation_``. Two classes have one output, that of the second class.

    To go on training in PyTorch as it would go on here, leave ``bias_hh`` out of what the
    optimizer moves: two biases with the same gradient move twice as far as one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import to_torch
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
    >>> for name, weights in to_torch(model).items():
    ...     print(name, weights.shape)
    lstm.weight_ih_l0 (16, 3)
    lstm.weight_hh_l0 (16, 4)
    lstm.bias_ih_l0 (16,)
    lstm.bias_hh_l0 (16,)
    head.weight (1, 4)
    head.bias (1,)
    """
    weights = _exported(estimator)
    sizes = estimator._network.hidden_layer_sizes
    if len(set(sizes)) > 1:
        raise ValueError(
            f"The layers of a torch.nn.LSTM have one size, but the estimator has layers of {sizes} "
            "units."
        )
    return _torch_layout(*weights, bidirectional=estimator._network.bidirectional)


def from_torch(
    state_dict: Mapping[str, Any], estimator: Estimator, *, classes: ArrayLike | None = None
) -> Estimator:
    """Make a fitted estimator of the weights of a PyTorch module.

    Parameters
    ----------
    state_dict : mapping of str to tensor or array-like
        What ``state_dict()`` gives of a module that has an ``lstm``, a ``torch.nn.LSTM`` with
        biases and without ``proj_size``, and a ``head``, a ``torch.nn.Linear`` that reads the last
        hidden state of the last layer, see the notes of :func:`to_torch`. The module's other
        parameters, if it has any, have to be left out.
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
        If the weights are not those of such a module or do not go with the estimator.
    TypeError
        If something else is given than weights and an estimator.

    See Also
    --------
    to_torch : The way back.
    from_keras : The same for Keras; its notes hold here as well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import from_torch, to_torch
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3))
    >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
    >>> copy = from_torch(to_torch(model), LSTMRegressor(4))
    >>> np.allclose(copy.predict(X), model.predict(X))
    True
    """
    _check_is_lstm(estimator)
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            "state_dict must be a mapping, as state_dict() of the module gives it, got "
            f"{type(state_dict).__name__}."
        )
    named = {name: _read_array(tensor, name) for name, tensor in state_dict.items()}
    is_bidirectional = any(name.endswith("_reverse") for name in named)
    n_lstms = sum(name.startswith("lstm.weight_hh_l") for name in named)
    n_layers = max(n_lstms // (1 + is_bidirectional), 1)
    lstms = _torch_lstms(n_layers, is_bidirectional)
    expected_names = [name for names in lstms for name in names] + ["head.weight", "head.bias"]
    _check_names(named, expected_names)
    n_units = named[lstms[0][1]].shape[-1]
    network = _network(
        estimator,
        n_features=named[lstms[0][0]].shape[-1],
        hidden_layer_sizes=(n_units,) * n_layers,
        n_outputs=len(named["head.bias"]),
        bidirectional=is_bidirectional,
    )
    _check_shapes(named, _torch_layout(*_zero_weights(network), bidirectional=is_bidirectional))
    coefs = [named[name] for W_x, W_h, _, _ in lstms for name in (W_x, W_h)]
    intercepts = [named[b_x] + named[b_h] for _, _, b_x, b_h in lstms]
    return _imported(
        estimator,
        network,
        ([*coefs, named["head.weight"]], [*intercepts, named["head.bias"]]),
        classes,
    )


def _torch_lstms(n_layers: int, bidirectional: bool) -> list[list[str]]:
    """Name the four arrays of each LSTM, in the order in which PyTorch has them."""
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
    """Arrange weights as PyTorch does."""
    n_lstms = len(intercepts) - 1
    arrays: dict[str, Floats] = {}
    for k, names in enumerate(_torch_lstms(n_lstms // (1 + bidirectional), bidirectional)):
        b = intercepts[k]
        values = [*coefs[2 * k : 2 * k + 2], b, np.zeros_like(b)]
        arrays |= dict(zip(names, values, strict=True))
    return arrays | {"head.weight": coefs[-1], "head.bias": intercepts[-1]}


def _check_names(found: Mapping[str, Floats], expected: list[str]) -> None:
    """Refuse a state_dict with parameters too few or too many."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing or unknown:
        raise ValueError(
            "state_dict must hold the parameters of a torch.nn.LSTM named lstm and of a "
            f"torch.nn.Linear named head, and nothing else. Missing: {missing}; unknown: {unknown}."
        )


# What both have in common.


def _check_is_lstm(estimator: Any) -> None:
    if not isinstance(estimator, BaseLSTM):
        raise TypeError(
            "The estimator must be an LSTMRegressor or an LSTMClassifier, got "
            f"{type(estimator).__name__}. Of a pipeline, give the last step, pipeline[-1]."
        )


def _exported(estimator: BaseLSTM) -> Weights:
    """Give the weights of a network that needs nothing else: y comes out in its own units."""
    _check_is_lstm(estimator)
    check_is_fitted(estimator)
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    if not is_classifier(estimator):
        dtype = coefs[-1].dtype
        mean, scale = estimator._y_mean, estimator._y_scale
        if estimator.out_activation_ == "exponential":
            # scale exp(raw) = exp(raw + log scale)
            intercepts[-1] = (intercepts[-1] + np.log(scale)).astype(dtype)
        else:
            coefs[-1] = (coefs[-1] * scale[:, np.newaxis]).astype(dtype)
            intercepts[-1] = (intercepts[-1] * scale + mean).astype(dtype)
    return coefs, intercepts


def _read_array(values: Any, name: str) -> Floats:
    """Give a weight of any kind as an array of float32 or float64."""
    if hasattr(values, "detach"):  # a tensor of PyTorch, perhaps a Parameter, perhaps on a GPU
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "buif" or array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(
            f"{name} must be a matrix or a vector of real numbers, got an array of shape "
            f"{array.shape} and dtype {array.dtype}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _network(estimator: BaseLSTM, **found: Any) -> Network:
    """Make the network that the weights are of, if it is what the estimator says."""
    given = {
        "bidirectional": bool(estimator.bidirectional),
        "hidden_layer_sizes": estimator._checked_layer_sizes(),
    }
    for name, value in given.items():
        if found[name] != value:
            raise ValueError(
                f"The weights are of a network with {name}={found[name]}, but the estimator has "
                f"{name}={value}."
            )
    return Network(**found)


def _zero_weights(network: Network) -> Weights:
    return network.unpack(np.zeros(network.n_parameters))


def _check_shapes(found: Mapping[str, Floats], expected: Mapping[str, Floats]) -> None:
    """Refuse arrays that do not fit together."""
    for name, array in expected.items():
        if found[name].shape != array.shape:
            raise ValueError(
                f"{name} is of shape {found[name].shape}, but what goes with the other arrays is "
                f"of shape {array.shape}."
            )


def _imported(
    estimator: Estimator, network: Network, weights: Weights, classes: ArrayLike | None
) -> Estimator:
    """Make a fitted copy of the estimator."""
    is_fitted = hasattr(estimator, "_network")
    model = copy.deepcopy(estimator) if is_fitted else clone(estimator)
    model._check_parameters()
    if is_fitted and network.n_features != model._network.n_features:
        raise ValueError(
            f"The weights are of a network that reads {network.n_features} features per time step, "
            f"but the estimator was fitted on {model._network.n_features}."
        )
    n_timesteps = model.timesteps or 1
    dtype = np.result_type(*weights[0], *weights[1])
    sequences = DenseSequences(np.zeros((1, n_timesteps, network.n_features), dtype), False)
    if not is_fitted:
        # Learns n_features_in_ and the form of X.
        X = sequences.values if model.timesteps is None else sequences.values.reshape(1, -1)
        model._check_sequences(X, reset=True)
    if isinstance(model, LSTMClassifier):
        weights = _take_classes(model, weights, classes, sequences)
    else:
        _take_target(model, network.n_outputs, classes)
    n_outputs = len(weights[1][-1])
    model._initialize(sequences, n_outputs)
    model._parameters = model._network.pack(*weights).astype(model._parameters.dtype)
    model._progress = Progress()
    # Training for no epoch sets what fit would leave behind.
    nothing = np.empty(0)
    no_data = TrainingSet(sequences, np.arange(0), np.empty((n_outputs, 0)), nothing, nothing)
    with one_blas_thread() as threads:
        model._train(no_data, None, threads, 0, EpochReport(model))
    return model


def _take_target(model: Any, n_outputs: int, classes: ArrayLike | None) -> None:
    """Tell a regressor of its target."""
    if classes is not None:
        raise ValueError("classes is for an LSTMClassifier, but the estimator is a regressor.")
    if not hasattr(model, "_network"):
        model._y_is_1d = n_outputs == 1
    elif n_outputs != model.n_outputs_:
        raise ValueError(
            f"The weights are of a network with {n_outputs} output(s), but the estimator was "
            f"fitted with {model.n_outputs_}."
        )
    model._y_mean, model._y_scale = np.zeros(n_outputs), np.ones(n_outputs)


def _take_classes(
    model: LSTMClassifier,
    weights: Weights,
    classes: ArrayLike | None,
    sequences: DenseSequences,
) -> Weights:
    """Tell a classifier of its classes; give the weights with the head in their order."""
    coefs, intercepts = weights
    W, b = coefs[-1], intercepts[-1]
    is_multilabel = getattr(model, "_is_multilabel", False)
    if is_multilabel and classes is not None:
        raise ValueError("The labels of an estimator fitted on an indicator matrix have no names.")
    if len(b) == 1 and not is_multilabel:
        # sigmoid(z) = softmax(0, z)
        W, b = (np.concatenate([np.zeros_like(array), array]) for array in (W, b))
    if classes is None:
        given = getattr(model, "classes_", np.arange(len(b)))
    else:
        given = np.asarray(classes)
    if given.shape != b.shape:
        raise ValueError(
            f"The weights are of a network for {len(b)} classes, but the classes are "
            f"{given.tolist()}."
        )
    if is_multilabel:
        return weights
    labels, order = np.unique(given, return_index=True)
    if len(labels) < len(given):
        raise ValueError(f"classes names a class more than once: {given.tolist()}.")
    if classes is not None or not hasattr(model, "classes_"):
        y = labels[:1]
        model._encode_target(y, sequences, labels, reset=True)
    W, b = W[order], b[order]
    if len(b) == 2:
        W, b = W[1:] - W[:1], b[1:] - b[:1]
    return [*coefs[:-1], W], [*intercepts[:-1], b]


# ONNX.


def to_onnx(estimator: LSTMRegressor | LSTMClassifier, *, target_opset: int | None = None) -> Any:
    """Make an ONNX model that predicts what the estimator predicts.

    Needs onnx: ``pip install 'sklstm[interop]'``.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator.
    target_opset : int, default=None
        Version of the operator set, at least 13; 22 if None.

    Returns
    -------
    onnx.ModelProto
        The model. Its input ``X`` is of float32 and of shape (n_samples, n_timesteps, n_features)
        with any number of samples and time steps, also where the estimator was fitted on 2-D X.
        Its outputs are named and laid out as skl2onnx does it, without ZipMap: of a regressor
        ``variable``, of shape (n_samples, n_outputs), in the units of y; of a classifier
        ``label``, of shape (n_samples,), strings or int64, and ``probabilities``, float32 of shape
        (n_samples, n_classes). For multilabel targets, ``label`` is the indicator matrix.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the classes are neither strings nor whole numbers.
    ValueError
        If ``target_opset`` is too old, or newer than onnx knows.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    register_onnx_converters : Lets skl2onnx convert a pipeline.

    Notes
    -----
    Missing time steps are supported: a step whose features are all NaN is skipped, wherever it is,
    as the estimator does. So sequences of different lengths can be filled up with NaN, at either
    end, to go through together. Where only some features of a step are NaN, or a value is
    infinite, the estimator raises an error, which a model in ONNX cannot: what is predicted is NaN,
    and the label means nothing.

    The weights and all arithmetic are of float32, because onnxruntime has the LSTM operator for
    nothing else; those of an estimator that computes in float64 are rounded.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import to_onnx
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 3)).astype(np.float32)
    >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
    >>> onnx_model = to_onnx(model)  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(onnx_model.SerializeToString())  # doctest: +SKIP
    >>> (variable,) = session.run(["variable"], {"X": X})  # doctest: +SKIP
    >>> np.allclose(variable[:, 0], model.predict(X), atol=1e-5)  # doctest: +SKIP
    True
    """
    _check_is_lstm(estimator)
    check_is_fitted(estimator)
    opset = _OPSET if target_opset is None else target_opset
    if opset < _OLDEST_OPSET:
        raise ValueError(f"target_opset={opset} is too old; at least {_OLDEST_OPSET} is needed.")
    onnx = _import("onnx", "to_onnx")
    tensor, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    n = "n_samples"
    if is_classifier(estimator):
        n_classes = len(estimator.classes_)
        is_text = _labels(estimator).dtype == object
        label_type = onnx.TensorProto.STRING if is_text else onnx.TensorProto.INT64
        outputs = [
            tensor("label", label_type, [n, n_classes] if estimator._is_multilabel else [n]),
            tensor("probabilities", float32, [n, n_classes]),
        ]
    else:
        outputs = [tensor("variable", float32, [n, estimator.n_outputs_])]
    nodes = _OnnxNodes(onnx)
    _add_onnx_nodes(nodes, estimator, "X", [output.name for output in outputs])
    n_features = estimator._network.n_features
    graph = onnx.helper.make_graph(
        nodes.nodes,
        type(estimator).__name__,
        [tensor("X", float32, [n, "n_timesteps", n_features])],
        outputs,
        nodes.initializers,
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
        producer_name="sklstm",
    )


def register_onnx_converters() -> None:
    """Tell skl2onnx how to convert LSTMRegressor and LSTMClassifier, also in a pipeline.

    Needs skl2onnx: ``pip install 'sklstm[interop]'``. What skl2onnx converts reads 2-D X: rows of
    ``timesteps`` steps, or of a step in each column. All that :func:`to_onnx` says about missing
    steps and float32 holds here too. SlidingWindow is not converted: in ONNX, rows are samples that
    know nothing of one another.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : A model of the estimator alone, for 3-D X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklstm import LSTMRegressor
    >>> from sklstm.interop import register_onnx_converters
    >>> X = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    >>> lstm = LSTMRegressor(4, n_iter_no_change=2, timesteps=4, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), lstm).fit(X, X[:, -1])
    >>> register_onnx_converters()  # doctest: +SKIP
    >>> import skl2onnx  # doctest: +SKIP
    >>> onnx_model = skl2onnx.to_onnx(pipeline, X[:1])  # doctest: +SKIP
    """
    skl2onnx = _import("skl2onnx", "register_onnx_converters")
    for cls, options in (
        (LSTMRegressor, None),
        (LSTMClassifier, {"zipmap": [True, False, "columns"], "nocl": [False]}),
    ):
        skl2onnx.update_registered_converter(
            cls, f"Sklstm{cls.__name__}", _skl2onnx_types, _skl2onnx_convert, options=options
        )


class _Nodes(Protocol):
    """Where the nodes of a graph go. Arrays are known by their names."""

    def constant(self, values: NDArray[Any]) -> str:
        """Add an array; give its name."""
        ...

    def add(
        self, operator: str, *inputs: str, output: str = "", number: int = 0, **attributes: Any
    ) -> str:
        """Add a node; give the name of one output, by its number, which is ``output`` or new."""
        ...


class _OnnxNodes:
    """Nodes of a graph of its own."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def add(
        self, operator: str, *inputs: str, output: str = "", number: int = 0, **attributes: Any
    ) -> str:
        name = f"{operator}_{len(self.nodes)}"
        outputs = [*(f"{name}_{k}" for k in range(number)), output or name]
        self.nodes.append(
            self._onnx.helper.make_node(operator, inputs, outputs, name=name, **attributes)
        )
        return outputs[-1]


class _Skl2onnxNodes:
    """Nodes among those that skl2onnx makes of the other steps of a pipeline."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: NDArray[Any]) -> str:
        kind = importlib.import_module("onnx").helper.np_dtype_to_tensor_dtype(values.dtype)
        name = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, list(values.shape), values.ravel().tolist())
        return name

    def add(
        self, operator: str, *inputs: str, output: str = "", number: int = 0, **attributes: Any
    ) -> str:
        names = [self._scope.get_unique_variable_name(operator) for _ in range(number + 1)]
        outputs = [*names[:-1], output or names[-1]]
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, list(inputs), outputs, name=name, **attributes)
        return outputs[-1]


def _skl2onnx_types(operator: Any) -> None:
    """Say what the outputs of an estimator are, to skl2onnx."""
    types = importlib.import_module("skl2onnx.common.data_types")
    estimator = operator.raw_operator
    n_samples = operator.inputs[0].get_first_dimension()
    if not is_classifier(estimator):
        operator.outputs[0].type = types.FloatTensorType([n_samples, estimator.n_outputs_])
        return
    n_classes = len(estimator.classes_)
    is_text = _labels(estimator).dtype == object
    label_type = types.StringTensorType if is_text else types.Int64TensorType
    operator.outputs[0].type = label_type(
        [n_samples, n_classes] if estimator._is_multilabel else [n_samples]
    )
    operator.outputs[1].type = types.FloatTensorType([n_samples, n_classes])


def _skl2onnx_convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator that reads 2-D X, for skl2onnx."""
    utils = importlib.import_module("skl2onnx.common.utils")
    utils.check_input_and_output_numbers(operator, input_count_range=1)
    estimator = operator.raw_operator
    n_features = estimator._network.n_features
    if estimator._fitted_on_sequences:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on 3-D X, but skl2onnx converts what reads 2-D "
            "X. Use sklstm.interop.to_onnx, or set timesteps and fit on flat windows."
        )
    nodes = _Skl2onnxNodes(scope, container)
    shape = _ints(nodes, 0, estimator.n_features_in_ // n_features, n_features)
    X = nodes.add("Cast", operator.inputs[0].full_name, to=1)  # FLOAT
    X = nodes.add("Reshape", X, shape)
    _add_onnx_nodes(nodes, estimator, X, [output.full_name for output in operator.outputs])


def _add_onnx_nodes(nodes: _Nodes, estimator: BaseLSTM, X: str, outputs: list[str]) -> None:
    """Add all from the sequences, of shape (n_samples, n_timesteps, n_features), to the outputs."""
    x, lengths, guard = _add_packing(nodes, X, estimator._network.n_features)
    raw = _add_network(nodes, estimator, x, lengths)  # (n_samples, n_outputs)
    if not is_classifier(estimator):
        if estimator.out_activation_ == "exponential":
            raw = nodes.add("Exp", raw)
        nodes.add("Add", raw, guard, output=outputs[0])
        return

    label, probabilities = outputs
    if estimator.out_activation_ == "softmax":
        p = nodes.add("Softmax", raw, axis=1)
        number = nodes.add("ArgMax", raw, axis=1, keepdims=0)
    else:
        p = nodes.add("Sigmoid", raw)
        number = nodes.add("Cast", nodes.add("Greater", raw, _float(nodes, 0)), to=7)  # INT64
    if estimator._is_multilabel:
        nodes.add("Identity", number, output=label)
    else:
        if estimator.n_outputs_ == 1:
            p = nodes.add("Concat", nodes.add("Sub", _float(nodes, 1), p), p, axis=1)
            number = nodes.add("Squeeze", number, _ints(nodes, 1))
        nodes.add("Gather", nodes.constant(_labels(estimator)), number, output=label)
    nodes.add("Add", p, guard, output=probabilities)


def _add_packing(nodes: _Nodes, X: str, n_features: int) -> tuple[str, str, str]:
    """Add what leaves missing steps out: each sequence's given steps come first, in their order.

    Returns
    -------
    x : str
        Of shape (n_timesteps, n_samples, n_features).
    lengths : str
        Given steps of each sequence, of shape (n_samples,).
    guard : str
        Of shape (n_samples, 1): 0, or NaN where a given step is not finite, which the LSTM
        operator of onnxruntime would make an ordinary number of.
    """
    axis_1, axis_2 = _ints(nodes, 1), _ints(nodes, 2)
    is_nan = nodes.add("Cast", nodes.add("IsNaN", X), to=6)  # INT32
    n_nan = nodes.add("ReduceSum", is_nan, axis_2)  # (n_samples, n_timesteps, 1)
    n_all = nodes.constant(np.array(n_features, np.int32))
    is_missing = nodes.add("Equal", n_nan, n_all)
    x = nodes.add("Where", is_missing, _float(nodes, 0), X)
    # 0 x is NaN where x is NaN or infinite.
    guard = nodes.add("ReduceSum", nodes.add("Mul", x, _float(nodes, 0)), axis_2)
    guard = nodes.add("ReduceSum", guard, axis_1, keepdims=0)

    missing = nodes.add("Cast", is_missing, to=1)  # FLOAT
    n_timesteps = nodes.add("Gather", nodes.add("Shape", X), axis_1)
    # The numbers of the steps with the missing ones last; equals stay in their order.
    steps = nodes.add("TopK", missing, n_timesteps, axis=1, largest=0, number=1)
    steps = nodes.add("Expand", steps, nodes.add("Shape", X))
    x = nodes.add("GatherElements", x, steps, axis=1)
    given = nodes.add("Cast", nodes.add("Less", n_nan, n_all), to=6)  # INT32
    lengths = nodes.add("ReduceSum", given, _ints(nodes, 1, 2), keepdims=0)
    return nodes.add("Transpose", x, perm=[1, 0, 2]), lengths, guard


def _add_network(nodes: _Nodes, estimator: BaseLSTM, x: str, lengths: str) -> str:
    """Add the layers and the head; give the name of the raw outputs."""
    coefs, intercepts = _exported(estimator)
    network, D = estimator._network, estimator._network.n_directions
    for k, n_units in enumerate(network.hidden_layer_sizes):
        lstms = range(D * k, D * (k + 1))
        rows = gate_rows(n_units, "iofg")
        W_x, W_h = (
            np.stack([coefs[2 * number + which][rows] for number in lstms]) for which in (0, 1)
        )
        b = np.stack([intercepts[number][rows] for number in lstms])
        inputs = [_float(nodes, array) for array in (W_x, W_h, np.hstack([b, np.zeros_like(b)]))]
        is_last = k + 1 == len(network.hidden_layer_sizes)
        h = nodes.add(
            "LSTM",
            x,
            *inputs,
            lengths,
            number=int(is_last),  # all the hidden states, or the last one
            hidden_size=n_units,
            direction="bidirectional" if network.bidirectional else "forward",
        )
        # Directions side by side: (n_timesteps, n_samples, D * n_units), or without the first axis
        h = nodes.add("Transpose", h, perm=[1, 0, 2] if is_last else [0, 2, 1, 3])
        kept = [0] if is_last else [0, 0]
        x = nodes.add("Reshape", h, _ints(nodes, *kept, D * n_units))
    return nodes.add("Gemm", x, _float(nodes, coefs[-1]), _float(nodes, intercepts[-1]), transB=1)


def _float(nodes: _Nodes, values: ArrayLike) -> str:
    return nodes.constant(np.asarray(values, np.float32))


def _ints(nodes: _Nodes, *values: int) -> str:
    return nodes.constant(np.array(values, np.int64))


def _labels(estimator: Any) -> NDArray[Any]:
    """Give the classes in a type that ONNX has for labels: int64, or objects that are strings."""
    classes = estimator.classes_
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    if classes.dtype.kind in "biuf" and (classes == classes.astype(np.int64)).all():
        return classes.astype(np.int64)
    raise TypeError(
        f"Labels in ONNX are strings or whole numbers, but the classes are {classes.tolist()}."
    )


def _import(package: str, function: str) -> Any:
    """Import what not everyone has installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{function} needs {package}, which is not installed: pip install 'sklstm[interop]'"
        ) from error
