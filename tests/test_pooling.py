"""pooling: what the head reads of the hidden states, in all that is done with an estimator."""

import pickle
import warnings
from itertools import permutations

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from support.data import (
    ESTIMATORS,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
)
from threadpoolctl import threadpool_limits

from sklstm import LSTMClassifier, LSTMRegressor, runtime
from sklstm.interop import to_keras, to_onnx, to_torch
from sklstm.nn import lstm_cell

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

POOLINGS = [chosen for n in (1, 2, 3) for chosen in permutations(["last", "mean", "max"], n)]


def fitted(cls, pooling, form="missing", **params):
    X = make_sequences(form)
    return quick(cls, pooling=pooling, **params).fit(X, make_target(cls, X)), X


def summaries_by_loop(estimator, sequence):
    """Return each summary of the hidden states of a network of one layer, in float64."""
    W_x, W_h, _ = estimator.coefs_
    h, c = np.zeros(W_h.shape[1]), np.zeros(W_h.shape[1])
    states = []
    for x_t in sequence:
        if not np.isnan(x_t).all():
            h, c = lstm_cell(x_t, h, c, W_x, W_h, estimator.intercepts_[0])
            states.append(h)
    states = states or [np.zeros_like(h)]
    return {"last": h, "mean": np.mean(states, axis=0), "max": np.max(states, axis=0)}


@pytest.mark.parametrize("form", ["dense", "missing", "ragged"])
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_predictions_are_those_of_a_loop_with_the_cell(pooling, form):
    model, X = fitted(
        LSTMRegressor, pooling, form, linear_skip=0, normalize_y=False, early_stopping=False
    )
    V, b = model.coefs_[-1], model.intercepts_[-1]
    assert V.shape == (1, 4 * len(pooling))
    for sequence, y in zip(X, model.predict(X), strict=True):
        parts = summaries_by_loop(model, sequence)
        assert_allclose(y, V[0] @ np.concatenate([parts[name] for name in pooling]) + b[0])


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("name", ["last", "mean", "max"])
def test_a_name_equals_a_tuple_and_a_list_with_it(cls, name):
    model, _ = fitted(cls, name)
    for pooling in ((name,), [name]):
        assert_same_fit(model, fitted(cls, pooling)[0])


@pytest.mark.parametrize(
    ("cls", "pooling"), [(LSTMRegressor, "last"), (LSTMClassifier, ("last", "mean", "max"))]
)
def test_auto_is_the_last_state_for_numbers_and_all_three_for_classes(cls, pooling):
    model, _ = fitted(cls, "auto")
    assert cls().pooling == "auto"
    assert_same_fit(model, fitted(cls, pooling)[0])


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(
    "pooling",
    ["sum", "", (), [], [["last"]], ("last", "last"), ("max", "median"), ("auto", "max"), None, 3],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_other_values_raise_an_error_that_names_the_parameter(cls, pooling, method):
    X = make_sequences("dense")
    y = make_target(cls, X)
    model = quick(cls, pooling=pooling)
    with pytest.raises(ValueError, match="pooling"):
        model.fit(X, y) if method == "fit" else partial_fit(model, X, y)
    assert not hasattr(model, "_model")


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_training_cannot_continue_with_another_pooling(cls):
    model, X = fitted(cls, "mean", warm_start=True)
    before = outputs(model, X)
    y = make_target(cls, X)
    with pytest.raises(ValueError, match=r"pooling is now .*'max'.* pooling=.*'mean'"):
        model.set_params(pooling="max").fit(X, y)
    assert_array_equal(outputs(model, X), before)
    model.set_params(pooling=["mean"]).fit(X, y)
    model.set_params(pooling="auto").fit(X, y)
    assert model.n_iter_ == 9


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_missing_steps_change_nothing_for_the_lstm(cls, pooling):
    """Padding, in front, behind or between, is not part of a mean or a maximum."""
    model, X = fitted(cls, pooling, "dense", linear_skip=0)
    padded = np.full((len(X), 12, 2), np.nan)
    padded[:, [0, 3, 4, 8, 9]] = X
    # Blocks of another form may be computed in another order.
    assert_allclose(outputs(model, padded), outputs(model, X), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("pooling", ["mean", "max", ("max", "last")], ids=str)
def test_both_directions_and_dropout_train(cls, pooling):
    model, X = fitted(
        cls,
        pooling,
        hidden_layer_sizes=(4, 3),
        bidirectional=True,
        dropout=0.2,
        recurrent_dropout=0.2,
        max_iter=30,
        learning_rate_init=0.03,
    )
    n_summaries = 1 if isinstance(pooling, str) else 2
    assert model.coefs_[-1].shape[1] == n_summaries * 2 * 3
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(outputs(model, X)).all()


def test_a_mean_learns_a_fraction_over_time():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(200, 20, 1))
    y = (X[:, :, 0] > 0).mean(axis=1)
    model = LSTMRegressor(
        4, pooling="mean", linear_skip=0, max_iter=60, early_stopping=False, random_state=0
    ).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.95


def test_a_maximum_learns_whether_something_ever_happens():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 20, 1))
    y = (X > 0.96).any(axis=(1, 2))
    X[X > 0.96] += 1
    model = LSTMClassifier(4, pooling="max", max_iter=30, random_state=0).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.98


# Streams.


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("linear_skip", [0, 3])
@pytest.mark.parametrize("pooling", POOLINGS, ids="+".join)
def test_each_step_of_a_stream_is_predicted_as_the_sequence_so_far(cls, pooling, linear_skip):
    model, _ = fitted(cls, pooling, linear_skip=linear_skip, hidden_layer_sizes=(3, 4))
    X = make_sequences("missing", 4, 8, seed=1)
    X[1, :3] = np.nan  # no step yet
    state, states = None, [None] * len(X)
    for t in range(X.shape[1]):
        y, state = model.predict_step(X[:, t], state)
        expected = model.predict(X[:, : t + 1])
        ours = []
        for j in range(len(X)):
            one, states[j] = model.predict_step(X[j, t], states[j])
            ours.append(one)
        for found in (y, np.array(ours)):
            if cls is LSTMClassifier:
                assert_array_equal(found, expected)
            else:
                assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def leaves(state):
    return (
        [leaf for part in state for leaf in leaves(part)] if isinstance(state, tuple) else [state]
    )


@pytest.mark.parametrize("x_t", [np.array([0.5, 2.0]), np.full(2, np.nan)], ids=["step", "missing"])
@pytest.mark.parametrize("n_streams", [None, 1, 3])
def test_a_given_state_is_not_changed(n_streams, x_t):
    model, _ = fitted(LSTMRegressor, ("last", "mean", "max"), linear_skip=3)
    x = x_t if n_streams is None else np.tile(x_t, (n_streams, 1))
    _, state = model.predict_step(np.nan_to_num(x, nan=1.0))
    before = [leaf.copy() for leaf in leaves(state)]
    for leaf in leaves(state):
        if isinstance(leaf, np.ndarray):
            leaf.flags.writeable = False
    first, after = model.predict_step(x, state)
    for leaf, unchanged in zip(leaves(state), before, strict=True):
        assert_array_equal(leaf, unchanged)
    for leaf, old in zip(leaves(after), leaves(state), strict=True):
        assert not np.shares_memory(leaf, old)
        assert (leaf.shape, leaf.dtype) == (old.shape, old.dtype)
    second, _ = model.predict_step(x, state)
    assert_array_equal(first, second)


def test_a_state_holds_what_the_head_reads():
    """The sum, the maximum and the number of the hidden states, then the last inputs."""
    model, _ = fitted(LSTMRegressor, ("mean", "max"), linear_skip=2)
    x = make_sequences("dense", 1, 4, seed=2)[0]
    state = None
    for x_t in x:
        _, state = model.predict_step(x_t, state)
    (h, c), (total, maximum, n_steps), steps = state
    expected = summaries_by_loop(model, x)
    assert_allclose(h, expected["last"])
    assert_allclose(total / 4, expected["mean"])
    assert_allclose(maximum, expected["max"])
    assert n_steps == 4
    assert_allclose(steps, (x[-2:] - model.skip_mean_) / model.skip_scale_)
    assert c.shape == (4,)


@pytest.mark.parametrize("pooling", ["last", "mean", ("max", "last")], ids=str)
@pytest.mark.parametrize("linear_skip", [0, 3])
def test_another_form_of_state_raises_an_error(pooling, linear_skip):
    model, _ = fitted(LSTMRegressor, pooling, linear_skip=linear_skip)
    _, single = model.predict_step(np.ones(2))
    _, several = model.predict_step(np.ones((3, 2)))
    wrong = [(np.ones(2), state) for state in ((), single[:-1], (*single, single[0]), several, 3)]
    wrong += [(np.ones((3, 2)), single), (np.ones((2, 2)), several), (np.ones(2), "state")]
    wrong += [(np.ones(2), ((single[0][0][:-1], single[0][1]), *single[1:]))]
    for x, state in wrong:
        with pytest.raises(ValueError, match="state must be what predict_step returned"):
            model.predict_step(x, state)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_state_may_be_pickled_and_come_back_as_lists(pooling):
    model, _ = fitted(LSTMRegressor, pooling, linear_skip=2)
    _, state = model.predict_step(np.ones(2))
    expected, _ = model.predict_step(np.zeros(2), state)
    as_lists = [[leaf.tolist() for leaf in part] for part in state[:-1]] + [state[-1].tolist()]
    for other in (pickle.loads(pickle.dumps(state)), as_lists):
        found, _ = model.predict_step(np.zeros(2), other)
        assert_array_equal(found, expected)


def test_both_directions_cannot_stream():
    model, _ = fitted(LSTMRegressor, "mean", bidirectional=True)
    with pytest.raises(ValueError, match="bidirectional=False"):
        model.predict_step(np.ones(2))


# Files and other formats.


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("linear_skip", [0, 3, 7])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", ("max", "last", "mean")], ids=str)
def test_a_loaded_predictor_gives_the_same_bits(
    cls, pooling, bidirectional, linear_skip, dtype, tmp_path
):
    model, X = fitted(
        cls,
        pooling,
        max_iter=1,
        hidden_layer_sizes=(3, 2),
        bidirectional=bidirectional,
        linear_skip=linear_skip,
        dtype=dtype,
    )
    runtime.save(model, tmp_path / "model.npz")
    runtime.save(model, tmp_path / "again.npz")
    assert (tmp_path / "model.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    predictor = runtime.load(tmp_path / "model.npz")
    found, expected = outputs(predictor, X), outputs(model, X)
    assert found.dtype == expected.dtype == dtype
    assert_array_equal(found, expected)
    if not bidirectional:
        state = state_of_loaded = None
        for x_t in X[0]:
            y, state = model.predict_step(x_t, state)
            y_of_loaded, state_of_loaded = predictor.predict_step(x_t, state_of_loaded)
            assert y == y_of_loaded


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("linear_skip", [0, 3, 7])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", ("max", "last", "mean")], ids=str)
def test_onnx_gives_the_same_predictions(cls, pooling, bidirectional, linear_skip):
    """For sequences of other lengths too, with some steps missing, and all."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, _ = fitted(
        cls,
        pooling,
        max_iter=1,
        hidden_layer_sizes=(3, 2),
        bidirectional=bidirectional,
        linear_skip=linear_skip,
    )
    converted = to_onnx(model).SerializeToString()
    session = onnxruntime.InferenceSession(converted)
    name = "variable" if cls is LSTMRegressor else "probabilities"
    for n_timesteps in (1, 5, 9):
        X = make_sequences("missing", 6, n_timesteps, dtype=np.float32, seed=3)
        X[0] = np.nan
        (found,) = session.run([name], {"X": X})
        expected = outputs(model, X).reshape(found.shape)
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("convert", [to_keras, to_torch])
@pytest.mark.parametrize(
    ("params", "advice", "other"),
    [
        ({"pooling": "mean", "linear_skip": 0}, "pooling='last'", "linear_skip="),
        ({"pooling": ("last", "max"), "linear_skip": 0}, "pooling='last'", "linear_skip="),
        ({"pooling": "last", "linear_skip": 2}, "linear_skip=0", "pooling="),
    ],
)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_other_libraries_get_no_weights_that_they_have_no_place_for(
    cls, convert, params, advice, other
):
    """The message says which parameter to fit with."""
    model, _ = fitted(cls, **params)
    with pytest.raises(ValueError, match=advice) as raised:
        convert(model)
    assert other not in str(raised.value)
    assert "to_onnx" in str(raised.value)


# The same bits.


def test_any_number_of_threads_and_a_worker_give_the_same_bits():
    """With the default parameters; the networks are large enough for two threads."""
    X = make_sequences("missing", 80, 6)
    models = [cls((80,), max_iter=2, batch_size=64, random_state=0) for cls in ESTIMATORS]
    in_workers = Parallel(n_jobs=2)(delayed(quiet_fit)(model, X) for model in models)
    for model, of_worker in zip(models, in_workers, strict=True):
        fits = [of_worker]
        for n_threads in (1, 2):
            with threadpool_limits(n_threads, user_api="blas"):
                fits.append(quiet_fit(clone(model), X))
        for other in fits[1:]:
            assert_same_fit(other, fits[0])
            assert_array_equal(outputs(other, X), outputs(fits[0], X))


def quiet_fit(model, X):
    """Fit in a process of its own, which does not know how pytest treats warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, make_target(type(model), X))
