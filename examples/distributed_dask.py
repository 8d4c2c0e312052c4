"""
===============================================
On a cluster, and with data larger than memory
===============================================

`Dask <https://docs.dask.org>`_ runs Python on one machine or on many. Three things to do with it,
here on two processes that this example starts itself:

- a grid search whose fits run on the workers;
- learning from data that is never in memory as a whole;
- predicting on such data, each block where it is.

On a real cluster, ``Client("tcp://scheduler:8786")`` takes the place of the local one and all else
stays. It needs ``pip install "dask[distributed]"``.
"""

from time import perf_counter

import dask
import dask.array as da
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from sklstm import LSTMRegressor

N_BLOCKS, N_SAMPLES, N_TIMESTEPS = 40, 1000, 20


def read_block(number):
    """Stand in for a file: numbers, and marks at two of the steps, shape (1000, 20, 2)."""
    rng = np.random.default_rng(number)
    numbers = rng.uniform(size=(N_SAMPLES, N_TIMESTEPS))
    steps = np.tile(np.arange(N_TIMESTEPS), (N_SAMPLES, 1))
    marks = rng.permuted(steps, axis=1) < 2
    return np.stack([numbers, marks], axis=2).astype(np.float32)


def read_lazily():
    """X of shape (40000, 20, 2), of which nothing is read yet, and the sums of marked numbers."""
    shape = (N_SAMPLES, N_TIMESTEPS, 2)
    X = da.concatenate(
        [
            da.from_delayed(dask.delayed(read_block)(number), shape, np.float32)
            for number in range(N_BLOCKS)
        ]
    )
    return X, (X[:, :, 0] * X[:, :, 1]).sum(axis=1)


def search_parameters(model, X, y):
    """Search here and on the workers; give the best model."""
    grid = {"hidden_layer_sizes": [8, 16], "learning_rate_init": [0.003, 0.01, 0.03]}
    search = GridSearchCV(model, grid, cv=2)

    start = perf_counter()
    search.fit(X, y)
    print(f"search in this process   {perf_counter() - start:5.1f} s")
    scores = search.cv_results_["mean_test_score"]

    start = perf_counter()
    with joblib.parallel_config(backend="dask"):
        search.fit(X, y)
    print(f"search on two workers    {perf_counter() - start:5.1f} s")
    print("the same scores:", np.array_equal(scores, search.cv_results_["mean_test_score"]))
    return search.best_estimator_


def learn_from_blocks(model, X, y):
    """One pass over the data: one block after the other is read on a worker and comes here."""
    for X_block, y_block in zip(X.blocks, y.blocks, strict=True):
        model.partial_fit(*dask.compute(X_block, y_block))


def predict_blocks(model, X):
    """Predictions that are made when they are needed, on the workers."""
    return X.map_blocks(model.predict, drop_axis=(1, 2), dtype=np.float32)


def main():
    # One thread each: Dask makes BLAS compute in one thread in its workers, and so does sklstm.
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster):
        X, y = read_lazily()
        n_train = 30 * N_SAMPLES

        # A small part of the data, in memory, to choose parameters.
        X_small, y_small = dask.compute(X[:N_SAMPLES], y[:N_SAMPLES])
        model = LSTMRegressor(early_stopping=True, n_iter_no_change=5, random_state=0)
        best = search_parameters(model, X_small, y_small).get_params()
        print({name: best[name] for name in ("hidden_layer_sizes", "learning_rate_init")})

        # All the training data. There is no validation set over calls of partial_fit.
        model.set_params(**best).set_params(early_stopping=False)
        learn_from_blocks(model, X[:n_train], y[:n_train])

        # The rest is new. Its errors are computed where the blocks are; one number comes here.
        X_new, y_new = X[n_train:], y[n_train:]
        error = ((predict_blocks(model, X_new) - y_new) ** 2).mean()
        print(f"mean squared error       {error.compute():.5f}")
        print(f"of the mean of y         {y_new.var().compute():.5f}")


if __name__ == "__main__":  # the workers import this file
    main()
