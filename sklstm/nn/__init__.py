"""The LSTM itself, in NumPy alone: a cell, a layer, a network, losses, Adam, initialisation.

Nothing here knows of scikit-learn, and importing it imports nothing but NumPy.
"""

from sklstm.nn.cell import lstm_cell, sigmoid
from sklstm.nn.initializers import glorot_uniform, lstm_biases, orthogonal
from sklstm.nn.layer import Packing, lstm
from sklstm.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, SquaredError
from sklstm.nn.network import Batch, Network, Workspace
from sklstm.nn.optimizers import Adam, clip_by_global_norm

__all__ = [
    "Adam",
    "Batch",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Network",
    "Packing",
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
