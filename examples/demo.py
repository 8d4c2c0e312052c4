"""What the defaults can do: forecast three series, and see an order that a row of lags hides.

Run it with ``make demo``, or with ``python examples/demo.py`` where sklstm and matplotlib are
installed. It takes about half a minute and writes a picture to the folder demo-output. No
parameter of the LSTMs is searched or set, except the random state.
"""

import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_airline, load_sunspots

SEED = 0
OUTPUT = Path("demo-output")
NAIVE, SEASONAL, RIDGE, BOOSTING, LSTM = MODELS = (
    "naive",
    "seasonal naive",
    "ridge on lags",
    "boosting on lags",
    "LSTM, defaults",
)
LOGISTIC = "logistic on lags"
CONCLUSION = """\
The LSTM earns its place where the order of events counts, wherever in a sequence they are, and a
little where a cycle is not linear, as that of the sun. It does not where a linear model of lags
says all there is, as on the linear series, and hardly on the airline series: the ridge is about as
good there, and fits in milliseconds."""
COLORS = {RIDGE: "tab:blue", LOGISTIC: "tab:blue", BOOSTING: "tab:green", LSTM: "tab:red"}


def main():
    started = time.perf_counter()
    print(
        "One step ahead: each value is forecast from those before it; the last rows are the test."
    )
    airline, sunspots = load_airline().target, load_sunspots()
    forecasts = {
        # Trend and season multiply, so the models see the growth of each month over the last one.
        "airline": forecast("airline", airline, 12, n_test=36, season=12, as_growth=True),
        "sunspots": forecast("sunspots", sunspots.target, 24, n_test=60, season=11),
        "linear": forecast("linear", linear_series(), 24, n_test=120, season=12),
    }
    print_table(forecasts)

    print("Which of two pulses comes first? Sequences of 10 to 30 steps, 1000 of them to test:")
    accuracies = classify()

    print(f"\n{CONCLUSION}")

    OUTPUT.mkdir(exist_ok=True)
    picture = OUTPUT / "demo.png"
    draw(sunspots.years, forecasts["sunspots"], accuracies).savefig(picture, dpi=150)
    print(f"\nPicture: {picture.resolve()}\nDone in {time.perf_counter() - started:.0f} s.")


# Forecasts of series.


def linear_series(n_rows=600):
    """Return a series of which a linear model of lags is the truth."""
    noise = np.random.default_rng(SEED).normal(scale=10, size=n_rows + 200)
    y = np.zeros(len(noise))
    for t in range(12, len(y)):
        y[t] = 0.5 * y[t - 1] + 0.4 * y[t - 12] + noise[t]
    return y[200:]


def forecast(name, level, window_size, *, n_test, season, as_growth=False):
    """Return the last rows of a series, and the forecasts of each model for them."""
    observed, previous = level[-n_test:], level[-n_test - 1 : -1]
    y = np.diff(np.log(level)) if as_growth else level
    X, n_train = y.reshape(-1, 1), len(y) - n_test

    # The window of a row holds the rows before it. For the simple models, it is a row of a table,
    # and before the first row of the series come repetitions of it, or the mean growth (scaled, 0).
    flat = {"flatten": True, "padding": "zero" if as_growth else "edge"}
    models = {
        RIDGE: [SlidingWindow(window_size, lag=1, **flat), RidgeCV(np.logspace(-3, 3, 13))],
        BOOSTING: [
            SlidingWindow(window_size, lag=1, **flat),
            HistGradientBoostingRegressor(random_state=SEED),
        ],
        LSTM: [SlidingWindow(window_size, lag=1), LSTMRegressor(random_state=SEED)],
    }
    predicted = {}
    for model, steps in models.items():
        start = time.perf_counter()
        pipeline = make_pipeline(StandardScaler(), *steps).fit(X[:n_train], y[:n_train])
        seconds = time.perf_counter() - start
        predicted[model] = pipeline.predict(X)[n_train:]
    print(f"  {name}: {n_train} rows to learn from; the LSTM took {seconds:.1f} s.", flush=True)

    if as_growth:
        predicted = {model: previous * np.exp(growth) for model, growth in predicted.items()}
    predicted |= {NAIVE: previous, SEASONAL: level[-n_test - season : -season]}
    return observed, predicted


def print_table(forecasts):
    """Print the errors of each model, and those of the LSTM relative to the ridge."""
    errors = {
        name: {model: root_mean_squared_error(observed, predicted[model]) for model in MODELS}
        for name, (observed, predicted) in forecasts.items()
    }
    print(f"\n{'RMSE':<18}" + "".join(f"{name:>10}" for name in errors))
    for model in MODELS:
        print(f"{model:<18}" + "".join(f"{errors[name][model]:>10.1f}" for name in errors))
    print(
        f"{'LSTM / ridge':<18}" + "".join(f"{e[LSTM] / e[RIDGE]:>10.2f}" for e in errors.values())
    )
    print()


# Sequences in which lags are not enough.


def draw_sequences(n_samples):
    """Draw sequences of noise with an upward and a downward pulse, and whether up comes first."""
    rng = np.random.default_rng(SEED)
    X, y = [], rng.integers(2, size=n_samples)
    for up_first in y:
        x = rng.normal(scale=0.2, size=(rng.integers(10, 31), 1))
        first, second = np.sort(rng.choice(len(x), size=2, replace=False))
        x[first] += 2 if up_first else -2
        x[second] -= 2 if up_first else -2
        X.append(x)
    return X, y


def classify():
    """Return the accuracy of three classifiers, by the number of sequences to learn from.

    The simple ones read a sequence as a row, padded with zeros at the end.
    """
    sizes = [50, 100, 200, 400]
    X, y = draw_sequences(max(sizes) + 1000)
    flat = np.array([np.pad(x[:, 0], (0, 30 - len(x))) for x in X])
    test = slice(max(sizes), None)
    print(f"\n{'accuracy':<18}" + "".join(f"{size:>7}" for size in sizes))
    accuracies = {}
    for model, classifier, features in [
        (LOGISTIC, make_pipeline(StandardScaler(), LogisticRegression()), flat),
        (BOOSTING, HistGradientBoostingClassifier(random_state=SEED), flat),
        (LSTM, LSTMClassifier(random_state=SEED), X),
    ]:
        print(f"{model:<18}", end="", flush=True)
        accuracies[model] = {}
        for size in sizes:
            classifier.fit(features[:size], y[:size])
            accuracies[model][size] = classifier.score(features[test], y[test])
            print(f"{accuracies[model][size]:>7.2f}", end="", flush=True)
        print()
    return accuracies


def draw(years, sunspots, accuracies):
    """Draw the forecasts of the sunspots, and the accuracy of the classifiers."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    observed, predicted = sunspots
    shown = years[-len(observed) :]
    left.plot(shown, observed, color="0.35", lw=2.5, label="observed")
    for model in (RIDGE, LSTM):
        label = f"{model} (RMSE {root_mean_squared_error(observed, predicted[model]):.1f})"
        left.plot(shown, predicted[model], color=COLORS[model], lw=1.4, label=label)
    left.set(title="Sunspots, forecast one year ahead", ylabel="yearly mean")
    left.legend(loc="upper right", frameon=False)

    for model, by_size in accuracies.items():
        right.plot(*zip(*by_size.items(), strict=True), "o-", color=COLORS[model], label=model)
    right.set(title="Which pulse comes first?", ylabel="accuracy on new sequences", xscale="log")
    right.set(xlabel="sequences to learn from", ylim=(0.45, 1.02))
    right.set_xticks(list(by_size), list(by_size), minor=False)
    right.minorticks_off()
    right.legend(loc="lower right", frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
