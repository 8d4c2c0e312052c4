"""What scikit-learn's common checks test with 2-D X, for 3-D X and lists of sequences."""

import copy
import pickle
from functools import cache

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from support.data import (
    ESTIMATORS,
    FORMS,
    Unchanged,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
    run_python,
    without_missing,
)

from sklstm import LSTMRegressor

pytestmark = [
    pytest.mark.parametrize("cls", ESTIMATORS),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
every_form = pytest.mark.parametrize("form", FORMS)


def fitted(cls, form="dense", **params):
    """Return a fitted estimator with its X and y."""
    X = make_sequences(form)
    y = make_target(cls, X)
    return quick(cls, **params).fit(X, y), X, y


@cache
def fitted_once(cls):
    return fitted(cls, linear_skip=0)[0]


def reorder(X, order):
    """Take some of the sequences, in any form."""
    return [X[k] for k in order] if isinstance(X, list) else X[order]


# Fitting.


@every_form
def test_fitting_twice_gives_the_same_bits(cls, form):
    estimator, X, y = fitted(cls, form)
    first = copy.deepcopy(estimator)
    assert_same_fit(estimator.fit(X, y), first)
    assert_same_fit(clone(estimator).fit(X, y), first)


@every_form
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_float_input_is_computed_in_its_own_dtype(cls, form, dtype):
    X = make_sequences(form, dtype=dtype)
    native = np.dtype(dtype).newbyteorder("=")
    estimator = quick(cls).fit(X, make_target(cls, X))
    assert outputs(estimator, X).dtype == native
    assert {array.dtype for array in estimator.coefs_ + estimator.intercepts_} == {native}


@pytest.mark.parametrize("form", ["dense", "ragged"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float16, bool])
def test_other_input_is_computed_in_float64(cls, form, dtype):
    X = make_sequences(form)
    X = [(sequence > 0).astype(dtype) for sequence in X]
    as_float64 = [sequence.astype(np.float64) for sequence in X]
    if form == "dense":
        X, as_float64 = np.array(X), np.array(as_float64)
    y = make_target(cls, make_sequences(form))
    estimator = quick(cls).fit(X, y)
    assert outputs(estimator, X).dtype == np.float64
    assert_same_fit(estimator, quick(cls).fit(as_float64, y))
    np.testing.assert_array_equal(outputs(estimator, X), outputs(estimator, as_float64))


@every_form
@pytest.mark.parametrize("dtype", ["float32", np.float64])
@pytest.mark.parametrize("dtype_of_X", [np.float32, np.float64])
def test_the_dtype_parameter_overrides_the_dtype_of_x(cls, form, dtype, dtype_of_X):
    X = make_sequences(form, dtype=dtype_of_X)
    y = make_target(cls, X)
    estimator = quick(cls, dtype=dtype).fit(X, y)
    assert outputs(estimator, X).dtype == dtype
    X = [sequence.astype(dtype) for sequence in X]
    assert_same_fit(estimator, quick(cls).fit(X, y))


@every_form
def test_a_fitted_estimator_keeps_its_dtype(cls, form):
    X32 = make_sequences(form, dtype=np.float32)
    y = make_target(cls, X32)
    estimator = quick(cls).fit(X32, y)
    X64 = [sequence.astype(np.float64) for sequence in X32]
    assert outputs(estimator, X64).dtype == np.float32
    partial_fit(estimator, X64, y)
    assert estimator.coefs_[0].dtype == np.float32


def test_any_memory_layout_gives_the_same_bits(cls):
    estimator, X, y = fitted(cls)
    sparse = np.zeros((len(X), 2 * X.shape[1], 3 * X.shape[2]))[:, ::2, ::3]
    sparse[...] = X
    layouts = {
        "F-order": np.asfortranarray(X),
        "time first": X.transpose(1, 0, 2).copy().transpose(1, 0, 2),
        "features first": X.transpose(2, 1, 0).copy().transpose(2, 1, 0),
        "with gaps": sparse,
        "negative strides": X[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
        "rows of a larger F-order array": np.asfortranarray(np.concatenate([X, X]))[: len(X)],
        "other byte order": X.astype(X.dtype.newbyteorder()),
    }
    for name, layout in layouts.items():
        np.testing.assert_array_equal(layout, X, err_msg=name)
        assert_same_fit(quick(cls).fit(layout, y), estimator)
        np.testing.assert_array_equal(outputs(estimator, layout), outputs(estimator, X), name)


def test_memory_between_the_rows_is_not_read(cls):
    X = make_sequences("dense")
    y = make_target(cls, X)
    with_others = np.full((3 * len(X), *X.shape[1:]), np.inf, order="F")
    with_others[: len(X)] = X
    assert_same_fit(quick(cls).fit(with_others[: len(X)], y), quick(cls).fit(X, y))


@pytest.mark.parametrize("nested", [list, tuple, np.ndarray.tolist, "objects"])
@pytest.mark.parametrize("form", ["dense", "ragged"])
def test_lists_are_read_like_arrays(cls, form, nested):
    estimator, X, y = fitted(cls, form)
    if nested == "objects":
        listed = np.empty(len(X), dtype=object)
        listed[:] = list(X)
    elif nested is np.ndarray.tolist:
        # A sequence of no steps has to say how many features its steps would have.
        listed = [x.tolist() if len(x) else x for x in X]
    else:
        listed = nested(X)
    assert_same_fit(quick(cls).fit(listed, list(y)), estimator)
    np.testing.assert_array_equal(outputs(estimator, listed), outputs(estimator, X))


@every_form
def test_read_only_memory_maps_are_accepted(cls, form, tmp_path):
    estimator, X, y = fitted(cls, form)
    joblib.dump((X, y, np.ones(len(y))), tmp_path / "data.joblib")
    X_mapped, y_mapped, weights = joblib.load(tmp_path / "data.joblib", mmap_mode="r")
    assert all(not sequence.flags.writeable for sequence in X_mapped if sequence.size)
    mapped = quick(cls).fit(X_mapped, y_mapped, sample_weight=weights)
    assert_same_fit(mapped, estimator)
    np.testing.assert_array_equal(outputs(mapped, X_mapped), outputs(estimator, X))
    partial_fit(mapped, X_mapped, y_mapped, sample_weight=weights)


@every_form
def test_arguments_are_not_written_to(cls, form):
    X = make_sequences(form)
    y, weights = make_target(cls, X), np.arange(1.0, len(X) + 1)
    estimator = quick(cls)
    hashes = joblib.hash((X, y, weights))
    partial_fit(estimator.fit(X, y, sample_weight=weights), X, y, sample_weight=weights)
    outputs(estimator, X)
    estimator.score(X, y, sample_weight=weights)
    assert joblib.hash((X, y, weights)) == hashes


# Predicting.


@every_form
def test_predicting_changes_nothing(cls, form):
    estimator, X, y = fitted(cls, form)
    with Unchanged(estimator, X, y):
        estimator.predict(X)
        outputs(estimator, X)
        estimator.score(X, y)
        _ = estimator.coefs_, estimator.intercepts_


@every_form
def test_predictions_do_not_depend_on_the_other_sequences(cls, form):
    estimator, X, _ = fitted(cls, form)
    together = outputs(estimator, X)
    order = np.random.RandomState(1).permutation(len(X))
    np.testing.assert_allclose(outputs(estimator, reorder(X, order)), together[order], rtol=1e-10)
    for k in range(len(X)):
        one = reorder(X, [k])
        if len(one[0]):
            np.testing.assert_allclose(outputs(estimator, one)[0], together[k], rtol=1e-10)


@every_form
def test_prediction_in_blocks_equals_prediction_of_parts(cls, form):
    estimator, _, _ = fitted(cls, form)
    many = make_sequences(form, n_samples=1000, seed=1)
    together = outputs(estimator, many)
    apart = [outputs(estimator, many[first : first + 40]) for first in range(0, 1000, 40)]
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-10)


@every_form
def test_score_is_computed_from_predict(cls, form):
    estimator, X, y = fitted(cls, form)
    prediction = estimator.predict(X)
    if cls is LSTMRegressor:
        expected = 1 - np.square(y - prediction).sum() / np.square(y - y.mean()).sum()
    else:
        expected = np.mean(y == prediction)
    assert estimator.score(X, y) == pytest.approx(expected)


# Pickling.


@every_form
def test_an_unpickled_estimator_predicts_and_trains_the_same_bits(cls, form):
    estimator, X, y = fitted(cls, form)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(outputs(loaded, X), outputs(estimator, X))
    assert_same_fit(partial_fit(loaded, X, y), partial_fit(estimator, X, y))


@every_form
def test_a_memory_mapped_estimator_predicts_and_trains(cls, form, tmp_path):
    estimator, X, y = fitted(cls, form)
    path = tmp_path / "estimator.joblib"
    joblib.dump(estimator, path)
    dumped = path.read_bytes()
    mapped = joblib.load(path, mmap_mode="r")
    assert isinstance(mapped._model.parameters, np.memmap)
    assert not mapped._model.parameters.flags.writeable
    np.testing.assert_array_equal(outputs(mapped, X), outputs(estimator, X))
    # The second call continues from what the first one has left.
    for _ in range(2):
        assert_same_fit(partial_fit(mapped, X, y), partial_fit(estimator, X, y))
    assert path.read_bytes() == dumped


IN_ANOTHER_PROCESS = """
import joblib
from support.data import outputs, partial_fit

answers = []
for estimator, X, y in joblib.load("cases"):
    before = outputs(estimator, X)
    answers.append((before, partial_fit(estimator, X, y)))
joblib.dump(answers, "answers")
"""


@pytest.mark.slow
def test_an_estimator_unpickled_in_another_process_gives_the_same_bits(cls, tmp_path):
    cases = [fitted(cls, form) for form in FORMS]
    joblib.dump(cases, tmp_path / "cases")
    run_python("-W", "error", "-c", IN_ANOTHER_PROCESS, cwd=tmp_path)
    answers = joblib.load(tmp_path / "answers")
    for (estimator, X, y), (there, trained_there) in zip(cases, answers, strict=True):
        np.testing.assert_array_equal(there, outputs(estimator, X))
        assert_same_fit(trained_there, partial_fit(estimator, X, y))


# Shapes.


@every_form
@pytest.mark.parametrize("n_features", [1, 3])
def test_n_features_in_is_the_number_of_features_of_a_step(cls, form, n_features):
    X = make_sequences(form, n_features=n_features)
    estimator = quick(cls).fit(X, make_target(cls, X))
    assert estimator.n_features_in_ == n_features
    assert estimator.coefs_[0].shape == (4 * 4, n_features)
    assert not hasattr(estimator, "feature_names_in_")


@every_form
def test_a_different_number_of_features_raises(cls, form):
    estimator, X, y = fitted(cls, form)
    wrong = make_sequences(form, n_features=3)
    message = r"3 features, but LSTM\w+ is expecting 2 .*\(n_samples, n_timesteps, n_features\)"
    calls = (
        lambda: estimator.predict(wrong),
        lambda: partial_fit(estimator, wrong, y),
        lambda: clone(estimator).set_params(warm_start=True).fit(X, y).fit(wrong, y),
    )
    for call in calls:
        with Unchanged(estimator, wrong), pytest.raises(ValueError, match=message):
            call()


@every_form
def test_the_number_of_steps_may_differ_between_calls(cls, form):
    estimator, X, y = fitted(cls, form)
    for n_timesteps in (1, 3, 30):
        other = make_sequences(form, n_timesteps=n_timesteps, n_samples=11, seed=n_timesteps)
        labels = y[: len(other)]
        partial_fit(estimator, other, labels)
        assert len(estimator.predict(other)) == 11
    assert estimator.n_iter_ == 3 + 3
    assert estimator.t_ == 3 * len(X) + 3 * 11


def test_without_a_linear_part_an_estimator_predicts_forms_that_it_was_not_fitted_on(cls):
    estimator, X, _ = fitted(cls, "missing", linear_skip=0)
    np.testing.assert_allclose(
        outputs(estimator, without_missing(X)), outputs(estimator, X), rtol=1e-12
    )


# Missing steps. A linear part counts them as positions, the LSTM skips them.


def test_a_fit_without_a_linear_part_skips_missing_steps(cls):
    estimator, X, y = fitted(cls, "missing", linear_skip=0)
    shorter = quick(cls, linear_skip=0).fit(without_missing(X), y)
    np.testing.assert_allclose(estimator.loss_curve_, shorter.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(outputs(estimator, X), outputs(shorter, X), rtol=1e-10)


@settings(max_examples=25)
@given(present=arrays(bool, (6, 4)).filter(np.any))
def test_without_a_linear_part_any_missing_steps_equal_the_shorter_sequences(cls, present):
    estimator = fitted_once(cls)
    X = make_sequences("dense", n_samples=6, n_timesteps=4, seed=1)
    X[~present] = np.nan
    np.testing.assert_allclose(
        outputs(estimator, X), outputs(estimator, without_missing(X)), rtol=1e-12
    )


def test_the_raw_output_of_a_sequence_without_steps_is_the_bias_of_the_head(cls):
    X = make_sequences("dense")
    y = make_target(cls, X)
    X[3] = np.nan
    estimator = quick(cls, normalize_y=False) if cls is LSTMRegressor else quick(cls)
    estimator.fit(X, y)
    raw = estimator.intercepts_[-1]
    expected = raw[0] if cls is LSTMRegressor else np.exp(raw) / np.exp(raw).sum()
    np.testing.assert_allclose(outputs(estimator, X)[3], expected, rtol=1e-12)
    np.testing.assert_allclose(outputs(estimator, X[3:4])[0], expected, rtol=1e-12)
    np.testing.assert_allclose(
        outputs(estimator, [X[0], np.empty((0, 2))])[1], expected, rtol=1e-12
    )


def test_training_on_only_missing_steps_learns_the_mean(cls):
    X = np.full((20, 5, 2), np.nan)
    params = {"max_iter": 500, "learning_rate_init": 0.05, "batch_size": 20}
    if cls is LSTMRegressor:
        y, expected = np.arange(20.0), 9.5
        params["normalize_y"] = False
    else:
        y, expected = np.repeat(["a", "b"], [15, 5]), [0.75, 0.25]
    estimator = quick(cls, n_iter_no_change=np.inf, **params).fit(X, y)
    np.testing.assert_allclose(outputs(estimator, X)[0], expected, atol=0.01)


# 2-D X.


def test_a_row_is_a_univariate_sequence(cls):
    X = make_sequences("dense", n_features=1)
    y = make_target(cls, X)
    flat, deep = quick(cls).fit(X[:, :, 0], y), quick(cls).fit(X, y)
    assert (flat.n_features_in_, deep.n_features_in_) == (5, 1)
    assert_same_fit(flat, deep)
    np.testing.assert_array_equal(outputs(flat, X[:, :, 0]), outputs(deep, X))
    partial_fit(flat, X[:, :, 0], y)


@pytest.mark.parametrize("missing", [False, True])
def test_timesteps_splits_a_row_into_steps(cls, missing):
    X = make_sequences("missing" if missing else "dense", n_timesteps=5, n_features=3)
    y = make_target(cls, X)
    rows = X.reshape(len(X), 15)
    flat, deep = quick(cls, timesteps=5).fit(rows, y), quick(cls).fit(X, y)
    assert (flat.n_features_in_, deep.n_features_in_) == (15, 3)
    assert_same_fit(flat, deep)
    np.testing.assert_array_equal(outputs(flat, rows), outputs(deep, X))
    partial_fit(flat, rows, y)
    with pytest.raises(ValueError, match="6 features, but LSTM"):
        flat.predict(rows[:, :6])


def test_timesteps_does_not_affect_3d_and_ragged_x(cls):
    X = make_sequences("dense")
    y = make_target(cls, X)
    for same in (X, list(X)):
        assert_same_fit(quick(cls, timesteps=7).fit(same, y), quick(cls).fit(X, y))
