"""skops: loading an estimator requires trust in classes of sklstm only."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

io = pytest.importorskip("skops.io")

pytestmark = pytest.mark.filterwarnings("ignore:.*not converged")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 5, 2))
y = X[:, -1, 0]
frame = pd.DataFrame(X.reshape(40, 10), columns=[*"abcdefghij"])

FITTED_STATE = {
    "sklstm.nn.model.InputForm",
    "sklstm.nn.model.Model",
    "sklstm.nn.network.Network",
    "sklstm.nn.optimizers.Adam",
    "sklstm.nn.training.History",
    "sklstm.nn.training.Progress",
    "sklstm.nn.training.TrainingState",
}
REGRESSOR = {
    "sklstm.regressor.LSTMRegressor",
    "sklstm.nn.model.NumericOutput",
    "sklstm.nn.recent.RecentSteps",
    *FITTED_STATE,
}
CLASSIFIER = {
    "sklstm.classifier.LSTMClassifier",
    "sklstm.nn.model.ClassOutput",
    *FITTED_STATE,
}

FITTED = {
    "regressor": (LSTMRegressor(3, max_iter=2, random_state=0), X, y, REGRESSOR),
    "float32, stacked": (
        LSTMRegressor((3, 2), dtype=np.float32, max_iter=2, random_state=0),
        X,
        y,
        REGRESSOR,
    ),
    "bidirectional, two outputs": (
        LSTMRegressor(3, bidirectional=True, max_iter=2, random_state=0),
        X,
        X[:, -1],
        REGRESSOR,
    ),
    "early stopping": (
        LSTMRegressor(3, early_stopping=True, max_iter=2, random_state=0),
        X,
        y,
        REGRESSOR,
    ),
    "no linear part": (
        LSTMRegressor(3, linear_skip=0, max_iter=2, random_state=0),
        X,
        y,
        REGRESSOR - {"sklstm.nn.recent.RecentSteps"},
    ),
    "quantile": (
        LSTMRegressor(3, loss="quantile", quantile=0.9, max_iter=2, random_state=0),
        X,
        y,
        REGRESSOR,
    ),
    "frame": (LSTMRegressor(3, timesteps=5, max_iter=2, random_state=0), frame, y, REGRESSOR),
    "generator": (
        LSTMRegressor(3, max_iter=2, random_state=np.random.RandomState(0)),
        X,
        y,
        REGRESSOR,
    ),
    "classifier": (
        LSTMClassifier(3, class_weight={"a": 2.0}, max_iter=2, random_state=0),
        X,
        np.where(y > 0, "a", "b"),
        CLASSIFIER,
    ),
    "multilabel": (
        LSTMClassifier(3, max_iter=2, random_state=0),
        X,
        (X[:, -1] > 0).astype(int),
        CLASSIFIER,
    ),
    "pipeline": (
        make_pipeline(
            StandardScaler(),
            SlidingWindow(4, lag=1),
            LSTMRegressor(3, max_iter=2, random_state=0),
        ),
        X[:, -1],
        y,
        {"sklstm.windows.sliding.SlidingWindow", *REGRESSOR},
    ),
}


@pytest.mark.parametrize("name", FITTED)
def test_loading_requires_trust_in_names_of_sklstm_only(name):
    estimator, X, y, names = FITTED[name]
    dumped = io.dumps(estimator.fit(X, y))
    untrusted = io.get_untrusted_types(data=dumped)
    assert set(untrusted) == names
    loaded = io.loads(dumped, trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))


@pytest.mark.parametrize("name", ["regressor", "classifier", "frame"])
def test_training_continues_after_loading_with_the_same_bits(name):
    estimator, X, y, names = FITTED[name]
    loaded = io.loads(io.dumps(estimator.fit(X, y)), trusted=sorted(names))
    for one in (estimator, loaded):
        one.partial_fit(X, y)
    assert loaded.loss_curve_ == estimator.loss_curve_
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))


def test_an_unfitted_estimator_is_loaded_with_its_parameters():
    dumped = io.dumps(LSTMRegressor((4, 3), alpha=0.5))
    assert io.get_untrusted_types(data=dumped) == ["sklstm.regressor.LSTMRegressor"]
    loaded = io.loads(dumped, trusted=["sklstm.regressor.LSTMRegressor"])
    assert loaded.get_params() == LSTMRegressor((4, 3), alpha=0.5).get_params()


def test_the_mlflow_recipe_lists_the_names_to_trust():
    recipe = (Path(__file__).parent / "recipes" / "with_mlflow.py").read_text(encoding="utf-8")
    (names,) = (
        ast.literal_eval(statement.value)
        for statement in ast.parse(recipe).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "TRUSTED"
    )
    estimator, X, y, expected = FITTED["pipeline"]
    assert names == sorted(expected)
    loaded = io.loads(io.dumps(estimator.fit(X, y)), trusted=names)
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
