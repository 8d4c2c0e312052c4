"""The LSTM itself, in NumPy alone: a cell, a layer, a network, losses, Adam, initialisation.

Nothing here knows of scikit-learn, and importing it imports nothing but NumPy.
"""

from sklstm.nn.cell import lstm_cell, sigmoid
from sklstm.nn.initializers import glorot_uniform, lstm_biases, orthogonal
from sklstm.nn.layer import lstm
from sklstm.nn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.network import Masks, Network, Workspace
from sklstm.nn.optimizers import Adam, clip_by_global_norm
from sklstm.nn.packing import Batch, Packing

__all__ = [
    "AbsoluteError",
    "Adam",
    "Batch",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Huber",
    "Masks",
    "Network",
    "Packing",
    "PinballLoss",
    "Poisson",
    "SquaredError",
    "Workspace",
    "clip_by_global_norm",
    "glorot_uniform",
    "lstm",
    "lstm_biases",
    "lstm_cell",
    "orthogonal",
    "sigmoid",
]
