"""Series, data frames and windows that several test files use."""

import numpy as np
import pandas as pd
import pytest

from sklstm import SlidingWindow

SERIES = np.random.RandomState(0).normal(size=(20, 2))
DAYS = pd.date_range("2024-01-01", periods=20)


def frame(index=None, series=SERIES):
    """Return a series as a data frame."""
    return pd.DataFrame(series, index, ["temperature", "demand"])


def polars_frame(panel):
    """Return a pandas data frame as one of polars."""
    return pytest.importorskip("polars").DataFrame(panel.to_dict("list"))


def carrying(window_size=4, **params):
    """Return a transformer that keeps the last fitted rows."""
    return SlidingWindow(window_size, carry_context=True, **params)


def whole(series=SERIES, window_size=4, **params):
    """Return the windows of a series that is not cut into pieces."""
    return SlidingWindow(window_size, **params).fit_transform(series)


def windows_of_each(series, groups, window_size=10, **params):
    """Return the windows of each series by itself, in the order of the rows of the panel."""
    groups = np.asarray(groups)
    windows = np.empty((len(series), window_size, series.shape[1]))
    for group in np.unique(groups):
        rows = groups == group
        windows[rows] = whole(series[rows], window_size, **params)
    return windows
