"""predict_step: one new time step of a stream at a time."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from support.data import ESTIMATORS, Unchanged, make_sequences, make_target, quick, run_python

from sklstm import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

X = make_sequences("missing")
X[0, 0] = np.nan  # a stream that begins with a missing step
TOTAL = make_target(LSTMRegressor, X)
LABELS = make_target(LSTMClassifier, X)

CASES = {
    "one output": (LSTMRegressor, {}, TOTAL),
    "several outputs": (LSTMRegressor, {}, np.column_stack([TOTAL, 100 * TOTAL[::-1] + 7])),
    "a column": (LSTMRegressor, {}, TOTAL[:, np.newaxis]),
    "as it is": (LSTMRegressor, {"normalize_y": False}, TOTAL),
    "counts": (LSTMRegressor, {"loss": "poisson"}, np.exp(TOTAL / 3).round()),
    "quantile": (LSTMRegressor, {"loss": "quantile", "quantile": 0.9}, TOTAL),
    "two classes": (LSTMClassifier, {}, LABELS == "low"),
    "three classes": (LSTMClassifier, {}, LABELS),
    "labels": (LSTMClassifier, {}, np.column_stack([LABELS == "low", LABELS != "top"]).astype(int)),
}
cases = pytest.mark.parametrize("case", CASES)
layers = pytest.mark.parametrize("hidden_layer_sizes", [4, (5, 3)], ids=["single", "stacked"])


def fitted(case="one output", dtype=None, **params):
    cls, case_params, y = CASES[case]
    return quick(
        cls, dtype=dtype, max_iter=10, learning_rate_init=0.05, **case_params, **params
    ).fit(X, y)


def assert_equal_predictions(ours, theirs, rtol=1e-12):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=rtol)
    else:
        np.testing.assert_array_equal(ours, theirs)


# What predict gives for the sequence so far.


@cases
@layers
def test_many_streams_at_every_step(case, hidden_layer_sizes):
    estimator, state = fitted(case, hidden_layer_sizes=hidden_layer_sizes), None
    for t in range(X.shape[1]):
        y, state = estimator.predict_step(X[:, t], state)
        assert_equal_predictions(y, estimator.predict(X[:, : t + 1]))


@cases
@layers
def test_one_stream_at_every_step(case, hidden_layer_sizes):
    estimator = fitted(case, hidden_layer_sizes=hidden_layer_sizes)
    for sequence in X[:3]:
        state = None
        for t, x_t in enumerate(sequence):
            y, state = estimator.predict_step(x_t, state)
            assert_equal_predictions(y, estimator.predict(sequence[np.newaxis, : t + 1])[0])


@both
def test_float32(cls):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator, state = fitted(case, dtype="float32", hidden_layer_sizes=(4, 3)), None
    for t in range(X.shape[1]):
        y, state = estimator.predict_step(X[:, t], state)
        assert_equal_predictions(y, estimator.predict(X[:, : t + 1]), rtol=1e-5)
        assert {array.dtype for layer in state for array in layer} == {np.dtype("float32")}


def test_dropout_has_no_part_in_it():
    estimator = fitted(dropout=0.5, recurrent_dropout=0.5)
    y, _ = estimator.predict_step(X[:, 0])
    np.testing.assert_allclose(y, estimator.predict(X[:, :1]), rtol=1e-12)


def test_rows_are_read_as_time_steps_of_a_single_feature():
    flat = make_sequences("dense")[:, :, 0]
    estimator, state = quick(LSTMRegressor).fit(flat, flat.sum(axis=1)), None
    for t in range(flat.shape[1]):
        y, state = estimator.predict_step(flat[:, t : t + 1], state)
    np.testing.assert_allclose(y, estimator.predict(flat), rtol=1e-12)


@pytest.mark.parametrize("container", [list, tuple, np.asarray])
def test_a_step_in_any_form(container):
    estimator = fitted()
    expected, _ = estimator.predict_step(X[1, 1])
    y, _ = estimator.predict_step(container(X[1, 1].tolist()))
    assert y == expected


def test_a_step_of_integers():
    estimator = fitted()
    y, _ = estimator.predict_step([1, -2])
    assert y == estimator.predict_step([1.0, -2.0])[0]


# Missing steps.


@layers
def test_a_missing_step_passes_the_state_on(hidden_layer_sizes):
    estimator = fitted(hidden_layer_sizes=hidden_layer_sizes)
    missing = np.full(2, np.nan)
    y, state = estimator.predict_step(X[1, 1])
    y_after, state_after = estimator.predict_step(missing, state)
    assert y_after == y
    for before, after in zip(state, state_after, strict=True):
        np.testing.assert_array_equal(before, after)
    # At the start, it is a sequence without any step.
    y, state = estimator.predict_step(missing)
    assert y == estimator.predict(missing[np.newaxis, np.newaxis])[0]
    assert not any(array.any() for layer in state for array in layer)


def test_streams_miss_steps_each_for_itself():
    estimator = fitted(hidden_layer_sizes=(4, 3))
    _, state = estimator.predict_step(X[:, 1])
    x_t = X[:, 2].copy()
    x_t[::2] = np.nan
    y, after = estimator.predict_step(x_t, state)
    for k in range(len(x_t)):
        alone = tuple((h[k], c[k]) for h, c in state)
        y_k, after_k = estimator.predict_step(x_t[k], alone)
        np.testing.assert_allclose(y[k], y_k, rtol=1e-12)
        for ours, theirs in zip(after, after_k, strict=True):
            for array, array_k in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(array[k], array_k, rtol=1e-12)


# The state.


@layers
def test_the_state_is_plain_arrays(hidden_layer_sizes):
    estimator = fitted(hidden_layer_sizes=hidden_layer_sizes)
    sizes = np.atleast_1d(hidden_layer_sizes).tolist()
    for x_t, shapes in (
        (X[1, 1], [(size,) for size in sizes]),
        (X[:, 1], [(20, size) for size in sizes]),
        (X[:1, 1], [(1, size) for size in sizes]),
    ):
        _, state = estimator.predict_step(x_t)
        assert isinstance(state, tuple)
        assert [(h.shape, c.shape) for h, c in state] == [(shape, shape) for shape in shapes]
        assert {type(array) for layer in state for array in layer} == {np.ndarray}


@both
def test_nothing_is_kept_and_nothing_is_written_to(cls):
    estimator = fitted("one output" if cls is LSTMRegressor else "three classes")
    _, state = estimator.predict_step(X[:, 1])
    expected, _ = estimator.predict_step(X[:, 2], state)
    with Unchanged(estimator, X, state):
        for _ in range(2):  # the same step again is no further step
            y, _ = estimator.predict_step(X[:, 2], state)
            np.testing.assert_array_equal(y, expected)


def test_the_state_does_not_change_when_a_later_one_is_made():
    estimator = fitted()
    _, first = estimator.predict_step(X[:, 1])
    copies = pickle.loads(pickle.dumps(first))
    _, second = estimator.predict_step(X[:, 2], first)
    for h, c in second:
        h[...] = c[...] = 7.0
    for ours, theirs in zip(first, copies, strict=True):
        np.testing.assert_array_equal(ours, theirs)


IN_ANOTHER_PROCESS = """
import joblib

estimator, state, steps = joblib.load("stream.joblib")
answers = []
for x_t in steps:
    y, state = estimator.predict_step(x_t, state)
    answers.append(y)
joblib.dump((answers, state), "answers.joblib")
"""


@both
def test_a_stream_goes_on_in_another_process(cls, tmp_path):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator = fitted(case, hidden_layer_sizes=(4, 3))
    _, state = estimator.predict_step(X[:, 0])
    steps = [X[:, 1], X[:, 2]]
    joblib.dump((estimator, state, steps), tmp_path / "stream.joblib")
    run_python("-W", "error", "-c", IN_ANOTHER_PROCESS, cwd=tmp_path)
    answers, there = joblib.load(tmp_path / "answers.joblib")
    for x_t, answer in zip(steps, answers, strict=True):
        y, state = estimator.predict_step(x_t, state)
        np.testing.assert_array_equal(answer, y)
    for ours, theirs in zip(state, there, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_stream_can_be_learned_from_as_it_goes():
    estimator = fitted()
    _, state = estimator.predict_step(X[:, 1])
    estimator.partial_fit(X, TOTAL)
    y, _ = estimator.predict_step(X[:, 2], state)
    assert np.isfinite(y).all()
    assert not np.allclose(y, fitted().predict_step(X[:, 2], state)[0])


# What is refused.


@both
def test_both_directions_have_no_next_step(cls):
    estimator = quick(cls, bidirectional=True).fit(X, make_target(cls, X))
    with Unchanged(estimator), pytest.raises(ValueError, match="needs bidirectional=False"):
        estimator.predict_step(X[:, 0])


@both
def test_an_estimator_that_is_not_fitted(cls):
    with pytest.raises(NotFittedError):
        cls().predict_step([1.0, 2.0])


@pytest.mark.parametrize(
    ("x_t", "message"),
    [
        (1.0, r"x_t has the shape \(\).*\(2,\) for one stream, or \(n_streams, 2\)"),
        ([1.0], r"x_t has the shape \(1,\)"),
        ([1.0, 2.0, 3.0], r"x_t has the shape \(3,\)"),
        (X[:, :1], r"x_t has the shape \(20, 1, 2\)"),
        (X[:, 0, :1], r"x_t has the shape \(20, 1\)"),
        (np.empty((0, 2)), "0 sample"),
        ([1.0, np.nan], "finite.*or NaN in every feature"),
        ([1.0, np.inf], "finite.*or NaN in every feature"),
        ([[1.0, 2.0], [np.nan, 2.0]], "finite.*or NaN in every feature"),
        ([1.0, 2j], "[Cc]omplex"),
        (["a", "b"], "convert|real numbers|string"),
        (None, r"x_t has the shape \(\)"),
    ],
)
def test_a_step_that_cannot_be_used(x_t, message):
    estimator = fitted()
    with Unchanged(estimator), pytest.raises(ValueError, match=f"(?s){message}"):
        estimator.predict_step(x_t)


def test_a_step_too_large_for_float32():
    with pytest.raises(ValueError, match="finite in float32"):
        fitted(dtype="float32").predict_step([1e39, 0.0])


ZEROS = np.zeros(4)


@pytest.mark.parametrize(
    "state",
    [
        "state",
        7,
        (),
        (ZEROS, ZEROS),
        ((ZEROS, ZEROS), (ZEROS, ZEROS)),
        ((ZEROS,),),
        ((ZEROS[:3], ZEROS[:3]),),
        ((ZEROS[np.newaxis], ZEROS[np.newaxis]),),
        ((np.zeros((20, 4)), np.zeros((20, 4))),),
    ],
    ids=["text", "number", "empty", "flat", "layers", "h alone", "units", "2-D", "many streams"],
)
def test_a_state_of_another_form(state):
    estimator = fitted()
    with Unchanged(estimator), pytest.raises(ValueError, match=r"pair \(h, c\) for each layer"):
        estimator.predict_step(X[1, 1], state)


def test_a_state_of_another_number_of_streams():
    estimator = fitted()
    _, state = estimator.predict_step(X[:, 0])
    for x_t in (X[:19, 1], X[1, 1]):
        with pytest.raises(ValueError, match=r"same stream\(s\)"):
            estimator.predict_step(x_t, state)
