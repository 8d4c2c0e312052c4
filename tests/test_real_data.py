"""Forecasts and classifications of real series, compared with simple models.

Sizes and numbers of epochs were chosen on the training rows; the other parameters are defaults.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.plain import PLAIN
from support.real_data import load_italy_power_demand, load_spoken_digits

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_airline, load_sunspots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def forecast(series, n_test, window_size, estimator, **window_params):
    """Forecast the last rows of a series one step ahead, each from the true rows before it."""
    model = make_pipeline(
        StandardScaler(), SlidingWindow(window_size, lag=1, **window_params), estimator
    )
    X = series[:, np.newaxis]
    return model.fit(X[:-n_test], series[:-n_test]).predict(X)[-n_test:]


def mean_error(true, forecasts):
    return np.mean([root_mean_squared_error(true, one) for one in forecasts])


def test_sunspots_one_year_ahead_are_close_to_ridge_and_better_than_naive():
    _, y = load_sunspots(return_X_y=True)
    n_test = 60
    true, before = y[-n_test:], y[-n_test - 1 : -1]
    lstm = [
        forecast(y, n_test, 9, LSTMRegressor(max_iter=100, random_state=seed)) for seed in range(3)
    ]
    ridge = forecast(y, n_test, 9, Ridge(), flatten=True, padding="edge")

    assert mean_error(true, lstm) <= 1.25 * root_mean_squared_error(true, ridge)
    assert mean_error(true, lstm) < 0.75 * root_mean_squared_error(true, before)


def test_airline_one_month_ahead_is_close_to_ridge_and_better_than_naive():
    _, passengers = load_airline(return_X_y=True)
    n_test = 36
    true, before = passengers[-n_test:], passengers[-n_test - 1 : -1]
    seasonal_naive = passengers[-n_test - 12 : -12]

    growth = np.diff(np.log(passengers))
    lstm = [
        forecast(growth, n_test, 12, LSTMRegressor(max_iter=100, random_state=seed))
        for seed in range(3)
    ]
    ridge_model = RidgeCV(np.logspace(-6, 1, 15))
    ridge = forecast(growth, n_test, 12, ridge_model, flatten=True, padding="zero")

    lstm_error = mean_error(true, [before * np.exp(one) for one in lstm])
    assert lstm_error <= 1.25 * root_mean_squared_error(true, before * np.exp(ridge))
    assert lstm_error < 0.75 * root_mean_squared_error(true, seasonal_naive)


def test_italy_power_demand_is_better_than_logistic_regression():
    X, y, X_test, y_test = load_italy_power_demand()
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:, :, 0], y)
    scores = [
        LSTMClassifier(16, batch_size=32, max_iter=120, random_state=seed, **PLAIN)
        .fit(X, y)
        .score(X_test, y_test)
        for seed in range(5)
    ]
    assert np.mean(scores) >= 0.963
    assert np.mean(scores) >= logistic.score(X_test[:, :, 0], y_test)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantiles_of_power_demand_hold_on_test_days(quantile):
    X, _, X_test, _ = load_italy_power_demand()
    days = np.concatenate([X, X_test])
    # The last hour from the hours up to six before it.
    train, test = train_test_split(days, test_size=400, random_state=0)
    params = {"loss": "quantile", "quantile": quantile, "learning_rate": "cosine", "max_iter": 30}
    fractions = [
        np.mean(
            test[:, -1, 0]
            < LSTMRegressor(8, random_state=seed, **params, **PLAIN)
            .fit(train[:, :-6], train[:, -1, 0])
            .predict(test[:, :-6])
        )
        for seed in range(3)
    ]
    # The fraction of 400 draws has a standard deviation of 0.015 to 0.025.
    assert np.mean(fractions) == pytest.approx(quantile, abs=0.03)


def test_spoken_digits_are_better_than_logistic_regression_on_summaries():
    X, y = load_spoken_digits()
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    scaler = StandardScaler().fit(np.concatenate(X))
    X, X_test = (
        [scaler.transform(sequence).astype(np.float32) for sequence in part] for part in (X, X_test)
    )

    def summarise(sequences):
        return np.array([np.r_[s.mean(axis=0), s.std(axis=0), s[0], s[-1]] for s in sequences])

    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    logistic_score = logistic.fit(summarise(X), y).score(summarise(X_test), y_test)
    # Two seeds: after few epochs, a single score depends on the rounding of the machine.
    scores = [
        LSTMClassifier(64, max_iter=20, random_state=seed).fit(X, y).score(X_test, y_test)
        for seed in range(2)
    ]
    assert np.mean(scores) >= max(0.958, logistic_score)
