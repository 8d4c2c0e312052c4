"""Measure the speed and memory of sklstm and of other libraries, each in a separate process.

``python benchmarks/run.py`` writes results.json, and from it the tables and plots of the
documentation. ``--report`` writes these again without measuring. ``--quick`` takes less than three
minutes and only prints. Libraries that are not installed are skipped.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"

# n_features, n_units, n_timesteps, batch_size, batches per epoch. Chosen before the measurements:
# from a window of five steps to 256 units over 100 steps.
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
SHAPE = ["n_features", "n_units", "n_timesteps", "batch_size", "n_batches"]
# Above this many units, more than 1,000 samples take minutes.
MAX_UNITS_FOR_MANY = 64
SAMPLES = (1, 10, 100, 1000, 10_000, 100_000)
# n_sequences, n_timesteps, n_features, n_units, batch_size of sequences of different lengths, and
# of windows of a series.
RAGGED = [(1024, 50, 13, 32, 32), (1024, 50, 8, 64, 32)]
WINDOWS = [(108, 24, 3, 32, 8), (249, 24, 3, 32, 16), (1000, 48, 3, 32, 32), (3000, 48, 3, 32, 32)]
# Rows of a series, and windows over it.
SERIES = {"n_rows": 3000, "n_features": 3, "n_units": 32}
WINDOW_SIZES = 24, 48, 168, 336
OPTIONS = "sklstm linear", "sklstm pooling", "sklstm steps"
BATCHES = ["n_sequences", "n_timesteps", "n_features", "n_units", "batch_size"]
PACKAGES = ["numpy", "scikit-learn", "torch", "onnxruntime", "skorch", "keras", "jax"]


def unpinned():
    """Return the environment of a child process.

    Some machines pin OpenBLAS to an old kernel. These variables are removed for all libraries.
    """
    pins = "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"
    return {name: value for name, value in os.environ.items() if name not in pins}


def measure(library, task, **parameters):
    """Run one measurement in a child process."""
    environment = unpinned()
    if task == "floor":
        environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [sys.executable, str(HERE / "worker.py"), library, task, json.dumps(parameters)]
    started = time.perf_counter()
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout.splitlines()[-1]), time.perf_counter() - started


def compare(libraries, task, n_processes, *, summary=np.median, **parameters):
    """Return the median, or another summary, of each library.

    They are measured in turn, so that all see the same machine load.
    """
    values = {library: [] for library in libraries}
    for _ in range(n_processes):
        for library in libraries:
            values[library].append(measure(library, task, **parameters)[0])
    return {library: float(summary(measured)) for library, measured in values.items()}


def installed(libraries):
    return [library for library in libraries if find_spec(library) is not None]


def note(row):
    print(row, flush=True)
    return row


def benchmark_training(n_repeats, shapes):
    rows = []
    for shape in shapes:
        row = dict(zip(SHAPE, shape, strict=True))
        measured = compare(installed(["sklstm", "torch"]), "train", n_repeats, **row)
        n_batches = row.pop("n_batches")
        floor = measure("numpy", "floor", **row)[0]
        float64 = compare(
            ["sklstm"], "train", n_repeats, **row, n_batches=n_batches, dtype="float64"
        )
        # One unit and one sequence take the same calls of NumPy, which compute next to nothing.
        calls = measure("sklstm", "train", **row | {"n_units": 1, "batch_size": 1}, n_batches=40)[0]
        row |= measured | {"floor": floor, "calls": calls, "float64": float64["sklstm"]}
        rows.append(note(row))
    return rows


def benchmark_options(n_repeats, shapes):
    """Measure what options cost in training, beside the network that reads the last step."""
    rows = []
    for shape in shapes:
        row = dict(zip(SHAPE, shape, strict=True))
        libraries = ["sklstm", *OPTIONS, *["torch steps"] * len(installed(["torch"]))]
        measured = compare(libraries, "train", n_repeats, summary=np.min, **row)
        rows.append(note(row | measured))
    return rows


def benchmark_prediction(n_repeats, shapes, sizes):
    rows = []
    libraries = installed(["sklstm", "torch", "onnxruntime"])
    for shape in dict.fromkeys(shape[:3] for shape in shapes):
        row = dict(zip(SHAPE, shape, strict=False))
        few = [n for n in sizes if n <= 1000 or row["n_units"] <= MAX_UNITS_FOR_MANY]
        measured = compare_all(libraries, "predict", n_repeats, **row, sizes=few)
        for k, n_samples in enumerate(few):
            of_libraries = {library: times[k] for library, times in measured.items()}
            rows.append(note(row | {"n_samples": n_samples} | of_libraries))
    return rows


def compare_all(libraries, task, n_processes, **parameters):
    """Return the least of each number of each library, measured in turn: others only add to it."""
    values = {library: [] for library in libraries}
    for _ in range(n_processes):
        for library in libraries:
            values[library].append(measure(library, task, **parameters)[0])
    return {library: np.min(measured, axis=0).tolist() for library, measured in values.items()}


def benchmark_series(n_repeats):
    """Measure epochs that go along the series, beside such over windows by themselves."""
    rows = []
    for window_size in WINDOW_SIZES:
        row = SERIES | {"window_size": window_size}
        libraries = ["sklstm", "sklstm series"]
        rows.append(note(row | compare(libraries, "series", n_repeats, summary=np.min, **row)))
    return rows


def benchmark_batches(n_repeats, ragged, windows):
    """Measure batches of different lengths beside such of one, and packed ones in PyTorch."""
    rows = []
    for kinds, shapes in ((("equal", "ragged"), ragged), (("full", "padded"), windows)):
        for shape in shapes:
            row = dict(zip(BATCHES, shape, strict=True))
            dense, other = (
                compare(["sklstm"], "batches", n_repeats, summary=np.min, kind=kind, **row)
                for kind in kinds
            )
            row |= {"kind": kinds[1], "sklstm": other["sklstm"], "sklstm dense": dense["sklstm"]}
            if installed(["torch"]):
                libraries = ["torch packed"]
                row |= compare(
                    libraries, "batches", n_repeats, summary=np.min, **row_shape(row), kind=kinds[1]
                )
            rows.append(note(row))
    return rows


def row_shape(row):
    return {name: row[name] for name in BATCHES}


def benchmark_end_to_end(n_repeats):
    rows = []
    libraries = installed(["sklstm", "torch", "skorch", "keras"])
    values = {library: [] for library in libraries}
    for _ in range(n_repeats):
        for library in libraries:
            values[library].append(measure(library, "end_to_end"))
    for library, measured in values.items():
        memory, seconds = np.median(measured, axis=0).tolist()
        row = {"library": library, "seconds": seconds, "peak_mib": memory}
        # Packages that a library needs but does not declare as dependencies.
        packages = {"keras": ["keras", "jax"], "skorch": ["skorch", "torch"]}.get(
            library, [library]
        )
        rows.append(note(row | {"installed_mib": installed_mib(packages)}))
    return rows


def installed_mib(packages):
    """Return the installed size of packages and their dependencies."""
    found, names = {}, list(packages)
    while names:
        name = names.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # required on other machines only
            continue
        paths = [package.locate_file(file) for file in package.files or []]
        if name == "sklstm":  # installed as a link to this repository
            paths = (HERE.parent / "sklstm").rglob("*.*")
        found[name] = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
        for requirement in map(Requirement, package.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
    return sum(found.values()) / 2**20


def benchmark_growth(n_repeats):
    rows = []
    for n_samples, n_timesteps in [
        *((n_samples, 25) for n_samples in (1_000, 3_000, 10_000, 30_000, 100_000)),
        *((2_000, n_timesteps) for n_timesteps in (10, 30, 100, 300, 1_000)),
    ]:
        row = {"n_samples": n_samples, "n_timesteps": n_timesteps}
        measured = [measure("sklstm", "grow", **row)[0] for _ in range(n_repeats)]
        names = ["seconds", "mib", "predict_seconds", "predict_mib"]
        medians = np.median(measured, axis=0).tolist()
        rows.append(note(row | dict(zip(names, medians, strict=True))))
    return rows


def benchmark_memory():
    windows = {
        "n_rows": 1_000_000,
        "n_columns": 8,
        "window_size": 200,
        "n_units": 8,
        "batch_size": 4096,
    }
    results = {"windows": note(windows | measure("sklstm", "windows", **windows)[0]), "mapped": []}
    if not Path("/proc/self/status").exists():  # only Linux tells what a process has of its own
        return results
    for n_samples in (2_500, 25_000, 268_435):  # the last makes 20 GiB
        row = {"n_samples": n_samples, "n_timesteps": 1000, "n_features": 10}
        result = measure("sklstm", "mapped", **row, n_units=8, batch_size=512)[0]
        results["mapped"].append(note(row | result))
    return results


def output_of(*command):
    try:
        return subprocess.check_output(command, cwd=HERE, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def blas():
    """The kernel that NumPy's BLAS takes on this machine, where it says so."""
    program = (
        "import numpy, threadpoolctl; print(*{' '.join(str(library.get(key)) for key in "
        "('internal_api', 'version', 'architecture')) for library in "
        "threadpoolctl.threadpool_info() if library['user_api'] == 'blas'})"
    )
    return subprocess.check_output(
        [sys.executable, "-c", program], env=unpinned(), text=True
    ).strip()


def machine():
    def version_of(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "blas": blas(),
        "commit": output_of("git", "describe", "--always", "--dirty"),
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        facts["processor"] = models[0].partition(":")[2].strip() if models else None
    return facts | {package: version_of(package) for package in PACKAGES}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer shapes and repeats")
    parser.add_argument("--report", action="store_true", help="write the tables and pictures only")
    arguments = parser.parse_args()
    from report import print_tables, write_report

    if arguments.quick:
        shapes = [SHAPES[0], SHAPES[4], SHAPES[8]]
        print_tables(
            {
                "machine": machine(),
                "training": benchmark_training(1, shapes),
                "prediction": benchmark_prediction(1, shapes, (1, 1000)),
                "batches": benchmark_batches(1, [(128, *RAGGED[0][1:])], []),
                "end_to_end": benchmark_end_to_end(1),
            }
        )
        return
    if not arguments.report:
        parts = {
            "machine": machine,
            "training": lambda: benchmark_training(3, SHAPES),
            "options": lambda: benchmark_options(2, SHAPES),
            "prediction": lambda: benchmark_prediction(3, SHAPES, SAMPLES),
            "series": lambda: benchmark_series(2),
            "batches": lambda: benchmark_batches(3, RAGGED, WINDOWS),
            "end_to_end": lambda: benchmark_end_to_end(3),
            "growth": lambda: benchmark_growth(3),
            "memory": benchmark_memory,
        }
        results = {}
        for name, measure_part in parts.items():
            results[name] = measure_part()
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")  # what is there is kept
    results = json.loads(RESULTS.read_text())
    print_tables(results)
    write_report(results, HERE.parent / "docs" / "speed")


if __name__ == "__main__":
    main()
