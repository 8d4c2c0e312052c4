"""Networks of PyTorch and Keras to compare with.

Run as a program, it writes the data for test_weights.py, which needs neither:

    python tests/interop/frameworks.py torch
    python tests/interop/frameworks.py keras
"""

import os
import sys
from pathlib import Path

import numpy as np

# Set before Keras is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

DATA = Path(__file__).parent / "data"

# hidden_layer_sizes, n_outputs, bidirectional
NETWORKS = {
    "one layer": ((5,), 1, False),
    "stacked": ((4, 4, 4), 2, False),
    "bidirectional": ((3,), 1, True),
    "stacked and bidirectional": ((3, 3), 3, True),
}
# PyTorch does not have them.
UNEQUAL = {
    "unequal": ((5, 3), 1, False),
    "unequal and bidirectional": ((2, 4), 3, True),
}
ADAM = {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-6}
N_STEPS = 60


def make_data(n_samples=20, n_timesteps=7, n_features=2):
    """Return sequences, and numbers and classes as targets."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n_samples, n_timesteps, n_features))
    return X, X[:, -1] - X[:, 0], np.digitize(X.sum(axis=(1, 2)), [-2, 2])


def torch_module(hidden_layer_sizes, n_outputs, bidirectional, n_features=2, seed=0):
    """Return a module of an LSTM and a head, in float64."""
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(
                n_features,
                hidden_layer_sizes[0],
                num_layers=len(hidden_layer_sizes),
                bidirectional=bidirectional,
                batch_first=True,
            )
            self.head = torch.nn.Linear((1 + bidirectional) * hidden_layer_sizes[0], n_outputs)

        def forward(self, x):
            _, (h_n, _) = self.lstm(x)
            return self.head(torch.cat([h_n[-2], h_n[-1]], dim=1) if bidirectional else h_n[-1])

    torch.set_num_threads(1)  # one thread is faster at this size
    torch.manual_seed(seed)
    return Module().double()


def torch_outputs(module, X):
    """Return the outputs of the head as an array of the dtype of X."""
    import torch

    with torch.no_grad():
        return module(torch.tensor(X)).numpy()


def torch_losses(module, X, y):
    """Train on the full batch; return the loss before each step of Adam.

    The target is numbers or a single column of booleans, both of shape (n_samples, n_outputs), or
    class numbers of shape (n_samples,).
    """
    import torch
    from torch.nn import functional

    def loss(raw):
        if y.dtype == bool:
            return functional.binary_cross_entropy_with_logits(raw, torch.tensor(y).double())
        if y.ndim == 1:
            return functional.cross_entropy(raw, torch.tensor(y))
        return functional.mse_loss(raw, torch.tensor(y)) / 2

    # Two biases with the same gradient would change twice as much as one.
    trained = [p for name, p in module.named_parameters() if "bias_hh" not in name]
    adam = torch.optim.Adam(trained, **ADAM)
    losses = []
    for _ in range(N_STEPS):
        adam.zero_grad()
        value = loss(module(torch.tensor(X)))
        value.backward()
        adam.step()
        losses.append(value.item())
    return np.array(losses)


def keras_model(
    hidden_layer_sizes, n_outputs, bidirectional, n_features=2, activation=None, masking=None
):
    """Return LSTM layers and a Dense head; ``masking`` is the value of missing steps."""
    from keras import Input, Sequential, layers

    model = Sequential([Input((None, n_features))])
    if masking is not None:
        model.add(layers.Masking(masking))
    for k, n_units in enumerate(hidden_layer_sizes):
        lstm = layers.LSTM(n_units, return_sequences=k + 1 < len(hidden_layer_sizes))
        model.add(layers.Bidirectional(lstm) if bidirectional else lstm)
    model.add(layers.Dense(n_outputs, activation=activation))
    return model


def named_arrays(name, weights, **others):
    """Return arrays with their names in the file: weights by key of state_dict or by number."""
    weights = weights if isinstance(weights, dict) else dict(enumerate(weights))
    return {f"{name}/{key}": np.asarray(value).copy() for key, value in (weights | others).items()}


def torch_arrays():
    X, numbers, classes = make_data()
    arrays = {}
    for name, network in NETWORKS.items():
        module = torch_module(*network)
        arrays |= named_arrays(name, module.state_dict(), outputs=torch_outputs(module, X))
    for name, (network, y) in training_runs(numbers, classes).items():
        module = torch_module(*network)
        arrays |= named_arrays(name, module.state_dict())
        arrays[f"{name}/losses"] = torch_losses(module, X, y)
    return arrays


def training_runs(numbers, classes):
    """Return networks and their targets."""
    return {
        "regressor": (((4, 4), 2, False), numbers),
        "two classes": (((4,), 1, False), classes[:, np.newaxis] > 1),
        "three classes": (((3, 3), 3, True), classes),
    }


def keras_arrays():
    import keras

    X, _, _ = make_data()
    arrays = {}
    for name, network in (NETWORKS | UNEQUAL).items():
        keras.utils.set_random_seed(0)
        model = keras_model(*network)
        outputs = model.predict(X.astype(np.float32), verbose=0)
        arrays |= named_arrays(name, model.get_weights(), outputs=outputs)
    return arrays


if __name__ == "__main__":
    framework = sys.argv[1]
    arrays = {"torch": torch_arrays, "keras": keras_arrays}[framework]()
    arrays["version"] = np.array(sys.modules[framework].__version__)
    np.savez_compressed(DATA / f"{framework}.npz", **arrays)
