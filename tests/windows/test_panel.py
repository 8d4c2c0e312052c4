"""SlidingWindow(group_column=...): the labels of a panel, and the column that holds them."""

import numpy as np
import pandas as pd
import pytest
from support.data import Unchanged
from windows._series import polars_frame, windows_of_each

from sklstm import SlidingWindow

SERIES = np.arange(20.0).reshape(10, 2)
STORES = np.array(["b", "a", "b", "b", "c", "a", "a", "b", "a", "a"])
PANEL = pd.DataFrame({"temperature": SERIES[:, 0], "store": STORES, "demand": SERIES[:, 1]})


@pytest.mark.parametrize(
    ("container", "column"),
    [
        (container, column)
        for container in (pd.DataFrame, polars_frame, pd.DataFrame.to_numpy)
        for column in ("store", 1, -2, np.int64(1))
        if not (container is pd.DataFrame.to_numpy and column == "store")
    ],
)
def test_the_group_column_by_name_and_by_position(container, column):
    panel = container(PANEL)
    window = SlidingWindow(window_size=3, group_column=column)
    windows = window.fit_transform(panel)
    with Unchanged(window, panel):
        np.testing.assert_array_equal(window.transform(panel), windows)
    assert windows.dtype == np.float64
    np.testing.assert_array_equal(windows, windows_of_each(SERIES, STORES, window_size=3))
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
def test_labels_may_have_any_type(labels):
    panel = PANEL.assign(store=labels)
    windows = SlidingWindow(window_size=3, group_column="store").fit_transform(panel)
    np.testing.assert_array_equal(windows, windows_of_each(SERIES, STORES, window_size=3))


def test_a_list_of_rows_may_hold_labels():
    rows = [[store, *row] for store, row in zip(STORES.tolist(), SERIES.tolist(), strict=True)]
    windows = SlidingWindow(window_size=3, group_column=0).fit_transform(rows)
    np.testing.assert_array_equal(windows, windows_of_each(SERIES, STORES, window_size=3))


def test_feature_names_leave_out_the_group_column():
    window = SlidingWindow(2, group_column="store", flatten=True)
    expected = ["temperature_lag1", "demand_lag1", "temperature_lag0", "demand_lag0"]
    assert window.fit(PANEL).get_feature_names_out().tolist() == expected
    assert window.get_feature_names_out(PANEL.columns).tolist() == expected
    window = SlidingWindow(2, group_column=1, flatten=True).fit(PANEL.to_numpy())
    assert window.get_feature_names_out().tolist() == ["x0_lag1", "x2_lag1", "x0_lag0", "x2_lag0"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_works_for_a_panel(library):
    panel = PANEL.set_index(pd.RangeIndex(5, 15)) if library == "pandas" else polars_frame(PANEL)
    window = SlidingWindow(2, group_column="store", flatten=True).set_output(transform=library)
    result = window.fit_transform(panel)
    assert isinstance(result, type(panel))
    assert list(result.columns) == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(
        result.to_numpy(), windows_of_each(SERIES, STORES, window_size=2).reshape(10, -1)
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
        (PANEL[["store"]], "store", "no feature is left"),
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
        (SERIES[:, 0], 0, "1 dimension"),
        (SERIES[np.newaxis], 0, "3 dimension"),
        (PANEL[:0], "store", "0 sample"),
    ],
    ids=str,
)
def test_invalid_panels_are_refused(panel, column, message):
    window = SlidingWindow(group_column=column)
    with pytest.raises(ValueError, match=message):
        window.fit(panel)


def test_labels_that_cannot_be_sorted_are_refused():
    panel = PANEL.assign(store=[pd.Timestamp("2024"), *range(9)])
    with pytest.raises(TypeError, match="'store': the argument must be strings or numbers"):
        SlidingWindow(group_column="store").fit(panel)


@pytest.mark.parametrize("library", [pd.DataFrame, polars_frame])
@pytest.mark.parametrize("column", ["store", 1])
def test_transform_refuses_a_panel_without_the_group_column(library, column):
    window = SlidingWindow(group_column=column).fit(library(PANEL))
    other = library(PANEL.drop(columns="store"))
    with Unchanged(window), pytest.raises(ValueError, match="yet now missing:\n- store"):
        window.transform(other)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_transform_refuses_an_array_if_the_group_column_is_a_name():
    window = SlidingWindow(group_column="store").fit(PANEL)
    with pytest.raises(ValueError, match="is an array and has no names: give a position"):
        window.transform(PANEL.to_numpy())


@pytest.mark.parametrize(("before", "after"), [(None, 1), (1, None), (1, 0)])
def test_a_changed_group_column_needs_a_new_fit(before, after):
    panel = np.c_[SERIES, SERIES]
    window = SlidingWindow(3, group_column=before).fit(panel).set_params(group_column=after)
    with pytest.raises(ValueError, match="fit again"):
        window.transform(panel)
