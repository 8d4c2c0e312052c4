"""
===================================
Long windows, trained on the series
===================================

How many visitors come to a museum in the next hour? School classes come on Tuesday mornings, and on
Thursday evenings entry is free: to see this, a window must hold a week, 168 hours. Windows of
consecutive hours overlap, so training on them computes each hour 168 times an epoch.

With ``train_on="series"``, training goes through the series under the windows instead, in stretches
of many hours with a target at each. The data is synthetic.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow

# %%
# Hourly counts
# -------------
# The week has a pattern, the interest in the museum rises and falls over days, and the rest is
# chance. The square root of a count has about the same noise everywhere.


def draw_visitors(n_weeks, rng):
    """Draw the square root of hourly counts, with dates as the index."""
    hours = pd.date_range("2025-01-06", periods=168 * n_weeks, freq="h")
    week = np.zeros((7, 24))  # the logarithm of the mean; closed where it is 0
    week[1:, 9:18] = 3.0
    week[1, 9:12] += 1.0
    week[3, 18:22] = 3.8
    week[5:, 11:17] += 0.7
    interest = np.zeros(len(hours))
    for t, change in enumerate(rng.normal(scale=0.05, size=len(hours) - 1), start=1):
        interest[t] = 0.98 * interest[t - 1] + change
    usual = np.tile(week.ravel(), n_weeks)
    counts = np.where(usual > 0, rng.poisson(np.exp(usual + interest)), 0)
    return pd.DataFrame({"visitors": np.sqrt(counts).astype("float32")}, index=hours)


frame = draw_visitors(16, np.random.default_rng(0))
train, test = frame[: -168 * 4], frame[-168 * 4 :]

# %%
# A day on windows, a week on the series
# --------------------------------------
# Nothing else changes: the pipeline is the same, and so is what it predicts from, the window of an
# hour. With a window of a week and ``train_on="windows"``, training takes eight times as long, and
# the error is no smaller. All is in float32, as the counts are.

same_hour = frame["visitors"].shift(168)[test.index]
print(f"a week ago             error {root_mean_squared_error(test['visitors'], same_hour):.2f}")
forecasts = {}
for window_size, train_on in ((24, "windows"), (168, "series")):
    model = make_pipeline(
        StandardScaler(),
        SlidingWindow(window_size, lag=1, carry_context=True),
        LSTMRegressor(16, train_on=train_on, max_iter=400, random_state=0),
    ).set_output(transform="pandas")
    begin = perf_counter()
    model.fit(train, train["visitors"])
    seconds = perf_counter() - begin
    forecasts[train_on] = pd.Series(model.predict(test), test.index)
    error = root_mean_squared_error(test["visitors"], forecasts[train_on])
    print(f"{window_size:>3} hours, {train_on:<8}    error {error:.2f}   {seconds:.0f} seconds")

# %%
# The window of a day does not hold what day it is, and expects visitors on a Monday and none on a
# Thursday evening.

shown = test.index[-168:]
fig, axes = plt.subplots(nrows=2, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
names = {"windows": "from the last day", "series": "from the last week"}
for ax, (train_on, name) in zip(axes, names.items(), strict=True):
    ForecastDisplay.from_predictions(
        test["visitors"][shown], forecasts[train_on][shown], name=name, ax=ax
    )
    ax.set_ylabel("square root of visitors")
plt.show()

# %%
# Try next: ``column_lags`` with the day of the week, in
# :ref:`sphx_glr_gallery_plot_known_ahead.py`, or :ref:`train_on` in the user guide, which says when
# to choose it, with error and time on real series.
