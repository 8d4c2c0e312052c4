"""Conversion of estimators to ONNX, alone and in pipelines."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm.classifier import LSTMClassifier
from sklstm.interop._weights import model_of
from sklstm.nn.layer import gate_rows
from sklstm.nn.model import ClassOutput, Model, NumericOutput
from sklstm.regressor import LSTMRegressor

__all__ = ["register_onnx_converters", "to_onnx"]

# The newest operator set that the current releases of onnx, onnxruntime and skl2onnx all support,
# and the oldest one in which all operators of the graph have the inputs and attributes used here.
_OPSET, _OLDEST_OPSET = 22, 13


def to_onnx(estimator: LSTMRegressor | LSTMClassifier, *, target_opset: int | None = None) -> Any:
    """Convert an estimator to an ONNX model with the same predictions.

    Requires onnx: ``pip install 'sklstm[interop]'``.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator.
    target_opset : int, default=None
        Version of the operator set, at least 13. If None, 22 is used.

    Returns
    -------
    onnx.ModelProto
        The model. Its input ``X`` is float32 of shape (n_samples, n_timesteps, n_features), with
        any number of samples and time steps, even if the estimator was fitted on 2-D X. The
        outputs have the names and shapes that skl2onnx uses without ZipMap. A regressor has
        ``variable``, of shape (n_samples, n_outputs), in the units of y. A classifier has
        ``label``, of shape (n_samples,), strings or int64, and ``probabilities``, float32 of shape
        (n_samples, n_classes). For multilabel targets, ``label`` is the indicator matrix. With
        ``return_sequences``, each output has an axis of time steps after that of samples.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the class labels are neither strings nor whole numbers.
    ValueError
        If ``target_opset`` is too old, or newer than onnx supports.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    register_onnx_converters : Register converters with skl2onnx, for pipelines.

    Notes
    -----
    Missing time steps are supported: a step whose features are all NaN is skipped, as in the
    estimator. Sequences of different lengths can therefore be padded with NaN in front; at the end
    too, if there is no linear part, which counts steps from the end. If only some features of a
    step are NaN, or if a value is infinite, the estimator raises an error. An ONNX model cannot
    raise one: its prediction is NaN, and its label is meaningless.

    The weights and all arithmetic are float32, because onnxruntime implements the LSTM operator
    only for float32. The weights of an estimator that computes in float64 are rounded.

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
    model = model_of(estimator)
    opset = _OPSET if target_opset is None else target_opset
    if opset < _OLDEST_OPSET:
        raise ValueError(f"target_opset={opset} is too old; at least {_OLDEST_OPSET} is needed.")
    onnx = _import("onnx", "to_onnx")
    tensor, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    n, output = ["n_samples"], model.output
    if model.return_sequences:
        n = ["n_samples", "n_timesteps"]
    if isinstance(output, ClassOutput):
        n_classes = len(output.classes)
        is_text = _labels(output).dtype == object
        label_type = onnx.TensorProto.STRING if is_text else onnx.TensorProto.INT64
        outputs = [
            tensor("label", label_type, [*n, n_classes] if output.is_multilabel else n),
            tensor("probabilities", float32, [*n, n_classes]),
        ]
    else:
        outputs = [tensor("variable", float32, [*n, output.n_outputs])]
    nodes = _OnnxNodes(onnx)
    _add_onnx_nodes(nodes, model, "X", [output.name for output in outputs])
    graph = onnx.helper.make_graph(
        nodes.nodes,
        type(estimator).__name__,
        [tensor("X", float32, ["n_samples", "n_timesteps", model.network.n_features])],
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
    """Register converters for LSTMRegressor and LSTMClassifier with skl2onnx.

    Requires skl2onnx: ``pip install 'sklstm[interop]'``. skl2onnx converts estimators and pipelines
    that read 2-D X, in which a row holds ``timesteps`` steps, or one step per column. The notes of
    :func:`to_onnx` on missing steps and float32 apply here too. SlidingWindow is not supported,
    because rows are independent samples in ONNX.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : Convert an estimator alone, for 3-D X.

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


class _Nodes(ABC):
    """A graph under construction. Arrays are referred to by name."""

    @abstractmethod
    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant array and return its name."""

    @abstractmethod
    def add_all(
        self, operator: str, *inputs: str, count: int, output: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node and return the names of its first outputs; the last may be ``output``."""

    def add(
        self, operator: str, *inputs: str, output: str = "", number: int = 0, **attributes: Any
    ) -> str:
        """Add a node and return the name of its output ``number``: ``output`` or a new name."""
        outputs = self.add_all(operator, *inputs, count=number + 1, output=output, **attributes)
        return outputs[-1]


class _OnnxNodes(_Nodes):
    """The graph of an ONNX model of its own."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(self._onnx.numpy_helper.from_array(values, name))
        return name

    def add_all(
        self, operator: str, *inputs: str, count: int, output: str = "", **attributes: Any
    ) -> list[str]:
        name = f"{operator}_{len(self.nodes)}"
        outputs = [*(f"{name}_{k}" for k in range(count - 1)), output or name]
        self.nodes.append(
            self._onnx.helper.make_node(operator, inputs, outputs, name=name, **attributes)
        )
        return outputs


class _Skl2onnxNodes(_Nodes):
    """The graph that skl2onnx builds for a pipeline."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: NDArray[Any]) -> str:
        kind = importlib.import_module("onnx").helper.np_dtype_to_tensor_dtype(values.dtype)
        name = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, list(values.shape), values.ravel().tolist())
        return name

    def add_all(
        self, operator: str, *inputs: str, count: int, output: str = "", **attributes: Any
    ) -> list[str]:
        names = [self._scope.get_unique_variable_name(operator) for _ in range(count)]
        outputs = [*names[:-1], output or names[-1]]
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, list(inputs), outputs, name=name, **attributes)
        return outputs


def _skl2onnx_types(operator: Any) -> None:
    """Set the types and shapes of the outputs of an estimator, for skl2onnx."""
    types = importlib.import_module("skl2onnx.common.data_types")
    model = model_of(operator.raw_operator)
    output, n = model.output, [operator.inputs[0].get_first_dimension()]
    if model.return_sequences:
        n.append(model.input.n_timesteps)
    if not isinstance(output, ClassOutput):
        operator.outputs[0].type = types.FloatTensorType([*n, output.n_outputs])
        return
    n_classes = len(output.classes)
    is_text = _labels(output).dtype == object
    label_type = types.StringTensorType if is_text else types.Int64TensorType
    operator.outputs[0].type = label_type([*n, n_classes] if output.is_multilabel else n)
    operator.outputs[1].type = types.FloatTensorType([*n, n_classes])


def _skl2onnx_convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator that was fitted on 2-D X, for skl2onnx."""
    utils = importlib.import_module("skl2onnx.common.utils")
    utils.check_input_and_output_numbers(operator, input_count_range=1)
    estimator = operator.raw_operator
    model = model_of(estimator)
    form = model.input
    if form.n_timesteps is None:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on 3-D X, but skl2onnx supports only 2-D X. "
            "Use sklstm.interop.to_onnx, or set timesteps and fit on flattened windows."
        )
    nodes = _Skl2onnxNodes(scope, container)
    shape = _ints(nodes, 0, form.n_timesteps, form.n_features)
    X = nodes.add("Cast", operator.inputs[0].full_name, to=1)  # FLOAT
    X = nodes.add("Reshape", X, shape)
    _add_onnx_nodes(nodes, model, X, [output.full_name for output in operator.outputs])


def _add_onnx_nodes(nodes: _Nodes, model: Model, X: str, outputs: list[str]) -> None:
    """Add the nodes from X, of shape (n_samples, n_timesteps, n_features), to the outputs."""
    packed = _add_packing(nodes, X, model.network.n_features)
    guard = packed.guard
    # (n_samples, n_outputs) or (n_samples, n_timesteps, n_outputs)
    raw = _add_network(nodes, model, packed)
    raw = _add_linear_part(nodes, model, X, raw)
    if model.return_sequences:
        guard = nodes.add("Unsqueeze", guard, _ints(nodes, 1))
    output = model.output
    if not isinstance(output, ClassOutput):
        if output.activation == "exponential":
            raw = nodes.add("Exp", raw)
        elif output.activation == "ordered":
            raw = _add_ordered_link(nodes, raw, output)
        nodes.add("Add", raw, guard, output=outputs[0])
        return

    label, probabilities = outputs
    if output.activation == "softmax":
        p = nodes.add("Softmax", raw, axis=-1)
        number = nodes.add("ArgMax", raw, axis=-1, keepdims=0)
    else:
        p = nodes.add("Sigmoid", raw)
        number = nodes.add("Cast", nodes.add("Greater", raw, _float(nodes, 0)), to=7)  # INT64
    if output.is_multilabel:
        nodes.add("Identity", number, output=label)
    else:
        if output.n_outputs == 1:
            p = nodes.add("Concat", nodes.add("Sub", _float(nodes, 1), p), p, axis=-1)
            number = nodes.add("Squeeze", number, _ints(nodes, -1))
        nodes.add("Gather", nodes.constant(_labels(output)), number, output=label)
    nodes.add("Add", p, guard, output=probabilities)


def _add_ordered_link(nodes: _Nodes, raw: str, output: NumericOutput) -> str:
    """Add steps that are not negative to the level, in the units of y."""
    m, n_above = output.n_outputs // 2, (output.n_outputs - 1) // 2

    def columns(of: str, start: int, count: int) -> str:
        return nodes.add("Slice", of, *(_ints(nodes, n) for n in (start, start + count, -1)))

    level = columns(raw, m, 1)
    parts = [level]
    # The operators are those of the inverse link, in its order, so that rounding keeps the order.
    if m:
        axis = nodes.constant(np.array(-1, np.int64))
        steps = nodes.add("Softplus", raw)
        below = nodes.add("CumSum", columns(steps, 0, m), axis, reverse=1)
        parts = [nodes.add("Sub", level, below), level]
    if n_above:
        above = nodes.add("CumSum", columns(steps, m + 1, n_above), axis)
        parts.append(nodes.add("Add", level, above))
    y = nodes.add("Concat", *parts, axis=-1)
    y = nodes.add("Mul", y, _float(nodes, output.scale[:1]))
    return nodes.add("Add", y, _float(nodes, output.mean[:1]))


class _Packed(NamedTuple):
    """Names of the sequences without their missing steps, and of what says which these are.

    Attributes
    ----------
    x : str
        The sequences, of shape (n_timesteps, n_samples, n_features).
    given : str
        Shape (n_samples, n_timesteps, 1), int32: 1 for a step that is not missing, else 0.
    lengths : str
        Number of steps of each sequence that are not missing, of shape (n_samples,).
    guard : str
        Shape (n_samples, 1): NaN for a sequence with a value that is not finite, else 0. Without
        it, the LSTM operator of onnxruntime could return a finite number for such a sequence.
    """

    x: str
    given: str
    lengths: str
    guard: str


def _add_packing(nodes: _Nodes, X: str, n_features: int) -> _Packed:
    """Add the nodes that skip missing steps: they move to the end, the others keep their order."""
    axis_1, axis_2 = _ints(nodes, 1), _ints(nodes, 2)
    is_nan = nodes.add("Cast", nodes.add("IsNaN", X), to=6)  # INT32
    n_nan = nodes.add("ReduceSum", is_nan, axis_2)  # (n_samples, n_timesteps, 1)
    n_all = nodes.constant(np.array(n_features, np.int32))
    is_missing = nodes.add("Equal", n_nan, n_all)
    x = nodes.add("Where", is_missing, _float(nodes, 0), X)
    # 0 * x is NaN where x is NaN or infinite, else 0.
    guard = nodes.add("ReduceSum", nodes.add("Mul", x, _float(nodes, 0)), axis_2)
    guard = nodes.add("ReduceSum", guard, axis_1, keepdims=0)

    missing = nodes.add("Cast", is_missing, to=1)  # FLOAT
    n_timesteps = nodes.add("Gather", nodes.add("Shape", X), axis_1)
    # Indices of the steps, missing ones last; TopK keeps the order of equal values.
    steps = nodes.add("TopK", missing, n_timesteps, axis=1, largest=0, number=1)
    steps = nodes.add("Expand", steps, nodes.add("Shape", X))
    x = nodes.add("GatherElements", x, steps, axis=1)
    given = nodes.add("Cast", nodes.add("Less", n_nan, n_all), to=6)  # INT32
    lengths = nodes.add("ReduceSum", given, _ints(nodes, 1, 2), keepdims=0)
    return _Packed(nodes.add("Transpose", x, perm=[1, 0, 2]), given, lengths, guard)


def _add_network(nodes: _Nodes, model: Model, packed: _Packed) -> str:
    """Add the layers and the head; return the name of the raw outputs."""
    x, given, lengths, _ = packed
    coefs, intercepts = model.standalone_weights()
    network, D = model.network, model.network.n_directions
    for k, n_units in enumerate(network.hidden_layer_sizes):
        lstms = range(D * k, D * (k + 1))
        rows = gate_rows(n_units, "iofg")
        W_x, W_h = (
            np.stack([coefs[2 * number + which][rows] for number in lstms]) for which in (0, 1)
        )
        b = np.stack([intercepts[number][rows] for number in lstms])
        inputs = [_float(nodes, array) for array in (W_x, W_h, np.hstack([b, np.zeros_like(b)]))]
        all_states, last_state = nodes.add_all(
            "LSTM",
            x,
            *inputs,
            lengths,
            count=2,
            hidden_size=n_units,
            direction="bidirectional" if network.bidirectional else "forward",
        )
        if k + 1 < len(network.hidden_layer_sizes):
            x = _side_by_side(nodes, all_states, D * n_units)
    head = [_float(nodes, array) for array in (coefs[-1], intercepts[-1])]
    if model.return_sequences:
        h = _at_each_step(nodes, _side_by_side(nodes, all_states, D * n_units), given)
        h = nodes.add("MatMul", h, nodes.add("Transpose", head[0], perm=[1, 0]))
        return nodes.add("Add", h, head[1])
    # Directions side by side: (n_samples, D * n_units)
    last = nodes.add("Transpose", last_state, perm=[1, 0, 2])
    summaries = {"last": nodes.add("Reshape", last, _ints(nodes, 0, D * n_units))}
    if network.pooling != ("last",):
        summaries |= _add_pooling(nodes, _side_by_side(nodes, all_states, D * n_units), lengths)
    summary = nodes.add("Concat", *(summaries[name] for name in network.pooling), axis=1)
    return nodes.add("Gemm", summary, *head, transB=1)


def _side_by_side(nodes: _Nodes, h: str, n_units: int) -> str:
    """Lay the directions side by side: (n_timesteps, n_samples, n_units)."""
    return nodes.add(
        "Reshape", nodes.add("Transpose", h, perm=[0, 2, 1, 3]), _ints(nodes, 0, 0, n_units)
    )


def _at_each_step(nodes: _Nodes, h: str, given: str) -> str:
    """Bring the hidden states back to the places of their steps, (n_samples, n_timesteps, n_units).

    A missing step has the state of the last one before it, or zero.
    """
    h = nodes.add("Transpose", h, perm=[1, 0, 2])
    number = nodes.add("CumSum", given, nodes.constant(np.array(1, np.int64)))  # from 1 on
    number = nodes.add("Cast", number, to=7)  # INT64
    place = nodes.add("Max", nodes.add("Sub", number, _ints(nodes, 1)), _ints(nodes, 0))
    h = nodes.add("GatherElements", h, nodes.add("Expand", place, nodes.add("Shape", h)), axis=1)
    is_before = nodes.add("Less", number, _ints(nodes, 1))
    return nodes.add("Where", is_before, _float(nodes, 0), h)


def _add_pooling(nodes: _Nodes, h: str, lengths: str) -> dict[str, str]:
    """Add mean and maximum of the hidden states over the steps that are not missing."""
    n_steps = nodes.add("Gather", nodes.add("Shape", h), nodes.constant(np.array(0, np.int64)))
    zero, one = (nodes.constant(np.array(value, np.int64)) for value in (0, 1))
    steps = nodes.add("Unsqueeze", nodes.add("Range", zero, n_steps, one), _ints(nodes, 1, 2))
    n_given = nodes.add("Cast", lengths, to=7)  # INT64
    n_given = nodes.add("Unsqueeze", n_given, _ints(nodes, 1))  # (n_samples, 1)
    is_given = nodes.add("Less", steps, n_given)  # (n_timesteps, n_samples, 1)
    total = nodes.add(
        "ReduceSum", nodes.add("Where", is_given, h, _float(nodes, 0)), _ints(nodes, 0), keepdims=0
    )
    n_given = nodes.add("Cast", n_given, to=1)  # FLOAT
    mean = nodes.add("Div", total, nodes.add("Max", n_given, _float(nodes, 1)))
    # TopK has one form in all operator sets, ReduceMax has two. Hidden states are above -1.
    candidates = nodes.add("Where", is_given, h, _float(nodes, -2))
    top, _ = nodes.add_all("TopK", candidates, _ints(nodes, 1), count=2, axis=0)
    top = nodes.add("Squeeze", top, _ints(nodes, 0))
    is_empty = nodes.add("Less", n_given, _float(nodes, 0.5))
    return {"mean": mean, "max": nodes.add("Where", is_empty, _float(nodes, 0), top)}


def _add_linear_part(nodes: _Nodes, model: Model, X: str, raw: str) -> str:
    """Add the linear part on the last time steps, of each sequence or step, to the raw outputs."""
    recent = model.recent
    if recent is None:
        return raw
    z = nodes.add("Sub", X, _float(nodes, recent.mean))
    z = nodes.add("Div", z, _float(nodes, recent.scale))
    z = nodes.add("Where", nodes.add("IsNaN", z), _float(nodes, 0), z)
    skip_coef = model.standalone_skip()  # (n_outputs, n_steps * n_features)
    if model.return_sequences:
        # Zeros stand for the steps before the first one.
        z = nodes.add("Transpose", z, perm=[0, 2, 1])  # (n_samples, n_features, n_timesteps)
        coef = skip_coef.reshape(len(skip_coef), recent.n_steps, -1).transpose(0, 2, 1)
        pads = [recent.n_steps - 1, 0]
        skip = nodes.add("Conv", z, _float(nodes, np.ascontiguousarray(coef)), pads=pads)
        return nodes.add("Add", raw, nodes.add("Transpose", skip, perm=[0, 2, 1]))
    # Steps before the first one: zeros of shape (n_samples, n_steps, n_features) in front.
    n_samples = nodes.add("Gather", nodes.add("Shape", X), _ints(nodes, 0))
    shape = nodes.add("Concat", n_samples, _ints(nodes, recent.n_steps, len(recent.mean)), axis=0)
    z = nodes.add("Concat", nodes.add("Expand", _float(nodes, 0), shape), z, axis=1)
    end = _ints(nodes, np.iinfo(np.int64).max)
    z = nodes.add("Slice", z, _ints(nodes, -recent.n_steps), end, _ints(nodes, 1))
    z = nodes.add("Reshape", z, _ints(nodes, 0, recent.n_inputs))
    skip = nodes.add("MatMul", z, _float(nodes, skip_coef.T))
    return nodes.add("Add", raw, skip)


def _float(nodes: _Nodes, values: ArrayLike) -> str:
    return nodes.constant(np.asarray(values, np.float32))


def _ints(nodes: _Nodes, *values: int) -> str:
    return nodes.constant(np.array(values, np.int64))


def _labels(output: ClassOutput) -> NDArray[Any]:
    """Return the class labels as int64, or as strings of dtype object: the types of ONNX."""
    classes = output.classes
    if all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    if classes.dtype.kind in "biuf" and (classes == classes.astype(np.int64)).all():
        return classes.astype(np.int64)
    raise TypeError(
        f"ONNX labels must be strings or whole numbers, but the classes are {classes.tolist()}."
    )


def _import(package: str, function: str) -> Any:
    """Import an optional dependency."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{function} needs {package}, which is not installed: pip install 'sklstm[interop]'"
        ) from error
