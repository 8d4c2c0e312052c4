"""Threads: as many as the caller allows, results in order, and settings that are restored."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.data import assert_same_fit
from support.interrupts import InterruptAt
from threadpoolctl import threadpool_info, threadpool_limits

from sklstm import LSTMRegressor
from sklstm.nn import threads
from sklstm.nn.layer import unbuffered
from sklstm.nn.threads import ThreadPool, call_with_pool

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


def test_if_the_first_item_fails_map_waits_for_those_that_run_and_starts_no_other(two_threads):
    is_running, may_end, ended = threading.Event(), threading.Event(), []

    def run(item):
        if item == 0:
            assert is_running.wait(TIMEOUT)
            threading.Timer(0.2, may_end.set).start()
            raise ZeroDivisionError
        is_running.set()
        assert may_end.wait(TIMEOUT)
        ended.append(item)

    with pytest.raises(ZeroDivisionError):
        two_threads.map(run, range(3))
    assert ended == [1]
    assert two_threads.map(lambda x: x, range(3)) == [0, 1, 2]
    assert ended == [1]


def test_map_computes_in_the_calling_thread_what_no_other_has_begun(two_threads):
    has_begun, may_end = threading.Event(), threading.Event()

    def run(item):
        if item == 0:
            assert has_begun.wait(TIMEOUT)
        elif item == 1:
            has_begun.set()
            assert may_end.wait(TIMEOUT)
        elif item == 3:
            may_end.set()
        return threading.get_ident()

    first, second, *others = two_threads.map(run, range(4))
    assert second != first == others[1]


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


@pytest.fixture
def no_thread_can_start():
    threading.stack_size(1 << 46)  # more than there is address space
    yield
    threading.stack_size(0)


@pytest.mark.usefixtures("no_thread_can_start")
def test_where_no_thread_can_be_started_the_caller_computes():
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threading.Thread(target=print).start()
    with ThreadPool(3) as pool:
        assert pool.map(lambda x: (x, threading.get_ident()), range(4)) == [
            (x, threading.get_ident()) for x in range(4)
        ]
        results = [pool.submit(lambda x: x * x, x) for x in range(4)]
        assert [result() for result in results] == [0, 1, 4, 9]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_units", [64, 128], ids=["sums", "lanes"])
def test_a_fit_without_threads_has_the_same_bits(n_units, request):
    X = np.random.RandomState(0).normal(size=(128, 40, 2))

    def fit():
        estimator = LSTMRegressor(n_units, max_iter=2, batch_size=n_units // 2, random_state=0)
        with threadpool_limits(2, user_api="blas"):
            return estimator.fit(X, X[:, 0, 0])

    expected = fit()
    request.getfixturevalue("no_thread_can_start")
    assert_same_fit(fit(), expected)


# BLAS.


@pytest.mark.parametrize("allowed", [1, 2])
def test_blas_is_single_threaded_and_the_caller_gets_its_number_of_threads(allowed):
    def outer(pool):
        assert pool.n_threads == allowed
        assert blas_threads() == {1}
        call_with_pool(inner)
        assert blas_threads() == {1}

    def inner(pool):
        assert pool.n_threads == 1
        assert blas_threads() == {1}

    with threadpool_limits(allowed, user_api="blas"):
        call_with_pool(outer)
        assert blas_threads() == {allowed}


def test_the_call_returns_the_result_and_raises_the_error():
    assert call_with_pool(lambda pool: pool.n_threads > 0) is True
    with pytest.raises(ZeroDivisionError):
        call_with_pool(lambda pool: 1 / 0)


def test_blas_is_limited_in_every_thread_and_restored_by_the_last_one():
    """Even though threadpoolctl obeys one thread only, and the first to enter leaves first."""

    def enter_and_leave(entered, may_leave):
        def stay(_):
            seen.append(blas_threads())
            entered.set()
            assert may_leave.wait(TIMEOUT)

        call_with_pool(stay)

    with threadpool_limits(2, user_api="blas"):
        call_with_pool(lambda _: None)  # the main thread is the first to set a limit
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


# Interrupts.


def compute(pool):
    """Change what computing changes."""
    with np.errstate(all="ignore"), unbuffered():
        assert pool.map(lambda x: x, range(2)) == [0, 1]
        assert pool.submit(lambda x: x, 1)() == 1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupt_anywhere_leaves_nothing_changed(n_threads):
    modules = ("sklstm.nn.threads", "threadpoolctl")

    def settings():
        return np.geterr(), np.getbufsize(), blas_threads(), threads._calls

    kept = []  # the tracebacks and so the frames, as an interactive session keeps them
    with threadpool_limits(n_threads, user_api="blas"):
        call_with_pool(compute)
        before = settings()
        for number in range(1, 10_000):
            try:
                with InterruptAt(number, modules):
                    call_with_pool(compute)
            except KeyboardInterrupt as error:
                kept.append(error)
                assert settings() == before
            else:
                break
    assert number > 30  # so many places at least; how many there are depends on threadpoolctl


def test_no_call_waits_for_one_that_an_interrupt_has_stopped(request):
    seen = []

    def interrupt_everywhere():
        request.getfixturevalue("no_thread_can_start")  # so that this one makes all calls
        for number in range(1, 10_000):
            try:
                with InterruptAt(number, ("sklstm.nn.threads",)), ThreadPool(3) as pool:
                    pool.map(abs, range(4))
                    pool.submit(abs, 1)()
            except KeyboardInterrupt:
                seen.append(number)
            else:
                seen.append("end")
                break

    # In a thread, as it may hang; a profile function can interrupt any.
    thread = threading.Thread(target=interrupt_everywhere, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert seen[-1] == "end"
    assert len(seen) > 30


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 has its settings elsewhere")
def test_an_interrupt_in_the_settings_of_numpy_leaves_them_as_they_were():
    modules = ("sklstm.nn.threads", "numpy._core._ufunc_config", "sklstm.nn.layer", "contextlib")
    before = np.geterr(), np.getbufsize()
    for number in range(1, 10_000):
        try:
            with InterruptAt(number, modules):
                call_with_pool(compute)
        except KeyboardInterrupt:
            assert (np.geterr(), np.getbufsize()) == before
        else:
            break
    assert number > 50


def test_two_interrupts_leave_at_most_what_the_next_call_restores(monkeypatch):
    def interrupted(call):
        raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"):
        with monkeypatch.context() as patch:
            patch.setattr(threads, "_end", interrupted)
            with pytest.raises(KeyboardInterrupt):
                call_with_pool(lambda _: None)
        assert blas_threads() == {1}
        assert call_with_pool(lambda pool: pool.n_threads) == 2
        assert blas_threads() == {2}
        assert not threads._calls
