"""
===============================================
On a cluster, and with data larger than memory
===============================================

`Dask <https://docs.dask.org>`_ runs Python on one or many machines. This example starts two local
worker processes and shows:

- a grid search whose fits run on the workers;
- learning from data that is never in memory as a whole;
- predicting on such data, each block on the worker that holds it.

On a real cluster, replace the local client by ``Client("tcp://scheduler:8786")``. The example needs
``pip install "dask[distributed]"``.
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
    """Generate the content of a file: numbers, and marks at two of the steps, (1000, 20, 2)."""
    rng = np.random.default_rng(number)
    numbers = rng.uniform(size=(N_SAMPLES, N_TIMESTEPS))
    steps = np.tile(np.arange(N_TIMESTEPS), (N_SAMPLES, 1))
    marks = rng.permuted(steps, axis=1) < 2
    return np.stack([numbers, marks], axis=2).astype(np.float32)


def read_lazily():
    """Return a lazy X of shape (40000, 20, 2), and the sums of the marked numbers."""
    shape = (N_SAMPLES, N_TIMESTEPS, 2)
    X = da.concatenate(
        [
            da.from_delayed(dask.delayed(read_block)(number), shape, np.float32)
            for number in range(N_BLOCKS)
        ]
    )
    return X, (X[:, :, 0] * X[:, :, 1]).sum(axis=1)


def search_parameters(model, X, y):
    """Search in this process and on the workers; return the best model."""
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
    """Train for one pass over the data: a worker reads each block and sends it here."""
    for X_block, y_block in zip(X.blocks, y.blocks, strict=True):
        model.partial_fit(*dask.compute(X_block, y_block))


def predict_blocks(model, X):
    """Return lazy predictions, computed on the workers when they are needed."""
    return X.map_blocks(model.predict, drop_axis=(1, 2), dtype=np.float32)


def main():
    # One thread each: Dask limits BLAS to one thread in its workers, and sklstm then uses one too.
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster):
        X, y = read_lazily()
        n_train = 30 * N_SAMPLES

        # A small part of the data, in memory, to choose parameters.
        X_small, y_small = dask.compute(X[:N_SAMPLES], y[:N_SAMPLES])
        # Which numbers count depends on the marks, which a linear part cannot say.
        model = LSTMRegressor(
            linear_skip=0, early_stopping=True, n_iter_no_change=5, random_state=0
        )
        best = search_parameters(model, X_small, y_small).get_params()
        print({name: best[name] for name in ("hidden_layer_sizes", "learning_rate_init")})

        # All the training data. There is no validation set over calls of partial_fit.
        model.set_params(**best).set_params(early_stopping=False)
        learn_from_blocks(model, X[:n_train], y[:n_train])

        # The rest is the test set. Its errors are computed on the workers.
        X_new, y_new = X[n_train:], y[n_train:]
        error = ((predict_blocks(model, X_new) - y_new) ** 2).mean()
        print(f"mean squared error       {error.compute():.5f}")
        print(f"of the mean of y         {y_new.var().compute():.5f}")


if __name__ == "__main__":  # the workers import this file
    main()
