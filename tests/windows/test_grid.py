"""Positions on the grid of a step, and which step that is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklstm.windows.grid import checked_freq, grid_positions, is_regular, usual_step

BERLIN = "Europe/Berlin"
INDEXES = {
    "hours": pd.date_range("2024-03-30", periods=60, freq="h"),
    "hours in spring": pd.date_range("2024-03-30", periods=60, freq="h", tz=BERLIN),
    "hours in autumn": pd.date_range("2024-10-26", periods=60, freq="h", tz=BERLIN),
    "quarters of an hour": pd.date_range("2024-01-01 00:05", periods=60, freq="15min"),
    "days": pd.date_range("2024-02-20", periods=60),
    "days in spring": pd.date_range("2024-03-01", periods=60, tz=BERLIN),
    "days in autumn": pd.date_range("2024-10-01 09:30", periods=60, tz=BERLIN),
    "business days": pd.bdate_range("2024-01-03", periods=60),
    "weeks": pd.date_range("2024-01-03", periods=60, freq="W-WED"),
    "starts of months": pd.date_range("2024-02-01", periods=60, freq="MS"),
    "ends of months": pd.date_range("2024-01-31", periods=60, freq="ME"),
    "quarters": pd.date_range("2000-01-01", periods=60, freq="QS"),
    "years": pd.date_range("1950-12-31", periods=60, freq="YE"),
    "periods": pd.period_range("2024-02", periods=60, freq="M"),
    "periods of two days": pd.period_range("2024-02-01", periods=60, freq="2D"),
    "time differences": pd.timedelta_range("1h", periods=60, freq="30min"),
    "seconds": pd.date_range("2024-01-01", periods=60, freq="s", unit="s"),
    "integers": pd.RangeIndex(1950, 2010),
    "even integers": pd.Index(np.arange(100, 220, 2)),
    "floats": pd.Index(np.arange(60) / 10),
}  # fmt: skip

by_index = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)


def taken(index, rows):
    """Take rows as a mask does, which loses the freq."""
    return index.take(np.asarray(rows))


@by_index
@pytest.mark.parametrize("seed", range(3))
def test_the_step_is_found_although_rows_are_missing(index, seed):
    rows = np.random.RandomState(seed).permutation(np.arange(1, 59))[:50]
    rows = np.sort(np.r_[0, rows, 59])
    labels = taken(index, rows)
    step = checked_freq("infer", [labels])
    np.testing.assert_array_equal(grid_positions(labels, step), rows)
    assert not is_regular(labels)


@by_index
def test_a_regular_index_is_seen_to_be_regular(index):
    assert is_regular(index)
    assert is_regular(taken(index, range(60)))
    assert is_regular(taken(index, range(10, 13)))
    np.testing.assert_array_equal(grid_positions(index, usual_step(index)), np.arange(60))


@given(rows=st.sets(st.integers(1, 59), min_size=1))
def test_the_step_of_a_date_index_may_be_given(rows):
    rows = np.array([0, *sorted(rows)])
    for name, freq in {
        "hours": "h",
        "days in spring": "D",
        "business days": "B",
        "starts of months": "MS",
        "weeks": "W-WED",
        "quarters": pd.offsets.QuarterBegin(startingMonth=1),
        "periods": "M",
        "time differences": "30min",
        "hours in autumn": pd.Timedelta("1h"),
    }.items():
        labels = taken(INDEXES[name], rows)
        positions = grid_positions(labels, checked_freq(freq, [labels]))
        np.testing.assert_array_equal(positions, rows, name)


def test_days_in_the_time_of_another_zone_are_24_hours():
    labels = pd.date_range("2024-03-28", periods=6, tz="UTC").tz_convert(BERLIN)
    np.testing.assert_array_equal(grid_positions(labels, pd.offsets.Day()), np.arange(6))


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize(
    "step", ["250ms", "90min", "h", "6h", "24h", "36h", "D", "2D", "7D", "28D"]
)
def test_the_step_of_times_in_equal_distances_is_that_of_pandas(step, zone):
    times = taken(pd.date_range("2024-01-03", periods=6, freq=step, tz=zone), range(6))
    assert usual_step(times) == pd.DatetimeIndex(times, freq="infer").freq


@pytest.mark.parametrize(
    ("index", "freq", "message"),
    [
        (INDEXES["days"], "fortnight", "not a step that pandas knows"),
        (INDEXES["days"], 3.5, "not a step that pandas knows"),
        (INDEXES["integers"], "D", "needs an index of times"),
        (pd.Index(list("abc")), "D", "needs an index of times"),
        (INDEXES["periods"], "D", "differs from the periods"),
        (pd.Index([1950]), "infer", "at least two rows"),
        (INDEXES["hours"].insert(3, pd.Timestamp("2024-03-30 02:17")), "infer", "02:17:00 is not"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(index, freq, message):
    with pytest.raises(ValueError, match=message):
        checked_freq(freq, [index])


@pytest.mark.parametrize(
    ("index", "freq", "message"),
    [
        (INDEXES["days"], "B", "2024-02-24 00:00:00 is not a whole number of steps of 'B'"),
        (INDEXES["days"], "MS", "2024-02-20 00:00:00 is not a date of the calendar 'MS'"),
        (INDEXES["hours"], "2h", "01:00:00 is not a whole number of steps of '2h'"),
        (INDEXES["time differences"], "MS", "has no fixed length"),
    ],
)
def test_a_label_that_is_not_on_the_grid_is_named(index, freq, message):
    with pytest.raises(ValueError, match=message):
        grid_positions(index, checked_freq(freq, [index]))
