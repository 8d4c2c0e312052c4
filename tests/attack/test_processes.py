"""Forks beside threads that compute, and fits while the process ends."""

import os

import pytest

pytestmark = pytest.mark.slow
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PREAMBLE = """
import os, signal, sys, threading, warnings
import numpy as np
from threadpoolctl import threadpool_info
from sklstm import LSTMRegressor
from sklstm.nn.threads import call_with_pool

warnings.simplefilter("ignore")
n_rounds = int(sys.argv[1])
X = np.random.RandomState(0).normal(size=(100, 6, 2))
y = X[:, :, 0].sum(axis=1)

def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

def make():
    return LSTMRegressor(4, max_iter=2, random_state=0)

model = make().fit(X, y)
expected = model.predict(X)
assert blas_threads() == {2}

def fork(check):
    '''Run a check in a forked child, which is killed after 20 seconds.'''
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(20)
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status == 0, ("the child failed or hung", status)

def beside(work):
    '''Start a thread that works again and again.'''
    started = threading.Event()
    def run():
        while True:
            work()
            started.set()
    threading.Thread(target=run, daemon=True).start()
    started.wait()
"""


@needs_fork
def test_a_child_forked_beside_a_thread_that_predicts_can_predict_and_fit(run_script, rounds):
    run_script(
        PREAMBLE
        + """
beside(lambda: model.predict_step(X[0, 0]))

def check():
    assert blas_threads() == {2}
    assert (model.predict(X) == expected).all()
    thread = threading.Thread(target=lambda: make().fit(X, y))
    thread.start()
    thread.join()
    assert (make().fit(X, y).predict(X) == expected).all()
    assert blas_threads() == {2}

for _ in range(n_rounds):
    fork(check)
""",
        rounds(8, 300),
    )


@needs_fork
def test_a_child_forked_beside_a_thread_that_fits_has_all_threads_of_blas(run_script, rounds):
    run_script(
        PREAMBLE
        + """
beside(lambda: make().fit(X, y))

def check():
    assert blas_threads() == {2}
    fork(lambda: model.predict(X))  # a child of a child
    assert (make().fit(X, y).predict(X) == expected).all()
    assert blas_threads() == {2}

for _ in range(n_rounds):
    fork(check)
""",
        rounds(5, 150),
    )


@needs_fork
def test_a_child_forked_by_a_thread_that_computes_goes_on_without_the_other_threads(run_script):
    run_script(
        PREAMBLE
        + """
def compute(pool):
    assert pool.map(abs, [-1, -2]) == [1, 2]
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
    else:
        signal.alarm(20)
        assert blas_threads() == {1}
    assert pool.map(abs, [-1, -2]) == [1, 2]
    return child

child = call_with_pool(compute)
assert blas_threads() == {2}
assert (model.predict(X) == expected).all()
if child == 0:
    os._exit(0)
""",
        0,
    )


FIT = """
import atexit, sys, threading, time, warnings
import numpy as np
from sklstm import LSTMRegressor

warnings.simplefilter("ignore")
X = np.random.RandomState(0).normal(size=(128, 40, 2))

def fit():
    # One network whose lanes, and one whose sums are computed in a second thread.
    print([
        LSTMRegressor(n, max_iter=1, batch_size=n // 2, random_state=0).fit(X, X[:, 0, 0]).loss_
        for n in (128, 64)
    ])
"""


def test_a_fit_that_can_start_no_thread_has_the_same_bits(run_script):
    """At the limit of the system, after the end of the main thread, and in ``atexit``."""
    printed = run_script(
        FIT
        + """
fit()
threading.stack_size(1 << 46)  # more than there is address space
fit()
threading.stack_size(0)

def wait_and_fit():
    threading.main_thread().join()
    time.sleep(0.1)
    fit()

threading.Thread(target=wait_and_fit).start()
atexit.register(fit)
"""
    )
    expected, *others = printed.splitlines()
    assert "0." in expected
    assert others == [expected] * 3
