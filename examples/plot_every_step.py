"""
==============================
A label for each step in time
==============================

A sensor at the wrist records what somebody does: rest, walk, run. When does one end and the next
begin? With ``return_sequences=True``, a recording is one sequence and each of its time steps has a
label. The usual way cuts the recordings into windows, which makes as many sequences as there are
steps, each to be read from its beginning.

The recordings are synthetic. People differ in pace and in strength, so that a slow run looks like
a fast walk for a moment.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from sklstm import LSTMClassifier, SlidingWindow

# %%
# The data
# --------
# 60 recordings of 240 steps, with acceleration in two directions. Recordings 1 to 40 are for
# training. Nobody has labelled all of them: a tenth of the training steps, in blocks, have ``None``
# as their label, and these steps do not count.

activities = np.array(["rest", "walk", "run"])


def record(rng, n_timesteps=240):
    """Return a recording, (n_timesteps, 2), and the activity at each of its steps."""
    is_change = rng.random(n_timesteps) < 1 / 35
    activity = (np.cumsum(is_change * rng.integers(1, 3, n_timesteps)) + rng.integers(3)) % 3
    pace = np.array([0.0, 0.6, 0.9])[activity] * rng.normal(1, 0.12)
    strength = np.array([0.0, 0.7, 1.0])[activity] * rng.normal(1, 0.2)
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(pace)
    swing = strength[:, np.newaxis] * np.column_stack([np.sin(phase), np.cos(2 * phase)])
    return swing + rng.normal(scale=0.3, size=(n_timesteps, 2)), activities[activity]


rng = np.random.default_rng(0)
recordings = [record(rng) for _ in range(60)]
X = np.array([signal for signal, _ in recordings])  # (60, 240, 2)
y = np.array([labels for _, labels in recordings])  # (60, 240)
train, test = slice(0, 40), slice(40, 60)

labelled = y[train].astype(object)
labelled[:, 100:124] = None
print("y:", labelled.shape, labelled[0, 97:103])

# %%
# An output at each step
# ----------------------
# In one direction, the label of a step depends on no later step: this is what a device can do while
# it records. With ``bidirectional=True`` each step is read in the light of what follows, too.

accuracy = {}
for name, bidirectional in {"each step": False, "each step, both directions": True}.items():
    start = time.perf_counter()
    model = LSTMClassifier(
        16,
        return_sequences=True,
        bidirectional=bidirectional,
        early_stopping=True,
        validation_fraction=0.2,
        batch_size=4,
        random_state=0,
    )
    model.fit(X[train], labelled)
    seconds = time.perf_counter() - start
    accuracy[name] = model.score(X[test], y[test])
    print(f"{name:28} {accuracy[name]:.3f}  {seconds:5.1f} s")

predicted = model.predict(X[test])

# %%
# Windows of the same data
# ------------------------
# Each step is a row here, with a window of the last 24 steps. ``group_column`` keeps the windows of
# one recording out of the next. Steps without a label have to be taken out by hand. Of the rows, a
# fourth is used, to save time.

n_rows = X[train].shape[0] * X.shape[1]
number = np.repeat(np.arange(len(X)), X.shape[1])
rows = np.column_stack([number, X.reshape(-1, 2)])  # the recording, and the signal
windows = SlidingWindow(24, group_column=0).fit_transform(rows)
of_rows = y.ravel()
is_labelled = np.flatnonzero(np.not_equal(labelled.ravel(), None))
used, new = is_labelled[::4], slice(n_rows, None)

start = time.perf_counter()
lstm = LSTMClassifier(16, early_stopping=True, random_state=0, validation_split="last")
lstm.fit(windows[used], of_rows[used])
seconds = time.perf_counter() - start
accuracy["windows"] = lstm.score(windows[new], of_rows[new])
print(f"{'windows':28} {accuracy['windows']:.3f}  {seconds:5.1f} s")

flat = np.asarray(windows).reshape(len(windows), -1)
boosting = HistGradientBoostingClassifier(random_state=0).fit(flat[used], of_rows[used])
accuracy["boosting on windows"] = boosting.score(flat[new], of_rows[new])
print(f"{'boosting on windows':28} {accuracy['boosting on windows']:.3f}")

# %%
# One recording
# -------------
# The errors are near the changes of activity, where even the eye needs some steps to tell.

colors = {"rest": "tab:gray", "walk": "tab:green", "run": "tab:red"}
fig, (above, below) = plt.subplots(
    2, 1, figsize=(9, 4), sharex=True, height_ratios=[2, 1], layout="constrained"
)
above.plot(X[test][2], linewidth=0.8)
above.set(
    ylabel="acceleration", title=f"each step: {accuracy['each step, both directions']:.0%} right"
)
for place, labels in enumerate([predicted[2], y[test][2]]):
    for activity, color in colors.items():
        steps = np.flatnonzero(labels == activity)
        below.bar(steps, 0.8, width=1.0, bottom=place - 0.4, color=color, label=activity)
below.set(yticks=[0, 1], yticklabels=["predicted", "true"], xlabel="time step")
below.legend(
    *(part[:3] for part in below.get_legend_handles_labels()),
    loc="upper left",
    ncols=3,
    bbox_to_anchor=(0, -0.35),
)
plt.show()

# %%
# Try next: give the recordings as a list where their lengths differ; give ``sample_weight``
# a weight for each step, to count rare activities more; or let ``predict_step`` of the model in one
# direction label a recording while it runs.
