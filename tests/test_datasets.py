"""The data sets of sklstm."""

import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklstm.datasets import load_airline, load_sunspots

LOADERS = pytest.mark.parametrize("load", [load_airline, load_sunspots])


def test_airline_has_its_published_values():
    airline = load_airline()
    assert airline.data.shape == (144, 1)
    assert_array_equal(airline.months, np.arange("1949-01", "1961-01", dtype="datetime64[M]"))
    assert_array_equal(airline.target[[0, 1, -2, -1]], [112, 118, 390, 432])
    assert airline.target.sum() == 40363
    assert airline.feature_names == airline.target_names == ["passengers"]


def test_sunspots_has_its_published_values():
    sunspots = load_sunspots()
    assert sunspots.data.shape == (309, 1)
    assert_array_equal(sunspots.years, np.arange(1700, 2009))
    assert_array_equal(sunspots.target[[0, 1, -2, -1]], [5, 11, 7.5, 2.9])
    assert sunspots.target.sum() == pytest.approx(15373.4)
    assert sunspots.feature_names == sunspots.target_names == ["sunspots"]


@LOADERS
def test_a_bunch_describes_its_data(load):
    bunch = load()
    assert bunch.data.dtype == bunch.target.dtype == np.float64
    assert_array_equal(bunch.data[:, 0], bunch.target)
    assert bunch.frame is None
    assert files(bunch.data_module).joinpath(bunch.filename).is_file()
    assert "Source" in bunch.DESCR
    assert "Licence" in bunch.DESCR


@LOADERS
def test_return_X_y_returns_data_and_target(load):
    X, y = load(return_X_y=True)
    assert_array_equal(X, load().data)
    assert_array_equal(y, load().target)


@LOADERS
def test_data_and_target_do_not_share_memory(load):
    bunch = load()
    bunch.data[:] = 0
    assert bunch.target.any()
    assert load().data.any()


@LOADERS
def test_as_frame_returns_data_frames(load):
    plain, bunch = load(), load(as_frame=True)
    pd.testing.assert_frame_equal(bunch.data, bunch.frame)
    pd.testing.assert_series_equal(bunch.target, bunch.frame[plain.target_names[0]])
    assert list(bunch.frame.columns) == plain.feature_names
    assert_array_equal(bunch.frame.to_numpy(), plain.data)

    X, y = load(return_X_y=True, as_frame=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)


def test_frames_are_indexed_by_time():
    months = load_airline(as_frame=True).target.index
    assert months.name == "month"
    assert months[0] == pd.Timestamp("1949-01-01")
    years = load_sunspots(as_frame=True).target.index
    assert years.name == "year"
    assert years[-1] == 2008


@LOADERS
def test_only_frames_need_pandas(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # importing it fails
    load()
    with pytest.raises(ImportError, match=rf"{load.__name__} with as_frame=True requires pandas"):
        load(as_frame=True)
