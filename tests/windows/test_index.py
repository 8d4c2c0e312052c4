"""SlidingWindow(carry_context=True): a pandas index tells which rows follow the fitted ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
from support.data import Unchanged
from windows._series import DAYS, SERIES, carrying, frame, whole

MONTHS = pd.period_range("2020-01", periods=20, freq="M")
BERLIN = "Europe/Berlin"  # where clocks change on 31 March 2024

INDEXES = {
    "days": DAYS,
    "days, read from a file": pd.DatetimeIndex(list(DAYS)),
    "ends of months": pd.DatetimeIndex(MONTHS.to_timestamp(how="end").normalize(), freq="infer"),
    "months, read from a file": pd.DatetimeIndex(list(MONTHS.to_timestamp())),
    "working days": pd.bdate_range("2024-01-01", periods=20),
    "hours, when clocks change": pd.date_range("2024-03-30T18", periods=20, freq="h", tz=BERLIN),
    "days, when clocks change": pd.date_range("2024-03-25", periods=20, tz=BERLIN),
    "periods": MONTHS,
    "time deltas": pd.timedelta_range("0h", periods=20, freq="h"),
    "a range": pd.RangeIndex(20),
    "a range in steps": pd.RangeIndex(100, 160, 3),
    "integers": pd.Index(np.arange(2000, 2020)),
    "floats": pd.Index(np.arange(20) / 10),
}

by_index = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)

NOT_KNOWN = "nor follow the last one|does not increase"


def with_gap(begin, end):
    series = SERIES.copy()
    series[begin:end] = np.nan
    return series


@by_index
@pytest.mark.parametrize("n_train", [1, 2, 8])
def test_the_index_tells_which_rows_follow(index, n_train):
    series = frame(index)
    window = carrying().fit(series.iloc[:n_train])
    for rows in (slice(n_train), slice(n_train, 15), slice(n_train, n_train + 1), slice(15)):
        np.testing.assert_array_equal(window.transform(series.iloc[rows]), whole()[rows])


@by_index
@pytest.mark.parametrize("begin", [9, 11, 19])
def test_a_gap_counts_as_missing_time_steps(index, begin):
    series = frame(index)
    windows = carrying().fit(series.iloc[:8]).transform(series.iloc[begin:])
    np.testing.assert_array_equal(windows, whole(with_gap(8, begin))[begin:])
    # cross_val_score takes its folds in this way, which loses the freq.
    taken = series.take(np.arange(8)), series.take(np.arange(begin, 20))
    np.testing.assert_array_equal(carrying().fit(taken[0]).transform(taken[1]), windows)


@by_index
@pytest.mark.parametrize("padding", ["edge", "zero"])
def test_a_gap_is_refused_unless_the_padding_is_nan(index, padding):
    series = frame(index)
    window = carrying(padding=padding).fit(series.iloc[:8])
    with pytest.raises(ValueError, match="Rows are missing between"):
        window.transform(series.iloc[10:])


@by_index
def test_a_gap_before_partial_fit_counts_as_missing_time_steps(index):
    series = frame(index)
    window = carrying().fit(series.iloc[:8]).partial_fit(series.iloc[10:12])
    np.testing.assert_array_equal(window.transform(series.iloc[12:]), whole(with_gap(8, 10))[12:])
    with pytest.raises(ValueError, match="missing"):
        carrying(padding="zero").fit(series.iloc[:8]).partial_fit(series.iloc[10:12])


@by_index
def test_a_gap_after_a_single_new_row_counts_as_missing_time_steps(index):
    series = frame(index)
    window = carrying().fit(series.iloc[:8]).partial_fit(series.iloc[8:9])
    np.testing.assert_array_equal(window.transform(series.iloc[11:]), whole(with_gap(9, 11))[11:])


@by_index
@pytest.mark.parametrize(
    "rows",
    [slice(5, 8), slice(4, 12), slice(7, 12), slice(3), slice(19, 1, -1), slice(7, None, -1)],
    ids=["inside", "over the end", "the last", "before", "backwards", "all backwards"],
)
def test_rows_that_neither_begin_with_the_fitted_ones_nor_follow_are_refused(index, rows):
    series = frame(index)
    window = carrying().fit(series.iloc[2:8])
    with Unchanged(window), pytest.raises(ValueError, match=NOT_KNOWN):
        window.transform(series.iloc[rows])


def test_rows_out_of_order_are_refused():
    series = frame(DAYS)
    window = carrying().fit(series[:8])
    with pytest.raises(ValueError, match="does not increase"):
        window.transform(series.iloc[[0, 5, 3]])


@by_index
def test_partial_fit_refuses_rows_that_do_not_follow(index):
    series = frame(index)
    window = carrying().fit(series.iloc[2:8])
    for rows in (slice(5, 8), slice(6, 10), slice(2)):
        with Unchanged(window), pytest.raises(ValueError, match=NOT_KNOWN):
            window.partial_fit(series.iloc[rows])


def test_transform_refuses_rows_already_given_to_partial_fit():
    series = frame(DAYS)
    window = carrying().fit(series[:7]).partial_fit(series[7:12])
    with pytest.raises(ValueError, match="nor follow the last one"):
        window.transform(series[7:12])


@pytest.mark.parametrize(
    ("index", "n_train"),
    [
        (pd.date_range("2024-10-20", periods=20, tz="Europe/Berlin"), 8),
        (pd.date_range("2024-02-01", periods=20, freq="MS"), 2),
        (pd.date_range("2024-01-01", periods=20, freq="QS"), 3),
        (pd.DatetimeIndex([f"{1981 + k}-01-01" for k in range(20)]), 4),
    ],
    ids=["a day of 25 hours", "a longer month", "a longer quarter", "a leap year"],
)
@pytest.mark.parametrize("n_missing", [0, 1, 3])
def test_calendar_steps_may_vary_in_length(index, n_train, n_missing):
    series = frame(pd.DatetimeIndex(index, freq=None))
    begin = n_train + n_missing
    window = carrying().fit(series.take(np.arange(n_train)))
    windows = window.transform(series.take(np.arange(begin, 20)))
    np.testing.assert_array_equal(windows, whole(with_gap(n_train, begin))[begin:])


def test_a_very_long_gap_fills_the_window_with_missing_steps():
    seconds = pd.date_range("2024-01-01", periods=8, freq="ms")
    window = carrying().fit(frame(seconds, SERIES[:8]))
    windows = window.transform(frame(pd.DatetimeIndex(["2200-01-01"]), SERIES[8:9]))
    assert np.isnan(windows[0, :3]).all()


def test_an_irregular_index_gives_a_warning_and_tells_the_order_of_rows():
    index = pd.DatetimeIndex("2024-01-0" + pd.Index(list("12458")))
    series = frame(index, SERIES[:5])
    window = carrying()
    with pytest.warns(UserWarning, match="not regular") as record:
        window.fit(series[:4])
    assert [warning.filename for warning in record] == [__file__]
    # The step is a day, the most common one: the 6th and the 7th are missing before the 8th.
    expected = whole(np.insert(SERIES[:5], 4, np.full((2, 2), np.nan), axis=0))[6:]
    np.testing.assert_array_equal(window.transform(series[4:]), expected)
    with pytest.raises(ValueError, match="nor follow the last one"):
        window.transform(series[1:])


EVENTS = 2 + np.random.RandomState(3).geometric(1 / 300, size=20).cumsum()


@pytest.mark.parametrize(
    "index",
    [
        pd.Timestamp("2024-01-01") + pd.to_timedelta(EVENTS, unit="s"),
        pd.to_timedelta(EVENTS, unit="s"),
        pd.Index(EVENTS),
        pd.PeriodIndex(pd.Timestamp("2024-01-01") + pd.to_timedelta(EVENTS, unit="s"), freq="s"),
    ],
    ids=["times", "time deltas", "integers", "periods"],
)
@pytest.mark.filterwarnings("ignore:The index of X is not regular")
def test_no_row_is_missing_between_events_at_any_time(index):
    series = frame(index)
    window = carrying().fit(series.iloc[:12])
    np.testing.assert_array_equal(window.transform(series.iloc[12:]), whole()[12:])
    window.partial_fit(series.iloc[12:14])
    np.testing.assert_array_equal(window.transform(series.iloc[14:]), whole()[14:])
    with pytest.raises(ValueError, match="nor follow the last one"):
        window.transform(series.iloc[11:])


@pytest.mark.filterwarnings("ignore:The index of X is not regular")
def test_rows_that_come_a_little_early_or_late_still_have_a_step():
    seconds = 60 * np.arange(20) + np.random.RandomState(0).randint(-3, 4, size=20)
    series = frame(pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"))
    windows = carrying().fit(series.iloc[:12]).transform(series.iloc[14:])
    np.testing.assert_array_equal(windows, whole(with_gap(12, 14))[14:])


@pytest.mark.parametrize(
    ("index", "dtype"),
    [
        (DAYS, "timestamp[us][pyarrow]"),
        (DAYS.tz_localize(BERLIN), f"timestamp[us, tz={BERLIN}][pyarrow]"),
        (pd.timedelta_range("1D", periods=20), "duration[us][pyarrow]"),
    ],
)
@pytest.mark.parametrize("freq", [None, "D"])
def test_times_of_pyarrow_are_times(index, dtype, freq):
    pytest.importorskip("pyarrow")
    series = frame(pd.Index(pd.Series(index).astype(dtype)))
    window = carrying(freq=freq).fit(series.iloc[:8])
    windows = window.transform(series.iloc[11:])
    np.testing.assert_array_equal(windows, whole(with_gap(8, 11))[11:])


@pytest.mark.parametrize(
    "piece",
    [frame()[7:].reset_index(drop=True), SERIES[7:]],
    ids=["counted from zero again", "no index"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_without_labels_are_taken_to_follow(piece):
    window = carrying().fit(frame()[:7])
    np.testing.assert_array_equal(window.transform(piece), whole()[7:])


def test_labels_of_another_type_than_in_fit_are_refused():
    dated = frame(DAYS)
    window = carrying().fit(dated[:7])
    with pytest.raises(ValueError, match="begins at 0, which cannot be compared with"):
        window.transform(dated[7:].reset_index(drop=True))
    with pytest.raises(ValueError, match="cannot be compared with"):
        window.transform(dated[7:].tz_localize("UTC"))


def test_polars_frames_are_treated_like_arrays():
    series = pytest.importorskip("polars").DataFrame(frame())
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole()[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])
    np.testing.assert_array_equal(window.transform(series), whole())


# An index that does not order the rows.

UNORDERED = {
    "strings": pd.Index([f"row {row}" for row in range(20)]),
    "repeated numbers": pd.Index(np.arange(20) // 2),
}
UNORDERED_WARNING = "does not say which rows come later"


@pytest.mark.parametrize("index", UNORDERED.values(), ids=UNORDERED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_index_that_does_not_order_the_rows_gives_a_warning(index, method):
    series = frame(index)
    window = carrying()
    with pytest.warns(UserWarning, match=UNORDERED_WARNING) as record:
        getattr(window, method)(series[:7])
    assert [warning.filename for warning in record] == [__file__]
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])
    window.partial_fit(series[7:12])
    np.testing.assert_array_equal(window.transform(series[12:]), whole()[12:])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_transformer_is_fitted_even_if_the_warning_becomes_an_error(method):
    series = frame(UNORDERED["strings"])
    window = carrying()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=UNORDERED_WARNING):
            getattr(window, method)(series[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])
