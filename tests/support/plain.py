"""Estimators that are nothing but LSTM layers and a dense head, as other libraries have them."""

from support.data import quick

# Without the linear part, without pooling over time, and trained to the last epoch on all samples.
PLAIN = {"linear_skip": 0, "pooling": "last", "early_stopping": False}


def plain(cls, **params):
    """Return a quick estimator of the plain network."""
    return quick(cls, **PLAIN | params)
