"""An epoch goes through each row once, whatever its sequences are."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm import SlidingWindow
from sklstm.nn.epochs import TrainingSet
from sklstm.nn.sequences import WindowSequences
from sklstm.nn.stretches import Stretches

N_ROWS, WINDOW_SIZE, LENGTH = 97, 10, 5
ROWS = np.arange(N_ROWS)
DTYPE = np.dtype(np.float64)


def training_set(*, on_stretches, rows=ROWS):
    """Rows whose targets are their numbers."""
    X = np.random.RandomState(0).normal(size=(N_ROWS, 2))
    sequences = WindowSequences(SlidingWindow(WINDOW_SIZE).fit_transform(X), True)
    target = np.arange(float(N_ROWS))[np.newaxis]
    weights = 1 + np.arange(float(N_ROWS))
    stretches = Stretches(sequences, rows, LENGTH) if on_stretches else None
    return TrainingSet(sequences, rows, target, weights, None, stretches)


def targets_of(epoch, batch_size):
    return [epoch.load(numbers, DTYPE).target[0] for numbers in epoch.batches(batch_size)]


@pytest.mark.parametrize("on_stretches", [False, True])
@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("batch_size", [5, 16, 1000])
def test_each_row_is_a_target_once(on_stretches, seed, batch_size):
    rows = np.delete(ROWS, [3, 50, 51, 52])
    rng = None if seed is None else np.random.RandomState(seed)
    data = training_set(on_stretches=on_stretches, rows=rows)
    targets = np.concatenate(targets_of(data.epoch(rng), batch_size))
    assert_array_equal(np.sort(targets), rows)


@pytest.mark.parametrize("on_stretches", [False, True])
def test_weights_are_those_of_the_rows(on_stretches):
    epoch = training_set(on_stretches=on_stretches).epoch(np.random.RandomState(0))
    assert epoch.total_weight == (1 + ROWS).sum()
    for numbers in epoch.batches(20):
        loaded = epoch.load(numbers, DTYPE)
        assert_array_equal(loaded.weights, 1 + loaded.target[0])
        assert epoch.weight(numbers) == loaded.weights.sum()


def test_single_rows_are_in_the_order_of_a_permutation():
    data = training_set(on_stretches=False)
    order = np.random.RandomState(3).permutation(N_ROWS)
    numbers = list(data.epoch(np.random.RandomState(3)).batches(30))
    assert_array_equal(np.concatenate(numbers), order)
    assert [len(part) for part in numbers] == [30, 30, 30, 7]


def test_without_a_generator_stretches_follow_each_other_in_time():
    targets = targets_of(training_set(on_stretches=True).epoch(None), 20)
    assert_array_equal(np.concatenate(targets), ROWS)


def test_stretches_are_cut_elsewhere_in_each_epoch():
    data, rng = training_set(on_stretches=True), np.random.RandomState(0)
    bounds = {tuple(data.epoch(rng).cut.bounds) for _ in range(30)}
    assert len(bounds) == LENGTH


def test_stretches_are_dealt_out_evenly():
    epoch = training_set(on_stretches=True).epoch(np.random.RandomState(0))
    batches = list(epoch.batches(20))
    assert len(batches) == 5  # as many as there would be of 97 single rows
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
