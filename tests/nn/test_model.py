"""Model: the form of X, outputs that become numbers or classes, and prediction with a network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import reference_lstm as reference

from sklstm.nn.model import ClassOutput, InputForm, Model, NumericOutput
from sklstm.nn.network import Network
from sklstm.nn.sequences import DenseSequences

RAW = np.random.RandomState(0).normal(size=(6, 3))
LABELS = np.array(["a", "b", "c"])


def numeric(activation="identity", mean=(0.0,), scale=(1.0,), *, is_1d=False):
    return NumericOutput(activation, np.array(mean), np.array(scale), is_1d)


def test_n_features_in_counts_the_columns_of_a_2d_x_or_the_features_of_a_step():
    assert InputForm(2).n_features_in == 2
    assert InputForm(2, n_timesteps=7).n_features_in == 14


# Numbers.


def test_encoding_standardises_y_and_prediction_is_the_inverse():
    y = 5 + 3 * RAW
    output = numeric(mean=y.mean(axis=0), scale=y.std(axis=0))
    encoded = output.encode(y)
    assert_allclose(encoded.mean(axis=0), 0, atol=1e-14)
    assert_allclose(encoded.std(axis=0), 1, rtol=1e-14)
    assert_allclose(output.predict(encoded), y, rtol=1e-14)


def test_an_exponential_output_is_scaled_but_not_shifted():
    output = numeric("exponential", scale=[2.0])
    assert_allclose(output.predict(RAW[:, :1]), 2 * np.exp(RAW[:, :1]), rtol=1e-15)
    assert output.predict(np.array([[1e4]]))[0, 0] == np.inf  # without a warning


@pytest.mark.parametrize(("is_1d", "shape"), [(True, (6,)), (False, (6, 1))])
def test_predictions_have_the_number_of_dimensions_of_y(is_1d, shape):
    assert numeric(is_1d=is_1d).predict(RAW[:, :1]).shape == shape


def test_float32_predictions_are_computed_in_float64():
    raw = np.array([[0.1]], np.float32)
    predicted = numeric(mean=[1e6], scale=[1e-3]).predict(raw)
    assert predicted.dtype == np.float32
    assert predicted[0, 0] == np.float32(float(raw[0, 0]) * 1e-3 + 1e6)


@pytest.mark.parametrize(
    "output",
    [
        numeric(mean=[5.0, -7.0], scale=[3.0, 0.1]),
        numeric("exponential", mean=[0.0, 0.0], scale=[3.0, 0.1]),
    ],
    ids=["identity", "exponential"],
)
def test_head_weights_with_the_scale_folded_in_give_the_predictions(output):
    rng = np.random.RandomState(0)
    W, b, h = rng.normal(size=(2, 4)), rng.normal(size=2), rng.normal(size=(6, 4))
    W_folded, b_folded = output.fold_into_head(W, b)
    raw = h @ W_folded.T + b_folded
    predicted = np.exp(raw) if output.activation == "exponential" else raw
    assert_allclose(predicted, output.predict(h @ W.T + b), rtol=1e-12)


# Classes.


@pytest.mark.parametrize(
    ("classes", "is_multilabel", "activation", "n_outputs"),
    [
        (LABELS[:2], False, "logistic", 1),
        (LABELS, False, "softmax", 3),
        (np.arange(2), True, "logistic", 2),
        (np.arange(3), True, "logistic", 3),
    ],
    ids=["two classes", "three classes", "two labels", "three labels"],
)
def test_the_classes_determine_activation_and_number_of_outputs(
    classes, is_multilabel, activation, n_outputs
):
    output = ClassOutput.of(classes, is_multilabel=is_multilabel)
    assert (output.activation, output.n_outputs) == (activation, n_outputs)


def test_two_classes_are_predicted_by_the_sign_of_the_logit():
    output = ClassOutput.of(LABELS[:2], is_multilabel=False)
    raw = np.array([[-0.1], [0.1], [7.0]])
    assert output.predict(raw).tolist() == ["a", "b", "b"]
    p = 1 / (1 + np.exp(-raw))
    assert_allclose(output.predict_proba(raw), np.hstack([1 - p, p]), rtol=1e-14)


def test_three_classes_are_predicted_by_the_largest_output():
    output = ClassOutput.of(LABELS, is_multilabel=False)
    assert_array_equal(output.predict(RAW), LABELS[RAW.argmax(axis=1)])
    expected = np.exp(RAW) / np.exp(RAW).sum(axis=1, keepdims=True)
    assert_allclose(output.predict_proba(RAW), expected, rtol=1e-14)


def test_labels_of_an_indicator_matrix_are_predicted_independently():
    output = ClassOutput.of(np.arange(3), is_multilabel=True)
    assert_array_equal(output.predict(RAW), (RAW > 0).astype(int))
    assert_allclose(output.predict_proba(RAW), 1 / (1 + np.exp(-RAW)), rtol=1e-14)


@pytest.mark.parametrize(
    ("n_classes", "is_multilabel"), [(2, False), (3, False), (3, True)], ids=str
)
def test_log_probabilities_are_precise_for_large_raw_outputs(n_classes, is_multilabel):
    output = ClassOutput.of(np.arange(n_classes), is_multilabel=is_multilabel)
    raw = RAW[:, : output.n_outputs]
    assert_allclose(np.exp(output.predict_log_proba(raw)), output.predict_proba(raw), rtol=1e-14)
    log_p = output.predict_log_proba(1000 * raw)
    assert np.isfinite(log_p).all()
    assert log_p.min() < -700


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decide_compares_with_a_threshold_or_takes_the_largest_score(n_classes):
    output = ClassOutput.of(np.arange(n_classes), is_multilabel=False)
    scores = RAW[:, : output.n_outputs]
    expected = (scores[:, 0] > 0.5).astype(int) if n_classes == 2 else scores.argmax(axis=1)
    assert_array_equal(output.decide(scores, threshold=0.5), expected)


# Models.


@pytest.fixture(params=[False, True], ids=["one direction", "bidirectional"])
def model(request):
    rng = np.random.RandomState(0)
    network = Network(2, (4, 3), 2, bidirectional=request.param)
    output = numeric(mean=[5.0, -7.0], scale=[3.0, 0.1])
    return Model(network, network.initialize(rng), InputForm(2), output)


X = np.random.RandomState(1).normal(size=(6, 5, 2))
SEQUENCES = DenseSequences(X, has_missing=False)


def reference_outputs(model, weights):
    bidirectional = model.network.bidirectional
    return np.array([reference.network(sequence, *weights, bidirectional) for sequence in X])


def test_predictions_are_the_output_of_the_reference_network(model):
    raw = reference_outputs(model, model.weights())
    assert_allclose(model.raw_outputs(SEQUENCES), raw, rtol=1e-11)
    assert_allclose(model.predict(SEQUENCES), model.output.predict(raw), rtol=1e-11)


def test_standalone_weights_predict_y_without_the_output(model):
    raw = reference_outputs(model, model.standalone_weights())
    assert_allclose(raw, model.predict(SEQUENCES), rtol=1e-11)


def test_weights_are_copies(model):
    expected = model.predict(SEQUENCES)
    for weights in (model.weights(), model.standalone_weights()):
        for arrays in weights:
            for array in arrays:
                array[...] = 7
    assert_array_equal(model.predict(SEQUENCES), expected)


def test_with_parameters_returns_another_model(model):
    expected = model.predict(SEQUENCES)
    other = model.with_parameters(np.zeros_like(model.parameters))
    assert_allclose(other.predict(SEQUENCES), np.tile(model.output.mean, (6, 1)))
    assert_array_equal(model.predict(SEQUENCES), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_a_model_is_that_of_its_parameters(model, dtype):
    model = model.with_parameters(model.parameters.astype(dtype))
    assert model.dtype == dtype
    assert model.predict(SEQUENCES).dtype == dtype


def test_probabilities_are_those_of_the_output():
    network = Network(2, (4,), 3)
    output = ClassOutput.of(LABELS, is_multilabel=False)
    model = Model(network, network.initialize(np.random.RandomState(0)), InputForm(2), output)
    raw = model.raw_outputs(SEQUENCES)
    assert_array_equal(model.predict(SEQUENCES), output.predict(raw))
    assert_array_equal(model.predict_proba(SEQUENCES), output.predict_proba(raw))
    assert_array_equal(model.predict_log_proba(SEQUENCES), output.predict_log_proba(raw))
