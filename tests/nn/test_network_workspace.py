"""Workspaces: batches and failures leave nothing behind, and a second thread changes no bit."""

from collections import deque

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from sklstm.nn import SquaredError
from sklstm.nn.backpropagation import BackwardRun
from sklstm.nn.layer import unbuffered
from sklstm.nn.network import Network, Workspace
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.threads import ThreadPool
from sklstm.nn.tuning import Tuning

# A second thread computes weight gradients however small they are.
ALWAYS_THREADED = Tuning(min_threaded_sum=0)


class Problem:
    """A network, random parameters and a random batch of sequences of the given lengths."""

    def __init__(self, lengths, hidden_layer_sizes, **params):
        rng = np.random.RandomState(0)
        self.network = Network(2, hidden_layer_sizes, 1, **params)
        self.parameters = self.network.initialize(rng)
        self.packing = Packing.from_lengths(np.array(lengths))
        self.x = rng.normal(size=(max(lengths), 2, len(lengths)))
        self.target, self.weights = rng.normal(size=(1, len(lengths))), np.ones(len(lengths))

    def workspace(self, tuning=ALWAYS_THREADED):
        return Workspace(self.network, self.parameters.dtype, tuning=tuning)

    def gradient(self, workspace, submit=None, x=None):
        """Compute the gradient of the batch, or of another batch of the same lengths."""
        gradient = np.zeros_like(self.parameters)
        batch = Batch(self.x if x is None else x, self.packing)
        loss = SquaredError()
        arguments = batch, self.target, self.weights, loss, gradient, workspace
        self.network.add_gradient(self.parameters, *arguments, submit=submit)
        return gradient


@pytest.mark.parametrize("lengths", [[20] * 70, [20] * 30 + [7] * 30 + [3] * 9 + [0]])
def test_weight_gradients_in_a_second_thread_have_the_same_bits(lengths):
    problem = Problem(lengths, (64, 80))
    gradients = []
    with threadpool_limits(1, user_api="blas"):
        for n_threads in (1, 2):
            with ThreadPool(n_threads) as pool:
                workspace = problem.workspace()
                # Several times, since a race would not show every time.
                gradients += [problem.gradient(workspace, pool.submit) for _ in range(5)]
    for gradient in gradients:
        assert_array_equal(gradient, gradients[0])


def test_batches_in_one_workspace_do_not_affect_each_other():
    problem = Problem([9, 9, 4, 2, 0], (4, 3), bidirectional=True)
    one_step_per_chunk = Tuning(forward_chunk=1)
    shared = problem.workspace(one_step_per_chunk)
    for x in np.random.RandomState(1).normal(size=(3, *problem.x.shape)):
        alone = problem.gradient(problem.workspace(one_step_per_chunk), x=x)
        assert_array_equal(problem.gradient(shared, x=x), alone)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_error_of_a_weight_gradient_is_raised_and_the_workspace_stays_usable(
    n_threads, monkeypatch
):
    problem = Problem([20] * 70, (64,))
    workspace = problem.workspace()
    expected = problem.gradient(workspace)
    weight_gradient = BackwardRun.weight_gradient

    def fail_in_first_chunk(run, chunk, room):
        if chunk == run.chunks[0]:
            raise MemoryError("full")
        return weight_gradient(run, chunk, room)

    with ThreadPool(n_threads) as pool:
        for _ in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(BackwardRun, "weight_gradient", fail_in_first_chunk)
                with pytest.raises(MemoryError, match="full"):
                    problem.gradient(workspace, pool.submit)
        assert_array_equal(problem.gradient(workspace, pool.submit), expected)


def test_a_weight_gradient_that_fails_returns_its_scratch_array():
    n_steps, n_inputs, n_units, width = 3, 2, 4, 5
    tape = np.zeros((n_steps, 6 * n_units, width))
    run = BackwardRun(tape, np.zeros((n_steps, n_inputs + n_units + 1, width)))
    too_small = np.empty(1)
    room = deque([too_small])
    with pytest.raises(ValueError, match="reshape"):
        run.weight_gradient(run.chunks[0], room)
    assert room[0] is too_small


def test_unbuffered_restores_the_buffer_size_after_an_error():
    before = np.getbufsize()

    def fail():
        assert np.getbufsize() != before
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), unbuffered():
        fail()
    assert np.getbufsize() == before
