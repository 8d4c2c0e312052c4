"""Columns that are named after lags are read in the order of SlidingWindow, or raise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data import Unchanged, quick

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.lags import check_order_of_lags, names_of_lags

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RIGHT = ["a_lag2", "b_lag2", "a_lag1", "b_lag1", "a_lag0", "b_lag0"]


@given(
    window_size=st.integers(1, 4),
    rate=st.integers(1, 3),
    lags=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    data=st.data(),
)
def test_the_order_of_sliding_window_passes_and_any_other_raises(window_size, rate, lags, data):
    window = SlidingWindow(
        window_size, sampling_rate=rate, column_lags=dict(enumerate(lags)), flatten=True
    )
    frame = pd.DataFrame(np.ones((3, len(lags))), columns=["load", "x_lag1", "y_"][: len(lags)])
    names = window.fit(frame).get_feature_names_out().tolist()
    check_order_of_lags(names, window_size)
    shuffled = data.draw(st.permutations(names))
    # Only the order of the columns within a step is free.
    steps = np.reshape(shuffled, (window_size, -1))
    first = [names.index(name) for name in steps[0]]
    if max(first) < len(lags) and steps.tolist() == [
        [names[step * len(lags) + k] for k in first] for step in range(window_size)
    ]:
        check_order_of_lags(shuffled, window_size)
        return
    with pytest.raises(ValueError, match="Order them as SlidingWindow"):
        check_order_of_lags(shuffled, window_size)


@pytest.mark.parametrize(
    ("columns", "n_timesteps", "message"),
    [
        (
            sorted(RIGHT),
            3,
            r"3 time steps of 2 column\(s\).*X\[\['a_lag2', 'b_lag2', 'a_lag1', 'b_",
        ),
        (RIGHT[::-1], 3, r"Order them .* X\[\['b_lag2', 'a_lag2', 'b_lag1'"),
        (RIGHT, 2, r"timesteps=2 needs as many lags of each column, but there are 3 of a, 3 of b"),
        (RIGHT, 6, r"timesteps=6 needs as many lags"),
        (["a_lag2", "b_lag5", "a_lag1", "b_lag3"], 2, "must decrease by the same number"),
        (["a_lag1", "a_lag1"], 2, "Order them"),
        (["a_lag3", "a_lag2", "a_lag1", "a_lag0"], 2, "there are 4 of a"),
        (["a_lag1", "b_lag1", "b_lag0", "a_lag0"], 2, "Order them"),
    ],
)
def test_the_error_says_what_to_do(columns, n_timesteps, message):
    with pytest.raises(ValueError, match=message):
        check_order_of_lags(columns, n_timesteps)


def test_the_order_in_the_error_is_accepted():
    columns = ["a_lag1", "a_lag2", "b_lag7", "b_lag8"]
    with pytest.raises(ValueError, match="Order them") as raised:
        check_order_of_lags(columns, 2)
    expected = str(raised.value).split("X[[")[1].split("]]")[0].replace("'", "").split(", ")
    assert expected == ["a_lag2", "b_lag8", "a_lag1", "b_lag7"]
    check_order_of_lags(expected, 2)


def test_many_columns_are_not_all_listed():
    columns = [f"a_lag{k}" for k in range(1000)]
    with pytest.raises(ValueError, match=r"a_lag11, \.\.\.\. Order") as raised:
        check_order_of_lags(columns, 1000)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("columns", [["a", "b_lag1"], ["a_lag", "b_lag1"], ["_lag1", "a_lag"], []])
def test_other_names_are_not_checked(columns):
    assert names_of_lags(columns) == set()
    check_order_of_lags(columns, max(1, len(columns)))


def test_lags_of_different_distances_are_accepted():
    check_order_of_lags(["a_lag168", "b_lag170", "a_lag24", "b_lag26", "a_lag1", "b_lag3"], 3)
    assert names_of_lags(["a_lag1_lag2", "b_lag3"]) == {"a_lag1", "b"}


# In the estimators.

VALUES = np.random.RandomState(0).normal(size=(20, 6))
Y = VALUES[:, -1]


def test_mixed_columns_raise_in_fit_and_predict():
    frame = pd.DataFrame(VALUES, columns=RIGHT)
    estimator = quick(LSTMRegressor, timesteps=3).fit(frame, Y)
    np.testing.assert_array_equal(
        estimator.predict(frame), quick(LSTMRegressor, timesteps=3).fit(VALUES, Y).predict(VALUES)
    )
    wrong = frame[sorted(RIGHT)]
    with Unchanged(estimator), pytest.raises(ValueError, match="Order them as SlidingWindow"):
        estimator.fit(wrong, Y)
    from_values = quick(LSTMRegressor, timesteps=3).fit(VALUES, Y)
    with pytest.raises(ValueError, match="Order them"), pytest.warns(UserWarning, match="names"):
        from_values.predict(wrong)


@pytest.mark.parametrize("timesteps", [None, 6])
def test_the_lags_of_one_column_are_read_oldest_first(timesteps):
    names = [f"load_lag{k}" for k in range(6)]
    estimator = quick(LSTMRegressor, timesteps=timesteps)
    with pytest.raises(ValueError, match="Order them"):
        estimator.fit(pd.DataFrame(VALUES, columns=names), Y)
    estimator.fit(pd.DataFrame(VALUES, columns=names[::-1]), Y)  # without a warning


def test_lags_of_several_columns_without_timesteps_cause_the_warning_only():
    with pytest.warns(UserWarning, match="6 time steps of one feature"):
        quick(LSTMRegressor).fit(pd.DataFrame(VALUES, columns=RIGHT), Y)
