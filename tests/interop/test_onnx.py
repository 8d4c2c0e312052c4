"""ONNX: converted models are valid and give the predictions of the estimator in onnxruntime."""

import doctest
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import make_sequences, make_target, quick

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.interop import register_onnx_converters, to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = make_sequences("missing", dtype=np.float32)
TOTAL = make_target(LSTMRegressor, X)
THIRDS = make_target(LSTMClassifier, X)
TARGETS = {
    "numbers": (LSTMRegressor, {}, 100 + 5 * TOTAL),
    "several": (LSTMRegressor, {"loss": "huber"}, np.column_stack([TOTAL, 1e3 - TOTAL])),
    "counts": (LSTMRegressor, {"loss": "poisson"}, 9 + TOTAL),
    "quantile": (LSTMRegressor, {"loss": "quantile", "quantile": 0.9}, TOTAL),
    "one of several quantiles": (LSTMRegressor, {"loss": "quantile", "quantile": [0.9]}, TOTAL),
    "two quantiles": (LSTMRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}, 100 + 5 * TOTAL),
    "quantiles": (
        LSTMRegressor,
        {"loss": "quantile", "quantile": [0.05, 0.25, 0.5, 0.75, 0.95]},
        100 + 5 * TOTAL,
    ),
    "strings": (LSTMClassifier, {}, THIRDS),
    "two strings": (LSTMClassifier, {}, np.where(TOTAL > 0, "up", "down").astype(object)),
    "integers": (LSTMClassifier, {}, np.digitize(TOTAL, [-1, 1]) * 5 - 3),
    "booleans": (LSTMClassifier, {}, TOTAL > 0),
    "whole numbers": (LSTMClassifier, {}, np.digitize(TOTAL, [-1, 1]).astype(float)),
    "labels": (LSTMClassifier, {}, (X[:, :3, 0] > 0).astype(int)),
}


def run(model, X):
    """Check a model in ONNX and return its outputs by name."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"X": X}), strict=True))


def assert_predicts_the_same(converted, estimator, X):
    found = run(converted, X)
    expected = estimator.predict(X)
    if isinstance(estimator[-1] if hasattr(estimator, "steps") else estimator, LSTMRegressor):
        assert [*found] == ["variable"]
        expected = expected.reshape(len(X), -1)
        assert found["variable"].dtype == np.float32
        np.testing.assert_allclose(
            found["variable"], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
        )
        assert found["variable"].shape == expected.shape
        return
    assert [*found] == ["label", "probabilities"]
    assert found["label"].dtype == (object if expected.dtype.kind in "UO" else np.int64)
    np.testing.assert_array_equal(found["label"], expected)
    assert found["probabilities"].dtype == np.float32
    p = estimator.predict_proba(X)
    assert found["probabilities"].shape == p.shape
    np.testing.assert_allclose(found["probabilities"], p, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [4, (5, 3, 3)])
@pytest.mark.parametrize("name", TARGETS)
def test_a_converted_estimator_gives_the_same_predictions(name, sizes, bidirectional, dtype):
    cls, params, y = TARGETS[name]
    estimator = quick(
        cls, hidden_layer_sizes=sizes, bidirectional=bidirectional, max_iter=10, **params
    ).fit(X.astype(dtype), y)
    converted = to_onnx(estimator)
    # Other numbers of samples and of steps; no step, some and all steps missing.
    for form, n_samples, n_timesteps in [("dense", 7, 9), ("missing", 30, 12), ("dense", 1, 1)]:
        X_new = make_sequences(form, n_samples, n_timesteps, dtype=np.float32, seed=1)
        if form == "missing":
            X_new[3] = np.nan
        assert_predicts_the_same(converted, estimator, X_new)


# A linear part reads the last positions, so that only padding in front leaves it unchanged.
@pytest.mark.parametrize(("end", "linear_skip"), [("front", 0), ("front", "auto"), ("back", 0)])
def test_ragged_sequences_can_be_padded_with_nan(end, linear_skip):
    ragged = make_sequences("ragged", dtype=np.float32)
    params = {"bidirectional": True, "linear_skip": linear_skip}
    estimator = quick(LSTMRegressor, **params).fit(ragged, TOTAL)
    padded = np.full((len(ragged), 9, 2), np.nan, np.float32)
    for row, sequence in zip(padded, ragged, strict=True):
        n = len(sequence)
        row[slice(9 - n, None) if end == "front" else slice(n)] = sequence
    found = run(to_onnx(estimator), padded)["variable"][:, 0]
    np.testing.assert_allclose(found, estimator.predict(ragged), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["numbers", "counts", "strings", "two strings"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_invalid_sequences_give_nan(bad, name):
    cls, params, y = TARGETS[name]
    estimator = quick(cls, **params).fit(X, y)
    X_new = make_sequences("dense", n_samples=3, dtype=np.float32)
    X_new[1, 2, 0] = bad
    with pytest.raises(ValueError, match="sample 1, timestep 2"):
        estimator.predict(X_new)
    numbers = [*run(to_onnx(estimator), X_new).values()][-1]
    np.testing.assert_array_equal(np.isnan(numbers).all(axis=1), [False, True, False])
    assert not np.isnan(numbers[[0, 2]]).any()


def test_input_and_output_have_named_dimensions():
    estimator = quick(LSTMClassifier).fit(X, THIRDS)
    graph = to_onnx(estimator).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }
    assert shapes == {
        "X": ["n_samples", "n_timesteps", 2],
        "label": ["n_samples"],
        "probabilities": ["n_samples", 3],
    }


@pytest.mark.parametrize("opset", [13, 14, 18, 21, 22, 23])
def test_a_converted_estimator_has_the_target_opset(opset):
    estimator = quick(LSTMClassifier, hidden_layer_sizes=(4, 3), bidirectional=True).fit(X, THIRDS)
    converted = to_onnx(estimator, target_opset=opset)
    assert [(o.domain, o.version) for o in converted.opset_import] == [("", opset)]
    assert_predicts_the_same(converted, estimator, X)


def test_an_unsupported_opset_raises():
    estimator = quick(LSTMRegressor).fit(X, TOTAL)
    with pytest.raises(ValueError, match="target_opset=12 is too old; at least 13"):
        to_onnx(estimator, target_opset=12)
    with pytest.raises(ValueError, match="opset"):
        to_onnx(estimator, target_opset=999)


def test_labels_that_onnx_cannot_hold_raise():
    days = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
    estimator = quick(LSTMClassifier).fit(X, days[(TOTAL > 0).astype(int)])
    with pytest.raises(TypeError, match=r"strings or whole numbers, .*2020, 1, 1"):
        to_onnx(estimator)


@pytest.mark.parametrize("function", [to_onnx, register_onnx_converters])
def test_the_example_in_the_docstring_runs(function):
    pytest.importorskip("skl2onnx")
    # Doctest skips it, since the packages are optional.
    example = re.sub(r" *# doctest: \+SKIP", "", function.__doc__)
    test = doctest.DocTestParser().get_doctest(example, {}, function.__name__, None, None)
    assert doctest.DocTestRunner().run(test) == (0, len(test.examples))


def run_documented(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one writes a file
    return runpy.run_path(str(Path(__file__).parents[2] / "docs" / "interop" / f"{name}.py"))


def test_the_documented_example_keeps_the_predictions(tmp_path, monkeypatch):
    names = run_documented("with_onnx", tmp_path, monkeypatch)
    model, X = names["model"], names["X"]
    np.testing.assert_array_equal(names["label"], model.predict(X))
    np.testing.assert_allclose(names["probabilities"], model.predict_proba(X), rtol=0, atol=1e-5)


def test_the_documented_pipeline_keeps_the_predictions(tmp_path, monkeypatch):
    pytest.importorskip("skl2onnx")
    names = run_documented("with_skl2onnx", tmp_path, monkeypatch)
    expected = names["model"].predict(names["windows"])
    np.testing.assert_allclose(names["passengers"][:, 0], expected, rtol=1e-5)


FLAT_TARGETS = ["numbers", "several", "counts", "strings", "two strings", "integers", "labels"]


@pytest.mark.parametrize("timesteps", [None, 5])
@pytest.mark.parametrize("name", FLAT_TARGETS)
def test_a_converted_pipeline_gives_the_same_predictions(name, timesteps):
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    cls, params, y = TARGETS[name]
    flat = X.reshape(len(X), -1)
    lstm = quick(cls, hidden_layer_sizes=(4, 3), timesteps=timesteps, **params)
    pipeline = make_pipeline(StandardScaler(), lstm).fit(flat, y)
    options = {"zipmap": False} if cls is LSTMClassifier else None
    converted = skl2onnx.to_onnx(pipeline, flat[:1], options=options)
    assert_predicts_the_same(converted, pipeline, flat)


def test_zipmap_gives_dicts_of_probabilities():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    flat = X.reshape(len(X), -1)
    estimator = quick(LSTMClassifier, timesteps=5).fit(flat, THIRDS)
    # The checker of ONNX does not know ZipMap, which belongs to another domain.
    model = skl2onnx.to_onnx(estimator, flat[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    _, (first, *_) = session.run(None, {"X": flat})
    expected = dict(zip(estimator.classes_, estimator.predict_proba(flat[:1])[0], strict=True))
    assert first == pytest.approx(expected, rel=1e-5)


def test_a_pipeline_fitted_in_float64_is_converted():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    flat = X.reshape(len(X), -1).astype(np.float64)
    pipeline = make_pipeline(StandardScaler(), quick(LSTMRegressor, timesteps=5)).fit(flat, TOTAL)
    converted = skl2onnx.to_onnx(pipeline, flat[:1])
    found = run(converted, flat)["variable"][:, 0]
    np.testing.assert_allclose(found, pipeline.predict(flat), rtol=1e-5, atol=1e-5)


def test_skl2onnx_of_a_3d_estimator_raises():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    estimator = quick(LSTMRegressor).fit(X, TOTAL)
    with pytest.raises(ValueError, match="fitted on 3-D X, but skl2onnx"):
        skl2onnx.to_onnx(estimator, X[:1])


def test_skl2onnx_of_several_inputs_raises():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    flat = X.reshape(len(X), -1)
    estimator = quick(LSTMRegressor, timesteps=5).fit(flat, TOTAL)
    halves = [(name, skl2onnx.common.data_types.FloatTensorType([None, 5])) for name in "ab"]
    with pytest.raises(RuntimeError, match="input"):
        skl2onnx.convert_sklearn(estimator, initial_types=halves)
