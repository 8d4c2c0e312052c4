"""fit warns if each window holds the target of its row."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from sklstm import SlidingWindow

NOISE = np.random.RandomState(0).normal(size=(50, 2))
LEAK = "y is a column of X, and with lag=0"


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (NOISE, NOISE[:, 1]),
        (NOISE, -3 * NOISE[:, 1] + 7),
        (NOISE, (NOISE[:, :1] - 100) / 7),
        (NOISE, np.c_[np.arange(50) % 7, NOISE[:, 0]]),
        (NOISE, pd.Series(NOISE[:, 0])),
        (pd.DataFrame(NOISE), pd.DataFrame(NOISE[:, 0])),
        (NOISE.astype(np.float32), NOISE[:, 0].astype(np.float32)),
        (NOISE.astype(np.float32), NOISE[:, 0]),
        (NOISE, NOISE[:, 0].astype(np.float32)),
        (StandardScaler().fit_transform(NOISE + 1e5), NOISE[:, 0] + 1e5),
        (StandardScaler().fit_transform((NOISE + 100).astype(np.float32)), NOISE[:, 0] + 100),
        (1e200 * NOISE, NOISE[:, 0]),
        (1e-200 * NOISE, NOISE[:, 0]),
        ((100 * NOISE).astype(int), (100 * NOISE[:, 0]).astype(int)),
        (np.where(NOISE > 1, np.nan, NOISE), NOISE[:, 0]),
    ],
    ids=[
        "column", "shifted and scaled", "2-D column", "2-D", "Series", "frames", "float32",
        "float32 X", "float32 y", "standardized", "standardized float32", "huge", "tiny",
        "integers", "with NaN",
    ],
)  # fmt: skip
def test_fit_warns_if_the_windows_hold_the_target(X, y):
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3).fit(X, y)
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3).fit_transform(X, y)
    # A warning here would be an error:
    SlidingWindow(3, lag=1).fit(X, y)


def test_fit_warns_if_the_windows_of_a_panel_hold_the_target():
    panel = pd.DataFrame(NOISE[:10], columns=["temperature", "demand"]).assign(store=["a", "b"] * 5)
    with pytest.warns(UserWarning, match=LEAK):
        SlidingWindow(3, group_column="store").fit(panel, panel["demand"])


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (NOISE, None),
        (NOISE, NOISE.sum(axis=1)),
        (NOISE, np.r_[NOISE[1:, 0], 0.0]),
        (NOISE, NOISE[:, 0] + 1e-3 * NOISE[:, 1]),
        (NOISE, np.where(NOISE[:, 0] > 0, "up", "down")),
        (NOISE, NOISE[:, 0] > 0),
        (np.ones((50, 2)), np.ones(50)),
        (np.full((50, 1), 0.1), NOISE[:, 0]),
        (np.c_[NOISE, np.ones(50)], np.full(50, 0.3)),
        (NOISE[:2], NOISE[:2, 0]),
        (NOISE[:9], NOISE[:9, 0]),
        ([[0.0], [1.0], [0.0]], [1, 0, 1]),
        (np.full((50, 2), np.nan), NOISE[:, 0]),
        (NOISE, np.full(50, np.nan)),
        (NOISE, pd.date_range("2024-01-01", periods=50)),
        (NOISE, NOISE[:40, 0]),
    ],
    ids=[
        "none", "sum", "next", "almost", "strings", "sign", "constants", "constant X",
        "constant y", "two rows", "nine rows", "three rows", "NaN in X", "NaN in y",
        "dates", "another length",
    ],
)  # fmt: skip
def test_fit_does_not_warn_if_the_windows_do_not_hold_the_target(X, y):
    assert SlidingWindow(3).fit(X, y).n_features_in_ == np.shape(X)[1]


def test_the_warning_points_to_the_call_of_fit():
    with pytest.warns(UserWarning, match=LEAK) as record:
        SlidingWindow(3).fit(NOISE, NOISE[:, 0])
    assert record[0].filename == __file__


def test_the_transformer_is_fitted_even_if_the_warning_becomes_an_error():
    window = SlidingWindow(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=LEAK):
            window.fit(NOISE, NOISE[:, 0])
    np.testing.assert_array_equal(
        window.transform(NOISE), SlidingWindow(3).fit(NOISE).transform(NOISE)
    )
