"""Windows and a large X take the memory of a batch, not that of a copy of all samples.

NumPy reports its allocations to tracemalloc, so the peak of the memory is the same in every run.
Memory maps are not allocations and do not count.
"""

import tracemalloc

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.nn import SquaredError
from sklstm.nn.network import Network, Workspace
from sklstm.nn.packing import Batch, Packing
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import RaggedSequences
from sklstm.nn.steps import EveryStep
from sklstm.nn.tuning import Tuning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_SAMPLES, N_TIMESTEPS, N_FEATURES = 4000, 100, 64
SIZE = 8 * N_SAMPLES * N_TIMESTEPS * N_FEATURES  # bytes of all samples in float64, 205 MB


def peak_of(action, *arguments):
    """Return how many bytes a call allocates at most at a time."""
    tracemalloc.start()
    try:
        action(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Windows of a series: neighbours share all rows but one.

SERIES = np.random.RandomState(0).normal(size=(N_SAMPLES, N_FEATURES))
Y = SERIES.sum(axis=1)


def windows(**params):
    return SlidingWindow(N_TIMESTEPS, **params)


def fit_on_windows(series, **params):
    lstm = LSTMRegressor(2, max_iter=1, **params)
    return make_pipeline(windows(), lstm).fit(series, Y)


def transform_later_rows(series):
    window = windows(carry_context=True).fit(series[:2000])
    window.transform(series[2000:])
    window.partial_fit(series[2000:3000]).transform(series[3000:])


def frame_with_holes(series):
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2000-01-01", periods=2 * len(series), freq="h")
    kept = np.sort(np.random.RandomState(0).permutation(2 * len(series))[: len(series)])
    return pd.DataFrame(series, hours[kept])


def windows_of_panel(series):
    return windows(group_column=0, carry_context=True).fit_transform(
        np.c_[np.arange(N_SAMPLES) % 10, series]
    )


WITH_WINDOWS = {
    "fit_transform": lambda series: windows().fit_transform(series),
    "fit": fit_on_windows,
    "fit with early stopping": lambda series: fit_on_windows(series, early_stopping=True),
    "predict": lambda series: fit_on_windows(series).predict(series),
    "carry_context": lambda series: windows(carry_context=True).fit_transform(series),
    "later rows": transform_later_rows,
    "group_column": lambda series: windows(carry_context=True, group_column=0).fit_transform(
        np.c_[np.zeros(N_SAMPLES), series]
    ),
    "panel": windows_of_panel,
    "fit on panel": lambda series: LSTMRegressor(2, max_iter=1).fit(windows_of_panel(series), Y),
    "freq": lambda series: windows(freq="h").fit_transform(frame_with_holes(series)),
    "column_lags": lambda series: windows(column_lags={0: 5}).fit_transform(series),
}


@pytest.mark.parametrize("name", WITH_WINDOWS)
def test_windows_take_the_memory_of_a_batch(name):
    assert peak_of(WITH_WINDOWS[name], SERIES) < SIZE / 4


def test_windows_hold_little_more_than_the_series():
    series = np.random.RandomState(0).normal(size=(20_000, 8))
    panel = np.c_[series, np.arange(20_000) % 20]
    windows = SlidingWindow(200, group_column=8).fit_transform(panel)
    assert windows.nbytes < 1.4 * series.nbytes  # 199 rows of padding for each of 20 series


def test_fitted_rows_are_recognized_without_a_copy_of_them():
    series = np.random.RandomState(0).normal(size=(200_000, 8)).astype(np.float32)
    window = SlidingWindow(20, carry_context=True)
    assert (
        peak_of(window.fit, series) < 1.5 * series.nbytes
    )  # of which the checks of scikit-learn take 1
    assert peak_of(window.transform, series[:190_000] + 1) < 3 * series.nbytes


def test_the_peak_of_a_copy_of_all_windows_is_measured():
    copy_all = lambda series: np.ascontiguousarray(windows().fit_transform(series))  # noqa: E731
    assert peak_of(copy_all, SERIES) > 0.9 * SIZE


# Sequences of integers of one byte, which the network computes with in float64.


@pytest.fixture(scope="module")
def integers():
    shape = N_SAMPLES, N_TIMESTEPS, N_FEATURES
    return np.random.RandomState(0).randint(0, 100, size=shape, dtype=np.int8)


def fit_on_memory_map(X, path):
    np.save(path, X)
    LSTMRegressor(2, max_iter=1).fit(np.load(path, mmap_mode="r"), Y)


WITH_INTEGERS = {
    "fit": lambda X, path: LSTMRegressor(2, max_iter=1).fit(X, Y),
    "partial_fit": lambda X, path: LSTMRegressor(2).partial_fit(X, Y),
    "predict": lambda X, path: LSTMRegressor(2).partial_fit(X[:10], Y[:10]).predict(X),
    "list": lambda X, path: LSTMRegressor(2, max_iter=1).fit(list(X), Y),
    "memory map": fit_on_memory_map,
}


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_a_large_x_takes_the_memory_of_a_batch(name, integers, tmp_path):
    assert peak_of(WITH_INTEGERS[name], integers, tmp_path / "X.npy") < SIZE / 4


def test_the_peak_of_a_conversion_of_all_integers_is_measured(integers):
    assert peak_of(integers.astype, np.float64) > 0.9 * SIZE


# return_sequences: what the linear part reads at each step is many times X.


def test_the_linear_part_of_each_step_takes_the_memory_of_a_batch():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 400, 8)).astype(np.float32)
    model = LSTMRegressor(2, linear_skip=32, max_iter=1, return_sequences=True)
    model.fit(X[:4], X[:4, :, 0])
    with threadpool_limits(1):  # each thread has a batch of its own
        assert peak_of(model.predict, X) < 32 * X.nbytes / 2


def test_the_linear_part_does_not_pad_short_sequences_to_the_longest():
    values = [np.ones((4000, 8), np.float32), *np.ones((256, 4, 8), np.float32)]
    steps = EveryStep(RaggedSequences(values, has_missing=False))
    recent = RecentSteps(32, np.zeros(8), np.ones(8))
    short = np.arange(4000, steps.n_targets)
    assert peak_of(steps.recent, short, recent) < 4 * steps.recent(short, recent).nbytes


# Very long sequences.


def bytes_for_a_step(**tuning):
    """Return what training one unit takes for each step of a sequence."""
    n_steps, network = 5000, Network(1, (1,), 1)
    x = np.zeros((n_steps, 1, 1))
    parameters = network.initialize(np.random.RandomState(0))
    target = weights = np.ones((1, 1))

    def train():
        workspace = Workspace(network, x.dtype, tuning=Tuning(**tuning))
        batch = Batch(x, Packing.equal(n_steps, 1))
        gradient = np.zeros_like(parameters)
        network.add_gradient(
            parameters, batch, target, weights[0], SquaredError(), gradient, workspace
        )

    return peak_of(train) / n_steps


def test_a_sequence_of_very_many_steps_takes_no_objects_for_each():
    assert bytes_for_a_step() > 1500
    assert bytes_for_a_step(max_kept_steps=4999) < 500
