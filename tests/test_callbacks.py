"""scikit-learn's callbacks, and the error where scikit-learn does not have them."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from support.data import ESTIMATORS, Unchanged, assert_same_fit, make_sequences, make_target, quick

from sklstm import LSTMRegressor, SlidingWindow

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")

pytestmark = [
    pytest.mark.parametrize("cls", ESTIMATORS),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="needs scikit-learn 1.9")

X = make_sequences("missing", n_samples=30)


@pytest.fixture
def y(cls):
    return make_target(cls, X)


def scoring(cls):
    return "r2" if cls is LSTMRegressor else "accuracy"


class Recorder:
    """Callback that records its calls; stops or fails at a given one."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.events, self.predictions = [], []

    def record(self, event, context):
        self.events.append((event, context.task_name, context.task_id))
        if self.fail_at == self.events[-1]:
            raise RuntimeError(f"failed at {event}")

    def setup(self, estimator, context):
        self.record("setup", context)

    def teardown(self, estimator, context):
        self.record("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.record("begin", context)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.record("end", context)
        if context.task_name == "epoch":
            self.predictions.append(fitted_estimator.predict(X))
            return context.task_id == self.stop_at
        return None


class Collector(Recorder):
    """Callback that keeps the estimator of every epoch."""

    def __init__(self):
        super().__init__()
        self.fitted = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)


# Without scikit-learn's callbacks.


@pytest.mark.skipif(HAS_CALLBACKS, reason="scikit-learn has callbacks")
def test_set_callbacks_names_the_required_version_of_scikit_learn(cls, y):
    estimator = cls()
    with Unchanged(estimator), pytest.raises(ImportError, match=r"need scikit-learn 1\.9 or later"):
        estimator.set_callbacks(Recorder())


def test_fit_without_callbacks_leaves_no_attribute_of_them(cls, y):
    estimator = quick(cls).fit(X, y)
    assert not [name for name in vars(estimator) if "callback" in name or "skl" in name]


# The calls of a callback.


@needs_callbacks
def test_a_callback_is_called_for_every_epoch(cls, y):
    recorder = Recorder()
    quick(cls).set_callbacks(recorder).fit(X, y)
    epochs = [(event, "epoch", epoch) for epoch in range(3) for event in ("begin", "end")]
    assert recorder.events == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *epochs,
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]


@needs_callbacks
def test_the_estimator_of_an_epoch_predicts_like_a_fit_that_ends_there(cls, y):
    recorder = Recorder()
    estimator = quick(cls, dropout=0.2, bidirectional=True).set_callbacks(recorder).fit(X, y)
    for epoch, predicted in enumerate(recorder.predictions, start=1):
        shorter = clone(estimator).set_callbacks().set_params(max_iter=epoch).fit(X, y)
        np.testing.assert_array_equal(predicted, shorter.predict(X))


@needs_callbacks
def test_the_estimator_of_an_epoch_has_the_attributes_of_that_epoch(cls, y):
    collector = Collector()
    estimator = quick(cls, early_stopping=True, validation_fraction=0.3)
    estimator.set_callbacks(collector).fit(X, y)
    assert len(collector.fitted) == 3
    for epoch, fitted in enumerate(collector.fitted, start=1):
        assert fitted.n_iter_ == epoch
        assert fitted.loss_curve_ == estimator.loss_curve_[:epoch]
        assert fitted.loss_ == estimator.loss_curve_[epoch - 1]
        assert fitted.learning_rate_curve_ == estimator.learning_rate_curve_[:epoch]
        assert fitted.validation_scores_ == estimator.validation_scores_[:epoch]
        assert len(pickle.loads(pickle.dumps(fitted)).predict(X)) == len(X)


@needs_callbacks
@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_do_not_change_any_bit(cls, y, early_stopping):
    params = {"dropout": 0.2, "early_stopping": early_stopping, "validation_fraction": 0.3}
    estimator = quick(cls, **params).set_callbacks(Recorder()).fit(X, y)
    plain = quick(cls, **params).fit(X, y)
    assert_same_fit(estimator, plain)
    assert vars(estimator).keys() - vars(plain).keys() == {"_skl_callbacks"}
    estimator.set_callbacks()
    assert vars(estimator).keys() == vars(plain).keys()


@needs_callbacks
def test_a_converged_fit_reports_only_its_epochs(cls, y):
    recorder = Recorder()
    estimator = quick(cls, batch_size=1, max_iter=50, tol=10.0, n_iter_no_change=2).set_callbacks(
        recorder
    )
    estimator.fit(X, y)
    assert estimator.n_iter_ == len(recorder.predictions) == 4
    assert recorder.events[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]


# Stopping.


@needs_callbacks
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("stop_at", [0, 3])
def test_a_callback_can_stop_training_after_an_epoch(cls, y, stop_at):
    recorder = Recorder(stop_at)
    # Without a warning: training was stopped on purpose.
    estimator = quick(cls, max_iter=50).set_callbacks(recorder).fit(X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == stop_at + 1
    assert recorder.events[-3:] == [
        ("end", "epoch", stop_at),
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    np.testing.assert_array_equal(estimator.predict(X), recorder.predictions[-1])
    whole = quick(cls, max_iter=stop_at + 1, tol=0, n_iter_no_change=1)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        whole.fit(X, y)
    assert_same_fit(estimator, whole)


@needs_callbacks
def test_warm_start_continues_a_stopped_fit(cls, y):
    estimator = quick(cls, max_iter=50, warm_start=True).set_callbacks(Recorder(stop_at=1))
    estimator.fit(X, y).set_callbacks().set_params(max_iter=2).fit(X, y)
    assert_same_fit(estimator, quick(cls, max_iter=4).fit(X, y))


@needs_callbacks
def test_a_stopped_fit_with_early_stopping_keeps_the_best_weights(cls, y):
    sets = {"X_val": X[:8], "y_val": y[:8]}
    params = {"early_stopping": True, "learning_rate_init": 0.3, "n_iter_no_change": np.inf}
    estimator = (
        quick(cls, linear_skip=0, max_iter=50, **params)
        .set_callbacks(Recorder(stop_at=9))
        .fit(X, y, **sets)
    )
    assert estimator.n_iter_ == 10
    assert estimator.best_iter_ < 10
    assert estimator.score(X[:8], y[:8]) == pytest.approx(max(estimator.validation_scores_))


# Errors.


@needs_callbacks
@pytest.mark.parametrize(
    "fail_at",
    [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 1),
        ("end", "fit", 0),
    ],
    ids=lambda event: "-".join(map(str, event)),
)
@pytest.mark.parametrize("is_fitted", [False, True])
def test_a_callback_that_raises_leaves_the_estimator_unchanged(cls, y, fail_at, is_fitted):
    estimator, recorder = quick(cls, warm_start=True), Recorder(fail_at=fail_at)
    if is_fitted:
        estimator.fit(X, y)
    estimator.set_callbacks(recorder)
    before = dict(vars(estimator))
    with pytest.raises(RuntimeError, match=f"failed at {fail_at[0]}"):
        estimator.fit(X, y)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())
    assert recorder.events[-2:] == [fail_at, ("teardown", "fit", 0)]


@needs_callbacks
@pytest.mark.parametrize("bad", ["parameter", "input"])
def test_callbacks_are_torn_down_if_fit_raises(cls, y, bad):
    recorder = Recorder()
    estimator = quick(cls, max_iter=3, **({"alpha": -1} if bad == "parameter" else {}))
    estimator.set_callbacks(recorder)
    before = set(vars(estimator))
    with pytest.raises(ValueError, match=r"alpha|inconsistent"):
        estimator.fit(X, y if bad == "parameter" else y[:-1])
    assert set(vars(estimator)) == before
    assert recorder.events[-1] == ("teardown", "fit", 0)
    assert not recorder.predictions


@needs_callbacks
@pytest.mark.parametrize("callback", [3, "callback", Recorder, object()])
def test_an_object_that_is_not_a_callback_raises(cls, y, callback):
    with pytest.raises(TypeError, match="callbacks must be instances"):
        cls().set_callbacks(callback)


@needs_callbacks
def test_a_clone_calls_the_same_callback(cls, y):
    recorder = Recorder()
    estimator = quick(cls).set_callbacks(recorder).fit(X, y)
    clone(estimator).fit(X, y)
    assert len(recorder.predictions) == 6


# The callbacks of scikit-learn.


@needs_callbacks
def test_a_scoring_monitor_logs_the_score_of_every_epoch(cls, y):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring=scoring(cls))
    estimator = quick(cls).set_callbacks(monitor).fit(X, y)
    logged = {row["task_id_path"]: row[scoring(cls)] for row in monitor.get_logs().data}
    expected = {(0, k): quick(cls, max_iter=k + 1).fit(X, y).score(X, y) for k in range(3)}
    # And the score after the whole fit.
    expected[0,] = estimator.score(X, y)
    assert logged == pytest.approx(expected, rel=1e-12)


@needs_callbacks
def test_a_scoring_monitor_uses_sample_weights(cls, y):
    from sklearn import config_context
    from sklearn.callback import ScoringMonitor
    from sklearn.metrics import get_scorer

    weights = np.linspace(0, 2, 30)
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer(scoring(cls)).set_score_request(sample_weight=True)
        monitor = ScoringMonitor(scoring=scorer)
        estimator = quick(cls).set_fit_request(sample_weight=True).set_callbacks(monitor)
        estimator.fit(X, y, sample_weight=weights)
    last = monitor.get_logs().data[-1]["score"]
    assert last == pytest.approx(estimator.score(X, y, sample_weight=weights))


@needs_callbacks
def test_a_progress_bar_reaches_the_end(cls, y, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    estimator = quick(cls).set_callbacks(ProgressBar()).fit(X, y)
    printed = capsys.readouterr().out
    assert f"{cls.__name__} - fit" in printed
    assert "100%" in printed
    assert_same_fit(estimator, quick(cls).fit(X, y))


SERIES = np.random.RandomState(0).normal(size=(60, 2))


def pipeline(cls, *callbacks):
    estimator = quick(cls)
    if callbacks:
        estimator.set_callbacks(*callbacks)
    return make_pipeline(StandardScaler(), SlidingWindow(4), estimator)


@needs_callbacks
def test_callbacks_of_the_last_step_of_a_pipeline_are_called(cls):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar, ScoringMonitor

    y = make_target(cls, SERIES)
    monitor, recorder = ScoringMonitor(scoring=scoring(cls)), Recorder()
    model = pipeline(cls, monitor, recorder).set_callbacks(ProgressBar()).fit(SERIES, y)
    assert len(recorder.predictions) == 3
    logged = {row["task_name"]: row[scoring(cls)] for row in monitor.get_logs().data}
    # After the whole fit: with a validation set, no epoch has the parameters that are kept.
    assert logged["fit"] == pytest.approx(model.score(SERIES, y))
    assert_same_fit(model[-1], pipeline(cls).fit(SERIES, y)[-1])


@pytest.mark.slow
@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_are_called_in_every_fit_of_a_grid_search(cls, n_jobs):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar, ScoringMonitor

    y = make_target(cls, SERIES)
    monitor = ScoringMonitor(scoring=scoring(cls))
    grid = {"slidingwindow__window_size": [2, 4]}
    search = GridSearchCV(pipeline(cls, monitor), grid, cv=3, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar())
    search.fit(SERIES, y)
    plain = GridSearchCV(pipeline(cls), grid, cv=3, n_jobs=n_jobs).fit(SERIES, y)
    # Three epochs and the whole fit; two candidates in three folds, and the refit.
    assert len(monitor.get_logs().data) == (3 + 1) * (2 * 3 + 1)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert_same_fit(search.best_estimator_[-1], plain.best_estimator_[-1])
