"""Tables and plots of the accuracy of forecasts and classifiers."""

import csv
import io

import numpy as np
from scipy.stats import rankdata, ttest_ind

NAMES = {
    "naive": "naive",
    "seasonal naive": "seasonal naive",
    "ridge": "ridge",
    "ridge of each": "ridge of each series",
    "neighbour": "nearest neighbour",
    "linear": "linear",
    "summaries": "linear on summaries",
    "boosting": "boosting",
    "mlp": "MLP",
    "torch": "PyTorch LSTM",
    "torch and ridge": "PyTorch LSTM + ridge",
    "plain": "plain LSTM",
    "chosen": "sklstm, chosen",
    "sklstm": "sklstm",
}
COLORS = {
    "sklstm": "tab:blue",
    "chosen": "tab:blue",
    "plain": "tab:green",
    "torch": "tab:orange",
    "torch and ridge": "tab:orange",
}
MARKERS = dict(zip(NAMES, "|xs1vsP^Do*o*o", strict=True))
# Methods that an LSTM is compared with in the summary of the sequences.
SIMPLE = ("neighbour", "linear", "summaries", "boosting", "mlp")
# Two scores that differ by less are called level.
LEVEL = 0.01
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
    for name, kind in (
        ("forecasts", "forecast"),
        ("ahead", "ahead"),
        ("panels", "panel"),
        ("sequences", "sequences"),
    ):
        if entries := of_kind(results, kind):
            yield name, *scores_table(entries)
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
            if "same_draws" in result
        ],
    )
    one_step = of_kind(results, "forecast")
    if one_step:
        yield "summary", *forecasts_summary(one_step)
    others = of_kind(results, "ahead") | of_kind(results, "panel")
    if others:
        yield "summary_others", *forecasts_summary(others)
    sequences = of_kind(results, "sequences")
    if sequences:
        yield "summary_sequences", *sequences_summary(sequences)


def scores_table(entries):
    """Return header and rows of the table of all scores of a kind."""
    models = [m for m in NAMES if any(m in result["scores"] for result in entries.values())]
    header = ["set", "training", "test", *(NAMES[model] for model in models)]
    return header, [
        [set_, result["n_train"], result["n_test"], *(cell(result, m) for m in models)]
        for set_, result in entries.items()
    ]


def mean_scores(entries):
    """Return the models that all sets have, and their mean scores, (n_sets, n_models)."""
    models = [m for m in NAMES if all(m in result["scores"] for result in entries.values())]
    means = [[np.mean(r["scores"][m]) for m in models] for r in entries.values()]
    return models, np.array(means)


def forecasts_summary(entries):
    """Return mean ranks, and errors relative to those of the ridge."""
    models, errors = mean_scores(entries)
    ranks = rankdata(errors, axis=1)
    ratios = errors / errors[:, [models.index("ridge")]]
    header = ["model", "mean rank", "mean ratio to the ridge", "largest ratio"]
    return [*header, "ahead of the ridge on"], [
        [
            NAMES[model],
            f"{rank.mean():.1f}",
            f"{np.exp(np.log(ratio).mean()):.3f}",
            f"{ratio.max():.2f}",
            f"{(ratio < 1).sum()} of {len(ratio)}",
        ]
        for model, rank, ratio in zip(models, ranks.T, ratios.T, strict=True)
    ]


def sequences_summary(entries):
    """Return mean ranks, and how far the scores are from those of the best simple method."""
    models, scores = mean_scores(entries)
    ranks = rankdata(-scores, axis=1)
    best = np.array(
        [max(np.mean(r["scores"][m]) for m in SIMPLE if m in r["scores"]) for r in entries.values()]
    )
    gaps = scores - best[:, np.newaxis]
    header = ["model", "mean rank", "level with the best simple method on"]
    return [*header, "largest distance to it"], [
        [
            NAMES[model],
            f"{rank.mean():.1f}",
            f"{(gap > -LEVEL).sum()} of {len(gap)}",
            f"{gap.min():+.3f}",
        ]
        for model, rank, gap in zip(models, ranks.T, gaps.T, strict=True)
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
