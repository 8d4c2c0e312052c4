"""Weights to and from Keras give the same predictions."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from interop.frameworks import NETWORKS, UNEQUAL, keras_model, make_data
from support.data import make_sequences, make_target, outputs
from support.plain import plain

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.interop import from_keras, to_keras

keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Raised in get_weights of Keras.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

X, NUMBERS, CLASSES = make_data()
X = X.astype(np.float32)
ACTIVATIONS = {
    "identity": None,
    "exponential": "exponential",
    "logistic": "sigmoid",
    "softmax": "softmax",
}
TARGETS = [
    (LSTMRegressor, {}, 100 + 5 * NUMBERS),
    (LSTMRegressor, {"loss": "poisson"}, 70 + 10 * NUMBERS[:, 0]),
    (LSTMClassifier, {}, CLASSES > 0),
    (LSTMClassifier, {}, np.array(["a", "c", "b"])[CLASSES]),
    (LSTMClassifier, {}, np.tri(3, dtype=int)[CLASSES]),
]


def in_keras(model, **params):
    """Return the Keras model with the weights of an estimator."""
    there = keras_model(
        np.ravel(model.hidden_layer_sizes).tolist(),
        model.n_outputs_,
        model.bidirectional,
        activation=ACTIVATIONS[model.out_activation_],
        **params,
    )
    there.set_weights(to_keras(model))
    return there


def assert_predicts_the_same(there, model, X, X_there=None):
    said = there.predict(X if X_there is None else X_there, verbose=0)
    expected = outputs(model, X)
    if isinstance(model, LSTMClassifier) and expected.shape[1] == 2:
        expected = expected[:, 1:]
    np.testing.assert_allclose(said, expected.reshape(said.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [(4,), (5, 3)])
@pytest.mark.parametrize(
    ("cls", "loss", "y"), TARGETS, ids=["numbers", "counts", "two", "three", "labels"]
)
def test_to_keras_gives_the_predictions_of_the_estimator(cls, loss, y, sizes, bidirectional):
    model = plain(cls, hidden_layer_sizes=sizes, bidirectional=bidirectional, **loss).fit(X, y)
    X_new = make_sequences("dense", n_timesteps=11, dtype=np.float32)
    assert_predicts_the_same(in_keras(model), model, X_new)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_masked_steps_in_keras_equal_missing_steps(bidirectional):
    X = make_sequences("missing", dtype=np.float32)
    y = make_target(LSTMRegressor, X)
    model = plain(LSTMRegressor, hidden_layer_sizes=(4, 3), bidirectional=bidirectional).fit(X, y)
    there = in_keras(model, masking=-1.0)
    assert_predicts_the_same(there, model, X, np.nan_to_num(X, nan=-1.0))


@pytest.mark.parametrize("name", [*NETWORKS, *UNEQUAL])
def test_from_keras_gives_the_predictions_of_the_model(name):
    sizes, n_outputs, bidirectional = (NETWORKS | UNEQUAL)[name]
    keras.utils.set_random_seed(1)
    there = keras_model(sizes, n_outputs, bidirectional)
    model = from_keras(there.get_weights(), LSTMRegressor(sizes, bidirectional=bidirectional))
    assert_predicts_the_same(there, model, X)
    # Variables are accepted too.
    again = from_keras(there.weights, LSTMRegressor(sizes, bidirectional=bidirectional))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))

    activation = "sigmoid" if n_outputs == 1 else "softmax"
    classifying = keras_model(sizes, n_outputs, bidirectional, activation=activation)
    classifying.set_weights(there.get_weights())
    template = LSTMClassifier(sizes, bidirectional=bidirectional)
    classifier = from_keras(classifying.get_weights(), template)
    if n_outputs == 2:
        said = classifying.predict(X, verbose=0)
        np.testing.assert_allclose(classifier.predict_proba(X), said, rtol=1e-5, atol=1e-5)
    else:
        assert_predicts_the_same(classifying, classifier, X)


def test_the_documented_example_keeps_the_predictions():
    example = Path(__file__).parents[2] / "docs" / "interop" / "with_keras.py"
    names = runpy.run_path(str(example))
    X, said = names["windows"], names["passengers"]
    for estimator in (names["model"], names["back"]):
        np.testing.assert_allclose(estimator.predict(X), said, rtol=1e-5)
