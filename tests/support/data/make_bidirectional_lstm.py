"""Make bidirectional_{keras,torch}.npz: two stacked bidirectional LSTMs and a head, elsewhere.

Run it in two environments of their own, from this directory::

    pip install keras jax
    python make_bidirectional_lstm.py keras

    pip install torch
    python make_bidirectional_lstm.py torch

Layers of 4 and 3 units in each direction over sequences of 3 features and 6, 4 and 1 steps, and a
dense head of 2 outputs, in float64. ``x`` is (n_samples, n_timesteps, n_features), the steps behind
the end of a shorter sequence are NaN. Each file holds it, ``lengths``, ``versions``, and:

- the weights under the library's names and in its layout: Keras's ``layer_0_forward_kernel`` with
  the gates i, f, c, o along the last axis; PyTorch's ``weight_ih_l0_reverse`` with the gates i, f,
  g, o along the first axis and two biases;
- ``sequences``: what the second layer gives at every step, (n_samples, n_timesteps, 6), NaN behind
  the end;
- ``last``: the last state of both its directions, (n_samples, 6), and ``raw``, the head's output;
- ``loss``: the sum over samples of the mean over outputs of (y - raw)^2 / 2, ``y``, and the
  gradient by each of the weights under its name with ``d_`` in front.
"""

import sys

import numpy as np

N_FEATURES, SIZES, N_OUTPUTS, LENGTHS = 3, (4, 3), 2, (6, 4, 1)

rng = np.random.default_rng(0)
SEQUENCES = [rng.normal(size=(length, N_FEATURES)) for length in LENGTHS]
Y = rng.normal(size=(len(LENGTHS), N_OUTPUTS))


def draw(shape):
    """Draw weights that take the gates off the middle of their range."""
    return rng.normal(size=shape) * 0.5


def padded(rows):
    """Put sequences under each other, with NaN behind the end of the shorter ones."""
    result = np.full((len(rows), max(LENGTHS), rows[0].shape[1]), np.nan)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result


def with_keras():
    """Compute it with Keras, one sequence at a time, and differentiate it with JAX."""
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import jax

    jax.config.update("jax_enable_x64", True)
    import keras

    keras.config.set_floatx("float64")

    # With JAX, the tanh of Keras computes in float32 whatever it is given; that of JAX does not.
    # Bidirectional copies the layer it is given, for which the function must have a name.
    @keras.saving.register_keras_serializable()
    def tanh(z):
        return jax.numpy.tanh(z)

    layers = [
        keras.layers.Bidirectional(
            keras.layers.LSTM(n_units, activation=tanh, return_sequences=True)
        )
        for n_units in SIZES
    ]
    head = keras.layers.Dense(N_OUTPUTS)
    inputs = keras.Input((None, N_FEATURES))
    above = layers[1](layers[0](inputs))
    # The same layer, asked for its last state alone, as Bidirectional joins it.
    last_layer = keras.layers.Bidirectional(
        keras.layers.LSTM(SIZES[1], activation=tanh), name="last"
    )
    last = last_layer(layers[0](inputs))
    model = keras.Model(inputs, [last, head(last)])
    whole = keras.Model(inputs, above)

    weights = {}
    for k, layer in enumerate([layers[0], last_layer]):
        for direction in ("forward", "backward"):
            lstm = getattr(layer, f"{direction}_layer")
            drawn = [draw(variable.shape) for variable in lstm.weights]
            lstm.set_weights(drawn)
            names = [f"layer_{k}_{direction}_{variable.name}" for variable in lstm.weights]
            weights |= dict(zip(names, drawn, strict=True))
    layers[1].set_weights(last_layer.get_weights())
    drawn = [draw(variable.shape) for variable in head.weights]
    head.set_weights(drawn)
    weights |= {"head_kernel": drawn[0], "head_bias": drawn[1]}

    others = [variable.value for variable in model.non_trainable_variables]

    def loss_of(trainable):
        total = 0.0
        for x, y in zip(SEQUENCES, Y, strict=True):
            (_, raw), _ = model.stateless_call(trainable, others, x[None])
            total += ((raw[0] - y) ** 2).mean() / 2
        return total

    trainable = [variable.value for variable in model.trainable_variables]
    for variable, drawn in zip(trainable, weights.values(), strict=True):
        assert np.array_equal(variable, drawn)  # in the order of the names
    loss, gradients = jax.value_and_grad(loss_of)(trainable)
    outputs = [model(x[None]) for x in SEQUENCES]
    return {
        "versions": f"keras {keras.__version__}, jax {jax.__version__}, numpy {np.__version__}",
        **weights,
        **{f"d_{name}": d for name, d in zip(weights, gradients, strict=True)},
        "sequences": padded([np.asarray(whole(x[None]))[0] for x in SEQUENCES]),
        "last": np.concatenate([last for last, _ in outputs]),
        "raw": np.concatenate([raw for _, raw in outputs]),
        "loss": loss,
    }


def with_torch():
    """Compute it with PyTorch, in one packed batch."""
    import torch
    from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

    torch.set_default_dtype(torch.float64)
    layers = [
        torch.nn.LSTM(n_inputs, n_units, bidirectional=True)
        for n_inputs, n_units in zip((N_FEATURES, 2 * SIZES[0]), SIZES, strict=True)
    ]
    head = torch.nn.Linear(2 * SIZES[1], N_OUTPUTS)
    parameters = {}
    for k, layer in enumerate(layers):
        for name, parameter in layer.named_parameters():
            parameters[name.replace("_l0", f"_l{k}")] = parameter
    parameters |= {f"head_{name}": parameter for name, parameter in head.named_parameters()}
    for parameter in parameters.values():
        parameter.data = torch.from_numpy(draw(parameter.shape))

    packed = pack_sequence([torch.from_numpy(x) for x in SEQUENCES])
    above, _ = layers[0](packed)
    above, (h, _) = layers[1](above)
    last = torch.cat([h[0], h[1]], dim=1)
    raw = head(last)
    loss = ((raw - torch.from_numpy(Y)) ** 2).mean(dim=1).sum() / 2
    loss.backward()
    sequences, _ = pad_packed_sequence(above, batch_first=True, padding_value=float("nan"))
    return {
        "versions": f"torch {torch.__version__}, numpy {np.__version__}",
        **{name: parameter.detach() for name, parameter in parameters.items()},
        **{f"d_{name}": parameter.grad for name, parameter in parameters.items()},
        "sequences": sequences.detach(),
        "last": last.detach(),
        "raw": raw.detach(),
        "loss": loss.detach(),
    }


library = sys.argv[1]
computed = {"keras": with_keras, "torch": with_torch}[library]()
versions = computed.pop("versions")
arrays = {"x": padded(SEQUENCES), "y": Y, **computed}
arrays = {name: np.asarray(array) for name, array in arrays.items()}
assert all(array.dtype == np.float64 for array in arrays.values())
np.savez_compressed(
    f"bidirectional_{library}.npz", versions=versions, lengths=np.array(LENGTHS), **arrays
)
print(versions)
for name, array in arrays.items():
    print(f"{name:34} {array.dtype!s:8} {array.shape}")
