"""
=====================================================
What is known in advance: tomorrow's load by the hour
=====================================================

Tomorrow's load is not known, but tomorrow's calendar is, and so is a forecast of its weather.
``column_lags`` lets such columns reach up to the hour that is forecast, while the load stays a day
behind. Nothing is shifted by hand: one :class:`~sklstm.SlidingWindow` in a plain pipeline serves a
ridge regression, gradient boosting and an LSTM alike.

The data is synthetic: sixty weeks of hourly load. Houses cool down slowly, so heating and cooling
follow the temperature of the last hours, and neither is linear in it.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import ForecastDisplay, LSTMRegressor, SlidingWindow

# %%
# The load, its weather and its calendar
# --------------------------------------


def decaying_sum(values, decay):
    """Return s_t = decay * s_{t-1} + values_t."""
    total = np.zeros(len(values))
    for t in range(1, len(values)):
        total[t] = decay * total[t - 1] + values[t]
    return total


def draw_load(n_weeks, rng):
    """Draw an hourly load, the temperature and the calendar, with dates as the index."""
    index = pd.date_range("2025-01-06", periods=24 * 7 * n_weeks, freq="h")
    hours, hour = np.arange(len(index)), index.hour.to_numpy()
    yearly = 12 + 8 * np.sin(2 * np.pi * hours / (24 * 365) - 1.9)
    daily = 4 * np.sin(2 * np.pi * (hour - 9) / 24)
    weather = decaying_sum(rng.normal(scale=0.6, size=len(index)), 0.99)
    temperature = yearly + daily + weather
    holiday = np.repeat(rng.random(7 * n_weeks) < 0.04, 24)

    def peak(at, width):
        return np.exp(-(((hour - at) / width) ** 2))

    is_off = (index.day_of_week.to_numpy() >= 5) | holiday
    people = np.where(is_off, 18 + 7 * peak(13, 5), 20 + 9 * peak(9, 3) + 11 * peak(18, 3))
    indoors = decaying_sum(0.08 * temperature, 0.92)
    heating, cooling = 0.9 * np.maximum(15 - indoors, 0), 0.7 * np.maximum(indoors - 20, 0)
    load = people + heating + cooling + rng.normal(scale=0.6, size=len(index))
    frame = pd.DataFrame({"load": load, "temperature": temperature, "holiday": holiday}, index)
    for name, period in {"day": 24, "week": 24 * 7}.items():
        frame[f"sin_{name}"] = np.sin(2 * np.pi * hours / period)
        frame[f"cos_{name}"] = np.cos(2 * np.pi * hours / period)
    return frame.astype("float32")  # the network then computes in float32, which is faster


frame = draw_load(60, np.random.default_rng(0))
train, test = frame[: 24 * 7 * 52], frame[24 * 7 * 52 :]
print(test.head(3).round(2).to_string())

# %%
# One window for all models
# -------------------------
# The window of an hour holds 24 steps. Each has the load of a day before and, from
# ``column_lags``, the temperature and the calendar of its own hour. In real use, the temperature
# would be a forecast.
#
# ``set_output`` makes the scaler keep the dates. They show that the test rows follow the training
# rows, so that the windows of the first test rows contain the last training rows.

known_ahead = {column: 0 for column in frame.columns if column != "load"}


def make_model(regressor, column_lags, **params):
    window = SlidingWindow(24, lag=24, column_lags=column_lags, carry_context=True, **params)
    return make_pipeline(StandardScaler(), window, regressor).set_output(transform="pandas")


flat = {"flatten": True, "padding": "edge"}
models = {
    "ridge": (RidgeCV(np.logspace(-2, 3, 11)), flat),
    "boosting": (HistGradientBoostingRegressor(random_state=0), flat),
    "LSTM": (LSTMRegressor(random_state=0), {}),
}
forecasts = {"a week ago": frame["load"].shift(24 * 7)[test.index]}
print("mean absolute error     load alone   with what is known ahead")
print(f"{'a week ago':<20} {mean_absolute_error(test['load'], forecasts['a week ago']):>13.2f}")
for name, (regressor, params) in models.items():
    errors = []
    for columns, lags in (["load"], None), (list(frame.columns), known_ahead):
        model = make_model(regressor, lags, **params).fit(train[columns], train["load"])
        forecasts[name] = pd.Series(model.predict(test[columns]), test.index)
        errors.append(mean_absolute_error(test["load"], forecasts[name]))
    print(f"{name:<20} {errors[0]:>13.2f} {errors[1]:>26.2f}")

# %%
# The load of the day before does not tell a Monday from a Saturday, nor a cold day from a warm one.
# What is known in advance does. The ridge cannot use it well: the effect of an hour depends on
# whether people work, and that of the temperature on whether they heat. The noise in the load alone
# makes a mean absolute error of 0.48.

shown = test.index[24 * 12 : 24 * 19]
fig, axes = plt.subplots(nrows=2, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes, ("ridge", "LSTM"), strict=True):
    ForecastDisplay.from_predictions(
        test["load"][shown], forecasts[name][shown], name=f"{name}, a day ahead", ax=ax
    )
    ax.set_ylabel("load")
plt.show()

# %%
# Try next: a longer window, a forecast of the temperature with errors instead of the temperature
# itself, or :ref:`sphx_glr_gallery_plot_intervals.py` for how far the load may lie off.
