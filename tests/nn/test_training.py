"""Training: learning rates, progress, history, one epoch, and the loop with its endings."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.interrupts import InterruptAt
from threadpoolctl import threadpool_limits

from sklstm.nn import Adam, SquaredError
from sklstm.nn.model import InputForm, Model, NumericOutput
from sklstm.nn.network import Network, Workspace
from sklstm.nn.sequences import DenseSequences
from sklstm.nn.threads import ThreadPool
from sklstm.nn.training import (
    _N_EPOCHS_KEPT,
    History,
    Progress,
    Settings,
    Trainer,
    TrainingSet,
    TrainingState,
    ValidationSet,
    train,
)

SETTINGS = Settings(
    loss=SquaredError(),
    n_epochs=4,
    max_iter=4,
    batch_size=8,
    alpha=0.0,
    max_grad_norm=None,
    shuffle=True,
    dropout=0.0,
    recurrent_dropout=0.0,
    learning_rate="constant",
    learning_rate_init=0.01,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    tol=0.0,
    n_iter_no_change=np.inf,
)


# Progress.


@pytest.mark.parametrize("epoch", [0, 3, 9])
def test_a_constant_learning_rate_does_not_change(epoch):
    assert Progress(epoch=epoch).learning_rate("constant", 0.02, 5) == 0.02


def test_an_adaptive_learning_rate_is_divided_by_five_for_each_reduction():
    rates = [Progress(n_reductions=n).learning_rate("adaptive", 0.5, 5) for n in range(3)]
    assert_allclose(rates, [0.5, 0.1, 0.02], rtol=1e-15)


def test_a_cosine_learning_rate_falls_to_zero_and_restarts():
    rates = [Progress(epoch=epoch).learning_rate("cosine", 0.02, 4) for epoch in range(8)]
    assert_allclose(rates[:4], 0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)), rtol=1e-15)
    assert rates[4:] == rates[:4]


def test_progress_counts_the_epochs_without_an_improvement_by_tol():
    progress = Progress()
    counts, are_best = [], []
    for score in (0.0, 0.05, 0.2, 0.1, 0.2, 0.31):
        are_best.append(progress.record(score, tol=0.1))
        counts.append(progress.n_stalled)
    assert counts == [0, 1, 0, 1, 2, 0]
    assert are_best == [True, True, True, False, False, True]
    assert (progress.epoch, progress.best) == (6, 0.31)


def test_training_has_converged_after_more_than_n_iter_no_change_stalled_epochs():
    assert not Progress(n_stalled=3).reduce_rate_or_end(3, 0.1, "constant")
    assert Progress(n_stalled=4).reduce_rate_or_end(3, 0.1, "constant")
    assert not Progress(n_stalled=10**6).reduce_rate_or_end(np.inf, 0.1, "constant")


def test_an_adaptive_learning_rate_is_reduced_before_training_has_converged():
    progress = Progress(n_stalled=4)
    assert not progress.reduce_rate_or_end(3, 0.1, "adaptive")
    assert (progress.n_stalled, progress.n_reductions) == (0, 1)
    assert Progress(n_stalled=4).reduce_rate_or_end(3, 1e-6, "adaptive")


# History.


def test_a_history_records_losses_rates_and_samples():
    history = History().begin_call(has_validation=False)
    assert (history.loss, history.best_loss) == (np.inf, np.inf)
    for loss in (3.0, 1.0, 2.0):
        history.record(loss, rate=0.1, n_samples=20)
    assert history.losses == [3.0, 1.0, 2.0]
    assert history.rates == [0.1] * 3
    assert history.n_samples == 60
    assert (history.loss, history.best_loss) == (2.0, 1.0)
    assert history.scores is history.best_score is history.best_epoch is None


def test_a_history_records_the_best_score_and_its_epoch():
    history = History().begin_call(has_validation=True)
    for score, is_best in ((0.1, True), (0.3, True), (0.2, False)):
        history.record(1.0, rate=0.1, n_samples=20)
        history.record_score(score, is_best=is_best)
    assert history.scores == [0.1, 0.3, 0.2]
    assert (history.best_score, history.best_epoch) == (0.3, 2)
    assert history.best_loss is None


def test_another_call_copies_the_history_and_fills_missing_scores_with_nan():
    history = History([3.0, 2.0], [0.1, 0.1], None, 40)
    continued = history.begin_call(has_validation=True)
    continued.record(1.0, rate=0.1, n_samples=20)
    continued.record_score(0.5, is_best=True)
    assert_array_equal(continued.scores, [np.nan, np.nan, 0.5])
    assert (continued.best_epoch, continued.n_samples) == (3, 60)
    assert history == History([3.0, 2.0], [0.1, 0.1], None, 40)
    assert continued.begin_call(has_validation=False).scores is None


@pytest.mark.parametrize("has_validation", [False, True])
def test_another_call_keeps_only_the_last_epochs_in_the_curves(has_validation):
    n = _N_EPOCHS_KEPT
    history = History()
    for n_epochs in (n + 5, 2, 1):
        history = history.begin_call(has_validation=has_validation)
        for _ in range(n_epochs):
            history.record(history.n_epochs, rate=2 * history.n_epochs, n_samples=20)
            if has_validation:
                history.record_score(history.n_epochs, is_best=True)
    expected = range(7, n + 8)
    assert history.losses == [*expected]
    assert history.rates == [2 * epoch for epoch in expected]
    assert history.n_epochs == n + 8
    assert history.n_samples == 20 * (n + 8)
    assert history.loss == n + 7
    if has_validation:
        assert history.scores == [epoch + 1 for epoch in expected]
        assert history.best_epoch == n + 8
    else:
        assert history.best_loss == 0


def test_a_restarted_state_has_new_progress_and_the_same_optimizer():
    state = TrainingState(
        Adam(3, np.dtype(float)), np.random.RandomState(0), Progress(epoch=7, best=0.5)
    )
    restarted = state.restarted()
    assert restarted.progress == Progress()
    assert restarted.optimizer is state.optimizer
    assert restarted.rng is state.rng
    assert state.progress == Progress(epoch=7, best=0.5)


# An epoch.


class RecordingAdam(Adam):
    """Adam that records every gradient and learning rate."""

    def __init__(self, *args):
        super().__init__(*args)
        self.calls = []

    def update(self, parameters, gradient, learning_rate):
        self.calls.append((gradient.copy(), learning_rate))
        super().update(parameters, gradient, learning_rate)


class RecordingPool(ThreadPool):
    """Pool that records the number of items in each call of map."""

    def __init__(self, n_threads):
        super().__init__(n_threads)
        self.n_items = []

    def map(self, function, items):
        self.n_items.append(len(items))
        return super().map(function, items)


class Problem:
    """A network, random parameters, and random samples to train on."""

    def __init__(self, hidden_layer_sizes=(3,), n_samples=20, n_timesteps=4, weights=None):
        rng = np.random.RandomState(0)
        self.network = Network(2, hidden_layer_sizes, 1)
        self.parameters = self.network.initialize(rng)
        X = rng.normal(size=(n_samples, n_timesteps, 2))
        self.sequences = DenseSequences(X, has_missing=False)
        self.target = X.sum(axis=(1, 2))[np.newaxis]
        self.weights = rng.uniform(size=n_samples) if weights is None else weights
        self.rows = np.arange(n_samples)

    @property
    def data(self):
        return TrainingSet(self.sequences, self.rows, self.target, self.weights)

    def epoch(self, pool=None, **changes):
        """Train for an epoch; return the loss, the trained parameters and the optimizer."""
        parameters = self.parameters.copy()
        pool = ThreadPool(1) if pool is None else pool
        trainer = Trainer(self.network, replace(SETTINGS, **changes), pool, parameters.dtype)
        adam = RecordingAdam(len(parameters), parameters.dtype)
        loss = trainer.epoch(self.data, parameters, adam, 0.01, np.random.RandomState(0))
        return loss, parameters, adam

    def loss_and_gradient(self, rows):
        """Compute the mean loss of some rows and its gradient, at the first parameters."""
        gradient = np.zeros_like(self.parameters)
        batch, order = self.sequences.batch(rows, self.parameters.dtype)
        workspace = Workspace(self.network, self.parameters.dtype)
        target, weights = self.target[:, rows[order]], self.weights[rows[order]]
        loss = self.network.add_gradient(
            self.parameters, batch, target, weights, SquaredError(), gradient, workspace
        )
        total = self.weights[rows].sum()
        return loss / total, gradient / total


def test_a_full_batch_has_the_mean_loss_and_its_gradient():
    problem = Problem()
    loss, _, adam = problem.epoch(batch_size=100)
    expected, gradient = problem.loss_and_gradient(problem.rows)
    ((found, rate),) = adam.calls
    assert loss == pytest.approx(expected, rel=1e-13)
    assert_allclose(found, gradient, rtol=1e-10, atol=1e-14)
    assert rate == 0.01


def test_each_batch_has_one_update():
    problem = Problem(n_samples=20)
    assert len(problem.epoch(batch_size=8)[2].calls) == 3
    assert len(problem.epoch(batch_size=20)[2].calls) == 1


def test_an_epoch_uses_only_the_given_rows():
    problem = Problem()
    problem.rows = np.array([3, 11, 5])
    loss, _, _ = problem.epoch(batch_size=100)
    assert loss == pytest.approx(problem.loss_and_gradient(problem.rows)[0], rel=1e-13)


def test_without_shuffling_the_first_batch_is_the_first_rows():
    problem = Problem()
    _, _, adam = problem.epoch(batch_size=8, shuffle=False)
    _, gradient = problem.loss_and_gradient(problem.rows[:8])
    assert_allclose(adam.calls[0][0], gradient, rtol=1e-10, atol=1e-14)


def test_a_batch_without_weight_is_skipped():
    problem = Problem(weights=np.r_[np.ones(8), np.zeros(12)])
    _, _, adam = problem.epoch(batch_size=8, shuffle=False)
    assert len(adam.calls) == 1


def test_a_loss_that_is_not_finite_raises():
    problem = Problem()
    problem.target = problem.target * 1e200
    with pytest.raises(FloatingPointError, match="the loss is inf"), np.errstate(all="ignore"):
        problem.epoch()


# The weights of Network(2, (128, 10), 1) are large enough to compute a batch of 64 in two lanes.
LANES = {
    "one block": {"n_samples": 64, "n_timesteps": 7, "batch_size": 64},
    "an odd batch": {"n_samples": 63, "n_timesteps": 7, "batch_size": 63},
    "several blocks": {"n_samples": 150, "n_timesteps": 60, "batch_size": 150},
}


@pytest.mark.parametrize("name", LANES)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_training_in_two_lanes_gives_the_same_bits_with_any_number_of_threads(name, dropout):
    sizes = dict(LANES[name])
    batch_size = sizes.pop("batch_size")
    problem = Problem((128, 10), **sizes)
    results = []
    with threadpool_limits(1, user_api="blas"):
        for n_threads in (1, 2, 3):
            with RecordingPool(n_threads) as pool:
                loss, parameters, _ = problem.epoch(
                    pool, batch_size=batch_size, dropout=dropout, recurrent_dropout=dropout
                )
            assert pool.n_items == [2]
            results.append((loss, parameters))
    for loss, parameters in results[1:]:
        assert loss == results[0][0]
        assert_array_equal(parameters, results[0][1])


@pytest.mark.parametrize("name", LANES)
def test_two_lanes_have_the_gradient_of_the_batch(name):
    sizes = dict(LANES[name])
    batch_size = sizes.pop("batch_size")
    problem = Problem((128, 10), **sizes)
    with RecordingPool(2) as pool:
        loss, _, adam = problem.epoch(pool, batch_size=batch_size)
    assert pool.n_items == [2]
    expected, gradient = problem.loss_and_gradient(problem.rows)
    ((found, _),) = adam.calls
    assert loss == pytest.approx(expected, rel=1e-12)
    assert_allclose(found, gradient, rtol=1e-9, atol=1e-13)


def test_a_small_network_is_computed_in_one_lane():
    with RecordingPool(2) as pool:
        Problem().epoch(pool)
    assert set(pool.n_items) == {1}


# The loop.


class Observer:
    """Records the losses; stops or raises after a given epoch."""

    def __init__(self, stop_after=None, error=None, error_after=None):
        self.stop_after, self.error, self.error_after = stop_after, error, error_after
        self.n_begun = 0
        self.results = []

    def begin_epoch(self, result):
        self.n_begun += 1

    def end_epoch(self, result):
        self.results.append(result())
        if len(self.results) == self.error_after:
            raise self.error
        return len(self.results) == self.stop_after


def run(problem=None, observer=None, validation=None, state=None, model=None, **changes):
    """Train a model, a new one unless given."""
    problem = Problem() if problem is None else problem
    if model is None:
        output = NumericOutput("identity", np.zeros(1), np.ones(1), is_1d=True)
        model = Model(problem.network, problem.parameters, InputForm(2), output)
    if state is None:
        state = TrainingState(
            Adam(len(problem.parameters), problem.parameters.dtype), np.random.RandomState(0)
        )
    observer = Observer() if observer is None else observer
    settings = replace(SETTINGS, **changes)
    return train(model, state, problem.data, validation, settings, ThreadPool(1), observer)


def assert_same_result(a, b):
    assert_array_equal(a.model.parameters, b.model.parameters)
    assert a.state.history == b.state.history
    assert a.state.progress == b.state.progress


def test_training_ends_after_n_epochs():
    observer = Observer()
    result = run(observer=observer)
    assert result.end == "max_iter"
    assert len(result.state.history.losses) == len(observer.results) == observer.n_begun == 4
    assert result.state.history.losses[-1] < result.state.history.losses[0]
    assert result.state.history.n_samples == 80


def test_training_ends_when_it_has_converged():
    result = run(tol=1e3, n_iter_no_change=2, n_epochs=50)
    assert result.end == "converged"
    assert len(result.state.history.losses) == 4


def test_training_ends_when_the_observer_requests_it():
    result = run(observer=Observer(stop_after=2))
    assert result.end == "callback"
    assert_same_result(result, run(n_epochs=2))


def test_an_interrupt_ends_training_and_keeps_the_result():
    result = run(observer=Observer(error=KeyboardInterrupt, error_after=2))
    assert result.end == "interrupted"
    assert_same_result(result, run(n_epochs=2))


@pytest.mark.parametrize("is_validated", [False, True])
def test_after_an_interrupt_at_any_moment_the_curves_are_of_one_length(is_validated):
    problem, validation = Problem(), None
    if is_validated:
        rows = np.arange(5)
        target, weights = problem.target[:, rows], np.ones(5)
        loss = SquaredError()
        validation = ValidationSet(problem.data.sequences, rows, np.mean, loss, target, weights)
    n_interrupted = 0
    for number in range(1, 10_000):
        try:
            with InterruptAt(number, ("sklstm.nn.training",)):
                result = run(problem, validation=validation, n_epochs=2)
        except KeyboardInterrupt:  # before the first epoch or after the last one
            continue
        if result.end != "interrupted":
            break
        history = result.state.history
        curves = [history.losses, history.rates, *([history.scores] if is_validated else [])]
        assert len({len(curve) for curve in curves}) == 1
        n_interrupted += 1
    assert n_interrupted > 50


def test_another_error_in_the_observer_is_raised():
    with pytest.raises(ZeroDivisionError):
        run(observer=Observer(error=ZeroDivisionError, error_after=2))


def test_divergence_raises_and_names_the_epoch():
    problem = Problem()
    problem.target = problem.target * 1e200
    with pytest.raises(FloatingPointError, match="in epoch 1: the loss is inf"):
        run(problem)


def test_training_continues_from_a_result_with_the_same_bits():
    first = run(n_epochs=2)
    continued = run(model=first.model, state=first.state, n_epochs=2)
    assert_same_result(continued, run(n_epochs=4))


def test_training_does_not_change_the_model_and_the_state_that_it_starts_from():
    first = run(n_epochs=2)
    results = [run(model=first.model, state=first.state, n_epochs=2) for _ in range(2)]
    assert_same_result(*results)
    assert len(first.state.history.losses) == first.state.progress.epoch == 2


def test_the_observer_gets_copies_of_the_result_so_far():
    observer = Observer()
    run(observer=observer)
    for n_epochs, result in enumerate(observer.results, start=1):
        assert_same_result(result, run(n_epochs=n_epochs))


def validation_set(problem, rows, score):
    """Return a validation set that only has a score: there is no ridge to mix with."""

    none = np.empty((1, 0))
    return ValidationSet(problem.sequences, rows, score, SquaredError(), none, none[0])


def average_after(problem, n_epochs):
    """Return the moving average of the parameters over the updates of some epochs."""
    trained = []

    class Recorder(Adam):
        def update(self, parameters, gradient, learning_rate):
            super().update(parameters, gradient, learning_rate)
            trained.append(parameters.copy())

    adam = Recorder(len(problem.parameters), problem.parameters.dtype)
    run(problem, state=TrainingState(adam, np.random.RandomState(0)), n_epochs=n_epochs)
    average = problem.parameters
    for n, parameters in enumerate(trained, start=1):
        decay = min(0.99, n / (9 + n))
        average = decay * average + (1 - decay) * parameters
    return average


def test_the_moving_average_of_the_best_validation_score_is_kept():
    problem = Problem()
    scores = iter([0.1, 0.3, 0.2, 0.25])
    validation = validation_set(problem, problem.rows[:5], lambda raw: next(scores))
    result = run(problem, validation=validation)
    assert result.state.history.scores == [0.1, 0.3, 0.2, 0.25]
    assert (result.state.history.best_score, result.state.history.best_epoch) == (0.3, 2)
    assert_allclose(result.model.parameters, average_after(problem, 2), rtol=1e-12)


def test_training_with_a_validation_set_has_the_updates_of_training_without():
    problem = Problem()
    validation = validation_set(problem, problem.rows[:5], lambda raw: 0.0)
    result, without = run(problem, validation=validation), run(problem)
    assert result.state.history.losses == without.state.history.losses
    assert_array_equal(result.state.optimizer.first_moment, without.state.optimizer.first_moment)


def test_the_observer_gets_the_moving_average_where_there_is_a_validation_set():
    problem, observer = Problem(), Observer()
    validation = validation_set(problem, problem.rows[:5], lambda raw: 0.0)
    run(problem, observer, validation)
    for n_epochs, result in enumerate(observer.results, start=1):
        assert_allclose(result.model.parameters, average_after(problem, n_epochs), rtol=1e-12)


def test_the_validation_score_gets_the_raw_outputs_of_its_rows():
    problem = Problem()
    rows, seen = np.array([7, 2, 9]), []

    def score(raw):
        seen.append(raw.copy())
        return 0.0

    observer = Observer()
    run(problem, observer, validation_set(problem, rows, score))
    for raw, result in zip(seen, observer.results, strict=True):
        expected = result.model.raw_outputs(problem.sequences)[rows]
        assert raw.shape == (3, 1)
        assert_allclose(raw, expected, rtol=1e-12)
