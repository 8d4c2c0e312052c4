"""Training on the series under the windows, compared with training on windows.

Run ``OPENBLAS_NUM_THREADS=1 .venv-bench/bin/python benchmarks/series.py``, after ``make
bench-accuracy`` has installed the data. It takes about half an hour, prints all numbers and writes
the tables and the plot of the user guide. Seconds are CPU time; the ways of training are measured
in turn. Errors are those of the test rows of the accuracy benchmark; nothing is chosen by them.
"""

import csv
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from accuracy_models import PLAIN
from accuracy_sets import FORECASTS
from sklearn.model_selection import TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow

DOCS = Path(__file__).parents[1] / "docs" / "accuracy"
WAYS = "windows", "series"
N_SEEDS, N_CURVES = 5, 3
N_REPEATS = 3  # of a timing, of which the best counts
WINDOW_SIZES = 24, 48, 96, 168, 336
N_ROWS = 50_000
N_POINTS = 100  # of a curve in the plot
# Series with the longest windows, and most seconds of training for their curves.
CURVES = {"co2": 20, "taylor": 30, "noisy sines": 10}


def geometric_mean(values):
    return float(np.exp(np.mean(np.log(values))))


def seconds_of(action):
    start = time.process_time()
    action()
    return time.process_time() - start


def write(name, header, rows):
    with (DOCS / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def blocks_of(task):
    """Give the training windows, the windows of the test rows and how to score their forecasts."""
    levels = task.load()
    X = task.forward(levels).astype(np.float32)
    level, y = levels[:, 0], X[:, 0].astype(float)
    for train, test in TimeSeriesSplit(task.n_origins, test_size=task.test_size).split(X):
        scaled = StandardScaler().fit(X[train]).transform(X)
        windows = SlidingWindow(task.window_size, lag=1).fit_transform(scaled)

        def errors(forecast, test=test):
            return task.backward(forecast, level[test - 1]) - level[test]

        yield windows[train], y[train], windows[test], errors


# With the defaults.


def fit_all(task, train_on, seed):
    """Return RMSE and seconds of the fits of a set."""
    # An epoch along the series is cheap, so that it needs no limit below the default.
    params = task.params if train_on == "windows" else {}
    all_errors, seconds = [], 0.0
    for X, y, X_test, errors in blocks_of(task):
        model = LSTMRegressor(train_on=train_on, random_state=seed, **params)
        seconds += seconds_of(lambda model=model, X=X, y=y: model.fit(X, y))
        all_errors.append(errors(model.predict(X_test)))
    return np.sqrt(np.mean(np.concatenate(all_errors) ** 2)), seconds


def compare_defaults():
    rows, error_ratios, time_ratios = [], [], []
    for name, task in FORECASTS.items():
        runs = np.array(
            [[fit_all(task, way, seed) for way in WAYS] for seed in range(N_SEEDS)]
        )  # (n_seeds, 2, [RMSE, seconds])
        (rmse, seconds), (rmse_series, seconds_series) = runs.mean(axis=0)
        error_ratios.append(rmse_series / rmse)
        time_ratios.append(seconds / seconds_series)
        digits = max(0, 2 - int(np.floor(np.log10(rmse))))
        rows.append(
            [
                name,
                len(task.load()),
                task.window_size,
                *(f"{value:,.{digits}f}" for value in (rmse, rmse_series)),
                f"{error_ratios[-1]:.3f}",
                *(f"{value:.1f}" for value in (seconds, seconds_series)),
                f"{time_ratios[-1]:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    means = f"{geometric_mean(error_ratios):.3f}", f"{geometric_mean(time_ratios):.1f}"
    rows.append(["geometric mean", "", "", "", "", means[0], "", "", means[1]])
    print(rows[-1])
    header = "series", "rows", "window", "RMSE, windows", "RMSE, series", "ratio"
    write("series.csv", [*header, "seconds, windows", "seconds, series", "times faster"], rows)


# An epoch.


def fit_seconds(X, y, train_on, n_epochs):
    model = LSTMRegressor(
        train_on=train_on, max_iter=n_epochs, n_iter_no_change=np.inf, random_state=0
    )
    return seconds_of(lambda: model.fit(X, y))


def epoch_seconds(X, y):
    """Return the seconds of an epoch, for both ways: of several ones less those of one."""
    n_epochs = dict(zip(WAYS, (1, 5), strict=True))
    runs = {(way, n): [] for way in WAYS for n in (1, 1 + n_epochs[way])}
    for _ in range(N_REPEATS):
        for (way, n), seconds in runs.items():
            seconds.append(fit_seconds(X, y, way, n))
    return [(min(runs[way, 1 + n]) - min(runs[way, 1])) / n for way, n in n_epochs.items()]


def compare_epochs():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(N_ROWS, 1)).astype(np.float32)
    y = np.convolve(series[:, 0], np.ones(5), "same")
    rows = []
    for window_size in WINDOW_SIZES:
        X = SlidingWindow(window_size, lag=1).fit_transform(series)
        on_windows, on_series = epoch_seconds(X, y)
        ratio = on_windows / on_series
        rows.append([window_size, f"{on_windows:.2f}", f"{on_series:.3f}", f"{ratio:.0f}"])
        print(rows[-1], f"{ratio / window_size * 6:.2f} of a sixth of the window", flush=True)
    header = "window", "seconds on windows", "seconds on the series", "times cheaper"
    write("series_epochs.csv", header, rows)


# Error against seconds, of the plain network.


def curve(train_epoch, predict, errors, limit):
    """Return seconds and RMSE after each epoch."""
    points, seconds = [], 0.0
    while seconds < limit:
        seconds += seconds_of(train_epoch)
        points.append((seconds, np.sqrt(np.mean(errors(predict()) ** 2))))
    return np.array(points)


def curve_of_sklstm(train_on, X, y, X_test, errors, limit, seed):
    params = PLAIN | {"batch_size": "auto"}
    model = LSTMRegressor(train_on=train_on, random_state=seed, **params)
    return curve(lambda: model.partial_fit(X, y), lambda: model.predict(X_test), errors, limit)


def curve_of_torch(X, y, X_test, errors, limit, seed):
    """Train as most users of PyTorch do: shuffled batches of 32 windows, Adam, clipping."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    lstm, head = torch.nn.LSTM(X.shape[2], 32, batch_first=True), torch.nn.Linear(32, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    # Windows that begin before the series are left out, as there is no mask for missing steps.
    complete = torch.from_numpy(~np.isnan(np.asarray(X)).any(axis=(1, 2)))
    windows = torch.from_numpy(np.array(X))[complete]
    mean, scale = y.mean(), y.std()
    target = torch.from_numpy(((y - mean) / scale).astype(np.float32))[complete]

    def outputs(windows):
        return head(lstm(windows)[0][:, -1])[:, 0]

    def train_epoch():
        for rows in torch.randperm(len(windows)).split(32):
            loss = ((outputs(windows[rows]) - target[rows]) ** 2).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

    def predict():
        with torch.inference_mode():
            return outputs(torch.from_numpy(np.array(X_test))).numpy() * scale + mean

    return curve(train_epoch, predict, errors, limit)


CURVE_OF = {
    "PyTorch, windows": curve_of_torch,
    "windows": partial(curve_of_sklstm, "windows"),
    "series": partial(curve_of_sklstm, "series"),
}
COLORS = {"PyTorch, windows": "tab:orange", "windows": "tab:green", "series": "tab:blue"}


def seconds_to(curves, level):
    """Return the mean over seeds of the seconds after which an error is reached."""
    return np.mean([next((s for s, rmse in points if rmse <= level), np.inf) for points in curves])


def compare_curves():
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(CURVES), figsize=(10, 3.4), layout="constrained")
    rows = []
    for ax, (name, limit) in zip(axes, CURVES.items(), strict=True):
        data = next(iter(blocks_of(FORECASTS[name])))
        curves = {way: [] for way in CURVE_OF}
        for seed in range(N_CURVES):
            for way, curve_of in CURVE_OF.items():
                points = curve_of(*data, limit, seed)
                curves[way].append(points)
                # As many points as can be told apart on a logarithmic axis.
                shown = np.unique(np.geomspace(1, len(points), N_POINTS).astype(int)) - 1
                ax.plot(*points[shown].T, color=COLORS[way], linewidth=0.8)
        least = [points[:, 1].min() for points in curves["PyTorch, windows"]]
        # The least error of a curve that goes up and down is reached by chance.
        level = 1.05 * np.mean(least)
        seconds = [seconds_to(curves[way], level) for way in CURVE_OF]
        ratio = seconds[0] / seconds[-1]
        rows.append([name, f"{level:.3g}", *(f"{s:.1f}" for s in seconds), f"{ratio:.0f}"])
        print(rows[-1], {way: np.mean([c[:, 1].min() for c in curves[way]]) for way in curves})
        ax.set(title=name, xscale="log", xlabel="seconds", ylabel="RMSE")
        ax.set_ylim(0.9 * min(least), 2 * min(least))
    lines = [plt.Line2D([], [], color=color, label=way) for way, color in COLORS.items()]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, frameon=False)
    with mpl.rc_context({"svg.hashsalt": "sklstm"}):
        figure.savefig(DOCS / "series.svg", metadata={"Date": None})
    header = "series", "RMSE", "PyTorch, windows", "windows", "series"
    write(
        "series_curves.csv",
        [*header[:2], *(f"seconds, {way}" for way in header[2:]), "times faster than PyTorch"],
        rows,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parts = {"epochs": compare_epochs, "curves": compare_curves, "defaults": compare_defaults}
    for part in sys.argv[1:] or parts:
        parts[part]()
