"""Small data and quick estimators that several test files use."""

import os
import subprocess
import sys

import joblib
import numpy as np

from sklstm import LSTMClassifier, LSTMRegressor

ESTIMATORS = [LSTMRegressor, LSTMClassifier]

# The forms that sequences come in. They hold the same values, but that of "missing" some steps
# are NaN, and of "ragged" those steps are not there.
FORMS = ["dense", "missing", "ragged"]


def quick(cls, **params):
    """Return an estimator that trains for a few epochs, of a few batches each."""
    return cls(
        **{"hidden_layer_sizes": 4, "batch_size": 8, "max_iter": 3, "random_state": 0} | params
    )


def make_sequences(form, n_samples=20, n_timesteps=5, n_features=2, dtype=np.float64, seed=0):
    """Sequences of normal noise in one of the FORMS."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_samples, n_timesteps, n_features)).astype(dtype)
    present = rng.uniform(size=(n_samples, n_timesteps)) < 0.7
    if form == "dense":
        return X
    X[~present] = np.nan
    return X if form == "missing" else without_missing(X)


def without_missing(X):
    """Sequences of different lengths, in which the missing steps have been left out."""
    return [sequence[~np.isnan(sequence).all(axis=1)] for sequence in X]


def make_target(cls, X):
    """Return a target that depends on every step: a sum, or the third that it falls into."""
    total = np.array([np.nansum(sequence) for sequence in X])
    if issubclass(cls, LSTMRegressor):
        return total
    return np.array(["low", "mid", "top"])[np.digitize(total, np.quantile(total, [1 / 3, 2 / 3]))]


def partial_fit(estimator, X, y, **params):
    """Call partial_fit in the way that serves regressors and classifiers, first call or not."""
    if isinstance(estimator, LSTMClassifier) and not hasattr(estimator, "classes_"):
        params.setdefault("classes", np.unique(y))
    return estimator.partial_fit(X, y, **params)


def outputs(estimator, X):
    """Return what the network says: predictions, or probabilities where there are classes."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def assert_same_fit(a, b):
    """Two fitted estimators have learned the same, bit for bit."""
    for ours, theirs in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for name in ("skip_coef_", "skip_mean_", "skip_scale_"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), strict=True)
    assert a.loss_curve_ == b.loss_curve_
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)


def run_python(*arguments, cwd):
    """Run a Python of its own, which can import what this one can; return what it prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=True, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True
    ).stdout


class Unchanged:
    """Within this context an estimator and some arrays change in nothing.

    Neither does an attribute come, go or turn into another object, nor is one changed in place.
    """

    def __init__(self, estimator, *arrays):
        self.estimator, self.arrays = estimator, arrays

    def __enter__(self):
        self.before = dict(vars(self.estimator))
        self.hashes = self._hashes()

    def __exit__(self, *exception):
        after = vars(self.estimator)
        assert after.keys() == self.before.keys()
        assert all(after[name] is value for name, value in self.before.items())
        assert self._hashes() == self.hashes

    def _hashes(self):
        return joblib.hash((vars(self.estimator), self.arrays))
