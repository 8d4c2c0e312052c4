"""SlidingWindow as a transformer: parameters, feature names, containers and input errors."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import Unchanged

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.nn.windows import Windows

SERIES = np.arange(20.0).reshape(10, 2)
FRAME = pd.DataFrame(SERIES, columns=["temperature", "demand"])


def test_transform_of_other_rows_starts_with_padding():
    window = SlidingWindow(3).fit(SERIES)
    later = window.transform(SERIES[5:])
    np.testing.assert_array_equal(later, SlidingWindow(3).fit_transform(SERIES[5:]))
    assert np.isnan(later[0, :2]).all()


def test_a_pickle_and_a_clone_give_the_same_windows():
    window = SlidingWindow(3, lag=1, sampling_rate=2, padding="edge", flatten=True).fit(SERIES)
    expected = window.transform(SERIES)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(window)).transform(SERIES), expected)
    np.testing.assert_array_equal(clone(window).fit_transform(SERIES), expected)


# Names and containers.


def test_feature_names_hold_the_lag_of_each_value():
    window = SlidingWindow(3, lag=1, sampling_rate=2, padding="edge", flatten=True).fit(FRAME)
    names = window.get_feature_names_out()
    expected = [f"{name}_lag{lag}" for lag in (5, 3, 1) for name in FRAME.columns]
    assert names.dtype == object
    assert names.tolist() == expected
    flat = window.transform(FRAME)
    for column, name in enumerate(expected):
        series, lag = name.split("_lag")
        np.testing.assert_array_equal(flat[6:, column], FRAME[series].shift(int(lag))[6:])


def test_feature_names_of_an_array():
    window = SlidingWindow(2, flatten=True).fit(SERIES)
    assert window.get_feature_names_out().tolist() == ["x0_lag1", "x1_lag1", "x0_lag0", "x1_lag0"]
    named = window.get_feature_names_out(["a", "b"]).tolist()
    assert named == ["a_lag1", "b_lag1", "a_lag0", "b_lag0"]
    with pytest.raises(ValueError, match="length equal to number of features"):
        window.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        SlidingWindow(2, flatten=True).fit(FRAME).get_feature_names_out(["a", "b"])


def test_3d_output_has_no_feature_names():
    assert not hasattr(SlidingWindow(2).fit(FRAME), "get_feature_names_out")
    assert hasattr(SlidingWindow(2, flatten=True), "get_feature_names_out")
    with pytest.raises(NotFittedError):
        SlidingWindow(2, flatten=True).get_feature_names_out()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_returns_flat_windows_as_a_data_frame(library):
    frame = FRAME if library == "pandas" else pytest.importorskip("polars").DataFrame(FRAME)
    window = SlidingWindow(2, padding="edge", flatten=True).set_output(transform=library)
    result = window.fit_transform(frame)
    assert isinstance(result, type(frame))
    assert list(result.columns) == window.get_feature_names_out().tolist()
    np.testing.assert_array_equal(
        result.to_numpy(), SlidingWindow(2, padding="edge", flatten=True).fit_transform(SERIES)
    )


def test_set_output_keeps_the_index():
    frame = FRAME.set_index(pd.date_range("2024-01-01", periods=10))
    window = SlidingWindow(2, flatten=True).set_output(transform="pandas")
    assert window.fit_transform(frame).index.equals(frame.index)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_does_not_change_3d_windows(library):
    pytest.importorskip(library)
    with config_context(transform_output=library):
        windows = SlidingWindow(3).fit_transform(FRAME)
    assert isinstance(windows, Windows)
    np.testing.assert_array_equal(windows, SlidingWindow(3).fit_transform(SERIES))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_set_output_works_in_a_pipeline_with_3d_windows():
    pipeline = make_pipeline(
        StandardScaler(), SlidingWindow(3), LSTMRegressor(2, max_iter=2, random_state=0)
    )
    y = np.random.RandomState(0).normal(size=10)
    expected = pipeline.fit(FRAME, y).predict(FRAME)
    np.testing.assert_array_equal(
        clone(pipeline).set_output(transform="pandas").fit(FRAME, y).predict(FRAME), expected
    )


def test_flat_windows_work_with_other_estimators():
    series = np.random.RandomState(0).normal(size=(50, 2))
    y = series[:, 0] + 2 * np.r_[series[0, 1], series[:-1, 1]]
    pipeline = make_pipeline(SlidingWindow(2, padding="edge", flatten=True), LinearRegression())
    np.testing.assert_allclose(pipeline.fit(series, y).predict(series), y)


# Invalid input.


@pytest.mark.parametrize(
    "params",
    [
        {"window_size": 0},
        {"window_size": 2.0},
        {"window_size": None},
        {"lag": -1},
        {"lag": 0.5},
        {"sampling_rate": 0},
        {"padding": "reflect"},
        {"padding": None},
        {"carry_context": "yes"},
        {"group_column": 1.0},
        {"group_column": ["store"]},
        {"flatten": "yes"},
    ],
    ids=str,
)
def test_invalid_parameters_are_refused(params):
    (name,) = params
    window = SlidingWindow(**params)
    with Unchanged(window, SERIES), pytest.raises(ValueError, match=f"'{name}' parameter"):
        window.fit(SERIES)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (SERIES[:0], ValueError, "0 sample"),
        (SERIES[:, :0], ValueError, "0 feature"),
        (SERIES[:, 0], ValueError, r"1 dimension.*Reshape your data: X\.reshape\(-1, 1\)"),
        (SERIES[np.newaxis], ValueError, "3 dimension.*group_column"),
        (SERIES - np.inf, ValueError, "infinity"),
        (SERIES + 1j, ValueError, "Complex data"),
        (SERIES.astype(str), ValueError, "strings"),
        ([["a", "b"]], ValueError, "strings|could not convert"),
    ],
    ids=["no rows", "no columns", "1-D", "3-D", "inf", "complex", "strings", "list"],
)
def test_invalid_series_are_refused(X, error, message):
    window = SlidingWindow()
    with Unchanged(window, X), pytest.raises(error, match=message):
        window.fit(X)
    window.fit(SERIES)
    with Unchanged(window, X), pytest.raises(error, match=message):
        window.transform(X)


@pytest.mark.parametrize(
    ("fitted", "other", "message"),
    [
        (SERIES, SERIES[:, :1], "1 features, but SlidingWindow is expecting 2"),
        (FRAME, FRAME[["demand", "temperature"]], "feature names"),
    ],
    ids=["number", "names"],
)
def test_transform_refuses_other_columns_than_those_of_fit(fitted, other, message):
    window = SlidingWindow().fit(fitted)
    with Unchanged(window, other), pytest.raises(ValueError, match=message):
        window.transform(other)


def test_transform_before_fit_is_refused():
    with pytest.raises(NotFittedError):
        SlidingWindow().transform(SERIES)
