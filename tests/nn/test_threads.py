"""Threads: as many as the caller allows, results in order, and settings that are restored."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklstm import LSTMRegressor
from sklstm.nn.threads import ThreadPool, single_threaded_blas

# Seconds after which a test fails that waits for another thread.
TIMEOUT = 300


def blas_threads():
    """Return the numbers of threads that the BLAS libraries may use."""
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.fixture(params=[1, 2])
def pool(request):
    with ThreadPool(request.param) as pool:
        yield pool


@pytest.fixture
def two_threads():
    with ThreadPool(2) as pool:
        yield pool


# The pool.


def test_map_returns_results_in_the_order_of_the_items(pool):
    assert pool.map(lambda x: x * x, range(5)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("items", [[1, 0], [0, 1]], ids=["other thread", "calling thread"])
def test_map_raises_the_error_of_an_item(pool, items):
    with pytest.raises(ZeroDivisionError):
        pool.map(lambda x: 1 / x, items)


def test_map_waits_for_all_items_if_the_first_one_fails(two_threads):
    may_end, ended = threading.Event(), []

    def run(item):
        if item == 0:
            threading.Timer(0.2, may_end.set).start()
            raise ZeroDivisionError
        assert may_end.wait(TIMEOUT)
        ended.append(item)

    with pytest.raises(ZeroDivisionError):
        two_threads.map(run, range(3))
    assert ended == [1, 2]


def test_submit_returns_a_function_that_returns_the_result(pool):
    assert pool.submit(lambda x: x + 1, 1)() == 2


def test_submit_raises_the_error_when_the_result_is_requested(pool):
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda x: 1 / x, 0)()


def test_the_caller_computes_what_the_other_thread_has_not_started(two_threads):
    may_end = threading.Event()
    first = two_threads.submit(lambda _: (may_end.wait(TIMEOUT), threading.get_ident()), None)
    second = two_threads.submit(lambda _: threading.get_ident(), None)
    assert second() == threading.get_ident()
    may_end.set()
    was_set, where = first()
    assert was_set
    assert where != threading.get_ident()


def test_submit_uses_the_floating_point_settings_of_the_caller(pool):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        pool.submit(np.exp, np.array(1e3))()
    with np.errstate(over="ignore"):
        assert pool.submit(np.exp, np.array(1e3))() == np.inf


def test_leaving_the_pool_ends_its_threads():
    before = threading.active_count()
    with ThreadPool(3) as pool:
        pool.map(lambda x: x, range(3))
        pool.submit(lambda x: x, 0)()
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_a_pool_of_one_thread_starts_no_thread():
    before = threading.active_count()
    with ThreadPool(1) as pool:
        assert set(pool.map(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}
        assert pool.submit(lambda _: threading.get_ident(), 0)() == threading.get_ident()
        assert threading.active_count() == before


# BLAS.


@pytest.mark.parametrize("allowed", [1, 2])
def test_blas_is_single_threaded_and_the_caller_gets_its_number_of_threads(allowed):
    with threadpool_limits(allowed, user_api="blas"):
        with single_threaded_blas() as n_threads:
            assert n_threads == allowed
            assert blas_threads() == {1}
            with single_threaded_blas() as n_threads:
                assert n_threads == 1
            assert blas_threads() == {1}
        assert blas_threads() == {allowed}


def test_blas_is_limited_in_every_thread_and_restored_by_the_last_one():
    """Even though threadpoolctl obeys one thread only, and the first to enter leaves first."""

    def enter_and_leave(entered, may_leave):
        with single_threaded_blas():
            seen.append(blas_threads())
            entered.set()
            assert may_leave.wait(TIMEOUT)

    with threadpool_limits(2, user_api="blas"):
        with single_threaded_blas():  # the main thread is the first to set a limit
            pass
        seen, events = [], [(threading.Event(), threading.Event()) for _ in range(2)]
        with ThreadPoolExecutor(2) as executor:  # whose threads stay alive
            ends = []
            for entered, may_leave in events:
                ends.append(executor.submit(enter_and_leave, entered, may_leave))
                assert entered.wait(TIMEOUT)
            for end, (_, may_leave) in zip(ends, events, strict=True):
                may_leave.set()
                end.result(TIMEOUT)
            restored = blas_threads()
        assert seen == [{1}, {1}]
        assert restored == {2}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_units", [4, 128], ids=["one lane", "two lanes"])
def test_fit_and_predict_restore_the_settings_of_numpy_and_blas(n_units):
    X = np.random.RandomState(0).normal(size=(64, 4, 2))

    def settings():
        return np.geterr(), np.getbufsize(), blas_threads()

    before = settings()
    estimator = LSTMRegressor(n_units, max_iter=2, batch_size=64)
    estimator.fit(X, X[:, 0, 0]).predict(X)
    assert settings() == before
    with pytest.raises(ValueError, match="diverged"):
        estimator.set_params(learning_rate_init=1e300).fit(X, X[:, 0, 0])
    assert settings() == before
