"""Files of the runtime: saving, the format, and invalid or malicious files, which are refused."""

import io
import json
import os
import pickle
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runtime._models import TASKS, X, assert_predicts_the_same, assert_same, y
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import LSTMClassifier, LSTMRegressor, runtime
from sklstm.runtime.file import FORMAT_VERSION

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")


# Saving.


def test_an_unpickled_estimator_is_saved_as_the_same_bytes(tmp_path):
    estimator = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)
    runtime.save(estimator, tmp_path / "a.npz")
    runtime.save(pickle.loads(pickle.dumps(estimator)), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


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
def test_saving_anything_but_a_fitted_estimator_raises(estimator, error, message, tmp_path):
    with pytest.raises(error, match=message):
        runtime.save(estimator, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_saving_labels_that_json_cannot_hold_raises(tmp_path):
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    estimator = LSTMClassifier(2, max_iter=1).fit(X, days[(y > 0).astype(int)])
    with pytest.raises(TypeError, match=r"must be strings, .* not of datetime64\[D\]"):
        runtime.save(estimator, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_changed_parameters_do_not_affect_the_file(tmp_path):
    rows = X.reshape(30, 14)
    estimator = LSTMRegressor(2, timesteps=7, max_iter=1, random_state=0).fit(rows, y)
    expected = estimator.predict(rows)
    estimator.set_params(timesteps=2, hidden_layer_sizes=5, dtype="float32", loss="poisson")
    runtime.save(estimator, tmp_path / "model.npz")
    assert_same(runtime.load(tmp_path / "model.npz").predict(rows), expected)


def test_saving_a_header_larger_than_load_accepts_raises(tmp_path):
    long_names = [letter * 150_000 for letter in "abcdefg"]
    frame = pd.DataFrame(X[:, :, 0], columns=long_names)
    estimator = LSTMRegressor(2, max_iter=1, timesteps=7).fit(frame, y)
    with pytest.raises(ValueError, match=r"take 1050\d{3} bytes, more than the 1048576"):
        runtime.save(estimator, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
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
def test_the_file_has_default_permissions_and_links_are_kept(tmp_path):
    (tmp_path / "plain").touch()
    (tmp_path / "link.npz").symlink_to(tmp_path / "model.npz")
    runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "model.npz")]
    assert modes[0] == modes[1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o666])
def test_the_permissions_of_a_file_that_is_replaced_are_kept(mode, path):
    path.touch()
    path.chmod(mode)
    estimator = LSTMRegressor(2, max_iter=1).fit(X, y)
    runtime.save(estimator, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert_predicts_the_same(runtime.load(path), estimator, X)


def test_a_file_name_as_long_as_the_system_allows_can_be_saved(tmp_path):
    longest = 255 if os.name == "nt" else os.pathconf(tmp_path, "PC_NAME_MAX")
    name = "m" * (longest - 4) + ".npz"
    runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_temporary_files_of_killed_writers_are_removed_after_an_hour(tmp_path):
    for name, seconds in ((".sklstm-a.tmp", 7200), (".sklstm-b.tmp", 60), ("c.tmp", 7200)):
        (tmp_path / name).touch()
        then = (tmp_path / name).stat().st_mtime - seconds
        os.utime(tmp_path / name, (then, then))
    runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), tmp_path / "model.npz")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".sklstm-b.tmp", "c.tmp", "model.npz"]


@pytest.mark.skipif(
    getattr(os, "geteuid", int)() == 0, reason="needs permissions, which do not bind root"
)
def test_a_folder_that_cannot_be_listed_can_be_saved_to(tmp_path):
    folder = tmp_path / "drop box"
    folder.mkdir(0o300)
    runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), folder / "model.npz")
    folder.chmod(0o700)
    assert [path.name for path in folder.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_not_a_regular_file_is_neither_replaced_nor_loaded(kind, path):
    if kind == "folder":
        path.mkdir()
    elif os.name == "nt":
        pytest.skip("no pipes and devices with a path")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    assert_load_raises(path, "it is not a regular file")
    if kind != "device":  # if it were replaced, the machine would suffer
        before = path.stat().st_mode
        with pytest.raises(ValueError, match="exists and is not a regular file"):
            runtime.save(LSTMRegressor(2, max_iter=1).fit(X, y), path)
        assert path.stat().st_mode == before


# The format: a file of each version. These never change.

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
# Version 2 adds pooling and the linear part.
HEADER_2 = {
    **dict([*HEADER_1.items()][:9]),
    "format_version": 2,
    "pooling": ["last", "mean", "max"],
    "linear_steps": 2,
    "linear_mean": [1.0],
    "linear_scale": [4.0],
    **dict([*HEADER_1.items()][9:]),
}
# Gates in the order i, f, g, o. Here i = o = 1 and f = 0, so h = tanh(tanh(x)).
WEIGHTS_1 = {
    "coefs_0.npy": np.array([[0.0], [0.0], [1.0], [0.0]]),
    "coefs_1.npy": np.zeros((4, 1)),
    "coefs_2.npy": np.array([[3.0]]),
    "intercepts_0.npy": np.array([100.0, -100.0, 0.0, 100.0]),
    "intercepts_1.npy": np.array([0.5]),
}
WEIGHTS_2 = {
    **WEIGHTS_1,
    "coefs_2.npy": np.array([[3.0, 5.0, 7.0]]),
    "skip.npy": np.array([[20.0, 40.0]]),
}

# Version 3 adds several quantiles of a target.
HEADER_3 = {
    **HEADER_2,
    "format_version": 3,
    "n_outputs": 3,
    "pooling": ["last"],
    "linear_steps": 0,
    "linear_mean": [],
    "linear_scale": [],
    "out_activation": "ordered",
    "y_is_1d": False,
    "y_mean": [10.0, 10.0, 10.0],
    "y_scale": [2.0, 2.0, 2.0],
}
WEIGHTS_3 = {
    **WEIGHTS_1,
    "coefs_2.npy": np.array([[1.0], [3.0], [0.0]]),
    "intercepts_1.npy": np.array([-1.0, 0.5, 2.0]),
}

# Version 4 adds outputs at each step.
HEADER_4 = {
    **dict([*HEADER_2.items()][:10]),
    "format_version": 4,
    "pooling": ["last"],
    "return_sequences": True,
    **dict([*HEADER_2.items()][10:]),
}
WEIGHTS_4 = {**WEIGHTS_2, "coefs_2.npy": np.array([[3.0]])}


def as_npy(array):
    member = io.BytesIO()
    np.save(member, array)
    return member.getvalue()


def write(path, header, weights, *, compression=zipfile.ZIP_STORED, members=()):
    """Write a file by hand; ``members`` are further members, pairs of a name and bytes."""
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


def test_a_regressor_of_format_1_is_loaded(path):
    predictor = runtime.load(write(path, HEADER_1, WEIGHTS_1))
    h = np.tanh(np.tanh([0.3, -2.0]))
    predicted = predictor.predict([[[7.0], [0.3]], [[-2.0]]])
    np.testing.assert_allclose(predicted, 10 + 2 * (3 * h + 0.5), rtol=1e-15)


def test_a_classifier_of_format_1_is_loaded(path):
    predictor = runtime.load(write(path, CLASSIFIER_1, WEIGHTS_1))
    np.testing.assert_array_equal(predictor.predict([[[7.0], [0.3]], [[-2.0]]]), ["yes", "no"])


def test_a_regressor_of_format_2_is_loaded(path):
    predictor = runtime.load(write(path, HEADER_2, WEIGHTS_2))
    predicted = predictor.predict([[[7.0], [0.3]], [[-2.0]]])
    h = np.tanh(np.tanh([7.0, 0.3, -2.0]))
    lstm = np.array([3 * h[1] + 5 * (h[0] + h[1]) / 2 + 7 * h[0], (3 + 5 + 7) * h[2]])
    # Standardised with the mean 1 and the scale 4; a step before the first one has the mean.
    linear = np.array([20 * 6 / 4 + 40 * -0.7 / 4, 40 * -3 / 4])
    np.testing.assert_allclose(predicted, 10 + 2 * (lstm + 0.5 + linear), rtol=1e-14)


def test_a_file_of_format_2_without_a_linear_part_has_no_weights_of_one(path):
    header = {**HEADER_2, "linear_steps": 0, "linear_mean": [], "linear_scale": []}
    weights = {name: array for name, array in WEIGHTS_2.items() if name != "skip.npy"}
    h = np.tanh(np.tanh(-2.0))
    predicted = runtime.load(write(path, header, weights)).predict([[[-2.0]]])
    np.testing.assert_allclose(predicted, [10 + 2 * (15 * h + 0.5)], rtol=1e-14)
    assert_load_raises(write(path, header, WEIGHTS_2), "missing, twice or too many: 'skip.npy'")


def test_quantiles_of_format_3_are_loaded(path):
    predictor = runtime.load(write(path, HEADER_3, WEIGHTS_3))
    h = np.tanh(np.tanh([0.3, -2.0]))
    below, level, above = h - 1, 3 * h + 0.5, np.full(2, 2.0)
    quantiles = [level - np.log1p(np.exp(below)), level, level + np.log1p(np.exp(above))]
    predicted = predictor.predict([[[7.0], [0.3]], [[-2.0]]])
    np.testing.assert_allclose(predicted, 10 + 2 * np.transpose(quantiles), rtol=1e-14)


def test_outputs_at_each_step_of_format_4_are_loaded(path):
    predictor = runtime.load(write(path, HEADER_4, WEIGHTS_4))
    predicted = predictor.predict([[[7.0], [0.3]], [[-2.0]]])
    lstm = 3 * np.tanh(np.tanh([7.0, 0.3, -2.0]))
    # Standardised with the mean 1 and the scale 4; a step before the first one has the mean.
    linear = np.array([40 * 6 / 4, 20 * 6 / 4 + 40 * -0.7 / 4, 40 * -3 / 4])
    expected = 10 + 2 * (lstm + 0.5 + linear)
    np.testing.assert_allclose(predicted[0], expected[:2], rtol=1e-14)
    np.testing.assert_allclose(predicted[1], expected[2:], rtol=1e-14)
    contradiction = {**HEADER_4, "pooling": ["last", "mean"]}
    assert_load_raises(write(path, contradiction, WEIGHTS_4), "contradict each other")


@pytest.mark.parametrize(
    "changes",
    [
        {"y_mean": [10.0, 11.0, 10.0]},
        {"y_scale": [2.0, 2.0, 3.0]},
        {"y_mean": [10.0]},
        {"y_is_1d": True},
        {"estimator": "classifier"},
    ],
)
def test_quantiles_with_different_scales_raise(changes, path):
    """They might cross."""
    assert_load_raises(write(path, {**HEADER_3, **changes}, WEIGHTS_3))


def test_save_writes_the_current_version_of_the_format(path):
    params = {"pooling": ("last", "mean", "max"), "linear_skip": 2}
    estimator = LSTMRegressor(1, max_iter=1, random_state=0, **params).fit(X[:, :, :1], y)
    runtime.save(estimator, path)
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file) == sorted(
            ["header.json", *(name.removesuffix(".npy") for name in WEIGHTS_2)]
        )
        header = json.loads(file["header.json"])
        for number, expected in enumerate(estimator.coefs_):
            assert_same(file[f"coefs_{number}"], expected)
        for number, expected in enumerate(estimator.intercepts_):
            assert_same(file[f"intercepts_{number}"], expected)
        assert_same(file["skip"], estimator.skip_coef_[:, :, 0])
    assert list(header) == list(HEADER_4)
    assert header["linear_mean"] == estimator.skip_mean_.tolist()
    assert header["linear_scale"] == estimator.skip_scale_.tolist()
    assert header["format_version"] == FORMAT_VERSION
    assert header["sklstm_version"] == sklstm.__version__


# Invalid files.


def assert_load_raises(path, message="cannot be loaded"):
    with pytest.raises(ValueError, match=message) as error:
        runtime.load(path)
    assert str(error.value).startswith(f"{os.fspath(path)!r} cannot be loaded: ")


def test_loading_a_missing_file_raises(path):
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
def test_loading_another_kind_of_file_raises(kind, path):
    make, message = FOREIGN[kind]
    make(path)
    assert_load_raises(path, message)


@pytest.mark.slow
def test_loading_a_truncated_file_raises(path):
    whole = write(path, HEADER_2, WEIGHTS_2).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert_load_raises(path)


@pytest.mark.slow
@pytest.mark.parametrize("flip", [0xFF, 0x01])
def test_a_damaged_byte_raises_or_changes_no_prediction(flip, path):
    whole = write(path, HEADER_2, WEIGHTS_2).read_bytes()
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
        assert position not in data  # a byte of the archive without effect, such as of a date
        assert_same(predictor.predict([[[0.3]]]), expected)


def test_loading_a_newer_format_says_to_update(path):
    version = FORMAT_VERSION + 1
    header = {"format": "sklstm.runtime", "format_version": version, "sklstm_version": "3.1"}
    write(path, header, {})
    message = (
        f"format version {version}, written by sklstm '3.1', .* up to {FORMAT_VERSION}: update"
    )
    assert_load_raises(path, message)


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
        ("pooling", "last"),
        ("pooling", []),
        ("pooling", ["sum"]),
        ("pooling", ["last", "last"]),
        ("pooling", [1]),
        ("pooling", None),
        ("linear_steps", -1),
        ("linear_steps", 2.0),
        ("linear_steps", True),
        ("linear_steps", 10**30),
        ("linear_mean", 1.0),
        ("linear_mean", []),
        ("linear_mean", [1.0, 2.0]),
        ("linear_mean", [float("nan")]),
        ("linear_scale", [0.0]),
        ("linear_scale", [-1.0]),
        ("linear_scale", [float("inf")]),
        ("linear_scale", ["4"]),
        ("linear_scale", []),
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
def test_an_invalid_header_entry_raises(name, value, path):
    write(path, {**HEADER_2, name: value}, WEIGHTS_2)
    assert_load_raises(path, rf"{name.replace('_', '.')}|contradict|no 'sklstm\.runtime'")


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
def test_an_invalid_header_of_a_classifier_raises(changes, path):
    write(path, {**CLASSIFIER_1, **changes}, WEIGHTS_1)
    assert_load_raises(path)


def test_labels_that_take_much_memory_as_an_array_raise_without_allocating(path):
    # In an array of strings each takes as much memory as the longest.
    labels = ["a" * 500_000, *map(str, range(99))]
    header = {**CLASSIFIER_1, "classes": labels, "n_outputs": 100, "out_activation": "softmax"}
    write(path, header, WEIGHTS_1)
    tracemalloc.start()
    try:
        assert_load_raises(path, "100 class labels, the longest of 500000 characters, take 2000000")
        assert tracemalloc.get_traced_memory()[1] < 10 * path.stat().st_size
    finally:
        tracemalloc.stop()


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
        (json.dumps({**HEADER_2, "more": 1}).encode(), "missing or unknown: .'more'"),
        (json.dumps({**HEADER_1, 1: 1}).encode(), "missing or unknown"),
        (json.dumps({"y_scale": 0, **dict([*HEADER_1.items()][:-1])}).encode(), "y_scale"),
        (json.dumps(dict([*HEADER_1.items()][:-1])).encode(), "missing or unknown: .'y_scale'"),
        (json.dumps(HEADER_1).replace("10.0", "1e999").encode(), "y_mean"),
    ],
    ids=range(13),
)
def test_an_invalid_header_text_raises(text, message, path):
    assert_load_raises(write(path, text, WEIGHTS_1), message)


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
def test_an_invalid_weights_member_raises(member, message, path):
    assert_load_raises(write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": member}), message)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_a_file_is_not_executed(path):
    trap = np.array([Trap(path.with_name("sprung"))] * 4, dtype=object).reshape(4, 1)
    with io.BytesIO(as_npy(trap)) as file:
        np.load(file, allow_pickle=True)
    path.with_name("sprung").unlink()  # so the trap works
    assert_load_raises(write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": trap}), "dtype object")
    assert not path.with_name("sprung").exists()


@pytest.mark.parametrize(
    ("header", "n_layers"),
    [
        ({"hidden_layer_sizes": [2**31 - 1]}, 1),
        ({"hidden_layer_sizes": [2**31 - 1] * 1000}, 1000),
        ({"n_features": 2**31 - 1}, 1),
        ({"n_outputs": 2**31 - 1, "y_is_1d": False}, 1),
        ({**HEADER_2, "linear_steps": 2**31 - 1}, 1),
    ],
)
def test_a_header_of_a_huge_network_raises_without_allocating(header, n_layers, path):
    shape = (10**9, 10**9)
    names = [f"coefs_{k}.npy" for k in range(2 * n_layers + 1)]
    names += [f"intercepts_{k}.npy" for k in range(n_layers + 1)]
    names += ["skip.npy"] if "linear_steps" in header else []
    write(path, {**HEADER_1, **header}, dict.fromkeys(names, npy_header(shape)))
    assert_load_raises(path, "should be of shape|contradict")


def test_a_header_of_many_layers_raises_without_allocating(path):
    write(path, {**HEADER_1, "hidden_layer_sizes": [1] * 300_000}, WEIGHTS_1)
    assert_load_raises(path, "more layers than it has members")


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
def test_unexpected_members_raise(members, message, path):
    assert_load_raises(write(path, HEADER_1, WEIGHTS_1, members=members), message)


@pytest.mark.parametrize("long", ["n" * 60_000, "n\n" * 30_000, "\x1b[2J" * 10_000])
def test_an_error_has_at_most_a_short_line_of_names_from_a_file(long, path):
    """Whatever name in a file is long: of members, of entries, of versions, of dtypes."""
    newer = {"format": "sklstm.runtime", "format_version": 99, "sklstm_version": long}
    with io.BytesIO() as file:
        np.save(file, np.zeros((4, 1), [(long[:9000], "<f8")]))
        strange = file.getvalue()
    for header, weights in (
        (HEADER_1, {**WEIGHTS_1, long: b"", f"{long}2": b"", f"{long}3": b""}),
        ({**HEADER_1, long: 1}, WEIGHTS_1),
        ({**HEADER_1, "dtype": long}, WEIGHTS_1),
        ({**HEADER_1, "estimator": long}, WEIGHTS_1),
        (newer, {}),
        (HEADER_1, {**WEIGHTS_1, "coefs_0.npy": strange}),
        (HEADER_1, {**WEIGHTS_1, "coefs_0.npy": strange.replace(b"<f8", b"<<8")}),
    ):
        with pytest.raises(ValueError, match="cannot be loaded") as error:
            runtime.load(write(path, header, weights))
        message = str(error.value)
        assert len(message) < 500 + len(os.fspath(path))
        assert message.isprintable()


def test_names_of_a_file_in_an_error_of_predict_are_shortened(path):
    names = [f"column {number} {'n' * 500}" for number in range(1000)]
    header = {**HEADER_1, "n_timesteps": 1000, "feature_names": names}
    predictor = runtime.load(write(path, header, WEIGHTS_1))
    with pytest.raises(ValueError, match="X has the columns") as error:
        predictor.predict(pd.DataFrame(np.zeros((1, 1000))))
    assert len(str(error.value)) < 1000


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["coefs_0.npy", "header.json"])
def test_two_members_of_one_name_raise(name, path):
    write(path, HEADER_1, WEIGHTS_1, members=[(name, b"{}")])
    assert_load_raises(path, f"twice or too many: '{name}'|not written by")


@pytest.mark.parametrize("name", WEIGHTS_2)
def test_a_missing_member_raises(name, path):
    weights = {other: array for other, array in WEIGHTS_2.items() if other != name}
    assert_load_raises(write(path, HEADER_2, weights), f"missing, twice or too many: '{name}'")


def test_compressed_members_raise(path):
    bomb = npy_header((4, 1)) + bytes(100_000_000)
    write(path, HEADER_1, {**WEIGHTS_1, "coefs_0.npy": bomb}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    assert_load_raises(path, "compressed")


def test_overlapping_members_raise(path):
    """Many members share the same bytes: small on disk, large when read."""
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
    assert_load_raises(path, "claim to be larger than the file")
