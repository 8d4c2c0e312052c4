"""Make every_step_torch.npz: an LSTM of PyTorch with a label at each time step.

Run it in an environment of its own, from this directory::

    pip install torch
    python make_every_step_lstm.py

A bidirectional layer of 4 units over sequences of 3 features and 6, 4 and 1 steps, and a head of 3
classes, in float64. ``x`` is (n_samples, n_timesteps, n_features), the steps behind the end of a
shorter sequence are NaN. ``labels``, (n_samples, n_timesteps), are -1 there and at two steps that
are not labelled. The file holds them, ``lengths``, ``versions``, and:

- the weights under PyTorch's names and in its layout, with the gates i, f, g, o along the first
  axis and two biases;
- ``log_proba``: the logarithm of the probabilities at each step, (n_samples, n_timesteps, 3), NaN
  behind the end;
- ``loss``: the sum of the cross-entropy over the labelled steps, and the gradient by each of the
  weights under its name with ``d_`` in front.
"""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

N_FEATURES, N_UNITS, N_CLASSES, LENGTHS = 3, 4, 3, (6, 4, 1)

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
sequences = [rng.normal(size=(length, N_FEATURES)) for length in LENGTHS]
x = np.full((len(LENGTHS), max(LENGTHS), N_FEATURES), np.nan)
labels = np.full((len(LENGTHS), max(LENGTHS)), -1)
for row, label_row, sequence in zip(x, labels, sequences, strict=True):
    row[: len(sequence)] = sequence
    label_row[: len(sequence)] = rng.integers(N_CLASSES, size=len(sequence))
labels[0, 2] = labels[1, 3] = -1

layer = torch.nn.LSTM(N_FEATURES, N_UNITS, bidirectional=True)
head = torch.nn.Linear(2 * N_UNITS, N_CLASSES)
parameters = dict(layer.named_parameters())
parameters |= {f"head_{name}": parameter for name, parameter in head.named_parameters()}
for parameter in parameters.values():
    # Weights that take the gates off the middle of their range.
    parameter.data = torch.from_numpy(rng.normal(size=parameter.shape) * 0.5)

states, _ = layer(pack_sequence([torch.from_numpy(sequence) for sequence in sequences]))
states, _ = pad_packed_sequence(states, batch_first=True)
log_proba = head(states).log_softmax(dim=-1)
loss = torch.nn.functional.nll_loss(
    log_proba.reshape(-1, N_CLASSES),
    torch.from_numpy(labels.ravel()),
    ignore_index=-1,
    reduction="sum",
)
loss.backward()
log_proba = log_proba.detach().numpy()
log_proba[np.isnan(x).all(axis=2)] = np.nan

versions = f"torch {torch.__version__}, numpy {np.__version__}"
np.savez_compressed(
    "every_step_torch.npz",
    versions=versions,
    lengths=np.array(LENGTHS),
    x=x,
    labels=labels,
    log_proba=log_proba,
    loss=loss.detach().numpy(),
    **{name: parameter.detach().numpy() for name, parameter in parameters.items()},
    **{f"d_{name}": parameter.grad.numpy() for name, parameter in parameters.items()},
)
print(versions)
