"""The LSTM equals other implementations: formulas written out, Keras, PyTorch."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from support.plain import PLAIN

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.nn import SquaredError, lstm, lstm_cell
from sklstm.nn.network import Network, Workspace
from sklstm.nn.sequences import DenseSequences, RaggedSequences

# One cell of three units whose four gates have the same weights, over two steps.

W = [[0.01, 0.02], [0.03, 0.04], [0.05, 0.06]]
U = [[0.07, 0.08, 0.09], [0.10, 0.11, 0.12], [0.13, 0.14, 0.15]]
B = [0.16, 0.17, 0.18]
STEPS = [(1.0, 2.0), (3.0, 4.0)]


def states_of_the_cell():
    """Return hidden and cell state after each step, by the formulas."""
    h = c = [0.0, 0.0, 0.0]
    states = []
    for x in STEPS:
        z = [
            W[k][0] * x[0]
            + W[k][1] * x[1]
            + U[k][0] * h[0]
            + U[k][1] * h[1]
            + U[k][2] * h[2]
            + B[k]
            for k in range(3)
        ]
        i = f = o = [1 / (1 + math.exp(-z_k)) for z_k in z]
        g = [math.tanh(z_k) for z_k in z]
        c = [f[k] * c[k] + i[k] * g[k] for k in range(3)]
        h = [o[k] * math.tanh(c[k]) for k in range(3)]
        states.append((h, c))
    return states


def test_a_cell_equals_the_formulas():
    W_x, W_h, b = np.tile(W, (4, 1)), np.tile(U, (4, 1)), np.tile(B, 4)
    h = c = np.zeros(3)
    for x_t, (want_h, want_c) in zip(STEPS, states_of_the_cell(), strict=True):
        h, c = lstm_cell(np.array(x_t), h, c, W_x, W_h, b)
        assert_allclose(h, want_h, rtol=1e-14)
        assert_allclose(c, want_c, rtol=1e-14)

    output, h, c = lstm(np.array(STEPS), W_x, W_h, b, return_sequences=True, return_state=True)
    (first_h, _), (last_h, last_c) = states_of_the_cell()
    assert_allclose(output, [first_h, last_h], rtol=1e-14)
    assert_allclose(h, last_h, rtol=1e-14)
    assert_allclose(c, last_c, rtol=1e-14)


def frozen(name):
    """Return the arrays of a file in support/data/; the script there describes them."""
    with np.load(Path(__file__).parent / "support" / "data" / f"{name}.npz") as file:
        return dict(file)


# Keras: 32 units over 5 steps of 3 features; see support/data/make_keras_lstm.py.


class Keras:
    """The frozen arrays, and the weights in the layout of sklstm: those of Keras, transposed."""

    def __init__(self):
        self.__dict__.update(frozen("keras_lstm"))
        self.weights = self.kernel.T, self.recurrent_kernel.T, self.bias
        self.initial_state = self.initial_h, self.initial_c
        self.network = Network(n_features=3, hidden_layer_sizes=(32,), n_outputs=2)
        self.parameters = self.network.pack(
            [*self.weights[:2], self.head_kernel.T], [self.bias, self.head_bias]
        )


@pytest.fixture(scope="module")
def keras():
    return Keras()


# Both are computed in float64, with sums in another order.
as_keras = {"rtol": 1e-12, "atol": 1e-14}


def test_the_last_output_equals_keras(keras):
    output = lstm(keras.x, *keras.weights)
    assert output.shape == (3, 32)
    assert_allclose(output, keras.h, **as_keras)


def test_sequences_and_states_equal_keras(keras):
    output, h, c = lstm(keras.x, *keras.weights, return_sequences=True, return_state=True)
    assert_allclose(output, keras.sequences, **as_keras)
    assert_allclose(h, keras.h, **as_keras)
    assert_allclose(c, keras.c, **as_keras)


def test_time_major_sequences_equal_keras(keras):
    output = lstm(
        keras.x.transpose(1, 0, 2), *keras.weights, return_sequences=True, time_major=True
    )
    assert_allclose(output, keras.time_major_sequences, **as_keras)


def test_an_initial_state_gives_the_sequences_of_keras(keras):
    output, h, c = lstm(
        keras.x,
        *keras.weights,
        initial_state=keras.initial_state,
        return_sequences=True,
        return_state=True,
    )
    assert_allclose(output, keras.initial_sequences, **as_keras)
    assert_allclose(h, keras.initial_last_h, **as_keras)
    assert_allclose(c, keras.initial_last_c, **as_keras)


def prepare(network, x):
    """Return a batch, the order of its columns, and a workspace."""
    batch, order = DenseSequences(x, has_missing=True).batch(slice(None), x.dtype)
    return batch, order, Workspace(network, x.dtype)


def test_missing_steps_equal_masked_steps_of_keras(keras):
    x = np.where(keras.mask[:, :, None], keras.x, np.nan)
    batch, order, _ = prepare(keras.network, x)
    (buffers,) = keras.network.state_buffers(x.dtype)
    keras.network.raw_outputs(keras.parameters, batch, [buffers])
    assert_allclose(buffers.h.T, keras.masked_h[order], **as_keras)
    assert_allclose(buffers.c.T, keras.masked_c[order], **as_keras)


def test_loss_and_gradient_equal_keras(keras):
    """With a head of two outputs; JAX computed the gradient."""
    batch, order, workspace = prepare(keras.network, keras.x)
    gradient = np.zeros_like(keras.parameters)
    n_samples = len(keras.x)
    loss = keras.network.add_gradient(
        keras.parameters,
        batch,
        keras.y[order].T,
        np.full(n_samples, 1 / n_samples),
        SquaredError(),
        gradient,
        workspace,
    )
    assert_allclose(loss, keras.loss, rtol=1e-13)
    coefs, intercepts = keras.network.unpack(gradient)
    names = ["d_kernel", "d_recurrent_kernel", "d_head_kernel"]
    for d_W, name in zip(coefs, names, strict=True):
        assert_allclose(d_W.T, getattr(keras, name), **as_keras)
    for d_b, name in zip(intercepts, ["d_bias", "d_head_bias"], strict=True):
        assert_allclose(d_b, getattr(keras, name), **as_keras)


# Keras and PyTorch: two bidirectional layers and a head over sequences of 6, 4 and 1 steps; see
# support/data/make_bidirectional_lstm.py.


def from_keras(arrays, prefix=""):
    """Return matrices and biases of Keras in the layout of sklstm."""
    coefs, intercepts = [], []
    for name in ("0_forward", "0_backward", "1_forward", "1_backward"):
        W_x, W_h, b = (
            arrays[f"{prefix}layer_{name}_{part}"]
            for part in ("kernel", "recurrent_kernel", "bias")
        )
        coefs += [W_x.T, W_h.T]
        intercepts.append(b)
    return [*coefs, arrays[f"{prefix}head_kernel"].T], [*intercepts, arrays[f"{prefix}head_bias"]]


def from_torch(arrays, prefix=""):
    """Return matrices and biases of PyTorch in the layout of sklstm, its two biases added."""
    coefs, intercepts = [], []
    for name in ("l0", "l0_reverse", "l1", "l1_reverse"):
        coefs += [arrays[f"{prefix}weight_ih_{name}"], arrays[f"{prefix}weight_hh_{name}"]]
        b, b_hh = arrays[f"{prefix}bias_ih_{name}"], arrays[f"{prefix}bias_hh_{name}"]
        # Only their sum is used, so both have the gradient of the sum.
        intercepts.append(b if prefix == "d_" else b + b_hh)
    return [*coefs, arrays[f"{prefix}head_weight"]], [*intercepts, arrays[f"{prefix}head_bias"]]


class Bidirectional:
    """The frozen arrays, and the weights in the layout of sklstm."""

    def __init__(self, library, in_our_layout):
        arrays = frozen(f"bidirectional_{library}")
        self.__dict__.update(arrays)
        self.network = Network(3, (4, 3), 2, bidirectional=True)
        self.weights = in_our_layout(arrays)
        self.parameters = self.network.pack(*self.weights)
        self.gradient = self.network.pack(*in_our_layout(arrays, "d_"))

    @property
    def samples(self):
        return [x[:length] for x, length in zip(self.x, self.lengths, strict=True)]


@pytest.fixture(scope="module", params=["keras", "torch"])
def bidirectional(request):
    return Bidirectional(request.param, {"keras": from_keras, "torch": from_torch}[request.param])


def with_gaps(samples):
    """Return the sequences with missing steps before, between and after their own."""
    return [np.insert(sample, [0, len(sample) // 2, len(sample)], np.nan, 0) for sample in samples]


# An order that is not that of the lengths.
SHUFFLED = [1, 2, 0]

READ_AS = {
    "padded": lambda truth: DenseSequences(truth.x[SHUFFLED], has_missing=True),
    "ragged": lambda truth: RaggedSequences(
        [truth.samples[j] for j in SHUFFLED], has_missing=False
    ),
    "with gaps": lambda truth: RaggedSequences(
        with_gaps([truth.samples[j] for j in SHUFFLED]), has_missing=True
    ),
}


@pytest.mark.parametrize("read_as", READ_AS)
def test_bidirectional_outputs_equal_the_framework(bidirectional, read_as):
    network, truth = bidirectional.network, bidirectional
    batch, order = READ_AS[read_as](truth).batch(slice(None), truth.x.dtype)
    columns = np.array(SHUFFLED)[order]
    buffers = network.state_buffers(truth.x.dtype)
    raw = network.raw_outputs(truth.parameters, batch, buffers)
    assert_allclose(raw.T, truth.raw[columns], **as_keras)
    last = np.concatenate([lstm.h for lstm in buffers[-2:]])
    assert_allclose(last.T, truth.last[columns], **as_keras)


@pytest.mark.parametrize("read_as", READ_AS)
def test_bidirectional_loss_and_gradient_equal_the_framework(bidirectional, read_as):
    network, truth = bidirectional.network, bidirectional
    batch, order = READ_AS[read_as](truth).batch(slice(None), truth.x.dtype)
    columns = np.array(SHUFFLED)[order]
    gradient = np.zeros_like(truth.parameters)
    loss = network.add_gradient(
        truth.parameters,
        batch,
        truth.y[columns].T,
        np.ones(len(columns)),
        SquaredError(),
        gradient,
        Workspace(network, truth.x.dtype),
    )
    assert_allclose(loss, truth.loss, rtol=1e-13)
    assert_allclose(gradient, truth.gradient, **as_keras)


def test_bidirectional_hidden_states_equal_the_framework(bidirectional):
    """At step t: the forward state, and the backward state after reading from the end to t."""
    coefs, intercepts = bidirectional.weights
    lstms = list(zip(coefs[0::2], coefs[1::2], intercepts, strict=False))
    for above, want in zip(bidirectional.samples, bidirectional.sequences, strict=True):
        for onward, back in (lstms[:2], lstms[2:4]):
            there = lstm(above, *onward, return_sequences=True)
            and_back = lstm(above[::-1], *back, return_sequences=True)[::-1]
            above = np.concatenate([there, and_back], axis=1)
        assert_allclose(above, want[: len(above)], **as_keras)
        assert np.isnan(want[len(above) :]).all()


# Three classes with a softmax head; the initial forget bias.


def draw_waves(n_samples, seed):
    """Return noisy waves of three frequencies with random phases, and their classes."""
    rng = np.random.default_rng(seed)
    k = np.arange(n_samples) % 3
    frequency, phase = np.array([0.05, 0.1, 0.2])[k], rng.uniform(size=n_samples)
    waves = np.sin(2 * np.pi * (frequency[:, None] * np.arange(20) + phase[:, None]))
    X = waves + rng.normal(scale=0.1, size=waves.shape)
    return X[:, :, None], np.array(["slow", "medium", "fast"])[k]


def test_a_softmax_head_learns_three_classes():
    X, y = draw_waves(150, seed=0)
    classifier = LSTMClassifier(16, learning_rate_init=0.01, random_state=0).fit(X, y)
    assert classifier.out_activation_ == "softmax"
    X_new, y_new = draw_waves(300, seed=1)
    p = classifier.predict_proba(X_new)
    assert p.shape == (300, 3)
    assert p.min() >= 0
    assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert_array_equal(classifier.classes_[p.argmax(axis=1)], classifier.predict(X_new))
    assert classifier.score(X_new, y_new) > 0.95


def test_the_initial_forget_bias_is_one():
    X, y = draw_waves(6, seed=0)
    # The update changes no weight by more than 1e-20.
    start = LSTMClassifier((4, 3), learning_rate_init=1e-20).partial_fit(X, y, np.unique(y))
    for b in start.intercepts_[:-1]:
        gates = b.reshape(4, -1)  # i, f, g, o
        assert_allclose(gates, np.outer([0, 1, 0, 0], np.ones(gates.shape[1])), rtol=0, atol=1e-19)
    assert_allclose(start.intercepts_[-1], np.zeros(3), rtol=0, atol=1e-19)


# A noisy sine wave with batches of one window.


@pytest.fixture(scope="module")
def sine():
    """Return 75 windows of 25 steps, the point that follows each, and its noise."""
    noise = 0.05 * np.random.RandomState(2).normal(size=100)
    series = np.sin(np.linspace(0, 4 * np.pi, 100)) + noise
    windows = sliding_window_view(series[:-1], 25)
    return windows[:, :, None], series[25:], noise[25:]


def sine_regressor(**params):
    return LSTMRegressor(
        32,
        normalize_y=False,
        alpha=0,
        batch_size=1,
        beta_1=0.99,
        beta_2=0.9999,
        max_grad_norm=None,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=0,
        **PLAIN,
        **params,
    )


@pytest.mark.slow
def test_the_error_on_a_noisy_sine_falls_to_the_noise(sine):
    X, y, noise = sine
    assert X.shape == (75, 25, 1)
    regressor = sine_regressor(learning_rate_init=1e-4, max_iter=200)
    with pytest.warns(ConvergenceWarning):
        regressor.fit(X, y)
    assert regressor.n_parameters_ == 4385
    assert regressor.n_iter_ == len(regressor.loss_curve_) == 200
    assert regressor.t_ == 200 * 75

    # Half the summed squared error, epoch by epoch.
    errors = 75 * np.array(regressor.loss_curve_)
    assert errors[0] > 5
    assert (np.diff(errors.reshape(5, 40).mean(axis=1)) < 0).all()
    floor = (noise**2).sum() / 2
    assert 0.8 * floor < errors[-1] < 0.2
    assert_allclose(errors[-1], ((y - regressor.predict(X)) ** 2).sum() / 2, rtol=0.1)


def test_the_loss_curve_is_half_the_mean_squared_error(sine):
    X, y, _ = sine
    regressor = sine_regressor(learning_rate_init=1e-20)  # changes no weight noticeably
    regressor.partial_fit(X, y)
    assert_allclose(
        75 * regressor.loss_curve_[0], ((y - regressor.predict(X)) ** 2).sum() / 2, rtol=1e-12
    )


# A layer and its cell.


def test_a_layer_equals_its_cell_at_every_step():
    rng = np.random.default_rng(0)
    n_timesteps, n_features, n_units = 10, 3, 8
    x = rng.normal(size=(n_timesteps, n_features))
    W_x = rng.normal(size=(4 * n_units, n_features))
    W_h = rng.normal(size=(4 * n_units, n_units))
    b = rng.normal(size=4 * n_units)
    output = lstm(x, W_x, W_h, b, return_sequences=True)
    assert output.shape == (n_timesteps, n_units)
    h = c = np.zeros(n_units)
    for x_t, h_t in zip(x, output, strict=True):
        h, c = lstm_cell(x_t, h, c, W_x, W_h, b)
        assert_allclose(h_t, h, rtol=1e-12)
