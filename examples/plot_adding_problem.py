"""
===============================
Remembering: the adding problem
===============================

Two of a hundred numbers are marked, anywhere in the sequence, and the target is their sum. A
network must remember the first marked number until the second one, and ignore all others. The LSTM
was invented for such tasks, and the adding problem is one of those in the original paper [1]_.

.. [1] Sepp Hochreiter and Jürgen Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
   1997.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import LSTMRegressor

# %%
# The data
# --------
# At each step a sequence has two features: a number between 0 and 1, and a marker that is 1 at two
# steps and 0 at all others. The data is float32, so the network computes in float32, which is
# faster.


def draw_sequences(n_samples, n_timesteps, rng):
    """Draw X of shape (n_samples, n_timesteps, 2), and the sum of the two marked numbers."""
    numbers = rng.uniform(size=(n_samples, n_timesteps))
    steps = np.tile(np.arange(n_timesteps), (n_samples, 1))
    markers = rng.permuted(steps, axis=1) < 2
    X = np.stack([numbers, markers], axis=2).astype(np.float32)
    return X, (numbers * markers).sum(axis=1)


rng = np.random.default_rng(0)
X, y = draw_sequences(5000, 100, rng)
X_new, y_new = draw_sequences(1000, 100, rng)
print("X:", X.shape, "y:", y.shape)

# %%
# The LSTM
# --------
# For many epochs the loss hardly changes, until the network has learned what the markers mean.
# Training therefore stops only after twenty epochs without progress, where progress means that the
# loss decreases by at least a hundredth of its initial value.

lstm = LSTMRegressor(
    hidden_layer_sizes=16,
    batch_size=20,
    learning_rate_init=0.01,
    tol=0.01,
    n_iter_no_change=20,
    random_state=0,
)
lstm.fit(X, y)

# %%
# Two baselines
# -------------
# A feed-forward network sees all 200 values of a sequence at once. With 5000 sequences it overfits:
# it would have to learn the same rule separately for every pair of steps.

mlp = make_pipeline(
    FunctionTransformer(lambda X: X.reshape(len(X), -1)),
    MLPRegressor(early_stopping=True, random_state=0),
)
mlp.fit(X, y)
mean = DummyRegressor().fit(X, y)

errors = {
    name: mean_squared_error(y_new, model.predict(X_new))
    for name, model in [("LSTM", lstm), ("MLP", mlp), ("mean of y", mean)]
}
print("Mean squared error on new sequences")
for name, error in errors.items():
    print(f"{name:>12}: {error:.5f}")

# %%
# The loss of the regressor is half the squared error of the standardised target. In the units of y,
# it stays at the error of the mean for some epochs and then decreases by a factor of a thousand.

fig, (left, right) = plt.subplots(ncols=2, figsize=(10, 4), layout="constrained")
epochs = np.arange(1, lstm.n_iter_ + 1)
left.plot(epochs, 2 * y.var() * np.array(lstm.loss_curve_), label="LSTM, in training")
left.axhline(errors["mean of y"], color="grey", linestyle=":", label="mean of y, new sequences")
left.axhline(errors["MLP"], color="tab:orange", linestyle="--", label="MLP, new sequences")
left.axhline(errors["LSTM"], color="tab:blue", linestyle="--", label="LSTM, new sequences")
left.set(xlabel="epoch", ylabel="mean squared error", yscale="log", title="Learning to add")
left.legend()

right.plot(y_new, mlp.predict(X_new), ".", color="tab:orange", label="MLP", markersize=3)
right.plot(y_new, lstm.predict(X_new), ".", color="tab:blue", label="LSTM", markersize=3)
right.axline((0, 0), slope=1, color="black", linewidth=0.5)
right.set(xlabel="sum of the marked numbers", ylabel="predicted", title="1000 new sequences")
right.legend()
plt.show()

# %%
# Try next: longer sequences, until the LSTM fails too; how the memory works, in
# :doc:`/how_it_works`.
