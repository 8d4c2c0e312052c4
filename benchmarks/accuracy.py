"""Measure the accuracy of sklstm, compared with simple methods and PyTorch.

``python benchmarks/accuracy.py`` measures all sets of accuracy_sets.py, or the sets named as
arguments. It updates accuracy.json after each set, and finally writes the tables and plots of the
documentation. ``--report`` writes these again without measuring. ``--quick`` measures with two
seeds and only prints. All settings were fixed before the measurements, and no model is chosen by
its score on test rows.
"""

import argparse
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from accuracy_forecasts import benchmark_ahead, benchmark_forecast, benchmark_panel
from accuracy_models import PLAIN
from accuracy_report import print_tables, write_report
from accuracy_sequences import benchmark_sequences
from accuracy_sets import AHEAD, FORECASTS, PANELS, SEQUENCES
from sklearn.exceptions import ConvergenceWarning

RESULTS = Path(__file__).with_name("accuracy.json")
DOCS = Path(__file__).parents[1] / "docs" / "accuracy"

KINDS = {
    benchmark_forecast: FORECASTS,
    benchmark_ahead: AHEAD,
    benchmark_panel: PANELS,
    benchmark_sequences: SEQUENCES,
}
TASKS = {name: (kind, task) for kind, tasks in KINDS.items() for name, task in tasks.items()}


def timed(evaluate, n_seeds):
    start = time.perf_counter()
    scores = [float(evaluate(seed)) for seed in range(n_seeds)]
    return scores, (time.perf_counter() - start) / n_seeds


def measure(models, evaluate, only, n_seeds):
    """Return scores, one per seed, and mean seconds of each model that is wanted."""
    scores, seconds = {}, {}
    for name, (model, most_seeds) in models.items():
        if name in (only or models):
            scores[name], seconds[name] = timed(partial(evaluate, model), min(n_seeds, most_seeds))
    return scores, seconds


def same_draws(lstm, X, y, n_epochs=3):
    """Return the largest relative difference of the losses from the same initial weights.

    Both libraries compute in float64 and use the same order of samples, so chance plays no part.
    """
    X = [x.astype(float) for x in X[:200]] if isinstance(X, list) else np.array(X[:200], float)
    from torch_lstm import TorchLSTM

    model = lstm(random_state=0, max_iter=n_epochs, **PLAIN)
    ours = model.fit(X, y[:200]).loss_curve_
    theirs = TorchLSTM(model, same_draws=True).fit(X, y[:200]).loss_curve_
    return float(np.max(np.abs(np.divide(theirs, ours) - 1)))


def benchmark(name, only, most_seeds):
    """Measure a set, and return its entry in accuracy.json."""
    kind, task = TASKS[name]
    n_seeds = min(task.n_seeds, most_seeds)
    result, first = kind(task, partial(measure, only=only, n_seeds=n_seeds))
    if first is not None and "torch" in result["scores"]:
        result["same_draws"] = same_draws(*first)
    return result


def updated(before, after):
    """Return the entry of a set in which only some models were measured again."""
    kept = {"same_draws": before["same_draws"]} if "same_draws" in before else {}
    return kept | after | {key: before[key] | after[key] for key in ("scores", "seconds")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="sets; all if none is named")
    parser.add_argument("--report", action="store_true", help="only write the report")
    parser.add_argument("--quick", action="store_true", help="two seeds; nothing is written")
    parser.add_argument("--models", nargs="+", help="measure only these models again")
    parser.add_argument("--seeds", type=int, default=10, help="most seeds of a model")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and not arguments.quick else {}
    if not arguments.report:
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name in arguments.names or TASKS:
            start = time.perf_counter()
            most_seeds = 2 if arguments.quick else arguments.seeds
            result = benchmark(name, arguments.models, most_seeds)
            if arguments.models and name in results:
                result = updated(results[name], result)
            results[name] = result
            if not arguments.quick:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            means = {model: f"{np.mean(s):.4g}" for model, s in result["scores"].items()}
            print(f"{name} ({time.perf_counter() - start:.0f} s): {means}", flush=True)
    results = {name: results[name] for name in TASKS if name in results}
    if not arguments.quick:
        write_report(results, DOCS)
    print_tables(results)


if __name__ == "__main__":
    main()
