"""The models of the accuracy benchmark, and the settings that they share."""

import math
from functools import partial

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ALPHAS = np.logspace(-3, 4, 15)
# The plain network: nothing beside the LSTM, and training until the loss has converged.
PLAIN = {"linear_skip": 0, "pooling": "last", "early_stopping": False, "batch_size": 32}
# Most seeds of a model: of one that needs none, of a search, and of others.
ONE, FEW, ALL = 1, 3, math.inf
MLP = {"max_iter": 500}  # the default 200 epochs end before the loss does


def in_torch(estimator):
    """Return the same network in PyTorch, which only these models need."""
    from torch_lstm import TorchLSTM

    return TorchLSTM(estimator)


def beside_ridge(n_steps):
    """Return parameters of the plain network beside a ridge regression, stopped early."""
    return PLAIN | {"linear_skip": n_steps, "early_stopping": True}


def standardised(model):
    """Standardise the target, as LSTMRegressor does."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def linear_model(classify):
    if classify:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return make_pipeline(StandardScaler(), RidgeCV(ALPHAS))


def boosting(classify, seed):
    if classify:
        return HistGradientBoostingClassifier(random_state=seed)
    return HistGradientBoostingRegressor(random_state=seed)


boosting_regressor = partial(boosting, False)


def boosting_of_each(seed):
    """Return a model for each of several targets."""
    return MultiOutputRegressor(boosting_regressor(seed))


def mlp(classify, seed):
    if classify:
        return MLPClassifier(random_state=seed, **MLP)
    return standardised(MLPRegressor(random_state=seed, **MLP))
