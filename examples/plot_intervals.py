"""
============================
Intervals and their coverage
============================

A prediction interval should contain the true value, for instance, nine times out of ten. A model of
several quantiles gives an interval that is narrow where the series is calm. Its coverage must be
measured on held-out rows. If the coverage is wrong, conformal prediction [1]_ [2]_ corrects the
interval with a set of calibration rows.

.. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-Free
   Predictive Inference for Regression", JASA 113(523), 2018.
.. [2] Yaniv Romano, Evan Patterson and Emmanuel Candès, "Conformalized Quantile Regression",
   NeurIPS 2019.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow

# %%
# A series of changing volatility
# -------------------------------
# The size of the shocks changes slowly, so recent shocks are informative about the next one.


def draw_series(n_rows, rng):
    """Draw an autoregressive series, (n_rows,), with shocks of changing size."""
    scale = np.exp(np.sin(2 * np.pi * np.arange(n_rows) / 150))
    series = np.zeros(n_rows)
    for t in range(1, n_rows):
        series[t] = 0.8 * series[t - 1] + scale[t] * rng.normal()
    return series


series = draw_series(3000, np.random.default_rng(0)).astype(np.float32)
train, calibration, test = slice(0, 1500), slice(1500, 2250), slice(2250, 3000)
X = series[:, np.newaxis]


# %%
# The model
# ---------
# One network forecasts the 5 % quantile, the median and the 95 % quantile of each row from the rows
# before it. They never cross.

model = make_pipeline(
    StandardScaler(),
    SlidingWindow(20, lag=1),
    LSTMRegressor(
        16, loss="quantile", quantile=[0.05, 0.5, 0.95], n_iter_no_change=5, random_state=0
    ),
)
quantiles = model.fit(X[train], series[train]).predict(X)
low, median, high = quantiles.T
bands = {"quantiles": (low, high)}

# %%
# Conformal intervals
# -------------------
# The errors on the calibration rows determine the width. For the interval around the median, it is
# the 90 % quantile of the absolute error, which gives a constant width. For the two quantiles, it
# is the same quantile of the signed distance to the interval, negative inside, which widens or
# narrows the interval.


def conformal_quantile(fraction, distances):
    """Return the distance that a fraction of new distances will not exceed."""
    n = len(distances)
    return np.quantile(distances, min(1, np.ceil((n + 1) * fraction) / n), method="inverted_cdf")


margin = conformal_quantile(0.9, abs(series - median)[calibration])
bands["conformal"] = (median - margin, median + margin)
margin = conformal_quantile(0.9, np.maximum(low - series, series - high)[calibration])
bands["conformal quantiles"] = (low - margin, high + margin)

# %%
# Coverage out of sample
# ----------------------
# The guarantee of conformal prediction holds for exchangeable rows. For a series, it holds only as
# far as the calibration rows resemble future rows, so the coverage is measured on the test rows. It
# should be right in volatile and in calm periods. The interval of constant width is too narrow in
# volatile periods and too wide in calm ones.

is_volatile = np.sin(2 * np.pi * np.arange(len(series)) / 150) > 0
print("Coverage of 750 new rows      all volatile     calm mean width")
for name, (lower, upper) in bands.items():
    inside = (lower <= series) & (series <= upper)
    coverage = [
        inside[test].mean(),
        inside[test][is_volatile[test]].mean(),
        inside[test][~is_volatile[test]].mean(),
    ]
    width = (upper - lower)[test].mean()
    print(f"{name:>24}", *(f"{fraction:8.2f}" for fraction in coverage), f"{width:10.1f}")

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

# %%
# Try next: your own series with the quantiles that your costs ask for; how often a quantile was
# exceeded in each year, in a backtest like :ref:`sphx_glr_gallery_plot_backtest.py`.
