"""The LSTM in plain NumPy: a cell, a layer over time, losses, Adam and the initialisers.

Nothing here uses scikit-learn, and importing it imports nothing but NumPy. The network, the buffers
and the training loop are in the modules of this package and are not public.
"""

from sklstm.nn.cell import lstm_cell, sigmoid
from sklstm.nn.functional import lstm
from sklstm.nn.initializers import glorot_uniform, lstm_biases, orthogonal
from sklstm.nn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    MultiPinballLoss,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.optimizers import Adam, clip_by_global_norm
from sklstm.nn.windows import Windows

__all__ = [
    "AbsoluteError",
    "Adam",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Huber",
    "MultiPinballLoss",
    "PinballLoss",
    "Poisson",
    "SquaredError",
    "Windows",
    "clip_by_global_norm",
    "glorot_uniform",
    "lstm",
    "lstm_biases",
    "lstm_cell",
    "orthogonal",
    "sigmoid",
]
