"""Airline passengers one month ahead, with a band from the 10 % to the 90 % quantile."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_airline

airline = load_airline()
passengers, months = airline.target, airline.months
growth = np.diff(np.log(passengers))  # trend and season multiply
train, test = slice(0, -36), slice(-36, None)

model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=1, carry_context=True),
    LSTMRegressor(loss="quantile", quantile=[0.1, 0.5, 0.9], random_state=0),
)
X = growth.reshape(-1, 1)
quantiles = model.fit(X[train], growth[train]).predict(X[test])
quantiles = passengers[-37:-1, np.newaxis] * np.exp(quantiles)
low, median, high = quantiles.T
inside = (low <= passengers[test]) & (passengers[test] <= high)

# Colours that can be read on a white page and on a dark one.
gray, blue = "#8a8f98", "#3b8fd6"
colors = dict.fromkeys(["text.color", "axes.edgecolor", "xtick.color", "ytick.color"], gray)
with plt.rc_context(colors | {"font.size": 12}):
    fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained", facecolor="none")
    ax.set_facecolor("none")
    display = ForecastDisplay.from_predictions(
        passengers[test], quantiles, index=months[test], name="one month ahead", ax=ax, color=blue
    )
    display.true_line_.set(color=gray, marker="o", linewidth=0)
    ax.set_title(
        f"thousands of airline passengers; {inside.sum()} of {len(inside)} months lie in the band",
        loc="left",
        fontsize=12,
    )
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left")
plt.show()
