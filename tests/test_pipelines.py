"""The estimators in scikit-learn's pipelines, searches and ensembles."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from support.data import assert_same_fit, make_sequences, make_target, outputs, quick, run_python

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# A series with a period of 8 rows, and its next value for each row.
time = np.arange(121)
series = np.column_stack([np.sin(2 * np.pi * time / 8), np.random.RandomState(0).normal(size=121)])
SERIES, NEXT = 10 * series[:-1] + 50, 10 * series[1:, 0] + 50
RISING = np.where(NEXT > SERIES[:, 0], "rise", "fall")


def forecaster(cls=LSTMRegressor, **params):
    """Return a pipeline on a raw series that trains quickly."""
    params = {"hidden_layer_sizes": 6, "max_iter": 5, "learning_rate_init": 0.02} | params
    return make_pipeline(
        StandardScaler(), SlidingWindow(4), cls(batch_size=16, random_state=0, **params)
    )


def targets(cls):
    return NEXT if cls is LSTMRegressor else RISING


both = pytest.mark.parametrize("cls", [LSTMRegressor, LSTMClassifier])


# Cross-validation and searches.


@both
def test_cross_validation_on_a_raw_series_gives_good_scores(cls):
    pipeline = forecaster(cls, max_iter=60)
    scores = cross_val_score(pipeline, SERIES, targets(cls), cv=TimeSeriesSplit(3))
    assert scores.shape == (3,)
    assert scores[-1] > 0.8


@pytest.mark.slow
def test_a_grid_search_finds_the_window_size():
    search = GridSearchCV(
        forecaster(max_iter=40),
        {"slidingwindow__window_size": [1, 4], "lstmregressor__hidden_layer_sizes": [2, (6,)]},
        cv=TimeSeriesSplit(2),
    )
    search.fit(SERIES, NEXT)
    # One row of a sine does not determine whether it rises or falls.
    assert search.best_params_["slidingwindow__window_size"] == 4
    assert search.predict(SERIES).shape == (120,)
    assert search.best_estimator_[-1].n_features_in_ == 2


@pytest.mark.slow
@both
def test_two_jobs_give_the_same_bits_as_one(cls):
    grid = {"slidingwindow__window_size": [2, 3], f"{cls.__name__.lower()}__alpha": [0.0, 1.0]}
    searches = [
        GridSearchCV(
            forecaster(cls, hidden_layer_sizes=32), grid, cv=TimeSeriesSplit(2), n_jobs=n_jobs
        ).fit(SERIES, targets(cls))
        for n_jobs in (1, 2)
    ]
    one, two = searches
    for key in one.cv_results_:
        if "time" not in key:
            np.testing.assert_array_equal(one.cv_results_[key], two.cv_results_[key], err_msg=key)
    assert_same_fit(one.best_estimator_[-1], two.best_estimator_[-1])
    np.testing.assert_array_equal(outputs(one, SERIES), outputs(two, SERIES))


@pytest.mark.slow
@both
def test_estimators_fitted_in_workers_have_the_same_bits(cls):
    results = [
        cross_validate(
            forecaster(cls, hidden_layer_sizes=(16, 8)),
            SERIES,
            targets(cls),
            cv=TimeSeriesSplit(2),
            return_estimator=True,
            n_jobs=n_jobs,
        )
        for n_jobs in (None, 2)
    ]
    for here, there in zip(*(result["estimator"] for result in results), strict=True):
        assert_same_fit(here[-1], there[-1])


@both
@pytest.mark.parametrize("form", ["dense", "missing", "ragged"])
def test_cross_validation_predictions_equal_fits_by_hand(cls, form):
    X = make_sequences(form)
    y = make_target(cls, X)
    cv = KFold(4) if cls is LSTMRegressor else StratifiedKFold(4)
    predicted = cross_val_predict(quick(cls), X, y, cv=cv)
    _, test = next(cv.split(np.zeros(len(y)), y))
    train = np.setdiff1d(np.arange(len(y)), test)
    take = (lambda rows: [X[k] for k in rows]) if form == "ragged" else X.__getitem__
    fold = quick(cls).fit(take(train), y[train])
    np.testing.assert_array_equal(predicted[test], fold.predict(take(test)))


@both
def test_a_grid_search_accepts_ragged_sequences(cls):
    X = make_sequences("ragged")
    search = GridSearchCV(quick(cls), {"hidden_layer_sizes": [2, (3, 2)]}, cv=3)
    search.fit(X, make_target(cls, X))
    assert len(search.predict(X)) == len(X)


# Meta-estimators.


def test_a_transformed_target_equals_transforming_by_hand():
    transformed = TransformedTargetRegressor(forecaster(), func=np.log, inverse_func=np.exp)
    expected = np.exp(forecaster().fit(SERIES, np.log(NEXT)).predict(SERIES))
    np.testing.assert_allclose(transformed.fit(SERIES, NEXT).predict(SERIES), expected)


def test_a_transformed_target_can_have_two_outputs():
    both_series = np.column_stack([NEXT, SERIES[:, 1] ** 2])
    transformed = TransformedTargetRegressor(forecaster(), transformer=StandardScaler())
    assert transformed.fit(SERIES, both_series).predict(SERIES).shape == (120, 2)


@pytest.mark.slow
def test_stacking_with_a_linear_model_gives_a_good_score():
    lags = make_pipeline(SlidingWindow(4, padding="edge", flatten=True), Ridge())
    stack = StackingRegressor([("lstm", forecaster(max_iter=40)), ("lags", lags)], Ridge(), cv=3)
    assert stack.fit(SERIES, NEXT).score(SERIES, NEXT) > 0.9


@both
def test_stacking_accepts_sequences(cls):
    X = make_sequences("dense")
    y = make_target(cls, X)
    stacking = StackingRegressor if cls is LSTMRegressor else StackingClassifier
    stack = stacking([("small", quick(cls, hidden_layer_sizes=2)), ("large", quick(cls))], cv=2)
    assert len(stack.fit(X, y).predict(X)) == len(y)


@pytest.mark.parametrize("form", ["dense", "ragged"])
def test_soft_voting_averages_the_probabilities(form):
    X = make_sequences(form)
    y = make_target(LSTMClassifier, X)
    members = [(f"seed{seed}", quick(LSTMClassifier, random_state=seed)) for seed in range(3)]
    vote = VotingClassifier(members, voting="soft").fit(X, y)
    expected = np.mean([member.fit(X, y).predict_proba(X) for _, member in members], axis=0)
    np.testing.assert_allclose(vote.predict_proba(X), expected)
    assert set(vote.predict(X)) <= set(y)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_probabilities_sum_to_one(method):
    calibrated = CalibratedClassifierCV(forecaster(LSTMClassifier), method=method, cv=2)
    p = calibrated.fit(SERIES, RISING).predict_proba(SERIES)
    assert p.shape == (120, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_calibration_accepts_sequences():
    X = make_sequences("dense", n_samples=40)
    y = make_target(LSTMClassifier, X)
    p = CalibratedClassifierCV(quick(LSTMClassifier), cv=2).fit(X, y).predict_proba(X)
    assert p.shape == (40, 3)


def test_multi_output_regressor_fits_each_output_separately():
    Y = np.column_stack([NEXT, SERIES[:, 1] ** 2])
    several = MultiOutputRegressor(forecaster()).fit(SERIES, Y)
    np.testing.assert_array_equal(
        several.predict(SERIES)[:, 0], forecaster().fit(SERIES, NEXT).predict(SERIES)
    )


# Weights.


@both
def test_sample_weights_are_routed_through_a_search_and_a_pipeline(cls):
    y, weights = targets(cls), np.linspace(0.1, 2, 120)
    cv = TimeSeriesSplit(2)
    with config_context(enable_metadata_routing=True):
        pipeline = forecaster(cls)
        pipeline[0].set_fit_request(sample_weight=False)
        pipeline[-1].set_fit_request(sample_weight=True)
        scorer = get_scorer("r2" if cls is LSTMRegressor else "accuracy")
        scorer = scorer.set_score_request(sample_weight=True)
        grid = {f"{cls.__name__.lower()}__alpha": [0.0, 1.0]}
        search = GridSearchCV(pipeline, grid, cv=cv, scoring=scorer)
        search.fit(SERIES, y, sample_weight=weights)
        # The same by hand: the refitted pipeline, and a score of the first fold.
        best = clone(pipeline).set_params(**search.best_params_)
        best.fit(SERIES, y, sample_weight=weights)
        train, test = next(cv.split(SERIES))
        fold = clone(pipeline).set_params(**search.cv_results_["params"][0])
        fold.fit(SERIES[train], y[train], sample_weight=weights[train])
        score = scorer(fold, SERIES[test], y[test], sample_weight=weights[test])
    assert_same_fit(search.best_estimator_[-1], best[-1])
    assert search.cv_results_["split0_test_score"][0] == score
    unweighted = forecaster(cls).set_params(**search.best_params_).fit(SERIES, y)
    assert unweighted[-1].loss_curve_ != best[-1].loss_curve_


@both
def test_sample_weights_that_were_not_requested_raise(cls):
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(forecaster(cls), {"slidingwindow__window_size": [2]}, cv=2)
        with pytest.raises(ValueError, match="sample_weight"):
            search.fit(SERIES, targets(cls), sample_weight=np.ones(120))


@both
def test_partial_fit_can_request_sample_weights(cls):
    with config_context(enable_metadata_routing=True):
        estimator = cls().set_partial_fit_request(sample_weight=True)
        assert estimator.get_metadata_routing().partial_fit.requests["sample_weight"] is True


def test_sample_weights_can_be_passed_by_the_name_of_the_step():
    weights = np.linspace(0.1, 2, 120)
    pipeline = forecaster().fit(SERIES, NEXT, lstmregressor__sample_weight=weights)
    X = pipeline[:-1].transform(SERIES)
    assert_same_fit(pipeline[-1], clone(pipeline[-1]).fit(X, NEXT, sample_weight=weights))


# Saving.


IN_ANOTHER_PROCESS = """
import joblib
import numpy as np
import pickle

with open("pipeline.pickle", "rb") as file:
    pickled = pickle.load(file)
mapped = joblib.load("pipeline.joblib", mmap_mode="r")
series = np.load("series.npy", mmap_mode="r")
np.savez("answers.npz", *(pipeline.predict(series) for pipeline in (pickled, mapped)))
"""


@pytest.mark.slow
@both
def test_a_saved_pipeline_predicts_the_same_bits_in_another_process(cls, tmp_path):
    pipeline = forecaster(cls).fit(SERIES, targets(cls))
    (tmp_path / "pipeline.pickle").write_bytes(pickle.dumps(pipeline))
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    np.save(tmp_path / "series.npy", SERIES)
    run_python("-W", "error", "-c", IN_ANOTHER_PROCESS, cwd=tmp_path)
    with np.load(tmp_path / "answers.npz") as answers:
        assert len(answers.files) == 2
        for answer in answers.values():
            np.testing.assert_array_equal(answer, pipeline.predict(SERIES))


@both
def test_clone_copies_only_parameters(cls):
    pipeline = forecaster(cls, hidden_layer_sizes=(3, 2), dtype="float32").fit(SERIES, targets(cls))
    copied = clone(pipeline)
    assert repr(copied.get_params()) == repr(pipeline.get_params())
    assert not hasattr(copied[-1], "coefs_")


@both
def test_every_parameter_has_a_constraint(cls):
    estimator = cls()
    assert set(estimator.get_params()) == set(cls._parameter_constraints)
    assert isinstance(Pipeline([("lstm", estimator)])._repr_html_(), str)
