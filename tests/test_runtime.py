"""The runtime: the estimator's bits with NumPy alone; files that are not right are refused."""

import io
import json
import os
import pickle
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sklstm
from sklstm import LSTMClassifier, LSTMRegressor, runtime
from sklstm.datasets import load_sunspots

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")

ROOT = Path(__file__).parents[1]

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 7, 2))
y = X[:, -1, 0]
labels = np.digitize(y, [-0.5, 0.5])
X_missing = X.copy()
X_missing[::3, 2] = np.nan
X_missing[1] = np.nan
ragged = [sequence[: number % 8] for number, sequence in enumerate(X)]
columns = [f"x{number}" for number in range(14)]

TASKS = {
    "normalize_y": (LSTMRegressor(4, max_iter=2, random_state=0), 1e6 + 3 * y),
    "not normalize_y": (LSTMRegressor(4, max_iter=2, normalize_y=False, random_state=0), y),
    "one column": (LSTMRegressor(4, max_iter=2, random_state=0), y[:, np.newaxis]),
    "two outputs": (LSTMRegressor(4, max_iter=2, random_state=0), np.column_stack([y, 9 * y])),
    "poisson": (LSTMRegressor(4, loss="poisson", max_iter=2, random_state=0), np.exp(y)),
    "quantile": (LSTMRegressor(4, loss="quantile", quantile=0.9, max_iter=2, random_state=0), y),
    "huber": (LSTMRegressor(4, loss="huber", max_iter=2, random_state=0), y),
    "bool": (LSTMClassifier(4, max_iter=2, random_state=0), y > 0),
    "int8": (LSTMClassifier(4, max_iter=2, random_state=0), labels.astype(np.int8)),
    "float32": (LSTMClassifier(4, max_iter=2, random_state=0), labels.astype(np.float32)),
    "str": (LSTMClassifier(4, max_iter=2, random_state=0), np.array(["é", "b", "cc"])[labels]),
    "object": (
        LSTMClassifier(4, max_iter=2, random_state=0),
        np.array(["a", "b", "cc"], dtype=object)[labels],
    ),
    "multilabel": (
        LSTMClassifier(4, max_iter=2, random_state=0),
        np.column_stack([y > 0, y > 1, y < 0]).astype(int),
    ),
}
NETWORKS = {
    "stacked": {"hidden_layer_sizes": (5, 3)},
    "bidirectional": {"bidirectional": True},
    "bidirectional, stacked": {"bidirectional": True, "hidden_layer_sizes": (3, 5, 2)},
    "float32": {"dtype": "float32"},
}
FORMS = {
    "missing steps": (X_missing, {}),
    "ragged": (ragged, {}),
    "ragged, missing steps": ([*ragged[:-1], X_missing[0]], {}),
    "nested lists": (X.tolist(), {}),
    "Series of sequences": (pd.Series(ragged), {}),
    "float32": (X.astype(np.float32), {}),
    "integers": ((10 * X).astype(int), {}),
    "2-D": (X.reshape(30, 14), {"timesteps": 7}),
    "2-D, a step a column": (X[:, :, 0], {}),
    "2-D, nested lists": (X[:, :, 0].tolist(), {}),
    "2-D, missing steps": (X_missing.reshape(30, 14), {"timesteps": 7}),
    "frame": (pd.DataFrame(X.reshape(30, 14), columns=columns), {"timesteps": 7}),
    "polars": (pl.DataFrame(X.reshape(30, 14), schema=columns), {"timesteps": 7}),
    "frame of mixed columns": (pd.DataFrame({"a": y, "b": y > 0, "c": labels}, dtype=object), {}),
    "list of frames": ([pd.DataFrame(sequence, columns=["a", "b"]) for sequence in X], {}),
    "windows": (np.lib.stride_tricks.sliding_window_view(np.arange(36.0), 7)[:, :, np.newaxis], {}),
}


def saved_and_loaded(estimator, tmp_path):
    runtime.save(estimator, tmp_path / "model.npz")
    return runtime.load(tmp_path / "model.npz")


def assert_same(actual, expected):
    """Same bits, and the same shape and dtype."""
    np.testing.assert_array_equal(actual, expected, strict=True)


def assert_predicts_the_same(predictor, estimator, X):
    assert_same(predictor.predict(X), estimator.predict(X))
    if hasattr(estimator, "predict_proba"):
        assert_same(predictor.predict_proba(X), estimator.predict_proba(X))
        assert_same(predictor.classes_, estimator.classes_)
    for name in ("n_features_in_", "n_outputs_", "feature_names_in_"):
        assert hasattr(predictor, name) == hasattr(estimator, name)
        np.testing.assert_array_equal(getattr(predictor, name, 0), getattr(estimator, name, 0))


# The same bits.


@pytest.mark.parametrize("task", TASKS)
def test_every_target(task, tmp_path):
    estimator, target = TASKS[task]
    estimator.fit(X, target)
    predictor = saved_and_loaded(estimator, tmp_path)
    assert hasattr(predictor, "predict_proba") == hasattr(estimator, "predict_proba")
    assert_predicts_the_same(predictor, estimator, X)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", ["two outputs", "str"])
def test_every_network(name, task, tmp_path):
    estimator, target = TASKS[task]
    estimator = type(estimator)(**{**estimator.get_params(), **NETWORKS[name]}).fit(X, target)
    assert_predicts_the_same(saved_and_loaded(estimator, tmp_path), estimator, X_missing)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input(form, tmp_path):
    X, parameters = FORMS[form]
    estimator = LSTMRegressor(4, max_iter=2, random_state=0, **parameters).fit(X, y)
    assert_predicts_the_same(saved_and_loaded(estimator, tmp_path), estimator, X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_sequences_than_go_through_at_once(dtype, tmp_path):
    X = rng.normal(size=(1100, 30, 2)).astype(dtype)
    estimator = LSTMRegressor((40, 20), max_iter=1, random_state=0).fit(X[:50], X[:50, -1, 0])
    predictor = saved_and_loaded(estimator, tmp_path)
    with threadpool_limits(2, user_api="blas"):
        assert_predicts_the_same(predictor, estimator, X)
        X[700, 4] = np.nan
        assert_predicts_the_same(predictor, estimator, X)
        X[1050, 5, 1] = np.inf
        with pytest.raises(ValueError, match="is at sample 1050, timestep 5"):
            predictor.predict(X)


def steps_of(predictor, stream):
    state, answers = None, []
    for x_t in stream:
        answer, state = predictor.predict_step(x_t, state)
        answers.append((answer, state))
    return answers


@pytest.mark.parametrize("task", ["two outputs", "normalize_y", "str", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_step(task, dtype, tmp_path):
    estimator, target = TASKS[task]
    parameters = {**estimator.get_params(), "hidden_layer_sizes": (5, 3), "dtype": dtype}
    estimator = type(estimator)(**parameters).fit(X, target)
    predictor = saved_and_loaded(estimator, tmp_path)
    for stream in (X_missing[0], X_missing[:6].transpose(1, 0, 2)):
        for actual, expected in zip(
            steps_of(predictor, stream), steps_of(estimator, stream), strict=True
        ):
            assert type(actual[0]) is type(expected[0])
            for one, other in zip(actual[1], expected[1], strict=True):
                assert_same(one[0], other[0])
                assert_same(one[1], other[1])
            np.testing.assert_array_equal(actual[0], expected[0])


@given(
    n_units=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    n_features=st.integers(1, 3),
    bidirectional=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_network_comes_back(n_units, n_features, bidirectional, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "model.npz"
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(4, 3, n_features)), rng.normal(size=4)
    estimator = LSTMRegressor(
        n_units, bidirectional=bidirectional, max_iter=1, random_state=seed
    ).fit(X, y)
    runtime.save(estimator, path)
    assert_predicts_the_same(runtime.load(path), estimator, X)


def test_saving_after_loading_a_pickle_gives_the_same_bytes(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    runtime.save(estimator, tmp_path / "a.npz")
    runtime.save(pickle.loads(pickle.dumps(estimator)), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# NumPy alone.


def test_numpy_alone(tmp_path):
    series, target = load_sunspots(return_X_y=True)
    X = np.lib.stride_tricks.sliding_window_view(series, 12, axis=0).transpose(0, 2, 1)[:-1]
    regressor = LSTMRegressor(8, max_iter=2, random_state=0).fit(X, target[12:])
    classifier = LSTMClassifier(8, max_iter=2, random_state=0).fit(X, target[12:] > 50)
    runtime.save(regressor, tmp_path / "regressor.npz")
    runtime.save(classifier, tmp_path / "classifier.npz")
    code = """
import sys

blocked = ["joblib", "matplotlib", "pandas", "scipy", "sklearn", "threadpoolctl"]
sys.modules.update(dict.fromkeys(blocked))  # None: importing it fails

import numpy as np
from sklstm import runtime

X, answers = np.load("X.npy"), {}
for name in ("regressor", "classifier"):
    predictor, state = runtime.load(f"{name}.npz"), None
    answers[name] = predictor.predict(X)
    for x_t in X[0]:
        step, state = predictor.predict_step(x_t, state)
    answers[f"{name} step"] = step
answers["probability"] = predictor.predict_proba(X)
np.savez("answers.npz", **answers)
assert not [name for name in blocked if sys.modules[name] is not None]
"""
    np.save(tmp_path / "X.npy", X)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    answers = np.load(tmp_path / "answers.npz")
    assert_same(answers["regressor"], regressor.predict(X))
    assert_same(answers["classifier"], classifier.predict(X))
    assert_same(answers["probability"], classifier.predict_proba(X))
    for name, estimator in (("regressor", regressor), ("classifier", classifier)):
        np.testing.assert_array_equal(answers[f"{name} step"], steps_of(estimator, X[0])[-1][0])


def test_importing_it_imports_numpy_alone():
    code = """
import sys
import numpy
before = set(sys.modules)
import sklstm.runtime
added = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
assert added <= {"numpy", "sklstm"}, added
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Input that is refused.


@pytest.mark.parametrize(
    ("X_bad", "message"),
    [
        (X[:, :, :1], r"sequences of shape \(n_timesteps, 2\), which X does not fit"),
        (X[:, :, 0], "which X does not fit: 2-D"),
        (X[0, 0], "X has the shape"),
        (X[:0], "none of them 0"),
        (X[:, :0], "none of them 0"),
        ([], "no time step"),
        ([X[0], X[0, :, :1]], r"which X\[1\] does not fit"),
        ([X[0], X[0, 0]], "X must be an array of real numbers"),
        (X + 1j, "complex"),
        (X.astype(str), "real numbers, but it is of dtype <U"),
        (np.where(X > 0, None, "a"), "real numbers"),
        (np.where(X > 3, X, np.inf), "sample 0, timestep 0"),
        (np.where(np.arange(2) == 1, np.nan, X), "sample 0, timestep 0"),
        ([X[0], X[0] * np.inf], r"X\[1\] must be finite in float64.* is at row 0"),
        ("text", "X must hold real numbers"),
        (None, r"X has the shape \(\)"),
    ],
)
def test_sequences_that_are_refused(X_bad, message, tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    with pytest.raises(ValueError, match=message):
        predictor.predict(X_bad)
    with pytest.raises((ValueError, TypeError)):
        estimator.predict(X_bad)


def test_tables_that_are_refused(tmp_path):
    frame = pd.DataFrame(X[:, :, 0], columns=[*"abcdefg"])
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(frame, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    for bad, message in (
        (X, "2-D X of 7 columns, which X does not fit: 3-D, 2 in the last"),
        (X[:, :6, 0], "2-D X of 7 columns, which X does not fit: 2-D, 6 in the last"),
        (frame[[*"gfedcba"]], r"columns \['g', .* fitted on \['a'"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.predict(bad)
    assert_same(predictor.predict(frame.to_numpy()), estimator.predict(frame))


def test_values_must_be_finite_in_the_dtype_of_the_network(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, dtype="float32", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="finite in float32"):
        saved_and_loaded(estimator, tmp_path).predict(X * 1e300)


@pytest.mark.parametrize(
    ("x_t", "state", "message"),
    [
        (X[0, 0, :1], None, r"x_t has the shape \(1,\), but must be of shape \(2,\)"),
        (X, None, "x_t has the shape"),
        (1.0, None, "x_t has the shape"),
        (X[:0, 0], None, "x_t has the shape"),
        ([np.nan, 1], None, "x_t must be finite"),
        ([np.inf, 1], None, "x_t must be finite"),
        (["a", "b"], None, "x_t must hold real numbers"),
        (X[0, 0], 3, "state must be"),
        (X[0, 0], (), "state must be"),
        (X[0, 0], ((np.zeros(4), np.zeros(3)),), "state must be"),
        (X[0, 0], ((np.zeros((1, 4)), np.zeros((1, 4))),), "state must be"),
    ],
)
def test_steps_that_are_refused(x_t, state, message, tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    with pytest.raises(ValueError, match=message):
        predictor.predict_step(x_t, state)


def test_no_steps_of_a_bidirectional_network(tmp_path):
    estimator = LSTMRegressor(4, bidirectional=True, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="needs bidirectional=False"):
        saved_and_loaded(estimator, tmp_path).predict_step(X[0, 0])


def test_a_step_changes_no_state_that_is_given(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    predictor = saved_and_loaded(estimator, tmp_path)
    _, state = predictor.predict_step(X[0, 0])
    before = [array.copy() for pair in state for array in pair]
    predictor.predict_step(X[0, 1], state)
    for array, copy in zip([array for pair in state for array in pair], before, strict=True):
        assert_same(array, copy)


# Saving.


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (LSTMRegressor(), NotFittedError, "not fitted yet"),
        (Ridge(), TypeError, "LSTMRegressor or LSTMClassifier, not Ridge"),
        (LSTMRegressor, TypeError, "LSTMRegressor or LSTMClassifier"),
        (None, TypeError, "LSTMRegressor or LSTMClassifier, not NoneType"),
        (
            make_pipeline(StandardScaler(), LSTMRegressor()),
            TypeError,
            r"save\(pipeline\[-1\], path",
        ),
    ],
)
def test_what_cannot_be_saved(estimator, error, message, tmp_path):
    with pytest.raises(error, match=message):
        runtime.save(estimator, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_cannot_be_saved(tmp_path):
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    estimator = LSTMClassifier(2, max_iter=1).fit(X, days[(y > 0).astype(int)])
    with pytest.raises(TypeError, match=r"must be strings, .* not of datetime64\[D\]"):
        runtime.save(estimator, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_changed_timesteps_cannot_be_saved(tmp_path):
    estimator = LSTMRegressor(2, timesteps=7, max_iter=1).fit(X.reshape(30, 14), y)
    with pytest.raises(ValueError, match="timesteps=2 does not fit"):
        runtime.save(estimator.set_params(timesteps=2), tmp_path / "model.npz")


def test_a_header_that_load_would_refuse_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "_MAX_HEADER_SIZE", 100)
    with pytest.raises(ValueError, match=r"take .* bytes, more than the 100"):
        runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), tmp_path / "model.npz")


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    path.write_bytes(b"old")
    estimator = LSTMRegressor(2, max_iter=1, random_state=0).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: os.write(-1, b""))  # the disk is full
        with pytest.raises(OSError, match="Bad file descriptor"):
            runtime.save(estimator, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    runtime.save(estimator, str(path))
    assert list(tmp_path.iterdir()) == [path]
    assert_predicts_the_same(runtime.load(str(path)), estimator, X)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_the_file_has_the_usual_permissions_and_links_stay(tmp_path):
    (tmp_path / "plain").touch()
    (tmp_path / "link.npz").symlink_to(tmp_path / "model.npz")
    runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "model.npz")]
    assert modes[0] == modes[1]


# The file. A file of each version of the format, as the docs describe it: these never change.

HEADER_1 = {
    "format": "sklstm.runtime",
    "format_version": 1,
    "sklstm_version": "0.1.0",
    "estimator": "regressor",
    "dtype": "float64",
    "n_features": 1,
    "hidden_layer_sizes": [1],
    "n_outputs": 1,
    "bidirectional": False,
    "out_activation": "identity",
    "n_timesteps": None,
    "feature_names": None,
    "y_is_1d": True,
    "y_mean": [10.0],
    "y_scale": [2.0],
}
CLASSIFIER_1 = {
    **{name: value for name, value in HEADER_1.items() if not name.startswith("y_")},
    "estimator": "classifier",
    "out_activation": "logistic",
    "classes": ["no", "yes"],
    "classes_dtype": "str",
    "multilabel": False,
}
# Gates in the order i, f, g, o; i and o are wide open, f is shut, so h = tanh(tanh(x)).
WEIGHTS_1 = {
    "coefs_0.npy": np.array([[0.0], [0.0], [1.0], [0.0]]),
    "coefs_1.npy": np.zeros((4, 1)),
    "coefs_2.npy": np.array([[3.0]]),
    "intercepts_0.npy": np.array([100.0, -100.0, 0.0, 100.0]),
    "intercepts_1.npy": np.array([0.5]),
}


def as_npy(array):
    member = io.BytesIO()
    np.save(member, array)
    return member.getvalue()


def write(path, header, weights, *, compression=zipfile.ZIP_STORED, members=()):
    """Write a file by hand; ``members`` are pairs of a name and bytes, put in besides."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("header.json", text)
        for name, array in weights.items():
            archive.writestr(name, array if isinstance(array, bytes) else as_npy(array))
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_format_1_of_a_regressor(path):
    predictor = runtime.load(write(path, HEADER_1, WEIGHTS_1))
    h = np.tanh(np.tanh([0.3, -2.0]))
    predicted = predictor.predict([[[7.0], [0.3]], [[-2.0]]])
    np.testing.assert_allclose(predicted, 10 + 2 * (3 * h + 0.5), rtol=1e-15)


def test_format_1_of_a_classifier(path):
    predictor = runtime.load(write(path, CLASSIFIER_1, WEIGHTS_1))
    np.testing.assert_array_equal(predictor.predict([[[7.0], [0.3]], [[-2.0]]]), ["yes", "no"])


def test_what_is_saved_is_a_file_of_the_current_version(path):
    estimator = LSTMRegressor(1, max_iter=1, random_state=0).fit(X[:, :, :1], y)
    runtime.save(estimator, path)
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file) == sorted(
            ["header.json", *(name.removesuffix(".npy") for name in WEIGHTS_1)]
        )
        header = json.loads(file["header.json"])
        for number, expected in enumerate(estimator.coefs_):
            assert_same(file[f"coefs_{number}"], expected)
        for number, expected in enumerate(estimator.intercepts_):
            assert_same(file[f"intercepts_{number}"], expected)
    assert list(header) == list(HEADER_1)
    assert header["format_version"] == runtime.FORMAT_VERSION
    assert header["sklstm_version"] == sklstm.__version__


# Files that are refused.


def refuses(path, message="cannot be loaded"):
    with pytest.raises(ValueError, match=message) as error:
        runtime.load(path)
    assert str(error.value).startswith(f"{os.fspath(path)!r} cannot be loaded: ")


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError):
        runtime.load(path)


def save_arrays(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros(3))


FOREIGN = {
    "empty": (lambda path: path.write_bytes(b""), "not an .npz archive"),
    "text": (lambda path: path.write_text("hello"), "not an .npz archive"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(TASKS)), "not an .npz archive"),
    "array": (lambda path: path.write_bytes(as_npy(X)), "not an .npz archive"),
    "arrays": (save_arrays, "not written by sklstm.runtime.save: it has no header.json"),
    "other header": (
        lambda path: write(path, {"a": 1}, WEIGHTS_1),
        "not written by sklstm.runtime",
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(kind, path):
    make, message = FOREIGN[kind]
    make(path)
    refuses(path, message)


def test_every_truncation_is_refused(path):
    whole = write(path, HEADER_1, WEIGHTS_1).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refuses(path)


@pytest.mark.parametrize("flip", [0xFF, 0x01])
def test_every_damaged_byte_is_refused_or_changes_nothing(flip, path):
    whole = write(path, HEADER_1, WEIGHTS_1).read_bytes()
    expected = runtime.load(path).predict([[[0.3]]])
    with zipfile.ZipFile(path) as archive:
        starts = [info.header_offset + 30 + len(info.filename) for info in archive.infolist()]
        sizes = [info.file_size for info in archive.infolist()]
    data = {start + k for start, size in zip(starts, sizes, strict=True) for k in range(size)}
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= flip
        path.write_bytes(damaged)
        try:
            predictor = runtime.load(path)
        except ValueError:
            continue
        assert position not in data  # but a byte of the archive that says nothing, such as a date
        assert_same(predictor.predict([[[0.3]]]), expected)


def test_a_future_version_says_what_to_do(path):
    header = {"format": "sklstm.runtime", "format_version": 2, "sklstm_version": "3.1", "new": 1}
    write(path, header, {})
    refuses(path, "format version 2, written by sklstm 3.1, .* up to 1: update sklstm")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "other"),
        ("format_version", 0),
        ("format_version", None),
        ("format_version", "1"),
        ("format_version", True),
        ("sklstm_version", 3),
        ("estimator", "transformer"),
        ("estimator", []),
        ("dtype", "object"),
        ("dtype", "float16"),
        ("dtype", ["float64"]),
        ("n_features", 0),
        ("n_features", -1),
        ("n_features", 1.0),
        ("n_features", True),
        ("n_features", 10**30),
        ("hidden_layer_sizes", []),
        ("hidden_layer_sizes", [-1]),
        ("hidden_layer_sizes", [1, 0]),
        ("hidden_layer_sizes", [10**400]),
        ("hidden_layer_sizes", 1),
        ("hidden_layer_sizes", {"1": 1}),
        ("n_outputs", -1),
        ("bidirectional", 0),
        ("out_activation", "relu"),
        ("out_activation", "softmax"),
        ("out_activation", {}),
        ("n_timesteps", 0),
        ("n_timesteps", -5),
        ("n_timesteps", 2.5),
        ("n_timesteps", 10**12),
        ("feature_names", "a"),
        ("feature_names", [1]),
        ("feature_names", ["a", "b"]),
        ("y_is_1d", None),
        ("y_mean", 1.0),
        ("y_mean", [1.0, 2.0]),
        ("y_mean", [float("nan")]),
        ("y_mean", ["1"]),
        ("y_scale", [float("inf")]),
        ("y_scale", [0.0]),
        ("y_scale", [-1.0]),
        ("y_scale", []),
    ],
)
def test_entries_of_a_header_that_are_refused(name, value, path):
    write(path, {**HEADER_1, name: value}, WEIGHTS_1)
    refuses(path, rf"{name.replace('_', '.')}|contradict|no 'sklstm\.runtime'")


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": "no"},
        {"classes": ["no"]},
        {"classes": ["no", "no"]},
        {"classes": ["no", 1]},
        {"classes": ["no", "yes", "perhaps"]},
        {"classes": [[], []]},
        {"classes": [False, True]},
        {"classes": [1, 300], "classes_dtype": "int8"},
        {"classes_dtype": "U1000000000"},
        {"classes_dtype": "V8"},
        {"classes_dtype": None},
        {"multilabel": 1},
        {"multilabel": True},
        {"out_activation": "identity"},
        {"out_activation": "softmax"},
    ],
)
def test_classifiers_that_are_refused(changes, path):
    write(path, {**CLASSIFIER_1, **changes}, WEIGHTS_1)
    refuses(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value"),
        (b"[]", "not written by"),
        (b"null", "not written by"),
        (b"\xff\xfe\x00", "cannot be loaded"),
        (b"[" * 100_000, "cannot be loaded"),
        (b'{"format": "sklstm.runtime"}', "format version is None"),
        (
            b'{"format": "sklstm.runtime", "format_version": ' + b"1" * 5000 + b"}",
            "cannot be loaded",
        ),
        (b" " * (1 << 20) + json.dumps(HEADER_1).encode(), "header has more than 1048576 bytes"),
        (json.dumps({**HEADER_1, "more": 1}).encode(), "missing or unknown: .'more'"),
        (json.dumps({**HEADER_1, 1: 1}).encode(), "missing or unknown"),
        (json.dumps({"y_scale": 0, **dict([*HEADER_1.items()][:-1])}).encode(), "y_scale"),
        (json.dumps(dict([*HEADER_1.items()][:-1])).encode(), "missing or unknown: .'y_scale'"),
        (json.dumps(HEADER_1).replace("10.0", "1e999").encode(), "y_mean"),
    ],
    ids=range(13),
)
def test_texts_of_a_header_that_are_refused(text, message, path):
    refuses(write(path, text, WEIGHTS_1), message)


def npy_header(shape, dtype="<f8", fortran_order=False, version=(1, 0)):
    file = io.BytesIO()
    write_header = {
        (1, 0): np.lib.format.write_array_header_1_0,
        (2, 0): np.lib.format.write_array_header_2_0,
    }[version]
    write_header(file, {"shape": shape, "fortran_order": fortran_order, "descr": dtype})
    return file.getvalue()


NUMBERS = WEIGHTS_1["coefs_0.npy"].tobytes()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (np.full((4, 1), np.nan), "weights that are not finite"),
        (np.full((4, 1), np.inf), "weights that are not finite"),
        (np.zeros(4), r"should be of shape \(4, 1\) .* of shape \(4,\)"),
        (np.zeros((4, 1), np.float32), "dtype float64, in C order, but .* dtype float32"),
        (np.zeros((4, 1), ">f8"), "dtype >f8"),
        (npy_header((4, 1), fortran_order=True) + NUMBERS, "in Fortran order"),
        (npy_header((4, 1)) + NUMBERS[:-1], "31 bytes of numbers instead of 32"),
        (npy_header((4, 1)) + NUMBERS + b"0", "33 bytes of numbers instead of 32"),
        (npy_header((10**9, 10**9)) + NUMBERS, r"of shape \(1000000000, 1000000000\)"),
        (npy_header((-4, -1)) + NUMBERS, r"of shape \(-4, -1\)"),
        (npy_header((4, 1), version=(2, 0)) + NUMBERS, "version 1.0"),
        (npy_header((4, 1), dtype="|O") + NUMBERS, "dtype object"),
        (npy_header((4, 1)).replace(b"<f8", b"f8("), "cannot be loaded"),
        (npy_header((4, 1))[:40], "cannot be loaded"),
        (npy_header((4, 1)).replace(b"{'desc", b"{[[[[["), "cannot be loaded"),
        (b"", "cannot be loaded"),
        (NUMBERS, "magic"),
    ],
    ids=range(17),
)
def test_weights_that_are_refused(member, message, path):
    refuses(write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": member}), message)


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_inside_is_not_run(path):
    trap = np.array([Trap(path.with_name("sprung"))] * 4, dtype=object).reshape(4, 1)
    with io.BytesIO(as_npy(trap)) as file:
        np.load(file, allow_pickle=True)
    path.with_name("sprung").unlink()  # it works
    refuses(write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": trap}), "dtype object")
    assert not path.with_name("sprung").exists()


@pytest.mark.parametrize(
    ("header", "n_layers"),
    [
        ({"hidden_layer_sizes": [2**31 - 1]}, 1),
        ({"hidden_layer_sizes": [2**31 - 1] * 1000}, 1000),
        ({"n_features": 2**31 - 1}, 1),
        ({"n_outputs": 2**31 - 1, "y_is_1d": False}, 1),
    ],
)
def test_huge_networks_take_no_memory(header, n_layers, path):
    shape = (10**9, 10**9)
    names = [f"coefs_{k}.npy" for k in range(2 * n_layers + 1)]
    names += [f"intercepts_{k}.npy" for k in range(n_layers + 1)]
    write(path, {**HEADER_1, **header}, dict.fromkeys(names, npy_header(shape)))
    refuses(path, "should be of shape|contradict")


def test_many_layers_take_no_memory(path):
    write(path, {**HEADER_1, "hidden_layer_sizes": [1] * 300_000}, WEIGHTS_1)
    refuses(path, "more layers than it has members")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../../escaped.npy", as_npy(X))], r"twice or too many: '../../escaped.npy'"),
        ([("/tmp/escaped.npy", as_npy(X))], "twice or too many: '/tmp/escaped.npy'"),
        ([("C:\\escaped.npy", as_npy(X))], "twice or too many: 'C:"),
        ([("coefs_3.npy", as_npy(X))], "twice or too many: 'coefs_3.npy'"),
        ([("coefs_0.npy/", b"")], "twice or too many: 'coefs_0.npy/'"),
    ],
)
def test_strange_members_are_refused(members, message, path):
    refuses(write(path, HEADER_1, WEIGHTS_1, members=members), message)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["coefs_0.npy", "header.json"])
def test_two_members_of_one_name_are_refused(name, path):
    write(path, HEADER_1, WEIGHTS_1, members=[(name, b"{}")])
    refuses(path, f"twice or too many: '{name}'|not written by")


@pytest.mark.parametrize("name", WEIGHTS_1)
def test_missing_members_are_refused(name, path):
    weights = {other: array for other, array in WEIGHTS_1.items() if other != name}
    refuses(write(path, HEADER_1, weights), f"missing, twice or too many: '{name}'")


def test_compressed_members_are_refused(path):
    bomb = npy_header((4, 1)) + bytes(100_000_000)
    write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": bomb}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    refuses(path, "compressed")


def test_members_that_overlap_are_refused(path):
    """The same bytes as the data of many members: small on disk, large when read."""
    write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": bytes(100_000)})
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    entry_at = whole.index(b"coefs_0.npy", start) - 46
    entry = whole[entry_at : entry_at + 46 + len("coefs_0.npy")]
    end = whole.index(b"PK\x05\x06")
    directory = whole[start:end] + 50 * entry
    n_entries = (6 + 50).to_bytes(2, "little")
    tail = whole[end : end + 8] + 2 * n_entries + len(directory).to_bytes(4, "little")
    path.write_bytes(whole[:start] + directory + tail + whole[end + 16 :])
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 56
    refuses(path, "claim to be larger than the file")
