"""Tables and plots of the accuracy of forecasts and classifiers."""

import csv
import io

import numpy as np
from scipy.stats import ttest_ind

NAMES = {
    "naive": "naive",
    "seasonal naive": "seasonal naive",
    "ridge": "ridge",
    "neighbour": "nearest neighbour",
    "linear": "linear",
    "summaries": "linear on summaries",
    "boosting": "boosting",
    "mlp": "MLP",
    "torch": "PyTorch LSTM",
    "plain": "plain LSTM",
    "chosen": "sklstm, chosen",
    "sklstm": "sklstm",
}
COLORS = {"sklstm": "tab:blue", "chosen": "tab:blue", "plain": "tab:green", "torch": "tab:orange"}
MARKERS = dict(zip(NAMES, "|xsvsP^Doo*o", strict=True))
# The markers of the two LSTMs, one per seed, are drawn above and below the line of their set.
SHIFTS = {"sklstm": 0.18, "torch": -0.18}


def of_kind(results, kind):
    return {name: result for name, result in results.items() if result["kind"] == kind}


def is_error(result):
    return result["metric"] == "RMSE"


def best_model(result):
    means = {model: np.mean(scores) for model, scores in result["scores"].items()}
    return (min if is_error(result) else max)(means, key=means.get)


def number(value, result):
    if not is_error(result):
        return f"{value:.3f}"
    size = np.mean(result["scores"]["sklstm"])
    digits = max(0, 2 - int(np.floor(np.log10(size))))
    return f"{value:,.{digits}f}"


def cell(result, model):
    """Return the mean and the standard deviation over seeds; the best of a set in bold."""
    scores = result["scores"].get(model)
    if scores is None:
        return ""
    text = number(np.mean(scores), result)
    if model == best_model(result):
        text = f"**{text}**"
    return text if len(scores) == 1 else f"{text} ± {number(np.std(scores, ddof=1), result)}"


def compare(result):
    """Return the advantage of PyTorch's mean in standard deviations over seeds, and Welch's p."""
    ours, theirs = (np.array(result["scores"][model]) for model in ("plain", "torch"))
    sign = -1 if is_error(result) else 1
    gap = sign * (theirs.mean() - ours.mean())
    deviation = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
    if deviation == 0:
        return 0.0, 1.0
    return gap / deviation, float(ttest_ind(sign * theirs, sign * ours, equal_var=False).pvalue)


def tables(results):
    """Yield name, header and rows of each table."""
    for name, kind in (("forecasts", "forecast"), ("sequences", "sequences")):
        chosen = of_kind(results, kind)
        models = [m for m in NAMES if any(m in result["scores"] for result in chosen.values())]
        yield (
            name,
            ["set", "training", "test", *(NAMES[model] for model in models)],
            [
                [set_, result["n_train"], result["n_test"], *(cell(result, m) for m in models)]
                for set_, result in chosen.items()
            ],
        )
    yield (
        "torch",
        ["set", "seeds", "plain LSTM", "PyTorch", "gap / std", "p", "same draws"],
        [
            [
                set_,
                len(result["scores"]["plain"]),
                *(cell(result, model).replace("*", "") for model in ("plain", "torch")),
                f"{compare(result)[0]:+.2f}",
                f"{compare(result)[1]:.2f}",
                f"{result['same_draws']:.0e}",
            ]
            for set_, result in results.items()
            if {"plain", "torch"} <= set(result["scores"])
        ],
    )
    forecasts = of_kind(results, "forecast")
    models = [m for m in NAMES if all(m in result["scores"] for result in forecasts.values())]
    yield (
        "summary",
        ["model", "mean rank", "mean ratio to the ridge", "largest ratio", "ahead of the ridge on"],
        [summary(forecasts, models, model) for model in models],
    )


def summary(forecasts, models, model):
    """Return the mean rank of a model, and its errors relative to those of the ridge."""
    means = {name: {m: np.mean(r["scores"][m]) for m in models} for name, r in forecasts.items()}
    ranks = [sorted(errors.values()).index(errors[model]) + 1 for errors in means.values()]
    ratios = np.array([errors[model] / errors["ridge"] for errors in means.values()])
    return [
        NAMES[model],
        f"{np.mean(ranks):.1f}",
        f"{np.exp(np.log(ratios).mean()):.3f}",
        f"{ratios.max():.2f}",
        f"{(ratios < 1).sum()} of {len(ratios)}",
    ]


def print_tables(results):
    for name, header, rows in tables(results):
        print(f"\n{name}")
        lines = [[str(value) for value in line] for line in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def write_report(results, folder):
    """Write the tables as CSV and the plots as SVG."""
    folder.mkdir(exist_ok=True)
    for name, header, rows in tables(results):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([header, *rows])
        (folder / f"{name}.csv").write_text(text.getvalue(), encoding="utf-8")
    forecasts = of_kind(results, "forecast")
    relative = {
        name: {
            model: np.array(scores) / result["scores"]["naive"][0]
            for model, scores in result["scores"].items()
        }
        for name, result in forecasts.items()
    }
    label = "RMSE / RMSE of the naive forecast (less is better)"
    draw(relative, label, folder / "forecasts.svg", scale="log")
    sequences = {
        name: {model: np.array(scores) for model, scores in result["scores"].items()}
        for name, result in of_kind(results, "sequences").items()
    }
    draw(sequences, "accuracy on the test part (more is better)", folder / "sequences.svg")


def mean(scores):
    return [] if scores is None else [np.mean(scores)]


def draw(sets, label, path, scale="linear"):
    """Plot one row per set with a marker for each model; for the LSTMs, one for each seed."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(9, 1 + 0.5 * len(sets)), layout="constrained")
    models = [model for model in NAMES if any(model in scores for scores in sets.values())]
    for model in models:
        points = [
            (value, row + SHIFTS.get(model, 0))
            for row, scores in enumerate(sets.values())
            for value in (scores.get(model, []) if model in SHIFTS else mean(scores.get(model)))
        ]
        ax.scatter(
            *np.transpose(points),
            label=NAMES[model],
            marker=MARKERS[model],
            color=COLORS.get(model, "0.45"),
            s=22,
        )
    ax.set_yticks(range(len(sets)), list(sets))
    ax.set(xlabel=label, xscale=scale)
    if scale == "log":
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("{x:g}")
    ax.invert_yaxis()
    ax.grid(axis="y", linewidth=0.3)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    with mpl.rc_context({"svg.hashsalt": "sklstm"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
