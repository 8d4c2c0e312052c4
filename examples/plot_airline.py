"""
================================
One month ahead, one year ahead
================================

A model can predict the next value of a series, or the next twelve values at once as twelve targets.
For several targets, :func:`~sklstm.forecast_targets` returns the values after each row. The targets
of the last rows are not known yet, so these rows are for prediction, not for training.

The series is the monthly number of airline passengers, 1949 to 1960, in thousands. The last three
years are the test set.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow, forecast_targets
from sklstm.datasets import load_airline

airline = load_airline()
passengers, months = airline.target, airline.months
n_test, horizon = 36, 12
n_train = len(passengers) - n_test

# %%
# The features
# ------------
# Trend and seasonality are multiplicative, so the model uses the growth of each month over the
# previous month, as a difference of logarithms. The calendar is known in advance: sine and cosine
# encode the next month in each row.

log_passengers = np.log(passengers)
growth = np.diff(log_passengers, prepend=log_passengers[0])
angle = 2 * np.pi * (np.arange(1, len(passengers) + 1) % 12) / 12  # of the next month
X = np.column_stack([growth, np.sin(angle), np.cos(angle)])

# %%
# The targets
# -----------
# A window with ``lag=0`` ends with its own row, and the targets begin with the next row. They are
# the growth from this row to each of the next twelve rows.

Y = forecast_targets(log_passengers, horizon) - log_passengers[:, np.newaxis]
print("X:", X.shape, "Y:", Y.shape, "rows without all of their targets:", np.isnan(Y[:, -1]).sum())


def make_model():
    """Return a pipeline in which windows of test rows include training rows."""
    return make_pipeline(
        StandardScaler(),
        SlidingWindow(12, lag=0, carry_context=True),
        LSTMRegressor(tol=1e-3, max_iter=500, random_state=0),
    )


# %%
# One month ahead
# ---------------
# When the model is fitted, the passengers of the first ``n_train`` months are known. The last row
# with a known target is therefore the one before the last known month, and all rows after it are
# forecast. With ``carry_context=True``, their windows include the last fitted rows.

first = n_train - 1
one_step = make_model().fit(X[:first], Y[:first, 0])
growth_1 = one_step.predict(X[first:-1])
forecast_1 = np.exp(log_passengers[first:-1] + growth_1)

observed = passengers[n_train:]
print(f"One month ahead, RMSE of the LSTM   {root_mean_squared_error(observed, forecast_1):5.1f}")
last_value = root_mean_squared_error(observed, passengers[n_train - 1 : -1])
print(f"                 of the last value  {last_value:5.1f}")

# %%
# One year ahead
# --------------
# This works in the same way, but the targets of the last twelve known months are incomplete, so
# these rows are excluded from training. A forecast is made in each month of the test period. The
# seasonal naive forecast repeats the last year.

n_fit = n_train - horizon
one_year = make_model().fit(X[:n_fit], Y[:n_fit])
growth_12 = one_year.predict(X[n_fit:])[horizon - 1 :]  # from the last month of training on
forecast_12 = np.exp(log_passengers[n_train - 1 :, np.newaxis] + growth_12)

origins = np.arange(n_train - 1, len(passengers) - horizon)  # those whose year is over
ahead = origins[:, np.newaxis] + np.arange(1, horizon + 1)
observed_12, naive_12 = passengers[ahead], passengers[ahead - 12]
lstm_12 = forecast_12[: len(origins)]
print(
    f"One year ahead, RMSE of the LSTM       {root_mean_squared_error(observed_12, lstm_12):5.1f}"
)
print(
    f"                of the seasonal naive  {root_mean_squared_error(observed_12, naive_12):5.1f}"
)

# %%
# Both forecasts, and the next year
# ---------------------------------
# The left plot shows the forecasts made at the end of each year. The last of them, for 1961, comes
# from the last row, which has no known target.

fig, (left, right) = plt.subplots(
    ncols=2, figsize=(10, 4), layout="constrained", width_ratios=[2, 1]
)
shown = slice(n_train - 24, None)
left.plot(months[shown], passengers[shown], color="black", label="observed")
left.plot(months[n_train:], forecast_1, ".", color="tab:blue", label="a month before")
for row in range(0, n_test + 1, 12):
    start = months[n_train - 1 + row]
    label = "at the end of the year before" if row == 0 else None
    left.plot(start + np.arange(1, 13), forecast_12[row], color="tab:orange", label=label)
left.set(ylabel="thousands of passengers", title="Forecasts of each year")
left.legend()

steps = np.arange(1, horizon + 1)
for name, forecast in [("LSTM", lstm_12), ("seasonal naive", naive_12)]:
    right.plot(steps, np.sqrt(np.mean((forecast - observed_12) ** 2, axis=0)), label=name)
right.set(xlabel="months ahead", ylabel="RMSE", xticks=steps[::3], ylim=(0, None))
right.set_title("Error by distance")
right.legend()
plt.show()

# %%
# Try next: an interval around the forecast, in :ref:`sphx_glr_gallery_plot_intervals.py`, columns
# that are known in advance, in :ref:`sphx_glr_gallery_plot_known_ahead.py`, or the errors of
# several years, in :ref:`sphx_glr_gallery_plot_backtest.py`.
