"""
=======================
Following a live stream
=======================

In use, a model receives one observation after the other. :meth:`~sklstm.LSTMRegressor.predict_step`
processes a single observation and predicts. Its cost does not depend on the length of the stream.
The caller keeps the state, which is small. Every ten years, the model learns from the recent
observations with :meth:`~sklstm.LSTMRegressor.partial_fit`.

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
# The model is trained on the first 200 years. It predicts a year from the 24 previous years.

scaler = StandardScaler().fit(X[:n_train])
windows = SlidingWindow(n_window)
z = scaler.transform(X)
model = LSTMRegressor(early_stopping=True, random_state=0)
model.fit(windows.fit_transform(z[: n_train - 1]), X[1:n_train, 0])
model.set_params(early_stopping=False, learning_rate_init=0.001)  # smaller updates from now on


def state_of(model, recent):
    """Return the state of a stream after some steps."""
    state = None
    for z_t in recent:
        _, state = model.predict_step(z_t, state)
    return state


# %%
# The stream
# ----------
# Each year brings an observation, and the model forecasts the next year. After the model has been
# updated, the old state is no longer valid, so it is computed again from the last 24 years.

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

# %%
# Try next: several streams at once, as rows of one ``x_t``, or a prediction without scikit-learn on
# the device that measures, in :doc:`/guide/deployment`.
