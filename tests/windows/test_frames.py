"""Real frames: times that repeat or do not increase, levels of an index, columns of other types."""

import datetime
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from support.data import Unchanged
from windows._series import DAYS, SERIES, carrying, frame, polars_frame, whole

from sklstm import SlidingWindow, forecast_targets, make_windows

WINDOWS = [SlidingWindow(4), carrying(), SlidingWindow(4, freq="D")]
windows = pytest.mark.parametrize("window", WINDOWS, ids=["plain", "carrying", "freq"])


# The index.


@windows
@pytest.mark.parametrize(
    "days",
    [DAYS[::-1], DAYS[[*range(10), 12, 11, *range(13, 21 - 1)]], DAYS[np.arange(20) // 2]],
    ids=["backwards", "two swapped", "repeated"],
)
def test_times_that_do_not_increase_are_refused(window, days):
    series = frame()[: len(days)].set_axis(days)
    with Unchanged(window), pytest.raises(ValueError, match="index of X does not increase"):
        window.fit(series)
    fitted = SlidingWindow(**window.get_params()).fit(frame(DAYS))
    with Unchanged(fitted), pytest.raises(ValueError, match="index of X does not increase"):
        fitted.transform(series)


def test_times_that_repeat_in_several_series_need_a_group_column():
    both = pd.concat([frame(DAYS), frame(DAYS)])
    with pytest.raises(ValueError, match="as group_column"):
        SlidingWindow(4).fit(both)
    both["store"] = np.repeat(["a", "b"], 20)
    SlidingWindow(4, group_column="store").fit(both)


@windows
def test_missing_times_are_refused(window):
    days = DAYS.insert(3, pd.NaT)[:20]
    with pytest.raises(ValueError, match="missing labels"):
        window.fit(frame(days))


def test_numbers_out_of_order_give_a_warning():
    shuffled = frame().sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="seem to be shuffled") as record:
        SlidingWindow(4).fit(shuffled)
    assert [warning.filename for warning in record] == [__file__]
    with pytest.raises(ValueError, match="does not increase"):
        carrying().fit(shuffled)


@pytest.mark.parametrize("index", [None, pd.Index(list("ab") * 10), pd.Index(np.arange(20) // 2)])
def test_labels_that_say_nothing_about_time_give_no_warning(index):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SlidingWindow(4).fit(frame(index))


@pytest.mark.parametrize("method", ["fit", "fit_transform", "partial_fit"])
def test_an_irregular_index_gives_one_warning(method):
    with pytest.warns(UserWarning, match="freq='infer'") as record:
        getattr(SlidingWindow(4), method)(frame(DAYS)[::].drop(DAYS[[4, 5, 9]]))
    assert [warning.filename for warning in record] == [__file__]


def test_a_single_hole_does_not_switch_the_check_of_gaps_off():
    hours = pd.date_range("2024-01-01", periods=60, freq="h")
    series = frame(hours, np.random.RandomState(0).normal(size=(60, 2)))
    window = carrying()
    with pytest.warns(UserWarning, match="not regular"):
        window.fit(series[:40].drop(hours[7]))
    later = np.asarray(window.transform(series[43:]))
    expected = series.to_numpy().copy()
    expected[40:43] = np.nan
    np.testing.assert_array_equal(later, whole(expected)[43:])


def test_an_index_of_several_levels_needs_a_group_column():
    panel = frame(pd.MultiIndex.from_product([["a", "b"], DAYS[:10]], names=["store", "day"]))
    for window in (SlidingWindow(4), SlidingWindow(4, group_column="demand")):
        with Unchanged(window), pytest.raises(ValueError, match=r"2 levels, .*reset_index"):
            window.fit(panel)


@pytest.mark.parametrize("carry_context", [False, True])
def test_a_level_of_the_index_may_tell_the_series_apart(carry_context):
    panel = frame(pd.MultiIndex.from_product([["a", "b"], DAYS[:10]], names=["store", "day"]))
    window = SlidingWindow(4, group_column="store", carry_context=carry_context, freq="D")
    expected = np.concatenate([whole(SERIES[:10]), whole(SERIES[10:])])
    np.testing.assert_array_equal(window.fit_transform(panel), expected)
    by_day = panel.swaplevel().sort_index()
    order = by_day.index.get_indexer(panel.index.swaplevel())
    np.testing.assert_array_equal(np.asarray(window.fit_transform(by_day))[order], expected)
    if carry_context:
        is_later = panel.index.get_level_values("day") >= DAYS[6]
        later = window.fit(panel[~is_later]).transform(panel[is_later])
        np.testing.assert_array_equal(later, expected[is_later])


# freq.


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_freq_needs_an_index(method):
    window = SlidingWindow(4, freq="D")
    if method == "transform":
        window.fit(frame(DAYS))
    with pytest.raises(ValueError, match="needs a pandas frame whose index"):
        getattr(window, method)(polars_frame(frame()))
    with pytest.raises(ValueError, match="needs an index of times"):
        SlidingWindow(4, freq="D").fit(frame())


@pytest.mark.parametrize("method", ["transform", "partial_fit"])
@pytest.mark.parametrize(("old", "new"), [(None, "D"), ("D", None), ("D", "h")])
def test_freq_must_not_change_after_fit(method, old, new):
    days = frame(DAYS)
    window = carrying(freq=old).fit(days[:12]).set_params(freq=new)
    with Unchanged(window), pytest.raises(ValueError, match="freq was changed after fit"):
        getattr(window, method)(days[12:])


def test_freq_says_what_it_inferred():
    assert SlidingWindow(4, freq="infer").fit(frame(DAYS)).freq_ == "D"
    assert SlidingWindow(4, freq="h").fit(frame(DAYS)).freq_ == "h"
    assert SlidingWindow(4, freq="infer").fit(frame()).freq_ == "1"
    assert not hasattr(SlidingWindow(4).fit(frame(DAYS)), "freq_")


@pytest.mark.parametrize("padding", ["edge", "zero"])
def test_left_out_times_need_padding_with_nan(padding):
    window = SlidingWindow(4, freq="D", padding=padding)
    np.testing.assert_array_equal(
        window.fit_transform(frame(DAYS)), whole(padding=padding), strict=True
    )
    with Unchanged(window), pytest.raises(ValueError, match="missing after 2024-01-03"):
        window.transform(frame(DAYS).drop(DAYS[3]))


def test_a_long_hole_costs_no_memory():
    days = DAYS[:10].append(DAYS[10:] + pd.Timedelta("50000D"))
    windows = SlidingWindow(4, freq="D").fit_transform(frame(days))
    assert len(windows.buffer) < 40
    expected = np.concatenate([whole(SERIES[:10]), whole(SERIES[10:])])
    np.testing.assert_array_equal(windows, expected)


def test_a_label_off_the_grid_is_refused():
    window = SlidingWindow(4, freq="D", carry_context=True).fit(frame(DAYS)[:10])
    shifted = frame(DAYS)[12:].set_axis(DAYS[12:] + pd.Timedelta("3h"))
    with Unchanged(window), pytest.raises(ValueError, match="not a whole number of steps of 'D'"):
        window.transform(shifted)


# Columns of other types.

OTHERS = {
    "categories": pd.Categorical(list("ab") * 10),
    "strings": np.array(list("ab") * 10, dtype=object),
    "strings of numbers": np.array(["1", "2"] * 10, dtype=object),
    "dates": DAYS,
    "time differences": DAYS - DAYS[0],
    "objects": [datetime.date(2024, 1, 1)] * 20,
    "lists": [[1]] * 20,
    "complex numbers": np.ones(20, complex),
}


@pytest.mark.parametrize("column", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("dtype", [None, "string"])
def test_a_column_that_holds_no_numbers_is_named(column, dtype):
    series = frame().assign(other=column)
    if dtype is not None:
        series["other"] = series["other"].astype(dtype)
    window = SlidingWindow(4)
    with Unchanged(window), pytest.raises(ValueError, match="column 'other' of X holds"):
        window.fit(series)


@pytest.mark.parametrize("name", ["strings", "dates", "categories"])
def test_a_column_of_polars_is_named(name):
    polars = pytest.importorskip("polars")
    column = polars.Series("other", list(OTHERS[name]))
    if name == "categories":
        column = column.cast(polars.Categorical)
    series = polars_frame(frame()).with_columns(column)
    with pytest.raises(ValueError, match="column 'other' of X holds"):
        SlidingWindow(4).fit(series)


def test_a_column_of_dates_cannot_be_the_index_of_a_polars_frame():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"real numbers\. Make it numbers, such as the hour"):
        SlidingWindow(4).fit(polars.DataFrame({"day": list(DAYS)}))


def test_the_error_says_what_to_do():
    with pytest.raises(ValueError, match=r"Make it the index, with set_index"):
        SlidingWindow(4).fit(frame().assign(day=DAYS))
    with pytest.raises(ValueError, match="name it as group_column if it labels several series"):
        SlidingWindow(4).fit(frame().assign(store="a"))


@pytest.mark.parametrize(
    "convert",
    [
        lambda series: series.astype("Float64"),
        lambda series: series.round().astype("Int64"),
        lambda series: (series > 0).astype("boolean"),
        lambda series: series.astype("float64[pyarrow]"),
        lambda series: series.astype(object),
        lambda series: series > 0,
    ],
    ids=["Float64", "Int64", "boolean", "arrow", "object", "bool"],
)
@pytest.mark.parametrize("group_column", [None, "store"])
def test_nullable_and_other_numbers(convert, group_column):
    series = convert(frame(DAYS))
    expected = series.astype(float).to_numpy().copy()
    if series.dtypes.iloc[0].name != "bool":
        series = series.copy()
        series.iloc[5] = None
        expected[5] = np.nan
    series = series if group_column is None else series.assign(store="a")
    windows = SlidingWindow(4, group_column=group_column).fit_transform(series)
    np.testing.assert_array_equal(windows, whole(expected))
    assert windows.dtype == np.float64


# All or nothing.


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "X",
    [
        frame(series=SERIES + np.inf),
        frame(DAYS[::-1]),
        frame(DAYS).assign(demand="a"),
        frame(DAYS)[:0],
        frame(DAYS)[:5],
        frame(DAYS)[["demand", "temperature"]],
    ],
    ids=["inf", "index", "strings", "empty", "not after", "names"],
)
def test_a_refused_call_changes_nothing(method, X):
    window = carrying(column_lags={"demand": 2}).fit(frame(DAYS)[:10])
    if method == "fit":  # refuses other things than partial_fit
        window.set_params(column_lags={"supply": 1})
    with Unchanged(window), pytest.raises(ValueError, match=r"."):
        getattr(window, method)(X)
    window.set_params(column_lags={"demand": 2})
    expected = whole(column_lags={1: 2})
    np.testing.assert_array_equal(window.transform(frame(DAYS)[10:]), expected[10:])


def test_a_refused_first_partial_fit_does_not_block_the_stream():
    window = carrying()
    with Unchanged(window), pytest.raises(ValueError, match="infinity"):
        window.partial_fit(SERIES + np.inf)
    window.partial_fit(SERIES[:10, :1])
    np.testing.assert_array_equal(window.transform(SERIES[10:, :1]), whole(SERIES[:, :1])[10:])


def test_a_new_fit_forgets_the_names_of_the_old_one():
    window = SlidingWindow(4).fit(frame())
    window.fit(SERIES)
    assert not hasattr(window, "feature_names_in_")


# Masked arrays, and parameters that are no numbers.


@pytest.mark.parametrize("method", ["fit", "fit_transform", "partial_fit", "transform"])
def test_masked_arrays_are_refused(method):
    masked = np.ma.masked_greater(SERIES, 1)
    window = carrying().fit(SERIES[:10])
    with Unchanged(window), pytest.raises(ValueError, match=r"X\.filled\(np\.nan\)"):
        getattr(window, method)(masked)


def test_masked_arrays_are_refused_by_functions():
    masked = np.ma.masked_greater(SERIES[:, 0], 1)
    with pytest.raises(ValueError, match="X is a masked array"):
        make_windows(masked, window_size=2)
    with pytest.raises(ValueError, match="y is a masked array"):
        make_windows(SERIES, masked, window_size=2)
    with pytest.raises(ValueError, match="y is a masked array"):
        forecast_targets(masked, 2)


@pytest.mark.parametrize("name", ["window_size", "lag", "sampling_rate", "group_column"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bools_are_no_numbers(name, method):
    window = SlidingWindow(**{name: True})
    with Unchanged(window), pytest.raises(ValueError, match=f"'{name}' parameter .* not be a bool"):
        getattr(window, method)(SERIES)


def test_windows_may_be_longer_than_the_series():
    windows = SlidingWindow(50).fit_transform(SERIES)
    np.testing.assert_array_equal(np.isnan(windows[:, :, 0]).sum(axis=1), 49 - np.arange(20))


def test_threads_that_transform_leave_warnings_alone():
    series = SERIES.copy()
    series[:, 1] = np.nan
    window = carrying().fit(series[:10])
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(window.transform, [series[10:]] * 200))
    assert warnings.filters == before
    for windows in results:
        np.testing.assert_array_equal(windows, whole(series)[10:])
    with pytest.warns(UserWarning, match="still heard"):
        warnings.warn("still heard", stacklevel=1)
