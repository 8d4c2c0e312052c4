"""Dask: searches on its workers; prediction and partial_fit on blocks of its arrays."""

import os
import re
from pathlib import Path

import joblib
import numpy as np
import pytest
from support.data import (
    ESTIMATORS,
    assert_same_fit,
    make_sequences,
    make_target,
    partial_fit,
    quick,
    run_python,
)

from sklstm import LSTMClassifier, LSTMRegressor

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

EXAMPLE = Path(__file__).parents[2] / "examples" / "distributed_dask.py"


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@both
def test_a_search_on_two_workers_gives_the_same_bits_as_a_serial_one(cls, client, search):
    serial = search(cls)
    assert serial.processes == {os.getpid()}
    with joblib.parallel_config(backend="dask"):
        on_workers = search(cls)
    assert on_workers.processes == set(client.run(os.getpid).values())
    assert len(on_workers.processes) == 2
    on_workers.assert_same(serial)


@pytest.mark.parametrize(
    ("cls", "method", "shape_of_sample"),
    [
        (LSTMRegressor, "predict", ()),
        (LSTMClassifier, "predict", ()),
        (LSTMClassifier, "predict_proba", (3,)),
    ],
)
def test_predictions_block_by_block_have_the_same_bits(cls, method, shape_of_sample, client):
    X = make_sequences("missing", n_samples=100)
    predict = getattr(quick(cls).fit(X, make_target(cls, X)), method)
    blocks = da.from_array(X, chunks=(30, -1, -1))
    lazy = blocks.map_blocks(
        predict,
        chunks=(blocks.chunks[0], *shape_of_sample),
        drop_axis=(1, 2)[len(shape_of_sample) :],
        dtype=predict(X).dtype,
    )
    assert lazy.shape == (100, *shape_of_sample)
    by_hand = np.concatenate([predict(X[start : start + 30]) for start in range(0, 100, 30)])
    np.testing.assert_array_equal(lazy.compute(), by_hand, strict=True)


@both
def test_partial_fit_on_blocks_gives_the_same_bits(cls, client):
    X = make_sequences("dense", n_samples=100)
    y = make_target(cls, X)
    X_blocks, y_blocks = da.from_array(X, chunks=(30, -1, -1)), da.from_array(y, chunks=30)
    from_blocks, in_memory = quick(cls), quick(cls)
    for _ in range(2):
        for X_block, y_block in zip(X_blocks.blocks, y_blocks.blocks, strict=True):
            partial_fit(from_blocks, *client.gather(client.compute([X_block, y_block])))
        for start in range(0, 100, 30):
            partial_fit(in_memory, X[start : start + 30], y[start : start + 30])
    assert_same_fit(from_blocks, in_memory)


def test_the_example_gives_equal_scores_and_a_small_error(tmp_path):
    printed = run_python(EXAMPLE, cwd=tmp_path)
    assert "the same scores: True" in printed
    error, error_of_mean = re.search(r"error +(\S+)\nof the mean of y +(\S+)", printed).groups()
    assert float(error) < float(error_of_mean) / 100
