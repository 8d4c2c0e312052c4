"""
==========================
Intervals, and their worth
==========================

A forecast says more with a band that holds the true value nine times out of ten. Two quantile
models give one that is narrow where the series is calm. Whether it keeps its word is not known
until it is measured on rows that no model has seen; where it does not, some rows that were set
aside correct it. That is conformal prediction [1]_ [2]_.

.. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-Free
   Predictive Inference for Regression", JASA 113(523), 2018.
.. [2] Y. Romano, E. Patterson and E. Candès, "Conformalized Quantile Regression", NeurIPS 2019.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow

# %%
# A series that is calm and wild by turns
# ---------------------------------------
# The size of its shocks swings slowly, and the last shocks tell how wild it is now.


def draw_series(n_rows, rng):
    """Draw an autoregressive series, (n_rows,), whose shocks swing in size."""
    scale = np.exp(np.sin(2 * np.pi * np.arange(n_rows) / 150))
    series = np.zeros(n_rows)
    for t in range(1, n_rows):
        series[t] = 0.8 * series[t - 1] + scale[t] * rng.normal()
    return series


series = draw_series(3000, np.random.default_rng(0)).astype(np.float32)
train, calibration, test = slice(0, 1500), slice(1500, 2250), slice(2250, 3000)
X = series[:, np.newaxis]


def forecast(**params):
    """Train on the first part; forecast all rows, each from those before it."""
    model = make_pipeline(
        StandardScaler(),
        SlidingWindow(20, lag=1),
        LSTMRegressor(16, early_stopping=True, n_iter_no_change=5, random_state=0, **params),
    )
    return model.fit(X[train], series[train]).predict(X)


# %%
# The models
# ----------
# One forecasts the median, two the bounds below which 5 % and 95 % of the values shall lie.

median = forecast(loss="absolute_error")
low, high = (forecast(loss="quantile", quantile=q) for q in (0.05, 0.95))
bands = {"quantiles": (low, high)}

# %%
# Conformal intervals
# -------------------
# How far does the truth lie from the forecast, on rows that were set aside? The distance that nine
# of ten do not exceed makes an interval around the median, as wide everywhere. The distance
# outside the band, which is negative inside, widens or narrows the band.


def at_least(share, distances):
    """Give the distance that the share of new ones will not exceed."""
    n = len(distances)
    return np.quantile(distances, min(1, np.ceil((n + 1) * share) / n), method="inverted_cdf")


margin = at_least(0.9, abs(series - median)[calibration])
bands["conformal"] = (median - margin, median + margin)
margin = at_least(0.9, np.maximum(low - series, series - high)[calibration])
bands["conformal quantiles"] = (low - margin, high + margin)

# %%
# Coverage out of sample
# ----------------------
# What conformal prediction promises holds for rows in random order. In a series it holds as far as
# the rows set aside are like those to come, so it is measured. Where it counts is in the wild times
# as well as in the calm ones: the interval of one width is too narrow in the ones and too wide in
# the others.

wild = np.sin(2 * np.pi * np.arange(len(series)) / 150) > 0
print("Share of 750 new rows inside          all  wild  calm   mean width")
for name, (lower, upper) in bands.items():
    inside = (lower <= series) & (series <= upper)
    shares = [
        inside[test].mean(),
        inside[test][wild[test]].mean(),
        inside[test][~wild[test]].mean(),
    ]
    width = (upper - lower)[test].mean()
    print(f"{name:>28}        ", *(f"{share:.2f} " for share in shares), f"      {width:.1f}")

fig, axes = plt.subplots(nrows=3, figsize=(9, 8), sharex=True, sharey=True, layout="constrained")
shown = slice(2250, 2550)
for ax, (name, (lower, upper)) in zip(axes, bands.items(), strict=True):
    ForecastDisplay.from_predictions(
        series[shown],
        median[shown],
        lower=lower[shown],
        upper=upper[shown],
        index=np.arange(len(series))[shown],
        name="median",
        ax=ax,
    )
    ax.set_title(name)
axes[-1].set_xlabel("row")
plt.show()
