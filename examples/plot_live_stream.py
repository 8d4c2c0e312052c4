"""
=======================
Following a live stream
=======================

A model in use sees one observation after the other. :meth:`~sklstm.LSTMRegressor.predict_step`
takes in a single one and predicts, at the cost of one step, however long the stream has been; what
it has to remember is a small state that the caller keeps. Every ten years
:meth:`~sklstm.LSTMRegressor.partial_fit` lets the model learn from what has come in since.

The stream is the yearly number of sunspots, one year ahead.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, _ = load_sunspots(return_X_y=True)  # (309, 1), the years 1700 to 2008
years = 1700 + np.arange(len(X))
n_train, n_window = 200, 24

# %%
# Before the stream
# -----------------
# The model learns from the first 200 years: from 24 of them, the one after.

scaler = StandardScaler().fit(X[:n_train])
windows = SlidingWindow(n_window)
z = scaler.transform(X)
model = LSTMRegressor(early_stopping=True, random_state=0)
model.fit(windows.fit_transform(z[: n_train - 1]), X[1:n_train, 0])
model.set_params(early_stopping=False, learning_rate_init=0.001)  # from here on in small steps


def state_of(model, recent):
    """State of a stream after some steps."""
    state = None
    for z_t in recent:
        _, state = model.predict_step(z_t, state)
    return state


# %%
# The stream
# ----------
# Each year the observation comes in and the forecast for the next goes out. When the model has
# learned, the old state is not its own any more: it is made anew from the last 24 years.

state = state_of(model, z[n_train - n_window : n_train - 1])
forecasts = []
for t in range(n_train - 1, len(X) - 1):
    y_next, state = model.predict_step(z[t], state)
    forecasts.append(y_next)
    if t % 10 == 9:
        recent = slice(t - 60, t)
        model.partial_fit(windows.fit_transform(z[recent]), X[t - 59 : t + 1, 0])
        state = state_of(model, z[t - n_window + 1 : t + 1])

# %%
# How good the forecasts were
# ---------------------------

truth = X[n_train:, 0]
print(f"stream      {root_mean_squared_error(truth, forecasts):.1f}")
print(f"last value  {root_mean_squared_error(truth, X[n_train - 1 : -1, 0]):.1f}")

figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
ax.plot(years[n_train:], truth, color="black", label="observed")
ax.plot(years[n_train:], forecasts, label="forecast a year before")
ax.set(xlabel="year", ylabel="sunspots")
ax.legend()
plt.show()
