"""train_on="series": training on stretches of the series under the windows.

Where a stretch is a single row, it is training on windows, whose numbers are known to be right. The
loss of longer stretches is held to the slow reference.
"""

import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import reference_lstm as reference
from support.data import ESTIMATORS, assert_same_fit, outputs, partial_fit, quick
from support.plain import plain
from threadpoolctl import threadpool_limits

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, TimestepTransformer
from sklstm.nn.sequences import WindowSequences
from sklstm.nn.stretches import Stretches, stretch_length
from sklstm.nn.windows import Windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_ROWS, WINDOW_SIZE = 120, 16
SERIES = np.random.RandomState(0).normal(size=(N_ROWS, 2))
WINDOWS = SlidingWindow(WINDOW_SIZE, lag=1).fit_transform(SERIES)
LEVEL = SERIES[:, 0] + np.roll(SERIES[:, 1], 2)
ON_SERIES = {"train_on": "series", "batch_size": 40}


def target_of(cls, level=LEVEL):
    return level if issubclass(cls, LSTMRegressor) else np.where(level > 0, "up", "down")


def on_series(cls, **params):
    return quick(cls, **ON_SERIES | params)


@pytest.fixture(params=ESTIMATORS)
def cls(request):
    return request.param


@pytest.fixture
def y(cls):
    return target_of(cls)


# What is refused.


@pytest.mark.parametrize(
    "X",
    [np.asarray(WINDOWS), np.asarray(WINDOWS)[:, :, 0], list(np.asarray(WINDOWS))],
    ids=["array", "table", "list"],
)
def test_an_X_that_is_no_windows_is_an_error_that_says_what_to_do(cls, y, X):
    with pytest.raises(ValueError, match=r"needs X as the windows .* Put SlidingWindow before"):
        on_series(cls).fit(X, y)
    with pytest.raises(ValueError, match="needs X as the windows"):
        partial_fit(on_series(cls), X, y)


def test_bidirectional_is_refused_with_the_reason(cls, y):
    with pytest.raises(ValueError, match="backward direction would read the steps after a row"):
        on_series(cls, bidirectional=True).fit(WINDOWS, y)


@pytest.mark.parametrize("pooling", ["mean", ("last", "max")])
def test_pooling_over_the_steps_is_refused_with_the_reason(cls, y, pooling):
    with pytest.raises(ValueError, match="mean or maximum would be over other steps"):
        on_series(cls, pooling=pooling).fit(WINDOWS, y)


@pytest.mark.parametrize("pooling", ["auto", "last"])
def test_the_head_reads_the_last_state(cls, y, pooling):
    model = on_series(cls, pooling=pooling).fit(WINDOWS, y)
    assert model.coefs_[-1].shape[1] == 4


def test_an_unknown_value_is_an_error(cls, y):
    with pytest.raises(ValueError, match="'train_on' parameter"):
        quick(cls, train_on="stretches").fit(WINDOWS, y)


def test_a_network_that_pools_cannot_continue_on_the_series():
    y = target_of(LSTMClassifier)
    model = quick(LSTMClassifier, warm_start=True).fit(WINDOWS, y)
    with pytest.raises(ValueError, match="pooling is now"):
        model.set_params(train_on="series").fit(WINDOWS, y)


# The same as windows, where it must be.


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": (3, 4)},
        {"alpha": 0.1, "linear_skip": 3},
        {"shuffle": False},
        {"early_stopping": True, "validation_split": "last"},
    ],
    ids=str,
)
def test_stretches_of_one_row_are_windows(cls, y, params):
    params = {"batch_size": 1, "pooling": "last", "max_iter": 2, **params}
    series = quick(cls, train_on="series", **params).fit(WINDOWS, y)
    windows = quick(cls, **params).fit(WINDOWS, y)
    assert_allclose(series.loss_curve_, windows.loss_curve_, rtol=1e-9)
    assert_allclose(outputs(series, WINDOWS), outputs(windows, WINDOWS), rtol=1e-6, atol=1e-8)
    if params.get("early_stopping"):
        # These are along stretches, also where training goes through single rows.
        assert_allclose(series.validation_scores_, windows.validation_scores_, atol=0.01)


def test_predictions_are_those_of_windows(cls, y):
    model = on_series(cls).fit(WINDOWS, y)
    on_windows = clone(model).set_params(train_on="windows", pooling="last", warm_start=True)
    on_windows.__dict__ |= {"_model": model._model, "_training": model._training}
    rows = np.array([3, 50, 51, 119])
    assert_array_equal(
        outputs(model, WINDOWS[rows]), outputs(on_windows, np.asarray(WINDOWS)[rows])
    )
    assert_allclose(outputs(model, WINDOWS[rows]), outputs(model, WINDOWS)[rows], rtol=1e-12)


# The loss, by the reference.


def loss_by_hand(model, windows, y, weights):
    """Mean squared error / 2 of the outputs along stretches, by loops over rows and steps."""
    rows = np.arange(len(y))
    length = stretch_length(windows.window_size, model.batch_size)
    cut = Stretches(WindowSequences(windows, True), rows, length).cut()
    total = 0.0
    for stretch in np.split(cut.rows, cut.bounds[1:-1]):
        steps = windows[stretch[0]]
        for row in stretch:
            if row != stretch[0]:
                # All steps but the last are those of the row before.
                steps = np.concatenate([steps, windows[row][-1:]])
            raw = reference.network(steps, model.coefs_, model.intercepts_)
            total += weights[row] * np.mean((raw - y[row]) ** 2) / 2
    return total / weights.sum()


def series_with_holes():
    series = SERIES.copy()
    series[[5, 6, 30, 77, 78, 79]] = np.nan
    return SlidingWindow(WINDOW_SIZE, lag=1).fit_transform(series)


@pytest.mark.parametrize("windows", [WINDOWS, series_with_holes()], ids=["whole", "holes"])
@pytest.mark.parametrize("hidden", [5, (3, 4)])
def test_the_loss_is_that_of_the_outputs_along_the_stretches(windows, hidden):
    y = np.column_stack([LEVEL, -2 * LEVEL + 1])
    weights = np.random.RandomState(1).uniform(size=N_ROWS)
    params = {"hidden_layer_sizes": hidden, "alpha": 0.0, "normalize_y": False, "shuffle": False}
    model = plain(LSTMRegressor, train_on="series", batch_size=N_ROWS, **params)
    model.partial_fit(windows, y, weights)
    # The loss of the next epoch is that of the weights before it.
    expected = loss_by_hand(model, windows, y, weights)
    model.partial_fit(windows, y, weights)
    assert_allclose(model.loss_curve_[1], expected, rtol=1e-10)


# Weights.


def test_a_row_of_weight_zero_is_as_if_it_were_not_there(cls, y):
    kept = np.random.RandomState(0).uniform(size=N_ROWS) < 0.8
    params = {"batch_size": N_ROWS, "pooling": "last", "early_stopping": False, "linear_skip": 0}
    with_zeros = (
        quick(cls, train_on="series", normalize_y=False, **params)
        if issubclass(cls, LSTMRegressor)
        else quick(cls, train_on="series", **params)
    )
    without = clone(with_zeros).fit(WINDOWS[kept], y[kept])
    with_zeros.fit(WINDOWS, y, kept.astype(float))
    assert with_zeros.loss_curve_ == without.loss_curve_
    for ours, theirs in zip(with_zeros.coefs_, without.coefs_, strict=True):
        assert_array_equal(ours, theirs)


def test_a_weight_of_two_is_the_row_given_twice(cls, y):
    twice = np.random.RandomState(0).uniform(size=N_ROWS) < 0.3
    rows = np.repeat(np.arange(N_ROWS), 1 + twice)
    params = {"batch_size": 2 * N_ROWS, "early_stopping": False, "alpha": 0.1}
    weighted = quick(cls, train_on="series", **params).fit(WINDOWS, y, 1.0 + twice)
    repeated = quick(cls, train_on="series", **params).fit(WINDOWS[rows], y[rows])
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    assert_allclose(outputs(weighted, WINDOWS), outputs(repeated, WINDOWS), rtol=1e-6, atol=1e-9)


# Early stopping.


def test_training_does_not_see_the_validation_rows():
    params = {"early_stopping": True, "n_iter_no_change": 100, "linear_skip": 0}
    model = on_series(LSTMRegressor, normalize_y=False, validation_gap=1, **params)
    seen = N_ROWS - N_ROWS // 10 - 1  # without the gap
    later_X, later_y = SERIES.copy(), LEVEL.copy()
    # The row after the last one of training may be the newest step of no training row, with lag=1.
    later_X[seen:] += 100
    later_y[seen:] -= 100
    first = clone(model).fit(WINDOWS, LEVEL)
    other = clone(model).fit(SlidingWindow(WINDOW_SIZE, lag=1).fit_transform(later_X), later_y)
    assert first.loss_curve_ == other.loss_curve_
    assert first.validation_scores_ != other.validation_scores_


def test_the_best_score_is_that_of_the_windows(cls, y):
    params = {"early_stopping": True, "validation_split": "last", "max_iter": 5}
    model = on_series(cls, linear_skip=0, **params).fit(WINDOWS, y)
    held = slice(N_ROWS - N_ROWS // 10, None)
    assert_allclose(model.best_validation_score_, model.score(WINDOWS[held], y[held]), rtol=1e-9)


@pytest.mark.parametrize("linear_skip", [0, "auto"])
def test_validation_rows_of_the_user(cls, y, linear_skip):
    model = on_series(cls, early_stopping=True, linear_skip=linear_skip, max_iter=4)
    X_val, y_val = WINDOWS[80:], y[80:]
    along = clone(model).fit(WINDOWS[:80], y[:80], X_val=X_val, y_val=y_val)
    exact = clone(model).fit(WINDOWS[:80], y[:80], X_val=np.asarray(X_val), y_val=y_val)
    assert along.loss_curve_ == exact.loss_curve_
    assert_allclose(along.best_validation_score_, along.score(X_val, y_val), rtol=1e-9)
    assert_allclose(along.validation_scores_, exact.validation_scores_, atol=0.2)


# Continuing, and the same bits.


def test_calls_of_partial_fit_equal_one_fit(cls, y):
    model = on_series(cls, early_stopping=False, max_iter=3).fit(WINDOWS, y)
    in_calls = on_series(cls)
    for _ in range(3):
        in_calls = pickle.loads(pickle.dumps(partial_fit(in_calls, WINDOWS, y)))
    assert_same_fit(in_calls, model)


def test_a_warm_start_continues(cls, y):
    model = on_series(cls, early_stopping=False, max_iter=4).fit(WINDOWS, y)
    in_calls = on_series(cls, early_stopping=False, max_iter=2, warm_start=True)
    assert_same_fit(in_calls.fit(WINDOWS, y).fit(WINDOWS, y), model)


def test_training_can_go_on_between_windows_and_series(cls, y):
    model = on_series(cls, warm_start=True, early_stopping=False).fit(WINDOWS, y)
    model.set_params(train_on="windows").fit(np.asarray(WINDOWS), y)
    assert model.n_iter_ == 6


def test_the_number_of_threads_does_not_change_any_bit(cls, y):
    fits = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            fits.append(on_series(cls, hidden_layer_sizes=100, batch_size=N_ROWS).fit(WINDOWS, y))
    assert_same_fit(*fits)


def test_a_copy_of_the_windows_gives_the_same_bits(cls, y):
    copied = pickle.loads(pickle.dumps(WINDOWS))
    assert_same_fit(on_series(cls).fit(copied, y), on_series(cls).fit(WINDOWS, y))


def test_float32_stays_float32(cls, y):
    windows = SlidingWindow(WINDOW_SIZE, lag=1).fit_transform(SERIES.astype(np.float32))
    model = on_series(cls).fit(windows, y)
    assert model.coefs_[0].dtype == np.float32


# Every option of the estimators, every kind of windows.

LOSSES = [
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "quantile", "quantile": 0.8},
    {"loss": "quantile", "quantile": [0.1, 0.9]},
    {"loss": "poisson"},
    {"loss": "poisson", "linear_skip": 3, "early_stopping": True},
]


@pytest.mark.parametrize("params", LOSSES, ids=str)
def test_every_loss(params):
    y = np.exp(LEVEL) if params["loss"] == "poisson" else LEVEL
    model = on_series(LSTMRegressor, max_iter=30, **params).fit(WINDOWS, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(model.predict(WINDOWS)).all()


def test_dropout_in_stacked_layers(cls, y):
    params = {"hidden_layer_sizes": (6, 5), "dropout": 0.3, "recurrent_dropout": 0.2}
    model = on_series(cls, **params).fit(WINDOWS, y)
    assert_same_fit(on_series(cls, **params).fit(WINDOWS, y), model)
    assert (
        model.loss_curve_ != on_series(cls, hidden_layer_sizes=(6, 5)).fit(WINDOWS, y).loss_curve_
    )


def test_several_labels():
    y = (SERIES > 0).astype(int)
    model = on_series(LSTMClassifier).fit(WINDOWS, y)
    assert model.predict_proba(WINDOWS).shape == (N_ROWS, 2)


SLIDING = {
    "padding edge": {"padding": "edge"},
    "sampling rate": {"sampling_rate": 3},
    "column lags": {"column_lags": {1: 0}},
    "panel": {"group_column": 2},
}


@pytest.mark.parametrize("params", SLIDING.values(), ids=SLIDING)
def test_every_kind_of_windows(cls, y, params):
    X = np.column_stack([SERIES, np.repeat([0, 1, 2], [60, 5, 55])])
    windows = SlidingWindow(WINDOW_SIZE, **{"lag": 1} | params).fit_transform(X)
    assert isinstance(windows, Windows)
    model = on_series(cls, early_stopping=False, max_iter=30).fit(windows, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_holes_in_time(cls, y):
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2024-01-01", periods=2 * N_ROWS, freq="h")
    kept = np.sort(np.random.RandomState(0).permutation(2 * N_ROWS)[:N_ROWS])
    frame = pd.DataFrame(SERIES, hours[kept], columns=["a", "b"])
    windows = SlidingWindow(WINDOW_SIZE, lag=1, freq="h").fit_transform(frame)
    model = on_series(cls, max_iter=30, early_stopping=False).fit(windows, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert_array_equal(outputs(model, windows), outputs(model, np.asarray(windows)))


def test_a_series_shorter_than_a_window(cls, y):
    windows = SlidingWindow(50, lag=1).fit_transform(SERIES[:12])
    model = on_series(cls).fit(windows, y[:12])
    assert np.isfinite(model.loss_)


# In a Pipeline.


def test_pipelines_cross_validation_and_searches(cls, y):
    pipeline = make_pipeline(
        StandardScaler(),
        SlidingWindow(WINDOW_SIZE, lag=1, carry_context=True),
        TimestepTransformer(StandardScaler()),
        on_series(cls),
    )
    name = pipeline.steps[-1][0]
    grid = {f"{name}__train_on": ["windows", "series"], "slidingwindow__window_size": [4, 8]}
    search = GridSearchCV(pipeline, grid, cv=TimeSeriesSplit(2)).fit(SERIES, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(cross_val_predict(pipeline, SERIES, y, cv=3)) == N_ROWS


def test_it_learns_what_windows_learn():
    t = np.arange(600)
    noise = np.random.RandomState(0).normal(scale=0.2, size=len(t))
    series = (np.sin(2 * np.pi * t / 20) + np.sin(2 * np.pi * t / 33) + noise)[:, np.newaxis]
    windows = SlidingWindow(40, lag=1).fit_transform(series)
    scores = {}
    for train_on in ("windows", "series"):
        model = LSTMRegressor(16, train_on=train_on, linear_skip=0, max_iter=60, random_state=0)
        model.fit(windows[:480], series[:480, 0])
        scores[train_on] = model.score(windows[480:], series[480:, 0])
    assert scores["series"] > scores["windows"] - 0.02
    assert scores["series"] > 0.9


def test_no_window_is_copied():
    X = np.random.RandomState(0).normal(size=(4000, 16))
    windows = SlidingWindow(100).fit_transform(X)
    model = LSTMRegressor(2, train_on="series", max_iter=1, linear_skip=2)
    tracemalloc.start()
    try:
        model.fit(windows, X[:, 0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < windows.size * 8 / 4
