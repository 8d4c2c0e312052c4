"""LSTMClassifier: labels of any type, probabilities, multilabel targets."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning
from support.data import Unchanged, assert_same_fit, make_sequences, make_target, quick
from support.plain import plain
from support.reference_lstm import (
    binary_cross_entropy,
    categorical_cross_entropy,
    logistic,
    network,
    objective,
)

from sklstm import LSTMClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = make_sequences("missing", n_samples=24)
three = np.unique(make_target(LSTMClassifier, X), return_inverse=True)[1]  # 0, 1 or 2
two = (three == 2).astype(int)
indicator = np.column_stack([three == 0, three > 0, two]).astype(int)


def classifier(**params):
    return quick(LSTMClassifier, **params)


def plain_classifier(**params):
    return plain(LSTMClassifier, **params)


def raw_outputs(estimator, X):
    return np.array([network(sequence, estimator.coefs_, estimator.intercepts_) for sequence in X])


# Labels.


@pytest.mark.parametrize(
    "classes",
    [
        [0, 1],
        [-1, 1],
        [5, -3, 100],
        [False, True],
        [0.0, 1.0],
        [2.0, 1.0, -1.0],
        ["b", "a"],
        ["ham", "spam", "eggs"],
        np.array(["x", "yy", "zzz"], dtype=object),
        np.array([3, 1, 2], dtype=np.uint8),
    ],
    ids=str,
)
def test_labels_can_be_of_any_type(classes):
    classes = np.asarray(classes)
    y = classes[two if len(classes) == 2 else three]
    estimator = classifier(max_iter=40, learning_rate_init=0.02).fit(X, y)
    np.testing.assert_array_equal(estimator.classes_, np.sort(classes))
    predicted = estimator.predict(X)
    assert predicted.dtype == estimator.classes_.dtype
    if classes.dtype != object:
        assert predicted.dtype == classes.dtype
    assert predicted.shape == (24,)
    probability = estimator.predict_proba(X)
    assert probability.shape == (24, len(classes))
    np.testing.assert_array_equal(predicted, estimator.classes_[probability.argmax(axis=1)])
    assert np.mean(predicted == y) > 0.8
    # Only the order of the class labels matters.
    numbers = np.searchsorted(np.sort(classes), y)
    assert_same_fit(estimator, classifier(max_iter=40, learning_rate_init=0.02).fit(X, numbers))


def test_labels_can_be_a_list():
    assert_same_fit(classifier().fit(X, list("abc"[k] for k in three)), classifier().fit(X, three))


def test_a_column_of_labels_is_flattened_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        estimator = classifier().fit(X, three[:, np.newaxis])
    assert_same_fit(estimator, classifier().fit(X, three))
    assert estimator.predict(X).shape == (24,)


# Probabilities and the loss.


def test_two_classes_have_one_logistic_output():
    estimator = plain_classifier().fit(X, two)
    assert (estimator.n_outputs_, estimator.out_activation_) == (1, "logistic")
    p = logistic(raw_outputs(estimator, X)[:, 0])
    np.testing.assert_allclose(estimator.predict_proba(X), np.column_stack([1 - p, p]), rtol=1e-10)
    np.testing.assert_array_equal(estimator.predict(X), (p > 0.5).astype(int))


def test_more_than_two_classes_have_a_softmax():
    estimator = plain_classifier().fit(X, three)
    assert (estimator.n_outputs_, estimator.out_activation_) == (3, "softmax")
    e = np.exp(raw_outputs(estimator, X))
    expected = e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(estimator.predict_proba(X), expected, rtol=1e-10)
    np.testing.assert_array_equal(estimator.predict(X), expected.argmax(axis=1))


def test_each_label_of_an_indicator_matrix_has_a_logistic_output():
    estimator = plain_classifier().fit(X, indicator)
    assert (estimator.n_outputs_, estimator.out_activation_) == (3, "logistic")
    expected = logistic(raw_outputs(estimator, X))
    np.testing.assert_allclose(estimator.predict_proba(X), expected, rtol=1e-10)
    np.testing.assert_array_equal(estimator.predict(X), (expected > 0.5).astype(int))
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])


@pytest.mark.parametrize(
    ("y", "target", "loss"),
    [
        (two, two[:, np.newaxis], binary_cross_entropy),
        (three, np.eye(3)[three], categorical_cross_entropy),
        (indicator, indicator, binary_cross_entropy),
    ],
    ids=["two", "three", "indicator"],
)
def test_the_loss_equals_the_reference(y, target, loss):
    weights = np.linspace(0, 2, 24)
    estimator = plain_classifier(batch_size=24, alpha=0.5)
    classes = None if y is indicator else np.unique(y)
    estimator.partial_fit(X, y, classes=classes, sample_weight=weights)
    expected = objective(
        X, target, weights, loss, estimator.coefs_, estimator.intercepts_, 0.5, weights.sum()
    )
    assert estimator.partial_fit(X, y, sample_weight=weights).loss_ == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("y", [two, three, indicator], ids=["two", "three", "indicator"])
def test_probabilities_sum_to_one_and_agree_with_log_probabilities(y, dtype):
    estimator = classifier().fit(X.astype(dtype), y)
    p, log_p = estimator.predict_proba(X), estimator.predict_log_proba(X)
    assert p.dtype == log_p.dtype == dtype
    assert ((p > 0) & (p < 1)).all()
    np.testing.assert_allclose(log_p, np.log(p), rtol=1e-5 if dtype == np.float32 else 1e-12)
    if y is not indicator:
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6 if dtype == np.float32 else 1e-15)


@pytest.mark.parametrize("y", [two, three, indicator], ids=["two", "three", "indicator"])
def test_log_probabilities_are_finite_where_probabilities_are_zero(y):
    # Large steps give large raw outputs.
    estimator = plain_classifier(learning_rate_init=1000.0, max_iter=5).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        p, log_p = estimator.predict_proba(X), estimator.predict_log_proba(X)
    assert p.min() == 0
    assert log_p.min() < -1000
    assert np.isfinite(log_p).all()
    assert (log_p <= 0).all()
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-9, atol=1e-15)


# Indicator matrices.


@pytest.mark.parametrize(
    "container",
    [
        np.asarray,
        np.ndarray.tolist,
        lambda y: y.astype(bool),
        lambda y: y.astype(float),
        np.asfortranarray,
        sp.csr_matrix,
        sp.csc_matrix,
        sp.coo_matrix,
        sp.csr_array,
    ],
)
def test_an_indicator_matrix_can_be_of_any_type(container):
    y = container(indicator)
    estimator = classifier().fit(X, y)
    assert_same_fit(estimator, classifier().fit(X, indicator))
    predicted = estimator.predict(X)
    assert isinstance(predicted, np.ndarray)
    assert (predicted.shape, predicted.dtype.kind) == ((24, 3), "i")
    assert_same_fit(estimator.partial_fit(X, y), classifier(max_iter=4).fit(X, indicator))


def test_the_score_of_an_indicator_matrix_is_the_fraction_of_equal_rows():
    estimator = classifier(max_iter=200, learning_rate_init=0.03).fit(X, indicator)
    predicted = estimator.predict(X)
    assert np.mean(predicted == indicator) > 0.9
    assert estimator.score(X, indicator) == np.mean((predicted == indicator).all(axis=1))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_one_hot_encoding_is_warned_of(n_classes):
    y = np.eye(n_classes)[np.arange(len(X)) % n_classes]
    with pytest.warns(UserWarning, match=r"exactly one 1.*np\.asarray\(y\)\.argmax\(axis=-1\)"):
        estimator = quick(LSTMClassifier).fit(X, y)
    assert estimator.out_activation_ == "logistic"


def test_an_indicator_matrix_can_have_constant_columns():
    y = np.column_stack([indicator, np.zeros(24, int), np.ones(24, int)])
    estimator = classifier().fit(X, y)
    assert estimator.predict_proba(X).shape == (24, 5)
    estimator.partial_fit(X, y)


# partial_fit.


def test_the_first_partial_fit_requires_the_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, three)
    estimator = classifier().partial_fit(X, three, classes=[2, 0, 1])
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert_same_fit(estimator.partial_fit(X, three), classifier(max_iter=2).fit(X, three))


def test_partial_fit_accepts_batches_that_lack_classes():
    estimator = classifier().partial_fit(X[three == 1], three[three == 1], classes=[0, 1, 2])
    estimator.partial_fit(X[three != 1], three[three != 1])
    assert estimator.predict_proba(X).shape == (24, 3)
    estimator.partial_fit(X[:1], three[:1])


def test_partial_fit_after_fit_does_not_require_the_classes():
    estimator = classifier().fit(X, three)
    estimator.partial_fit(X, three).partial_fit(X, three, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"y": three + 1}, r"not seen before: \[3\]"),
        ({"y": np.array(list("abc"))[three]}, r"not seen before: \['a', 'b', 'c'\]"),
        ({"y": three, "classes": [0, 1, 2, 3]}, "not the same as before"),
        ({"y": indicator}, "multilabel indicator"),
    ],
    ids=["label", "type", "classes", "indicator"],
)
def test_partial_fit_with_other_classes_raises(params, message):
    estimator = classifier().partial_fit(X, three, classes=[0, 1, 2])
    with Unchanged(estimator, X, params["y"]), pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, **params)


def test_the_first_partial_fit_with_labels_outside_the_classes_raises():
    estimator = classifier()
    with Unchanged(estimator), pytest.raises(ValueError, match=r"not seen before: \[2\]"):
        estimator.partial_fit(X, three, classes=[0, 1])


def test_partial_fit_with_another_number_of_labels_raises():
    estimator = classifier().fit(X, indicator)
    with Unchanged(estimator), pytest.raises(ValueError, match="y has 2 labels, but 3 are known"):
        estimator.partial_fit(X, indicator[:, :2])
    with Unchanged(estimator), pytest.raises(ValueError, match="multilabel indicator"):
        estimator.partial_fit(X, three)


def test_warm_start_keeps_the_classes():
    estimator = classifier(warm_start=True).fit(X, three)
    with Unchanged(estimator), pytest.raises(ValueError, match="not seen before"):
        estimator.fit(X, three + 1)
    estimator.fit(X, np.minimum(three, 1))
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])


def test_a_second_fit_takes_new_classes():
    estimator = classifier().fit(X, three).fit(X, np.array(["a", "b"])[two])
    np.testing.assert_array_equal(estimator.classes_, ["a", "b"])
    estimator.fit(X, indicator)
    assert estimator.predict(X).shape == (24, 3)


# Early stopping.


def test_a_random_split_is_stratified():
    params = {"early_stopping": True, "validation_fraction": 0.25}
    # Without any time step, the network learns only the more frequent class.
    nothing = np.full_like(X, np.nan)
    rare = np.r_[np.ones(4, int), np.zeros(20, int)]
    for seed in range(5):
        estimator = classifier(random_state=seed, **params).fit(nothing, rare)
        assert estimator.best_validation_score_ == pytest.approx(5 / 6)
    single = np.r_[1, np.zeros(23, int)]
    with pytest.raises(ValueError, match="least populated class"):
        classifier(**params).fit(X, single)
    classifier(validation_split="last", **params).fit(X, single)


@pytest.mark.parametrize("y", [two, three, indicator], ids=["two", "three", "indicator"])
def test_the_validation_score_is_accuracy(y):
    params = {"early_stopping": True, "validation_fraction": 0.25, "validation_split": "last"}
    estimator = classifier(max_iter=30, learning_rate_init=0.02, **params).fit(X, y)
    assert estimator.best_validation_score_ == estimator.score(X[-6:], y[-6:])


@pytest.mark.parametrize("split", ["last", "random"])
def test_early_stopping_accepts_an_indicator_matrix(split):
    estimator = classifier(early_stopping=True, validation_split=split, validation_fraction=0.25)
    assert len(estimator.fit(X, indicator).validation_scores_) == 3


def test_a_classifier_learns_which_half_of_a_sequence_is_larger():
    many = make_sequences("dense", n_samples=800, n_timesteps=6, n_features=1)[:, :, 0]
    label = np.where(many[:, :3].sum(axis=1) > many[:, 3:].sum(axis=1), "first", "second")
    estimator = LSTMClassifier(16, max_iter=60, learning_rate_init=0.01, random_state=0)
    estimator.fit(many[:700], label[:700])
    assert estimator.score(many[700:], label[700:]) > 0.9
