"""
==============================
Backtesting: fold after fold
==============================

A backtest measures how good the forecasts would have been if the model had been in use: train on
the past, forecast the following rows, move on, and train again. scikit-learn's
:class:`~sklearn.model_selection.TimeSeriesSplit` does this, but the gap must be set correctly.

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
# With ``lag=3``, the window of a year ends three years before it. A model that is trained in year t
# can forecast year t + 3. The two years in between are used neither for training nor for testing.
# Without a gap of ``horizon - 1``, the first test rows would be forecast fewer years ahead than in
# real use.

cv = TimeSeriesSplit(n_splits=5, test_size=30, gap=horizon - 1)
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=horizon),
    LSTMRegressor(early_stopping=True, random_state=0),
)

# %%
# The folds
# ---------
# For prediction, each fold gets the series from its beginning, so that the windows of the test rows
# include all earlier rows, also those in the gap. A window never contains later rows.

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
# Results
# -------
# The errors differ between folds. This variation shows how reliable the mean is.

print("RMSE of the folds, and their mean")
for name, of_folds in errors.items():
    print(f"{name:>16}:", *(f"{error:5.1f}" for error in of_folds), f" {np.mean(of_folds):5.1f}")

# %%
# Try next: a search over ``slidingwindow__window_size`` with the same folds, as in
# :doc:`/guide/sizes`, or a stream that learns as it goes, in
# :ref:`sphx_glr_gallery_plot_live_stream.py`.
