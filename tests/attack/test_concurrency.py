"""Threads that predict, fit and read while another one refits."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from support.data import ESTIMATORS, make_target, quick

from sklstm import LSTMRegressor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


# Two models that differ in everything, and the shape of their W_h.
OPTIONS = [
    {"hidden_layer_sizes": 3, "max_iter": 1},
    {"hidden_layer_sizes": (4, 2), "max_iter": 2, "pooling": "mean", "linear_skip": 2},
]
SHAPES = {(12, 3), (16, 4)}


class Readers:
    """Threads that read from an estimator until the end of the context."""

    def __init__(self, read, n_threads=3):
        self.read, self.seen, self.errors, self.may_end = read, set(), [], threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(n_threads)]

    def _run(self):
        try:
            while not self.may_end.is_set():
                self.seen.add(self.read())
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.may_end.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("form", ["dense", "frame"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_readers_see_the_old_model_or_the_new_one_while_another_thread_fits(cls, form, rounds):
    X = np.random.RandomState(0).normal(size=(60, 5, 2))
    targets = [make_target(cls, X), make_target(cls, X[::-1])]
    if form == "frame":
        X = pd.DataFrame(X.reshape(60, -1), columns=[f"column {k}" for k in range(10)])
    estimator = quick(cls, timesteps=5)

    def fit(k):
        return estimator.set_params(**OPTIONS[k]).fit(X, targets[k])

    def read():
        assert estimator.coefs_[1].shape in SHAPES
        return estimator.predict(X).tobytes()

    expected = {fit(k).predict(X).tobytes() for k in (1, 0)}
    assert len(expected) == 2
    with Readers(read) as readers:
        for number in range(rounds(10, 300)):
            fit(number % 2)
            if number % 3 == 0:  # a fit that is refused, and one that diverges
                with pytest.raises(ValueError, match="NaN"):
                    estimator.fit(X, np.full(60, np.nan))
                with pytest.raises(ValueError, match=r"diverged"):
                    estimator.set_params(learning_rate_init=1e300).fit(X, targets[0])
                estimator.set_params(learning_rate_init=0.01)
    assert not readers.errors
    assert readers.seen == expected


def test_fits_and_predictions_in_threads_have_the_bits_of_one_thread(rounds):
    X = np.random.RandomState(0).normal(size=(60, 5, 2))
    expected = quick(LSTMRegressor).fit(X, X[:, 0, 0])

    def fit(_):
        model = quick(LSTMRegressor).fit(X, X[:, 0, 0])
        return joblib.hash((model.coefs_, model.predict(X), model.predict_step(X[0, 0])))

    hashes = joblib.hash((expected.coefs_, expected.predict(X), expected.predict_step(X[0, 0])))
    with ThreadPoolExecutor(4) as executor:
        assert set(executor.map(fit, range(rounds(20, 400)))) == {hashes}


def test_a_warning_is_still_shown_after_fits_and_predictions_in_threads(rounds):
    X = np.random.RandomState(0).normal(size=(60, 5))

    def work(_):
        model = quick(LSTMRegressor, timesteps=5).fit(X, X[:, 0])
        for _ in range(10):
            model.predict(X)
        model.predict_step(X[0, :1])

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        with ThreadPoolExecutor(4) as executor:
            list(executor.map(work, range(rounds(20, 400))))
        with pytest.warns(DeprecationWarning, match="still shown"):
            warnings.warn("still shown", DeprecationWarning, stacklevel=1)
