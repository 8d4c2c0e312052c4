"""
==============================
Backtesting: fold after fold
==============================

How good would the forecasts have been, had the model been in use all along? Train on the past,
forecast what follows, move on, and train again. That is scikit-learn's
:class:`~sklearn.model_selection.TimeSeriesSplit`; the one thing to watch is the gap.

The series is the yearly number of sunspots, forecast three years ahead.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

sunspots = load_sunspots()
X, y, years = sunspots.data, sunspots.target, sunspots.years
horizon = 3

# %%
# The gap
# -------
# With ``lag=3``, the window of a year ends three years before it. A model that is trained in the
# year t can forecast the year t + 3, and the two years in between are neither trained on nor
# tested: without a gap of ``horizon - 1``, the first test rows would be forecast less far ahead
# than the model would have to in use.

cv = TimeSeriesSplit(n_splits=5, test_size=30, gap=horizon - 1)
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=horizon),
    LSTMRegressor(early_stopping=True, random_state=0),
)

# %%
# The folds
# ---------
# To predict, each fold gets the series from its beginning, so that the windows of the test rows
# have their past, that in the gap included. A window only ever looks back.

fig, axes = plt.subplots(
    nrows=cv.get_n_splits(), figsize=(8, 10), sharex=True, sharey=True, layout="constrained"
)
errors = {"LSTM": [], "last known value": []}
for ax, (train, test) in zip(axes, cv.split(X), strict=True):
    model.fit(X[train], y[train])
    y_pred = np.full(len(y), np.nan)
    y_pred[test] = model.predict(X[: test[-1] + 1])[test]
    errors["LSTM"].append(root_mean_squared_error(y[test], y_pred[test]))
    errors["last known value"].append(root_mean_squared_error(y[test], y[test - horizon]))

    shown = slice(train[-1] - 40, test[-1] + 1)
    ForecastDisplay.from_predictions(
        y[shown],
        y_pred[shown],
        index=years[shown],
        cutoff=years[train[-1]],
        name=f"{horizon} years ahead",
        ax=ax,
    )
    ax.set(title=f"trained to {years[train[-1]]}: RMSE {errors['LSTM'][-1]:.1f}", ylabel="sunspots")
    if ax is not axes[0]:
        ax.get_legend().remove()
axes[-1].set_xlabel("year")
plt.show()

# %%
# What comes out
# --------------
# Folds differ, and their spread says how far the mean can be trusted.

print("RMSE of the folds, and their mean")
for name, of_folds in errors.items():
    print(f"{name:>16}:", *(f"{error:5.1f}" for error in of_folds), f" {np.mean(of_folds):5.1f}")
