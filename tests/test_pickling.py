"""Pickles carry the version of sklstm, and loading that of another version warns."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, pickling

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")

X = np.random.default_rng(0).normal(size=(20, 1))
y = X[:, 0]
MAKE = {
    "regressor": lambda: LSTMRegressor(2, max_iter=1, random_state=0).fit(X, y),
    "classifier": lambda: LSTMClassifier(2, max_iter=1, random_state=0).fit(X, y > 0),
    "window": lambda: SlidingWindow(3, lag=1).fit(X),
    "not fitted": lambda: LSTMRegressor(),
}


def by_pickle(estimator):
    file = io.BytesIO(pickle.dumps(estimator))
    return lambda: pickle.load(file)


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return lambda: joblib.load(file)


@pytest.mark.parametrize("dump", [by_pickle, by_joblib])
@pytest.mark.parametrize("name", MAKE)
def test_loading_the_pickle_of_another_version_warns(name, dump, monkeypatch):
    estimator = MAKE[name]()
    with monkeypatch.context() as patch:
        patch.setattr(pickling, "__version__", "0.0.7")
        load = dump(estimator)
    cls = type(estimator).__name__
    message = (
        rf"This {cls} was saved by sklstm 0\.0\.7 and is loaded by sklstm {sklstm.__version__}\."
    )
    with pytest.warns(InconsistentVersionWarning, match=message):
        loaded = load()
    assert vars(loaded).keys() == vars(estimator).keys()
    assert repr(loaded) == repr(estimator)


@pytest.mark.parametrize(
    "copied", [lambda e: by_pickle(e)(), lambda e: by_joblib(e)(), copy.deepcopy]
)
@pytest.mark.parametrize("name", MAKE)
def test_copying_within_a_version_does_not_warn(name, copied):
    estimator = MAKE[name]()
    before = set(vars(estimator))
    assert vars(copied(estimator)).keys() == before == vars(estimator).keys()


def test_loading_a_pickle_without_a_version_warns():
    estimator = LSTMRegressor()
    del (state := estimator.__getstate__())["_sklstm_version"]
    with pytest.warns(InconsistentVersionWarning, match="saved by sklstm of an unknown version"):
        LSTMRegressor().__setstate__(state)
    assert "_sklstm_version" not in state  # the argument is not changed


def test_each_step_of_a_pipeline_warns(monkeypatch):
    pipeline = make_pipeline(SlidingWindow(3, lag=1), LSTMRegressor(2, max_iter=1)).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(pickling, "__version__", "0.0.7")
        dumped = pickle.dumps(pipeline)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pickle.loads(dumped)
    assert [str(warning.message).split()[1] for warning in caught] == [
        "SlidingWindow",
        "LSTMRegressor",
    ]


def test_the_warning_can_be_pickled(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pickling, "__version__", "0.0.7")
        dumped = pickle.dumps(LSTMRegressor())
    with pytest.warns(InconsistentVersionWarning) as caught:
        pickle.loads(dumped)
    warning = caught[0].message
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)


def test_a_clone_has_no_version():
    assert vars(clone(LSTMRegressor(3))) == vars(LSTMRegressor(3))
