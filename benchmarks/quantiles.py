"""How many new targets lie below each quantile: the table of the user guide.

The last fifth of each series is predicted, then as many rows drawn at random, on which the rows to
train on have no drift. Run ``make bench-accuracy`` once, which installs the data; then
``.venv-bench/bin/python benchmarks/quantiles.py``. It takes a few minutes.
"""

import warnings

import numpy as np
from accuracy_sets import FORECASTS
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

QUANTILES = [0.1, 0.5, 0.9]
N_SEEDS = 5


def fractions_below(task, *, is_random):
    """Return the number of test rows, and the fraction of them below each quantile."""
    columns = task.forward(task.load()).astype(np.float64)
    y, n_test = columns[:, 0], len(columns) // 5
    fractions = []
    for seed in range(N_SEEDS):
        # The first windows are not complete.
        rows = np.arange(task.window_size + 1, len(y))
        if is_random:
            rows = np.random.default_rng(seed).permutation(rows)
        train, test = np.sort(rows[:-n_test]), np.sort(rows[-n_test:])
        scaler = StandardScaler().fit(columns[train])
        windows = SlidingWindow(task.window_size, lag=1).fit_transform(scaler.transform(columns))
        model = LSTMRegressor(
            loss="quantile",
            quantile=QUANTILES,
            validation_split="random" if is_random else "last",
            random_state=seed,
            **task.params,
        )
        predicted = model.fit(windows[train], y[train]).predict(windows[test])
        fractions.append((y[test, np.newaxis] < predicted).mean(axis=0))
    return n_test, np.mean(fractions, axis=0)


def main():
    warnings.filterwarnings("ignore", message=".*(converged|overlap)")
    print(f"{'':12} rows  last fifth           random rows")
    for name in ("airline", "sunspots", "elnino", "taylor"):
        n_test, last = fractions_below(FORECASTS[name], is_random=False)
        _, drawn = fractions_below(FORECASTS[name], is_random=True)
        numbers = ["  ".join(f"{fraction:.2f}" for fraction in part) for part in (last, drawn)]
        print(f"{name:12} {n_test:4}  {numbers[0]:20} {numbers[1]}", flush=True)


if __name__ == "__main__":
    main()
