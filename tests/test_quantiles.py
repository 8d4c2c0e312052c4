"""quantile=[...]: several quantiles in one network, in all that is done with an estimator."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from support.data import FORMS, assert_same_fit, make_sequences, make_target, outputs
from support.plain import PLAIN
from support.reference_lstm import multi_pinball, network, objective, ordered
from test_linear_skip import FROZEN, FlatRidge, linear_target

from sklstm import LSTMRegressor, runtime
from sklstm.interop import from_keras, from_torch, to_keras, to_onnx, to_torch
from sklstm.nn.linear import _N_DOUBTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUANTILES = [0.1, 0.5, 0.9]
X = make_sequences("missing", 60)
y = make_target(LSTMRegressor, X)


def regressor(quantile=QUANTILES, **params):
    """Return an estimator of quantiles that trains for a few epochs."""
    small = {"hidden_layer_sizes": 4, "batch_size": 8, "max_iter": 3, "random_state": 0}
    return LSTMRegressor(loss="quantile", quantile=quantile, **small | params)


def weighted_quantiles(values, quantiles, weights=None):
    """The least value with at least that fraction of the weight up to it, found by trying all."""
    weights = np.ones(len(values)) if weights is None else weights
    return np.array(
        [
            min(v for v in values if weights[values <= v].sum() >= q * (1 - 1e-9) * weights.sum())
            for q in quantiles
        ]
    )


# What is predicted.


@pytest.mark.parametrize("quantile", [[0.3], [0.2, 0.9], QUANTILES, [0.05, 0.3, 0.6, 0.8]])
@pytest.mark.parametrize("normalize_y", [True, False])
def test_predictions_are_ordered_raw_outputs_in_the_units_of_the_target(quantile, normalize_y):
    model = regressor(quantile, normalize_y=normalize_y, **PLAIN).fit(X, y)
    center, scale = 0.0, 1.0
    if normalize_y:
        low, center, high = weighted_quantiles(y, [0.25, 0.5, 0.75])
        scale = (high - low) / 1.349
    raw = [network(sequence, model.coefs_, model.intercepts_) for sequence in X]
    expected = center + scale * np.array([ordered(z) for z in raw])
    assert_allclose(model.predict(X), expected, rtol=1e-10)
    assert model.out_activation_ == "ordered"
    assert model.n_outputs_ == len(quantile)


def test_the_loss_is_the_mean_over_quantiles():
    model = regressor(batch_size=60, alpha=0.0, normalize_y=False, **PLAIN).fit(X, y)
    target = np.tile(y[:, np.newaxis], 3)
    loss = multi_pinball(QUANTILES)
    expected = objective(X, target, np.ones(60), loss, model.coefs_, model.intercepts_)
    assert model.partial_fit(X, y).loss_ == pytest.approx(expected, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    quantile=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=7, unique=True).map(sorted),
    dtype=st.sampled_from(["float32", "float64"]),
    params=st.fixed_dictionaries(
        {
            "bidirectional": st.booleans(),
            "pooling": st.sampled_from(["last", ("mean", "max")]),
            "linear_skip": st.sampled_from([0, 3, "auto"]),
            "early_stopping": st.booleans(),
            "normalize_y": st.booleans(),
            "dropout": st.sampled_from([0.0, 0.3]),
            "learning_rate_init": st.sampled_from([0.01, 1.0]),
        }
    ),
)
def test_quantiles_never_cross_with_any_option(form, quantile, dtype, params):
    X = make_sequences(form, 60)
    y = 1e5 + make_target(LSTMRegressor, X)
    model = regressor(quantile, dtype=dtype, max_iter=2, **params).fit(X, y)
    predicted = model.predict(make_sequences(form, 40, seed=3))
    assert predicted.shape == (40, len(quantile))
    assert predicted.dtype == dtype
    assert (np.diff(predicted, axis=1) >= 0).all()


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("linear_skip", [0, 3])
def test_streams_files_and_pickles_give_the_same_quantiles(linear_skip, early_stopping, tmp_path):
    model = regressor(linear_skip=linear_skip, early_stopping=early_stopping).fit(X, y)
    expected = model.predict(X)
    runtime.save(model, tmp_path / "model.npz")
    assert_array_equal(runtime.load(tmp_path / "model.npz").predict(X), expected)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    state = None
    for x_t in X.transpose(1, 0, 2):
        streamed, state = model.predict_step(x_t, state)
    assert_allclose(streamed, expected, rtol=1e-9)
    state = None
    for x_t in X[0]:
        one, state = model.predict_step(x_t, state)
    assert one.shape == (3,)
    assert_allclose(one, expected[0], rtol=1e-9)


def test_onnx_gives_the_same_quantiles_with_a_linear_part():
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    single = X.astype(np.float32)
    for quantile in ([0.1, 0.9], [0.1, 0.3, 0.5, 0.7, 0.9]):
        model = regressor(quantile, linear_skip=6, max_iter=10).fit(single, 1e4 + 300 * y)
        session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
        (found,) = session.run(["variable"], {"X": single})
        assert_allclose(found, model.predict(single), rtol=1e-6)
        assert (np.diff(found, axis=1) >= 0).all()


def test_a_column_is_read_as_a_vector_with_a_warning():
    """As by the regressors of scikit-learn that take a single target."""
    with pytest.warns(DataConversionWarning, match="column-vector"):
        column = regressor().fit(X, y[:, np.newaxis])
    assert_same_fit(column, regressor().fit(X, y))
    assert column.predict(X).shape == (60, 3)
    assert column.score(X, y[:, np.newaxis]) == column.score(X, y)


@pytest.mark.parametrize(
    "quantile", [tuple(QUANTILES), np.array(QUANTILES), np.float32([0.5, 0.75])]
)
def test_quantiles_may_be_any_sequence(quantile):
    model = regressor(quantile)
    copy = clone(model).fit(X, y)
    assert_array_equal(model.get_params()["quantile"], quantile)
    assert_same_fit(copy, regressor(np.asarray(quantile, float).tolist()).fit(X, y))


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e6), shift=st.floats(-1e3, 1e3), linear_skip=st.sampled_from([0, 3]))
def test_quantiles_scale_and_shift_with_the_target(scale, shift, linear_skip):
    params = (
        FROZEN if linear_skip else {}
    )  # some residuals of the ridge lie at the kink of the loss
    plain = regressor(linear_skip=linear_skip, **params).fit(X, y).predict(X)
    other = regressor(linear_skip=linear_skip, **params).fit(X, scale * (y + shift)).predict(X)
    assert_allclose(other, scale * (plain + shift), rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("value", [0.0, -1e7])
@pytest.mark.parametrize("linear_skip", [0, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_quantiles_of_a_constant_target_are_close_to_it(early_stopping, linear_skip, value):
    model = regressor(linear_skip=linear_skip, early_stopping=early_stopping)
    predicted = model.fit(X, np.full(60, value)).predict(X)
    assert (np.diff(predicted, axis=1) >= 0).all()
    assert_allclose(predicted, value, atol=0.5)


@pytest.mark.parametrize("linear_skip", [0, 3])
def test_a_weight_of_two_is_the_sample_given_twice(linear_skip):
    weights = 1 + np.arange(60) % 2
    params = {"batch_size": 90, "shuffle": False, "early_stopping": False}
    if linear_skip:
        params |= FROZEN  # some residuals of the ridge lie at the kink of the loss
    weighted = regressor(linear_skip=linear_skip, **params).fit(X, y, sample_weight=weights)
    twice = regressor(linear_skip=linear_skip, **params)
    twice.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_allclose(weighted.predict(X), twice.predict(X), rtol=1e-7)


@pytest.mark.parametrize("linear_skip", [0, 3])
def test_each_quantile_has_its_fraction_of_new_targets_below_it(linear_skip):
    """Where the spread depends on the sequence, which one width for all would not give."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8000, 4, 2))
    y = X[:, -1, 0] + np.exp(X[:, -2, 1]) * rng.normal(size=8000)
    quantile = [0.05, 0.25, 0.5, 0.75, 0.95]
    model = regressor(quantile, linear_skip=linear_skip, max_iter=30, batch_size=32)
    predicted = model.set_params(hidden_layer_sizes=8).fit(X[:2000], y[:2000]).predict(X[2000:])
    below = y[2000:, np.newaxis] < predicted
    assert_allclose(below.mean(axis=0), quantile, atol=0.05)
    is_calm = X[2000:, -2, 1] < 0
    for part in (is_calm, ~is_calm):
        assert_allclose(below[part].mean(axis=0), quantile, atol=0.08)
    width = predicted[:, 3] - predicted[:, 1]
    assert width[is_calm].mean() < 0.5 * width[~is_calm].mean()


# Where training starts.


@pytest.mark.parametrize("normalize_y", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_training_starts_from_the_ridge_and_the_quantiles_of_its_residuals(form, normalize_y):
    X, new = make_sequences(form, 60), make_sequences(form, 20, seed=9)
    y = linear_target(X)
    model = regressor(linear_skip=3, normalize_y=normalize_y, **FROZEN).fit(X, y)
    ridge = FlatRidge(3, X, y)
    residuals = y - ridge.predict(X)[:, 0]
    expected = ridge.predict(new) + weighted_quantiles(residuals, QUANTILES)
    assert_allclose(model.predict(new), expected, rtol=1e-7)


def test_the_lstm_learns_in_units_of_what_the_ridge_leaves():
    X = make_sequences("dense", 60)
    y = linear_target(X)
    params = {"linear_skip": 3, "batch_size": 60, "max_iter": 1, "alpha": 0.0}
    model = regressor(early_stopping=False, **params).fit(X, y)
    residual = y - FlatRidge(3, X, y).predict(X)[:, 0]
    low, high = weighted_quantiles(residual, [0.25, 0.75])
    error = (
        (residual[:, np.newaxis] - weighted_quantiles(residual, QUANTILES)) * 1.349 / (high - low)
    )
    q = np.array(QUANTILES)
    assert_allclose(model.loss_curve_[0], np.maximum(q * error, (q - 1) * error).mean(), rtol=1e-9)


@pytest.mark.parametrize("normalize_y", [False, True])
def test_without_a_linear_part_training_starts_from_the_quantiles_of_y(normalize_y):
    weights = np.linspace(0, 1, 60)
    quantile = [0.05, 0.2, 0.5, 0.9]
    params = {"linear_skip": 0, "normalize_y": normalize_y, **FROZEN}
    model = regressor(quantile, **params).fit(X, y, sample_weight=weights)
    predicted = model.predict(X)
    steps = np.diff(weighted_quantiles(y, quantile, weights))
    assert_allclose(np.diff(predicted, axis=1), np.tile(steps, (60, 1)), rtol=1e-6)
    empty = model.predict(np.full((1, 3, 2), np.nan))  # its hidden state is zero
    assert_allclose(empty[0], weighted_quantiles(y, quantile, weights), rtol=1e-6)


def test_partial_fit_starts_as_fit_does():
    partly = regressor(early_stopping=False)
    for _ in range(3):
        partly.partial_fit(X, y)
    assert_same_fit(partly, regressor(early_stopping=False).fit(X, y))


@pytest.mark.parametrize("seed", range(4))
def test_early_stopping_mixes_level_and_steps_of_the_network_with_those_of_the_ridge(seed):
    """Here training ends where it starts, at half of the ridge.

    Level and steps are mixed before the steps go through the softplus: a mixture of zero is the
    ridge, one of one is the network, and the score is that of the mixture.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(100, 3, 1))
    y = X[:, -1, 0] + rng.normal(size=100)
    model = regressor(linear_skip=3, early_stopping=True, normalize_y=False)
    model.set_params(max_iter=1, learning_rate_init=1e-12).fit(X, y)

    of_training, of_all = FlatRidge(3, X[:90], y[:90]), FlatRidge(3, X, y)
    of_all.mean, of_all.scale = of_training.mean, of_training.scale
    of_all.ridges = [of_all.fit_one(of_all.flat(X), y)]

    def raw(level, y):
        """Level, and its residuals' quantiles as raw steps."""
        shift = weighted_quantiles(y - level[: len(y)], QUANTILES)
        below, above = np.log(np.expm1(np.diff(shift)))
        return np.stack([np.full(100, below), level + shift[1], np.full(100, above)], axis=1)

    linear = raw(of_training.predict(X)[:, 0], y[:90])
    linear_of_all = raw(of_all.predict(X)[:, 0], y)
    trained = raw((of_training.predict(X)[:, 0] + y[:90].mean()) / 2, y[:90])

    def predictions(linear, f):
        return np.array(
            [ordered((1 - f) * a + f * b) for a, b in zip(linear, trained, strict=True)]
        )

    def loss(predicted):
        error = y[90:, np.newaxis] - predicted[90:]
        q = np.array(QUANTILES)
        return np.maximum(q * error, (q - 1) * error).mean(axis=1)

    fractions = np.arange(101) / 100
    doubt = _N_DOUBTS * loss(predictions(linear, 0)).mean()
    losses = [loss(predictions(linear, f)).sum() + doubt * f**2 for f in fractions]
    f = fractions[int(np.argmin(losses))]

    assert_allclose(model.predict(X), predictions(linear_of_all, f), rtol=1e-6, atol=1e-9)
    columns = predictions(linear, f)[90:].T
    d2 = [d2_pinball_score(y[90:], c, alpha=q) for c, q in zip(columns, QUANTILES, strict=True)]
    assert_allclose(model.best_validation_score_, np.mean(d2), rtol=1e-6)
    assert model.best_iter_ == (0 if f == 0 else 1)


# The score.


def mean_d2(y, predicted, quantiles, weights=None):
    return np.mean(
        [
            d2_pinball_score(y, predicted[:, j], alpha=q, sample_weight=weights)
            for j, q in enumerate(quantiles)
        ]
    )


def test_the_score_is_the_mean_of_d2_over_the_quantiles():
    weights = np.linspace(0, 1, 60)
    model = regressor(max_iter=20).fit(X, y)
    assert model.score(X, y) == pytest.approx(mean_d2(y, model.predict(X), QUANTILES))
    weighted = mean_d2(y, model.predict(X), QUANTILES, weights)
    assert model.score(X, y, weights) == model.score(X, y, sample_weight=weights) == weighted


def test_early_stopping_keeps_the_epoch_with_the_best_score():
    weights = np.linspace(0.5, 1, 60)
    model = regressor(linear_skip=0, early_stopping=True, validation_fraction=0.3, max_iter=8)
    model.fit(X, y, sample_weight=weights)
    score = mean_d2(y[-18:], model.predict(X[-18:]), QUANTILES, weights[-18:])
    assert_allclose(model.best_validation_score_, score)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_a_search_and_cross_validation_work():
    search = GridSearchCV(
        regressor(), {"quantile": [[0.1, 0.9], QUANTILES]}, cv=KFold(3), error_score="raise"
    ).fit(X, y)
    folds = [
        clone(search.best_estimator_).fit(X[train], y[train]).score(X[test], y[test])
        for train, test in KFold(3).split(X)
    ]
    assert_allclose(search.best_score_, np.mean(folds))
    assert cross_val_predict(regressor(), X, y, cv=3).shape == (60, 3)


# Errors.


@pytest.mark.parametrize(
    "quantile",
    [[], [0.9, 0.1], [0.5, 0.5], [0, 0.5], [0.5, 1], [0.1, np.nan], ["0.1"], [[0.1, 0.5]], [True]],
    ids=str,
)
def test_quantiles_that_are_none_raise(quantile):
    for given_as in (quantile, tuple(quantile), np.array(quantile)):
        with pytest.raises(ValueError, match=r"quantile must be .* increasing order"):
            regressor(given_as).fit(X, y)


@pytest.mark.parametrize("quantile", ["0.5", 1.5, {0.1, 0.5}, np.array(0.5)])
def test_other_quantiles_raise(quantile):
    with pytest.raises(ValueError, match="quantile"):
        regressor(quantile).fit(X, y)


def test_quantiles_need_the_loss():
    with pytest.raises(ValueError, match=r"quantile=\[0.1, 0.5, 0.9\] and loss='squared_error'"):
        LSTMRegressor(quantile=QUANTILES).fit(X, y)


def test_several_targets_raise():
    Y = np.column_stack([y, y, y])
    with pytest.raises(ValueError, match=r"y has 3 columns, .* of a single target"):
        regressor().fit(X, Y)
    with pytest.raises(ValueError, match=r"In X_val, y_val: y has 3 columns"):
        regressor(early_stopping=True).fit(X, y, X_val=X, y_val=Y)
    assert not regressor().__sklearn_tags__().target_tags.multi_output
    assert regressor(0.5).__sklearn_tags__().target_tags.multi_output


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        ([0.1, 0.9], r"quantile has 2 .* 3"),
        (0.5, "activation 'identity', but .* 'ordered'"),
    ],
)
def test_another_number_of_quantiles_does_not_continue(quantile, message):
    model = regressor(warm_start=True).fit(X, y)
    expected = outputs(model, X)
    with pytest.raises(ValueError, match=message):
        model.set_params(quantile=quantile).fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y)
    assert_array_equal(outputs(model, X), expected)
    model.set_params(quantile=[0.2, 0.5, 0.8]).fit(X, y)  # other quantiles do


def test_other_frameworks_have_no_place_for_the_steps():
    model = regressor(**PLAIN).fit(X, y)
    for convert in (to_keras, to_torch):
        with pytest.raises(ValueError, match="Fit the estimator with quantile=a single number"):
            convert(model)
    one = regressor(0.5, **PLAIN).fit(X, y)
    for back, weights in ((from_keras, to_keras(one)), (from_torch, to_torch(one))):
        with pytest.raises(ValueError, match="an estimator for each quantile"):
            back(weights, regressor([0.5]))
