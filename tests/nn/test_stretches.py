"""Stretches hold each row once, and what the windows of their rows hold, nothing else.

The truth is a loop over the rows of a stretch and the steps of their windows.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference
from support.gradcheck import assert_gradient, finite_differences

from sklstm import SlidingWindow
from sklstm.nn import SquaredError
from sklstm.nn.linear import recent_steps
from sklstm.nn.network import Network, Workspace
from sklstm.nn.prediction import raw_outputs, raw_outputs_along
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import WindowSequences
from sklstm.nn.stretches import Stretches, stretch_length
from sklstm.nn.threads import ThreadPool
from sklstm.nn.windows import Windows

FLOAT64 = np.dtype(np.float64)


@st.composite
def some_stretches(draw, max_length=6):
    """Windows with gaps, repetitions and missing steps, and some of their rows in any order."""
    window_size, rate = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    n_starts = draw(st.integers(1, 30))
    n_buffer = n_starts + (window_size - 1) * rate
    buffer = np.random.RandomState(0).normal(size=(n_buffer, draw(st.integers(1, 2))))
    missing = draw(st.lists(st.integers(0, n_buffer - 1), max_size=12))
    buffer[missing] = np.nan
    starts = draw(st.lists(st.integers(0, n_starts - 1), min_size=1, max_size=40))
    windows = Windows(buffer, np.array(starts), window_size, rate)
    rows = draw(st.permutations(range(len(starts))))
    rows = np.array(rows[: draw(st.integers(1, len(rows)))])
    length = draw(st.integers(1, min(window_size, max_length)))
    return Stretches(WindowSequences(windows, bool(missing)), rows, length)


def pieces(cut):
    """The rows of each stretch."""
    return np.split(cut.rows, cut.bounds[1:-1])


def buffer_rows(stretches, row):
    """Where the steps of a window are in the buffer."""
    windows = stretches.windows
    return windows.starts[row] + windows.sampling_rate * np.arange(windows.window_size)


def steps_before(stretches, rows, row):
    """The real steps of a stretch up to the last one of a row, by a loop."""
    held = {int(place) for other in rows for place in buffer_rows(stretches, other)}
    last = buffer_rows(stretches, row)[-1]
    steps = stretches.windows.buffer[sorted(place for place in held if place <= last)]
    return steps[~np.isnan(steps[:, 0])]


# Cutting.


@given(stretches=some_stretches(), data=st.data())
def test_each_row_is_in_one_stretch(stretches, data):
    cut = stretches.cut(data.draw(st.integers(0, stretches.length - 1)))
    assert sorted(cut.rows) == sorted(stretches.rows)
    assert all(len(rows) for rows in pieces(cut))
    assert cut.n_stretches == len(pieces(cut))


@given(stretches=some_stretches(), data=st.data())
def test_the_rows_of_a_stretch_lie_within_its_length_in_order_of_time(stretches, data):
    cut = stretches.cut(data.draw(st.integers(0, stretches.length - 1)))
    rate = stretches.windows.sampling_rate
    for rows in pieces(cut):
        starts = stretches.windows.starts[rows]
        assert (np.diff(starts) >= 0).all()
        assert (np.diff(starts) % rate == 0).all()
        assert starts[-1] - starts[0] < stretches.length * rate


def test_consecutive_rows_are_cut_at_the_offset_and_then_every_length_rows():
    windows = SlidingWindow(5).fit_transform(np.arange(20.0)[:, np.newaxis])
    stretches = Stretches(WindowSequences(windows, True), np.arange(20), 4)
    assert [len(rows) for rows in pieces(stretches.cut())] == [4] * 5
    assert [len(rows) for rows in pieces(stretches.cut(3))] == [1, 4, 4, 4, 4, 3]
    assert_array_equal(np.concatenate(pieces(stretches.cut(3))), np.arange(20))


@given(stretches=some_stretches())
def test_the_order_of_the_rows_does_not_matter(stretches):
    again = Stretches(stretches.sequences, np.sort(stretches.rows), stretches.length)
    starts = stretches.windows.starts
    assert_array_equal(again.cut().bounds, stretches.cut().bounds)
    assert_array_equal(starts[again.cut().rows], starts[stretches.cut().rows])


@given(stretches=some_stretches(), data=st.data())
def test_some_of_the_stretches(stretches, data):
    cut = stretches.cut()
    numbers = data.draw(st.lists(st.integers(0, cut.n_stretches - 1), min_size=1))
    taken = cut.take(np.array(numbers))
    for rows, number in zip(pieces(taken), numbers, strict=True):
        assert_array_equal(rows, pieces(cut)[number])


def test_no_stretch_crosses_from_one_series_into_the_next():
    X = np.arange(60.0).reshape(30, 2)
    X[:, 0] = np.repeat([0, 1, 2], [8, 3, 19])
    windows = SlidingWindow(4, group_column=0, sampling_rate=2).fit_transform(X)
    stretches = Stretches(WindowSequences(windows, True), np.arange(30), 4)
    for offset in range(4):
        for rows in pieces(stretches.cut(offset)):
            assert len(set(X[rows, 0])) == 1


@pytest.mark.parametrize(
    ("window_size", "batch_size", "length"),
    [(1, 32, 1), (6, 32, 6), (12, 32, 8), (48, 1000, 24), (48, 10, 10), (48, 1, 1)],
)
def test_a_stretch_is_as_long_as_half_a_window(window_size, batch_size, length):
    assert stretch_length(window_size, batch_size) == length


# Batches.


@settings(deadline=None)
@given(stretches=some_stretches(), data=st.data())
def test_a_batch_holds_the_steps_of_the_windows_up_to_each_row(stretches, data):
    cut = stretches.cut(data.draw(st.integers(0, stretches.length - 1)))
    batch = stretches.batch(cut, FLOAT64)
    n_timesteps, _, n_stretches = batch.x.shape
    assert n_stretches == cut.n_stretches
    assert n_timesteps <= stretches.n_timesteps
    assert batch.packing.widths == (n_stretches,) * n_timesteps
    assert np.isfinite(batch.x).all()
    places = iter(zip(batch.places.steps, batch.places.columns, strict=True))
    for number, rows in enumerate(pieces(cut)):
        for row in rows:
            step, column = next(places)
            assert column == number
            expected = steps_before(stretches, rows, row)
            assert_array_equal(batch.x[: step + 1, :, column], expected)


@settings(deadline=None)
@given(stretches=some_stretches())
def test_a_batch_reads_nothing_that_the_windows_of_its_rows_do_not_hold(stretches):
    windows = stretches.windows
    is_held = windows[stretches.rows].used_rows()
    spoiled = np.where(is_held[:, np.newaxis], windows.buffer, np.inf)
    sequences = WindowSequences(windows.with_buffer(spoiled), stretches.sequences.has_missing)
    other = Stretches(sequences, stretches.rows, stretches.length)
    cut = stretches.cut()
    assert_array_equal(other.batch(cut, FLOAT64).x, stretches.batch(cut, FLOAT64).x)


@settings(deadline=None)
@given(stretches=some_stretches(), n_steps=st.integers(1, 8), dtype=st.sampled_from("fd"))
def test_the_linear_part_reads_what_it_reads_of_the_windows(stretches, n_steps, dtype):
    dtype, n_features = np.dtype(dtype), stretches.windows.shape[2]
    recent = RecentSteps(n_steps, np.full(n_features, 0.1), np.full(n_features, 1.7))
    cut = stretches.cut()
    expected = stretches.sequences.recent(cut.rows, recent, dtype).astype(dtype)
    read = stretches.batch(cut, dtype, recent).recent
    assert_array_equal(read, expected, strict=True)


def test_batches_of_a_series_with_padding_have_one_shape():
    windows = SlidingWindow(10).fit_transform(np.arange(40.0)[:, np.newaxis])
    stretches = Stretches(WindowSequences(windows, True), np.arange(40), 5)
    cut = stretches.cut(2)
    shapes = {
        stretches.batch(cut.take(np.array(numbers)), FLOAT64).x.shape
        for numbers in ([0, 5], [1, 4], [7, 8], [2, 3])
    }
    assert shapes == {(14, 1, 2)}


# Outputs and gradients.


def lstm_outputs(network, parameters, steps):
    """Raw outputs after some steps, by the reference."""
    coefs, intercepts = network.unpack(parameters)
    return reference.network(steps, coefs, intercepts)


def drawn_network(n_features, hidden=(3, 4), n_recent=0):
    network = Network(n_features, hidden, 2, n_recent=n_recent)
    parameters = network.initialize(np.random.RandomState(0))
    return network, parameters + 0.3 * np.random.RandomState(1).normal(size=len(parameters))


@settings(deadline=None, max_examples=30)
@given(stretches=some_stretches())
def test_outputs_are_those_of_the_lstm_run_over_the_stretch(stretches):
    network, parameters = drawn_network(stretches.windows.shape[2])
    with ThreadPool(1) as pool:
        raw = raw_outputs_along(network, parameters, stretches, pool)
    by_row = dict(zip(stretches.rows, raw[:, stretches.order].T, strict=True))
    for rows in pieces(stretches.cut()):
        for row in rows:
            expected = lstm_outputs(network, parameters, steps_before(stretches, rows, row))
            assert_allclose(by_row[row], expected, rtol=1e-10, atol=1e-12)


def test_outputs_of_stretches_of_one_row_are_those_of_the_windows():
    X = np.random.RandomState(0).normal(size=(50, 2))
    sequences = WindowSequences(SlidingWindow(6, lag=1).fit_transform(X), True)
    rows = np.random.RandomState(1).permutation(50)[:30]
    network, parameters = drawn_network(2, n_recent=6)
    recent = recent_steps(sequences, rows, np.ones(50), 3)
    with ThreadPool(1) as pool:
        exact = raw_outputs(network, parameters, sequences, pool, rows, recent)
        along = raw_outputs_along(network, parameters, Stretches(sequences, rows, 1), pool, recent)
    assert_allclose(along, exact, rtol=1e-12, atol=1e-14)


@settings(deadline=None, max_examples=15)
@given(stretches=some_stretches(), dropout=st.sampled_from([0.0, 0.4]))
def test_the_gradient_is_that_of_finite_differences(stretches, dropout):
    network, parameters = drawn_network(stretches.windows.shape[2], hidden=(2, 2))
    cut = stretches.cut()
    batch = stretches.batch(cut, FLOAT64)
    rng = np.random.RandomState(2)
    target, weights = rng.normal(size=(2, len(cut.rows))), rng.uniform(size=len(cut.rows))
    masks = network.draw_masks(
        rng, cut.n_stretches, dropout=dropout, recurrent_dropout=dropout, dtype=FLOAT64
    )

    def loss_and_gradient(parameters):
        gradient = np.zeros_like(parameters)
        workspace = Workspace(network, FLOAT64, dropping=dropout > 0)
        loss = network.add_gradient(
            parameters, batch, target, weights, SquaredError(), gradient, workspace, masks
        )
        return loss, gradient

    truth = finite_differences(lambda p: loss_and_gradient(p)[0], parameters)
    loss, gradient = loss_and_gradient(parameters)
    assert_gradient(gradient, truth, rtol=1e-6)

    coefs, intercepts = network.unpack(parameters)
    expected, by_row = 0.0, iter(zip(target.T, weights, strict=True))
    for number, rows in enumerate(pieces(cut)):
        outputs, recurrent = (
            None if masks_of is None else [mask[..., number] for mask in masks_of]
            for masks_of in (masks.outputs, masks.recurrent)
        )
        for row, (y, weight) in zip(rows, by_row, strict=False):
            steps = steps_before(stretches, rows, row)
            raw = reference.network(steps, coefs, intercepts, outputs=outputs, recurrent=recurrent)
            expected += weight * np.mean((raw - y) ** 2) / 2
    assert_allclose(loss, expected, rtol=1e-10)
