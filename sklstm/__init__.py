"""LSTM networks for scikit-learn: estimators and windows, in plain NumPy."""

import importlib
from typing import TYPE_CHECKING, Any

from sklstm._version import __version__

if TYPE_CHECKING:
    from sklstm.classifier import LSTMClassifier
    from sklstm.displays import ForecastDisplay, LossCurveDisplay
    from sklstm.regressor import LSTMRegressor
    from sklstm.windows import SlidingWindow, forecast_targets, make_windows

__all__ = [
    "ForecastDisplay",
    "LSTMClassifier",
    "LSTMRegressor",
    "LossCurveDisplay",
    "SlidingWindow",
    "__version__",
    "forecast_targets",
    "make_windows",
]

# Loaded when first asked for (PEP 562), so that sklstm.nn imports with NumPy alone.
_MODULES = {
    "ForecastDisplay": "sklstm.displays",
    "LSTMClassifier": "sklstm.classifier",
    "LSTMRegressor": "sklstm.regressor",
    "LossCurveDisplay": "sklstm.displays",
    "SlidingWindow": "sklstm.windows",
    "forecast_targets": "sklstm.windows",
    "make_windows": "sklstm.windows",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if name in ("datasets", "interop", "nn", "runtime"):
        return importlib.import_module(f"sklstm.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "datasets", "interop", "nn", "runtime"})
