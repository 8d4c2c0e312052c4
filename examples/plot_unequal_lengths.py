"""
==============================
Sequences of different lengths
==============================

Some people draw a shape quickly, others slowly, so the sequences of pen positions differ in length.
The classifier accepts such sequences as a list of arrays. They need not be padded, cut or
resampled.

The shapes are triangles, squares and circles, with random starting points and rotations.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from sklstm import LSTMClassifier

# %%
# The data
# --------
# A time step is the movement of the pen since the previous step, divided by its mean speed. A
# drawing has between 20 and 60 steps.

n_corners = {"triangle": 3, "square": 4, "circle": 100}


def draw(shape, rng):
    """Draw the path of the pen, (n_timesteps + 1, 2), with varying speed and some noise."""
    n_timesteps = rng.integers(20, 61)
    pace = np.exp(0.5 * np.sin(2 * np.pi * (np.arange(n_timesteps) / n_timesteps + rng.uniform())))
    done = np.concatenate([[0], np.cumsum(pace) / pace.sum()])  # from 0 to 1, around the shape
    corner = np.arange(n_corners[shape] + 1) / n_corners[shape]
    angle = 2 * np.pi * (corner + rng.uniform())
    at = (done + rng.uniform()) % 1
    path = np.column_stack([np.interp(at, corner, xy) for xy in (np.cos(angle), np.sin(angle))])
    return path + rng.normal(scale=0.02, size=path.shape)


def draw_many(n_samples, rng):
    """Draw paths of random shapes, and return them with the names of the shapes."""
    y = rng.choice(list(n_corners), size=n_samples)
    return [draw(shape, rng) for shape in y], y


def movements(paths):
    """Return the input of the classifier: a list of arrays of shape (n_timesteps_i, 2)."""
    steps = [np.diff(path, axis=0) for path in paths]
    return [step / np.linalg.norm(step, axis=1).mean() for step in steps]


rng = np.random.default_rng(0)
paths, y = draw_many(400, rng)
paths_new, y_new = draw_many(300, rng)
X, X_new = movements(paths), movements(paths_new)
print("The first three:", [x.shape for x in X[:3]])

# %%
# The classifier
# --------------

lstm = LSTMClassifier(early_stopping=True, random_state=0).fit(X, y)
accuracy = lstm.score(X_new, y_new)

# %%
# The baseline is a random forest on summary statistics of each sequence, including its length.


def summaries(sequences):
    """Return mean, standard deviation and correlation of the movements, and their number."""
    return np.array([[*x.mean(0), *x.std(0), np.prod(x, axis=1).mean(), len(x)] for x in sequences])


baseline = RandomForestClassifier(random_state=0).fit(summaries(X), y)
print("Accuracy on new drawings")
print(f"     LSTM: {accuracy:.2f}")
print(f"summaries: {baseline.score(summaries(X_new), y_new):.2f}")

# %%
# Some new drawings and their predicted classes
# ---------------------------------------------

fig, axes = plt.subplots(2, 5, figsize=(9, 4), layout="constrained")
predicted = lstm.predict(X_new[: axes.size])
for ax, path, shape, guess in zip(axes.flat, paths_new, y_new, predicted, strict=False):
    ax.plot(*path.T, ".-", markersize=3, color="tab:blue" if shape == guess else "tab:red")
    ax.set(title=f"{guess}, {len(path) - 1} steps", aspect="equal")
    ax.axis("off")
plt.show()

# %%
# Try next: ``bidirectional=True``, fewer drawings to learn from, or categories and skewed numbers
# in the steps, in :ref:`sphx_glr_gallery_plot_transform_steps.py`.
