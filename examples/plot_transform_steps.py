"""
===============================
Skewed and categorical features
===============================

The time steps of real sequences hold what tables hold: labels, and numbers of which a few are a
thousand times as large as the rest. scikit-learn has transformers for both, but they take tables.
``TimestepTransformer`` applies them to the time steps of sequences.

The sequences are visits to a web shop. Each visit is a data frame of its own, with a row for each
page. Visitors who read several product pages, each for about a minute, are likely to buy. The data
is synthetic.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, QuantileTransformer, StandardScaler

from sklstm import LSTMClassifier, TimestepTransformer

# %%
# The data
# --------
# A page that stays open over lunch counts thousands of seconds.

PAGES = np.array(["cart", "help", "product", "search", "start"])


def visit(rng):
    """Return one visit, with 3 to 20 pages, and whether the visitor buys."""
    n_pages = rng.integers(3, 21)
    pages = rng.choice(PAGES, size=n_pages)
    seconds = np.exp(rng.normal(3.5, 1.5, size=n_pages)).round(1)
    seconds[rng.uniform(size=n_pages) < 0.02] *= 300
    is_compared = (pages == "product") & (seconds > 20) & (seconds < 180)
    interest = is_compared.sum() - 1.5 + rng.normal(scale=0.5)
    return pd.DataFrame({"page": pages, "seconds": seconds}), interest > 0


rng = np.random.default_rng(0)
X, y = zip(*(visit(rng) for _ in range(600)), strict=True)
X, y = list(X), np.array(y)
print(X[0].head())
print(f"{len(X)} visits, {np.mean(y):.0%} with a purchase")

# %%
# Two ways to prepare the steps
# -----------------------------
# Both give the LSTM numbers of a similar size. The plain one numbers the pages and standardizes the
# seconds. The other one has a column for each kind of page, and gives the seconds a normal
# distribution.

plain = make_column_transformer((OrdinalEncoder(), ["page"]), (StandardScaler(), ["seconds"]))
fitting = make_column_transformer(
    (OneHotEncoder(), ["page"]),
    (QuantileTransformer(n_quantiles=200, output_distribution="normal"), ["seconds"]),
)

lstm = LSTMClassifier(16, early_stopping=True, random_state=0)
for name, columns in (("plain", plain), ("fitting", fitting)):
    model = make_pipeline(TimestepTransformer(columns), lstm)
    print(f"{name:>7}: accuracy {cross_val_score(model, X, y, cv=3).mean():.2f}")
print(f"   none: accuracy {max(np.mean(y), 1 - np.mean(y)):.2f}, always the same answer")

# %%
# The seconds of all steps
# ------------------------
# After standardization, 98 % of the steps are within a fifth of a standard deviation of each other.

fig, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
for ax, (name, columns) in zip(axes, (("plain", plain), ("fitting", fitting)), strict=True):
    steps = np.concatenate(TimestepTransformer(columns).fit_transform(X))
    ax.hist(steps[:, -1], bins=60)
    ax.set(title=name, xlabel="seconds, transformed", yscale="log")
axes[0].set_ylabel("number of steps")
plt.show()

# %%
# Try next: ``SimpleImputer`` in the columns where steps are partly missing, or the features that
# the LSTM has learned, in :ref:`features`.
