"""SlidingWindow(column_lags=...): columns with a lag of their own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import Unchanged

from sklstm import SlidingWindow

RNG = np.random.RandomState(0)
FRAME = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["load", "temperature", "holiday"])
KNOWN_AHEAD = {"temperature": 0, "holiday": 0}


def test_what_is_known_ahead_reaches_up_to_the_row():
    window = SlidingWindow(3, lag=2, column_lags=KNOWN_AHEAD)
    windows = np.asarray(window.fit_transform(FRAME))
    for age in range(3):
        step = windows[4 + age :, 2 - age]
        np.testing.assert_array_equal(step[:, 0], FRAME["load"].shift(2 + age)[4 + age :])
        np.testing.assert_array_equal(step[:, 1], FRAME["temperature"].shift(age)[4 + age :])
    assert np.isnan(windows[1]).all()  # the load two rows before is not known
    assert not np.isnan(windows[2, 2]).any()


def test_names_hold_the_lag_of_each_column():
    window = SlidingWindow(2, lag=3, column_lags=KNOWN_AHEAD, sampling_rate=2, flatten=True)
    flat = window.set_output(transform="pandas").fit_transform(FRAME)
    assert list(flat.columns) == [
        "load_lag5",
        "temperature_lag2",
        "holiday_lag2",
        "load_lag3",
        "temperature_lag0",
        "holiday_lag0",
    ]
    for name in flat.columns:
        column, lag = name.split("_lag")
        np.testing.assert_array_equal(flat[name][5:], FRAME[column].shift(int(lag))[5:])


def test_columns_by_position():
    expected = np.asarray(SlidingWindow(3, lag=2, column_lags=KNOWN_AHEAD).fit_transform(FRAME))
    window = SlidingWindow(3, lag=2, column_lags={1: 0, -1: 0})
    np.testing.assert_array_equal(window.fit_transform(FRAME.to_numpy()), expected)


def test_a_group_column_between_the_others():
    panel = FRAME.assign(store=np.arange(40) % 2)[["load", "store", "temperature", "holiday"]]
    window = SlidingWindow(3, lag=2, column_lags=KNOWN_AHEAD, group_column="store", flatten=True)
    flat = window.set_output(transform="pandas").fit_transform(panel)
    assert list(flat.columns[-3:]) == ["load_lag2", "temperature_lag0", "holiday_lag0"]
    for store in (0, 1):
        rows = np.arange(40) % 2 == store
        alone = clone(window).set_params(group_column=None).fit_transform(FRAME[rows])
        np.testing.assert_array_equal(flat[rows], alone)


def test_equal_lags_are_those_of_lag():
    expected = SlidingWindow(3, lag=2).fit_transform(FRAME)
    window = SlidingWindow(3, column_lags=dict.fromkeys(FRAME.columns, 2))
    np.testing.assert_array_equal(window.fit_transform(FRAME), expected)


def test_a_step_that_is_missing_in_one_column_is_missing_as_a_whole():
    frame = FRAME.copy()
    frame.iloc[10] = np.nan  # a missing step
    windows = np.asarray(SlidingWindow(1, lag=2, column_lags=KNOWN_AHEAD).fit_transform(frame))
    assert np.isnan(windows[10]).all()
    assert np.isnan(windows[12]).all()
    assert not np.isnan(windows[[11, 13]]).any()


def test_a_value_of_its_own_that_is_missing_stays_partly_missing():
    frame = FRAME.copy()
    frame.loc[10, "load"] = np.nan
    windows = np.asarray(SlidingWindow(1, lag=2, column_lags=KNOWN_AHEAD).fit_transform(frame))
    np.testing.assert_array_equal(np.isnan(windows[12, 0]), [True, False, False])


def test_the_future_of_known_columns_is_no_leak_but_the_target_is():
    with pytest.warns(UserWarning, match="y is a column of X"):
        SlidingWindow(3, lag=1, column_lags={"load": 0}).fit(FRAME, FRAME["load"])
    SlidingWindow(3, lag=1, column_lags=KNOWN_AHEAD).fit(FRAME, FRAME["load"])


def test_a_pipeline_learns_from_what_is_known_ahead():
    y = 2 * FRAME["temperature"] + FRAME["load"].shift(3).fillna(0)
    window = SlidingWindow(1, lag=3, column_lags=KNOWN_AHEAD, flatten=True, padding="zero")
    pipeline = make_pipeline(StandardScaler(), window, LinearRegression())
    pipeline.set_output(transform="pandas").fit(FRAME[:30], y[:30])
    window.set_params(carry_context=True)
    pipeline.fit(FRAME[:30], y[:30])
    np.testing.assert_allclose(pipeline.predict(FRAME[30:]), y[30:], atol=1)


@pytest.mark.parametrize(
    ("column_lags", "message"),
    [
        ({"price": 0}, "names the column 'price', but the columns of X are"),
        ({3: 0}, "has 3 for a column, but X has 3 columns"),
        ({-4: 0}, "has -4 for a column"),
        ({1.5: 0}, "has 1.5 for a column"),
        ({True: 0}, "has True for a column"),
        ({"load": -1}, r"column_lags\['load'\] must be an int of at least 0, got -1"),
        ({"load": 1.0}, "must be an int"),
        ({"load": True}, "must be an int"),
        ({"load": None}, "must be an int"),
        ([("load", 0)], "'column_lags' parameter"),
    ],
    ids=str,
)
def test_lags_of_no_column_and_no_lags_are_refused(column_lags, message):
    window = SlidingWindow(3, column_lags=column_lags)
    with Unchanged(window, FRAME), pytest.raises(ValueError, match=message):
        window.fit(FRAME)


def test_names_need_a_frame():
    with pytest.raises(ValueError, match=r"X has no names: .*set_output\(transform='pandas'\)"):
        SlidingWindow(3, column_lags=KNOWN_AHEAD).fit(FRAME.to_numpy())


def test_other_lags_after_fit():
    window = SlidingWindow(3, lag=2, carry_context=True).fit(FRAME[:30])
    window.set_params(column_lags=KNOWN_AHEAD)
    expected = SlidingWindow(3, lag=2, column_lags=KNOWN_AHEAD).fit_transform(FRAME)
    np.testing.assert_array_equal(window.transform(FRAME[30:]), expected[30:])
    window.set_params(column_lags={"load": 3})
    with pytest.raises(ValueError, match="column_lags or sampling_rate was changed"):
        window.transform(FRAME[30:])
