"""
==========================================
A frame with dates, from training to live
==========================================

Real series come with dates: some days are missing, the test rows follow the training rows, and
later one row arrives each day. This page follows the windows through all of it, step by step.

The series is a synthetic daily temperature of two years.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow

rng = np.random.default_rng(0)
days = pd.date_range("2024-01-01", periods=730, freq="D")
weather = np.zeros(730)
for t, shock in enumerate(rng.normal(size=729), start=1):
    weather[t] = 0.6 * weather[t - 1] + shock
season = 10 - 9 * np.cos(2 * np.pi * np.arange(730) / 365)
frame = pd.DataFrame({"temperature": season + weather}, index=days)

# %%
# Days that are missing
# ---------------------
# The thermometer failed on three days. A window of three rows before the 12th of January would
# reach back to the 6th. With ``freq="D"`` it counts days, and a day that is missing is a missing
# time step, which the LSTM skips.

frame = frame.drop(pd.to_datetime(["2024-01-08", "2024-01-09", "2024-01-10"]))
january = frame["2024-01-05":"2024-01-12"].round(1)
windows = SlidingWindow(3, lag=1, freq="D").fit_transform(january)
for day, window in zip(january.index, windows, strict=True):
    print(f"{day:%d %b}  {january.temperature[day]:5.1f}  window: {window[:, 0]}")

# %%
# Train on the past
# -----------------
# ``set_output(transform="pandas")`` makes the scaler return a frame with its dates. Without it, the
# scaler returns an array, and the windows know of no dates.
#
# ``carry_context=True`` keeps the last 14 days of training, so that the first test rows have full
# windows.

model = make_pipeline(
    StandardScaler(),
    SlidingWindow(14, lag=1, freq="D", carry_context=True),
    LSTMRegressor(random_state=0),
).set_output(transform="pandas")

train, test = frame[:"2025-09-30"], frame["2025-10-01":]
model.fit(train, train["temperature"])
forecast = pd.Series(model.predict(test), test.index)
yesterday = frame["temperature"].shift(1)[test.index]
print(f"LSTM       {root_mean_squared_error(test['temperature'], forecast):.2f}")
print(f"yesterday  {root_mean_squared_error(test['temperature'], yesterday):.2f}")

# %%
# The dates decide what comes before X
# ------------------------------------
# Rows right after the training rows get these as their past. The same forecasts come out if all
# rows are given, from the first one on. Later rows, after a gap, get missing steps for the days
# between.

print(np.allclose(forecast, model.predict(frame)[len(train) :]))
print(model.predict(test[5:8]).round(1), "after five days without a row")

# %%
# Rows from the middle of the training rows are an error, because their past is not the end of the
# training rows.

try:
    model.predict(train[100:120])
except ValueError as error:
    print(textwrap.fill(str(error), 90))

# %%
# Live: one row a day
# -------------------
# The window of today, with ``lag=1``, ends yesterday. So today's value is not needed, and NaN
# stands for it. Once it has been measured, ``partial_fit`` of the windows stores it.

scaler, window, regressor = model
live = []
for day in test.index[:30]:
    today = pd.DataFrame({"temperature": [np.nan]}, index=[day])
    live.append(model.predict(today)[0])
    window.partial_fit(scaler.transform(test.loc[[day]]))
print(np.allclose(live, forecast[:30]))

shown = frame["2025-09-01":]["temperature"]
ForecastDisplay.from_predictions(
    shown, forecast.reindex(shown.index), cutoff=train.index[-1], name="a day ahead"
)
plt.show()

# %%
# Try next: columns that are known in advance, in :ref:`sphx_glr_gallery_plot_known_ahead.py`, or
# many series at once, in :ref:`sphx_glr_gallery_plot_panel.py`.
