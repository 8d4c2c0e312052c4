"""The recipes of the documentation run and give the documented results."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

RECIPES = Path(__file__).parent / "recipes"
PAGE = Path(__file__).parents[2] / "docs" / "recipes.rst"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a recipe, or skips the test if the package is missing."""

    def run_recipe(name, package):
        pytest.importorskip(package)
        monkeypatch.chdir(tmp_path)  # some write files
        return runpy.run_path(str(RECIPES / name))

    return run_recipe


def test_the_page_shows_every_recipe():
    page = PAGE.read_text(encoding="utf-8")
    recipes = sorted(path.name for path in RECIPES.glob("*.py"))
    assert recipes
    assert all(f".. literalinclude:: ../tests/interop/recipes/{name}\n" in page for name in recipes)


# Forecasts with windows of other libraries.


def forecast_by_hand(y, window_size, n_steps):
    """Forecast recursively with windows of the scaled series, oldest value first."""
    scaler = StandardScaler().fit(y[:, np.newaxis])
    z = scaler.transform(y[:, np.newaxis])
    windows = np.lib.stride_tricks.sliding_window_view(z[:-1, 0], window_size)[:, :, np.newaxis]
    model = LSTMRegressor(early_stopping=True, random_state=0)
    model.fit(windows, z[window_size:, 0])
    for _ in range(n_steps):
        z = np.vstack([z, model.predict(z[np.newaxis, -window_size:])])
    return scaler.inverse_transform(z[-n_steps:])[:, 0]


def test_skforecast_equals_a_recursive_forecast_by_hand(run):
    recipe = run("with_skforecast.py", "skforecast")
    expected = forecast_by_hand(recipe["y"][:249], window_size=24, n_steps=11)
    np.testing.assert_allclose(recipe["forecast"], expected)


def test_skforecast_passes_the_newest_lag_first():
    recursive = pytest.importorskip("skforecast.recursive")
    forecaster = recursive.ForecasterRecursive(estimator=LSTMRegressor(), lags=3)
    X, y = forecaster.create_train_X_y(pd.Series(np.arange(6.0)))
    np.testing.assert_array_equal(X, [[2, 1, 0], [3, 2, 1], [4, 3, 2]])
    np.testing.assert_array_equal(y, [3, 4, 5])


@pytest.mark.filterwarnings("ignore:The default of config ``remember_data``:FutureWarning")
def test_sktime_equals_a_recursive_forecast_by_hand(run):
    recipe = run("with_sktime.py", "sktime.forecasting.compose")
    expected = forecast_by_hand(recipe["y"][:249], window_size=24, n_steps=11)
    np.testing.assert_allclose(recipe["forecast"], expected)


class Recorder(LSTMRegressor):
    """Regressor that keeps X on the class, where it can be read after cloning."""

    given = None

    def fit(self, X, y):
        type(self).given = X
        return super().fit(X, y)


@pytest.mark.filterwarnings(
    "ignore:The default of config ``remember_data``:FutureWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)
@pytest.mark.parametrize(
    ("scitype", "expected"),
    [
        ("time-series-regressor", [[0, 1, 2], [0, 10, 20]]),
        # All steps of one series, then all of the next, which timesteps= does not read.
        ("tabular-regressor", [0, 1, 2, 0, 10, 20]),
    ],
)
def test_sktime_passes_time_on_the_last_axis(scitype, expected):
    compose = pytest.importorskip("sktime.forecasting.compose")
    recorder = Recorder(2, max_iter=1)
    forecaster = compose.make_reduction(recorder, window_length=3, scitype=scitype)
    y = pd.Series(np.arange(8.0))
    forecaster.fit(y, X=pd.DataFrame({"x": 10 * y}), fh=[1])
    np.testing.assert_array_equal(Recorder.given[0], expected)


# Libraries that wrap an estimator or a pipeline.


def test_several_seeds_equal_the_average_by_hand(run):
    recipe = run("with_several_seeds.py", "sklearn")
    X, y, train, test = (recipe[name] for name in ("X", "y", "train", "test"))
    alone = [
        make_pipeline(
            StandardScaler(),
            SlidingWindow(24, lag=1),
            LSTMRegressor(random_state=seed),
        )
        .fit(X[train], y[train])
        .predict(X)[test]
        for seed in range(5)
    ]
    np.testing.assert_allclose(recipe["y_pred"], np.mean(alone, axis=0))


def test_onnx_forecasts_as_the_pipeline_does(run):
    recipe = run("with_onnx.py", "onnxruntime")
    rows = np.vstack([recipe["X"], [[0.0]]])  # of the last row only the past counts
    expected = recipe["model"].predict(rows)[-1]
    np.testing.assert_allclose(recipe["next_year"], expected, rtol=1e-4)


def test_mapie_gives_conformal_intervals(run):
    recipe = run("with_mapie.py", "mapie")
    model, X, y = recipe["model"], recipe["X_windows"], recipe["y"]
    y_pred, intervals, rows = recipe["y_pred"], recipe["intervals"], recipe["calibrate"]
    np.testing.assert_array_equal(y_pred, model.predict(X[recipe["test"]]))
    # By definition, of n calibration errors the one of rank 0.9 (n + 1).
    errors = np.sort(np.abs(y[rows] - model.predict(X[rows])))
    half_width = errors[int(np.ceil(0.9 * (len(errors) + 1))) - 1]
    np.testing.assert_allclose(intervals[:, 0, 0], y_pred - half_width)
    np.testing.assert_allclose(intervals[:, 1, 0], y_pred + half_width)
    y_test = y[recipe["test"]]
    inside = (intervals[:, 0, 0] <= y_test) & (y_test <= intervals[:, 1, 0])
    assert round(inside.mean(), 2) == 0.77  # as documented


def test_mapie_on_a_pipeline_raises_for_2d_x():
    regression = pytest.importorskip("mapie.regression")
    X = np.random.default_rng(0).normal(size=(60, 1))
    model = make_pipeline(
        SlidingWindow(3, lag=1), LSTMRegressor(2, early_stopping=True, random_state=0)
    )
    conformal = regression.SplitConformalRegressor(model.fit(X, X[:, 0]), prefit=True)
    with pytest.raises(UserWarning, match="X is not 3-D"):
        conformal.conformalize(X, X[:, 0])


def test_optuna_trials_are_reproducible(run):
    recipe = run("with_optuna.py", "optuna")
    study = recipe["study"]
    assert len(study.trials) == 5
    # A repeated trial gives the same bits.
    optuna = pytest.importorskip("optuna")
    assert recipe["objective"](optuna.trial.FixedTrial(study.best_params)) == study.best_value


def test_imbalanced_learn_equals_resampling_by_hand(run):
    recipe = run("with_imbalanced_learn.py", "imblearn")
    model, X, y = recipe["model"], recipe["X"][:1500], recipe["y"][:1500]
    assert 0.05 < y.mean() < 0.15
    # By hand: the sampler keeps equally many rows of both classes.
    windows = model[:2].transform(X)
    kept, y_kept = clone(model[2]).fit_resample(windows, y)
    assert y_kept.mean() == 0.5
    expected = clone(model[-1]).fit(kept, y_kept).predict(windows)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert recipe["score"] > 0.75


def test_imbalanced_learn_with_sequences_raises():
    imblearn = pytest.importorskip("imblearn")
    model = imblearn.pipeline.make_pipeline(
        imblearn.under_sampling.RandomUnderSampler(), LSTMClassifier()
    )
    with pytest.raises(ValueError, match="dim 3"):
        model.fit(np.zeros((8, 3, 2)), np.arange(8) % 2)


@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated", "ignore:.*Any type hint is inferred"
)
def test_mlflow_logs_and_loads_the_model(run):
    recipe = run("with_mlflow.py", "mlflow")
    expected = recipe["model"].predict(recipe["X"])[249:]
    np.testing.assert_array_equal(recipe["y_pred"], expected)
    mlflow = recipe["mlflow"]
    logged = mlflow.get_run(recipe["logged"].run_id).data
    assert logged.params["hidden_layer_sizes"] == "(32,)"
    assert logged.metrics["loss"] == recipe["model"][-1].loss_curve_[-1]


# Tools that need a 2-D X.


@pytest.mark.slow
def test_permutation_importance_ranks_the_last_lag_first(run):
    recipe = run("with_permutation_importance.py", "sklearn")
    names = [f"sunspots_lag{lag}" for lag in range(12, 0, -1)]
    assert sorted(recipe["importances"].index) == sorted(names)
    assert recipe["importances"].index[-1] == "sunspots_lag1"


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:shap")
def test_shap_values_add_up_to_the_prediction(run):
    recipe = run("with_shap.py", "shap")
    explanation, rows = recipe["explanation"], recipe["X_windows"][249:259]
    assert explanation.feature_names == [f"x0_lag{lag}" for lag in range(12, 0, -1)]
    np.testing.assert_allclose(
        explanation.base_values + explanation.values.sum(axis=1), recipe["model"].predict(rows)
    )


# Data frames.


FRAME = pd.DataFrame({"a": np.arange(5.0), "b": 10 * np.arange(5.0)})


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_pipeline_keeps_the_column_names_of_a_frame(library):
    frame = FRAME if library == "pandas" else pytest.importorskip("polars").DataFrame(FRAME)
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(2, lag=1, flatten=True))
    out = pipeline.set_output(transform=library).fit_transform(frame)
    assert isinstance(out, type(frame))
    names = ["a_lag2", "b_lag2", "a_lag1", "b_lag1"]
    assert list(out.columns) == pipeline.get_feature_names_out().tolist() == names
    scaled = StandardScaler().fit_transform(FRAME)
    np.testing.assert_array_equal(out.to_numpy()[2:], np.hstack([scaled[:-2], scaled[1:-1]]))
    # The estimator keeps the names, and later frames must have the same.
    lstm = LSTMRegressor(2, timesteps=2).partial_fit(out, np.arange(5))
    assert lstm.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        lstm.predict(out[names[::-1]])
