"""make_windows and forecast_targets equal plain loops, and return views where they can."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklstm import LSTMRegressor, SlidingWindow, forecast_targets, make_windows


def windows_by_hand(X, y, window_size, horizon, stride, sampling_rate):
    """Make the windows as the docstring defines them; None if there are none."""
    X_windows, y_windows = [], []
    start = 0
    while True:
        rows = [start + k * sampling_rate for k in range(window_size)]
        next_rows = [rows[-1] + 1 + k for k in range(horizon)]
        if next_rows[-1] >= len(X):
            break
        X_windows.append([X[row] for row in rows])
        y_windows.append([y[row] for row in next_rows])
        start += stride
    return (np.array(X_windows), np.array(y_windows)) if X_windows else None


SIZES = st.fixed_dictionaries(
    {
        "window_size": st.integers(1, 5),
        "horizon": st.integers(1, 4),
        "stride": st.integers(1, 4),
        "sampling_rate": st.integers(1, 3),
    }
)


@given(n_rows=st.integers(1, 15), n_features=st.integers(1, 3), sizes=SIZES, with_y=st.booleans())
def test_windows_equal_those_of_a_plain_loop(n_rows, n_features, sizes, with_y):
    X = np.random.RandomState(0).normal(size=(n_rows, n_features))
    y = np.arange(float(n_rows)) if with_y else None
    target = y if with_y else X[:, 0] if n_features == 1 else X
    expected = windows_by_hand(X, target, **sizes)
    if expected is None:
        with pytest.raises(ValueError, match=rf"but X has {n_rows}\.$"):
            make_windows(X, y, **sizes)
        return
    for windows, by_hand in zip(make_windows(X, y, **sizes), expected, strict=True):
        np.testing.assert_array_equal(windows, by_hand, strict=True)


@given(
    groups=st.lists(st.sampled_from(["b", "a", "c"]), min_size=12, max_size=12),
    sizes=SIZES,
)
def test_windows_do_not_cross_from_one_series_into_another(groups, sizes):
    X = np.random.RandomState(0).normal(size=(12, 2))
    y = np.arange(12.0)
    labels = np.array(groups)
    parts = [
        windows_by_hand(X[labels == name], y[labels == name], **sizes) for name in sorted({*groups})
    ]
    parts = [part for part in parts if part is not None]
    if not parts:
        with pytest.raises(ValueError, match="X has 12 in all"):
            make_windows(X, y, groups=groups, **sizes)
        return
    results = make_windows(X, y, groups=groups, **sizes)
    for windows, by_hand in zip(results, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(windows, np.concatenate(by_hand), strict=True)


SERIES = np.arange(20.0).reshape(10, 2)


@pytest.mark.parametrize("groups", [None, ["a"] * 10, ["a"] * 9 + ["b"]], ids=str)
def test_windows_of_one_series_are_read_only_views(groups):
    X_windows, y_windows = make_windows(SERIES, window_size=3, horizon=2, groups=groups)
    for windows in (X_windows, y_windows):
        assert not windows.flags.writeable
        assert np.shares_memory(windows[0], windows[1])
    if groups is None:
        assert np.shares_memory(X_windows, SERIES)


@pytest.mark.parametrize(
    ("y", "shape"),
    [
        (None, (6, 2, 2)),
        (SERIES[:, 0], (6, 2)),
        (SERIES[:, :1], (6, 2)),
        (pd.DataFrame({"demand": SERIES[:, 0]}), (6, 2)),
        (pd.Series(SERIES[:, 0], index=range(5, 15)), (6, 2)),
        (np.tile(SERIES, 2), (6, 2, 4)),
    ],
    ids=["X", "1-D", "column", "frame", "series", "2-D"],
)
def test_the_shape_of_the_targets_follows_that_of_y(y, shape):
    X_windows, y_windows = make_windows(SERIES, y, window_size=3, horizon=2)
    assert X_windows.shape == (6, 3, 2)
    assert y_windows.shape == shape


@pytest.mark.parametrize("X", [SERIES[:, 0], SERIES[:, 0].tolist(), pd.Series(SERIES[:, 0])])
def test_the_series_may_be_1d(X):
    for windows, expected in zip(
        make_windows(X, window_size=3), make_windows(SERIES[:, :1], window_size=3), strict=True
    ):
        np.testing.assert_array_equal(windows, expected, strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_dtypes_are_kept(dtype):
    X_windows, y_windows = make_windows(SERIES.astype(dtype), window_size=3)
    assert X_windows.dtype == y_windows.dtype == dtype


def test_windows_equal_the_full_windows_of_sliding_window():
    X_windows, y_windows = make_windows(SERIES, SERIES[:, 0], window_size=3, horizon=2)
    window = SlidingWindow(3).fit_transform(SERIES)
    np.testing.assert_array_equal(X_windows, window[2:-2])
    np.testing.assert_array_equal(y_windows, forecast_targets(SERIES[:, 0], 2)[2:-2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_regressor_predicts_several_steps():
    series = np.sin(np.arange(60.0))
    X, y = make_windows(series, window_size=5, horizon=3)
    model = LSTMRegressor(4, max_iter=3, random_state=0).fit(X, y)
    assert model.predict(X).shape == y.shape == (53, 3)


@pytest.mark.parametrize("name", ["window_size", "horizon", "stride", "sampling_rate"])
@pytest.mark.parametrize("size", [0, -1, 2.0, None, "3", True])
def test_invalid_sizes_are_refused(name, size):
    with pytest.raises(ValueError, match=f"{name} must be an int of at least 1, got {size!r}"):
        make_windows(SERIES, **{"window_size": 3, name: size})


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (SERIES[:3], {}, r"3 row\(s\) with a horizon of 1 needs 4 rows, but X has 3\."),
        (SERIES, {"groups": np.arange(10)}, "X has 10 in all"),
        (SERIES[np.newaxis], {}, "dim 3"),
        (SERIES, {"y": np.zeros((10, 1, 1))}, "dim 3"),
        (SERIES, {"y": np.zeros(9)}, "inconsistent numbers of samples"),
        (SERIES, {"groups": ["a"] * 9}, "inconsistent numbers of samples"),
        (SERIES, {"groups": ["a"] * 9 + [None]}, "groups holds missing values"),
        (SERIES, {"groups": [0.0] * 9 + [np.nan]}, "groups holds missing values"),
        (SERIES, {"groups": np.zeros((10, 2))}, "1d array"),
        (SERIES, {"groups": np.ma.masked_array(np.zeros(10))}, "groups is a masked array"),
        (SERIES - np.inf, {}, "infinity"),
        (SERIES, {"y": ["a"] * 10}, "strings"),
        ([], {}, "0 sample"),
    ],
)
def test_invalid_series_are_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        make_windows(X, window_size=3, **params)


# forecast_targets.


@given(n_rows=st.integers(1, 10), horizon=st.integers(1, 12))
def test_targets_equal_those_of_a_plain_loop(n_rows, horizon):
    y = np.random.RandomState(0).normal(size=n_rows)
    expected = np.full((n_rows, horizon), np.nan)
    for t in range(n_rows):
        for step in range(horizon):
            if t + 1 + step < n_rows:
                expected[t, step] = y[t + 1 + step]
    targets = forecast_targets(y, horizon)
    np.testing.assert_array_equal(targets, expected, strict=True)
    assert targets.flags.writeable
    assert not np.shares_memory(targets, y)


@pytest.mark.parametrize(
    "y", [[1, 2, 3], np.array([1, 2, 3], np.int8), pd.Series([1, 2, 3], index=list("abc"))]
)
def test_targets_are_float64(y):
    expected = np.array([[2, 3], [3, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(forecast_targets(y, 2), expected, strict=True)


def test_targets_keep_missing_values():
    np.testing.assert_array_equal(
        forecast_targets([1.0, np.nan, 3.0], 1), [[np.nan], [3.0], [np.nan]]
    )


@pytest.mark.parametrize("horizon", [0, -1, 2.0, None, "3", True])
def test_invalid_horizons_are_refused(horizon):
    with pytest.raises(ValueError, match=f"horizon must be an int of at least 1, got {horizon!r}"):
        forecast_targets([1.0, 2.0], horizon)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (SERIES, r"y has the shape \(10, 2\), but must be of shape \(n_rows,\)"),
        (SERIES[:, :1], r"y has the shape \(10, 1\)"),
        ([], "0 sample"),
        ([1.0, np.inf], "infinity"),
        (["a", "b"], "could not convert"),
    ],
)
def test_targets_of_an_invalid_series_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        forecast_targets(y, 1)


def test_targets_of_a_panel_come_from_the_same_series():
    y, shops = [1.0, 10, 2, 20, 3, 30], ["a", "b"] * 3
    targets = forecast_targets(y, 2, groups=shops)
    nan = np.nan
    expected = [[2, 3], [20, 30], [3, nan], [30, nan], [nan, nan], [nan, nan]]
    np.testing.assert_array_equal(targets, expected)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        forecast_targets(y, 2, groups=shops[1:])
