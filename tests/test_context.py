"""SlidingWindow(carry_context=True): rows that follow the fitted ones have those as their past.

The truth is always the same: the windows of the whole series, cut where the rows begin.
"""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from _data import Unchanged, quick
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

SERIES = np.random.RandomState(0).normal(size=(20, 2))

PARAMS = st.fixed_dictionaries(
    {
        "window_size": st.integers(1, 8),
        "lag": st.integers(0, 6),
        "sampling_rate": st.integers(1, 3),
        "padding": st.sampled_from(["nan", "edge", "zero"]),
        "flatten": st.booleans(),
    }
)


def carrying(window_size=4, **params):
    return SlidingWindow(window_size, carry_context=True, **params)


def whole(series=SERIES, window_size=4, **params):
    """Return the windows of a series that nobody cuts."""
    return SlidingWindow(window_size, **params).fit_transform(series)


def frame(index=None, series=SERIES):
    return pd.DataFrame(series, index, ["temperature", "demand"])


@given(params=PARAMS, n_train=st.integers(1, 19), n_later=st.integers(1, 19))
def test_windows_are_those_of_the_whole_series(params, n_train, n_later):
    expected = whole(**params)
    window = carrying(**params)
    np.testing.assert_array_equal(window.fit_transform(SERIES[:n_train]), expected[:n_train])
    with Unchanged(window, SERIES):
        for rows in (
            slice(0, n_train),
            slice(n_train, n_train + n_later),
            slice(0, n_train + n_later),
        ):
            np.testing.assert_array_equal(window.transform(SERIES[rows]), expected[rows])


@given(params=PARAMS, cuts=st.sets(st.integers(1, 19), min_size=1))
def test_pieces_of_any_size(params, cuts):
    expected = whole(**params)
    first, *others = np.split(np.arange(20), sorted(cuts))
    window = carrying(**params).fit(SERIES[first])
    for rows in others:
        np.testing.assert_array_equal(window.transform(SERIES[rows]), expected[rows])
        assert window.partial_fit(SERIES[rows]) is window


@pytest.mark.parametrize(
    "series",
    [
        SERIES,
        np.zeros((20, 2)),
        np.repeat(SERIES[:5], 4, axis=0),
        np.tile(SERIES[:5], (4, 1)),
    ],
    ids=["noise", "zeros", "steps", "cycle"],
)
@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
def test_one_new_row_at_a_time(series, container):
    expected = whole(series)
    series = container(series)
    window = carrying().fit(series[:7])
    for t in range(7, 20):
        np.testing.assert_array_equal(window.transform(series[t : t + 1]), expected[t : t + 1])
        window.partial_fit(series[t : t + 1])


@pytest.mark.parametrize("n_train", [1, 2])
def test_a_stream_from_its_first_row(n_train):
    series = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])[:, np.newaxis]
    expected = whole(series)
    window = carrying().partial_fit(series[:n_train])
    for t in range(n_train, len(series)):
        np.testing.assert_array_equal(window.transform(series[t : t + 1]), expected[t : t + 1])
        window.partial_fit(series[t : t + 1])


@pytest.mark.parametrize(("level", "spread"), [(101_325, 0.5), (1.7e9, 1e3), (0, 1e-10)])
def test_rows_of_little_spread_are_told_apart(level, spread):
    series = level + spread * SERIES
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole(series)[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole(series)[7:])


@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
def test_all_rows_since_the_fit_each_time(container):
    expected, series = whole(), container(SERIES)
    window = carrying().fit(series[:7])
    for end in range(8, 21):
        np.testing.assert_array_equal(window.transform(series[7:end]), expected[7:end])


@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
def test_all_rows_from_the_first_after_partial_fit(container):
    series = container(SERIES)
    window = carrying().fit(series[:7]).partial_fit(series[7:12])
    np.testing.assert_array_equal(window.transform(series[:12]), whole()[:12])
    np.testing.assert_array_equal(window.transform(series), whole())


def test_a_piece_goes_through_transform_before_partial_fit():
    series = frame(DAYS)
    window = carrying().fit(series[:7]).partial_fit(series[7:12])
    with pytest.raises(ValueError, match="nor follow the last"):
        window.transform(series[7:12])


def test_partial_fit_may_be_the_first_call():
    window = carrying().partial_fit(SERIES[:3]).partial_fit(SERIES[3:12])
    np.testing.assert_array_equal(window.transform(SERIES[12:]), whole()[12:])


def test_a_new_fit_forgets():
    window = carrying().fit(SERIES[:5]).partial_fit(SERIES[5:8]).fit(SERIES[10:12])
    np.testing.assert_array_equal(window.transform(SERIES[12:]), whole(SERIES[10:])[2:])


def test_missing_values_are_carried_too():
    series = SERIES.copy()
    series[5:7, 1] = np.nan
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole(series)[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole(series)[7:])


def test_the_past_is_not_referred_to():
    series = SERIES.copy()
    window = carrying().fit(series[:7])
    windows = window.transform(SERIES[7:])
    series[...] = 0
    np.testing.assert_array_equal(window.transform(SERIES[7:]), whole()[7:])
    np.testing.assert_array_equal(windows, whole()[7:])


# What a pandas index tells.

DAYS = pd.date_range("2024-01-01", periods=20)
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


NOT_KNOWN = "nor follow the last|does not increase"


def with_gap(begin, end):
    series = SERIES.copy()
    series[begin:end] = np.nan
    return series


@by_index
@pytest.mark.parametrize("n_train", [1, 2, 8])
def test_an_index_tells_what_follows(index, n_train):
    series = frame(index)
    window = carrying().fit(series.iloc[:n_train])
    for rows in (slice(n_train), slice(n_train, 15), slice(n_train, n_train + 1), slice(15)):
        np.testing.assert_array_equal(window.transform(series.iloc[rows]), whole()[rows])


@by_index
@pytest.mark.parametrize("begin", [9, 11, 19])
def test_missing_rows_are_missing_time_steps(index, begin):
    series = frame(index)
    windows = carrying().fit(series.iloc[:8]).transform(series.iloc[begin:])
    np.testing.assert_array_equal(windows, whole(with_gap(8, begin))[begin:])
    # As cross_val_score takes its folds: without a freq.
    taken = series.take(np.arange(8)), series.take(np.arange(begin, 20))
    np.testing.assert_array_equal(carrying().fit(taken[0]).transform(taken[1]), windows)


@by_index
@pytest.mark.parametrize("padding", ["edge", "zero"])
def test_missing_rows_are_refused_where_nothing_stands_for_them(index, padding):
    series = frame(index)
    window = carrying(padding=padding).fit(series.iloc[:8])
    with pytest.raises(ValueError, match="Rows are missing between"):
        window.transform(series.iloc[10:])


@by_index
def test_missing_rows_before_partial_fit(index):
    series = frame(index)
    window = carrying().fit(series.iloc[:8]).partial_fit(series.iloc[10:12])
    np.testing.assert_array_equal(window.transform(series.iloc[12:]), whole(with_gap(8, 10))[12:])
    with pytest.raises(ValueError, match="missing"):
        carrying(padding="zero").fit(series.iloc[:8]).partial_fit(series.iloc[10:12])


@by_index
def test_missing_rows_after_a_single_one(index):
    series = frame(index)
    window = carrying().fit(series.iloc[:8]).partial_fit(series.iloc[8:9])
    np.testing.assert_array_equal(window.transform(series.iloc[11:]), whole(with_gap(9, 11))[11:])


@by_index
@pytest.mark.parametrize(
    "rows",
    [slice(5, 8), slice(4, 12), slice(7, 12), slice(3), slice(19, 1, -1), slice(7, None, -1)],
    ids=["inside", "over the end", "the last", "before", "backwards", "all backwards"],
)
def test_rows_of_which_the_past_is_not_known_are_refused(index, rows):
    series = frame(index)
    window = carrying().fit(series.iloc[2:8])
    with Unchanged(window), pytest.raises(ValueError, match=NOT_KNOWN):
        window.transform(series.iloc[rows])


def test_rows_from_the_first_on_must_be_in_order():
    series = frame(DAYS)
    window = carrying().fit(series[:8])
    with pytest.raises(ValueError, match="does not increase"):
        window.transform(series.iloc[[0, 5, 3]])


@by_index
def test_partial_fit_goes_forward_only(index):
    series = frame(index)
    window = carrying().fit(series.iloc[2:8])
    for rows in (slice(5, 8), slice(6, 10), slice(2)):
        with Unchanged(window), pytest.raises(ValueError, match=NOT_KNOWN):
            window.partial_fit(series.iloc[rows])


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
def test_steps_of_the_calendar_are_not_all_of_one_length(index, n_train, n_missing):
    series = frame(pd.DatetimeIndex(index, freq=None))
    begin = n_train + n_missing
    window = carrying().fit(series.take(np.arange(n_train)))
    windows = window.transform(series.take(np.arange(begin, 20)))
    np.testing.assert_array_equal(windows, whole(with_gap(n_train, begin))[begin:])


def test_a_gap_of_any_length():
    seconds = pd.date_range("2024-01-01", periods=8, freq="ms")
    window = carrying().fit(frame(seconds, SERIES[:8]))
    windows = window.transform(frame(pd.DatetimeIndex(["2200-01-01"]), SERIES[8:9]))
    assert np.isnan(windows[0, :3]).all()


def test_an_irregular_index_tells_the_order():
    index = pd.DatetimeIndex("2024-01-0" + pd.Index(list("12458")))
    series = frame(index, SERIES[:5])
    window = carrying(padding="zero").fit(series[:3])
    np.testing.assert_array_equal(window.transform(series[3:]), whole(padding="zero")[3:5])
    with pytest.raises(ValueError, match="nor follow the last"):
        window.transform(series[1:])


@pytest.mark.parametrize(
    "piece",
    [frame()[7:].reset_index(drop=True), SERIES[7:]],
    ids=["counted from zero again", "no index"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_rows_without_an_index_that_tells_follow(piece):
    window = carrying().fit(frame()[:7])
    np.testing.assert_array_equal(window.transform(piece), whole()[7:])


def test_indexes_of_two_kinds():
    dated = frame(DAYS)
    window = carrying().fit(dated[:7])
    with pytest.raises(ValueError, match="begins at 0, which cannot be compared with"):
        window.transform(dated[7:].reset_index(drop=True))
    with pytest.raises(ValueError, match="cannot be compared with"):
        window.transform(dated[7:].tz_localize("UTC"))


def test_polars_frames_have_no_index():
    series = pytest.importorskip("polars").DataFrame(frame())
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole()[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])
    np.testing.assert_array_equal(window.transform(series), whole())


# State and types.


def through_joblib(window):
    file = io.BytesIO()
    joblib.dump(window, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("copy", [lambda w: pickle.loads(pickle.dumps(w)), through_joblib])
@pytest.mark.parametrize("index", [None, DAYS], ids=["arrays", "frames"])
def test_a_pickle_has_the_past(copy, index):
    series = SERIES if index is None else frame(index)
    window = copy(carrying().fit(series[:7]))
    np.testing.assert_array_equal(window.transform(series[:7]), whole()[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])


def test_a_clone_has_no_past():
    window = clone(carrying().fit(SERIES[:7]))
    assert window.carry_context
    np.testing.assert_array_equal(window.fit_transform(SERIES[7:]), whole(SERIES[7:]))


@pytest.mark.parametrize(
    "params",
    [{"window_size": 5}, {"lag": 1}, {"sampling_rate": 2}],
    ids=str,
)
def test_what_needs_more_of_the_past_needs_a_new_fit(params):
    window = carrying().fit(SERIES[:7]).set_params(**params)
    for method in (window.transform, window.partial_fit):
        with Unchanged(window), pytest.raises(ValueError, match="fit again"):
            method(SERIES[7:])


def test_carry_context_cannot_be_set_after_fit():
    window = SlidingWindow(4).fit(SERIES[:7]).set_params(carry_context=True)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(SERIES[7:])


def test_what_needs_less_of_the_past_needs_none():
    window = carrying(sampling_rate=2).fit(SERIES[:7]).set_params(sampling_rate=1, lag=1)
    np.testing.assert_array_equal(window.transform(SERIES[7:]), whole(lag=1)[7:])
    window.set_params(carry_context=False)
    np.testing.assert_array_equal(window.transform(SERIES[7:]), whole(SERIES[7:], lag=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
def test_floats_keep_their_dtype(dtype, padding):
    series = frame(DAYS, SERIES.astype(dtype))
    window = carrying(padding=padding).fit(series[:7])
    begins = [0, 7, 9] if padding == "nan" else [0, 7]
    assert [window.transform(series[begin:]).dtype for begin in begins] == [dtype] * len(begins)


def test_integers_stay_integers_where_no_nan_is_needed():
    series = np.arange(20).reshape(10, 2)
    window = carrying(padding="zero").fit(series[:7])
    windows = window.transform(series[7:])
    assert windows.dtype == series.dtype
    np.testing.assert_array_equal(windows, whole(series, padding="zero")[7:])


def test_a_view_of_one_copy():
    window = carrying().fit(SERIES[:7])
    for rows in (slice(7), slice(7, None), slice(None)):
        windows = window.transform(SERIES[rows])
        assert not windows.flags.writeable
        assert windows.strides == (16, 16, 8)
        assert np.shares_memory(windows[0], windows[3])
        assert not np.shares_memory(windows, SERIES)


@pytest.mark.parametrize("rows", [slice(7), slice(7, None)])
def test_names_and_index_of_flat_windows(rows):
    series = frame(DAYS)
    window = carrying(2, flatten=True).set_output(transform="pandas").fit(series[:7])
    flat = window.transform(series[rows])
    assert flat.index.equals(series.index[rows])
    assert flat.columns.tolist() == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(flat, whole(window_size=2, flatten=True)[rows])


# Panels.

PANEL = pd.DataFrame(
    {
        "temperature": SERIES[:, 0],
        "store": np.tile(["b", "a"], 10),
        "demand": SERIES[:, 1],
    }
)


def windows_of_each(panel, window_size=4, **params):
    """Return the windows of each series by itself, rows as in the panel."""
    windows = np.empty((len(panel), window_size, 2))
    for store in panel["store"].unique():
        rows = (panel["store"] == store).to_numpy()
        windows[rows] = whole(panel[rows].drop(columns="store").to_numpy(), window_size, **params)
    return windows


@given(
    stores=st.lists(st.sampled_from("abc"), min_size=20, max_size=20),
    n_train=st.integers(1, 19),
    lag=st.integers(0, 2),
    padding=st.sampled_from(["nan", "edge", "zero"]),
)
def test_each_series_has_its_own_past(stores, n_train, lag, padding):
    panel = PANEL.assign(store=stores)
    expected = windows_of_each(panel, lag=lag, padding=padding)
    window = carrying(lag=lag, padding=padding, group_column="store")
    np.testing.assert_array_equal(window.fit_transform(panel[:n_train]), expected[:n_train])
    with Unchanged(window, panel):
        for rows in (slice(n_train), slice(n_train, None), slice(None)):
            np.testing.assert_array_equal(window.transform(panel[rows]), expected[rows])
    later = n_train + 1
    window.partial_fit(panel[n_train:later])
    if later < len(panel):
        np.testing.assert_array_equal(window.transform(panel[later:]), expected[later:])


def test_a_series_that_was_not_fitted_has_no_past():
    window = carrying(group_column="store").fit(PANEL[:10])
    later = PANEL[10:].assign(store=["b", "new"] * 5)
    windows = window.transform(later)
    np.testing.assert_array_equal(windows[::2], windows_of_each(PANEL)[10::2])
    np.testing.assert_array_equal(windows[1::2], whole(SERIES[11::2]))


def test_one_series_of_the_fitted_panel():
    window = carrying(group_column="store").fit(PANEL[:10])
    np.testing.assert_array_equal(
        window.transform(PANEL[10:].query("store == 'a'")), windows_of_each(PANEL)[11::2]
    )


TWICE = np.repeat(DAYS[:10], 2)  # the day of each row of the panel


@pytest.mark.parametrize("order", ["day", "store"])
@pytest.mark.parametrize(("labels", "n_missing"), [("day", 0), ("day", 2), ("number", 0)], ids=str)
def test_a_panel_that_is_cut_in_time(order, labels, n_missing):
    panel = PANEL.assign(day=TWICE).sort_values(order, kind="stable").assign(number=range(20))
    train = (panel["day"] < DAYS[4]).to_numpy()
    test = (panel["day"] >= DAYS[4 + n_missing]).to_numpy()
    panel = panel.set_index(labels)[PANEL.columns]
    with_missing = panel.copy()
    with_missing.loc[~(train | test), ["temperature", "demand"]] = np.nan
    window = carrying(group_column="store").fit(panel[train])
    np.testing.assert_array_equal(
        window.transform(panel[test]), windows_of_each(with_missing)[test]
    )


def test_a_panel_that_is_cut_within_a_day():
    panel = PANEL.set_index(TWICE)
    window = carrying(group_column="store").fit(panel[:9])
    np.testing.assert_array_equal(window.transform(panel[9:]), windows_of_each(PANEL)[9:])


@pytest.mark.parametrize("column", [None, 0], ids=["none", "another"])
def test_the_group_column_cannot_be_set_after_fit(column):
    panel = np.c_[SERIES, np.tile([0, 1], 10)]
    window = carrying(group_column=2).fit(panel[:10]).set_params(group_column=column)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(panel[10:])


# In pipelines.

LONG = np.random.RandomState(1).normal(size=(200, 2)).cumsum(axis=0)
Y = np.r_[LONG[1:, 0], 0.0]


def lags(**params):
    window = SlidingWindow(3, padding="edge", flatten=True, **params)
    return make_pipeline(window, Ridge())


def test_cross_validation_gives_test_folds_their_past():
    windows = whole(LONG, 3, padding="edge", flatten=True)
    cv = TimeSeriesSplit(5)
    expected = cross_val_score(Ridge(), windows, Y, cv=cv)
    np.testing.assert_array_equal(
        cross_val_score(lags(carry_context=True), LONG, Y, cv=cv), expected
    )
    assert (cross_val_score(lags(), LONG, Y, cv=cv) != expected).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cross_validation_with_a_gap():
    index = pd.date_range("2024-01-01", periods=200)
    index.freq = None
    series = frame(index, LONG)
    cv = TimeSeriesSplit(3, gap=2)
    pipeline = make_pipeline(carrying(), quick(LSTMRegressor))
    for (train, test), score in zip(
        cv.split(series), cross_val_score(pipeline, series, Y, cv=cv), strict=True
    ):
        missing = LONG.copy()
        missing[train[-1] + 1 : test[0]] = np.nan
        windows = whole(missing)
        model = quick(LSTMRegressor).fit(windows[train], Y[train])
        assert score == pytest.approx(model.score(windows[test], Y[test]), rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
@pytest.mark.parametrize("first", [StandardScaler(), PCA(svd_solver="full")], ids=["scale", "PCA"])
def test_predictions_are_those_in_the_whole_series(container, first):
    series = container(LONG)
    pipeline = make_pipeline(first, carrying(), quick(LSTMRegressor))
    pipeline.fit(series[:150], Y[:150])
    expected = make_pipeline(
        pipeline[0], SlidingWindow(4).fit(LONG), pipeline[-1]
    ).predict(series)  # fmt: skip
    for rows in (slice(150), slice(150, None), slice(None)):
        np.testing.assert_allclose(pipeline.predict(series[rows]), expected[rows], rtol=1e-9)


def test_a_grid_search_over_the_window():
    sizes = [1, 3, 5]
    cv = TimeSeriesSplit(4)
    grid = {"slidingwindow__window_size": sizes}
    search = GridSearchCV(lags(carry_context=True), grid, cv=cv).fit(LONG[:150], Y[:150])
    expected = [
        cross_val_score(
            Ridge(), whole(LONG[:150], size, padding="edge", flatten=True), Y[:150], cv=cv
        ).mean()
        for size in sizes
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-12)
    np.testing.assert_array_equal(search.predict(LONG[150:]), search.predict(LONG)[150:])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_validation_set_that_follows():
    model = quick(LSTMRegressor, early_stopping=True)
    train, later = slice(100), slice(100, 150)
    windows = whole(LONG)
    expected = clone(model).fit(windows[train], Y[train], X_val=windows[later], y_val=Y[later])
    with config_context(enable_metadata_routing=True):
        routed = model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(carrying(), routed, transform_input=["X_val"])
        pipeline.fit(LONG[train], Y[train], X_val=LONG[later], y_val=Y[later])
    np.testing.assert_array_equal(pipeline[-1].validation_scores_, expected.validation_scores_)
