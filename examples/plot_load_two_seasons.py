"""
===========================================
Two seasons: electricity, a day at a time
===========================================

The demand for electricity has a daily and a weekly seasonality. A window of a whole week is long,
and slow to learn from. The calendar, however, is known in advance: a window of one day is enough if
it contains the calendar as well as the load.

The load is synthetic, with hourly values for twelve weeks: two peaks on working days, one on
weekends, and weather that changes over days.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow, forecast_targets

# %%
# The load
# --------


def draw_load(n_weeks, rng):
    """Draw an hourly load with a daily and a weekly season, from a Monday on."""
    hours = np.arange(24 * 7 * n_weeks)
    hour, day = hours % 24, hours // 24 % 7

    def peak(at, width):
        return np.exp(-(((hour - at) / width) ** 2))

    working_day = 20 + 10 * peak(9, 3) + 12 * peak(18, 3)
    weekend = 18 + 9 * peak(14, 5)
    weather = np.zeros(len(hours))
    for t, shock in enumerate(rng.normal(scale=0.4, size=len(hours) - 1), start=1):
        weather[t] = 0.98 * weather[t - 1] + shock
    noise = rng.normal(scale=0.3, size=len(hours))
    return hours, np.where(day < 5, working_day, weekend) + weather + noise


hours, load = draw_load(12, np.random.default_rng(0))
load = load.astype(np.float32)  # then the network computes in float32 too, which is faster
day, week = 24, 24 * 7
n_train = 10 * week

# %%
# The calendar
# ------------
# The features are sine and cosine of the two seasons. Each row encodes the next hour, which is
# known in advance.


def calendar(hours, period):
    """Return the position within a season as a point on a circle."""
    angle = 2 * np.pi * hours / period
    return np.column_stack([np.sin(angle), np.cos(angle)]).astype(np.float32)


seasons = [calendar(hours + 1, day), calendar(hours + 1, week)]
inputs = {
    "load alone": load[:, np.newaxis],
    "load and calendar": np.column_stack([load, *seasons]),
}

# %%
# A day at a time
# ---------------
# The targets of a row are the next 24 hours. The targets of the last training rows extend beyond
# the training period, so these rows are excluded from training. All following rows are predicted.

Y = forecast_targets(load, day)
n_fit = n_train - day
origins = np.arange(n_train - 1, len(load) - day)  # the last hour of training, and those after it
observed = Y[origins]

forecasts = {"a week ago": load[origins[:, np.newaxis] + np.arange(1, day + 1) - week]}
for name, X in inputs.items():
    model = make_pipeline(
        StandardScaler(),
        SlidingWindow(day, carry_context=True),
        LSTMRegressor(
            early_stopping=True, validation_gap=day - 1, n_iter_no_change=5, random_state=0
        ),
    )
    model.fit(X[:n_fit], Y[:n_fit])
    forecasts[name] = model.predict(X[n_fit:])[origins - n_fit]

print("Mean absolute error over two weeks")
for name, forecast in forecasts.items():
    print(f"{name:>18}: {mean_absolute_error(observed, forecast):.2f}")

# %%
# The load of one day shows the hour, but not that tomorrow is a Saturday, which has no morning
# peak.

fig, (top, bottom) = plt.subplots(nrows=2, figsize=(9, 6), layout="constrained")
top.plot(hours[n_train:] / day - n_train / day, load[n_train:], color="black", label="observed")
midnights = np.arange(0, len(origins), day)
colors = {"a week ago": "tab:grey", "load alone": "tab:orange", "load and calendar": "tab:blue"}
for name in inputs:
    forecast = forecasts[name][midnights].ravel()
    top.plot(np.arange(len(forecast)) / day, forecast, color=colors[name], label=name)
top.set(xlabel="days, from a Monday", ylabel="load", title="Forecasts made at midnight")
top.set_ylim(None, 38)
top.legend(loc="upper right", ncols=3)

for name, forecast in forecasts.items():
    error = abs(forecast - observed).mean(axis=0)
    bottom.plot(np.arange(1, day + 1), error, color=colors[name], label=name)
bottom.set(xlabel="hours ahead", ylabel="mean absolute error", ylim=(0, None))
bottom.legend()
plt.show()

# %%
# Try next: the calendar through ``column_lags``, which needs no shifted columns, in
# :ref:`sphx_glr_gallery_plot_known_ahead.py`, or the quantiles of each hour, as in
# :ref:`sphx_glr_gallery_plot_intervals.py`.
