"""Sliding windows over time series: a transformer, and functions on plain arrays."""

from sklstm.windows.arrays import forecast_targets, make_windows
from sklstm.windows.sliding import SlidingWindow

__all__ = ["SlidingWindow", "forecast_targets", "make_windows"]
