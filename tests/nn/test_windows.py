"""Windows stand for the array that a plain loop over the buffer makes."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing, resample, shuffle
from sklearn.utils._array_api import get_namespace
from support.data import quick

from sklstm import LSTMRegressor
from sklstm.nn.windows import Windows

BUFFER = np.random.RandomState(0).normal(size=(30, 2))
STARTS = np.array([3, 4, 5, 11, 12, 0, 20, 21])
WINDOWS = Windows(BUFFER, STARTS, 4, 2)


def by_hand(windows):
    """Make the array as the docstring defines it."""
    array = np.empty(windows.shape, windows.dtype)
    for t, start in enumerate(windows.starts):
        for k in range(windows.window_size):
            array[t, k] = windows.buffer[start + k * windows.sampling_rate]
    return array


ARRAY = by_hand(WINDOWS)


@st.composite
def some_windows(draw):
    window_size, rate = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    n_buffer = (window_size - 1) * rate + draw(st.integers(1, 20))
    largest = n_buffer - (window_size - 1) * rate - 1
    starts = draw(st.lists(st.integers(0, largest), min_size=1, max_size=12))
    buffer = np.random.RandomState(0).normal(size=(n_buffer, draw(st.integers(1, 3))))
    return Windows(buffer, np.array(starts), window_size, rate)


@given(windows=some_windows())
def test_windows_equal_the_array_made_by_hand(windows):
    expected = by_hand(windows)
    np.testing.assert_array_equal(np.asarray(windows), expected, strict=True)
    assert windows.shape == expected.shape
    assert (windows.ndim, windows.size, windows.dtype) == (3, expected.size, expected.dtype)
    assert len(windows) == len(expected)


@given(windows=some_windows(), data=st.data())
def test_some_of_the_windows_and_their_last_steps(windows, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(windows) - 1), min_size=1)))
    n_steps = data.draw(st.integers(1, 8))
    expected = by_hand(windows)
    np.testing.assert_array_equal(windows.take(rows), expected[rows])
    np.testing.assert_array_equal(windows.take(rows, n_steps), expected[rows, -n_steps:])
    np.testing.assert_array_equal(windows.take(slice(1, None)), expected[1:])


@given(windows=some_windows())
def test_used_rows_are_those_of_some_window(windows):
    used = np.zeros(len(windows.buffer), bool)
    for start in windows.starts:
        for k in range(windows.window_size):
            used[start + k * windows.sampling_rate] = True
    np.testing.assert_array_equal(windows.used_rows(), used, strict=True)


ROWS = [
    slice(2, 5),
    slice(None, None, -1),
    slice(0, 0),
    [1, 3, 1],
    np.array([4, 0]),
    np.array([], int),
    np.arange(8) % 2 == 0,
    [True, False] * 4,
    ...,
]


@pytest.mark.parametrize("rows", ROWS[:-1], ids=str)
@pytest.mark.parametrize("more", [None, (...,), (slice(None),), (slice(None), slice(None))])
def test_rows_keep_the_buffer(rows, more):
    key = rows if more is None else (rows, *more)
    taken = WINDOWS[key]
    assert isinstance(taken, Windows)
    assert taken.buffer is BUFFER
    np.testing.assert_array_equal(taken, ARRAY[key], strict=True)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(3),
        (2, ...),
        ...,
        None,
        (slice(None), -1),
        (..., 0),
        (1, 2),
        (1, 2, 1),
        (slice(1, 3), slice(None, None, 2)),
        (slice(None), slice(None), [0]),
        (None, slice(1, 3)),
        True,
        np.False_,
        ([0, 1], [1, 2]),
        np.array([[0, 1], [2, 3]]),
        ARRAY > 0,
        (),
    ],
    ids=str,
)
def test_other_indexing_makes_the_array(key):
    taken = WINDOWS[key]
    assert not isinstance(taken, Windows)
    np.testing.assert_array_equal(taken, ARRAY[key], strict=True)


@pytest.mark.parametrize("key", [8, -9, [0, 8], "a", 1.5, (0, 4), [True, False]])
def test_what_is_no_index_of_the_array_is_none_of_the_windows(key):
    with pytest.raises(IndexError):
        WINDOWS[key]


def test_arithmetic_and_functions_make_the_array():
    np.testing.assert_array_equal(WINDOWS + 1, ARRAY + 1)
    np.testing.assert_array_equal(2 * WINDOWS, 2 * ARRAY)
    np.testing.assert_array_equal(WINDOWS - WINDOWS, np.zeros(ARRAY.shape))
    np.testing.assert_array_equal(-WINDOWS, -ARRAY)
    np.testing.assert_array_equal(WINDOWS > 0, ARRAY > 0)
    np.testing.assert_array_equal(WINDOWS == ARRAY, np.ones(ARRAY.shape, bool))
    np.testing.assert_array_equal(np.tanh(WINDOWS), np.tanh(ARRAY))
    np.testing.assert_array_equal(np.add.reduce(WINDOWS, axis=1), ARRAY.sum(axis=1))
    np.testing.assert_array_equal(np.concatenate([WINDOWS, WINDOWS]), np.r_[ARRAY, ARRAY])
    np.testing.assert_array_equal(np.nanmean(WINDOWS, axis=0), ARRAY.mean(axis=0))
    np.testing.assert_array_equal(WINDOWS.reshape(8, -1), ARRAY.reshape(8, -1))
    np.testing.assert_array_equal(WINDOWS.T, ARRAY.T)
    np.testing.assert_array_equal([*WINDOWS], ARRAY)
    assert WINDOWS.mean() == ARRAY.mean()
    assert WINDOWS.astype("f4").dtype == np.float32
    assert WINDOWS.tolist() == ARRAY.tolist()
    out = np.empty(ARRAY.shape)
    assert np.add(WINDOWS, 1, out=out) is out
    np.testing.assert_array_equal(out, ARRAY + 1)


def test_windows_are_read_only():
    with pytest.raises(TypeError, match="does not support item assignment"):
        WINDOWS[0] = 1
    with pytest.raises(TypeError, match="read-only"):
        np.add(ARRAY, 1, out=WINDOWS)
    windows = WINDOWS[:]
    with pytest.raises(TypeError, match="read-only"):
        windows += 1
    for taken in (WINDOWS[0], np.asarray(WINDOWS), np.asarray(WINDOWS[:3])):
        with pytest.raises(ValueError, match="read-only"):
            taken[...] = 1


def test_the_array_protocol():
    consecutive = WINDOWS[:3]
    assert np.shares_memory(np.asarray(consecutive), BUFFER)
    assert not np.shares_memory(np.array(consecutive), BUFFER)
    assert np.array(consecutive).flags.writeable
    assert np.asarray(consecutive, np.float32).dtype == np.float32
    assert consecutive.__array__(copy=False).base is not None
    with pytest.raises(ValueError, match="without a copy"):
        WINDOWS.__array__(copy=False)
    with pytest.raises(ValueError, match="without a copy"):
        consecutive.__array__(np.float32, copy=False)


@pytest.mark.parametrize("name", ["no_such_attribute", "iloc", "columns", "toarray", "_private"])
def test_attributes_that_arrays_do_not_have(name):
    with pytest.raises(AttributeError, match=f"'Windows' object has no attribute '{name}'"):
        getattr(WINDOWS, name)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))]
)
def test_copies_and_pickles_keep_the_buffer(copied):
    windows = copied(WINDOWS[2:])
    assert isinstance(windows, Windows)
    assert windows.buffer.shape == BUFFER.shape
    np.testing.assert_array_equal(windows, ARRAY[2:])


def test_a_pickle_does_not_hold_every_window():
    windows = Windows(np.zeros((2000, 1)), np.arange(1001), 1000)
    assert len(pickle.dumps(windows)) < 2000 * 8 + 1001 * 8 + 1000
    assert windows.nbytes == 2000 * 8 + 1001 * 8


def test_the_array_namespace_is_that_of_numpy():
    pytest.importorskip("sklearn.externals.array_api_compat")
    with config_context(array_api_dispatch=True):
        assert get_namespace(WINDOWS) == get_namespace(ARRAY)
        np.testing.assert_array_equal(_safe_indexing(WINDOWS, [1, 5]), ARRAY[[1, 5]])


def test_tools_of_scikit_learn_take_rows():
    for taken in (
        _safe_indexing(WINDOWS, [1, 5]),
        _safe_indexing(WINDOWS, np.arange(8) % 3 == 0),
        resample(WINDOWS, random_state=0),
        shuffle(WINDOWS, random_state=0),
        train_test_split(WINDOWS, random_state=0)[1],
        FunctionTransformer().fit_transform(WINDOWS),
    ):
        assert isinstance(taken, Windows)
        assert taken.buffer is BUFFER
    np.testing.assert_array_equal(
        resample(WINDOWS, random_state=0), resample(ARRAY, random_state=0)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cv", [KFold(2), TimeSeriesSplit(2)], ids=str)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validation_equals_that_of_the_array(cv, n_jobs):
    windows = Windows(BUFFER, np.r_[0:12, 14:26], 4)
    y = np.random.RandomState(1).normal(size=24)
    pipeline = make_pipeline(FunctionTransformer(), quick(LSTMRegressor))
    scores = cross_val_score(pipeline, windows, y, cv=cv, n_jobs=n_jobs)
    np.testing.assert_array_equal(scores, cross_val_score(pipeline, by_hand(windows), y, cv=cv))
