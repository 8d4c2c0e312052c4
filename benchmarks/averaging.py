"""What the average over five seeds gains, measured on the training parts of four series.

Each number is the RMSE of an average of five LSTMs, divided by the mean RMSE of the single ones:
LSTMs with default settings, and plain ones, which have no ridge beside them. As in defaults.py, no
test row is used. ``.venv-bench/bin/python benchmarks/averaging.py`` takes some minutes.
"""

import time
import warnings

import numpy as np
from accuracy_models import PLAIN
from accuracy_sets import FORECASTS
from defaults import squared_errors
from sklearn.ensemble import VotingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

SETS = ["airline", "sunspots", "elnino", "noisy sines"]
N_GROUPS, N_SEEDS = 3, 5


def rmse(task, regressor):
    """Return the RMSE of rolling forecasts within the training part, and the seconds it takes."""

    def make():
        return make_pipeline(StandardScaler(), SlidingWindow(task.window_size, lag=1), regressor)

    start = time.perf_counter()
    return np.sqrt(squared_errors(task, make).mean()), time.perf_counter() - start


def ratios(task, params):
    """Return error and time of averages, divided by those of single seeds."""
    alone, averaged = [], []
    for first in range(0, N_GROUPS * N_SEEDS, N_SEEDS):
        seeds = [
            (str(seed), LSTMRegressor(random_state=seed, **task.params | params))
            for seed in range(first, first + N_SEEDS)
        ]
        alone += [rmse(task, regressor) for _, regressor in seeds]
        averaged.append(rmse(task, VotingRegressor(seeds)))
    return np.mean(averaged, axis=0) / np.mean(alone, axis=0)


def main():
    warnings.simplefilter("ignore")
    for name in SETS:
        for kind, params in {"defaults": {}, "plain": PLAIN}.items():
            error, seconds = ratios(FORECASTS[name], params)
            print(f"{name:12} {kind:9} RMSE {error:.3f}, time {seconds:.1f}", flush=True)


if __name__ == "__main__":
    main()
