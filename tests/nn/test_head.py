"""Head: summaries of the hidden states and the linear part, and their gradients.

The truth is a loop over sequences, time steps and the equations, and derivatives that owe nothing
to backpropagation.
"""

from itertools import permutations
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
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Huber,
    PinballLoss,
    Poisson,
    SquaredError,
    lstm_cell,
)
from sklstm.nn.head import POOLINGS, summarize, summarize_backward
from sklstm.nn.network import Masks, Network, Workspace
from sklstm.nn.packing import Packing
from sklstm.nn.prediction import raw_outputs
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import DenseSequences, RaggedSequences
from sklstm.nn.threads import ThreadPool

# One, two or three summaries, in any order.
COMBINATIONS = [chosen for n in (1, 2, 3) for chosen in permutations(["last", "mean", "max"], n)]

LOSSES = {
    "squared_error": (SquaredError(), reference.squared_error),
    "absolute_error": (AbsoluteError(), reference.absolute_error),
    "huber": (Huber(), reference.huber),
    "quantile": (PinballLoss(0.3), reference.pinball(0.3)),
    "poisson": (Poisson(), reference.poisson),
    "categorical": (CategoricalCrossEntropy(), reference.categorical_cross_entropy),
    "binary": (BinaryCrossEntropy(), reference.binary_cross_entropy),
}

RAGGED = [2, 0, 4, 4, 1]


class Problem(NamedTuple):
    """A network, and samples that it is to learn."""

    network: Network
    loss: str
    parameters: np.ndarray  # (n_parameters,)
    samples: list  # of (n_timesteps_i, n_features); steps may be missing
    target: np.ndarray  # (n_outputs, n_samples)
    weights: np.ndarray  # (n_samples,)
    recent: RecentSteps | None
    masks: Masks

    @classmethod
    def draw(
        cls,
        pooling,
        lengths,
        *,
        loss="squared_error",
        hidden=(2, 3),
        n_features=2,
        n_outputs=2,
        n_steps=3,
        bidirectional=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        missing=0.0,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        network = Network(
            n_features, tuple(hidden), n_outputs, bidirectional, pooling, n_steps * n_features
        )
        # Unlike at the start of training, no bias is zero and the gates use their whole range.
        parameters = network.initialize(np.random.RandomState(seed))
        parameters += 0.5 * rng.normal(size=len(parameters))
        n_samples = len(lengths)
        target = {
            "poisson": lambda: rng.poisson(2.0, size=(n_outputs, n_samples)).astype(float),
            "categorical": lambda: np.eye(n_outputs)[:, rng.integers(n_outputs, size=n_samples)],
            "binary": lambda: rng.integers(2, size=(n_outputs, n_samples)).astype(float),
        }.get(loss, lambda: rng.normal(size=(n_outputs, n_samples)))()
        samples = [rng.normal(size=(length, n_features)) for length in lengths]
        for sample in samples:
            sample[rng.uniform(size=len(sample)) < missing] = np.nan
        recent = None
        if n_steps:
            mean, scale = rng.normal(size=n_features), rng.uniform(0.5, 2, n_features)
            recent = RecentSteps(n_steps, mean, scale)
        masks = network.draw_masks(
            np.random.RandomState(seed),
            n_samples,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            dtype=np.dtype(float),
        )
        weights = rng.uniform(0.5, 2, n_samples)
        return cls(network, loss, parameters, samples, target, weights, recent, masks)

    @property
    def sequences(self):
        if len({len(sample) for sample in self.samples}) == 1:
            return DenseSequences(np.array(self.samples), has_missing=True)
        return RaggedSequences(self.samples, has_missing=True)

    def backpropagate(self, parameters=None, workspace=None):
        """Return the weighted sum of the loss and its gradient, by the code under test."""
        parameters = self.parameters if parameters is None else parameters
        batch, order = self.sequences.batch(slice(None), parameters.dtype, self.recent)
        if workspace is None:
            dropping = self.masks.recurrent is not None
            workspace = Workspace(self.network, parameters.dtype, dropping=dropping)
        gradient = np.zeros_like(parameters)
        loss = self.network.add_gradient(
            parameters,
            batch,
            self.target[:, order],
            self.weights[order],
            LOSSES[self.loss][0],
            gradient,
            workspace,
            self.masks.columns(np.arange(len(self.samples))[order]),
        )
        return loss, gradient

    @property
    def finite_differences(self):
        """Gradient of the weighted sum of the loss, from differences of ``add_gradient``'s loss."""
        workspace = Workspace(
            self.network, np.dtype(float), dropping=self.masks.recurrent is not None
        )
        return finite_differences(
            lambda parameters: self.backpropagate(parameters, workspace)[0], self.parameters
        )

    def raw(self):
        """Return raw outputs, (n_samples, n_outputs), by the code under test."""
        return raw_outputs(
            self.network, self.parameters, self.sequences, ThreadPool(1), recent=self.recent
        ).T

    def objective(self, parameters):
        """Weighted sum of the loss, by loops."""
        return sum(
            weight * LOSSES[self.loss][1](target, self.reference_raw(parameters, j))
            for j, (target, weight) in enumerate(zip(self.target.T, self.weights, strict=True))
        )

    def reference_raw(self, parameters, j):
        """Raw outputs of sample j, by loops; the masks apply to the states of every step."""
        network = self.network
        coefs, intercepts = network.unpack(parameters)
        n_directions = 2 if network.bidirectional else 1
        out = self.samples[j][~np.isnan(self.samples[j][:, 0])]
        ends = []
        for k in range(len(network.hidden_layer_sizes)):
            above, ends = [], []
            for d in range(n_directions):
                number = n_directions * k + d
                W_x, W_h, b = *coefs[2 * number : 2 * number + 2], intercepts[number]
                mask = 1.0 if self.masks.recurrent is None else self.masks.recurrent[k][d][:, j]
                states, _ = reference.layer(out[::-1] if d else out, W_x, W_h, b, mask=mask)
                ends.append(states[-1:])
                above.append(states[::-1] if d else states)
            out = np.concatenate(above, axis=1)
            mask = 1.0 if self.masks.outputs is None else self.masks.outputs[k][:, j]
            out = out * mask
            end = np.concatenate(ends, axis=1) * mask
        summary = []
        for name in network.pooling:
            if len(out) == 0:
                summary += [0.0] * out.shape[1]
            elif name == "last":
                summary += [*end[0]]
            elif name == "mean":
                summary += [sum(unit) / len(unit) for unit in out.T]
            else:
                summary += [max(unit, key=lambda h: h.real) for unit in out.T]
        raw = coefs[-1] @ np.array(summary) + intercepts[-1]
        if self.recent is not None:
            skip = parameters[len(parameters) - network.n_outputs * network.n_recent :]
            skip = skip.reshape(network.n_outputs, self.recent.n_steps, network.n_features)
            raw = raw + np.einsum("oki,ki->o", skip, read_by_loop(self.samples[j], self.recent))
        return raw


def read_by_loop(sample, recent):
    """Return the last steps of a sample, standardised; zero for one missing or absent."""
    z = np.zeros((recent.n_steps, len(recent.mean)))
    for back in range(1, recent.n_steps + 1):
        if back <= len(sample) and not np.isnan(sample[-back]).any():
            z[-back] = (sample[-back] - recent.mean) / recent.scale
    return z


# The gradient.


@pytest.mark.parametrize("pooling", COMBINATIONS, ids="+".join)
def test_gradient_equals_finite_differences(pooling):
    """With two directions and layers, dropout, empty sequences, missing steps, a linear part."""
    problem = Problem.draw(
        pooling,
        RAGGED,
        hidden=(1, 2),
        n_features=1,
        n_outputs=1,
        n_steps=2,
        bidirectional=True,
        dropout=0.3,
        recurrent_dropout=0.3,
        missing=0.2,
        seed=1,
    )
    assert_gradient(problem.backpropagate()[1], problem.finite_differences, rtol=1e-7)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("n_steps", [0, 5], ids=["no linear part", "linear part"])
def test_gradient_of_each_loss_equals_finite_differences(loss, n_steps):
    """No difference spans a kink, neither of a loss nor of a maximum."""
    problem = Problem.draw(
        ("max", "last", "mean"), [4] * 5, loss=loss, hidden=(2,), n_steps=n_steps, seed=1
    )
    assert_gradient(problem.backpropagate()[1], problem.finite_differences, rtol=1e-7)


@st.composite
def problems(draw):
    loss = draw(st.sampled_from(sorted(LOSSES)))
    return Problem.draw(
        draw(st.sampled_from(COMBINATIONS)),
        draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)),
        loss=loss,
        hidden=draw(st.lists(st.integers(1, 2), min_size=1, max_size=2)),
        n_features=draw(st.integers(1, 2)),
        n_outputs=draw(st.integers(2 if loss == "categorical" else 1, 2)),
        n_steps=draw(st.integers(0, 6)),
        bidirectional=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        recurrent_dropout=draw(st.sampled_from([0.0, 0.4])),
        missing=draw(st.sampled_from([0.0, 0.5])),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@settings(max_examples=20)
@given(problems())
def test_loss_and_gradient_equal_those_of_the_reference(problem):
    """For any combination of summaries, directions, layers, lengths, dropout and losses."""
    loss, gradient = problem.backpropagate()
    assert_allclose(loss, problem.objective(problem.parameters), rtol=1e-11)
    assert_gradient(gradient, complex_step(problem.objective, problem.parameters), rtol=1e-9)


@pytest.mark.parametrize("pooling", [("last",), ("mean",), ("max", "last"), ("mean", "max")])
def test_a_second_batch_of_the_same_lengths_has_the_gradient_of_a_new_workspace(pooling):
    """The arrays in which training works are used again."""
    first, second = (
        Problem.draw(pooling, RAGGED, bidirectional=True, seed=seed) for seed in (0, 1)
    )
    workspace = Workspace(first.network, np.dtype(float))
    first.backpropagate(workspace=workspace)
    loss, gradient = second.backpropagate(workspace=workspace)
    loss_of_new, gradient_of_new = second.backpropagate()
    assert loss == loss_of_new
    assert_array_equal(gradient, gradient_of_new)


@pytest.mark.parametrize("pooling", [("max",), ("mean", "max", "last")])
def test_the_first_of_equal_maxima_has_the_whole_gradient(pooling):
    """So that the gradient of a maximum adds up to that of the summary."""
    h = np.array([0.25, 0.5, 0.5, 0.5]).reshape(4, 1, 1)
    _, cache = summarize(pooling, [h[-1]], h, Packing.equal(4, 1))
    d_summary = np.zeros((len(pooling), 1))
    d_summary[pooling.index("max")] = 3.0
    _, dh = summarize_backward(d_summary, cache)
    assert_array_equal(dh.ravel(), [0, 3, 0, 0])


def test_only_the_last_state_needs_no_gradient_of_the_others():
    h = np.ones((4, 3, 2))
    summary, cache = summarize(("last",), [h[-1]], None, Packing.equal(4, 2))
    dh_last, dh = summarize_backward(summary, cache)
    assert_array_equal(dh_last, summary)
    assert dh is None


# Summaries and raw outputs.


@pytest.mark.parametrize("lengths", [RAGGED, [6] * 4, [1, 1], [0, 2], [0, 0]], ids=str)
@pytest.mark.parametrize("pooling", COMBINATIONS, ids="+".join)
def test_raw_outputs_equal_a_loop_with_the_cell(pooling, lengths):
    """Mean and maximum run over the real steps; without one, they are zero."""
    problem = Problem.draw(pooling, lengths, hidden=(4,), missing=0.3, seed=2)
    (W_x, W_h, V), (b, a) = problem.network.unpack(problem.parameters)
    skip = problem.network.skip_weights(problem.parameters)
    expected = np.empty((len(lengths), 2))
    for j, sample in enumerate(problem.samples):
        h, c = np.zeros(4), np.zeros(4)
        total, top, n_steps = np.zeros(4), np.full(4, -np.inf), 0
        for x_t in sample:
            if np.isnan(x_t).any():
                continue
            h, c = lstm_cell(x_t, h, c, W_x, W_h, b)
            total, top, n_steps = total + h, np.maximum(top, h), n_steps + 1
        parts = {"last": h, "mean": np.zeros(4), "max": np.zeros(4)}
        if n_steps:
            parts |= {"mean": total / n_steps, "max": top}
        z = read_by_loop(sample, problem.recent).ravel()
        expected[j] = V @ np.concatenate([parts[name] for name in pooling]) + a + skip @ z
    assert_allclose(problem.raw(), expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=40)
@given(problems())
def test_raw_outputs_equal_those_of_the_reference(problem):
    """For any combination of summaries, directions, layers and lengths."""
    problem = problem._replace(masks=Masks())
    expected = [problem.reference_raw(problem.parameters, j) for j in range(len(problem.samples))]
    assert_allclose(problem.raw(), expected, rtol=1e-11, atol=1e-13)


def test_a_maximum_may_be_negative():
    """What is before a shorter sequence starts is zero, and not part of its maximum."""
    problem = Problem.draw(("max",), [5, 2], hidden=(3,), n_steps=0)
    coefs, intercepts = problem.network.unpack(problem.parameters)
    intercepts[0][6:9] = -10  # the candidate, so that all hidden states are negative
    problem = problem._replace(parameters=problem.network.pack(coefs, intercepts))
    h, _ = reference.layer(problem.samples[1], *coefs[:2], intercepts[0])
    assert (h.max(axis=0) < 0).all()
    assert_allclose(problem.raw()[1], coefs[-1] @ h.max(axis=0) + intercepts[-1], rtol=1e-12)


def test_there_is_a_test_of_every_pooling():
    assert set(POOLINGS) == {name for pooling in COMBINATIONS for name in pooling}


@pytest.mark.parametrize("pooling", COMBINATIONS, ids="+".join)
def test_float32_stays_float32(pooling):
    problem = Problem.draw(pooling, RAGGED)
    batch, order = problem.sequences.batch(slice(None), np.dtype(np.float32), problem.recent)
    gradient = np.zeros(len(problem.parameters), np.float32)
    problem.network.add_gradient(
        problem.parameters.astype(np.float32),
        batch,
        problem.target[:, order].astype(np.float32),
        problem.weights[order].astype(np.float32),
        SquaredError(),
        gradient,
        Workspace(problem.network, np.dtype(np.float32)),
    )
    truth = problem.backpropagate()[1]
    assert gradient.dtype == np.float32
    assert_allclose(gradient, truth, rtol=0, atol=1e-5 * np.abs(truth).max())
