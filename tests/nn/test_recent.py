"""The last time steps as the linear part reads them: positions from the end, standardised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import DenseSequences, RaggedSequences

MEAN, SCALE = np.array([2.0, -1.0]), np.array([4.0, 0.5])


def by_loop(sample, n_steps, mean=MEAN, scale=SCALE):
    """Return what is read of one sample, a number at a time."""
    read = []
    for position in range(len(sample) - n_steps, len(sample)):
        for feature in range(len(mean)):
            value = sample[position, feature] if position >= 0 else np.nan
            read.append(0.0 if np.isnan(value) else (value - mean[feature]) / scale[feature])
    return read


def sequences_of(samples):
    has_missing = any(np.isnan(np.asarray(sample, float)).any() for sample in samples)
    if len({len(sample) for sample in samples}) == 1:
        return DenseSequences(np.array(samples), has_missing)
    return RaggedSequences(samples, has_missing)


def draw(lengths, seed=0, missing=0.3):
    rng = np.random.default_rng(seed)
    samples = [rng.normal(size=(length, 2)) for length in lengths]
    for sample in samples:
        sample[rng.uniform(size=len(sample)) < missing] = np.nan
    return samples


def test_steps_are_read_one_after_the_other_the_oldest_first():
    x = np.array([[[10.0, 20.0], [1.0, 2.0], [3.0, 4.0]]])
    recent = RecentSteps(2, np.zeros(2), np.ones(2))
    read = DenseSequences(x, has_missing=False).recent(slice(None), recent)
    assert_array_equal(read, [[1], [2], [3], [4]])
    assert recent.n_inputs == 4


def test_features_are_standardized_with_their_own_mean_and_scale():
    x = np.array([[[6.0, -1.5]]])
    read = DenseSequences(x, has_missing=False).recent(slice(None), RecentSteps(1, MEAN, SCALE))
    assert_array_equal(read, [[1], [-1]])


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_what_is_read_equals_a_loop(lengths, n_steps, seed):
    """A step that is missing, or before the first one, is zero: the mean."""
    samples = draw(lengths, seed)
    sequences, recent = sequences_of(samples), RecentSteps(n_steps, MEAN, SCALE)
    read = sequences.recent(slice(None), recent)
    assert read.shape == (2 * n_steps, len(samples))
    assert_allclose(read.T, [by_loop(sample, n_steps) for sample in samples], rtol=1e-14)
    rows = np.random.default_rng(seed).permutation(len(samples))[:3]
    assert_array_equal(sequences.recent(rows, recent), read[:, rows])


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any),
    st.integers(1, 9),
    st.sampled_from([np.float32, np.float64]),
)
def test_a_batch_has_what_is_read_in_the_order_of_its_columns(lengths, n_steps, dtype):
    """The sequences of a batch are sorted by the number of their real steps."""
    samples = draw(lengths)
    sequences, recent = sequences_of(samples), RecentSteps(n_steps, MEAN, SCALE)
    batch, order = sequences.batch(slice(None), np.dtype(dtype), recent)
    assert batch.recent.dtype == dtype
    columns = np.arange(len(samples))[order]
    expected = np.array([by_loop(samples[column], n_steps) for column in columns], dtype)
    assert_allclose(batch.recent.T, expected, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("lengths", [[4, 4], [4, 2]], ids=["equal", "ragged"])
def test_a_batch_has_nothing_to_read_without_a_linear_part(lengths):
    batch, _ = sequences_of(draw(lengths)).batch(slice(None), np.dtype(float))
    assert batch.recent is None


def test_a_missing_step_counts_as_a_position():
    """Unlike for the LSTM, which skips it."""
    x = np.array([[[1.0], [2.0], [np.nan]]])
    recent = RecentSteps(2, np.array([0.0]), np.array([1.0]))
    read = DenseSequences(x, has_missing=True).recent(slice(None), recent)
    assert_array_equal(read, [[2], [0]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float16, np.float32, bool])
def test_any_dtype_is_read_in_float64(dtype):
    x = np.array([[[1], [0]], [[0], [1]]], dtype)
    recent = RecentSteps(3, np.array([0.1]), np.array([0.3]))
    read = DenseSequences(x, has_missing=False).recent(slice(None), recent)
    assert read.dtype == np.float64
    one, none = 0.9 / 0.3, -0.1 / 0.3
    assert_allclose(read, [[0, 0], [one, none], [none, one]], rtol=1e-14)


def test_a_large_level_keeps_its_digits_in_float32():
    """The mean is subtracted in float64, before the result is rounded."""
    x = np.array([[[16_000_001.0]]], np.float32)
    recent = RecentSteps(1, np.array([16_000_000.25]), np.array([1.0]))
    batch, _ = DenseSequences(x, has_missing=False).batch(slice(None), np.dtype("f4"), recent)
    assert_array_equal(batch.recent, [[0.75]])


def test_reading_does_not_change_the_steps():
    x = draw([4, 4, 4])
    before = np.array(x)
    values = np.array(x)
    values.flags.writeable = False
    DenseSequences(values, has_missing=True).recent(slice(None), RecentSteps(4, MEAN, SCALE))
    assert_array_equal(values, before)
