"""Ctrl-C at any moment: what a call changes for the whole process is as it was before the call."""

import signal

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts"),
]

SCRIPT = """
import random, signal, sys, time, warnings
import joblib, numpy as np
from threadpoolctl import threadpool_info
from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.nn import threads

warnings.simplefilter("ignore")
n_rounds = int(sys.argv[1])
X = np.random.RandomState(0).normal(size=(60, 5, 2))
y = X[:, :, 0].sum(axis=1)
model = LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y)

def settings():
    blas = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
    # NumPy 1 keeps this in no context of its own: an interrupt in the very line that restores it
    # leaves it as it is (the docs say so).
    return np.getbufsize() if np.__version__ >= "2" else None, blas, threads._calls

def interrupt(*_):
    raise KeyboardInterrupt

def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

before = settings()
assert before[1:] == ({2}, {})
signal.signal(signal.SIGALRM, interrupt)
draw = random.Random(0).uniform
kept = n_interrupted = 0
for name, work in {
    "predict": lambda: model.predict(X),
    "predict_step": lambda: model.predict_step(X[0, 0]),
    "fit": lambda: LSTMRegressor(4, max_iter=2, random_state=0).fit(X, y),
    "refit": lambda: model.fit(X, y),
    "partial_fit": lambda: model.partial_fit(X, y),
}.items():
    length = min(seconds(work) for _ in range(5))
    for _ in range(n_rounds):
        expected = joblib.hash((model._model, model._training))
        try:
            signal.setitimer(signal.ITIMER_REAL, draw(1e-6, 1.2 * length))
            work()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt as error:
            kept = error  # and with it all the frames
            n_interrupted += 1
            assert settings() == before, (name, settings())
            if name in ("predict", "predict_step", "fit"):
                assert joblib.hash((model._model, model._training)) == expected
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert np.isfinite(model.predict(X)).all()
assert n_interrupted > n_rounds, n_interrupted
print(n_interrupted)
"""


def test_an_interrupt_at_any_moment_leaves_blas_and_the_model_as_they_were(run_script, rounds):
    run_script(SCRIPT, rounds(25, 1000))
