"""Tables and plots of the measurements, for the terminal and for the documentation."""

import csv
import io

import numpy as np

UNITS = "n_features", "n_units", "n_timesteps"


def ratio(row, peer="torch"):
    """Return the time of another library divided by that of sklstm: above 1, sklstm is faster."""
    return row[peer] / row["sklstm"]


def geometric_mean(rows, peer="torch"):
    """Return the geometric mean of the ratios; nothing if the peer was not measured."""
    if peer not in rows[0]:
        return ""
    return float(np.exp(np.mean([np.log(ratio(row, peer)) for row in rows])))


def tables(results):
    """Yield name, header and rows of each table; times are in milliseconds if no unit is given."""
    has_peer = "torch" in results["training"][0]
    has_onnxruntime = "onnxruntime" in results["prediction"][0]
    if has_peer:
        yield (
            "means",
            [
                "task",
                "geometric mean of torch / sklstm",
                "shapes on which sklstm is faster than torch",
                *["geometric mean of onnxruntime / sklstm"] * has_onnxruntime,
            ],
            [
                [
                    name,
                    geometric_mean(rows),
                    f"{sum(ratio(row) > 1 for row in rows)} of {len(rows)}",
                    *[geometric_mean(rows, "onnxruntime")] * has_onnxruntime,
                ]
                for name, rows in groups(results).items()
            ],
        )
    peers = ["sklstm", "torch"] if has_peer else ["sklstm"]

    def with_ratio(row, cells):
        return [*cells, ratio(row)] if has_peer else cells

    last = ["torch / sklstm"] if has_peer else []
    yield (
        "training",
        [*UNITS, "batch_size", *peers, "floor", "calls", "float64", *last],
        [
            with_ratio(
                row,
                [row[key] for key in (*UNITS, "batch_size", *peers, "floor", "calls", "float64")],
            )
            for row in results["training"]
        ],
    )
    yield (
        "prediction",
        [*UNITS, "n_samples", *peers, *["onnxruntime"] * has_onnxruntime, *last],
        [
            with_ratio(
                row,
                [
                    row[key]
                    for key in (
                        *UNITS,
                        "n_samples",
                        *peers,
                        *["onnxruntime"] * has_onnxruntime,
                    )
                ],
            )
            for row in results["prediction"]
        ],
    )
    if "options" in results:
        options = [key for key in results["options"][0] if key.startswith("sklstm ")]
        has_steps = "torch steps" in results["options"][0]
        rows = [
            [
                *(row[key] for key in (*UNITS, "batch_size", "sklstm")),
                *(row[option] / row["sklstm"] for option in options),
                *[row["torch steps"] / row["sklstm steps"]] * has_steps,
            ]
            for row in results["options"]
        ]
        n = len(options) + has_steps
        means = np.exp(np.mean(np.log([row[-n:] for row in rows]), axis=0)).tolist()
        yield (
            "options",
            [
                *(*UNITS, "batch_size", "last, ms"),
                *(option.removeprefix("sklstm ") + " / last" for option in options),
                *["torch / sklstm, steps"] * has_steps,
            ],
            [*rows, ["geometric mean", *[""] * 4, *means]],
        )
    if "batches" in results:
        header = [key for key in results["batches"][0] if key != "kind"]
        yield (
            "batches",
            ["kind", *header, "sklstm / sklstm dense"],
            [
                [*(row[key] for key in ("kind", *header)), row["sklstm"] / row["sklstm dense"]]
                for row in results["batches"]
            ],
        )
    if "series" in results:
        yield (
            "series",
            ["window_size", "windows, ms", "series, ms", "windows / series"],
            [
                [
                    *(row[key] for key in ("window_size", "sklstm", "sklstm series")),
                    row["sklstm"] / row["sklstm series"],
                ]
                for row in results["series"]
            ],
        )
    yield (
        "end_to_end",
        ["library", "seconds", "peak memory, MiB", "installed, MiB"],
        [list(row.values()) for row in results["end_to_end"]],
    )
    if "growth" in results:
        yield (
            "growth",
            [
                "n_samples",
                "n_timesteps",
                "an epoch, seconds",
                "additional memory, MiB",
                "predict, seconds",
                "additional memory, MiB",
            ],
            [list(row.values()) for row in results["growth"]],
        )
        yield (
            "mapped",
            ["n_samples", "n_timesteps", "n_features", "file, GiB", "seconds", "memory, MiB"],
            [list(row.values()) for row in results["memory"]["mapped"]],
        )


def cell(value):
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value < 100
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def print_tables(results):
    """Print every table and the geometric means."""
    print(
        "\n" + ", ".join(f"{name} {value}" for name, value in results["machine"].items() if value)
    )
    for name, header, rows in tables(results):
        print(f"\n{name}")
        lines = [header, *([cell(value) for value in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))
    if "memory" in results:
        print("windows:", results["memory"]["windows"])


def groups(results):
    """Return the groups of measurements that have a common mean."""
    found = {"training": results["training"]}
    for row in results["prediction"]:
        n_samples = row["n_samples"]
        found.setdefault(f"prediction of {n_samples:,} sample{'s' * (n_samples > 1)}", []).append(
            row
        )
    return found


def write_report(results, folder):
    """Write the tables as CSV and the plots as SVG."""
    folder.mkdir(exist_ok=True)
    for name, header, rows in tables(results):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)
        (folder / f"{name}.csv").write_text(text.getvalue())
    if "torch" in results["training"][0]:
        draw_means(results, folder / "means.svg")
        draw_ratios(results, folder / "ratio.svg")
    draw_growth(results, folder / "growth.svg")


def label(row, last):
    return " x ".join(str(row[key]) for key in (*UNITS, last))


def draw_means(results, path):
    """Plot the geometric means over the shapes, for PyTorch and onnxruntime."""
    import matplotlib.pyplot as plt

    means = groups(results)
    names = [name.removeprefix("prediction of ").replace(" ", "\n") for name in means]
    figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
    peers = {"torch": "PyTorch", "onnxruntime": "onnxruntime (prediction only)"}
    for k, (peer, label) in enumerate(peers.items()):
        values = [geometric_mean(rows, peer) or np.nan for rows in means.values()]
        x = np.arange(len(names)) + 0.4 * k - 0.2
        bars = ax.bar(x, values, width=0.38, label=label)
        texts = ["" if np.isnan(value) else f"{value:.2g}" for value in values]
        ax.bar_label(bars, texts, label_type="center", color="white")
    ax.axhline(1, color="black", linewidth=0.8, zorder=0)
    ax.set_xticks(np.arange(len(names)), names)
    ax.set(
        ylabel="its time / time of sklstm", title="Two cores, float32: above 1, sklstm is faster"
    )
    ax.margins(y=0.12)
    ax.legend()
    save(figure, path)


def draw_ratios(results, path):
    """Plot the time of PyTorch divided by the time of sklstm as bars, by shape."""
    import matplotlib.pyplot as plt

    samples = sorted({row["n_samples"] for row in results["prediction"]})
    groups = [("An update in training", results["training"], "batch_size")]
    groups += [
        (
            f"Prediction of {n:,} sample{'s' * (n > 1)}",
            [row for row in results["prediction"] if row["n_samples"] == n],
            "n_samples",
        )
        for n in samples
    ]
    n_rows = -(-len(groups) // 2)
    figure, axes = plt.subplots(n_rows, 2, figsize=(10, 3.5 * n_rows), layout="constrained")
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    for ax, (title, rows, last) in zip(axes.flat, groups, strict=False):
        values = [ratio(row) for row in rows][::-1]
        colors = ["tab:blue" if value >= 1 else "tab:orange" for value in values]
        ax.barh([label(row, last) for row in rows][::-1], values, color=colors)
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set(title=title, xlabel="time of PyTorch / time of sklstm")
    figure.supylabel(" x ".join(["features", "units", "steps", "batch size or samples"]))
    save(figure, path)


def draw_growth(results, path):
    """Plot time and memory against the number of samples and of steps."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    by_samples = [row for row in results["growth"] if row["n_timesteps"] == 25]
    by_steps = [row for row in results["growth"] if row["n_samples"] == 2000]
    for ax, rows, key, value, title in [
        (axes[0], by_samples, "n_samples", "seconds", "Seconds"),
        (axes[1], by_steps, "n_timesteps", "seconds", "Seconds"),
        (axes[2], by_samples, "n_samples", "mib", "Memory beside X, MiB"),
    ]:
        for prefix, name in (("", "an epoch"), ("predict_", "predict")):
            x, y = np.array([(row[key], row[prefix + value]) for row in rows]).T
            ax.plot(x, y, "o-", label=name)
            if value == "seconds":
                ax.plot(x, y[-1] * x / x[-1], ":", color="gray")
        ax.set(xscale="log", xlabel=key, title=title)
        ax.set(**({"yscale": "log"} if value == "seconds" else {"ylim": (0, 50)}))
        ax.legend()
    save(figure, path)


def save(figure, path):
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "sklstm"}):
        figure.savefig(path, metadata={"Date": None})
