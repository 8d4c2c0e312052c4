"""Predictors that need NumPy alone, and the file that they are loaded from."""

from sklstm.runtime.file import load, save
from sklstm.runtime.predictor import Classifier, Regressor

__all__ = ["Classifier", "Regressor", "load", "save"]
