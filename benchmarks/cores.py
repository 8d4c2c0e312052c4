"""What more cores would gain in training: a prediction from measurements on one and two threads.

A batch is computed in lanes, each by one thread, and the rest of an update by one alone. In one
thread, the time of each lane and of the rest is measured. On n cores, an update would take the
rest, and as long as n workers need for the lanes, each taking the next one when it is free. How
much longer than that two threads take in truth, since they share the memory, is measured too; the
prediction for more cores contains the same factor. ``python benchmarks/cores.py`` prints a table.
"""

import heapq
import os
import time
import warnings
from unittest.mock import patch

import numpy as np
from run import unpinned
from worker import sequences

# n_features, n_units, n_timesteps, batch_size: two, four and eight lanes.
SHAPES = [(8, 64, 50, 128), (16, 128, 100, 64), (16, 128, 50, 256), (16, 128, 50, 512)]
N_BATCHES = 3
CORES = 4, 8


def measured(shape, n_threads):
    """Return the seconds of an update, and the seconds of each of its lanes."""
    from threadpoolctl import threadpool_limits

    from sklstm import LSTMRegressor
    from sklstm.nn.threads import ThreadPool

    n_features, n_units, n_timesteps, batch_size = shape
    X, y = sequences(N_BATCHES * batch_size, n_timesteps, n_features)
    params = {"linear_skip": 0, "early_stopping": False, "n_iter_no_change": np.inf}
    model = LSTMRegressor(n_units, batch_size=batch_size, max_iter=1, random_state=0, **params)
    updates, pool_map = [], ThreadPool.map

    def timed_map(pool, function, items):
        lanes = {}

        def timed(item):
            start = time.perf_counter()
            result = function(item)
            lanes[item] = time.perf_counter() - start
            return result

        results = pool_map(pool, timed, items)
        updates.append([lanes[item] for item in items])
        return results

    def seconds():
        start = time.perf_counter()
        model.partial_fit(X, y)
        return (time.perf_counter() - start) / N_BATCHES

    with threadpool_limits(n_threads, user_api="blas"), patch.object(ThreadPool, "map", timed_map):
        model.fit(X, y)
        updates.clear()
        update = min(seconds() for _ in range(7))
    return update, np.min(updates, axis=0)


def makespan(lanes, n_workers):
    """Return how long workers need for all lanes, each taking the next one when it is free."""
    ends = [0.0] * n_workers
    for lane in lanes:
        heapq.heapreplace(ends, ends[0] + lane)
    return max(ends)


def main():
    warnings.simplefilter("ignore")  # one epoch does not converge
    if os.environ != unpinned():  # BLAS has chosen its kernel by now
        raise SystemExit("Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE first.")
    print("shape, lanes, ms in one thread, of these outside of the lanes; ms in two threads;")
    print("times as fast as one thread: two measured, without sharing; four, eight predicted")
    for shape in SHAPES:
        one, lanes = measured(shape, 1)
        two, _ = measured(shape, 2)
        rest = one - lanes.sum()
        sharing = two / (rest + makespan(lanes, 2))
        predicted = [one / sharing / (rest + makespan(lanes, n)) for n in CORES]
        print(
            *shape, len(lanes), f"{1e3 * one:.2f} {1e3 * rest:.2f} {1e3 * two:.2f}",
            f"{one / two:.2f} {sharing * one / two:.2f}", *(f"{p:.2f}" for p in predicted),
        )  # fmt: skip


if __name__ == "__main__":
    main()
