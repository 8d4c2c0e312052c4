"""Prediction with NumPy alone: save a fitted estimator to a file, load a predictor from it."""

from sklstm.runtime.file import load, save
from sklstm.runtime.predictor import Classifier, Regressor

__all__ = ["Classifier", "Regressor", "load", "save"]
