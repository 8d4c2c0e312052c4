"""Prediction: blocks of sequences in threads, and one time step of a stream at a time."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from support.data import ESTIMATORS, Unchanged, make_sequences, make_target, quick, run_python
from support.plain import PLAIN
from threadpoolctl import threadpool_limits

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.nn.network import Network
from sklstm.nn.prediction import blocks_of, raw_outputs
from sklstm.nn.sequences import DenseSequences
from sklstm.nn.threads import ThreadPool

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


def arrays_of(state):
    """Return all arrays of a state, which is a tuple of arrays and tuples."""
    if isinstance(state, tuple):
        return [array for part in state for array in arrays_of(part)]
    return [state]


def floats_of(state):
    """Return the arrays of a state that are not counts of steps."""
    return [array for array in arrays_of(state) if array.dtype.kind == "f"]


# Blocks of sequences.


@pytest.mark.parametrize(
    ("n_samples", "sizes"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])]
)
def test_blocks_are_consecutive_and_of_at_most_the_given_size(n_samples, sizes):
    blocks = [np.arange(n_samples)[block] for block in blocks_of(n_samples, 4)]
    assert [len(block) for block in blocks] == sizes
    np.testing.assert_array_equal(np.concatenate([[], *blocks]), np.arange(n_samples))


class RecordingPool(ThreadPool):
    """Pool that records the number of items in each call of map."""

    def map(self, function, items):
        self.n_items = len(items)
        return super().map(function, items)


@pytest.mark.parametrize(
    ("n_samples", "n_timesteps", "n_lanes"),
    [(1, 1, 1), (100, 40, 2), (1000, 7, 4), (2500, 7, 5)],
    ids=["a sample", "two blocks", "four blocks", "blocks of the largest width"],
)
def test_raw_outputs_have_the_same_bits_whatever_the_threads(n_samples, n_timesteps, n_lanes):
    rng = np.random.RandomState(0)
    network = Network(2, (100,), 1)
    parameters = network.initialize(rng)
    sequences = DenseSequences(rng.normal(size=(n_samples, n_timesteps, 2)), has_missing=False)
    raw = []
    with threadpool_limits(1, user_api="blas"):
        for n_threads in (1, 2, 3, 8):
            with RecordingPool(n_threads) as pool:
                raw.append(raw_outputs(network, parameters, sequences, pool))
            assert pool.n_items == min(n_threads, n_lanes)
    assert raw[0].shape == (1, n_samples)
    for other in raw[1:]:
        np.testing.assert_array_equal(raw[0], other)


def test_raw_outputs_of_rows_are_in_the_order_of_the_rows():
    rng = np.random.RandomState(0)
    network = Network(2, (3,), 2)
    parameters = network.initialize(rng)
    sequences = DenseSequences(make_sequences("missing"), has_missing=True)
    rows = np.array([7, 2, 11, 2])
    found = raw_outputs(network, parameters, sequences, ThreadPool(), rows)
    expected = raw_outputs(network, parameters, sequences, ThreadPool())[:, rows]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# predict_step equals predict for the sequence so far.


@cases
@layers
def test_predict_step_of_many_streams_equals_predict_at_every_step(case, hidden_layer_sizes):
    estimator, state = fitted(case, hidden_layer_sizes=hidden_layer_sizes), None
    for t in range(X.shape[1]):
        y, state = estimator.predict_step(X[:, t], state)
        assert_equal_predictions(y, estimator.predict(X[:, : t + 1]))


@cases
@layers
def test_predict_step_of_one_stream_equals_predict_at_every_step(case, hidden_layer_sizes):
    estimator = fitted(case, hidden_layer_sizes=hidden_layer_sizes)
    for sequence in X[:3]:
        state = None
        for t, x_t in enumerate(sequence):
            y, state = estimator.predict_step(x_t, state)
            assert_equal_predictions(y, estimator.predict(sequence[np.newaxis, : t + 1])[0])


@pytest.mark.parametrize("labels", ["three", "two", "multilabel"])
def test_predict_step_gives_probabilities(labels):
    X = make_sequences("missing")
    y = {
        "three": make_target(LSTMClassifier, X),
        "two": np.nansum(X, axis=(1, 2)) > 0,
        "multilabel": np.nan_to_num(X[:, :3, 0] > 0).astype(int),
    }[labels]
    model = quick(LSTMClassifier).fit(X, y)
    state = one_state = None
    for t in range(X.shape[1]):
        expected = model.predict_proba(X[:, : t + 1])
        p, state = model.predict_step(X[:, t], state, response_method="predict_proba")
        np.testing.assert_allclose(p, expected, rtol=1e-10)
        p, one_state = model.predict_step(X[0, t], one_state, response_method="predict_proba")
        assert p.shape == expected[0].shape
        np.testing.assert_allclose(p, expected[0], rtol=1e-10)


def test_the_response_method_does_not_change_the_state():
    X = make_sequences("dense")
    model = quick(LSTMClassifier).fit(X, make_target(LSTMClassifier, X))
    label, state = model.predict_step(X[:, 0], response_method="predict")
    _, other = model.predict_step(X[:, 0], response_method="predict_proba")
    assert joblib.hash(state) == joblib.hash(other)
    np.testing.assert_array_equal(label, model.predict_step(X[:, 0])[0])


@pytest.mark.parametrize(
    ("cls", "method", "available"),
    [
        (LSTMRegressor, "predict_proba", "'predict', got 'predict_proba'"),
        (LSTMRegressor, "encode", "'predict', got 'encode'"),
        (LSTMClassifier, "decide", "'predict' or 'predict_proba', got 'decide'"),
        (LSTMClassifier, None, "'predict' or 'predict_proba', got None"),
        (LSTMClassifier, ["predict"], "'predict' or 'predict_proba', got "),
    ],
)
def test_an_unknown_response_method_raises(cls, method, available):
    X = make_sequences("dense")
    model = quick(cls).fit(X, make_target(cls, X))
    with pytest.raises(ValueError, match=f"response_method must be {available}"):
        model.predict_step(X[:, 0], response_method=method)


@both
def test_predict_step_keeps_float32(cls):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator, state = fitted(case, dtype="float32", hidden_layer_sizes=(4, 3)), None
    for t in range(X.shape[1]):
        y, state = estimator.predict_step(X[:, t], state)
        assert_equal_predictions(y, estimator.predict(X[:, : t + 1]), rtol=1e-5)
        assert {array.dtype for array in floats_of(state)} == {np.dtype("float32")}


def test_predict_step_ignores_dropout():
    estimator = fitted(dropout=0.5, recurrent_dropout=0.5)
    y, _ = estimator.predict_step(X[:, 0])
    np.testing.assert_allclose(y, estimator.predict(X[:, :1]), rtol=1e-12)


def test_predict_step_of_a_2d_model_takes_one_feature_per_step():
    flat = make_sequences("dense")[:, :, 0]
    estimator, state = quick(LSTMRegressor).fit(flat, flat.sum(axis=1)), None
    for t in range(flat.shape[1]):
        y, state = estimator.predict_step(flat[:, t : t + 1], state)
    np.testing.assert_allclose(y, estimator.predict(flat), rtol=1e-12)


@pytest.mark.parametrize("container", [list, tuple, np.asarray])
def test_a_step_can_be_a_list_a_tuple_or_an_array(container):
    estimator = fitted()
    expected, _ = estimator.predict_step(X[1, 1])
    y, _ = estimator.predict_step(container(X[1, 1].tolist()))
    assert y == expected


def test_a_step_can_hold_integers():
    estimator = fitted()
    y, _ = estimator.predict_step([1, -2])
    assert y == estimator.predict_step([1.0, -2.0])[0]


# Missing steps.


@layers
@both
def test_a_missing_step_leaves_the_state_unchanged_without_a_linear_part(cls, hidden_layer_sizes):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator = fitted(case, hidden_layer_sizes=hidden_layer_sizes, linear_skip=0)
    missing = np.full(2, np.nan)
    y, state = estimator.predict_step(X[1, 1])
    y_after, state_after = estimator.predict_step(missing, state)
    assert y_after == y
    for before, after in zip(arrays_of(state), arrays_of(state_after), strict=True):
        np.testing.assert_array_equal(before, after)
    # At the start, it equals a sequence without any step.
    y, state = estimator.predict_step(missing)
    assert y == estimator.predict(missing[np.newaxis, np.newaxis])[0]
    assert not any(array.any() for array in arrays_of(state))


def rows_of(state, k):
    """Return the state of one of several streams."""
    return tuple(rows_of(part, k) for part in state) if isinstance(state, tuple) else state[k]


@both
def test_each_stream_can_miss_other_steps(cls):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator = fitted(case, hidden_layer_sizes=(4, 3))
    _, state = estimator.predict_step(X[:, 1])
    x_t = X[:, 2].copy()
    x_t[::2] = np.nan
    y, after = estimator.predict_step(x_t, state)
    for k in range(len(x_t)):
        y_k, after_k = estimator.predict_step(x_t[k], rows_of(state, k))
        assert_equal_predictions(y[k], y_k)
        for ours, theirs in zip(arrays_of(rows_of(after, k)), arrays_of(after_k), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# The state.


@layers
def test_the_state_of_a_plain_network_is_a_tuple_of_pairs_of_arrays(hidden_layer_sizes):
    estimator = fitted(hidden_layer_sizes=hidden_layer_sizes, **PLAIN)
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


def test_the_state_holds_what_pooling_and_the_linear_part_need():
    estimator = fitted("three classes", pooling=("mean", "max"), linear_skip=3)
    for x_t, shape in ((X[1, 1], ()), (X[:, 1], (20,))):
        _, (layer, pooled, recent) = estimator.predict_step(x_t)
        assert [array.shape for array in layer] == [(*shape, 4)] * 2
        assert [array.shape for array in pooled] == [(*shape, 4)] * 2 + [shape]
        assert recent.shape == (*shape, 3, 2)


@both
def test_predict_step_changes_neither_estimator_nor_arguments(cls):
    estimator = fitted("one output" if cls is LSTMRegressor else "three classes")
    _, state = estimator.predict_step(X[:, 1])
    expected, _ = estimator.predict_step(X[:, 2], state)
    with Unchanged(estimator, X, state):
        for _ in range(2):  # a second call with the same state is not a further step
            y, _ = estimator.predict_step(X[:, 2], state)
            np.testing.assert_array_equal(y, expected)


@both
def test_a_state_shares_no_memory_with_the_next_one(cls):
    estimator = fitted("one output" if cls is LSTMRegressor else "three classes")
    _, first = estimator.predict_step(X[:, 1])
    copies = pickle.loads(pickle.dumps(first))
    _, second = estimator.predict_step(X[:, 2], first)
    for array in arrays_of(second):
        array[...] = 7
    for ours, theirs in zip(arrays_of(first), arrays_of(copies), strict=True):
        np.testing.assert_array_equal(ours, theirs)


IN_ANOTHER_PROCESS = """
import joblib

estimator, state, steps = joblib.load("stream.joblib")
predictions = []
for x_t in steps:
    y, state = estimator.predict_step(x_t, state)
    predictions.append(y)
joblib.dump((predictions, state), "predictions.joblib")
"""


@pytest.mark.slow
@both
def test_a_stream_continues_in_another_process_with_the_same_bits(cls, tmp_path):
    case = "one output" if cls is LSTMRegressor else "three classes"
    estimator = fitted(case, hidden_layer_sizes=(4, 3))
    _, state = estimator.predict_step(X[:, 0])
    steps = [X[:, 1], X[:, 2]]
    joblib.dump((estimator, state, steps), tmp_path / "stream.joblib")
    run_python("-W", "error", "-c", IN_ANOTHER_PROCESS, cwd=tmp_path)
    predictions, there = joblib.load(tmp_path / "predictions.joblib")
    for x_t, predicted in zip(steps, predictions, strict=True):
        y, state = estimator.predict_step(x_t, state)
        np.testing.assert_array_equal(predicted, y)
    for ours, theirs in zip(arrays_of(state), arrays_of(there), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_state_can_be_used_after_partial_fit():
    estimator = fitted()
    _, state = estimator.predict_step(X[:, 1])
    estimator.partial_fit(X, TOTAL)
    y, _ = estimator.predict_step(X[:, 2], state)
    assert np.isfinite(y).all()
    assert not np.allclose(y, fitted().predict_step(X[:, 2], state)[0])


# Invalid calls.


@both
def test_predict_step_of_a_bidirectional_estimator_raises(cls):
    estimator = quick(cls, bidirectional=True).fit(X, make_target(cls, X))
    with Unchanged(estimator), pytest.raises(ValueError, match="needs bidirectional=False"):
        estimator.predict_step(X[:, 0])


@both
def test_predict_step_of_an_unfitted_estimator_raises(cls):
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
        (np.empty((0, 2)), r"x_t has the shape \(0, 2\)"),
        ([1.0, np.nan], "finite.*or NaN in every feature"),
        ([1.0, np.inf], "finite.*or NaN in every feature"),
        ([[1.0, 2.0], [np.nan, 2.0]], "finite.*or NaN in every feature"),
        ([1.0, 2j], "[Cc]omplex"),
        (["a", "b"], "x_t must hold real numbers"),
        (np.array(["1", "2"], dtype=object), "x_t must hold real numbers.*the string '1'"),
        (pd.Series(["1", "2"]), "x_t must hold real numbers.*the string '1'"),
        (np.array([1.0, []], dtype=object), "x_t must be an array of real numbers"),
        (np.ma.masked_array([1.0, 2.0]), r"x_t is a masked array"),
        (None, r"x_t has the shape \(\)"),
    ],
)
def test_an_invalid_step_raises(x_t, message):
    estimator = fitted()
    with Unchanged(estimator), pytest.raises(ValueError, match=f"(?s){message}"):
        estimator.predict_step(x_t)


def test_a_step_of_missing_objects_is_missing():
    estimator = fitted()
    expected = estimator.predict_step([np.nan, np.nan])[0]
    for x_t in ([None, None], pd.Series([pd.NA, pd.NA], dtype="Float64")):
        assert estimator.predict_step(x_t)[0] == expected


def test_a_step_or_a_state_too_large_for_float32_raises():
    estimator = fitted(dtype="float32")
    with pytest.raises(ValueError, match="finite in float32"):
        estimator.predict_step([1e39, 0.0])
    with pytest.raises(ValueError, match=r"pair \(h, c\) for each layer"):
        estimator.predict_step([1.0, 0.0], ((ZEROS, ZEROS + 1e39),))


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
        ((ZEROS * np.nan, ZEROS),),
        ((ZEROS, ZEROS + np.inf),),
        ((ZEROS, ZEROS + 0j),),
        ((ZEROS, ZEROS.astype(str)),),
        ((ZEROS, np.ma.masked_array(ZEROS)),),
    ],
    ids=[
        *("text", "number", "empty", "flat", "layers", "h alone", "units", "2-D", "many streams"),
        *("NaN", "infinity", "complex", "strings", "masked"),
    ],
)
def test_a_state_of_another_form_raises(state):
    estimator = fitted()
    with Unchanged(estimator), pytest.raises(ValueError, match=r"pair \(h, c\) for each layer"):
        estimator.predict_step(X[1, 1], state)


def test_a_state_of_another_number_of_streams_raises():
    estimator = fitted()
    _, state = estimator.predict_step(X[:, 0])
    for x_t in (X[:19, 1], X[1, 1]):
        with pytest.raises(ValueError, match=r"same stream\(s\)"):
            estimator.predict_step(x_t, state)
