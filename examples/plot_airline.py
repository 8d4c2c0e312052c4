"""
================================
One month ahead, one year ahead
================================

The next value of a series is one target; the next twelve are twelve targets of one model. For the
second, :func:`~sklstm.forecast_targets` gives each row the values that come after it. The last
rows have no target yet: they are not trained on, they are what one predicts.

The series is the monthly number of airline passengers, 1949 to 1960, in thousands. The last three
years are the test.
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
# What the model reads
# --------------------
# Trend and season are multiplicative, so the model works on logarithms, and reads the growth of
# each month over the month before. The calendar is known in advance: sine and cosine tell each row
# which month comes next.

log_passengers = np.log(passengers)
growth = np.diff(log_passengers, prepend=log_passengers[0])
angle = 2 * np.pi * (np.arange(1, len(passengers) + 1) % 12) / 12  # of the next month
X = np.column_stack([growth, np.sin(angle), np.cos(angle)])

# %%
# The targets
# -----------
# A window with ``lag=0`` ends with its own row, and the targets begin with the row after. They are
# the growth from this row to each of the next twelve.

Y = forecast_targets(log_passengers, horizon) - log_passengers[:, np.newaxis]
print("X:", X.shape, "Y:", Y.shape, "rows without all of their targets:", np.isnan(Y[:, -1]).sum())


def make_model():
    """Make a pipeline, which gives test rows their past."""
    return make_pipeline(
        StandardScaler(),
        SlidingWindow(12, lag=0, carry_context=True),
        LSTMRegressor(tol=1e-3, max_iter=500, random_state=0),
    )


# %%
# One month ahead
# ---------------
# When the model is fitted, the passengers up to month ``n_train`` are known. So the last row that
# has its target is the one before, and all rows after it are forecast. ``carry_context=True``
# gives their windows the last fitted rows as their past.

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
# The same, except that the last twelve known months have part of their targets only, and are not
# trained on. A forecast is made in each month of the test period; the seasonal naive one repeats
# the last year.

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
# The two, and the year to come
# -----------------------------
# On the left the forecasts that were made at the end of each year. The last of them, for 1961,
# comes from the last row, which has no target at all.

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
