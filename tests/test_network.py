"""Stacked layers and head: against the slow reference, and the laws of batches."""

import _reference_lstm as reference
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklstm.nn import CategoricalCrossEntropy, Network
from sklstm.nn.network import Workspace
from sklstm.sequences import DenseSequences, RaggedSequences

networks = st.builds(
    Network,
    n_features=st.integers(1, 3),
    hidden_layer_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    n_outputs=st.integers(1, 3),
)
all_lengths = st.lists(st.integers(0, 6), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)
close = {"rtol": 1e-11, "atol": 1e-13}


def draw_parameters(network, rng):
    """Parameters that leave no bias zero and take the gates off the middle of their range."""
    return network.initialize(np.random.RandomState(0)) + 0.5 * rng.normal(
        size=network.n_parameters
    )


def draw_sequences(network, lengths, rng):
    return [rng.normal(size=(length, network.n_features)) for length in lengths]


def run(network, parameters, sequences, *, buffers=None):
    """Raw outputs (n_samples, n_outputs), in the order of the sequences."""
    if not hasattr(sequences, "batch"):
        sequences = RaggedSequences(sequences, has_missing=True)
    buffers = buffers or network.state_buffers(parameters.dtype)
    batch, order = sequences.batch(slice(None), parameters.dtype)
    raw = np.empty((network.n_outputs, len(sequences)), parameters.dtype)
    raw[:, order] = network.raw_outputs(parameters, batch, buffers)
    return raw.T


@given(networks, all_lengths, seeds)
def test_raw_outputs_are_the_references(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    coefs, intercepts = network.unpack(parameters)
    raw = run(network, parameters, sequences)
    for raw_j, sequence in zip(raw, sequences, strict=True):
        assert_allclose(raw_j, reference.network(sequence, coefs, intercepts), **close)


@given(networks, all_lengths, seeds)
def test_a_ragged_batch_equals_each_sequence_on_its_own(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    alone = [run(network, parameters, [sequence])[0] for sequence in sequences]
    assert_allclose(run(network, parameters, sequences), alone, **close)


@given(networks, st.integers(1, 6), st.integers(1, 7), seeds, st.floats(0, 1))
def test_missing_steps_equal_the_sequence_without_them(
    network, n_samples, n_timesteps, seed, share
):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    X = rng.normal(size=(n_samples, n_timesteps, network.n_features))
    missing = rng.uniform(size=(n_samples, n_timesteps)) < share
    X[missing] = np.nan
    without = run(network, parameters, [x[~gone] for x, gone in zip(X, missing, strict=True)])
    dense = run(network, parameters, DenseSequences(X, has_missing=True))
    assert_array_equal(dense, without)
    assert_array_equal(run(network, parameters, list(X)), without)


@given(networks, all_lengths, seeds)
def test_the_order_of_samples_does_not_matter(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    order = rng.permutation(len(sequences))
    permuted = run(network, parameters, [sequences[number] for number in order])
    assert_allclose(permuted, run(network, parameters, sequences)[order], **close)


@given(networks, all_lengths, seeds)
def test_float32_stays_float32_and_is_close(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    single = run(network, parameters.astype(np.float32), sequences)
    assert single.dtype == np.float32
    assert_allclose(single, run(network, parameters, sequences), rtol=1e-4, atol=1e-4)


def test_a_sequence_without_steps_gives_the_bias_of_the_head():
    network = Network(2, (4, 3), 2)
    parameters = draw_parameters(network, np.random.default_rng(0))
    raw = run(network, parameters, [np.ones((3, 2)), np.empty((0, 2))])
    assert_array_equal(raw[1], network.unpack(parameters)[1][-1])
    assert_array_equal(run(network, parameters, [np.empty((0, 2))]), raw[1:])


def test_buffers_leave_nothing_behind():
    """Batch A, then others of the same and of other shapes, then A again: the same bits."""
    rng = np.random.default_rng(0)
    network = Network(2, (4, 3), 3)
    parameters = draw_parameters(network, rng)
    workspace = Workspace(network, parameters.dtype)
    buffers = network.state_buffers(parameters.dtype)

    def outputs(sequences):
        return run(network, parameters, sequences, buffers=buffers)

    def gradient(sequences):
        batch, _ = RaggedSequences(sequences, has_missing=False).batch(
            slice(None), parameters.dtype
        )
        target = np.eye(3)[:, np.arange(len(sequences)) % 3]
        result = np.zeros_like(parameters)
        weights = np.arange(1.0, len(sequences) + 1)
        network.add_gradient(
            parameters, batch, target, weights, CategoricalCrossEntropy(), result, workspace
        )
        return result

    # More packings than the workspace keeps; every one comes by twice with other values.
    all_lengths = [[5, 3, 3, 0], [5, 5, 5, 5], [2, 2], [6, 1, 1], [0, 0]]
    batches = [draw_sequences(network, lengths, rng) for lengths in all_lengths for _ in range(2)]
    for compute in (outputs, gradient):
        first = [compute(sequences) for sequences in batches]
        for number in [*range(len(batches)), *reversed(range(len(batches)))]:
            assert_array_equal(compute(batches[number]), first[number])


@given(networks, seeds)
def test_pack_and_unpack_are_inverse(network, seed):
    parameters = np.random.default_rng(seed).normal(size=network.n_parameters)
    coefs, intercepts = network.unpack(parameters)
    n_inputs = network.n_features
    for k, n_units in enumerate(network.hidden_layer_sizes):
        assert coefs[2 * k].shape == (4 * n_units, n_inputs)
        assert coefs[2 * k + 1].shape == (4 * n_units, n_units)
        assert intercepts[k].shape == (4 * n_units,)
        n_inputs = n_units
    assert coefs[-1].shape == (network.n_outputs, n_inputs)
    assert intercepts[-1].shape == (network.n_outputs,)
    assert len(coefs) == 2 * len(network.hidden_layer_sizes) + 1
    assert len(intercepts) == len(network.hidden_layer_sizes) + 1

    assert network.n_parameters == sum(array.size for array in [*coefs, *intercepts])
    assert_array_equal(network.pack(coefs, intercepts), parameters)


def test_matrices_are_views_and_unpacked_weights_are_copies():
    network = Network(2, (3,), 1)
    parameters = np.arange(float(network.n_parameters))
    assert all(np.shares_memory(W, parameters) for W in network.matrices(parameters))
    coefs, intercepts = network.unpack(parameters)
    assert not any(np.shares_memory(W, parameters) for W in [*coefs, *intercepts])


@given(networks, seeds)
def test_the_penalty_spares_the_biases(network, seed):
    parameters = np.random.default_rng(seed).normal(size=network.n_parameters)
    before = parameters.copy()
    coefs, intercepts = network.unpack(network.penalized(parameters))
    assert_array_equal(parameters, before)
    for W, original in zip(coefs, network.unpack(parameters)[0], strict=True):
        assert_array_equal(W, original)
    assert not any(b.any() for b in intercepts)


def test_initialize():
    network = Network(5, (32, 16), 3)
    coefs, intercepts = network.unpack(network.initialize(np.random.RandomState(0)))
    W_x, W_h, W_x2, W_h2, head = coefs
    for W in (W_h, W_h2):
        assert_allclose(W.T @ W, np.eye(W.shape[1]), atol=1e-14)
    # Glorot's bound: sqrt(6 / (fan_in + fan_out)), with all four gates as outputs of a layer
    for W in (W_x, W_x2, head):
        bound = np.sqrt(6 / sum(W.shape))
        assert 0.9 * bound < np.abs(W).max() <= bound
    for b, n_units in zip(intercepts, network.hidden_layer_sizes, strict=False):
        assert_array_equal(b.reshape(4, n_units), np.outer([0, 1, 0, 0], np.ones(n_units)))
    assert_array_equal(intercepts[-1], np.zeros(3))


def test_initialize_draws_from_the_generator_alone():
    network = Network(5, (4,), 1)
    first = network.initialize(np.random.RandomState(0))
    assert_array_equal(network.initialize(np.random.RandomState(0)), first)
    assert not np.array_equal(network.initialize(np.random.RandomState(1)), first)


def test_longer_sequences_and_wider_layers_go_through_in_smaller_blocks():
    narrow, wide = Network(1, (8,), 1), Network(1, (64, 64), 1)
    blocks = [narrow.n_columns(n_timesteps) for n_timesteps in (0, 10, 100, 1000)]
    assert blocks == sorted(blocks, reverse=True)
    assert wide.n_columns(100) < narrow.n_columns(100)
    assert wide.n_columns(10**9) > 0
