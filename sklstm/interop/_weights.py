"""Weight layouts of other frameworks, and fitted estimators with given weights.

Every framework uses the same weights and differs only in their layout. For an LSTM of ``u`` units
with ``m`` inputs:

=========  =============  ==================  =====================  ==========  =================
Layout     Gates          Input weights       Recurrent weights      Biases      Second direction
=========  =============  ==================  =====================  ==========  =================
sklstm     i, f, g, o     (4 u, m)            (4 u, u)               one, (4 u)  LSTM after LSTM
Keras      i, f, g, o     (m, 4 u)            (u, 4 u)               one         LSTM after LSTM
PyTorch    i, f, g, o     (4 u, m)            (4 u, u)               two, added  LSTM after LSTM
ONNX       i, o, f, g     (1 or 2, 4 u, m)    (1 or 2, 4 u, u)       two, added  a first axis
=========  =============  ==================  =====================  ==========  =================

The layout of sklstm is that of ``coefs_`` and ``intercepts_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sklstm.base import BaseLSTM, fitted_copy
from sklstm.classifier import LSTMClassifier
from sklstm.nn.cell import Floats
from sklstm.nn.model import ClassOutput, InputForm, Model, NumericOutput
from sklstm.nn.network import Network
from sklstm.validation import check_layer_sizes

__all__ = [
    "Estimator",
    "Weights",
    "check_network",
    "check_shapes",
    "estimator_with_weights",
    "exported_weights",
    "model_of",
    "read_array",
    "zero_weights",
]

Weights = tuple[list[Floats], list[Floats]]  # coefs and intercepts, see Network.pack
Estimator = TypeVar("Estimator", bound=BaseLSTM)


def check_is_lstm(estimator: Any) -> None:
    """Raise an error if the estimator is not an LSTM estimator."""
    if not isinstance(estimator, BaseLSTM):
        raise TypeError(
            "The estimator must be an LSTMRegressor or an LSTMClassifier, got "
            f"{type(estimator).__name__}. For a pipeline, pass its last step, pipeline[-1]."
        )


def model_of(estimator: Any) -> Model:
    """Return the model of a fitted LSTM estimator."""
    check_is_lstm(estimator)
    return estimator.__sklstm_model__()


def exported_weights(model: Model, framework: str) -> Weights:
    """Return the weights of a model that has nothing but LSTM layers and a dense head."""
    parts = [
        f"{name}={value}"
        for name, value, is_there in (
            ("linear_skip", "0", model.recent is not None),
            ("pooling", "'last'", model.network.pooling != ("last",)),
            ("quantile", "a single number", model.output.activation == "ordered"),
        )
        if is_there
    ]
    if parts:
        raise ValueError(
            f"The weights for {framework} are those of LSTM layers and a dense head on the last "
            "hidden state, which has no place for the linear part, for pooling and for the order "
            "of several quantiles. Fit the "
            f"estimator with {' and '.join(parts)}, or use to_onnx, which exports all of it."
        )
    return model.standalone_weights()


def read_array(values: Any, name: str) -> Floats:
    """Convert an array-like or a PyTorch tensor to an array of float32 or float64."""
    if hasattr(values, "detach"):  # a PyTorch tensor or Parameter, possibly on a GPU
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


def check_network(estimator: BaseLSTM, network: Network) -> None:
    """Raise an error if the parameters of an estimator do not match a network."""
    for name, given in (
        ("bidirectional", bool(estimator.bidirectional)),
        ("hidden_layer_sizes", check_layer_sizes(estimator.hidden_layer_sizes)),
    ):
        found = getattr(network, name)
        if found != given:
            raise ValueError(
                f"The weights belong to a network with {name}={found}, but the estimator has "
                f"{name}={given}."
            )


def zero_weights(network: Network) -> Weights:
    """Return zero weights of the shapes that a network needs."""
    return network.unpack(np.zeros(network.n_parameters))


def check_shapes(found: Mapping[str, Floats], expected: Mapping[str, Floats]) -> None:
    """Raise an error if the shapes of the arrays do not match."""
    for name, array in expected.items():
        if found[name].shape != array.shape:
            raise ValueError(
                f"{name} is of shape {found[name].shape}, but the other arrays require shape "
                f"{array.shape}."
            )


def estimator_with_weights(
    estimator: Estimator, network: Network, weights: Weights, classes: ArrayLike | None
) -> Estimator:
    """Return a fitted copy of the estimator with the given weights.

    If the estimator is fitted, the copy keeps its form of X, its form of y and its classes.
    """
    fitted = estimator.__sklstm_model__() if estimator.__sklearn_is_fitted__() else None
    if fitted is None:
        estimator = clone(estimator)
        form = InputForm(network.n_features, estimator.timesteps)
    else:
        form = fitted.input
        if network.n_features != form.n_features:
            raise ValueError(
                f"The weights belong to a network that reads {network.n_features} features per "
                f"time step, but the estimator was fitted on {form.n_features}."
            )
    known = None if fitted is None else fitted.output
    output: Any
    if isinstance(estimator, LSTMClassifier):
        weights, output = _with_classes(weights, classes, known)
    else:
        output = _numeric_output(estimator, network.n_outputs, classes, known)
    coefs, intercepts = weights
    network = Network(
        network.n_features, network.hidden_layer_sizes, len(intercepts[-1]), network.bidirectional
    )
    parameters = network.pack(coefs, intercepts)
    model = Model(
        network, parameters, form, output, return_sequences=bool(estimator.return_sequences)
    )
    return fitted_copy(estimator, model)


def _numeric_output(
    estimator: Any, n_outputs: int, classes: ArrayLike | None, known: NumericOutput | None
) -> NumericOutput:
    """Return the output of a regressor whose weights predict y in its original units."""
    if classes is not None:
        raise ValueError("classes is for an LSTMClassifier, but the estimator is a regressor.")
    if known is not None and n_outputs != known.n_outputs:
        raise ValueError(
            f"The weights belong to a network with {n_outputs} output(s), but the estimator was "
            f"fitted with {known.n_outputs}."
        )
    activation = estimator._make_loss(None).activation
    if activation == "ordered":
        raise ValueError(
            f"The estimator predicts several quantiles, quantile={estimator.quantile!r}, through "
            "steps that keep them in order, which heads of other frameworks do not have. Convert "
            "an estimator for each quantile."
        )
    is_1d = n_outputs == 1 if known is None else known.is_1d
    return NumericOutput(activation, np.zeros(n_outputs), np.ones(n_outputs), is_1d)


def _with_classes(
    weights: Weights, classes: ArrayLike | None, known: ClassOutput | None
) -> tuple[Weights, ClassOutput]:
    """Sort the head weights by class label; return the weights and the output."""
    coefs, intercepts = weights
    W, b = coefs[-1], intercepts[-1]
    is_multilabel = known is not None and known.is_multilabel
    if is_multilabel and classes is not None:
        raise ValueError("classes must be None: labels of an indicator matrix have no names.")
    if len(b) == 1 and not is_multilabel:
        # sigmoid(z) = softmax(0, z)
        W, b = (np.concatenate([np.zeros_like(array), array]) for array in (W, b))
    if classes is not None:
        given = np.asarray(classes)
    else:
        given = np.arange(len(b)) if known is None else known.classes
    if given.shape != b.shape:
        raise ValueError(
            f"The weights belong to a network for {len(b)} classes, but the classes are "
            f"{given.tolist()}."
        )
    if known is not None and is_multilabel:
        return weights, known
    labels, order = np.unique(given, return_index=True)
    if len(labels) < len(given):
        raise ValueError(f"classes contains a class more than once: {given.tolist()}.")
    W, b = W[order], b[order]
    if len(b) == 2:
        W, b = W[1:] - W[:1], b[1:] - b[:1]
    output = ClassOutput.of(labels, is_multilabel=False)
    return ([*coefs[:-1], W], [*intercepts[:-1], b]), output
