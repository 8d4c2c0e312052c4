"""Measure sklstm beside its peers, each in a process of its own, in one sitting.

``python benchmarks/run.py`` writes results.json and results.md beside itself; ``--quick`` takes
under three minutes and only prints. Libraries that are not installed are left out.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results"

# n_features, n_units, n_timesteps, batch_size, batches an epoch. Chosen before anything was
# measured: from a window of five steps to 256 units over 100 steps.
SHAPES = [
    (1, 32, 25, 32, 40),
    (1, 32, 25, 200, 10),
    (8, 64, 50, 32, 12),
    (8, 64, 50, 128, 6),
    (1, 50, 30, 64, 20),
    (16, 128, 100, 64, 3),
    (16, 128, 50, 256, 3),
    (32, 256, 100, 128, 2),
    (3, 32, 5, 32, 100),
    (1, 16, 200, 32, 10),
]
PACKAGES = ["numpy", "scikit-learn", "torch", "skorch", "keras", "jax"]


def measure(library, task, **parameters):
    """Run one measurement in a child process."""
    environment = os.environ.copy()
    # Some machines pin OpenBLAS to an old kernel; it is unpinned here, for every library alike.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    command = [sys.executable, str(HERE / "worker.py"), library, task, json.dumps(parameters)]
    started = time.perf_counter()
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1]), time.perf_counter() - started


def compare(libraries, task, n_repeats, **parameters):
    """Median of each library, measured in turn so that all see the same weather."""
    values = {library: [] for library in libraries}
    for _ in range(n_repeats):
        for library in libraries:
            values[library].append(measure(library, task, **parameters)[0])
    return {library: float(np.median(measured)) for library, measured in values.items()}


def installed(libraries):
    return [library for library in libraries if find_spec(library) is not None]


def benchmark_training(n_repeats, shapes):
    rows = []
    for n_features, n_units, n_timesteps, batch_size, n_batches in shapes:
        shape = {"n_features": n_features, "n_units": n_units, "n_timesteps": n_timesteps}
        row = shape | {"batch_size": batch_size}
        row |= compare(
            installed(["sklstm", "torch"]),
            "train",
            n_repeats,
            **shape,
            batch_size=batch_size,
            n_batches=n_batches,
        )
        row["floor"] = measure("numpy", "floor", **shape, batch_size=batch_size)[0]
        rows.append(row)
        print(row, flush=True)
    return rows


def benchmark_prediction(n_repeats, shapes, sizes):
    rows = []
    for n_features, n_units, n_timesteps, _, _ in shapes:
        for n_samples in sizes:
            row = {
                "n_features": n_features,
                "n_units": n_units,
                "n_timesteps": n_timesteps,
                "n_samples": n_samples,
            }
            row |= compare(installed(["sklstm", "torch"]), "predict", n_repeats, **row)
            rows.append(row)
            print(row, flush=True)
    return rows


def benchmark_dtypes(n_repeats, shapes):
    rows = []
    for n_features, n_units, n_timesteps, batch_size, n_batches in shapes:
        shape = {
            "n_features": n_features,
            "n_units": n_units,
            "n_timesteps": n_timesteps,
            "batch_size": batch_size,
        }
        row = dict(shape)
        for dtype in ("float32", "float64"):
            measured = compare(
                ["sklstm"], "train", n_repeats, **shape, n_batches=n_batches, dtype=dtype
            )
            row[dtype] = measured["sklstm"]
        rows.append(row)
        print(row, flush=True)
    return rows


def benchmark_end_to_end(n_repeats):
    rows = []
    libraries = installed(["sklstm", "torch", "skorch", "keras"])
    values = {library: [] for library in libraries}
    for _ in range(n_repeats):
        for library in libraries:
            values[library].append(measure(library, "end_to_end"))
    for library, measured in values.items():
        memory, seconds = np.median(measured, axis=0).tolist()
        rows.append({"library": library, "seconds": seconds, "peak_mib": memory})
        print(rows[-1], flush=True)
    return rows


def geometric_mean(rows):
    """Geometric mean of PyTorch's time over ours."""
    return float(np.exp(np.mean([np.log(row["torch"] / row["sklstm"]) for row in rows])))


def machine():
    def version_of(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    facts = {"python": platform.python_version(), "cores": os.cpu_count()}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        facts["processor"] = models[0].partition(":")[2].strip() if models else None
    return facts | {package: version_of(package) for package in PACKAGES}


def table(rows, keys):
    """Rows as a Markdown table, with the ratio where PyTorch is beside."""
    ratio = ["torch / sklstm"] if all("torch" in row for row in rows) else []
    lines = ["| " + " | ".join([*keys, *ratio]) + " |", "|" + " --- |" * (len(keys) + len(ratio))]
    for row in rows:
        cells = [
            f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in keys
        ]
        if ratio:
            cells.append(f"{row['torch'] / row['sklstm']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer shapes and repeats")
    quick = parser.parse_args().quick
    n_repeats = 1 if quick else 3
    shapes = [SHAPES[0], SHAPES[4], SHAPES[8]] if quick else SHAPES
    results = {
        "machine": machine(),
        "training": benchmark_training(n_repeats, shapes),
        "prediction": benchmark_prediction(
            n_repeats, shapes, (1, 1000) if quick else (1, 1000, 100_000)
        ),
        "dtypes": benchmark_dtypes(
            n_repeats, shapes[:1] if quick else [SHAPES[k] for k in (0, 4, 6)]
        ),
        "end_to_end": benchmark_end_to_end(n_repeats),
    }
    has_peer = "torch" in results["training"][0]
    shape_keys = ["n_features", "n_units", "n_timesteps"]
    peers = ["sklstm", *(["torch"] if has_peer else [])]
    parts = [
        "Milliseconds for an update\n",
        table(results["training"], [*shape_keys, "batch_size", *peers, "floor"]),
        "\nMilliseconds to predict\n",
        table(results["prediction"], [*shape_keys, "n_samples", *peers]),
        "\nMilliseconds for an update, by dtype\n",
        table(results["dtypes"], [*shape_keys, "batch_size", "float32", "float64"]),
        "\nA fresh process: import, fit 1000 sequences of 24 steps for 20 epochs, predict\n",
        table(results["end_to_end"], ["library", "seconds", "peak_mib"]),
    ]
    if has_peer:
        results["training_ratio"] = geometric_mean(results["training"])
        results["prediction_ratio"] = geometric_mean(results["prediction"])
        parts += [
            f"\nGeometric mean of torch / sklstm: {results['training_ratio']:.2f} in training, "
            f"{results['prediction_ratio']:.2f} in prediction."
        ]
    text = "\n".join(parts)
    print(text)
    if not quick:
        RESULTS.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
        RESULTS.with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main()
