"""One layer over time: the kernel equals the slow reference and has the expected symmetries."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, complex_step

from sklstm.nn import lstm, lstm_cell
from sklstm.nn.layer import (
    KERNEL_ORDER,
    LayerBuffers,
    backward,
    forward,
    gate_rows,
)
from sklstm.nn.packing import Packing, reversed_in_time
from sklstm.nn.tuning import Tuning


class Layer(NamedTuple):
    """Input, initial state and weights of a layer; the values use the whole range of the gates."""

    x: np.ndarray  # (n_samples, n_timesteps, n_features)
    h: np.ndarray  # (n_samples, n_units)
    c: np.ndarray
    weights: tuple  # W_x, W_h, b

    @classmethod
    def draw(cls, n_samples, n_timesteps, n_features, n_units, seed=0):
        rng = np.random.default_rng(seed)
        h, c = rng.normal(size=(2, n_samples, n_units))
        weights = (
            rng.normal(size=(4 * n_units, n_features)),
            rng.normal(size=(4 * n_units, n_units)),
            rng.normal(size=4 * n_units),
        )
        return cls(rng.normal(size=(n_samples, n_timesteps, n_features)), h, c, weights)

    def run(self, x=None, state=None, **options):
        """Return all that ``lstm`` can return, from the initial state or the given one."""
        return lstm(
            self.x if x is None else x,
            *self.weights,
            initial_state=(self.h, self.c) if state is None else state,
            return_sequences=True,
            return_state=True,
            **options,
        )


sizes = st.integers(1, 6)
layers = st.builds(
    Layer.draw,
    n_samples=sizes,
    n_timesteps=st.integers(0, 8),
    n_features=sizes,
    n_units=sizes,
    seed=st.integers(0, 2**32 - 1),
)
# Rounding differs with the order of sums, and grows with the length of a sequence.
close = {"rtol": 1e-11, "atol": 1e-13}


@given(layers)
def test_lstm_equals_the_reference(layer):
    output, h, c = layer.run()
    assert output.shape == (*layer.x.shape[:2], layer.h.shape[1])
    for j, sequence in enumerate(layer.x):
        states, last_c = reference.layer(sequence, *layer.weights, layer.h[j], layer.c[j])
        assert_allclose(output[j], states, **close)
        assert_allclose(h[j], states[-1] if len(states) else layer.h[j], **close)
        assert_allclose(c[j], last_c, **close)


@given(layers)
def test_lstm_equals_lstm_cell_step_by_step(layer):
    output, last_h, last_c = layer.run()
    h, c = layer.h, layer.c
    for t in range(layer.x.shape[1]):
        h, c = lstm_cell(layer.x[:, t], h, c, *layer.weights)
        assert_allclose(output[:, t], h, **close)
    assert_allclose(last_h, h, **close)
    assert_allclose(last_c, c, **close)


@given(layers, st.data())
def test_a_sequence_cut_in_two_with_the_state_carried_equals_one_pass(layer, data):
    cut = data.draw(st.integers(0, layer.x.shape[1]))
    output, h, c = layer.run()
    first, *state = layer.run(layer.x[:, :cut])
    second, last_h, last_c = layer.run(layer.x[:, cut:], state)
    assert_allclose(np.concatenate([first, second], axis=1), output, **close)
    assert_allclose(last_h, h, **close)
    assert_allclose(last_c, c, **close)


@given(layers)
def test_time_major_output_is_the_transpose(layer):
    output, h, c = layer.run()
    swapped, swapped_h, swapped_c = layer.run(layer.x.transpose(1, 0, 2), time_major=True)
    assert_array_equal(swapped, output.transpose(1, 0, 2))
    assert_array_equal(swapped_h, h)
    assert_array_equal(swapped_c, c)


@given(layers, st.booleans())
def test_a_single_sequence_equals_a_batch_of_one(layer, time_major):
    one = Layer(layer.x[:1], layer.h[:1], layer.c[:1], layer.weights)
    single = one.run(layer.x[0], (layer.h[0], layer.c[0]), time_major=time_major)
    for result, batched in zip(single, one.run(), strict=True):
        assert_array_equal(result, batched[0])
    assert_array_equal(lstm(layer.x[0], *layer.weights), lstm(layer.x[:1], *layer.weights)[0])


@given(layers, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(layer, random):
    order = random.sample(range(len(layer.x)), len(layer.x))
    permuted = layer.run(layer.x[order], (layer.h[order], layer.c[order]))
    for result, original in zip(permuted, layer.run(), strict=True):
        assert_allclose(result, original[order], **close)


@given(layers)
def test_without_options_lstm_gives_the_last_hidden_state_from_a_zero_state(layer):
    zero = np.zeros_like(layer.h)
    output, h, c = layer.run(state=(zero, zero))
    assert_array_equal(lstm(layer.x, *layer.weights), h)
    assert_array_equal(lstm(layer.x, *layer.weights, return_sequences=True), output)
    last, last_h, last_c = lstm(layer.x, *layer.weights, return_state=True)
    assert_array_equal(last, h)
    assert_array_equal(last_h, h)
    assert_array_equal(last_c, c)


@given(layers)
def test_float32_stays_float32_and_is_close(layer):
    single = Layer(
        *(array.astype(np.float32) for array in layer[:3]),
        tuple(array.astype(np.float32) for array in layer.weights),
    )
    for result, exact in zip(single.run(), layer.run(), strict=True):
        assert result.dtype == np.float32
        assert_allclose(result, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("x_dtype", "weights_dtype", "expected"),
    [
        (np.float32, np.float64, np.float64),
        (np.float64, np.float32, np.float64),
        (np.int64, np.float64, np.float64),
        (np.float16, np.float32, np.float32),
    ],
)
def test_mixed_dtypes_are_computed_in_the_wider_one(x_dtype, weights_dtype, expected):
    layer = Layer.draw(2, 3, 2, 4)
    x = (4 * layer.x).astype(x_dtype)
    weights = [array.astype(weights_dtype) for array in layer.weights]
    result = lstm(x, *weights)
    assert result.dtype == expected
    wide = lstm(x.astype(expected), *(array.astype(expected) for array in weights))
    assert_array_equal(result, wide)


def test_huge_values_saturate_the_gates_without_a_warning():
    layer = Layer.draw(2, 5, 3, 4)
    output, _, c = layer.run(1e30 * layer.x)
    assert np.abs(output).max() <= 1
    assert np.abs(c).max() <= np.abs(layer.c).max() + 5


def test_lstm_does_not_write_to_its_arguments():
    layer = Layer.draw(2, 3, 2, 4)
    for array in (*layer[:3], *layer.weights):
        array.flags.writeable = False
    layer.run()  # would raise


def test_lstm_accepts_lists():
    layer = Layer.draw(2, 3, 2, 4)
    result = lstm(layer.x.tolist(), *(array.tolist() for array in layer.weights))
    assert_array_equal(result, lstm(layer.x, *layer.weights))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("x", (2,), r"x .*\(2,\)"),
        ("x", (5, 3, 2, 1), r"x .*\(5, 3, 2, 1\)"),
        ("x", (5, 3, 1), r"W_x has the shape \(16, 2\).* need W_x of shape \(16, 1\)"),
        ("W_x", (2, 16), r"W_x has the shape \(2, 16\).* need W_x of shape \(16, 2\)"),
        ("W_x", (32,), r"W_x has the shape \(32,\)"),
        ("W_h", (4, 16), r"W_h has the shape \(4, 16\)"),
        ("W_h", (16,), r"W_h has the shape \(16,\)"),
        ("W_h", (), r"W_h has the shape \(\)"),
        ("b", (15,), r"b has the shape \(15,\).* need b of shape \(16,\)"),
        ("b", (16, 1), r"b has the shape \(16, 1\)"),
    ],
)
def test_wrong_shapes_raise(name, shape, message):
    layer = Layer.draw(5, 3, 2, 4)
    arguments = dict(zip(("x", "W_x", "W_h", "b"), (layer.x, *layer.weights), strict=True))
    arguments[name] = np.zeros(shape)
    with pytest.raises(ValueError, match=message):
        lstm(**arguments)


@pytest.mark.parametrize(
    "shape",
    [(4,), (1, 4), (5, 3), (4, 5), (20,), (5, 4, 1)],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize("which", ["h", "c"])
def test_an_initial_state_of_the_wrong_shape_raises(which, shape):
    layer = Layer.draw(5, 3, 2, 4)
    state = {"h": layer.h, "c": layer.c, which: np.zeros(shape)}
    with pytest.raises(ValueError, match=r"initial_state.*\(5, 4\)"):
        layer.run(state=(state["h"], state["c"]))


def test_an_initial_state_of_one_array_raises():
    layer = Layer.draw(5, 3, 2, 4)
    with pytest.raises(ValueError, match="initial_state must be a pair"):
        layer.run(state=(layer.h,))


@pytest.mark.parametrize("time_major", [False, True])
def test_an_initial_state_with_an_axis_of_samples_raises_for_a_single_sequence(time_major):
    layer = Layer.draw(1, 3, 2, 4)
    with pytest.raises(ValueError, match=r"initial_state.*\(4,\)"):
        layer.run(layer.x[0], (layer.h, layer.c), time_major=time_major)


# What the network is made of.

lengths_of_batches = st.lists(st.integers(0, 7), min_size=1, max_size=6).map(
    lambda lengths: np.array(sorted(lengths, reverse=True))
)


@given(lengths_of_batches)
def test_each_sequence_is_active_for_its_length(lengths):
    packing = Packing.from_lengths(lengths)
    n_timesteps = lengths[0]
    assert packing.n_sequences == len(lengths)
    assert len(packing.widths) == n_timesteps
    # Sequence j, aligned at the end, is active at step t if it has started by then.
    for j, length in enumerate(lengths):
        active = [width > j for width in packing.widths]
        assert active == [t >= n_timesteps - length for t in range(n_timesteps)]
    # The exact runs are the widths, cut where the width changes.
    runs = packing.exact_runs
    assert [run.width for run in runs] == sorted(set(packing.widths))
    assert [run.width for run in runs for _ in range(run.start, run.stop)] == list(packing.widths)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=100).map(
        lambda lengths: np.array(sorted(lengths, reverse=True))
    )
)
def test_training_has_few_runs_whose_columns_are_those_of_sequences_or_lead_ins(lengths):
    packing = Packing.from_lengths(lengths)
    n_timesteps, n_sequences = lengths[0], len(lengths)
    assert len(packing.runs) <= 8
    widths = [run.width for run in packing.runs for _ in range(run.start, run.stop)]
    assert len(widths) == n_timesteps
    assert all(widths[t] <= n_sequences for t in range(n_timesteps))
    is_computed = np.arange(n_sequences) < np.reshape(widths, (-1, 1))
    is_active = np.arange(n_timesteps)[:, np.newaxis] >= n_timesteps - lengths
    is_lead_in = np.zeros_like(is_computed)
    for k, columns, n_steps in packing.lead_ins:
        start = packing.runs[k].start
        assert not is_lead_in[start : start + n_steps, columns].any()
        is_lead_in[start : start + n_steps, columns] = True
    assert_array_equal(is_computed, is_active | is_lead_in)
    assert not (is_active & is_lead_in).any()


@given(st.integers(0, 7), st.integers(1, 6))
def test_sequences_of_one_length_are_a_single_run(n_timesteps, n_sequences):
    packing = Packing.equal(n_timesteps, n_sequences)
    same = Packing.from_lengths(np.full(n_sequences, n_timesteps))
    assert packing == same
    assert hash(packing) == hash(same)
    assert packing.runs == packing.exact_runs
    assert len(packing.runs) == min(n_timesteps, 1)
    assert not packing.lead_ins


@given(st.permutations("ifgo"), st.integers(1, 5))
def test_gate_rows_convert_to_another_order_and_back(order, n_units):
    order = "".join(order)
    W = np.repeat(list("ifgo"), n_units)
    numbers = np.tile(np.arange(n_units), 4)
    rows = gate_rows(n_units, order)
    assert_array_equal(W[rows], np.repeat(list(order), n_units))
    assert_array_equal(numbers[rows], numbers)
    back = np.empty_like(W)
    back[rows] = W[rows]
    assert_array_equal(back, W)


def pack(sequences, before=np.nan):
    """Align sequences at their end; what is before the shorter ones must not matter."""
    packing = Packing.from_lengths(np.array([len(sequence) for sequence in sequences]))
    x = np.full((len(packing.widths), sequences[0].shape[1], len(sequences)), before)
    for j, sequence in enumerate(sequences):
        x[len(x) - len(sequence) :, :, j] = sequence
    return x, packing


@given(lengths_of_batches, st.integers(1, 4))
def test_reversing_twice_gives_every_sequence_back(lengths, n_inputs):
    numbers = iter(range(1, 1000))
    sequences = [
        np.array([[next(numbers)] * n_inputs for _ in range(length)]).reshape(length, n_inputs)
        for length in lengths
    ]
    x, packing = pack(sequences)
    before = x.copy()
    turned = reversed_in_time(x, packing)
    assert_array_equal(x, before)
    assert turned.shape == x.shape
    again = reversed_in_time(turned, packing)
    for j, length in enumerate(lengths):
        start = len(x) - length
        assert_array_equal(turned[start:, :, j], sequences[j][::-1])
        assert_array_equal(again[start:, :, j], sequences[j])


def test_reversing_copies_only_if_lengths_differ():
    x = np.zeros((4, 2, 3))
    assert np.shares_memory(reversed_in_time(x, Packing.equal(4, 3)), x)
    assert not np.shares_memory(reversed_in_time(x, Packing.from_lengths(np.array([4, 2, 2]))), x)


def draw_mask(rng, n_units, n_sequences):
    return rng.integers(2, size=(n_units, n_sequences)) / 0.4


@given(
    lengths=lengths_of_batches,
    n_inputs=st.integers(1, 4),
    n_units=st.integers(1, 4),
    dropping=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_forward_equals_the_reference(lengths, n_inputs, n_units, dropping, seed):
    """At every step. The mask applies to what the next step reads, not to the hidden states."""
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, n_inputs)) for length in lengths]
    W = rng.normal(size=(4 * n_units, n_inputs + n_units + 1))
    mask = draw_mask(rng, n_units, len(lengths)) if dropping else None
    x, packing = pack(sequences)
    buffers = LayerBuffers(n_inputs, n_units, packing, x.dtype, dropping=dropping)
    h_out = np.zeros((len(x), n_units, len(lengths)))
    h_last = forward(W[gate_rows(n_units, KERNEL_ORDER)], x, buffers, mask=mask, h_out=h_out)
    for j, sequence in enumerate(sequences):
        states, last_c = reference.layer(
            sequence,
            W[:, :n_inputs],
            W[:, n_inputs:-1],
            W[:, -1],
            mask=1.0 if mask is None else mask[:, j],
        )
        start = len(x) - len(sequence)
        assert not h_out[:start, :, j].any()
        for t, h in enumerate(states, start):
            assert_allclose(h_out[t, :, j], h, **close)
        last_h = states[-1] if len(states) else np.zeros(n_units)
        assert_allclose(h_last[:, j], last_h, **close)
        assert_allclose(buffers.c_last[:, j], last_c, **close)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    lengths=lengths_of_batches,
    n_inputs=st.integers(1, 4),
    n_units=st.integers(1, 4),
    dropping=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_backward_equals_the_references_derivative(lengths, n_inputs, n_units, dropping, seed):
    """With respect to weights and input, given gradients of every hidden state and of the last."""
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, n_inputs)) for length in lengths]
    W_public = rng.normal(size=(4 * n_units, n_inputs + n_units + 1))
    mask = draw_mask(rng, n_units, len(lengths)) if dropping else None
    x, packing = pack(sequences)
    buffers = LayerBuffers(n_inputs, n_units, packing, x.dtype, dropping=dropping)

    # loss = sum over t of <dh_t, h_t> + <dh_last, h_T>
    d_states = [rng.normal(size=(length, n_units)) for length in lengths]
    d_last = rng.normal(size=(len(lengths), n_units))

    def loss(flat):
        *inputs, W = np.split(flat, np.cumsum([sequence.size for sequence in sequences]))
        W = W.reshape(W_public.shape)
        weights = np.split(W, [n_inputs, n_inputs + n_units], axis=1)
        total = 0
        masks = [1.0] * len(lengths) if mask is None else mask.T
        for flat_input, d, d_h, mask_j in zip(inputs, d_states, d_last, masks, strict=True):
            states, _ = reference.layer(
                flat_input.reshape(-1, n_inputs),
                weights[0],
                weights[1],
                weights[2][:, 0],
                mask=mask_j,
            )
            total += (d * states).sum() + (d_h @ states[-1] if len(states) else 0)
        return total

    truth = complex_step(
        loss, np.concatenate([*(sequence.ravel() for sequence in sequences), W_public.ravel()])
    )

    rows = gate_rows(n_units, KERNEL_ORDER)
    W = W_public[rows]
    forward(W, x, buffers, mask=mask)
    d_packed, _ = pack(d_states, before=1e30)
    earlier = rng.normal(size=W.shape)  # backward adds to what is there
    dW = earlier.copy()
    backward(W, buffers, dW, dh_last=d_last.T, dh=d_packed, with_dx=True, mask=mask)

    dx_sequences = [buffers.dx[len(x) - length :, :, j].ravel() for j, length in enumerate(lengths)]
    dW_public = np.empty_like(W)
    dW_public[rows] = dW - earlier
    assert_gradient(np.concatenate([*dx_sequences, dW_public.ravel()]), truth, rtol=1e-9)


@pytest.mark.parametrize("dropping", [False, True])
def test_buffers_serve_any_packing_of_as_many_sequences_and_leave_nothing_behind(dropping):
    rng = np.random.default_rng(0)
    n_sequences, n_inputs, n_units = 20, 2, 3
    W = rng.normal(size=(4 * n_units, n_inputs + n_units + 1))
    mask = draw_mask(rng, n_units, n_sequences) if dropping else None
    tuning = Tuning(forward_chunk=12 * n_units * n_sequences * 4)  # chunks of four steps
    dtype, kept = np.dtype(float), None
    for longest in (30, 30, 7, 0, 30):
        lengths = np.sort(rng.integers(0, longest + 1, n_sequences))[::-1]
        lengths[0] = longest
        x, packing = pack([rng.normal(size=(length, n_inputs)) for length in lengths])
        dh_last = rng.normal(size=(n_units, n_sequences))
        new = LayerBuffers(n_inputs, n_units, packing, dtype, dropping=dropping, tuning=tuning)
        kept = kept or LayerBuffers(
            n_inputs, n_units, packing, dtype, dropping=dropping, tuning=tuning
        )
        kept.arrange(packing)
        found = []
        for buffers in (kept, new):
            h_out, dW = np.zeros((len(x), n_units, n_sequences)), np.zeros_like(W)
            h_last = forward(W, x, buffers, mask=mask, h_out=h_out).copy()
            backward(W, buffers, dW, dh_last=dh_last, with_dx=True, mask=mask)
            active = np.arange(len(x))[:, np.newaxis] >= len(x) - lengths
            dx = buffers.dx.transpose(0, 2, 1)[active]
            found.append((h_last, buffers.c_last.copy(), h_out, dW, dx))
        for ours, theirs in zip(*found, strict=True):
            assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
