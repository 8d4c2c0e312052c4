"""Which rows follow the fitted ones, begin with them, or are refused, where no index tells."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import Unchanged
from windows._series import carrying, frame, whole

from sklstm import SlidingWindow

RNG = np.random.RandomState(0)
NOISE = RNG.normal(size=(60, 2))
COUNTS = RNG.poisson(3, size=(300, 1)).astype(float)
CONTAINERS = [np.asarray, lambda series: frame(series=np.asarray(series)), np.ndarray.tolist]
containers = pytest.mark.parametrize("container", CONTAINERS, ids=["arrays", "frames", "lists"])
MIDDLE = "are the fitted rows from row"


@containers
@pytest.mark.parametrize(
    "rows", [slice(10), slice(4), slice(3, 9), slice(30, 60), slice(56, 60), slice(20, 40)]
)
def test_rows_from_the_middle_of_the_fitted_ones_are_refused(container, rows):
    window = carrying().fit(container(NOISE))
    X = container(NOISE[rows])
    with Unchanged(window), pytest.raises(ValueError, match=f"{MIDDLE} {rows.start or 0} on"):
        window.transform(X)


def test_rows_that_begin_in_the_middle_and_go_on_are_refused():
    window = carrying().fit(NOISE[:50])
    with pytest.raises(ValueError, match=f"{MIDDLE} 40 on"):
        window.transform(NOISE[40:])


@containers
@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_fewer_rows_than_a_window_follow(container, n_rows):
    window = carrying().fit(container(NOISE))
    expected = whole(np.r_[NOISE, NOISE[5 : 5 + n_rows]])[60:]
    np.testing.assert_array_equal(window.transform(container(NOISE[5 : 5 + n_rows])), expected)


def test_a_stream_of_counts_follows_although_each_was_seen_before():
    window = carrying(12).fit(COUNTS[:250])
    expected = whole(COUNTS, 12)
    for t in range(250, 300):
        row = COUNTS[t : t + 1]
        np.testing.assert_array_equal(window.transform(row), expected[t : t + 1])
        window.partial_fit(row)


COARSE = {
    "counts": lambda rng: rng.poisson(3, size=200),
    "rare counts": lambda rng: rng.poisson(0.3, size=200),
    "zeros and ones": lambda rng: rng.randint(2, size=200),
    "one digit": lambda rng: rng.normal(size=200).round(1),
    "a rounded random walk": lambda rng: rng.normal(size=200).cumsum().round(),
}


@pytest.mark.parametrize("draw", COARSE.values(), ids=COARSE)
@pytest.mark.parametrize("window_size", [1, 3, 8])
def test_rows_of_few_values_that_follow_are_rarely_taken_for_fitted_ones(draw, window_size):
    n_refused = 0
    for seed in range(40):
        series = draw(np.random.RandomState(seed)).astype(float)[:, np.newaxis]
        window = carrying(window_size).fit(series[:150])
        try:
            window.transform(series[150:])
        except ValueError:
            n_refused += 1
    assert n_refused <= 2


@pytest.mark.parametrize("draw", COARSE.values(), ids=COARSE)
def test_many_rows_of_few_values_are_recognized(draw):
    series = draw(np.random.RandomState(0)).astype(float)[:, np.newaxis]
    window = carrying(3).fit(series)
    with pytest.raises(ValueError, match=f"{MIDDLE} 20 on"):
        window.transform(series[20:160])


def test_a_run_of_fitted_rows_is_recognized_although_others_come_after_it():
    window = carrying().fit(NOISE)
    with pytest.raises(ValueError, match=f"{MIDDLE} 9 on"):
        window.transform(np.r_[NOISE[9:15], NOISE[30:40]])


@pytest.mark.parametrize(
    "series",
    [np.zeros(100), np.arange(100) % 4.0, np.arange(100) % 24.0, np.repeat([1.0, 2.0], 50)],
    ids=["constant", "period below the window", "period above the window", "two levels"],
)
@pytest.mark.parametrize("n_train", [60, 73, 90])
def test_a_constant_or_periodic_stretch_follows(series, n_train):
    series = series[:, np.newaxis]
    window = carrying(8).fit(series[:n_train])
    np.testing.assert_array_equal(window.transform(series[n_train:]), whole(series, 8)[n_train:])


@containers
def test_the_fitted_rows_as_a_whole_are_recognized_and_continued(container):
    window = carrying().fit(container(NOISE[:40]))
    for stop in (40, 41, 60):
        np.testing.assert_array_equal(
            window.transform(container(NOISE[:stop])), whole(NOISE)[:stop]
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fitted_rows_are_recognized_up_to_rounding(dtype):
    series = (3 + NOISE).astype(dtype)
    window = carrying().fit(series)
    rounded = series * dtype(1 + 5 * np.finfo(dtype).eps)
    assert np.isnan(window.transform(rounded)[0, 0]).all()
    with pytest.raises(ValueError, match=MIDDLE):
        window.transform(rounded[7:])


def test_missing_values_are_part_of_what_is_recognized():
    series = NOISE.copy()
    series[10] = np.nan
    series[20, 1] = np.nan
    window = carrying().fit(series)
    with pytest.raises(ValueError, match=f"{MIDDLE} 8 on"):
        window.transform(series[8:14])
    other = series.copy()
    other[10] = 0
    window.transform(other[8:14])  # follows


@pytest.mark.parametrize(
    "groups", [np.arange(60) % 3, np.arange(60) // 20], ids=["mixed", "sorted"]
)
def test_each_series_of_a_panel_is_recognized(groups):
    panel = np.c_[NOISE, groups]
    window = carrying(group_column=2).fit(panel)
    first_series = panel[groups == 1]
    np.testing.assert_array_equal(window.transform(first_series), whole(NOISE[groups == 1]))
    with pytest.raises(ValueError, match=r"X of series 1\.0 are the fitted rows"):
        window.transform(first_series[5:])
    later = np.c_[NOISE[:9] + 100, np.repeat(1, 9)]
    assert not np.isnan(window.transform(later)).any()


def test_a_pickle_recognizes_the_fitted_rows():
    window = pickle.loads(pickle.dumps(carrying().fit(NOISE)))
    with pytest.raises(ValueError, match=MIDDLE):
        window.transform(NOISE[9:20])
    np.testing.assert_array_equal(window.transform(NOISE), whole(NOISE))


def test_little_is_kept_of_the_fitted_rows():
    rows = np.random.RandomState(0).normal(size=(2000, 50))
    window = carrying(4).fit(rows)
    assert len(pickle.dumps(window)) < 2000 * 8 + 10_000


# The user may say which rows it is.


def test_rows_follow_if_the_user_says_so():
    window = carrying().fit(NOISE).set_params(carry_context="follows")
    expected = whole(np.r_[NOISE, NOISE])
    np.testing.assert_array_equal(window.transform(NOISE), expected[60:])
    np.testing.assert_array_equal(window.transform(NOISE[9:20])[4:], expected[73:80])
    window.set_params(carry_context=False)
    np.testing.assert_array_equal(window.transform(NOISE[9:20]), whole(NOISE[9:20]))


def test_follows_is_for_rows_after_those_of_fit():
    window = SlidingWindow(4, carry_context="follows")
    np.testing.assert_array_equal(window.fit_transform(NOISE), whole(NOISE))
    expected = whole(np.r_[NOISE, NOISE[:9]])
    np.testing.assert_array_equal(window.transform(NOISE[:9]), expected[60:])


def test_follows_keeps_an_index_that_says_otherwise_from_being_ignored():
    days = pd.date_range("2024-01-01", periods=60)
    window = SlidingWindow(4, carry_context="follows").fit(frame(days, NOISE))
    with pytest.raises(ValueError, match="nor follow the last one"):
        window.transform(frame(days, NOISE)[20:])


# An index that a step before the windows has dropped.


def dated():
    return frame(pd.date_range("2024-01-01", periods=60, freq="h"), NOISE)


def test_rows_from_the_middle_are_refused_although_a_scaler_has_dropped_the_index():
    pipeline = make_pipeline(StandardScaler(), carrying())
    pipeline.fit(dated())
    with pytest.raises(ValueError, match=r"set_output\(transform='pandas'\)"):
        pipeline.transform(dated()[20:30])


def test_set_output_keeps_the_index():
    pipeline = make_pipeline(StandardScaler(), carrying()).set_output(transform="pandas")
    pipeline.fit(dated()[:40])
    assert not np.isnan(pipeline.transform(dated()[40:])).any()
    np.testing.assert_array_equal(
        pipeline.transform(dated())[40:], pipeline.transform(dated()[40:])
    )
    with pytest.raises(ValueError, match="nor follow the last one"):
        pipeline.transform(dated()[20:30])
    assert np.isnan(pipeline.transform(dated()[:10])[0, 0]).all()


def test_rows_that_begin_with_the_first_label_but_leave_out_others_are_refused():
    window = carrying().fit(dated())
    for rows in ([0, 25, 26], [0, 1, 2, 3, 5], [*range(59), 58]):
        with pytest.raises(ValueError, match=r"where another row was fitted|does not increase"):
            window.transform(dated().iloc[rows])
    np.testing.assert_array_equal(window.transform(dated()[:7]), whole(NOISE)[:7])
