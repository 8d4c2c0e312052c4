"""transform: what the LSTM gives its head for each sequence, as features for other models."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from support.data import ESTIMATORS, FORMS, Unchanged, make_sequences, make_target, quick
from support.reference_lstm import layer

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)


def fitted(cls, X, **params):
    return quick(cls, **params).fit(X, make_target(cls, X))


def summary(sequence, model, pooling):
    """What the head reads of one sequence, by loops over layers, directions and steps."""
    out = np.array([x_t for x_t in np.asarray(sequence) if not np.isnan(x_t).all()])
    sizes = np.atleast_1d(model.hidden_layer_sizes)
    directions = 2 if model.bidirectional else 1
    if not len(out):
        return np.zeros(len(pooling) * directions * sizes[-1])
    number = 0
    for _ in sizes:
        states, last = [], []
        for order in (1, -1)[:directions]:
            W_x, W_h = model.coefs_[2 * number : 2 * number + 2]
            h, _ = layer(out[::order], W_x, W_h, model.intercepts_[number])
            states.append(h[::order])
            last.append(h[-1])
            number += 1
        out = np.concatenate(states, axis=1)
    parts = {"last": np.concatenate(last), "mean": out.mean(axis=0), "max": out.max(axis=0)}
    return np.concatenate([parts[name] for name in pooling])


@pytest.mark.parametrize("pooling", [("last",), ("mean",), ("max",), ("max", "last", "mean")])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [4, (3, 5)])
@pytest.mark.parametrize("form", FORMS)
def test_transform_gives_what_the_head_reads(form, sizes, bidirectional, pooling):
    X = make_sequences(form, 60)
    params = {"hidden_layer_sizes": sizes, "bidirectional": bidirectional, "pooling": pooling}
    model = fitted(LSTMRegressor, X, dropout=0.5, recurrent_dropout=0.5, **params)
    new = make_sequences(form, 15, 7, seed=3)
    expected = np.array([summary(sequence, model, pooling) for sequence in new])
    assert_allclose(model.transform(new), expected, rtol=1e-9, atol=1e-12)
    assert model.get_feature_names_out().shape == (expected.shape[1],)


@both
@pytest.mark.parametrize("linear_skip", [2, 300])  # far fewer numbers than the LSTM, far more
def test_the_head_reads_what_transform_gives(linear_skip, cls):
    """And nothing else but the linear part, which is no part of it."""
    X = make_sequences("missing", 60)
    model = fitted(cls, X, linear_skip=linear_skip)
    head, bias = model.coefs_[-1], model.intercepts_[-1]
    padded = np.concatenate([np.full((60, 300, 2), np.nan), X], axis=1)[:, -linear_skip:]
    z = np.nan_to_num((padded - model.skip_mean_) / model.skip_scale_)
    raw = model.transform(X) @ head.T + bias + np.einsum("ntf,ktf->nk", z, model.skip_coef_)
    output = model.__sklstm_model__().output
    expected = model.predict_proba(X) if cls is LSTMClassifier else model.predict(X)
    found = output.predict_proba(raw) if cls is LSTMClassifier else output.predict(raw)
    assert_allclose(found, expected, rtol=1e-10)


@both
@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_the_precision_is_that_of_the_model(cls, given, dtype):
    X = make_sequences("dense", dtype=given)
    model = fitted(cls, X, dtype=dtype)
    assert model.transform(X).dtype == (dtype or given)
    preserved = model.__sklearn_tags__().transformer_tags.preserves_dtype
    assert preserved == ([] if dtype else ["float64", "float32"])


@both
def test_fit_transform_is_fit_and_transform(cls):
    X = make_sequences("dense", 60)
    y = make_target(cls, X)
    assert_array_equal(quick(cls).fit_transform(X, y), quick(cls).fit(X, y).transform(X))


@both
def test_sequences_without_steps_give_zeros_and_nothing_is_changed(cls):
    X = [*make_sequences("ragged"), np.empty((0, 2))]
    model = fitted(cls, X)
    with Unchanged(model, X):
        assert_array_equal(model.transform(X)[-1], 0)
    assert_array_equal(model.transform(X[:7]), model.transform(X)[:7])


def test_feature_names_begin_with_the_name_of_the_class():
    X = make_sequences("dense")
    regressor = fitted(LSTMRegressor, X, hidden_layer_sizes=2, bidirectional=True)
    assert_array_equal(
        regressor.get_feature_names_out(), [f"lstmregressor{number}" for number in range(4)]
    )
    classifier = fitted(LSTMClassifier, X, hidden_layer_sizes=2)
    assert classifier.get_feature_names_out()[-1] == "lstmclassifier5"  # three poolings


# Containers and pipelines.


@both
@pytest.mark.parametrize(
    ("container", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
@pytest.mark.parametrize("form", FORMS)
def test_set_output_chooses_the_container(cls, form, container, kind):
    X = make_sequences(form)
    model = quick(cls)
    model.set_output(transform=container).fit(X, make_target(cls, X))
    frame = model.transform(X)
    assert isinstance(frame, kind)
    assert_array_equal(list(frame.columns), model.get_feature_names_out())
    predicted = model.predict(X)
    assert isinstance(predicted, np.ndarray)
    plain = model.set_output(transform="default").transform(X)
    assert isinstance(plain, np.ndarray)
    assert_array_equal(frame.to_numpy(), plain)


def test_a_frame_keeps_its_index():
    X = pd.DataFrame(make_sequences("dense")[:, :, 0], index=np.arange(20) * 3)
    X.columns = [f"step {number}" for number in range(5)]
    model = LSTMRegressor(2, max_iter=2, timesteps=5).set_output(transform="pandas")
    model.fit(X, X["step 4"])
    assert model.transform(X).index.equals(X.index)


@both
def test_the_global_configuration_works(cls):
    X = make_sequences("dense")
    model = fitted(cls, X)
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(model.transform(X), pd.DataFrame)
        assert isinstance(model.predict(X), np.ndarray)


@both
def test_a_pipeline_accepts_set_output_and_predicts(cls):
    series = np.random.default_rng(0).normal(size=(60, 2))
    y = series[:, 0] if cls is LSTMRegressor else series[:, 0] > 0
    plain = make_pipeline(StandardScaler(), SlidingWindow(5, lag=1), quick(cls)).fit(series, y)
    framed = make_pipeline(StandardScaler(), SlidingWindow(5, lag=1), quick(cls))
    framed.set_output(transform="pandas").fit(series, y)
    assert_array_equal(framed.predict(series), plain.predict(series))
    frame = framed.transform(series)
    assert_array_equal(frame, plain.transform(series))
    assert list(frame.columns) == list(framed[-1].get_feature_names_out())


def test_the_features_serve_other_models():
    rng = np.random.default_rng(0)
    X, y = make_sequences("ragged", 90), rng.integers(2, size=90)
    clusters = make_pipeline(quick(LSTMClassifier), KMeans(2, n_init=1, random_state=0))
    assert clusters.fit(X, y).predict(X).shape == (90,)
    stacked = make_pipeline(quick(LSTMClassifier), StandardScaler(), LogisticRegression())
    assert stacked.fit(X, y).score(X, y) > 0.5
    table = make_sequences("dense", 90).reshape(90, -1)
    both_sets = make_union(quick(LSTMRegressor, timesteps=5), StandardScaler())
    union = make_pipeline(both_sets, Ridge()).fit(table, table[:, -1])
    assert union[0].transform(table).shape == (90, 4 + 10)
    assert list(union[0].get_feature_names_out())[3:5] == [
        "lstmregressor__lstmregressor3",
        "standardscaler__x0",
    ]


# Errors.


@both
def test_before_fit_there_is_nothing_to_transform(cls):
    for method in (
        lambda: cls().transform(make_sequences("dense")),
        lambda: cls().get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError):
            method()


@both
def test_another_form_of_x_raises_as_in_predict(cls):
    X = make_sequences("dense")
    model = fitted(cls, X)
    for bad in (X[:, :, :1], X[:, :, 0], np.where(X > 2, np.inf, X)):
        with pytest.raises(ValueError) as of_predict:  # noqa: PT011 - any message, but the same
            model.predict(bad)
        with pytest.raises(ValueError) as of_transform:  # noqa: PT011
            model.transform(bad)
        assert str(of_transform.value) == str(of_predict.value)
