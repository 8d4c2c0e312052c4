"""Stacked layers and head: equal to the slow reference, for any form of batch."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference

from sklstm.nn import CategoricalCrossEntropy, SquaredError
from sklstm.nn.network import Masks, Network, Workspace
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.sequences import DenseSequences, RaggedSequences

networks = st.builds(
    Network,
    n_features=st.integers(1, 3),
    hidden_layer_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    n_outputs=st.integers(1, 3),
    bidirectional=st.booleans(),
)
all_lengths = st.lists(st.integers(0, 6), min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)
close = {"rtol": 1e-11, "atol": 1e-13}


def draw_parameters(network, rng):
    """Draw parameters with no zero bias, whose gates leave the middle of their range."""
    return network.initialize(np.random.RandomState(0)) + 0.5 * rng.normal(
        size=network.n_parameters
    )


def draw_sequences(network, lengths, rng):
    return [rng.normal(size=(length, network.n_features)) for length in lengths]


def draw_masks(network, n_sequences, dropout, recurrent_dropout, dtype=np.float64):
    return network.draw_masks(
        np.random.RandomState(0),
        n_sequences,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        dtype=np.dtype(dtype),
    )


def run(network, parameters, sequences, *, buffers=None):
    """Return raw outputs (n_samples, n_outputs), in the order of the sequences."""
    if not hasattr(sequences, "batch"):
        sequences = RaggedSequences(sequences, has_missing=True)
    buffers = buffers or network.state_buffers(parameters.dtype)
    batch, order = sequences.batch(slice(None), parameters.dtype)
    raw = np.empty((network.n_outputs, len(sequences)), parameters.dtype)
    raw[:, order] = network.raw_outputs(parameters, batch, buffers)
    return raw.T


@given(networks, all_lengths, seeds)
def test_raw_outputs_equal_the_reference(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    coefs, intercepts = network.unpack(parameters)
    raw = run(network, parameters, sequences)
    for raw_j, sequence in zip(raw, sequences, strict=True):
        assert_allclose(
            raw_j, reference.network(sequence, coefs, intercepts, network.bidirectional), **close
        )


@given(networks, st.integers(1, 5), st.integers(0, 8), seeds, st.data())
def test_a_sequence_cut_in_two_with_the_state_carried_equals_one_pass(
    network, n_samples, n_timesteps, seed, data
):
    cut = data.draw(st.integers(0, n_timesteps))
    rng = np.random.default_rng(seed)
    network = replace(network, bidirectional=False)  # the other direction starts at the end
    parameters = draw_parameters(network, rng)
    x = rng.normal(size=(n_timesteps, network.n_features, n_samples))

    def outputs(x, state):
        buffers = network.state_buffers(parameters.dtype)
        batch = Batch(x, Packing.equal(len(x), n_samples))
        raw = network.raw_outputs(parameters, batch, buffers, state)
        return raw, [(lstm.h, lstm.c) for lstm in buffers]

    raw, states = outputs(x, None)
    _, carried = outputs(x[:cut], None)
    carried_raw, carried_states = outputs(x[cut:], carried)
    assert_allclose(carried_raw, raw, **close)
    for pair, carried_pair in zip(states, carried_states, strict=True):
        assert_allclose(carried_pair, pair, **close)


def test_each_direction_starts_from_its_own_state():
    """The given state is not changed: the buffers hold a copy."""
    rng = np.random.default_rng(0)
    network = Network(2, (3,), 1, bidirectional=True)
    parameters = draw_parameters(network, rng)
    x = rng.normal(size=(4, 2, 5))
    state = list(rng.normal(size=(2, 2, 3, 5)))  # of each LSTM (h, c)
    given_state = np.array(state)
    buffers = network.state_buffers(parameters.dtype)
    network.raw_outputs(parameters, Batch(x, Packing.equal(4, 5)), buffers, state)
    assert_array_equal(state, given_state)
    coefs, intercepts = network.unpack(parameters)
    for d, steps in enumerate([x, x[::-1]]):
        for j in range(5):
            h, c = reference.layer(
                steps[:, :, j], *coefs[2 * d : 2 * d + 2], intercepts[d], *state[d][:, :, j]
            )
            assert_allclose(buffers[d].h[:, j], h[-1], **close)
            assert_allclose(buffers[d].c[:, j], c, **close)


def test_the_second_direction_reads_the_sequences_reversed():
    """With the same weights in both directions, reversing the sequences swaps the two states."""
    rng = np.random.default_rng(0)
    network = Network(2, (3,), 1, bidirectional=True)
    coefs, intercepts = network.unpack(draw_parameters(network, rng))
    coefs[2:4], intercepts[1] = coefs[:2], intercepts[0]
    swapped_coefs = [*coefs[:4], np.roll(coefs[4], 3, axis=1)]
    parameters = network.pack(coefs, intercepts)
    swapped = network.pack(swapped_coefs, intercepts)
    sequences = draw_sequences(network, [5, 2, 0, 5, 1], rng)
    reversed_raw = run(network, swapped, [sequence[::-1] for sequence in sequences])
    assert_allclose(reversed_raw, run(network, parameters, sequences), **close)


@given(networks, all_lengths, seeds)
def test_a_ragged_batch_equals_its_sequences_one_by_one(network, lengths, seed):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    sequences = draw_sequences(network, lengths, rng)
    alone = [run(network, parameters, [sequence])[0] for sequence in sequences]
    assert_allclose(run(network, parameters, sequences), alone, **close)


@given(networks, st.integers(1, 6), st.integers(1, 7), seeds, st.floats(0, 1))
def test_missing_steps_are_skipped(network, n_samples, n_timesteps, seed, fraction):
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(network, rng)
    X = rng.normal(size=(n_samples, n_timesteps, network.n_features))
    missing = rng.uniform(size=(n_samples, n_timesteps)) < fraction
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


def test_the_output_of_a_sequence_without_steps_is_the_bias_of_the_head():
    network = Network(2, (4, 3), 2)
    parameters = draw_parameters(network, np.random.default_rng(0))
    raw = run(network, parameters, [np.ones((3, 2)), np.empty((0, 2))])
    assert_array_equal(raw[1], network.unpack(parameters)[1][-1])
    assert_array_equal(run(network, parameters, [np.empty((0, 2))]), raw[1:])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_buffers_give_the_same_bits_after_other_batches(bidirectional, dropout):
    """Batches of the same and of other shapes come in between."""
    rng = np.random.default_rng(0)
    network = Network(2, (4, 3), 3, bidirectional)
    parameters = draw_parameters(network, rng)
    workspace = Workspace(network, parameters.dtype, dropping=dropout > 0)
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
        masks = draw_masks(network, len(sequences), dropout, dropout)
        network.add_gradient(
            parameters, batch, target, weights, CategoricalCrossEntropy(), result, workspace, masks
        )
        return result

    # More packings than the workspace keeps; each one occurs twice with other values.
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
    directions = 2 if network.bidirectional else 1
    n_inputs, shapes = network.n_features, []
    for n_units in network.hidden_layer_sizes:
        shapes += [((4 * n_units, n_inputs), (4 * n_units, n_units))] * directions
        n_inputs = directions * n_units
    assert [W.shape for W in coefs[:-1]] == [shape for pair in shapes for shape in pair]
    assert [b.shape for b in intercepts[:-1]] == [W_x[:1] for W_x, _ in shapes]
    assert coefs[-1].shape == (network.n_outputs, n_inputs)
    assert intercepts[-1].shape == (network.n_outputs,)

    assert network.n_parameters == sum(array.size for array in [*coefs, *intercepts])
    assert_array_equal(network.pack(coefs, intercepts), parameters)


def test_matrices_are_views_and_unpacked_weights_are_copies():
    network = Network(2, (3,), 1)
    parameters = np.arange(float(network.n_parameters))
    assert all(np.shares_memory(W, parameters) for W in network.matrices(parameters))
    coefs, intercepts = network.unpack(parameters)
    assert not any(np.shares_memory(W, parameters) for W in [*coefs, *intercepts])


@given(networks, seeds)
def test_the_penalty_leaves_out_the_biases(network, seed):
    parameters = np.random.default_rng(seed).normal(size=network.n_parameters)
    before = parameters.copy()
    coefs, intercepts = network.unpack(network.penalized(parameters))
    assert_array_equal(parameters, before)
    for W, original in zip(coefs, network.unpack(parameters)[0], strict=True):
        assert_array_equal(W, original)
    assert not any(b.any() for b in intercepts)


def test_initial_weights_are_orthogonal_or_glorot_uniform_and_the_forget_bias_is_one():
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


def test_initial_weights_depend_only_on_the_generator():
    network = Network(5, (4,), 1)
    first = network.initialize(np.random.RandomState(0))
    assert_array_equal(network.initialize(np.random.RandomState(0)), first)
    assert not np.array_equal(network.initialize(np.random.RandomState(1)), first)


def test_blocks_are_smaller_for_longer_sequences_and_wider_layers():
    narrow, wide = Network(1, (8,), 1), Network(1, (64, 64), 1)
    blocks = [narrow.n_columns(n_timesteps) for n_timesteps in (0, 10, 100, 1000)]
    assert blocks == sorted(blocks, reverse=True)
    assert wide.n_columns(100) < narrow.n_columns(100)
    assert wide.n_columns(10**9) > 0


# Dropout.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("dropout", "recurrent_dropout"), [(0.2, 0.5), (0.5, 0.2), (0.9, 0.1)])
def test_masks_drop_their_fraction_and_scale_what_is_kept(dropout, recurrent_dropout, dtype):
    network = Network(2, (20, 10), 1, bidirectional=True)
    masks = draw_masks(network, 5000, dropout, recurrent_dropout, dtype)
    assert [mask.shape for mask in masks.outputs] == [(40, 5000), (20, 5000)]
    assert [mask.shape for mask in masks.recurrent] == [(2, 20, 5000), (2, 10, 5000)]
    for kind, dropped in ((masks.outputs, dropout), (masks.recurrent, recurrent_dropout)):
        for mask in kind:
            assert mask.dtype == dtype
            assert_array_equal(np.unique(mask), np.array([0, 1 / (1 - dropped)], dtype))
            # The standard deviation of the fraction dropped.
            deviation = np.sqrt(dropped * (1 - dropped) / mask.size)
            assert abs((mask == 0).mean() - dropped) < 5 * deviation
            assert abs(mask.mean(dtype=np.float64) - 1) < 5 * deviation / (1 - dropped)


def test_masks_are_independent():
    """For each sequence, unit, direction, layer and kind; equal ones would be correlated."""
    n_sequences = 5000
    network = Network(2, (3, 3), 1, bidirectional=True)
    masks = draw_masks(network, n_sequences, 0.5, 0.5)
    rows = np.concatenate(
        [mask.reshape(-1, n_sequences) for mask in [*masks.outputs, *masks.recurrent]]
    )
    correlation = np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]
    assert len(rows) == 24
    assert np.abs(correlation).max() < 5 / np.sqrt(n_sequences)


def test_nothing_is_drawn_without_dropout():
    network, rng = Network(2, (3,), 1), np.random.RandomState(0)
    before = rng.get_state()[1:3]
    masks = network.draw_masks(
        rng, 7, dropout=0.0, recurrent_dropout=0.0, dtype=np.dtype(np.float64)
    )
    assert masks == Masks(None, None)
    for now, then in zip(rng.get_state()[1:3], before, strict=True):
        assert_array_equal(now, then)
    assert draw_masks(network, 7, 0.5, 0.0).recurrent is None
    assert draw_masks(network, 7, 0.0, 0.5).outputs is None


def test_columns_selects_the_masks_of_the_sequences():
    network = Network(2, (3, 2), 1, bidirectional=True)
    masks, columns = draw_masks(network, 7, 0.5, 0.3), np.array([4, 0, 6])
    some = masks.columns(columns)
    for kind, some_kind in ((masks.outputs, some.outputs), (masks.recurrent, some.recurrent)):
        for mask, some_mask in zip(kind, some_kind, strict=True):
            assert_array_equal(some_mask, mask[..., columns])
    assert Masks().columns(columns) == Masks()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_masks_of_ones_change_no_bit(bidirectional):
    """Apart from what is dropped, workspaces with and without dropout compute the same."""
    rng = np.random.default_rng(0)
    network = Network(2, (4, 3), 1, bidirectional)
    parameters = draw_parameters(network, rng)
    batch, _ = RaggedSequences(draw_sequences(network, [5, 3, 3, 0], rng), False).batch(
        slice(None), parameters.dtype
    )
    target, weights = rng.normal(size=(1, 4)), np.ones(4)
    drawn = draw_masks(network, 4, 0.5, 0.5)
    ones = Masks(
        *([np.ones_like(mask) for mask in kind] for kind in (drawn.outputs, drawn.recurrent))
    )
    gradients, values = [], []
    for masks, dropping in ((Masks(), False), (ones, True)):
        gradients.append(np.zeros_like(parameters))
        workspace = Workspace(network, parameters.dtype, dropping=dropping)
        values.append(
            network.add_gradient(
                parameters, batch, target, weights, SquaredError(), gradients[-1], workspace, masks
            )
        )
    assert values[0] == values[1]
    assert_array_equal(*gradients)
