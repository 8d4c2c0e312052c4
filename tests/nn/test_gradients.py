"""Gradients of whole networks: equal to finite differences and to the slow reference.

The gradient check itself is tested too: it must fail on a wrong gradient.
"""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, complex_step, finite_differences
from support.losses import LOSSES
from threadpoolctl import threadpool_limits

from sklstm.nn import Adam
from sklstm.nn.network import Network, Workspace
from sklstm.nn.sequences import DenseSequences, RaggedSequences
from sklstm.nn.threads import ThreadPool
from sklstm.nn.training import Settings, Trainer, TrainingSet, _n_lanes
from sklstm.nn.tuning import DEFAULT_TUNING, Tuning

# All options of a network at once.
EVERY_OPTION = {"bidirectional": True, "dropout": 0.3, "recurrent_dropout": 0.4}


class Problem(NamedTuple):
    """A network, and samples that it is to learn."""

    network: Network
    loss: str
    parameters: np.ndarray  # (n_parameters,)
    samples: list  # of (n_timesteps_i, n_features); steps may be missing
    target: np.ndarray  # (n_outputs, n_samples)
    weights: np.ndarray  # (n_samples,)
    dropout: dict  # the two fractions, in training

    @classmethod
    def draw(
        cls,
        loss,
        lengths,
        hidden=(4,),
        n_outputs=2,
        n_features=2,
        weights=None,
        seed=0,
        bidirectional=False,
        dropout=0.0,
        recurrent_dropout=0.0,
    ):
        rng = np.random.default_rng(seed)
        network = Network(n_features, tuple(hidden), n_outputs, bidirectional)
        # Unlike at the start of training, no bias is zero and the gates use their whole range.
        parameters = network.initialize(np.random.RandomState(seed % 2**32))
        parameters += 0.5 * rng.normal(size=len(parameters))
        n_samples = len(lengths)
        target = {
            "poisson": lambda: rng.poisson(2.0, size=(n_outputs, n_samples)).astype(float),
            "categorical": lambda: np.eye(n_outputs)[:, rng.integers(n_outputs, size=n_samples)],
            "binary": lambda: rng.integers(2, size=(n_outputs, n_samples)).astype(float),
        }.get(loss, lambda: rng.normal(size=(n_outputs, n_samples)))()
        weights = rng.uniform(0.1, 2, n_samples) if weights is None else np.array(weights)
        samples = [rng.normal(size=(length, n_features)) for length in lengths]
        fractions = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        return cls(network, loss, parameters, samples, target, weights, fractions)

    def without_some_steps(self, fraction=0.4):
        rng = np.random.default_rng(0)
        for sample in self.samples:
            sample[rng.uniform(size=len(sample)) < fraction] = np.nan
        return self

    @property
    def sequences(self):
        if len({len(sample) for sample in self.samples}) == 1:
            return DenseSequences(np.array(self.samples), has_missing=True)
        return RaggedSequences(self.samples, has_missing=True)

    @property
    def finite_differences(self):
        """Gradient of the weighted sum of the loss, from many forward passes."""
        batch, order = self.sequences.batch(slice(None), self.parameters.dtype)
        buffers = self.network.state_buffers(self.parameters.dtype)

        def value(parameters):
            raw = self.network.raw_outputs(parameters, batch, buffers)
            return LOSSES[self.loss][0].value(self.target[:, order], raw) @ self.weights[order]

        return finite_differences(value, self.parameters)

    @property
    def gradient(self):
        """Gradient of the weighted sum of the loss, by backpropagation."""
        _, gradient, _ = self.backpropagate()
        return gradient

    def backpropagate(self, tuning=DEFAULT_TUNING, submit=None):
        """Return the weighted sum of the loss, its gradient, and the buffers of each LSTM."""
        batch, order = self.sequences.batch(slice(None), self.parameters.dtype)
        rng, dtype = np.random.RandomState(0), self.parameters.dtype
        masks = self.network.draw_masks(rng, len(self.samples), **self.dropout, dtype=dtype)
        dropping = self.dropout["recurrent_dropout"] > 0
        workspace = Workspace(self.network, dtype, dropping=dropping, tuning=tuning)
        gradient = np.zeros_like(self.parameters)
        loss = self.network.add_gradient(
            self.parameters,
            batch,
            self.target[:, order],
            self.weights[order],
            LOSSES[self.loss][0],
            gradient,
            workspace,
            masks.columns(order),
            submit,
        )
        return loss, gradient, workspace.buffers(batch.packing).lstms

    def masks(self, batches):
        """Return the masks of ``train`` for each batch and sample, as the reference takes them."""
        rng = np.random.RandomState(0)
        drawn = [
            self.network.draw_masks(rng, len(rows), **self.dropout, dtype=self.parameters.dtype)
            for rows in batches
        ]
        return [
            [
                [
                    None if masks is None else [mask[..., j] for mask in masks]
                    for masks in (batch.outputs, batch.recurrent)
                ]
                for j in range(len(rows))
            ]
            for batch, rows in zip(drawn, batches, strict=True)
        ]

    def objective(self, parameters, rows, alpha, masks):
        """Objective of a minibatch, by the reference."""
        return reference.objective(
            [self.samples[row] for row in rows],
            self.target[:, rows].T,
            self.weights[rows],
            LOSSES[self.loss][1],
            *self.network.unpack(parameters),
            alpha=alpha,
            total_weight=self.weights.sum(),
            bidirectional=self.network.bidirectional,
            masks=masks,
        )

    def train(
        self,
        *,
        batch_size,
        alpha=0.0,
        max_grad_norm=None,
        dtype=np.float64,
        pool=ThreadPool(),  # noqa: B008 - one thread has no state
    ):
        """Train an epoch at a learning rate of zero; return its loss and each batch's gradient."""
        parameters = self.parameters.astype(dtype)
        settings = Settings(
            loss=LOSSES[self.loss][0],
            n_epochs=1,
            max_iter=1,
            batch_size=batch_size,
            alpha=alpha,
            max_grad_norm=max_grad_norm,
            shuffle=False,
            **self.dropout,
            learning_rate="constant",
            learning_rate_init=0.0,
            beta_1=0.9,
            beta_2=0.999,
            epsilon=1e-8,
            tol=0.0,
            n_iter_no_change=np.inf,
        )
        trainer = Trainer(self.network, settings, pool, parameters.dtype)
        data = TrainingSet(
            self.sequences,
            np.arange(len(self.samples)),
            self.target.astype(dtype),
            self.weights.astype(dtype),
        )
        adam = RecordingAdam(len(parameters), parameters.dtype)
        loss = trainer.epoch(data, parameters, adam, 0.0, np.random.RandomState(0))
        return loss, adam.gradients


class RecordingAdam(Adam):
    """Adam that records every gradient."""

    def __init__(self, *args):
        super().__init__(*args)
        self.gradients = []

    def update(self, parameters, gradient, learning_rate):
        self.gradients.append(gradient.copy())
        super().update(parameters, gradient, learning_rate)


# Every parameter: fourth-order differences of the network's own loss.


@pytest.mark.parametrize("kind", ["equal", "ragged", "missing"])
@pytest.mark.parametrize("hidden", [(4,), (3, 5), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [
        ("squared_error", 1),
        ("squared_error", 3),
        ("categorical", 2),
        ("categorical", 3),
        ("binary", 1),
        ("binary", 3),
    ],
)
def test_gradient_equals_finite_differences(loss, n_outputs, hidden, kind):
    lengths = [7, 3, 0, 7, 5, 1, 3] if kind == "ragged" else [6] * 4
    problem = Problem.draw(loss, lengths, hidden, n_outputs)
    if kind == "missing":
        problem = problem.without_some_steps()
    assert_gradient(problem.gradient, problem.finite_differences, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_bidirectional_gradient_equals_finite_differences(loss):
    """For every loss; no difference spans a kink of the loss."""
    problem = Problem.draw(loss, [6, 3, 0, 6, 5, 1], (2, 3), bidirectional=True)
    problem = problem.without_some_steps(0.2)
    assert_gradient(problem.gradient, problem.finite_differences, rtol=1e-7)


# The gradient that training applies, over drawn shapes: the derivative of the reference.


@st.composite
def problems(draw, loss):
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any))
    # Weights are zero or at least 0.5, so that no sum of gradients is zero up to rounding.
    counts = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)).filter(any))
    seed = draw(st.integers(0, 2**32 - 1))
    problem = Problem.draw(
        loss,
        lengths,
        hidden=draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)),
        n_outputs=draw(
            st.integers(
                1 if loss not in ("categorical", "quantiles") else 2,
                3 if loss != "quantiles" else 2,
            )
        ),
        n_features=draw(st.integers(1, 3)),
        weights=np.random.default_rng(seed).uniform(0.5, 3, len(lengths)) * counts,
        seed=seed,
        bidirectional=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.4])),
    )
    return problem.without_some_steps() if draw(st.booleans()) else problem


@pytest.mark.slow
@pytest.mark.parametrize("loss", sorted(LOSSES))
@settings(max_examples=15)
@given(st.data(), st.integers(1, 4), st.sampled_from([0.0, 0.7]))
def test_training_gradient_equals_the_derivative_of_the_reference(loss, data, batch_size, alpha):
    """For any combination of directions, layers, lengths, missing steps and dropout."""
    problem = data.draw(problems(loss))
    epoch_loss, gradients = problem.train(batch_size=batch_size, alpha=alpha)
    numbers = np.arange(len(problem.samples))
    batches = [numbers[k : k + batch_size] for k in range(0, len(numbers), batch_size)]
    batches = [rows for rows in batches if problem.weights[rows].any()]  # others change nothing
    masks = problem.masks(batches)

    losses = [
        problem.objective(problem.parameters, rows, alpha, masks_of_batch)
        for rows, masks_of_batch in zip(batches, masks, strict=True)
    ]
    batch_weights = [problem.weights[rows].sum() for rows in batches]
    assert_allclose(epoch_loss, np.average(losses, weights=batch_weights), rtol=1e-11)
    for rows, masks_of_batch, gradient in zip(batches, masks, gradients, strict=True):
        truth = complex_step(
            lambda parameters, rows=rows, masks=masks_of_batch: problem.objective(
                parameters, rows, alpha, masks
            ),
            problem.parameters,
        )
        assert_gradient(gradient, truth, rtol=1e-9)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_float32_gradient_is_close_to_float64(loss):
    problem = Problem.draw(loss, [6, 3, 0, 5], (4, 3))
    value, (truth,) = problem.train(batch_size=4, alpha=0.7)
    single_value, (single,) = problem.train(batch_size=4, alpha=0.7, dtype=np.float32)
    assert single.dtype == np.float32
    assert_allclose(single_value, value, rtol=1e-5)
    assert_allclose(single, truth, rtol=0, atol=1e-5 * np.abs(truth).max())


def test_clipping_comes_last_and_keeps_the_direction():
    """It clips the mean gradient, penalty included, whatever the sample weights are."""
    problem = Problem.draw("squared_error", [4, 2, 3], weights=[300.0, 100.0, 50.0])
    _, (gradient,) = problem.train(batch_size=3, alpha=0.7)
    norm = np.linalg.norm(gradient)
    _, (clipped,) = problem.train(batch_size=3, alpha=0.7, max_grad_norm=norm / 8)
    assert_allclose(clipped, gradient / 8, rtol=1e-12)
    _, (unclipped,) = problem.train(batch_size=3, alpha=0.7, max_grad_norm=2 * norm)
    assert_allclose(unclipped, gradient, rtol=1e-15)


# However the work is divided, the gradient is the same.


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("n_columns", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_batch_divided_into_blocks_has_the_same_gradient(loss, options, n_columns, monkeypatch):
    problem = Problem.draw(loss, [6, 6, 2, 0, 6, 5, 1], **options).without_some_steps(0.2)
    n_blocks = []
    whole = Network.add_gradient

    def counted(self, *args):
        n_blocks[-1] += 1
        return whole(self, *args)

    monkeypatch.setattr(Network, "add_gradient", counted)
    results = []
    for columns in (100, n_columns):
        n_blocks.append(0)
        monkeypatch.setattr(Network, "n_columns", lambda *args, n=columns: n)
        results.append(problem.train(batch_size=7, alpha=0.7))
    assert n_blocks == [1, -(-7 // n_columns)]
    (value, (gradient,)), (block_value, (block_gradient,)) = results
    assert_allclose(block_value, value, rtol=1e-13)
    assert_gradient(block_gradient, gradient, rtol=1e-11)


def chunk_size(numbers_per_step, lengths, n_steps):
    """Return the chunk size for that many steps of the first run of the first layer."""
    n_units, width = 4, lengths.count(max(lengths))
    return numbers_per_step * n_steps * n_units * width


def n_chunks(buffers):
    """Return the number of chunks of a layer's forward pass."""
    return sum(len(run.chunks) for run in buffers.runs)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[7] * 4, [9, 9, 4, 1, 0]], ids=str)
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_backward_pass_in_chunks_has_the_same_gradient(options, lengths, n_steps):
    problem = Problem.draw("squared_error", lengths, (4, 3), **options)
    _, gradient, _ = problem.backpropagate(Tuning(backward_chunk=10**9))
    size = chunk_size(4, lengths, n_steps)
    _, gradient_in_chunks, lstms = problem.backpropagate(Tuning(backward_chunk=size))
    assert max(len(run.chunks) for run in lstms[0].backward_runs) > 1
    assert_gradient(gradient_in_chunks, gradient, rtol=1e-11)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[7] * 4, [9, 9, 4, 1, 0]], ids=str)
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_forward_pass_in_chunks_gives_the_same_bits(options, lengths, n_steps):
    """The gates of a chunk use the same memory as those of the previous chunk."""
    problem = Problem.draw("squared_error", lengths, (4, 3), **options)
    loss, gradient, lstms = problem.backpropagate(Tuning(forward_chunk=10**9))
    size = chunk_size(12, lengths, n_steps)
    loss_in_chunks, gradient_in_chunks, lstms_in_chunks = problem.backpropagate(
        Tuning(forward_chunk=size)
    )
    assert n_chunks(lstms_in_chunks[0]) > n_chunks(lstms[0])
    assert loss_in_chunks == loss
    assert_array_equal(gradient_in_chunks, gradient)


@pytest.mark.parametrize("lengths", [[7] * 4, [9, 9, 4, 1, 0], [30, 21, 13, 5, 2]], ids=str)
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
@pytest.mark.parametrize("size", [10**9, 200])
def test_views_of_steps_that_are_not_kept_give_the_same_bits(options, lengths, size):
    """As for sequences of very many steps."""
    problem = Problem.draw("squared_error", lengths, (4, 3), **options)
    loss, gradient, _ = problem.backpropagate(Tuning(forward_chunk=size))
    results = problem.backpropagate(Tuning(forward_chunk=size, max_kept_steps=3))
    assert results[0] == loss
    assert_array_equal(results[1], gradient)


def test_a_backward_pass_with_a_second_thread_gives_the_same_bits():
    lengths = [9, 4, 9, 0, 7, 7, 2, 9, 5, 1]
    problem = Problem.draw("huber", lengths, (8, 6), **EVERY_OPTION).without_some_steps(0.2)
    results = []
    with threadpool_limits(1, user_api="blas"):
        for n_threads in (1, 2):
            with ThreadPool(n_threads) as pool:
                results.append(problem.backpropagate(Tuning(min_threaded_sum=0), pool.submit))
    (loss, gradient, _), (loss_of_two, gradient_of_two, _) = results
    assert loss == loss_of_two
    assert_array_equal(gradient, gradient_of_two)


@pytest.mark.parametrize("n_columns", [100, 3])
@pytest.mark.parametrize("n_lanes", [1, 2, 4, 8])
def test_training_with_dropout_in_several_threads_gives_the_same_bits(
    n_columns, n_lanes, monkeypatch
):
    monkeypatch.setattr("sklstm.nn.training._n_lanes", lambda *args: n_lanes)
    monkeypatch.setattr(Network, "n_columns", lambda *args: n_columns)
    lengths = [9, 4, 9, 0, 7, 7, 2, 9, 5, 1]
    problem = Problem.draw("huber", lengths, (8, 6), **EVERY_OPTION).without_some_steps(0.2)
    results = []
    with threadpool_limits(1, user_api="blas"):
        for n_threads in (1, 2, 3, 8):
            with ThreadPool(n_threads) as pool:
                results.append(problem.train(batch_size=9, pool=pool))
    for loss, gradients in results[1:]:
        assert loss == results[0][0]
        assert_array_equal(gradients, results[0][1])


def test_lanes_follow_the_shape_of_a_batch():
    # 128 units and 16 features
    step_size = 4 * 128 * 145
    sizes = 1, 4, 32, 256, 512, 4096
    assert [_n_lanes(n, step_size, 1) for n in sizes] == [1, 1, 2, 4, 8, 8]
    # A single sequence cannot be divided, however large the network.
    assert _n_lanes(1, 1 << 24, 1) == 1
    # One unit: a step is small whatever the batch.
    assert [_n_lanes(n, 4 * 3, 1) for n in sizes] == [1] * 6
    # A batch that is computed in many blocks, each of which is small
    assert _n_lanes(64, 1 << 15, 2) == 2
    assert _n_lanes(64, 1 << 15, 8) == 1


# The gradient check itself.


@pytest.fixture(scope="module")
def checked():
    """Return a network, its correct gradient with no tiny entry, and the finite differences."""
    problem = Problem.draw("categorical", [5, 3, 1], (3, 3), n_outputs=3, seed=11)
    gradient, truth = problem.gradient, problem.finite_differences
    assert_gradient(gradient, truth)
    return problem.network, gradient, truth


def test_finite_differences_and_complex_step_agree():
    def f(x):
        return np.exp(x[0]) * np.sin(3 * x[1]) + x[2] ** 4 / (1 + x[0] ** 2)

    x = np.array([0.3, -0.8, 1.7])
    truth = [
        np.exp(0.3) * np.sin(-2.4) - 1.7**4 * 0.6 / 1.09**2,
        3 * np.exp(0.3) * np.cos(-2.4),
        4 * 1.7**3 / 1.09,
    ]
    assert_allclose(complex_step(f, x), truth, rtol=1e-14)
    assert_allclose(finite_differences(f, x), truth, rtol=1e-9)


def test_the_check_fails_if_one_entry_is_wrong(checked):
    _, gradient, truth = checked
    for k in range(len(gradient)):
        wrong = gradient.copy()
        wrong[k] *= 1 + 1e-5
        with pytest.raises(AssertionError, match=f"the first of them entry {k}:"):
            assert_gradient(wrong, truth)


def flip_sign(W):
    W *= -1


def transpose_gate(W):
    W_h = W[:3, -4:-1]  # the square block of one gate
    W_h[...] = W_h.T.copy()


def swap_gates(W):
    W[:6] = np.roll(W[:6], 3, axis=0)


def forget_bias(W):
    W[:, -1] = 0


def scale(W):
    W *= 1 + 1e-5


@pytest.mark.parametrize("k", [0, 1], ids=["first layer", "second layer"])
@pytest.mark.parametrize("spoil", [flip_sign, transpose_gate, swap_gates, forget_bias, scale])
def test_the_check_fails_if_a_block_is_wrong(checked, spoil, k):
    network, gradient, truth = checked
    wrong = gradient.copy()
    spoil(network.matrices(wrong)[k])
    with pytest.raises(AssertionError, match="entries are wrong"):
        assert_gradient(wrong, truth)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_check_fails_if_an_entry_is_not_finite(checked, value):
    _, gradient, truth = checked
    wrong = gradient.copy()
    wrong[3] = value
    with pytest.raises(AssertionError, match="entry 3"):
        assert_gradient(wrong, truth)
