"""Weights of Keras and PyTorch, without either: conversion to estimators and back.

frameworks.py has written the outputs and losses of the frameworks to the files in data/.
test_keras.py and test_torch.py compare with the frameworks themselves.
"""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from interop.frameworks import ADAM, DATA, N_STEPS, NETWORKS, UNEQUAL, make_data, training_runs
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from support.data import make_sequences, outputs, partial_fit
from support.plain import PLAIN, plain

from sklstm import LSTMClassifier, LSTMRegressor, interop
from sklstm.interop import from_keras, from_torch, to_keras, to_onnx, to_torch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, NUMBERS, CLASSES = make_data()
TORCH, KERAS = (dict(np.load(DATA / f"{name}.npz")) for name in ("torch", "keras"))


def frozen(arrays, name):
    """Return the weights of one network in the layout of its framework, and outputs or losses."""
    named = {key.split("/")[1]: v for key, v in arrays.items() if key.startswith(f"{name}/")}
    result = named.pop("outputs", None)
    if result is None:
        result = named.pop("losses")
    return (list(named.values()) if "0" in named else named), result


def assert_equal_arrays(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("name", [*NETWORKS, *UNEQUAL])
def test_weights_of_keras_give_its_outputs_and_are_returned(name):
    weights, raw = frozen(KERAS, name)
    sizes, _, bidirectional = (NETWORKS | UNEQUAL)[name]
    before = copy.deepcopy(weights)
    model = from_keras(weights, LSTMRegressor(sizes, bidirectional=bidirectional))
    predicted = model.predict(X.astype(np.float32)).reshape(raw.shape)
    np.testing.assert_allclose(predicted, raw, rtol=1e-5, atol=1e-5)
    assert_equal_arrays(to_keras(model), weights)
    assert_equal_arrays(weights, before)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_pytorch_give_its_outputs_and_are_returned(name):
    weights, raw = frozen(TORCH, name)
    sizes, _, bidirectional = NETWORKS[name]
    model = from_torch(weights, LSTMRegressor(sizes, bidirectional=bidirectional))
    np.testing.assert_allclose(model.predict(X).reshape(raw.shape), raw, rtol=1e-10, atol=1e-10)
    back = to_torch(model)
    assert [*back] == [*weights]
    again = to_torch(from_torch(back, LSTMRegressor(sizes, bidirectional=bidirectional)))
    assert_equal_arrays(again.values(), back.values())
    for key, array in back.items():
        # The two biases were added.
        expected = weights[key]
        if "bias_ih" in key:
            expected = expected + weights[key.replace("ih", "hh")]
        np.testing.assert_array_equal(array, 0 if "bias_hh" in key else expected)


def start_of(name, **params):
    """Return an estimator with the initial weights of a training run, y and the losses."""
    weights, losses = frozen(TORCH, name)
    (sizes, _, bidirectional), y = training_runs(NUMBERS, CLASSES)[name]
    cls = LSTMRegressor if name == "regressor" else LSTMClassifier
    template = cls(
        sizes,
        bidirectional=bidirectional,
        alpha=0.0,
        max_grad_norm=None,
        shuffle=False,
        batch_size=len(X),
        learning_rate_init=ADAM["lr"],
        beta_1=ADAM["betas"][0],
        beta_2=ADAM["betas"][1],
        epsilon=ADAM["eps"],
        random_state=0,
        **PLAIN,
        **params,
    )
    return (
        from_torch(weights, template),
        np.squeeze(y).astype(float if y.ndim == 2 else int),
        losses,
    )


@pytest.mark.parametrize("name", ["regressor", "two classes", "three classes"])
def test_partial_fit_gives_the_losses_of_pytorch(name):
    model, y, losses = start_of(name)
    for _ in range(N_STEPS):
        model.partial_fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-6, atol=0)
    assert losses[-1] < losses[0] / 2


def test_fit_with_warm_start_gives_the_losses_of_pytorch():
    model, y, losses = start_of("regressor", warm_start=True, max_iter=N_STEPS, n_iter_no_change=99)
    np.testing.assert_allclose(model.fit(X, y).loss_curve_, losses, rtol=1e-6, atol=0)


NETWORK_PARAMS = [
    {"hidden_layer_sizes": 3},
    {"hidden_layer_sizes": (4, 2)},
    {"hidden_layer_sizes": (3, 3), "bidirectional": True},
]
TARGETS = [
    (LSTMRegressor, {}, 1e3 + 50 * NUMBERS),
    (LSTMRegressor, {}, NUMBERS[:, :1]),
    (LSTMRegressor, {"normalize_y": False}, NUMBERS[:, 0]),
    (LSTMRegressor, {"loss": "poisson"}, 70 + 10 * NUMBERS[:, 0]),
    (LSTMRegressor, {"loss": "quantile", "quantile": 0.9}, 1e3 + 50 * NUMBERS[:, 0]),
    (LSTMClassifier, {}, CLASSES > 0),
    (LSTMClassifier, {}, np.array(["a", "c", "b"])[CLASSES]),
    (LSTMClassifier, {}, np.tri(3, dtype=int)[CLASSES]),
]
TARGET_IDS = ["numbers", "a column", "raw numbers", "counts", "quantile", "two", "three", "labels"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", NETWORK_PARAMS, ids=["one layer", "unequal", "bidirectional"])
@pytest.mark.parametrize(("cls", "loss", "y"), TARGETS, ids=TARGET_IDS)
def test_a_round_trip_keeps_the_predictions(cls, loss, y, params, dtype):
    model = plain(cls, **params, **loss).fit(X.astype(dtype), y)
    expected = outputs(model, X)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    trips = [(to_keras, from_keras)]
    if params["hidden_layer_sizes"] != (4, 2):
        trips.append((to_torch, from_torch))
    for there, back in trips:
        imported = back(there(model), model)
        assert imported is not model
        found = outputs(imported, X)
        assert (found.dtype, found.shape) == (dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        weights = [there(estimator) for estimator in (imported, back(there(imported), imported))]
        assert_equal_arrays(*([*(w.values() if isinstance(w, dict) else w)] for w in weights))
    np.testing.assert_array_equal(outputs(model, X), expected)


@pytest.mark.parametrize(("cls", "loss", "y"), TARGETS, ids=TARGET_IDS)
def test_an_imported_estimator_can_be_used_like_a_fitted_one(cls, loss, y):
    fitted = plain(cls, **loss).fit(X, y)
    model = from_keras(to_keras(fitted), fitted)
    assert set(vars(model)) == set(vars(fitted))
    assert set(vars(from_keras(to_keras(fitted), clone(fitted)))) == set(vars(fitted))
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    assert model.get_params() == fitted.get_params()
    assert model.out_activation_ == fitted.out_activation_

    state = None
    for x_t in X[0]:
        step, state = model.predict_step(x_t, state)
    expected = model.predict(X[:1])[0]
    if cls is LSTMRegressor:
        np.testing.assert_allclose(step, expected, rtol=1e-10)
    else:
        np.testing.assert_array_equal(step, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    with pytest.raises(NotFittedError):
        clone(model).predict(X)

    before = outputs(model, X)
    partial_fit(model, X, y)
    assert model.n_iter_ == 1
    assert not np.array_equal(outputs(model, X), before)
    again = model.fit(X, y)
    np.testing.assert_array_equal(outputs(again, X), outputs(fitted, X))


def weights_of(n_outputs, n_features=2, n_units=4, seed=0):
    """Return random weights in the layout of Keras."""
    rng = np.random.default_rng(seed)
    n = 4 * n_units
    shapes = [(n_features, n), (n_units, n), (n,), (n_units, n_outputs), (n_outputs,)]
    return [rng.normal(size=shape) for shape in shapes]


def test_classes_name_the_outputs_in_their_order():
    weights = weights_of(3)
    plain = from_keras(weights, LSTMClassifier(4))
    np.testing.assert_array_equal(plain.classes_, [0, 1, 2])
    named = from_keras(weights, LSTMClassifier(4), classes=["c", "a", "b"])
    np.testing.assert_array_equal(named.classes_, ["a", "b", "c"])
    np.testing.assert_array_equal(named.predict(X), np.array(["c", "a", "b"])[plain.predict(X)])
    p, p_plain = named.predict_proba(X), plain.predict_proba(X)
    np.testing.assert_allclose(p, p_plain[:, [1, 2, 0]], rtol=1e-12)
    assert len({*plain.predict(X)}) > 1


@pytest.mark.parametrize("classes", [["no", "yes"], ["yes", "no"]])
def test_two_classes_can_have_one_output_or_two(classes):
    one = from_keras(weights_of(1), LSTMClassifier(4), classes=classes)
    raw = from_keras(weights_of(1), LSTMRegressor(4)).predict(X)
    p_second = 1 / (1 + np.exp(-raw))
    np.testing.assert_allclose(
        one.predict_proba(X)[:, classes.index("yes") if classes[0] == "no" else 0], p_second
    )
    np.testing.assert_array_equal(one.predict(X), np.where(raw > 0, classes[1], classes[0]))

    two = from_keras(weights_of(2), LSTMClassifier(4), classes=classes)
    raw = from_keras(weights_of(2), LSTMRegressor(4)).predict(X)
    np.testing.assert_array_equal(two.predict(X), np.array(classes)[raw.argmax(axis=1)])
    softmax = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    order = [0, 1] if classes[0] == "no" else [1, 0]
    np.testing.assert_allclose(two.predict_proba(X), softmax[:, order], rtol=1e-10)
    assert two.n_outputs_ == 1


def test_the_classes_of_a_fitted_estimator_are_kept_unless_given():
    fitted = plain(LSTMClassifier).fit(X, np.array(["a", "b", "c"])[CLASSES])
    kept = from_keras(weights_of(3), fitted)
    np.testing.assert_array_equal(kept.classes_, ["a", "b", "c"])
    renamed = from_keras(weights_of(3), fitted, classes=["z", "y", "x"])
    np.testing.assert_allclose(renamed.predict_proba(X), kept.predict_proba(X)[:, ::-1], rtol=1e-12)
    np.testing.assert_array_equal(renamed.classes_, ["x", "y", "z"])
    np.testing.assert_array_equal(fitted.classes_, ["a", "b", "c"])


def test_an_imported_estimator_reads_the_form_of_x_of_the_template():
    flat = X.reshape(len(X), -1)
    model = from_keras(weights_of(1), LSTMRegressor(4))
    rows = from_keras(weights_of(1), LSTMRegressor(4, timesteps=7))
    np.testing.assert_array_equal(rows.predict(flat), model.predict(X))
    assert (model.n_features_in_, rows.n_features_in_) == (2, 14)
    ragged = make_sequences("ragged")
    np.testing.assert_allclose(
        model.predict(ragged), model.predict(make_sequences("missing")), rtol=1e-10
    )
    # Fitted on a 2-D X with one step in each column.
    columns = plain(LSTMRegressor).fit(flat, NUMBERS)
    imported = from_keras(to_keras(columns), columns)
    np.testing.assert_allclose(imported.predict(flat), columns.predict(flat), rtol=1e-10)


def test_the_dtype_is_that_of_the_estimator_or_the_weights():
    weights = weights_of(1)
    half = [w.astype(np.float16) for w in weights]
    single = [w.astype(np.float32) for w in weights]
    for given, dtype, expected in (
        (weights, None, np.float64),
        (single, None, np.float32),
        ([*single[:-1], weights[-1]], None, np.float64),
        (half, None, np.float64),
        (weights, "float32", np.float32),
        (single, "float64", np.float64),
    ):
        model = from_keras(given, LSTMRegressor(4, dtype=dtype))
        assert {w.dtype for w in to_keras(model)} == {np.dtype(expected)}


def without(names, weights):
    return {name: w for name, w in weights.items() if name not in names}


STATE = frozen(TORCH, "one layer")[0]
STACKED = frozen(TORCH, "stacked")[0]
BOTH = frozen(KERAS, "bidirectional")[0]


@pytest.mark.parametrize(
    ("read", "weights", "estimator", "classes", "match"),
    [
        (from_keras, weights_of(1)[:-1], LSTMRegressor(4), None, "weights holds 4 arrays"),
        (from_keras, weights_of(1)[-2:], LSTMRegressor(4), None, "weights holds 2 arrays"),
        (from_keras, [], LSTMRegressor(4), None, "weights holds 0 arrays"),
        (from_keras, weights_of(1), LSTMRegressor(5), None, r"hidden_layer_sizes=\(4,\).*\(5,\)"),
        (from_keras, weights_of(1), LSTMRegressor(4, bidirectional=True), None, "bidirectional=F"),
        (from_keras, BOTH, LSTMRegressor(3), None, "bidirectional=True, but.*bidirectional=False"),
        (from_keras, weights_of(1), LSTMRegressor(4, alpha=-1), None, "'alpha' parameter"),
        (
            from_keras,
            [*weights_of(1)[:2], np.zeros(15), *weights_of(1)[3:]],
            LSTMRegressor(4),
            None,
            r"weights\[2\] is of shape \(15,\), but .* shape \(16,\)",
        ),
        (
            from_keras,
            [weights_of(1)[0].T, *weights_of(1)[1:]],
            LSTMRegressor(4),
            None,
            r"weights\[0\] is of shape \(16, 2\)",
        ),
        (
            from_keras,
            [*weights_of(1)[:4], [np.nan]],
            LSTMRegressor(4),
            None,
            r"weights\[4\] contains NaN",
        ),
        (from_keras, [*weights_of(1)[:4], ["a"]], LSTMRegressor(4), None, r"weights\[4\] must be"),
        (from_keras, [*weights_of(1)[:4], 1.0], LSTMRegressor(4), None, r"weights\[4\] must be"),
        (from_keras, weights_of(1), LSTMRegressor(4), [0, 1], "for an LSTMClassifier"),
        (
            from_keras,
            weights_of(3),
            LSTMClassifier(4),
            [0, 1],
            r"for 3 classes, but the classes are \[0, 1\]",
        ),
        (
            from_keras,
            weights_of(1),
            LSTMClassifier(4),
            [0, 1, 2],
            r"for 2 classes, but .*\[0, 1, 2\]",
        ),
        (from_keras, weights_of(1), LSTMClassifier(4), [[0, 1]], r"2 classes, but .*\[\[0, 1\]\]"),
        (from_keras, weights_of(3), LSTMClassifier(4), [0, 1, 1], "more than once"),
        (from_torch, without("head.bias", STATE), LSTMRegressor(5), None, r"Missing: \['head.bias"),
        (from_torch, {}, LSTMRegressor(5), None, "Missing: "),
        (
            from_torch,
            STATE | {"norm.weight": np.ones(5)},
            LSTMRegressor(5),
            None,
            r"Missing: \[\]; unknown: \['norm.weight'\]",
        ),
        (
            from_torch,
            without("lstm.weight_hh_l1", STACKED),
            LSTMRegressor((4, 4, 4)),
            None,
            r"Missing: \['lstm.weight_hh_l1'\]",
        ),
        (from_torch, STACKED, LSTMRegressor((4, 4)), None, r"\(4, 4, 4\), but .*\(4, 4\)"),
        (
            from_torch,
            STATE | {"lstm.bias_hh_l0": np.zeros(10)},
            LSTMRegressor(5),
            None,
            r"lstm.bias_hh_l0 is of shape \(10,\)",
        ),
    ],
)
def test_inconsistent_weights_raise(read, weights, estimator, classes, match):
    with pytest.raises(ValueError, match=match):
        read(weights, estimator, classes=classes)
    assert not hasattr(estimator, "coefs_")


def test_weights_that_do_not_match_the_fitted_estimator_raise():
    regressor = plain(LSTMRegressor).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="1 output"):
        from_keras(weights_of(1), regressor)
    with pytest.raises(ValueError, match=r"reads 5 features.*fitted on 2"):
        from_keras(weights_of(2, n_features=5), regressor)
    classifier = plain(LSTMClassifier).fit(X, CLASSES)
    with pytest.raises(ValueError, match="for 2 classes, but the classes are"):
        from_keras(weights_of(1), classifier)
    multilabel = plain(LSTMClassifier).fit(X, np.tri(3, dtype=int)[CLASSES])
    with pytest.raises(ValueError, match="no names"):
        from_keras(weights_of(3), multilabel, classes=["a", "b", "c"])


def test_to_torch_of_layers_of_unequal_size_raises():
    model = plain(LSTMRegressor, hidden_layer_sizes=(4, 2)).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"one size, but .* \(4, 2\)"):
        to_torch(model)


@pytest.mark.parametrize(("write", "framework"), [(to_keras, "Keras"), (to_torch, "PyTorch")])
@pytest.mark.parametrize(
    ("params", "required"),
    [
        ({"linear_skip": 2}, "linear_skip=0,"),
        ({"pooling": "mean"}, "pooling='last',"),
        ({"pooling": ("last", "max"), "linear_skip": 2}, "linear_skip=0 and pooling='last',"),
    ],
    ids=["linear part", "pooling", "both"],
)
def test_exporting_a_linear_part_or_pooling_raises(write, framework, params, required):
    for cls, y in ((LSTMRegressor, NUMBERS), (LSTMClassifier, CLASSES)):
        model = plain(cls, **params).fit(X, y)
        with pytest.raises(
            ValueError, match=rf"weights for {framework} .* with {required} or use to_onnx"
        ):
            write(model)


@pytest.mark.parametrize("write", [to_keras, to_torch, to_onnx])
def test_exporting_anything_but_a_fitted_estimator_raises(write):
    with pytest.raises(NotFittedError):
        write(LSTMRegressor())
    with pytest.raises(TypeError, match="got Ridge"):
        write(Ridge())


@pytest.mark.parametrize("read", [from_keras, from_torch])
def test_importing_into_another_estimator_raises(read):
    with pytest.raises(TypeError, match="got Ridge"):
        read({}, Ridge())


@pytest.mark.parametrize(
    ("read", "match"),
    [(from_keras, r"as get_weights\(\) .* got Ridge"), (from_torch, r"as state_dict\(\) .* Ridge")],
)
def test_importing_a_model_instead_of_weights_raises(read, match):
    with pytest.raises(TypeError, match=match):
        read(Ridge(), LSTMRegressor())


def test_exported_arrays_are_copies():
    model = plain(LSTMClassifier).fit(X, CLASSES)
    expected = model.predict_proba(X)
    for array in [*to_keras(model), *to_torch(model).values()]:
        array[...] = 0
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize(
    ("package", "function", "arguments"),
    [
        ("onnx", "to_onnx", [from_keras(weights_of(1), LSTMRegressor(4))]),
        ("skl2onnx", "register_onnx_converters", []),
    ],
)
def test_the_error_names_a_missing_package(package, function, arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{function} needs {package}.*'sklstm\[interop\]'"):
        getattr(interop, function)(*arguments)


@pytest.mark.slow
def test_importing_interop_imports_no_framework():
    program = "import sklstm.interop, sys; print({'torch', 'keras', 'onnx'} & {*sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
