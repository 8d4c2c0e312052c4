"""Windows equal the naive definition, whatever series, times, lags and pieces they come from."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklstm import SlidingWindow


def naive(series, times, groups, *, window_size, lags, sampling_rate, padding):
    """Make the windows step by step and column by column: times are whole numbers."""
    windows = np.empty((len(series), window_size, series.shape[1]))
    rows = {(group, time): row for row, (group, time) in enumerate(zip(groups, times, strict=True))}
    first = {group: min(t for g, t in rows if g == group) for group in set(groups)}
    for t, (group, time) in enumerate(zip(groups, times, strict=True)):
        for k in range(window_size):
            age = (window_size - 1 - k) * sampling_rate
            sources = [time - age - lag for lag in lags]
            if min(sources) < first[group]:
                edge = series[rows[group, first[group]]]
                windows[t, k] = {"nan": np.nan, "edge": edge, "zero": 0.0}[padding]
                continue
            taken = [rows.get((group, source)) for source in sources]
            if None in taken:
                windows[t, k] = np.nan
            else:
                windows[t, k] = series[taken, np.arange(len(lags))]
    return windows


@st.composite
def panels(draw, with_holes):
    """Draw rows of one to three series in the order of time, perhaps with times left out."""
    n_series = draw(st.integers(1, 3))
    rows = []
    for group in range(n_series):
        steps = draw(st.lists(st.integers(1, 4 if with_holes else 1), min_size=1, max_size=12))
        rows += [(time, group) for time in np.cumsum(steps)]
    times, groups = np.array(sorted(rows)).T
    return np.random.RandomState(0).normal(size=(len(rows), 3)), times, groups


layouts = st.fixed_dictionaries(
    {
        "window_size": st.integers(1, 6),
        "sampling_rate": st.integers(1, 3),
        "lags": st.lists(st.integers(0, 5), min_size=3, max_size=3),
    }
)


def transformer(layout, **params):
    lags = layout["lags"]
    return SlidingWindow(
        layout["window_size"],
        lag=lags[0],
        column_lags={"b": lags[1], 2: lags[2]},
        sampling_rate=layout["sampling_rate"],
        **params,
    )


def frame_of(series, times, groups, *, start="2024-03-29"):
    """Return a panel with a column of labels and hours as its index."""
    hours = pd.Timestamp(start, tz="Europe/Berlin") + pd.to_timedelta(times, "h")
    frame = pd.DataFrame(series, pd.DatetimeIndex(hours), ["a", "b", "c"])
    return frame.assign(store=[f"store {group}" for group in groups])


@given(
    panel=panels(with_holes=False), layout=layouts, padding=st.sampled_from(["nan", "edge", "zero"])
)
def test_rows_of_a_panel_without_an_index(panel, layout, padding):
    series, times, groups = panel
    expected = naive(series, times, groups, padding=padding, **layout)
    window = transformer(layout, padding=padding, group_column=3)
    windows = window.fit_transform(pd.DataFrame(np.c_[series, groups], columns=[*"abc", "g"]))
    np.testing.assert_array_equal(windows, expected)
    flat = window.set_params(flatten=True).fit_transform(
        pd.DataFrame(np.c_[series, groups], columns=[*"abc", "g"])
    )
    np.testing.assert_array_equal(flat, expected.reshape(len(series), -1))


@given(panel=panels(with_holes=True), layout=layouts)
def test_times_that_are_left_out_are_missing_steps(panel, layout):
    series, times, groups = panel
    expected = naive(series, times, groups, padding="nan", **layout)
    window = transformer(layout, freq="h", group_column="store")
    np.testing.assert_array_equal(window.fit_transform(frame_of(*panel)), expected)


@pytest.mark.parametrize("freq", [None, "h"])
@given(panel=panels(with_holes=True), layout=layouts, data=st.data())
def test_pieces_equal_the_whole(freq, panel, layout, data):
    if freq is None:  # without holes
        panel = panel[0], np.arange(len(panel[0])), np.zeros(len(panel[0]), int)
    series, times, groups = panel
    expected = naive(series, times, groups, padding="nan", **layout)
    frame = frame_of(*panel)
    cuts = data.draw(st.sets(st.integers(1, max(1, len(series) - 1))))
    first, *others = np.split(np.arange(len(series)), sorted(cuts))
    window = transformer(layout, freq=freq, carry_context=True, group_column="store")
    np.testing.assert_array_equal(window.fit_transform(frame.iloc[first]), expected[first])
    np.testing.assert_array_equal(window.transform(frame.iloc[first]), expected[first])
    np.testing.assert_array_equal(window.transform(frame), expected)
    for rows in others:
        if len(rows):
            np.testing.assert_array_equal(window.transform(frame.iloc[rows]), expected[rows])
            window.partial_fit(frame.iloc[rows])


def test_the_naive_definition_is_the_one_that_people_expect():
    series = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    windows = naive(
        series, [0, 1, 3], [0, 0, 0], window_size=2, lags=[1, 0], sampling_rate=1, padding="nan"
    )
    nan = np.nan
    np.testing.assert_array_equal(
        windows,
        [[[nan, nan], [nan, nan]], [[nan, nan], [1, 20]], [[nan, nan], [nan, nan]]],
    )
