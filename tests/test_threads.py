"""Threads: as many as the caller allows, and no change of a bit."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sklstm import LSTMRegressor
from sklstm.nn import Adam, SquaredError
from sklstm.nn.layer import BackwardRun, unbuffered
from sklstm.nn.network import Network, Workspace
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.sequences import DenseSequences
from sklstm.nn.threads import Threads, one_blas_thread
from sklstm.nn.training import Trainer, TrainingSet, predict_raw
from sklstm.nn.tuning import Tuning


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


@pytest.mark.parametrize("allowed", [1, 2])
def test_as_many_threads_as_the_caller_allows(allowed):
    with threadpool_limits(allowed, user_api="blas"):
        with one_blas_thread() as threads:
            assert threads.n_threads == allowed
            assert set(blas_threads()) == {1}
            with one_blas_thread() as inner:
                assert inner.n_threads == 1
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {allowed}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_results_are_in_order_and_errors_come_through(n_threads):
    threads = Threads(n_threads)
    assert threads.map(lambda x: x * x, range(5)) == [0, 1, 4, 9, 16]
    assert threads.submit(lambda x: x + 1, 1)() == 2
    with pytest.raises(ZeroDivisionError):
        threads.map(lambda x: 1 / x, [1, 0])
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda x: 1 / x, 0)()
    threads.close()


def test_when_the_first_item_fails_the_others_have_ended():
    threads, may_end, ended = Threads(2), threading.Event(), []

    def run(item):
        if item == 0:
            threading.Timer(0.2, may_end.set).start()
            raise ZeroDivisionError
        may_end.wait(60)
        ended.append(item)

    with pytest.raises(ZeroDivisionError):
        threads.map(run, range(3))
    assert ended == [1, 2]
    threads.close()


def test_what_the_other_thread_has_not_begun_the_caller_does():
    threads, may_end = Threads(2), threading.Event()
    first = threads.submit(lambda _: (may_end.wait(60), threading.get_ident()), None)
    second = threads.submit(lambda _: threading.get_ident(), None)
    assert second() == threading.get_ident()
    may_end.set()
    was_told, where = first()
    assert was_told
    assert where != threading.get_ident()
    threads.close()


@pytest.mark.parametrize("lengths", [[20] * 70, [20] * 30 + [7] * 30 + [3] * 9 + [0]])
def test_backward_in_two_threads_gives_the_same_bits(lengths):
    rng = np.random.RandomState(0)
    network = Network(2, (64, 80), 1)
    parameters = network.initialize(rng)
    x = rng.normal(size=(max(lengths), 2, len(lengths)))
    batch = Batch(x, Packing.from_lengths(np.array(lengths)))
    target, weights = rng.normal(size=(1, len(lengths))), np.ones(len(lengths))
    gradients = []
    with one_blas_thread():
        for n_threads in (1, 2):
            threads, gradient = Threads(n_threads), np.zeros_like(parameters)
            workspace = Workspace(network, parameters.dtype, tuning=Tuning(min_threaded_sum=0))
            for _ in range(5):  # a race would not show every time
                network.add_gradient(
                    parameters,
                    batch,
                    target,
                    weights,
                    SquaredError(),
                    gradient,
                    workspace,
                    submit=threads.submit,
                )
            threads.close()
            gradients.append(gradient)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_error_of_a_failing_chunk_is_raised(n_threads, monkeypatch):
    rng = np.random.RandomState(0)
    network = Network(2, (64,), 1)
    parameters = network.initialize(rng)
    batch = Batch(rng.normal(size=(20, 2, 70)), Packing.equal(20, 70))
    weight_gradient, n_calls = BackwardRun.weight_gradient, 0

    def fail_at_first(*args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            raise MemoryError("full")
        return weight_gradient(*args)

    monkeypatch.setattr(BackwardRun, "weight_gradient", fail_at_first)
    threads = Threads(n_threads)
    with pytest.raises(MemoryError, match="full"):
        network.add_gradient(
            parameters,
            batch,
            np.zeros((1, 70)),
            np.ones(70),
            SquaredError(),
            np.zeros_like(parameters),
            Workspace(network, parameters.dtype, tuning=Tuning(min_threaded_sum=0)),
            submit=threads.submit,
        )
    threads.close()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_side_thread_treats_overflow_as_the_caller_does(n_threads):
    threads = Threads(n_threads)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        threads.submit(np.exp, np.array(1e3))()
    with np.errstate(over="ignore"):
        assert threads.submit(np.exp, np.array(1e3))() == np.inf
    threads.close()


@pytest.mark.parametrize(("batch_size", "n_columns"), [(64, 1000), (64, 20), (63, 40), (2, 1000)])
def test_training_in_two_lanes_gives_the_same_bits(batch_size, n_columns, monkeypatch):
    monkeypatch.setattr("sklstm.nn.training._MIN_LANES", 0)
    monkeypatch.setattr(Network, "n_columns", lambda *args: n_columns)
    rng = np.random.RandomState(0)
    network = Network(2, (20, 10), 1)
    start = network.initialize(rng)
    n_samples = 150
    data = TrainingSet(
        DenseSequences(rng.normal(size=(n_samples, 7, 2)), has_missing=False),
        np.arange(n_samples),
        rng.normal(size=(1, n_samples)),
        rng.uniform(size=n_samples),
        np.ones(n_samples),
    )
    trained = []
    with one_blas_thread():
        for n_threads in (1, 2, 3):
            threads, parameters = Threads(n_threads), start.copy()
            trainer = Trainer(
                network=network,
                loss=SquaredError(),
                batch_size=batch_size,
                alpha=1e-4,
                max_grad_norm=1.0,
                shuffle=True,
                dropout=0.3,
                recurrent_dropout=0.3,
                threads=threads,
                dtype=start.dtype,
            )
            adam = Adam(len(start), start.dtype)
            trainer.epoch(data, parameters, adam, 0.01, np.random.RandomState(0))
            threads.close()
            trained.append(parameters)
    assert not np.array_equal(start, trained[0])
    np.testing.assert_array_equal(trained[0], trained[1])
    np.testing.assert_array_equal(trained[0], trained[2])


@pytest.mark.filterwarnings("ignore:.*not converged")
def test_two_lanes_have_the_gradient_of_one(monkeypatch):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(150, 7, 2)), rng.normal(size=150)
    curves = []
    for bound in (0, 1 << 40):
        monkeypatch.setattr("sklstm.nn.training._MIN_LANES", bound)
        curves.append(LSTMRegressor(8, max_iter=3, random_state=0).fit(X, y).loss_curve_)
    np.testing.assert_allclose(*curves, rtol=1e-9)


def test_a_prediction_in_two_threads_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr("sklstm.nn.training._MIN_THREADED", 0)
    rng = np.random.RandomState(0)
    network = Network(2, (20,), 1)
    parameters = network.initialize(rng)
    sequences = DenseSequences(rng.normal(size=(1000, 7, 2)), has_missing=False)
    raw = []
    with one_blas_thread():
        for n_threads in (1, 2, 3):
            threads = Threads(n_threads)
            raw.append(predict_raw(network, parameters, sequences, threads))
            threads.close()
    assert raw[0].shape == (1, 1000)
    np.testing.assert_array_equal(raw[0], raw[1])
    np.testing.assert_array_equal(raw[0], raw[2])


@pytest.mark.parametrize("least_lanes", [0, 1 << 40])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_settings_of_numpy_are_left_as_they_were(least_lanes, monkeypatch):
    monkeypatch.setattr("sklstm.nn.training._MIN_LANES", least_lanes)
    X = np.random.RandomState(0).normal(size=(30, 4, 2))

    def now():
        return np.geterr(), np.getbufsize(), blas_threads()

    before = now()
    estimator = LSTMRegressor(4, max_iter=2, n_iter_no_change=5)
    estimator.fit(X, X[:, 0, 0]).predict(X)
    assert now() == before
    with pytest.raises(ValueError, match="diverged"):
        estimator.set_params(learning_rate_init=1e300).fit(X, X[:, 0, 0])
    assert now() == before


def test_the_buffer_of_numpy_is_restored_after_an_error():
    before = np.getbufsize()

    def fail():
        assert np.getbufsize() != before
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), unbuffered():
        fail()
    assert np.getbufsize() == before


def test_blas_is_limited_in_every_thread_and_restored_in_any_order():
    """Also where threadpoolctl obeys one thread only, and the first in is the first out."""

    def enter_and_leave(entered, may_leave):
        with one_blas_thread():
            seen.append(blas_threads())
            entered.set()
            may_leave.wait(60)

    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread():  # the main thread is the first to set a limit
            pass
        seen, events = [], [(threading.Event(), threading.Event()) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:  # whose threads stay alive
            ends = []
            for entered, may_leave in events:
                ends.append(pool.submit(enter_and_leave, entered, may_leave))
                entered.wait(60)
            for end, (_, may_leave) in zip(ends, events, strict=True):
                may_leave.set()
                end.result(60)
            restored = blas_threads()
        assert {n for numbers in seen for n in numbers} == {1}
        assert set(restored) == {2}


@pytest.mark.parametrize("submit", [None, Threads(1).submit])
def test_a_failing_sum_leaves_the_workspace_usable(submit, monkeypatch):
    rng = np.random.RandomState(0)
    network = Network(2, (4,), 1)
    parameters = network.initialize(rng)
    batch = Batch(rng.normal(size=(8, 2, 5)), Packing.equal(8, 5))
    workspace = Workspace(network, parameters.dtype, tuning=Tuning(min_threaded_sum=0))
    arguments = np.zeros((1, 5)), np.ones(5)

    def gradient():
        found = np.zeros_like(parameters)
        network.add_gradient(
            parameters, batch, *arguments, SquaredError(), found, workspace, submit=submit
        )
        return found

    expected = gradient()
    with monkeypatch.context() as patch:
        patch.setattr("sklstm.nn.layer._side_by_side", lambda *args: 1 / 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                gradient()
    np.testing.assert_array_equal(gradient(), expected)


def test_batches_in_one_workspace_do_not_affect_each_other():
    one_step_per_chunk = Tuning(forward_chunk=1)
    rng = np.random.RandomState(0)
    network = Network(2, (4, 3), 1, bidirectional=True)
    parameters = network.initialize(rng)
    packing = Packing.from_lengths(np.array([9, 9, 4, 2, 0]))
    arguments = np.zeros((1, 5)), np.ones(5), SquaredError()

    def gradient(x, workspace):
        found = np.zeros_like(parameters)
        network.add_gradient(parameters, Batch(x, packing), *arguments, found, workspace)
        return found

    shared = Workspace(network, parameters.dtype, tuning=one_step_per_chunk)
    for x in rng.normal(size=(3, 9, 2, 5)):
        workspace = Workspace(network, parameters.dtype, tuning=one_step_per_chunk)
        alone = gradient(x, workspace)
        np.testing.assert_array_equal(gradient(x, shared), alone)
