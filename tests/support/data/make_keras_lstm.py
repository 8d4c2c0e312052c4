"""Make keras_lstm.npz: what the LSTM of Keras computes, for tests/test_known_lstms.py.

Run it in an environment of its own, from this directory::

    pip install keras jax
    python make_keras_lstm.py

A layer of 32 units over 5 steps of 3 features and a dense head of 2 outputs, in float64. The file
holds, under the names of Keras and in its layout (gates i, f, c, o along the last axis):

- ``kernel``, ``recurrent_kernel``, ``bias``, ``head_kernel``, ``head_bias``: the weights;
- ``x``, ``initial_h``, ``initial_c``, ``mask``, ``y``: the inputs;
- ``sequences``, ``h``, ``c``: every output and the last state, from a zero state;
- ``initial_sequences``, ``initial_last_h``, ``initial_last_c``: the same from the initial state;
- ``time_major_sequences``: outputs of the time-major loop, (n_timesteps, n_samples, n_units);
- ``masked_h``, ``masked_c``: last state where steps with a mask of False are skipped;
- ``loss``: the mean over samples and outputs of (y - y_pred)^2 / 2;
- ``d_kernel`` and so on: its gradient by the weights, from JAX;
- ``versions``: of Keras, JAX and NumPy.
"""

# ruff: noqa: E402 - both settings must come before Keras is imported

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax

jax.config.update("jax_enable_x64", True)

import keras
import numpy as np
from keras.src import backend

N_SAMPLES, N_TIMESTEPS, N_FEATURES, N_UNITS, N_OUTPUTS = 3, 5, 3, 32, 2

keras.config.set_floatx("float64")
rng = np.random.default_rng(0)

x = rng.normal(size=(N_SAMPLES, N_TIMESTEPS, N_FEATURES))
y = rng.normal(size=(N_SAMPLES, N_OUTPUTS))
initial_h, initial_c = rng.normal(size=(2, N_SAMPLES, N_UNITS)) * 0.5
mask = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 0, 0, 1, 0]], dtype=bool)

# With JAX, the tanh of Keras computes in float32 whatever it is given; that of JAX does not.
layer = keras.layers.LSTM(
    N_UNITS, activation=jax.numpy.tanh, return_sequences=True, return_state=True
)
head = keras.layers.Dense(N_OUTPUTS)
layer.build(x.shape)
head.build((N_SAMPLES, N_UNITS))
weights = {
    "kernel": rng.normal(size=(N_FEATURES, 4 * N_UNITS)) * 0.5,
    "recurrent_kernel": rng.normal(size=(N_UNITS, 4 * N_UNITS)) * 0.2,
    "bias": rng.normal(size=4 * N_UNITS) * 0.5,
    "head_kernel": rng.normal(size=(N_UNITS, N_OUTPUTS)) * 0.5,
    "head_bias": rng.normal(size=N_OUTPUTS),
}
layer.set_weights(list(weights.values())[:3])
head.set_weights(list(weights.values())[3:])

sequences, h, c = layer(x)
initial_sequences, initial_last_h, initial_last_c = layer(x, initial_state=[initial_h, initial_c])
_, masked_h, masked_c = layer(x, mask=mask)

# Since Keras 3 the layer has no time_major, but the loop beneath it still has.
_, time_major_sequences, _ = backend.rnn(
    layer.cell,
    x.transpose(1, 0, 2),
    [np.zeros((N_SAMPLES, N_UNITS))] * 2,
    time_major=True,
)


def values(variables):
    return [variable.value for variable in variables]


def loss_of(layer_weights, head_weights):
    seed = values(layer.non_trainable_variables)  # of the dropout that is not used
    (_, last_h, _), _ = layer.stateless_call(layer_weights, seed, x)
    y_pred, _ = head.stateless_call(head_weights, [], last_h)
    return ((y - y_pred) ** 2).mean() / 2


loss, (d_layer, d_head) = jax.value_and_grad(loss_of, argnums=(0, 1))(
    values(layer.trainable_variables), values(head.trainable_variables)
)

arrays = {
    **weights,
    **{f"d_{name}": d for name, d in zip(weights, [*d_layer, *d_head], strict=True)},
    "x": x,
    "y": y,
    "initial_h": initial_h,
    "initial_c": initial_c,
    "mask": mask,
    "sequences": sequences,
    "h": h,
    "c": c,
    "initial_sequences": initial_sequences,
    "initial_last_h": initial_last_h,
    "initial_last_c": initial_last_c,
    "time_major_sequences": time_major_sequences,
    "masked_h": masked_h,
    "masked_c": masked_c,
    "loss": loss,
}
arrays = {name: np.asarray(array) for name, array in arrays.items()}
assert all(array.dtype in (np.float64, bool) for array in arrays.values())
versions = f"keras {keras.__version__}, jax {jax.__version__}, numpy {np.__version__}"
np.savez_compressed("keras_lstm.npz", versions=versions, **arrays)
print(versions)
for name, array in arrays.items():
    print(f"{name:22} {array.dtype!s:8} {array.shape}")
