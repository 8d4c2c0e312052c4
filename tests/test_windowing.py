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
        {"carry_context": "yes"},
        {"group_column": 1.0},
        {"group_column": ["store"]},
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


# Panels of several series.

STORES = np.array(["b", "a", "b", "b", "c", "a", "a", "b", "a", "a"])
PANEL = pd.DataFrame({"temperature": SERIES[:, 0], "store": STORES, "demand": SERIES[:, 1]})


def windows_of_each(groups, series=SERIES, **params):
    """Return the windows of each series by itself, in the place of its rows."""
    windows = np.empty((len(series), params.get("window_size", 10), series.shape[1]))
    for name in set(groups):
        rows = [row for row, group in enumerate(groups) if group == name]
        windows[rows] = SlidingWindow(**params).fit_transform(series[rows])
    return windows


@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=15),
    window_size=st.integers(1, 6),
    lag=st.integers(0, 3),
    sampling_rate=st.integers(1, 2),
    padding=st.sampled_from(["nan", "edge", "zero"]),
)
def test_windows_stay_within_a_series(groups, **params):
    series = np.random.RandomState(0).normal(size=(len(groups), 2))
    expected = windows_of_each(groups, series, **params)
    panel = np.c_[series, groups]
    window = SlidingWindow(group_column=2, **params)
    np.testing.assert_array_equal(window.fit_transform(panel), expected, strict=True)
    flat = window.set_params(flatten=True).fit_transform(panel)
    np.testing.assert_array_equal(flat, expected.reshape(len(groups), -1), strict=True)


def polars_frame(panel):
    return pytest.importorskip("polars").DataFrame(panel.to_dict("list"))


@pytest.mark.parametrize(
    ("container", "column"),
    [
        (container, column)
        for container in (pd.DataFrame, polars_frame, pd.DataFrame.to_numpy)
        for column in ("store", 1, -2, np.int64(1))
        if not (container is pd.DataFrame.to_numpy and column == "store")
    ],
)
def test_the_column_by_name_and_by_position(container, column):
    panel = container(PANEL)
    window = SlidingWindow(window_size=3, group_column=column)
    windows = window.fit_transform(panel)
    with Unchanged(window, panel):
        np.testing.assert_array_equal(window.transform(panel), windows)
    assert windows.dtype == np.float64
    np.testing.assert_array_equal(windows, windows_of_each(STORES, window_size=3))
    assert not windows.flags.writeable
    assert window.n_features_in_ == 3


@pytest.mark.parametrize(
    "labels",
    [
        STORES.tolist(),
        pd.Categorical(STORES),
        pd.array(STORES, dtype="string"),
        pd.Index(STORES).map({"a": 3, "b": 1, "c": 2}),
        pd.array(pd.Index(STORES).map({"a": 3, "b": 1, "c": 2}), dtype="Int64"),
        pd.Index(STORES).map({"a": 0.5, "b": np.inf, "c": -np.inf}),
        pd.Index(STORES).map(dict(zip("abc", pd.date_range("2024", periods=3), strict=True))),
    ],
    ids=["str", "category", "string", "int", "Int64", "float", "date"],
)
def test_labels_of_any_kind(labels):
    panel = PANEL.assign(store=labels)
    windows = SlidingWindow(window_size=3, group_column="store").fit_transform(panel)
    np.testing.assert_array_equal(windows, windows_of_each(STORES, window_size=3))


def test_a_list_of_rows_with_labels():
    rows = [[store, *row] for store, row in zip(STORES.tolist(), SERIES.tolist(), strict=True)]
    windows = SlidingWindow(window_size=3, group_column=0).fit_transform(rows)
    np.testing.assert_array_equal(windows, windows_of_each(STORES, window_size=3))


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_one_series_alone_is_still_a_view(padding):
    panel = PANEL.assign(store="a")
    window = SlidingWindow(4, padding=padding, group_column="store")
    windows = window.fit_transform(panel)
    assert windows.strides[0] == windows.strides[1]
    assert np.shares_memory(windows[0], windows[3])
    np.testing.assert_array_equal(windows, SlidingWindow(4, padding=padding).fit_transform(SERIES))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_of_a_panel_keep_their_dtype(dtype):
    panel = PANEL.astype({"temperature": dtype, "demand": dtype})
    assert SlidingWindow(3, group_column="store").fit_transform(panel).dtype == dtype


def test_names_leave_out_the_column():
    window = SlidingWindow(2, group_column="store", flatten=True)
    expected = ["temperature_lag1", "demand_lag1", "temperature_lag0", "demand_lag0"]
    assert window.fit(PANEL).get_feature_names_out().tolist() == expected
    assert window.get_feature_names_out(PANEL.columns).tolist() == expected
    window = SlidingWindow(2, group_column=1, flatten=True).fit(PANEL.to_numpy())
    assert window.get_feature_names_out().tolist() == ["x0_lag1", "x2_lag1", "x0_lag0", "x2_lag0"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_of_a_panel(library):
    panel = PANEL.set_index(pd.RangeIndex(5, 15)) if library == "pandas" else polars_frame(PANEL)
    window = SlidingWindow(2, group_column="store", flatten=True).set_output(transform=library)
    result = window.fit_transform(panel)
    assert isinstance(result, type(panel))
    assert list(result.columns) == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(
        result.to_numpy(), windows_of_each(STORES, window_size=2).reshape(10, -1)
    )
    if library == "pandas":
        assert result.index.equals(panel.index)


@pytest.mark.parametrize(
    ("panel", "column", "message"),
    [
        (
            PANEL,
            "shop",
            r"'shop' is not among the columns of X, \['temperature', 'store', 'demand'\]",
        ),
        (SERIES, "store", "is an array and has no names: give a position"),
        (PANEL, 3, "group_column=3 is not a column of X, which has 3"),
        (PANEL, -4, "group_column=-4 is not a column of X, which has 3"),
        (PANEL[["store"]], "store", "nothing but the group_column"),
        (PANEL.assign(store=[None, *STORES[1:]]), "store", "'store' holds missing values"),
        (PANEL.assign(store=[np.nan, *range(9)]), 1, "group_column=1 holds missing values"),
        (
            PANEL.assign(store=pd.array([None, *STORES[1:]], dtype="string")),
            1,
            "group_column=1 holds missing values",
        ),
        (PANEL.assign(store=[pd.NaT, *pd.date_range("2024", periods=9)]), 1, "missing values"),
        (PANEL.assign(store=[1, *STORES[1:]]), "store", "mixes strings with other labels"),
        (np.c_[SERIES, [*range(9), np.nan]], 2, "group_column=2 holds missing values"),
        (PANEL.assign(demand=STORES), "store", "could not convert|strings"),
        (PANEL.assign(demand=np.inf), "store", "infinity"),
        (SERIES[:, 0], 0, "Expected 2D array"),
        (SERIES[np.newaxis], 0, "dim 3"),
        (PANEL[:0], "store", "0 sample"),
    ],
    ids=str,
)
def test_panels_that_are_none(panel, column, message):
    window = SlidingWindow(group_column=column)
    with pytest.raises(ValueError, match=message):
        window.fit(panel)


@pytest.mark.parametrize("library", [pd.DataFrame, polars_frame])
@pytest.mark.parametrize("column", ["store", 1])
def test_the_column_must_be_there_at_transform(library, column):
    window = SlidingWindow(group_column=column).fit(library(PANEL))
    other = library(PANEL.drop(columns="store"))
    with Unchanged(window), pytest.raises(ValueError, match="yet now missing:\n- store"):
        window.transform(other)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_array_at_transform_after_a_name_at_fit():
    window = SlidingWindow(group_column="store").fit(PANEL)
    with pytest.raises(ValueError, match="is an array and has no names: give a position"):
        window.transform(PANEL.to_numpy())


@pytest.mark.parametrize(("before", "after"), [(None, 1), (1, None), (1, 0)])
def test_another_column_needs_a_new_fit(before, after):
    panel = np.c_[SERIES, SERIES]
    window = SlidingWindow(3, group_column=before).fit(panel).set_params(group_column=after)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(panel)


# The target among the columns.

NOISE = np.random.RandomState(0).normal(size=(50, 2))
LEAK = "y is a column of X, and with lag=0"


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (NOISE, NOISE[:, 1]),
        (NOISE, -3 * NOISE[:, 1] + 7),
        (NOISE, (NOISE[:, :1] - 100) / 7),
        (NOISE, np.c_[np.arange(50) % 7, NOISE[:, 0]]),
        (NOISE, pd.Series(NOISE[:, 0])),
        (pd.DataFrame(NOISE), pd.DataFrame(NOISE[:, 0])),
        (NOISE.astype(np.float32), NOISE[:, 0].astype(np.float32)),
        (NOISE.astype(np.float32), NOISE[:, 0]),
        (NOISE, NOISE[:, 0].astype(np.float32)),
        (StandardScaler().fit_transform(NOISE + 1e5), NOISE[:, 0] + 1e5),
        (StandardScaler().fit_transform((NOISE + 100).astype(np.float32)), NOISE[:, 0] + 100),
        (1e200 * NOISE, NOISE[:, 0]),
        (1e-200 * NOISE, NOISE[:, 0]),
        ((100 * NOISE).astype(int), (100 * NOISE[:, 0]).astype(int)),
        (np.where(NOISE > 1, np.nan, NOISE), NOISE[:, 0]),
    ],
    ids=[
        "column", "shifted and scaled", "2-D column", "2-D", "Series", "frames", "float32",
        "float32 X", "float32 y", "standardized", "standardized float32", "huge", "tiny",
        "integers", "with NaN",
    ],
)  # fmt: skip
def test_a_target_that_the_windows_hold(X, y):
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3).fit(X, y)
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3).fit_transform(X, y)
    # None, or pytest makes an error of it:
    SlidingWindow(3, lag=1).fit(X, y)


def test_a_target_that_the_windows_of_a_panel_hold():
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3, group_column="store").fit(PANEL, PANEL["demand"])


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (NOISE, None),
        (NOISE, NOISE.sum(axis=1)),
        (NOISE, np.r_[NOISE[1:, 0], 0.0]),
        (NOISE, NOISE[:, 0] + 1e-3 * NOISE[:, 1]),
        (NOISE, np.where(NOISE[:, 0] > 0, "up", "down")),
        (NOISE, NOISE[:, 0] > 0),
        (np.ones((50, 2)), np.ones(50)),
        (np.full((50, 1), 0.1), NOISE[:, 0]),
        (np.c_[NOISE, np.ones(50)], np.full(50, 0.3)),
        (NOISE[:2], NOISE[:2, 0]),
        ([[0.0], [1.0], [0.0]], [1, 0, 1]),
        (np.full((50, 2), np.nan), NOISE[:, 0]),
        (NOISE, np.full(50, np.nan)),
        (NOISE, pd.date_range("2024-01-01", periods=50)),
    ],
    ids=[
        "none", "sum", "next", "almost", "strings", "sign", "constants", "constant X",
        "constant y", "two rows", "three rows", "NaN in X", "NaN in y", "dates",
    ],
)  # fmt: skip
def test_a_target_that_the_windows_do_not_hold(X, y):
    assert SlidingWindow(3).fit(X, y).n_features_in_ == np.shape(X)[1]


def test_the_warning_points_to_whoever_fits():
    with pytest.warns(UserWarning, match=LEAK) as record:
        SlidingWindow(3).fit(NOISE, NOISE[:, 0])
    assert record[0].filename == __file__
