"""LSTM networks for scikit-learn: estimators and windows, in plain NumPy."""

import importlib
from typing import TYPE_CHECKING, Any

from sklstm._version import __version__

if TYPE_CHECKING:  # for type checkers, which do not follow the table
    from sklstm import datasets as datasets
    from sklstm import interop as interop
    from sklstm import nn as nn
    from sklstm import runtime as runtime
    from sklstm.classifier import LSTMClassifier as LSTMClassifier
    from sklstm.displays import ForecastDisplay as ForecastDisplay
    from sklstm.displays import LossCurveDisplay as LossCurveDisplay
    from sklstm.preprocessing import TimestepTransformer as TimestepTransformer
    from sklstm.regressor import LSTMRegressor as LSTMRegressor
    from sklstm.windows import SlidingWindow as SlidingWindow
    from sklstm.windows import forecast_targets as forecast_targets
    from sklstm.windows import make_windows as make_windows

# Public names and their modules, which are loaded when a name is first used (PEP 562), so that
# sklstm.nn and sklstm.runtime import with NumPy alone.
_PUBLIC = {
    "ForecastDisplay": "sklstm.displays",
    "LSTMClassifier": "sklstm.classifier",
    "LSTMRegressor": "sklstm.regressor",
    "LossCurveDisplay": "sklstm.displays",
    "SlidingWindow": "sklstm.windows",
    "TimestepTransformer": "sklstm.preprocessing",
    "forecast_targets": "sklstm.windows",
    "make_windows": "sklstm.windows",
}
_SUBPACKAGES = ("datasets", "interop", "nn", "runtime")

__all__ = ["__version__", *_PUBLIC]


if not TYPE_CHECKING:  # for type checkers there are no other names

    def __getattr__(name: str) -> Any:
        if name in _PUBLIC:
            return getattr(importlib.import_module(_PUBLIC[name]), name)
        if name in _SUBPACKAGES:
            return importlib.import_module(f"sklstm.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_SUBPACKAGES})
