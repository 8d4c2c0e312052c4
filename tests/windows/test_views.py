"""The windows equal those of a plain loop, and are views where they can be."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data import Unchanged
from windows._series import windows_of_each

from sklstm import SlidingWindow

SERIES = np.arange(20.0).reshape(10, 2)


def windows_by_hand(series, window_size, lag, sampling_rate, padding):
    """Make the windows as the docstring defines them, row by row and step by step."""
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
def test_windows_equal_those_of_a_plain_loop(n_rows, n_features, **params):
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
def test_the_memory_layout_of_the_series_does_not_matter(layout):
    expected = SlidingWindow(3).fit_transform(SERIES)
    np.testing.assert_array_equal(SlidingWindow(3).fit_transform(layout(SERIES)), expected)


def test_missing_values_of_the_series_stay_in_the_windows():
    series = SERIES.copy()
    series[4, 1] = np.nan
    windows = SlidingWindow(2).fit_transform(series)
    assert np.isnan(windows[4, 1, 1])
    assert np.isnan(windows[5, 0, 1])
    assert np.isnan(windows).sum() == 2 + 2  # one value in two windows, and one row of padding


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_windows_are_a_read_only_view_of_one_copy(padding):
    windows = SlidingWindow(4, padding=padding).fit_transform(SERIES)
    assert not windows.flags.writeable
    assert windows.strides == (16, 16, 8)
    assert np.shares_memory(windows[0], windows[3])
    assert not np.shares_memory(windows, SERIES)
    with pytest.raises(TypeError, match="does not support item assignment"):
        windows[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(windows)[0, 0, 0] = 1


def test_windows_do_not_share_memory_with_the_series():
    for params in ({}, {"window_size": 1}, {"window_size": 1, "flatten": True}):
        series = SERIES.copy()
        window = SlidingWindow(**params).fit(series)
        with Unchanged(window, series):
            windows = window.transform(series)
        before = windows.copy()
        series[...] = -1
        np.testing.assert_array_equal(windows, before)


@pytest.mark.parametrize("window_size", [1, 3])
def test_flat_windows_are_writeable_and_contiguous(window_size):
    flat = SlidingWindow(window_size, flatten=True).fit_transform(SERIES)
    assert flat.flags.writeable
    assert flat.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_floats_keep_their_dtype(dtype, padding):
    windows = SlidingWindow(3, padding=padding).fit_transform(SERIES.astype(dtype))
    assert windows.dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool])
def test_integers_become_floats_only_for_nan_padding(dtype):
    series = SERIES.astype(dtype)
    assert SlidingWindow(3).fit_transform(series).dtype == np.float64
    for padding in ("edge", "zero"):
        assert SlidingWindow(3, padding=padding).fit_transform(series).dtype == dtype


# Panels of several series.


@pytest.mark.slow
@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=15),
    window_size=st.integers(1, 6),
    lag=st.integers(0, 3),
    sampling_rate=st.integers(1, 2),
    padding=st.sampled_from(["nan", "edge", "zero"]),
)
def test_windows_do_not_cross_from_one_series_into_another(groups, **params):
    series = np.random.RandomState(0).normal(size=(len(groups), 2))
    expected = windows_of_each(series, groups, **params)
    panel = np.c_[series, groups]
    window = SlidingWindow(group_column=2, **params)
    np.testing.assert_array_equal(window.fit_transform(panel), expected, strict=True)
    flat = window.set_params(flatten=True).fit_transform(panel)
    np.testing.assert_array_equal(flat, expected.reshape(len(groups), -1), strict=True)


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_windows_of_a_panel_with_one_series_are_a_view(padding):
    panel = pd.DataFrame(SERIES, columns=["temperature", "demand"]).assign(store="a")
    window = SlidingWindow(4, padding=padding, group_column="store")
    windows = window.fit_transform(panel)
    assert windows.strides[0] == windows.strides[1]
    assert np.shares_memory(windows[0], windows[3])
    np.testing.assert_array_equal(windows, SlidingWindow(4, padding=padding).fit_transform(SERIES))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_a_panel_keep_their_dtype(dtype):
    panel = pd.DataFrame(SERIES.astype(dtype), columns=["temperature", "demand"])
    panel["store"] = list("babbcaabaa")
    assert SlidingWindow(3, group_column="store").fit_transform(panel).dtype == dtype


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
@pytest.mark.parametrize(("lag", "column_lags"), [(0, None), (2, None), (3, {1: 0}), (0, {0: 4})])
@pytest.mark.parametrize("carried", [0, 4, 30])
def test_the_windows_know_which_steps_lie_before_the_series(padding, lag, column_lags, carried):
    # The rows before the first are 0 if they are padding and -1 if they are carried.
    window = SlidingWindow(
        4, lag=lag, column_lags=column_lags, sampling_rate=2, padding=padding, carry_context=True
    )
    series = np.ones((12, 2))
    first = np.full((max(1, carried), 2), -1.0)
    windows = window.fit(first).transform(series) if carried else window.fit_transform(series)
    lags = [lag, lag] if column_lags is None else [column_lags.get(k, lag) for k in range(2)]
    for t in range(12):
        for k in range(4):
            is_before = any(t - lag - (3 - k) * 2 < 0 for lag in lags)
            row = windows.starts[t] + k * 2
            assert windows.is_before[row] == is_before
            assert is_before or (windows.buffer[row] == 1).all()


def test_in_a_panel_each_series_has_steps_before_it():
    panel = np.c_[np.arange(12) % 3, np.ones(12)]
    windows = SlidingWindow(3, group_column=0, padding="zero").fit_transform(panel)
    np.testing.assert_array_equal(windows.is_before, windows.buffer[:, 0] == 0)
    assert windows.is_before.sum() == 6


def test_a_lag_longer_than_a_series_does_not_reach_into_the_next():
    panel = np.c_[np.repeat([0, 1], [2, 10]), np.ones(12)]
    windows = SlidingWindow(2, lag=6, group_column=0, padding="zero").fit_transform(panel)
    np.testing.assert_array_equal(windows.is_before, windows.buffer[:, 0] == 0)


def test_rows_and_pickles_of_windows_keep_what_lies_before():
    windows = SlidingWindow(3).fit_transform(SERIES)
    for other in (windows[2:5], windows.with_buffer(windows.buffer + 1)):
        assert other.is_before is windows.is_before
    again = pickle.loads(pickle.dumps(windows))
    np.testing.assert_array_equal(again.is_before, windows.is_before)
