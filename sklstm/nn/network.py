"""Stacked LSTM layers and a dense head, as pure functions of one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.initializers import glorot_uniform, lstm_biases, orthogonal
from sklstm.nn.layer import (
    KERNEL_ORDER,
    LayerBuffers,
    StateBuffers,
    Submit,
    backward,
    forward,
    gate_rows,
)
from sklstm.nn.losses import Loss
from sklstm.nn.packing import Batch, Packing, reversed_in_time

__all__ = ["Masks", "Network", "Workspace"]

# Numbers that the forward pass may keep for the backward pass. More columns at a time than this
# allows would only leave the cache sooner; so batches of any size cost the same memory.
_TAPE_SIZE = 1 << 22
_MIN_COLUMNS = 64

# For a single sequence it pays to bring weights into Fortran order: from some steps on, and as far
# as they fit into the cache.
_MIN_STEPS, _MAX_SIZE = 16, 1 << 17


@dataclass(frozen=True)
class Masks:
    """Dropout: factors, 0 or 1 / (1 - dropout), the same at every step of a sequence [1]_.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_directions * n_units, n_sequences), or None
        For each layer, on its hidden states on their way to the layer above or to the head.
    recurrent : list of ndarray of shape (n_directions, n_units, n_sequences), or None
        For each layer, on its hidden states on their way to its own next step.

    References
    ----------
    .. [1] Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
       Neural Networks", NeurIPS 2016.
    """

    outputs: list[Floats] | None = None
    recurrent: list[Floats] | None = None

    def of_recurrent(self, k: int, d: int) -> Floats | None:
        """Mask of layer k in direction d on the way to its next step."""
        return None if self.recurrent is None else self.recurrent[k][d]

    def columns(self, columns: NDArray[np.intp]) -> Masks:
        """Masks of some of the sequences."""
        outputs, recurrent = (
            None if masks is None else [mask[..., columns] for mask in masks]
            for masks in (self.outputs, self.recurrent)
        )
        return Masks(outputs, recurrent)


@dataclass(frozen=True)
class Network:
    """LSTM layers, each reading the hidden states of the one below, and a dense head.

    The head reads the last hidden state of the last layer. With two directions, a layer is a pair
    of LSTMs of which the second reads each sequence from its last step to its first; what is above
    reads the hidden states of both [1]_. All parameters are one flat vector, the matrices
    [W_x W_h b] of the layers, direction after direction, and then the head's [W b]; the methods
    take it as an argument and change nothing.

    Parameters
    ----------
    n_features : int
        Features per time step.
    hidden_layer_sizes : tuple of int
        Units of each LSTM layer, in each direction.
    n_outputs : int
        Outputs of the head.
    bidirectional : bool, default=False
        Whether the layers read in both directions.

    References
    ----------
    .. [1] M. Schuster and K. K. Paliwal, "Bidirectional Recurrent Neural Networks", IEEE
       Transactions on Signal Processing 45(11), 1997.

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
    bidirectional: bool = False

    @property
    def n_directions(self) -> int:
        """One or two."""
        return 2 if self.bidirectional else 1

    @cached_property
    def lstm_sizes(self) -> list[tuple[int, int]]:
        """Inputs and units of each LSTM, layer after layer, direction after direction."""
        n_above = [n_units * self.n_directions for n_units in self.hidden_layer_sizes]
        inputs = [self.n_features, *n_above[:-1]]
        return [
            sizes
            for sizes in zip(inputs, self.hidden_layer_sizes, strict=True)
            for _ in range(self.n_directions)
        ]

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the LSTMs' matrices and of the head's, in the order of the flat vector."""
        lstms = [(4 * n_units, n_inputs + n_units + 1) for n_inputs, n_units in self.lstm_sizes]
        n_last = self.hidden_layer_sizes[-1] * self.n_directions
        return [*lstms, (self.n_outputs, n_last + 1)]

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return sum(rows * columns for rows, columns in self.shapes)

    def matrices(self, parameters: Floats) -> list[Floats]:
        """Return views of the flat vector as the LSTMs' matrices and the head's."""
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
        for n_inputs, n_units in self.lstm_sizes:
            coefs.append(glorot_uniform(rng, 4 * n_units, n_inputs))
            coefs.append(orthogonal(rng, 4 * n_units, n_units))
            intercepts.append(lstm_biases(n_units))
        coefs.append(glorot_uniform(rng, self.n_outputs, self.shapes[-1][1] - 1))
        intercepts.append(np.zeros(self.n_outputs))
        return self.pack(coefs, intercepts)

    def pack(self, coefs: Sequence[Floats], intercepts: Sequence[Floats]) -> Floats:
        """Make the flat vector of matrices in the public order of gates, i, f, g, o.

        Parameters
        ----------
        coefs : list of ndarray
            W_x and W_h of each LSTM in turn, then the head's weights.
        intercepts : list of ndarray
            The bias of each LSTM, then the head's.
        """
        *lstms, head = [
            np.column_stack([*coefs[2 * k : 2 * k + 2], b]) for k, b in enumerate(intercepts)
        ]
        lstms = [
            W[gate_rows(n_units, KERNEL_ORDER)]
            for W, (_, n_units) in zip(lstms, self.lstm_sizes, strict=True)
        ]
        return np.concatenate([W.ravel() for W in [*lstms, head]])

    def unpack(self, parameters: Floats) -> tuple[list[Floats], list[Floats]]:
        """Return the matrices and biases that ``pack`` makes the flat vector of."""
        *lstms, head = self.matrices(parameters)
        coefs: list[Floats] = []
        intercepts: list[Floats] = []
        for W, (n_inputs, n_units) in zip(lstms, self.lstm_sizes, strict=True):
            public = np.empty_like(W)
            public[gate_rows(n_units, KERNEL_ORDER)] = W
            coefs += [public[:, :n_inputs].copy(), public[:, n_inputs:-1].copy()]
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
        per_step = sum(n_inputs + 7 * n_units + 1 for n_inputs, n_units in self.lstm_sizes)
        return max(_MIN_COLUMNS, _TAPE_SIZE // (per_step * max(n_timesteps, 1)))

    def draw_masks(
        self,
        rng: np.random.RandomState,
        n_sequences: int,
        *,
        dropout: float,
        recurrent_dropout: float,
        dtype: np.dtype,
    ) -> Masks:
        """Draw for each sequence what is dropped.

        Parameters
        ----------
        rng : RandomState
            Source of the numbers.
        n_sequences : int
            How many sequences.
        dropout, recurrent_dropout : float
            Shares dropped, on the way up and on the way to the next step.
        dtype : dtype
            Of the masks.
        """

        def draw(share: float, *shape: int) -> Floats:
            kept = rng.random_sample((*shape, n_sequences)) >= share
            return kept.astype(dtype) / dtype.type(1 - share)

        n_directions, sizes = self.n_directions, self.hidden_layer_sizes
        outputs = recurrent = None
        if dropout > 0:
            outputs = [draw(dropout, n_directions * n_units) for n_units in sizes]
        if recurrent_dropout > 0:
            recurrent = [draw(recurrent_dropout, n_directions, n_units) for n_units in sizes]
        return Masks(outputs, recurrent)

    def state_buffers(self, dtype: np.dtype) -> list[StateBuffers]:
        """Arrays for ``raw_outputs`` to work in, of each LSTM."""
        return [StateBuffers(*sizes, dtype) for sizes in self.lstm_sizes]

    def raw_outputs(
        self,
        parameters: Floats,
        batch: Batch,
        buffers: Sequence[StateBuffers],
        state: Sequence[tuple[Floats, Floats]] | None = None,
    ) -> Floats:
        """Compute the head's linear output.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        batch : Batch
            The sequences.
        buffers : list of StateBuffers
            What ``state_buffers`` gives; batch after batch can use them. The state at the end is
            left in them.
        state : list of tuple (h, c) of ndarray of shape (n_units, n_sequences), default=None
            State of each LSTM before the first step; zero if None. Given, all sequences must have
            the same length.

        Returns
        -------
        ndarray of shape (n_outputs, n_sequences)
            Raw outputs, in the order of the batch's columns.
        """
        lstms = self.matrices(parameters)
        x, packing, D = batch.x, batch.packing, self.n_directions
        n_timesteps, n_sequences = len(packing.widths), packing.n_sequences
        order: Literal["C", "F"] = "C"
        if n_sequences == 1 and n_timesteps >= _MIN_STEPS and self.step_size <= _MAX_SIZE:
            order = "F"
        for k, n_units in enumerate(self.hidden_layer_sizes):
            is_last = k + 1 == len(self.hidden_layer_sizes)
            above = (
                None
                if is_last
                else np.empty((n_timesteps, D * n_units, n_sequences), parameters.dtype)
            )
            for d in range(D):
                number = k * D + d
                lstm, h = buffers[number], None
                if above is not None:
                    h = above[:, :n_units] if d == 0 else np.empty_like(above[:, :n_units])
                lstm.start(
                    packing.widths[0] if packing.widths else n_sequences,
                    None if state is None else state[number],
                )
                x_d = x if d == 0 else reversed_in_time(x, packing)
                forward(lstms[number], lstm.steps(x_d, packing, h), order=order)
                if above is not None and h is not None and d == 1:
                    above[:, n_units:] = reversed_in_time(h, packing)
            x = x if above is None else above
        return self.head_outputs(parameters, [lstm.h for lstm in buffers[-D:]])

    def head_outputs(self, parameters: Floats, h_last: Sequence[Floats]) -> Floats:
        """Compute the head's linear output from the last layer's hidden state.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        h_last : list of ndarray of shape (n_units, n_sequences)
            Last hidden state of each direction.
        """
        *_, head = self.matrices(parameters)
        # raw = W h + b
        return head[:, :-1] @ np.concatenate(h_last) + head[:, -1:]  # (n_outputs, n_sequences)

    def add_gradient(
        self,
        parameters: Floats,
        batch: Batch,
        target: Floats,
        weights: Floats,
        loss: Loss,
        gradient: Floats,
        workspace: Workspace,
        masks: Masks = Masks(),
        submit: Submit | None = None,
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
        masks : Masks, optional
            Dropout; none by default.
        submit : callable, default=None
            How ``backward`` starts what can be done beside its steps, where that is worth it.

        Returns
        -------
        float
            The sum over sequences of weight times loss.
        """
        buffers = workspace.buffers(batch.packing)
        h_last = self._up(parameters, batch, buffers, masks)
        *_, head = self.matrices(parameters)
        # raw = W h + b
        raw = head[:, :-1] @ h_last + head[:, -1:]  # (n_outputs, n_sequences)

        d_raw = loss.gradient(target, raw) * weights  # (n_outputs, n_sequences)
        *_, d_head = self.matrices(gradient)
        d_head[:, :-1] += d_raw @ h_last.T
        d_head[:, -1] += d_raw.sum(axis=1)
        dh_last = head[:, :-1].T @ d_raw  # (n_directions * n_units, n_sequences)
        self._down(parameters, dh_last, gradient, buffers, masks, submit)
        return float(np.add.reduce(loss.value(target, raw) * weights))

    def _up(
        self, parameters: Floats, batch: Batch, buffers: _TrainingBuffers, masks: Masks
    ) -> Floats:
        """Go forward through the layers; give what the head reads."""
        lstms = self._layers(self.matrices(parameters))
        x = batch.x  # (n_timesteps, n_inputs, n_sequences)
        for k, layer in enumerate(buffers.layers):
            for d, lstm in enumerate(layer):
                lstm.load(x if d == 0 else reversed_in_time(x, batch.packing))
                lstm.reset()
                forward(lstms[k][d], lstm.steps(), masks.of_recurrent(k, d))
            if k + 1 < len(lstms):
                x = buffers.hidden_states(k)
                if masks.outputs is not None:
                    x *= masks.outputs[k]
        h_last = np.concatenate([lstm.h_last for lstm in buffers.layers[-1]])
        return h_last if masks.outputs is None else h_last * masks.outputs[-1]

    def _down(
        self,
        parameters: Floats,
        dh_last: Floats,
        gradient: Floats,
        buffers: _TrainingBuffers,
        masks: Masks,
        submit: Submit | None,
    ) -> None:
        """Go back through the layers, from the gradient by what the head reads."""
        lstms, d_lstms = (self._layers(self.matrices(flat)) for flat in (parameters, gradient))
        packing = buffers.packing
        if masks.outputs is not None:
            dh_last = dh_last * masks.outputs[-1]
        from_head: Floats | None = dh_last
        dh: Floats | None = None  # (n_timesteps, n_directions * n_units, n_sequences)
        for k, layer in reversed(list(enumerate(buffers.layers))):
            n = self.hidden_layer_sizes[k]
            for d, lstm in enumerate(layer):
                part = slice(d * n, (d + 1) * n)
                dh_d = None if dh is None else dh[:, part]
                backward(
                    lstms[k][d],
                    lstm,
                    d_lstms[k][d],
                    dh_last=None if from_head is None else from_head[part],
                    dh=dh_d if dh_d is None or d == 0 else reversed_in_time(dh_d, packing),
                    with_dx=k > 0,
                    mask=masks.of_recurrent(k, d),
                    submit=submit,
                )
            if k > 0:
                from_head, dh = None, layer[0].dx
                if self.bidirectional:
                    dh = dh + reversed_in_time(layer[1].dx, packing)
                if masks.outputs is not None:
                    dh = dh * masks.outputs[k - 1]

    def _layers(self, matrices: list[Floats]) -> list[list[Floats]]:
        """Group the LSTMs' matrices by layer."""
        D = self.n_directions
        return [matrices[first : first + D] for first in range(0, len(matrices) - 1, D)]


class _TrainingBuffers:
    """What the LSTMs of a network train in, on batches of one packing."""

    def __init__(
        self, network: Network, packing: Packing, dtype: np.dtype, *, dropping: bool
    ) -> None:
        D = network.n_directions
        lstms = [
            LayerBuffers(*sizes, packing, dtype, dropping=dropping) for sizes in network.lstm_sizes
        ]
        self.packing = packing
        self.layers = [lstms[first : first + D] for first in range(0, len(lstms), D)]
        self._above = [
            np.zeros((len(packing.widths), D * n_units, packing.n_sequences), dtype)
            for n_units in network.hidden_layer_sizes[:-1]
        ]

    def hidden_states(self, k: int) -> Floats:
        """Collect what the layer above layer k reads: the hidden states of all its directions."""
        above = self._above[k]
        n_units = self.layers[k][0].n_units
        for d, lstm in enumerate(self.layers[k]):
            part = above[:, d * n_units : (d + 1) * n_units]
            for part_t, h_t, width in zip(part, lstm.h, self.packing.widths, strict=True):
                part_t[:, :width] = h_t
            if d == 1:
                part[...] = reversed_in_time(part.copy(), self.packing)
        return above


class Workspace:
    """The buffers in which a network trains, kept from batch to batch.

    Parameters
    ----------
    network : Network
        What trains in them.
    dtype : dtype
        float32 or float64.
    dropping : bool, default=False
        Whether there will be recurrent dropout.
    """

    # The full batch, the last and smaller one, and one in reserve.
    _N_KEPT = 3

    def __init__(self, network: Network, dtype: np.dtype, *, dropping: bool = False) -> None:
        self.network, self.dtype, self.dropping = network, dtype, dropping
        self._kept: dict[Packing, _TrainingBuffers] = {}

    def buffers(self, packing: Packing) -> _TrainingBuffers:
        """Buffers for a packing, allocated when it first comes by."""
        buffers = self._kept.pop(packing, None)
        if buffers is None:
            if len(self._kept) == self._N_KEPT:
                del self._kept[next(iter(self._kept))]  # that was used least recently
            buffers = _TrainingBuffers(self.network, packing, self.dtype, dropping=self.dropping)
        self._kept[packing] = buffers
        return buffers
