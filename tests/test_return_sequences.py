"""return_sequences: a target and a prediction for each time step, in all that estimators do."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, d2_pinball_score, f1_score, make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from support import reference_lstm as reference
from support.data import ESTIMATORS, FORMS, Unchanged, assert_same_fit, make_sequences, outputs
from support.plain import PLAIN

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, runtime
from sklstm.interop import from_keras, from_torch, to_keras, to_onnx, to_torch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T = 20, 6
both = pytest.mark.parametrize("cls", ESTIMATORS)


def sequences(form, **params):
    return make_sequences(form, N, T, **params)


def step_target(cls, X):
    """The sum of all features so far, or the third that it falls into; in the form of X."""
    totals = [np.nancumsum(np.nansum(sequence, axis=1)) for sequence in X]
    if cls is LSTMClassifier:
        totals = [np.array(["low", "mid", "top"])[np.digitize(t, [-1, 1])] for t in totals]
    return totals if isinstance(X, list) else np.array(totals)


def quick(cls, **params):
    small = {"hidden_layer_sizes": 4, "batch_size": 8, "max_iter": 3, "random_state": 0}
    return cls(return_sequences=True, **small | params)


def fitted(cls, form="dense", **params):
    X = sequences(form)
    y = step_target(cls, X)
    return quick(cls, **params).fit(X, y), X, y


def flat(values):
    return np.concatenate([np.asarray(value) for value in values])


# What is predicted.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "params",
    [{}, {"bidirectional": True}, {"hidden_layer_sizes": (3, 4)}],
    ids=["one layer", "bidirectional", "stacked"],
)
def test_predictions_equal_the_slow_reference_at_every_step(form, params):
    model, X, _ = fitted(LSTMRegressor, form, normalize_y=False, **PLAIN | params)
    predicted = model.predict(X)
    assert isinstance(predicted, list) == (form == "ragged")
    weights = model.coefs_, model.intercepts_, "bidirectional" in params
    for sequence, y in zip(X, predicted, strict=True):
        assert y.shape == (len(sequence),)
        truth = reference.every_step(sequence, *weights)[:, 0]
        assert_allclose(y, truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_the_linear_part_is_added_at_every_step(form):
    model, X, _ = fitted(LSTMRegressor, form, normalize_y=False, linear_skip=3)
    skip = model.skip_coef_[0]
    assert skip.shape == (3, 2)
    for sequence, y in zip(X, model.predict(X), strict=True):
        before = np.full((2, 2), np.nan)
        padded = np.nan_to_num(
            (np.concatenate([before, sequence]) - model.skip_mean_) / model.skip_scale_
        )
        lstm = reference.every_step(sequence, model.coefs_, model.intercepts_)[:, 0]
        linear = [(skip * padded[t : t + 3]).sum() for t in range(len(sequence))]
        assert_allclose(y, lstm + np.array(linear), rtol=1e-10, atol=1e-12)


@both
def test_a_step_depends_on_no_later_step_unless_bidirectional(cls):
    for bidirectional in (False, True):
        model, X, _ = fitted(cls, bidirectional=bidirectional)
        changed = X.copy()
        changed[:, 3:] += 1
        before, after = outputs(model, X)[:, :3], outputs(model, changed)[:, :3]
        assert (before == after).all() != bidirectional
        shorter = outputs(model, X[:, :3])
        assert np.allclose(before, shorter, rtol=1e-12) != bidirectional


@both
@pytest.mark.parametrize("form", ["dense", "missing"])
def test_a_stream_gives_the_prediction_of_each_step(cls, form):
    model, X, _ = fitted(cls, form, linear_skip=2)
    method = "predict" if cls is LSTMRegressor else "predict_proba"
    expected, state, states = getattr(model, method)(X), None, None
    for t in range(T):
        y, state = model.predict_step(X[3, t], state, response_method=method)
        assert_allclose(y, expected[3, t], rtol=1e-10, atol=1e-12)
        of_all, states = model.predict_step(X[:, t], states, response_method=method)
        assert_allclose(of_all, expected[:, t], rtol=1e-10, atol=1e-12)


@both
def test_transform_gives_the_hidden_state_of_each_step(cls):
    model, X, _ = fitted(cls, linear_skip=0)
    h = model.transform(X)
    assert h.shape == (N, T, 4)
    model.set_output(transform="pandas")
    assert_array_equal(model.transform(X), h)
    assert not hasattr(model, "get_feature_names_out")
    ragged = model.transform([x[: k % T + 1] for k, x in enumerate(X)])
    for k, states in enumerate(ragged):
        assert_allclose(states, h[k, : k % T + 1], rtol=1e-12)
    raw = h @ model.coefs_[-1].T + model.intercepts_[-1]
    if cls is LSTMClassifier:
        assert_array_equal(model.predict(X), model.classes_[raw.argmax(axis=2)])


# Forms of y and of the weights.


@both
def test_padded_ragged_and_missing_steps_give_the_same_model(cls):
    ragged = sequences("ragged")
    y = step_target(cls, ragged)
    lengths = [len(sequence) for sequence in ragged]
    X = np.full((N, T, 2), np.nan)
    padded = np.full((N, T), None if cls is LSTMClassifier else np.nan, dtype=object)
    inserted_X, inserted_y = [], []
    for k, length in enumerate(lengths):
        X[k, T - length :], padded[k, T - length :] = ragged[k], y[k]
        # What stands for y at a missing step does not matter.
        inserted_X.append(np.insert(ragged[k], [0, length // 2], np.nan, axis=0))
        gap = ["not a class"] if cls is LSTMClassifier else [1e6]
        inserted_y.append(np.insert(y[k].astype(object), [0, length // 2], gap * 2))
    if cls is LSTMRegressor:
        padded = padded.astype(float)
    # The linear part counts positions, so that inserted steps do say something to it.
    models = [
        quick(cls, linear_skip=0, hidden_layer_sizes=(3, 3)).fit(*data)
        for data in [(ragged, y), (X, padded), (inserted_X, inserted_y)]
    ]
    for model in models[1:]:
        for ours, theirs in zip(model.coefs_, models[0].coefs_, strict=True):
            assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    predicted, of_padded = models[0].predict(ragged), models[0].predict(X)
    for k, length in enumerate(lengths):
        if cls is LSTMRegressor:
            assert_allclose(of_padded[k, T - length :], predicted[k], rtol=1e-10)
        else:
            assert_array_equal(of_padded[k, T - length :], predicted[k])


@both
def test_a_step_without_a_label_equals_one_without_weight(cls):
    X = sequences("dense")
    y, is_labelled = step_target(cls, X), np.random.RandomState(1).uniform(size=(N, T)) < 0.6
    is_labelled[2] = False
    partly = np.where(is_labelled, y, None if cls is LSTMClassifier else np.nan)
    params = {"early_stopping": False, "linear_skip": 0}
    model = quick(cls, **params).fit(X, partly)
    weighted = quick(cls, **params).fit(X, y, sample_weight=is_labelled.astype(float))
    for ours, theirs in zip(model.coefs_, weighted.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)
    assert_allclose(model.loss_curve_, weighted.loss_curve_)
    assert model.score(X, partly) == pytest.approx(
        model.score(X, y, sample_weight=is_labelled), rel=1e-12
    )


@both
@pytest.mark.parametrize("form", FORMS)
def test_the_weight_of_a_sequence_is_that_of_its_steps(cls, form):
    X = sequences(form)
    y, weights = step_target(cls, X), np.arange(1.0, N + 1)
    of_steps = [np.full(len(sequence), w) for sequence, w in zip(X, weights, strict=True)]
    model = quick(cls).fit(X, y, sample_weight=weights)
    assert_same_fit(model, quick(cls).fit(X, y, sample_weight=of_steps))
    expected = model.score(X, y, sample_weight=weights)
    assert model.score(X, y, sample_weight=of_steps) == expected
    if form != "ragged":
        assert_same_fit(model, quick(cls).fit(X, y, sample_weight=np.array(of_steps)))


@both
@pytest.mark.parametrize("form", FORMS)
def test_score_is_over_all_labelled_steps(cls, form):
    model, X, y = fitted(cls, form)
    is_real = [~np.isnan(sequence).all(axis=1) for sequence in X]
    true, predicted = (
        flat([part[kept] for part, kept in zip(values, is_real, strict=True)])
        for values in (y, model.predict(X))
    )
    metric = r2_score if cls is LSTMRegressor else accuracy_score
    assert model.score(X, y) == pytest.approx(metric(true, predicted), rel=1e-12)


@both
def test_the_validation_score_is_the_score(cls):
    X, X_val = sequences("missing"), sequences("ragged", seed=1)
    y, y_val = step_target(cls, X), step_target(cls, X_val)
    model = quick(cls, early_stopping=True, linear_skip=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val), abs=1e-9)
    split = quick(cls, early_stopping=True, validation_split="last", linear_skip=0).fit(X, y)
    expected = split.score(X[-2:], y[-2:])
    assert split.best_validation_score_ == pytest.approx(expected, abs=1e-9)


def test_several_outputs_at_each_step():
    X = sequences("dense")
    y = np.stack([step_target(LSTMRegressor, X), X[:, :, 0]], axis=2)
    model = quick(LSTMRegressor, max_iter=20).fit(X, y)
    assert model.predict(X).shape == (N, T, 2)
    assert quick(LSTMRegressor).fit(X, y[:, :, :1]).predict(X).shape == (N, T, 1)
    partly = y.copy()
    partly[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"sample 3, timestep 2 NaN in some outputs but not"):
        model.fit(X, partly)


@pytest.mark.parametrize("none", [None, np.nan, pd.NA])
@pytest.mark.parametrize("labels", [["no", "yes"], [-1, 7], [False, True], ["a", "b", "c"]])
def test_labels_of_any_type(labels, none):
    X = sequences("dense")
    number = np.digitize(step_target(LSTMRegressor, X), [-1, 1]) % len(labels)
    y = np.array(labels)[number]
    partly = y.astype(object)
    partly[:, 0] = none
    model = quick(LSTMClassifier).fit(X, partly)
    assert_array_equal(model.classes_, labels)
    assert model.predict(X).dtype == model.classes_.dtype
    assert model.predict_proba(X).shape == (N, T, len(labels))
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-10)
    assert model.score(X, partly) == np.mean(model.predict(X)[:, 1:] == y[:, 1:])


@pytest.mark.parametrize("none", [None, np.nan])
@pytest.mark.parametrize("n_steps", [[3, 3], [3, 2]], ids=["equal", "ragged"])
def test_strings_in_lists_may_be_missing(n_steps, none):
    # NumPy alone would make the string "nan" of NaN, and a class of that.
    X = [np.ones((n, 1)) for n in n_steps]
    y = [["on", none, "off"], [none, "on", "off"]]
    model = quick(LSTMClassifier).fit(X, [labels[:n] for labels, n in zip(y, n_steps, strict=True)])
    assert_array_equal(model.classes_, ["off", "on"])


def test_dates_as_labels_may_be_missing():
    y = np.array([["2020", "2021", "NaT"]] * N, "datetime64[Y]")
    model = quick(LSTMClassifier).fit(sequences("dense")[:, :3], y)
    assert_array_equal(model.classes_, y[0, :2])


@pytest.mark.parametrize(
    "y",
    [
        [["on", 1, "off"], ["on", "off"]],
        [["on", "off", "on"], [1, 2]],
        [np.array(["on", "off", "on"]), np.array([1, 2])],
    ],
)
def test_labels_of_several_types_are_refused(y):
    X = [np.ones((n, 1)) for n in (3, 2)]
    with pytest.raises(ValueError, match=r"y holds labels of several types \(int, str\)"):
        quick(LSTMClassifier).fit(X, y)


@pytest.mark.parametrize(
    "wrap", [pd.DataFrame, lambda y: pd.Series(list(y), index=range(9, 9 + N))]
)
def test_partial_fit_takes_labels_of_steps_in_frames(wrap):
    X = sequences("dense")
    y = step_target(LSTMClassifier, X)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        quick(LSTMClassifier).partial_fit(X, wrap(y))
    model = quick(LSTMClassifier).partial_fit(X, wrap(y), classes=["low", "mid", "top"])
    assert_array_equal(model.classes_, ["low", "mid", "top"])


def test_labels_with_a_third_axis_of_length_one_are_taken_with_a_warning():
    X = sequences("dense")
    y = step_target(LSTMClassifier, X)
    with pytest.warns(DataConversionWarning, match=r"third axis .* Use y\[:, :, 0\]"):
        model = quick(LSTMClassifier).fit(X, y[:, :, np.newaxis])
    assert_same_fit(model, quick(LSTMClassifier).fit(X, y))


def test_a_sequence_without_steps_has_no_outputs_to_compare():
    X = [np.empty((0, 2)), *sequences("ragged")]
    model = quick(LSTMRegressor).fit(X, [[], *X[1:]])
    assert model.predict(X)[0].shape == (0, 2)


def test_several_labels_at_each_step():
    X = sequences("dense")
    y = (np.cumsum(X, axis=1) > 0).astype(int)  # (N, T, 2)
    model = quick(LSTMClassifier, max_iter=5).fit(X, y)
    assert model.predict(X).shape == model.predict_proba(X).shape == (N, T, 2)
    assert set(np.unique(model.predict(X))) <= {0, 1}
    assert model.score(X, y) == np.mean((model.predict(X) == y).all(axis=2))
    assert_same_fit(
        quick(LSTMClassifier, max_iter=1).partial_fit(X, y),
        quick(LSTMClassifier, max_iter=1).fit(X, y),
    )


def test_class_weight_counts_labelled_steps():
    X = sequences("dense")
    y = step_target(LSTMClassifier, X).astype(object)
    y[:, ::2] = None
    labels, counts = np.unique(y[:, 1::2].astype(str), return_counts=True)
    balanced = {k: counts.sum() / (len(labels) * n) for k, n in zip(labels, counts, strict=True)}
    assert_same_fit(
        quick(LSTMClassifier, class_weight="balanced").fit(X, y),
        quick(LSTMClassifier, class_weight=balanced).fit(X, y),
    )


def test_several_quantiles_at_each_step():
    X = sequences("dense")
    y = step_target(LSTMRegressor, X)
    model = quick(LSTMRegressor, loss="quantile", quantile=[0.2, 0.7], max_iter=10).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (N, T, 2)
    assert (np.diff(predicted, axis=2) >= 0).all()
    expected = [
        d2_pinball_score(y.ravel(), predicted[:, :, k].ravel(), alpha=q)
        for k, q in enumerate([0.2, 0.7])
    ]
    assert model.score(X, y) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson", "quantile"])
def test_other_losses(loss):
    X = sequences("missing")
    y = np.exp(0.3 * step_target(LSTMRegressor, X))
    params = {"quantile": 0.8} if loss == "quantile" else {}
    model = quick(LSTMRegressor, loss=loss, max_iter=60, n_iter_no_change=60, **params).fit(X, y)
    assert model.predict(X).shape == (N, T)
    assert np.isfinite(model.predict(X)).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@both
def test_a_table_and_windows_are_read_as_sequences(cls):
    X = sequences("dense")
    y = step_target(cls, X)
    model = quick(cls).fit(X, y)
    table = quick(cls, timesteps=T).fit(X.reshape(N, -1), y)
    assert_same_fit(model, table)
    assert_array_equal(table.predict(X.reshape(N, -1)), model.predict(X))
    series = np.random.RandomState(0).normal(size=(40, 2))
    windows = SlidingWindow(5).fit_transform(series)
    target = step_target(cls, np.asarray(windows))
    assert_same_fit(quick(cls).fit(windows, target), quick(cls).fit(np.asarray(windows), target))


@both
def test_targets_may_come_as_lists_frames_and_arrays_of_objects(cls):
    X = sequences("dense")
    y = step_target(cls, X)
    model = quick(cls).fit(X, y)
    of_objects = np.empty(N, object)
    of_objects[:] = list(y)
    for form in (y.tolist(), list(y), pd.DataFrame(y), of_objects, pd.Series(list(y))):
        assert_same_fit(model, quick(cls).fit(X, form))
    assert_same_fit(model, quick(cls).fit(list(X), y))


@both
def test_one_sequence_is_enough(cls):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(1, 80, 2))
    y = step_target(cls, X)
    model = quick(cls, max_iter=5).fit(X, y)
    assert model.predict(X).shape == (1, 80)
    with pytest.raises(ValueError, match="Cut it into several sequences, pass X_val"):
        quick(cls, early_stopping=True).fit(X, y)


# What users do with it.


@both
def test_fitting_goes_on_pickles_and_repeats(cls):
    model, X, y = fitted(cls, "ragged", early_stopping=False, max_iter=4)
    steps = quick(cls)
    kwargs = {} if cls is LSTMRegressor else {"classes": np.unique(flat(y))}
    for _ in range(4):
        steps.partial_fit(X, y, **kwargs)
        steps = pickle.loads(pickle.dumps(steps))
    assert_same_fit(model, steps)
    warm = quick(cls, early_stopping=False, max_iter=2, warm_start=True).fit(X, y).fit(X, y)
    assert_same_fit(model, warm)
    assert_same_fit(model, clone(model).fit(X, y))
    assert model.t_ == 4 * N
    with pytest.raises(ValueError, match="return_sequences is now False, but the network to"):
        warm.set_params(return_sequences=False, pooling="last").fit(X, [t[0] for t in y])


@both
@pytest.mark.parametrize("form", FORMS)
def test_it_goes_through_grid_search(cls, form):
    X = sequences(form)
    y = step_target(cls, X)
    search = GridSearchCV(quick(cls), {"hidden_layer_sizes": [2, 5]}, cv=KFold(3)).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.predict(X)) == N


def test_other_metrics_take_the_labelled_steps():
    X = sequences("dense")
    y = step_target(LSTMClassifier, X)

    def f1_of_steps(y_true, y_pred):
        return f1_score(np.ravel(y_true), np.ravel(y_pred), average="macro")

    scores = cross_validate(
        quick(LSTMClassifier), X, y, cv=KFold(3), scoring=make_scorer(f1_of_steps)
    )
    assert np.isfinite(scores["test_score"]).all()
    pipeline = make_pipeline(FunctionTransformer(np.tanh), quick(LSTMClassifier)).fit(X, y)
    assert pipeline.predict(X).shape == (N, T)


@both
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("params", [{}, {"bidirectional": True}], ids=["", "bidirectional"])
def test_runtime_predicts_the_same(cls, form, params, tmp_path):
    model, X, _ = fitted(cls, form, linear_skip=2, **params)
    runtime.save(model, tmp_path / "model.npz")
    predictor = runtime.load(tmp_path / "model.npz")
    for found, expected in zip(predictor.predict(X), model.predict(X), strict=True):
        assert_array_equal(found, expected)
    if cls is LSTMClassifier:
        for found, expected in zip(predictor.predict_proba(X), model.predict_proba(X), strict=True):
            assert_array_equal(found, expected)


ONNX_CASES = {
    "numbers": (LSTMRegressor, {"linear_skip": 3}),
    "quantiles": (LSTMRegressor, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}),
    "counts": (LSTMRegressor, {"loss": "poisson", "hidden_layer_sizes": (3, 4)}),
    "bidirectional": (LSTMRegressor, {"bidirectional": True}),
    "classes": (LSTMClassifier, {"linear_skip": 2}),
    "two classes": (LSTMClassifier, {}),
    "labels": (LSTMClassifier, {}),
}


@pytest.mark.parametrize("case", ONNX_CASES)
def test_onnx_predicts_the_same(case):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    cls, params = ONNX_CASES[case]
    X = sequences("missing", dtype=np.float32)
    X[4, :3] = np.nan
    X[5] = np.nan
    y = step_target(cls, X)
    if case == "counts":
        y = np.exp(0.3 * y)
    if case == "two classes":
        y = (y == "low").astype(int)
    if case == "labels":
        y = np.stack([y == "low", y == "top"], axis=2).astype(int)
    model = quick(cls, **params).fit(X, y)
    converted = to_onnx(model)
    onnx.checker.check_model(converted, full_check=True)
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    found = session.run(None, {"X": X})
    if cls is LSTMRegressor:
        expected = model.predict(X)
        assert found[0].shape == (N, T, model.n_outputs_)
        assert_allclose(found[0].reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    else:
        assert_allclose(found[1], model.predict_proba(X), rtol=1e-4, atol=1e-5)
        assert np.mean(found[0] == model.predict(X)) > 0.99
        assert found[0].shape == model.predict(X).shape


# Other libraries.


def frozen(name):
    """Return the arrays of a file in support/data/; the script there describes them."""
    with np.load(Path(__file__).parent / "support" / "data" / f"{name}.npz") as file:
        return dict(file)


def test_weights_of_a_keras_model_give_its_output_at_each_step():
    """LSTM(32, return_sequences=True) and Dense or TimeDistributed(Dense), which are the same."""
    keras = frozen("keras_lstm")
    weights = [keras[name] for name in ("kernel", "recurrent_kernel", "bias")]
    weights += [keras["head_kernel"], keras["head_bias"]]
    model = from_keras(weights, LSTMRegressor(32, return_sequences=True))
    expected = keras["sequences"] @ keras["head_kernel"] + keras["head_bias"]
    assert_allclose(model.predict(keras["x"]), expected, rtol=1e-12, atol=1e-13)
    for ours, theirs in zip(to_keras(model), weights, strict=True):
        assert_array_equal(ours, theirs)


def torch_weights(arrays):
    """The weights as PyTorch names them, where layer and head are modules of one model."""
    parts = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    lstm = {f"lstm.{k}": a for k, a in arrays.items() if k.rpartition("_l0")[0] in parts}
    return lstm | {f"head.{kind}": arrays[f"head_{kind}"] for kind in ("weight", "bias")}


def test_weights_of_a_pytorch_model_give_its_output_at_each_step():
    torch = frozen("every_step_torch")
    estimator = LSTMClassifier(4, bidirectional=True, return_sequences=True)
    model = from_torch(torch_weights(torch), estimator)
    ragged = [x[:length] for x, length in zip(torch["x"], torch["lengths"], strict=True)]
    for found, expected in zip(model.predict_log_proba(ragged), torch["log_proba"], strict=True):
        assert_allclose(found, expected[: len(found)], rtol=1e-11, atol=1e-13)
    back = from_torch(to_torch(model), estimator)
    for found, expected in zip(
        back.predict_proba(ragged), model.predict_proba(ragged), strict=True
    ):
        assert_array_equal(found, expected)


def test_loss_and_gradient_equal_pytorch():
    from sklstm.nn import CategoricalCrossEntropy
    from sklstm.nn.network import Network, Workspace
    from sklstm.nn.sequences import DenseSequences
    from sklstm.nn.steps import EveryStep

    torch = frozen("every_step_torch")
    network = Network(3, (4,), 3, bidirectional=True)

    def packed(prefix):
        coefs, intercepts = [], []
        for name in ("l0", "l0_reverse"):
            coefs += [torch[f"{prefix}weight_ih_{name}"], torch[f"{prefix}weight_hh_{name}"]]
            b, b_hh = torch[f"{prefix}bias_ih_{name}"], torch[f"{prefix}bias_hh_{name}"]
            # Only the sum of the two is used, so both have the gradient of the sum.
            intercepts.append(b if prefix == "d_" else b + b_hh)
        head = torch[f"{prefix}head_weight"], torch[f"{prefix}head_bias"]
        return network.pack([*coefs, head[0]], [*intercepts, head[1]])

    labels = torch["labels"].ravel()
    steps = EveryStep(DenseSequences(torch["x"], has_missing=True), labels >= 0)
    order = np.array([1, 2, 0])
    batch, columns = steps.batch(order, np.dtype(np.float64))
    target = np.eye(3)[labels[labels >= 0]][steps.targets(order[columns])].T
    parameters = packed("")
    gradient = np.zeros_like(parameters)
    loss = network.add_gradient(
        parameters,
        batch,
        target,
        np.ones(target.shape[1]),
        CategoricalCrossEntropy(),
        gradient,
        Workspace(network, np.dtype(np.float64)),
    )
    assert_allclose(loss, torch["loss"], rtol=1e-13)
    assert_allclose(gradient, packed("d_"), rtol=1e-11, atol=1e-13)


# Errors.


@both
@pytest.mark.parametrize("form", FORMS)
def test_a_target_for_each_sequence_is_refused_with_the_form_that_is_expected(cls, form):
    X = sequences(form)
    y = [steps[-1] if len(steps) else step_target(cls, X)[1][0] for steps in step_target(cls, X)]
    model = quick(cls)
    with Unchanged(model, X, y), pytest.raises(ValueError, match="for each time step") as error:
        model.fit(X, y)
    assert "set return_sequences=False" in str(error.value)
    expected = "list of 20 arrays of shape" if form == "ragged" else r"(20, 6[, n_outputs])"
    assert expected in str(error.value)


@both
@pytest.mark.parametrize("form", FORMS)
def test_targets_of_steps_without_the_parameter_are_refused_and_it_is_named(cls, form):
    X = sequences(form)
    y = step_target(cls, X)
    if cls is LSTMRegressor and form != "ragged":
        y = y[:, :, np.newaxis]  # a 2-D y is several outputs
    model = quick(cls).set_params(return_sequences=False)
    with Unchanged(model, X, y), pytest.raises(ValueError, match="set return_sequences=True"):
        model.fit(X, y)


@both
def test_lists_of_other_lengths_than_those_of_x_are_refused_and_the_parameter_is_named(cls):
    X = sequences("dense")
    y = [steps[: k % 4 + 1] for k, steps in enumerate(step_target(cls, X))]
    model = quick(cls).set_params(return_sequences=False)
    message = "different lengths. For a target at each time step, set return_sequences=True and"
    with Unchanged(model, X, y), pytest.raises(ValueError, match=message):
        model.fit(X, y)


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], "19 of them|shape \\(19, 6\\)"),
        (lambda y: y[:, :-1], r"\(20, 6\[, n_outputs\]\) here. Got y of shape \(20, 5\)"),
        (lambda y: [*y[:-1], y[-1][:-1]], r"Got y\[19\] of shape \(5,\)"),
        (lambda y: np.full(y.shape, np.nan), "y has no target"),
        (lambda y: None, "y is None"),
        (lambda y: np.ma.masked_array(y, y == y[0, 0]), "masked array"),
    ],
)
def test_other_forms_of_y_are_refused(cls, change, message):
    X = sequences("dense")
    y = change(step_target(cls, X))
    model = quick(cls)
    with Unchanged(model, X), pytest.raises(ValueError, match=message):
        model.fit(X, y)


@both
def test_one_array_for_sequences_of_different_lengths_is_refused(cls):
    X = sequences("ragged")
    y = step_target(cls, np.zeros((N, max(map(len, X)), 1)))
    with pytest.raises(ValueError, match=rf"a list of {N} arrays .* Got y of shape \({N}, "):
        quick(cls).fit(X, y)


@both
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((N, T - 1)), r"a weight for each time step .* Got sample_weight of shape"),
        (np.ones((N, T, 1)), "Got sample_weight of shape"),
        ([np.ones(T)] * (N - 1), "19 of them"),
        (np.ones(N - 1), "sample_weight.shape"),
        (-np.ones((N, T)), "[Nn]egative"),
        (np.zeros((N, T)), "at least one non-zero"),
        (np.full((N, T), np.nan), "NaN"),
    ],
)
def test_weights_of_another_form_are_refused(cls, weights, message):
    X = sequences("dense")
    y = step_target(cls, X)
    model = quick(cls)
    with Unchanged(model, X, y), pytest.raises(ValueError, match=message):
        model.fit(X, y, sample_weight=weights)


@both
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pooling": "mean"}, "needs pooling='last' or 'auto', got 'mean'"),
        ({"train_on": "series"}, "return_sequences=True and train_on='series' do not go together"),
    ],
)
def test_options_that_contradict_it_are_refused(cls, params, message):
    X = sequences("dense")
    model = quick(cls, **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, step_target(cls, X))
    assert quick(cls, pooling="last").fit(X, step_target(cls, X)).n_outputs_


def test_classes_that_only_missing_steps_have_are_not_known():
    X = sequences("missing")
    y = step_target(LSTMClassifier, X).astype(object)
    y[np.isnan(X).all(axis=2)] = "padding"
    assert_array_equal(quick(LSTMClassifier).fit(X, y).classes_, ["low", "mid", "top"])


# It learns.


def probability_of_state(X, p_change, scale):
    """The probability of state 1 at each step, by forward and backward recursions: the best."""
    stay = np.array([[1 - p_change, p_change], [p_change, 1 - p_change]])
    likelihood = np.exp(-0.5 * ((X[:, :, np.newaxis] - [0.0, 1.0]) / scale) ** 2)
    before, after = np.ones_like(likelihood), np.ones_like(likelihood)
    for t in range(1, X.shape[1]):
        before[:, t] = (before[:, t - 1] * likelihood[:, t - 1]) @ stay
        after[:, -1 - t] = (after[:, -t] * likelihood[:, -t]) @ stay
    p = before * likelihood * after
    return p[:, :, 1] / p.sum(axis=2)


def test_it_learns_to_label_each_step_of_a_signal_almost_as_well_as_can_be():
    """Which of two states a noisy signal is in, which one step by itself does not tell."""
    rng = np.random.default_rng(0)
    state = np.cumsum(rng.random((160, 40)) < 0.08, axis=1) + rng.integers(2, size=(160, 1))
    X = state % 2 + rng.normal(scale=0.8, size=state.shape)
    y = np.where(state % 2, "on", "off")
    model = LSTMClassifier(16, return_sequences=True, bidirectional=True, random_state=0)
    model.set_params(max_iter=20).fit(X[:100, :, np.newaxis], y[:100])
    best = np.where(probability_of_state(X[100:], 0.08, 0.8) > 0.5, "on", "off")
    by_threshold = np.mean((X[100:] > 0.5) == state[100:] % 2)
    score, best_score = model.score(X[100:, :, np.newaxis], y[100:]), np.mean(best == y[100:])
    assert score > best_score - 0.02
    assert score > by_threshold + 0.1
