"""SlidingWindow(carry_context=True): the fitted rows precede rows that follow them.

All tests compare with the windows of the whole series, cut where the later rows begin.
"""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import Unchanged, quick
from windows._series import DAYS, SERIES, carrying, frame, whole, windows_of_each

from sklstm import LSTMRegressor, SlidingWindow

PARAMS = st.fixed_dictionaries(
    {
        "window_size": st.integers(1, 8),
        "lag": st.integers(0, 6),
        "sampling_rate": st.integers(1, 3),
        "padding": st.sampled_from(["nan", "edge", "zero"]),
        "flatten": st.booleans(),
    }
)


@given(params=PARAMS, n_train=st.integers(1, 19), n_later=st.integers(1, 19))
def test_windows_of_later_rows_equal_those_of_the_whole_series(params, n_train, n_later):
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
def test_partial_fit_takes_pieces_of_any_size(params, cuts):
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
def test_partial_fit_takes_one_row_at_a_time(series, container):
    expected = whole(series)
    series = container(series)
    window = carrying().fit(series[:7])
    for t in range(7, 20):
        np.testing.assert_array_equal(window.transform(series[t : t + 1]), expected[t : t + 1])
        window.partial_fit(series[t : t + 1])


@pytest.mark.parametrize("n_train", [1, 2])
def test_a_stream_may_begin_with_partial_fit(n_train):
    series = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])[:, np.newaxis]
    expected = whole(series)
    window = carrying().partial_fit(series[:n_train])
    for t in range(n_train, len(series)):
        np.testing.assert_array_equal(window.transform(series[t : t + 1]), expected[t : t + 1])
        window.partial_fit(series[t : t + 1])


@pytest.mark.parametrize(("level", "std"), [(101_325, 0.5), (1.7e9, 1e3), (0, 1e-10)])
def test_rows_with_a_small_standard_deviation_are_told_apart(level, std):
    series = level + std * SERIES
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole(series)[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole(series)[7:])


@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
def test_transform_takes_all_rows_since_fit(container):
    expected, series = whole(), container(SERIES)
    window = carrying().fit(series[:7])
    for end in range(8, 21):
        np.testing.assert_array_equal(window.transform(series[7:end]), expected[7:end])


@pytest.mark.parametrize("container", [np.asarray, lambda series: frame(series=series)])
def test_transform_takes_all_rows_from_the_first_one_after_partial_fit(container):
    series = container(SERIES)
    window = carrying().fit(series[:7]).partial_fit(series[7:12])
    np.testing.assert_array_equal(window.transform(series[:12]), whole()[:12])
    np.testing.assert_array_equal(window.transform(series), whole())


def test_partial_fit_may_be_the_first_call():
    window = carrying().partial_fit(SERIES[:3]).partial_fit(SERIES[3:12])
    np.testing.assert_array_equal(window.transform(SERIES[12:]), whole()[12:])


def test_a_new_fit_discards_the_history():
    window = carrying().fit(SERIES[:5]).partial_fit(SERIES[5:8]).fit(SERIES[10:12])
    np.testing.assert_array_equal(window.transform(SERIES[12:]), whole(SERIES[10:])[2:])


def test_missing_values_stay_in_the_history():
    series = SERIES.copy()
    series[5:7, 1] = np.nan
    window = carrying().fit(series[:7])
    np.testing.assert_array_equal(window.transform(series[:7]), whole(series)[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole(series)[7:])


def test_the_history_is_a_copy():
    series = SERIES.copy()
    window = carrying().fit(series[:7])
    windows = window.transform(SERIES[7:])
    series[...] = 0
    np.testing.assert_array_equal(window.transform(SERIES[7:]), whole()[7:])
    np.testing.assert_array_equal(windows, whole()[7:])


# State and types.


def through_joblib(window):
    file = io.BytesIO()
    joblib.dump(window, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("copy", [lambda w: pickle.loads(pickle.dumps(w)), through_joblib])
@pytest.mark.parametrize("index", [None, DAYS], ids=["arrays", "frames"])
def test_a_pickle_keeps_the_history(copy, index):
    series = SERIES if index is None else frame(index)
    window = copy(carrying().fit(series[:7]))
    np.testing.assert_array_equal(window.transform(series[:7]), whole()[:7])
    np.testing.assert_array_equal(window.transform(series[7:]), whole()[7:])


def test_a_clone_has_no_history():
    window = clone(carrying().fit(SERIES[:7]))
    assert window.carry_context
    np.testing.assert_array_equal(window.fit_transform(SERIES[7:]), whole(SERIES[7:]))


@pytest.mark.parametrize(
    "params",
    [{"window_size": 5}, {"lag": 1}, {"sampling_rate": 2}],
    ids=str,
)
def test_parameters_that_need_more_rows_need_a_new_fit(params):
    window = carrying().fit(SERIES[:7]).set_params(**params)
    for method in (window.transform, window.partial_fit):
        with Unchanged(window), pytest.raises(ValueError, match="fit again"):
            method(SERIES[7:])


def test_carry_context_set_after_fit_needs_a_new_fit():
    window = SlidingWindow(4).fit(SERIES[:7]).set_params(carry_context=True)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(SERIES[7:])


def test_parameters_that_need_fewer_rows_need_no_new_fit():
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


def test_integers_stay_integers_without_nan():
    series = np.arange(20).reshape(10, 2)
    window = carrying(padding="zero").fit(series[:7])
    windows = window.transform(series[7:])
    assert windows.dtype == series.dtype
    np.testing.assert_array_equal(windows, whole(series, padding="zero")[7:])


def test_windows_are_a_read_only_view_of_one_copy():
    window = carrying().fit(SERIES[:7])
    for rows in (slice(7), slice(7, None), slice(None)):
        windows = window.transform(SERIES[rows])
        assert not windows.flags.writeable
        assert windows.strides == (16, 16, 8)
        assert np.shares_memory(windows[0], windows[3])
        assert not np.shares_memory(windows, SERIES)


@pytest.mark.parametrize("rows", [slice(7), slice(7, None)])
def test_set_output_keeps_names_and_index(rows):
    series = frame(DAYS)
    window = carrying(2, flatten=True).set_output(transform="pandas").fit(series[:7])
    flat = window.transform(series[rows])
    assert flat.index.equals(series.index[rows])
    assert flat.columns.tolist() == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(flat, whole(window_size=2, flatten=True)[rows])


# Panels.

PANEL = frame().assign(store=np.tile(["b", "a"], 10))
PANEL = PANEL[["temperature", "store", "demand"]]


def windows_of_panel(panel, **params):
    """Return the windows of each series of a panel by itself."""
    series = panel[["temperature", "demand"]].to_numpy()
    return windows_of_each(series, panel["store"], window_size=4, **params)


@pytest.mark.slow
@given(
    stores=st.lists(st.sampled_from("abc"), min_size=20, max_size=20),
    n_train=st.integers(1, 19),
    lag=st.integers(0, 2),
    padding=st.sampled_from(["nan", "edge", "zero"]),
)
def test_each_series_has_its_own_history(stores, n_train, lag, padding):
    panel = PANEL.assign(store=stores)
    expected = windows_of_panel(panel, lag=lag, padding=padding)
    window = carrying(lag=lag, padding=padding, group_column="store")
    np.testing.assert_array_equal(window.fit_transform(panel[:n_train]), expected[:n_train])
    with Unchanged(window, panel):
        for rows in (slice(n_train), slice(n_train, None), slice(None)):
            np.testing.assert_array_equal(window.transform(panel[rows]), expected[rows])
    later = n_train + 1
    window.partial_fit(panel[n_train:later])
    if later < len(panel):
        np.testing.assert_array_equal(window.transform(panel[later:]), expected[later:])


def test_a_series_that_was_not_fitted_has_no_history():
    window = carrying(group_column="store").fit(PANEL[:10])
    later = PANEL[10:].assign(store=["b", "new"] * 5)
    windows = window.transform(later)
    np.testing.assert_array_equal(windows[::2], windows_of_panel(PANEL)[10::2])
    np.testing.assert_array_equal(windows[1::2], whole(SERIES[11::2]))


def test_transform_takes_one_series_of_the_fitted_panel():
    window = carrying(group_column="store").fit(PANEL[:10])
    np.testing.assert_array_equal(
        window.transform(PANEL[10:].query("store == 'a'")), windows_of_panel(PANEL)[11::2]
    )


TWICE = np.repeat(DAYS[:10], 2)  # the day of each row of the panel


@pytest.mark.parametrize("order", ["day", "store"])
@pytest.mark.parametrize(("labels", "n_missing"), [("day", 0), ("day", 2), ("number", 0)], ids=str)
def test_a_panel_may_be_cut_between_two_days(order, labels, n_missing):
    panel = PANEL.assign(day=TWICE).sort_values(order, kind="stable").assign(number=range(20))
    train = (panel["day"] < DAYS[4]).to_numpy()
    test = (panel["day"] >= DAYS[4 + n_missing]).to_numpy()
    panel = panel.set_index(labels)[PANEL.columns]
    with_missing = panel.copy()
    with_missing.loc[~(train | test), ["temperature", "demand"]] = np.nan
    window = carrying(group_column="store").fit(panel[train])
    np.testing.assert_array_equal(
        window.transform(panel[test]), windows_of_panel(with_missing)[test]
    )


def test_a_panel_may_be_cut_within_a_day():
    panel = PANEL.set_index(TWICE)
    window = carrying(group_column="store").fit(panel[:9])
    np.testing.assert_array_equal(window.transform(panel[9:]), windows_of_panel(PANEL)[9:])


@pytest.mark.parametrize("column", [None, 0], ids=["none", "another"])
def test_a_changed_group_column_needs_a_new_fit(column):
    panel = np.c_[SERIES, np.tile([0, 1], 10)]
    window = carrying(group_column=2).fit(panel[:10]).set_params(group_column=column)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(panel[10:])


# Pipelines.

LONG = np.random.RandomState(1).normal(size=(200, 2)).cumsum(axis=0)
Y = np.r_[LONG[1:, 0], 0.0]


def lags(**params):
    window = SlidingWindow(3, padding="edge", flatten=True, **params)
    return make_pipeline(window, Ridge())


def test_cross_validation_puts_training_rows_before_the_test_folds():
    windows = whole(LONG, 3, padding="edge", flatten=True)
    cv = TimeSeriesSplit(5)
    expected = cross_val_score(Ridge(), windows, Y, cv=cv)
    np.testing.assert_array_equal(
        cross_val_score(lags(carry_context=True), LONG, Y, cv=cv), expected
    )
    assert (cross_val_score(lags(), LONG, Y, cv=cv) != expected).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_gap_in_cross_validation_counts_as_missing_time_steps():
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
def test_predictions_equal_those_for_the_whole_series(container, first):
    series = container(LONG)
    pipeline = make_pipeline(first, carrying(), quick(LSTMRegressor))
    pipeline.fit(series[:150], Y[:150])
    expected = make_pipeline(
        pipeline[0], SlidingWindow(4).fit(LONG), pipeline[-1]
    ).predict(series)  # fmt: skip
    for rows in (slice(150), slice(150, None), slice(None)):
        np.testing.assert_allclose(pipeline.predict(series[rows]), expected[rows], rtol=1e-9)


def test_grid_search_over_the_window_size():
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
def test_a_validation_set_that_follows_has_full_windows():
    model = quick(LSTMRegressor, early_stopping=True)
    train, later = slice(100), slice(100, 150)
    windows = whole(LONG)
    expected = clone(model).fit(windows[train], Y[train], X_val=windows[later], y_val=Y[later])
    with config_context(enable_metadata_routing=True):
        routed = model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(carrying(), routed, transform_input=["X_val"])
        pipeline.fit(LONG[train], Y[train], X_val=LONG[later], y_val=Y[later])
    np.testing.assert_array_equal(pipeline[-1].validation_scores_, expected.validation_scores_)
