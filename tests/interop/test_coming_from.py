"""The code of other libraries on the page "Coming from" runs and does what is said of it."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error

from sklstm.datasets import load_sunspots

CODE = Path(__file__).parents[2] / "docs" / "coming_from"


@pytest.mark.filterwarnings("ignore")  # what other libraries warn of is up to them
@pytest.mark.parametrize(
    ("name", "package"),
    [("with_mlp.py", "sklearn"), ("with_keras.py", "keras"), ("with_pytorch.py", "torch")],
)
def test_another_network_forecasts_the_last_60_years(name, package):
    pytest.importorskip(package)
    y_pred = np.asarray(runpy.run_path(str(CODE / name))["y_pred"])
    y = load_sunspots().target
    assert y_pred.shape == (60,)
    assert root_mean_squared_error(y[249:], y_pred) < root_mean_squared_error(y[249:], y[248:-1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "package"), [("with_skforecast.py", "skforecast"), ("with_sktime.py", "sktime")]
)
def test_another_library_forecasts_the_next_three_years(name, package):
    pytest.importorskip(package)
    assert len(runpy.run_path(str(CODE / name))["y_pred"]) == 3
