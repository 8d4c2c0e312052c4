"""Each loss, and its counterpart in the slow reference."""

from support import reference_lstm as reference

from sklstm.nn import (
    AbsoluteError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    MultiPinballLoss,
    PinballLoss,
    Poisson,
    SquaredError,
)

LOSSES = {
    "squared_error": (SquaredError(), reference.squared_error),
    "absolute_error": (AbsoluteError(), reference.absolute_error),
    "huber": (Huber(), reference.huber),
    "quantile": (PinballLoss(0.3), reference.pinball(0.3)),
    "quantiles": (MultiPinballLoss((0.2, 0.7)), reference.multi_pinball((0.2, 0.7))),
    "poisson": (Poisson(), reference.poisson),
    "categorical": (CategoricalCrossEntropy(), reference.categorical_cross_entropy),
    "binary": (BinaryCrossEntropy(), reference.binary_cross_entropy),
}
