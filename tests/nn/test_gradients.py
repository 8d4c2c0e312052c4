"""Gradients of whole networks: against finite differences and against the slow reference.

And the checker itself: it must notice a gradient that is wrong.
"""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, complex_step, finite_differences

from sklstm.nn import (
    AbsoluteError,
    Adam,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    Network,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.layer import _local_derivatives
from sklstm.nn.network import Workspace
from sklstm.nn.sequences import DenseSequences, RaggedSequences
from sklstm.nn.threads import Threads, one_blas_thread
from sklstm.nn.training import Trainer, TrainingSet

# The loss and the same thing written down a second time.
LOSSES = {
    "squared_error": (SquaredError(), reference.squared_error),
    "absolute_error": (AbsoluteError(), reference.absolute_error),
    "huber": (Huber(), reference.huber),
    "quantile": (PinballLoss(0.3), reference.pinball(0.3)),
    "poisson": (Poisson(), reference.poisson),
    "categorical": (CategoricalCrossEntropy(), reference.categorical_cross_entropy),
    "binary": (BinaryCrossEntropy(), reference.binary_cross_entropy),
}


# Everything that changes how a network is run, at once.
EVERY_OPTION = {"bidirectional": True, "dropout": 0.3, "recurrent_dropout": 0.4}


class Problem(NamedTuple):
    """A network, and samples that it is to learn."""

    network: Network
    loss: str
    parameters: np.ndarray  # (n_parameters,)
    samples: list  # of (n_timesteps_i, n_features); steps may be missing
    target: np.ndarray  # (n_outputs, n_samples)
    weights: np.ndarray  # (n_samples,)
    dropout: dict  # the two shares, in training

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
        # Not as training starts: no bias is zero, and the gates use their whole range.
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
        shares = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
        return cls(network, loss, parameters, samples, target, weights, shares)

    def without_some_steps(self, share=0.4):
        rng = np.random.default_rng(0)
        for sample in self.samples:
            sample[rng.uniform(size=len(sample)) < share] = np.nan
        return self

    @property
    def sequences(self):
        if len({len(sample) for sample in self.samples}) == 1:
            return DenseSequences(np.array(self.samples), has_missing=True)
        return RaggedSequences(self.samples, has_missing=True)

    @property
    def finite_differences(self):
        """Gradient of the weighted sum of the loss, by many passes forward."""
        batch, order = self.sequences.batch(slice(None), self.parameters.dtype)
        buffers = self.network.state_buffers(self.parameters.dtype)

        def value(parameters):
            raw = self.network.raw_outputs(parameters, batch, buffers)
            return LOSSES[self.loss][0].value(self.target[:, order], raw) @ self.weights[order]

        return finite_differences(value, self.parameters)

    @property
    def gradient(self):
        """The same by one pass forward and back."""
        batch, order = self.sequences.batch(slice(None), self.parameters.dtype)
        gradient = np.zeros_like(self.parameters)
        self.network.add_gradient(
            self.parameters,
            batch,
            self.target[:, order],
            self.weights[order],
            LOSSES[self.loss][0],
            gradient,
            Workspace(self.network, self.parameters.dtype),
        )
        return gradient

    def masks(self, batches):
        """What ``train`` drops: for each batch and sample the reference's two kinds of masks."""
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
        """What a minibatch of training minimises, by the reference."""
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
        threads=Threads(),  # noqa: B008 - one thread has no state
    ):
        """One epoch of a learning rate of zero: its loss, and the gradients that Adam was given."""
        parameters = self.parameters.astype(dtype)
        trainer = Trainer(
            network=self.network,
            loss=LOSSES[self.loss][0],
            batch_size=batch_size,
            alpha=alpha,
            max_grad_norm=max_grad_norm,
            shuffle=False,
            **self.dropout,
            threads=threads,
            dtype=parameters.dtype,
        )
        data = TrainingSet(
            self.sequences,
            np.arange(len(self.samples)),
            self.target.astype(dtype),
            self.weights.astype(dtype),
            self.weights.astype(dtype),
        )
        adam = RecordingAdam(len(parameters), parameters.dtype)
        loss = trainer.epoch(data, parameters, adam, 0.0, np.random.RandomState(0))
        return loss, adam.gradients


class RecordingAdam(Adam):
    """Adam, with a note of every gradient."""

    def __init__(self, *args):
        super().__init__(*args)
        self.gradients = []

    def update(self, parameters, gradient, learning_rate):
        self.gradients.append(gradient.copy())
        super().update(parameters, gradient, learning_rate)


# Every parameter against fourth-order differences of the network's own loss.


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


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_gradient_of_two_directions_equals_finite_differences(loss):
    """Every loss; no parameter is so close to a kink that a difference would span it."""
    problem = Problem.draw(loss, [6, 3, 0, 6, 5, 1], (2, 3), bidirectional=True)
    problem = problem.without_some_steps(0.2)
    assert_gradient(problem.gradient, problem.finite_differences, rtol=1e-7)


# What training applies, over shapes that hypothesis draws, against the reference's derivative.


@st.composite
def problems(draw, loss):
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any))
    # A sample that does not count, or one of any weight: no sum of gradients is zero but for
    # rounding.
    counts = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)).filter(any))
    seed = draw(st.integers(0, 2**32 - 1))
    problem = Problem.draw(
        loss,
        lengths,
        hidden=draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)),
        n_outputs=draw(st.integers(2 if loss == "categorical" else 1, 3)),
        n_features=draw(st.integers(1, 3)),
        weights=np.random.default_rng(seed).uniform(0.5, 3, len(lengths)) * counts,
        seed=seed,
        bidirectional=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.4])),
    )
    return problem.without_some_steps() if draw(st.booleans()) else problem


@pytest.mark.parametrize("loss", sorted(LOSSES))
@settings(max_examples=15)
@given(st.data(), st.integers(1, 4), st.sampled_from([0.0, 0.7]))
def test_training_applies_the_derivative_of_the_reference(loss, data, batch_size, alpha):
    """Whatever is switched on together: directions, layers, lengths, missing steps, dropout."""
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
def test_float32_training_is_close(loss):
    problem = Problem.draw(loss, [6, 3, 0, 5], (4, 3))
    value, (truth,) = problem.train(batch_size=4, alpha=0.7)
    single_value, (single,) = problem.train(batch_size=4, alpha=0.7, dtype=np.float32)
    assert single.dtype == np.float32
    assert_allclose(single_value, value, rtol=1e-5)
    assert_allclose(single, truth, rtol=0, atol=1e-5 * np.abs(truth).max())


def test_clipping_comes_last_and_keeps_the_direction():
    """Of the mean gradient, penalty included, however large the weights of the samples are."""
    problem = Problem.draw("squared_error", [4, 2, 3], weights=[300.0, 100.0, 50.0])
    _, (gradient,) = problem.train(batch_size=3, alpha=0.7)
    norm = np.linalg.norm(gradient)
    _, (clipped,) = problem.train(batch_size=3, alpha=0.7, max_grad_norm=norm / 8)
    assert_allclose(clipped, gradient / 8, rtol=1e-12)
    _, (unclipped,) = problem.train(batch_size=3, alpha=0.7, max_grad_norm=2 * norm)
    assert_allclose(unclipped, gradient, rtol=1e-15)


# How the work is cut must not show.


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("n_columns", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_batch_cut_into_blocks_of_columns_has_the_same_gradient(
    loss, options, n_columns, monkeypatch
):
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


@pytest.mark.parametrize("steps_in_a_chunk", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[7] * 4, [9, 9, 4, 1, 0]], ids=str)
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_backward_pass_cut_into_chunks_has_the_same_gradient(
    options, lengths, steps_in_a_chunk, monkeypatch
):
    problem = Problem.draw("squared_error", lengths, (4, 3), **options)
    n, width = 4, lengths.count(max(lengths))  # of the first layer and its first run
    workspaces = []
    buffers = Workspace.buffers

    def noted(self, packing):
        workspaces.append(buffers(self, packing))
        return workspaces[-1]

    monkeypatch.setattr(Workspace, "buffers", noted)
    gradients = []
    for size in (10**9, steps_in_a_chunk * 4 * n * width):
        monkeypatch.setattr("sklstm.nn.layer._CHUNK_SIZE", size)
        gradients += problem.train(batch_size=len(lengths))[1]
    for lstm in workspaces[-1].layers[0]:
        assert max(len(run.chunks) for run in lstm.backward_runs) > 1
    assert_gradient(gradients[1], gradients[0], rtol=1e-11)


@pytest.mark.parametrize("steps_in_a_chunk", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[7] * 4, [9, 9, 4, 1, 0]], ids=str)
@pytest.mark.parametrize("options", [{}, EVERY_OPTION], ids=["plain", "every option"])
def test_a_forward_pass_cut_into_chunks_gives_the_same_bits(
    options, lengths, steps_in_a_chunk, monkeypatch
):
    """Whose gates share their blocks with those of the chunk before."""
    problem = Problem.draw("squared_error", lengths, (4, 3), **options)
    n, width = 4, lengths.count(max(lengths))  # of the first layer and its first run
    chunks, n_chunks = _local_derivatives, []

    def counted(gates, out):
        n_chunks[-1] += 1
        chunks(gates, out)

    monkeypatch.setattr("sklstm.nn.layer._local_derivatives", counted)
    results = []
    for size in (10**9, steps_in_a_chunk * 12 * n * width):
        monkeypatch.setattr("sklstm.nn.layer._HOT_SIZE", size)
        n_chunks.append(0)
        results.append(problem.train(batch_size=len(lengths)))
    assert n_chunks[1] > n_chunks[0]
    (value, (gradient,)), (other_value, (other_gradient,)) = results
    assert other_value == value
    assert_array_equal(other_gradient, gradient)


@pytest.mark.parametrize(("n_columns", "least_lanes"), [(100, 1 << 40), (3, 1 << 40), (3, 0)])
def test_dropout_in_two_threads_gives_the_same_bits(n_columns, least_lanes, monkeypatch):
    """In one lane, whose backward passes use a second thread, and in two."""
    monkeypatch.setattr("sklstm.nn.layer._MIN_SUBMIT", 0)
    monkeypatch.setattr("sklstm.nn.training._MIN_LANES", least_lanes)
    monkeypatch.setattr(Network, "n_columns", lambda *args: n_columns)
    lengths = [9, 4, 9, 0, 7, 7, 2, 9, 5, 1]
    problem = Problem.draw("huber", lengths, (8, 6), **EVERY_OPTION).without_some_steps(0.2)
    results = []
    with one_blas_thread():
        for n_threads in (1, 2):
            threads = Threads(n_threads)
            results.append(problem.train(batch_size=7, threads=threads))
            threads.close()
    (loss, gradients), (loss_of_two, gradients_of_two) = results
    assert loss == loss_of_two
    assert_array_equal(gradients, gradients_of_two)


# The checker.


@pytest.fixture(scope="module")
def checked():
    """A problem whose gradient is right and has no tiny entry, and its finite differences."""
    problem = Problem.draw("categorical", [5, 3, 1], (3, 3), n_outputs=3, seed=11)
    gradient, truth = problem.gradient, problem.finite_differences
    assert_gradient(gradient, truth)
    return problem.network, gradient, truth


def test_the_two_derivatives_of_the_checker_agree():
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


def test_the_checker_notices_every_entry(checked):
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
def test_the_checker_notices_a_wrong_block(checked, spoil, k):
    network, gradient, truth = checked
    wrong = gradient.copy()
    spoil(network.matrices(wrong)[k])
    with pytest.raises(AssertionError, match="entries are wrong"):
        assert_gradient(wrong, truth)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_checker_notices_what_is_not_finite(checked, value):
    _, gradient, truth = checked
    wrong = gradient.copy()
    wrong[3] = value
    with pytest.raises(AssertionError, match="entry 3"):
        assert_gradient(wrong, truth)
