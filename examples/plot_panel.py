"""
=====================================
A panel: one model for several series
=====================================

The data are yearly counts of rabbits on thirty islands over thirty years. This is too little for a
separate model of each island, but all islands have the same dynamics.
:class:`~sklstm.SlidingWindow` accepts the whole panel as one data frame: ``group_column`` names the
column that identifies the series, and no window spans two series.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

# %%
# The panel
# ---------
# If there are more rabbits than an island can feed, their number decreases one or two years later.
# The counts therefore oscillate around a different level on each island. The rows are sorted by
# year, so the rows of an island are not adjacent.


def draw_panel(n_islands, n_years, rng):
    """Draw the logarithm of the counts, (n_years, n_islands)."""
    capacity = rng.uniform(3, 6, size=n_islands)
    log_count = np.empty((n_years + 20, n_islands))
    log_count[:2] = capacity + rng.normal(scale=0.5, size=(2, n_islands))
    for t in range(2, len(log_count)):
        growth = 1.1 * (1 - np.exp(log_count[t - 2] - capacity))
        log_count[t] = log_count[t - 1] + growth + rng.normal(scale=0.1, size=n_islands)
    return log_count[20:]


n_islands, n_years, n_test = 30, 30, 10
values = draw_panel(n_islands, n_years, np.random.default_rng(0))
panel = pd.DataFrame(
    {
        "year": np.repeat(np.arange(n_years), n_islands),
        "island": np.tile([f"island {i:02}" for i in range(n_islands)], n_years),
        "log_count": values.ravel(),
    }
)
train = panel[panel["year"] < n_years - n_test]
test = panel[panel["year"] >= n_years - n_test]
print(train.head(3))

# %%
# One model for all
# -----------------
# The scaler passes the column of names through, and SlidingWindow removes it. With
# ``carry_context=True``, the windows of test rows include the training rows of the same island.

columns = ["log_count", "island"]


def make_model():
    """Return a pipeline that forecasts one year ahead."""
    scale = make_column_transformer(
        (StandardScaler(), ["log_count"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    windows = SlidingWindow(6, lag=1, group_column="island", carry_context=True)
    return make_pipeline(scale, windows, LSTMRegressor(16, tol=5e-4, random_state=0))


model = make_model().fit(train[columns], train["log_count"])
together = model.predict(test[columns])

# %%
# One model for each island
# -------------------------
# The same pipeline is fitted on one island at a time, with twenty training years.

alone = np.empty(len(test))
for island, rows in train.groupby("island"):
    is_here = (test["island"] == island).to_numpy()
    own = make_model().fit(rows[columns], rows["log_count"])
    alone[is_here] = own.predict(test.loc[is_here, columns])

last_year = panel.groupby("island")["log_count"].shift()[test.index]
errors = {
    name: root_mean_squared_error(test["log_count"], forecast)
    for name, forecast in [
        ("one model for all", together),
        ("a model for each", alone),
        ("last year", last_year),
    ]
}
print("Root mean squared error of the logarithm, one year ahead; the noise alone gives 0.10")
for name, error in errors.items():
    print(f"{name:>18}: {error:.2f}")

# %%
# Three of the islands
# --------------------

forecasts = test.assign(together=together, alone=alone)
fig, axes = plt.subplots(nrows=3, figsize=(8, 6), sharex=True, layout="constrained")
for ax, (island, rows) in zip(axes, panel.groupby("island"), strict=False):
    here = forecasts[forecasts["island"] == island]
    ax.plot(rows["year"], rows["log_count"], color="black", label="observed")
    ax.plot(here["year"], here["together"], "o-", ms=3, label="one model for all")
    ax.plot(here["year"], here["alone"], "o-", ms=3, label="a model for each")
    ax.set(title=island, ylabel="log of the count")
axes[0].legend(loc="upper left")
axes[-1].set_xlabel("year")
plt.show()

# %%
# Try next: the name of the island as a feature (a copy of the column, one-hot encoded), a model of
# an island that is not in the training set, or several steps ahead with ``forecast_targets(...,
# groups=...)``.
