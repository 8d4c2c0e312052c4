"""SlidingWindow: rows and windows line up, nothing is copied, names and containers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from _data import Unchanged
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

SERIES = np.arange(20.0).reshape(10, 2)


def windows_by_hand(series, window_size, lag, sampling_rate, padding):
    """Return what the docstring says, row by row and step by step."""
    windows = np.empty((len(series), window_size, series.shape[1]))
    for t in range(len(series)):
        for k in range(window_size):
            row = t - lag - (window_size - 1 - k) * sampling_rate
            if row >= 0:
                windows[t, k] = series[row]
            else:
                windows[t, k] = {"nan": np.nan, "edge": series[0], "zero": 0.0}[padding]
    return windows


@given(
    n_rows=st.integers(1, 15),
    n_features=st.integers(1, 3),
    window_size=st.integers(1, 20),
    lag=st.integers(0, 20),
    sampling_rate=st.integers(1, 4),
    padding=st.sampled_from(["nan", "edge", "zero"]),
)
def test_windows_are_what_an_obvious_loop_gives(n_rows, n_features, **params):
    series = np.random.RandomState(0).normal(size=(n_rows, n_features))
    expected = windows_by_hand(series, **params)
    windows = SlidingWindow(**params).fit_transform(series)
    np.testing.assert_array_equal(windows, expected, strict=True)
    flat = SlidingWindow(flatten=True, **params).fit_transform(series)
    np.testing.assert_array_equal(flat, expected.reshape(n_rows, -1), strict=True)


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda series: np.repeat(series, 2, axis=0)[::2],
        lambda series: series[::-1].copy()[::-1],
        np.ndarray.tolist,
        lambda series: series.astype(object),
    ],
)
def test_any_layout_of_the_series(layout):
    expected = SlidingWindow(3).fit_transform(SERIES)
    np.testing.assert_array_equal(SlidingWindow(3).fit_transform(layout(SERIES)), expected)


def test_a_transform_of_other_rows_starts_without_a_past():
    window = SlidingWindow(3).fit(SERIES)
    later = window.transform(SERIES[5:])
    np.testing.assert_array_equal(later, SlidingWindow(3).fit_transform(SERIES[5:]))
    assert np.isnan(later[0, :2]).all()


def test_missing_values_of_the_series_pass_through():
    series = SERIES.copy()
    series[4, 1] = np.nan
    windows = SlidingWindow(2).fit_transform(series)
    assert np.isnan(windows[4, 1, 1])
    assert np.isnan(windows[5, 0, 1])
    assert np.isnan(windows).sum() == 2 + 2  # and the padding


# Copies and types.


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_windows_are_a_read_only_view_of_one_copy(padding):
    windows = SlidingWindow(4, padding=padding).fit_transform(SERIES)
    assert not windows.flags.writeable
    assert windows.strides == (16, 16, 8)
    assert np.shares_memory(windows[0], windows[3])
    assert not np.shares_memory(windows, SERIES)
    with pytest.raises(ValueError, match="read-only"):
        windows[0, 0, 0] = 1


def test_the_series_is_neither_changed_nor_referred_to():
    for params in ({}, {"window_size": 1}, {"window_size": 1, "flatten": True}):
        series = SERIES.copy()
        window = SlidingWindow(**params).fit(series)
        with Unchanged(window, series):
            windows = window.transform(series)
        before = windows.copy()
        series[...] = -1
        np.testing.assert_array_equal(windows, before)


@pytest.mark.parametrize("window_size", [1, 3])
def test_flat_windows_can_be_written_to(window_size):
    flat = SlidingWindow(window_size, flatten=True).fit_transform(SERIES)
    assert flat.flags.writeable
    assert flat.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_floats_keep_their_dtype(dtype, padding):
    windows = SlidingWindow(3, padding=padding).fit_transform(SERIES.astype(dtype))
    assert windows.dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool])
def test_only_nan_needs_floats(dtype):
    series = SERIES.astype(dtype)
    assert SlidingWindow(3).fit_transform(series).dtype == np.float64
    for padding in ("edge", "zero"):
        assert SlidingWindow(3, padding=padding).fit_transform(series).dtype == dtype


def test_a_pickle_and_a_clone_give_the_same_windows():
    window = SlidingWindow(3, lag=1, sampling_rate=2, padding="edge", flatten=True).fit(SERIES)
    expected = window.transform(SERIES)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(window)).transform(SERIES), expected)
    np.testing.assert_array_equal(clone(window).fit_transform(SERIES), expected)


# Names and containers.


FRAME = pd.DataFrame(SERIES, columns=["temperature", "demand"])


def test_names_say_how_many_rows_back_a_value_is():
    window = SlidingWindow(3, lag=1, sampling_rate=2, padding="edge", flatten=True).fit(FRAME)
    names = window.get_feature_names_out()
    expected = [f"{name}_lag{lag}" for lag in (5, 3, 1) for name in FRAME.columns]
    assert names.dtype == object
    assert names.tolist() == expected
    flat = window.transform(FRAME)
    for column, name in enumerate(expected):
        series, lag = name.split("_lag")
        np.testing.assert_array_equal(flat[6:, column], FRAME[series].shift(int(lag))[6:])


def test_names_of_a_series_without_names():
    window = SlidingWindow(2, flatten=True).fit(SERIES)
    assert window.get_feature_names_out().tolist() == ["x0_lag1", "x1_lag1", "x0_lag0", "x1_lag0"]
    named = window.get_feature_names_out(["a", "b"]).tolist()
    assert named == ["a_lag1", "b_lag1", "a_lag0", "b_lag0"]
    with pytest.raises(ValueError, match="length equal to number of features"):
        window.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        SlidingWindow(2, flatten=True).fit(FRAME).get_feature_names_out(["a", "b"])


def test_3d_output_has_no_names():
    assert not hasattr(SlidingWindow(2).fit(FRAME), "get_feature_names_out")
    assert hasattr(SlidingWindow(2, flatten=True), "get_feature_names_out")
    with pytest.raises(NotFittedError):
        SlidingWindow(2, flatten=True).get_feature_names_out()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_gives_flat_windows_as_a_frame(library):
    frame = FRAME if library == "pandas" else pytest.importorskip("polars").DataFrame(FRAME)
    window = SlidingWindow(2, padding="edge", flatten=True).set_output(transform=library)
    result = window.fit_transform(frame)
    assert isinstance(result, type(frame))
    assert list(result.columns) == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(
        result.to_numpy(), SlidingWindow(2, padding="edge", flatten=True).fit_transform(SERIES)
    )


def test_set_output_keeps_the_index_of_the_rows():
    frame = FRAME.set_index(pd.date_range("2024-01-01", periods=10))
    window = SlidingWindow(2, flatten=True).set_output(transform="pandas")
    assert window.fit_transform(frame).index.equals(frame.index)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_leaves_3d_windows_as_they_are(library):
    pytest.importorskip(library)
    with config_context(transform_output=library):
        windows = SlidingWindow(3).fit_transform(FRAME)
    assert isinstance(windows, np.ndarray)
    np.testing.assert_array_equal(windows, SlidingWindow(3).fit_transform(SERIES))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_set_output_of_a_pipeline_with_3d_windows():
    pipeline = make_pipeline(
        StandardScaler(), SlidingWindow(3), LSTMRegressor(2, max_iter=2, random_state=0)
    )
    y = np.random.RandomState(0).normal(size=10)
    expected = pipeline.fit(FRAME, y).predict(FRAME)
    np.testing.assert_array_equal(
        clone(pipeline).set_output(transform="pandas").fit(FRAME, y).predict(FRAME), expected
    )


def test_flat_windows_feed_other_estimators():
    series = np.random.RandomState(0).normal(size=(50, 2))
    y = series[:, 0] + 2 * np.r_[series[0, 1], series[:-1, 1]]
    pipeline = make_pipeline(SlidingWindow(2, padding="edge", flatten=True), LinearRegression())
    np.testing.assert_allclose(pipeline.fit(series, y).predict(series), y)


# Bad input.


@pytest.mark.parametrize(
    "params",
    [
        {"window_size": 0},
        {"window_size": 2.0},
        {"window_size": None},
        {"lag": -1},
        {"lag": 0.5},
        {"sampling_rate": 0},
        {"padding": "reflect"},
        {"padding": None},
        {"flatten": "yes"},
    ],
    ids=str,
)
def test_parameters_out_of_range(params):
    (name,) = params
    window = SlidingWindow(**params)
    with Unchanged(window, SERIES), pytest.raises(ValueError, match=f"'{name}' parameter"):
        window.fit(SERIES)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (SERIES[:0], ValueError, "0 sample"),
        (SERIES[:, :0], ValueError, "0 feature"),
        (SERIES[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (SERIES[np.newaxis], ValueError, "dim 3"),
        (SERIES - np.inf, ValueError, "infinity"),
        (SERIES + 1j, ValueError, "Complex data"),
        (SERIES.astype(str), ValueError, "strings"),
        ([["a", "b"]], ValueError, "strings|could not convert"),
    ],
    ids=["no rows", "no columns", "1-D", "3-D", "inf", "complex", "strings", "list"],
)
def test_series_that_are_none(X, error, message):
    window = SlidingWindow()
    with Unchanged(window, X), pytest.raises(error, match=message):
        window.fit(X)
    window.fit(SERIES)
    with Unchanged(window, X), pytest.raises(error, match=message):
        window.transform(X)


@pytest.mark.parametrize(
    ("fitted", "other", "message"),
    [
        (SERIES, SERIES[:, :1], "1 features, but SlidingWindow is expecting 2"),
        (FRAME, FRAME[["demand", "temperature"]], "feature names"),
    ],
    ids=["number", "names"],
)
def test_a_series_of_other_columns_is_refused(fitted, other, message):
    window = SlidingWindow().fit(fitted)
    with Unchanged(window, other), pytest.raises(ValueError, match=message):
        window.transform(other)


def test_transform_needs_fit():
    with pytest.raises(NotFittedError):
        SlidingWindow().transform(SERIES)
