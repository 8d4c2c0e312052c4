"""Stacked LSTM layers and a dense head, as pure functions of one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.initializers import glorot_uniform, lstm_biases, orthogonal
from sklstm.nn.layer import (
    KERNEL_ORDER,
    LayerBuffers,
    Packing,
    StateBuffers,
    Submit,
    backward,
    forward,
    gate_rows,
    run_now,
)
from sklstm.nn.losses import Loss

__all__ = ["Batch", "Network", "Workspace"]

Floats = NDArray[np.floating]

# Numbers that the forward pass may keep for the backward pass. More columns at a time than this
# allows would only leave the cache sooner; so batches of any size cost the same memory.
_TAPE_SIZE = 1 << 22
_MIN_COLUMNS = 64

# Numbers in the gates of a step from which a second thread is worth it in the backward pass.
_MIN_SUBMIT = 1 << 14


@dataclass(frozen=True)
class Batch:
    """Sequences on their way into the network.

    Parameters
    ----------
    x : ndarray of shape (n_timesteps, n_features, n_sequences)
        Values, aligned at the last step; what a shorter sequence has in front is not read.
    packing : Packing
        Which of the columns are active at which step: longest sequence first.
    """

    x: Floats
    packing: Packing


@dataclass(frozen=True)
class Network:
    """LSTM layers, each reading the hidden states of the one below, and a dense head.

    The head reads the last hidden state of the last layer. All parameters are one flat vector,
    the layers' matrices [W_x W_h b] one after the other and then the head's [W b]; the methods
    take it as an argument and change nothing.

    Parameters
    ----------
    n_features : int
        Features per time step.
    hidden_layer_sizes : tuple of int
        Units of each LSTM layer.
    n_outputs : int
        Outputs of the head.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import Network
    >>> network = Network(n_features=1, hidden_layer_sizes=(32,), n_outputs=1)
    >>> network.n_parameters
    4385
    """

    n_features: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int

    @cached_property
    def _layer_sizes(self) -> list[tuple[int, int]]:
        """Inputs and units of each layer."""
        inputs = [self.n_features, *self.hidden_layer_sizes[:-1]]
        return list(zip(inputs, self.hidden_layer_sizes, strict=True))

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the layers' matrices and of the head's, in the order of the flat vector."""
        layers = [(4 * n_units, n_inputs + n_units + 1) for n_inputs, n_units in self._layer_sizes]
        return [*layers, (self.n_outputs, self.hidden_layer_sizes[-1] + 1)]

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return sum(rows * columns for rows, columns in self.shapes)

    def matrices(self, parameters: Floats) -> list[Floats]:
        """Return views of the flat vector as the layers' matrices and the head's."""
        matrices, start = [], 0
        for rows, columns in self.shapes:
            stop = start + rows * columns
            matrices.append(parameters[start:stop].reshape(rows, columns))
            start = stop
        return matrices

    def initialize(self, rng: np.random.RandomState) -> Floats:
        """Draw new parameters.

        W_x and the head are Glorot uniform, W_h is orthogonal as a whole, (4 * n_units, n_units),
        biases are zero but for the forget gate's, which are one.
        """
        coefs, intercepts = [], []
        for (rows, columns), n_units in zip(self.shapes, self.hidden_layer_sizes, strict=False):
            coefs.append(glorot_uniform(rng, rows, columns - n_units - 1))
            coefs.append(orthogonal(rng, rows, n_units))
            intercepts.append(lstm_biases(n_units))
        coefs.append(glorot_uniform(rng, self.n_outputs, self.hidden_layer_sizes[-1]))
        intercepts.append(np.zeros(self.n_outputs))
        return self.pack(coefs, intercepts)

    def pack(self, coefs: Sequence[Floats], intercepts: Sequence[Floats]) -> Floats:
        """Make the flat vector of matrices in the public order of gates, i, f, g, o.

        Parameters
        ----------
        coefs : list of ndarray
            W_x and W_h of each layer in turn, then the head's weights.
        intercepts : list of ndarray
            The bias of each layer, then the head's.
        """
        *layers, head = [
            np.column_stack([*coefs[2 * k : 2 * k + 2], b]) for k, b in enumerate(intercepts)
        ]
        layers = [
            W[gate_rows(n_units, KERNEL_ORDER)]
            for W, n_units in zip(layers, self.hidden_layer_sizes, strict=True)
        ]
        return np.concatenate([W.ravel() for W in [*layers, head]])

    def unpack(self, parameters: Floats) -> tuple[list[Floats], list[Floats]]:
        """Return the matrices and biases that ``pack`` makes the flat vector of."""
        *layers, head = self.matrices(parameters)
        coefs: list[Floats] = []
        intercepts: list[Floats] = []
        for W, n_units in zip(layers, self.hidden_layer_sizes, strict=True):
            public = np.empty_like(W)
            public[gate_rows(n_units, KERNEL_ORDER)] = W
            coefs += [public[:, : -n_units - 1].copy(), public[:, -n_units - 1 : -1].copy()]
            intercepts.append(public[:, -1].copy())
        return [*coefs, head[:, :-1].copy()], [*intercepts, head[:, -1].copy()]

    def penalized(self, parameters: Floats) -> Floats:
        """Return a copy of the flat vector in which the biases are zero."""
        weights = parameters.copy()
        for W in self.matrices(weights):
            W[:, -1] = 0
        return weights

    @cached_property
    def step_size(self) -> int:
        """Multiplications in the largest matrix product that a step has for one sequence."""
        return max(rows * columns for rows, columns in self.shapes)

    def n_columns(self, n_timesteps: int) -> int:
        """Return how many sequences of that length training should take at once."""
        per_step = sum(
            columns + 8 * n_units
            for (_, columns), n_units in zip(self.shapes, self.hidden_layer_sizes, strict=False)
        )
        return max(_MIN_COLUMNS, _TAPE_SIZE // (per_step * max(n_timesteps, 1)))

    def state_buffers(self, dtype: np.dtype) -> list[StateBuffers]:
        """Arrays for ``raw_outputs`` to work in, of each layer."""
        return [StateBuffers(*sizes, dtype) for sizes in self._layer_sizes]

    def raw_outputs(
        self, parameters: Floats, batch: Batch, buffers: Sequence[StateBuffers]
    ) -> Floats:
        """Compute the head's linear output.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        batch : Batch
            The sequences.
        buffers : list of StateBuffers
            What ``state_buffers`` gives; batch after batch can use them.

        Returns
        -------
        ndarray of shape (n_outputs, n_sequences)
            Raw outputs, in the order of the batch's columns.
        """
        *layers, head = self.matrices(parameters)
        x, packing = batch.x, batch.packing
        n_timesteps, n_sequences = len(packing.widths), packing.n_sequences
        for k, (W, layer) in enumerate(zip(layers, buffers, strict=True)):
            h = None
            if k + 1 < len(layers):
                h = np.empty((n_timesteps, layer.n_units, n_sequences), parameters.dtype)
            layer.start(packing.widths[0] if packing.widths else n_sequences)
            forward(W, layer.steps(x, packing, h))
            x = h
        # raw = W h_T + b
        return head @ buffers[-1].head_input  # (n_outputs, n_sequences)

    def add_gradient(
        self,
        parameters: Floats,
        batch: Batch,
        target: Floats,
        weights: Floats,
        loss: Loss,
        gradient: Floats,
        workspace: Workspace,
        submit: Submit = run_now,
    ) -> float:
        """Add the gradient of a batch's weighted loss to ``gradient``.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        batch : Batch
            The sequences.
        target : ndarray of shape (n_outputs, n_sequences)
            What the loss compares the raw outputs to.
        weights : ndarray of shape (n_sequences,)
            Weight of each sequence.
        loss : Loss
            The loss.
        gradient : ndarray of shape (n_parameters,)
            Changed in place.
        workspace : Workspace
            Arrays to work in.
        submit : callable, default=run_now
            How ``backward`` starts what can be done beside its steps, where that is worth it.

        Returns
        -------
        float
            The sum over sequences of weight times loss.
        """
        *layers, head = self.matrices(parameters)
        *d_layers, d_head = self.matrices(gradient)
        buffers = workspace.buffers(batch.packing)
        buffers[0].load(batch.x)
        for k, (W, layer) in enumerate(zip(layers, buffers, strict=True)):
            if k > 0:
                for x_t, h_t in zip(layer.x, buffers[k - 1].h, strict=True):
                    x_t[...] = h_t
            layer.reset()
            forward(W, layer.steps)
        # raw = W h_T + b
        raw = head @ buffers[-1].head_input  # (n_outputs, n_sequences)

        d_raw = loss.gradient(target, raw) * weights  # (n_outputs, n_sequences)
        d_head += d_raw @ buffers[-1].head_input.T
        dh_last: Floats | None = head[:, :-1].T @ d_raw  # (n_units, n_sequences)
        dh: list[Floats] | None = None
        for k in reversed(range(len(layers))):
            dh = backward(
                layers[k],
                buffers[k],
                d_layers[k],
                dh_last=dh_last,
                dh=dh,
                with_dx=k > 0,
                submit=submit if layers[k].shape[0] * len(weights) >= _MIN_SUBMIT else run_now,
            )
            dh_last = None
        return float(np.add.reduce(loss.value(target, raw) * weights))


class Workspace:
    """The buffers in which a network's layers train, kept from batch to batch.

    Parameters
    ----------
    network : Network
        Whose layers they are for.
    dtype : dtype
        float32 or float64.
    """

    # The full batch, the last and smaller one, and one in reserve.
    _N_KEPT = 3

    def __init__(self, network: Network, dtype: np.dtype) -> None:
        self.network, self.dtype = network, dtype
        self._kept: dict[Packing, list[LayerBuffers]] = {}

    def buffers(self, packing: Packing) -> list[LayerBuffers]:
        """Buffers for each layer, allocated when a packing first comes by."""
        if packing not in self._kept:
            if len(self._kept) == self._N_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[packing] = [
                LayerBuffers(*sizes, packing, self.dtype) for sizes in self.network._layer_sizes
            ]
        return self._kept[packing]
