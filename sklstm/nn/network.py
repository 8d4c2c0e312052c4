"""Stacked LSTM layers and a dense head, as pure functions of one flat vector of parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sklstm.nn import head
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
from sklstm.nn.tuning import DEFAULT_TUNING, Tuning

__all__ = ["Masks", "Network", "Workspace"]

# Runs the LSTM of a given number on an input of shape (n_timesteps, n_inputs, n_sequences). Writes
# its hidden states into an array of shape (n_timesteps, n_units, n_sequences), unless that is None,
# and returns the last one.
RunLSTM = Callable[[int, Floats, Floats | None], Floats]


@dataclass(frozen=True)
class Masks:
    """Dropout masks: factors 0 or 1 / (1 - dropout), the same at every step of a sequence [1]_.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_directions * n_units, n_sequences), or None
        For each layer, factors of its hidden states on their way to the next layer or the head.
    recurrent : list of ndarray of shape (n_directions, n_units, n_sequences), or None
        For each layer, factors of its hidden states on their way to its own next time step.

    References
    ----------
    .. [1] Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
       Neural Networks", NeurIPS 2016.
    """

    outputs: list[Floats] | None = None
    recurrent: list[Floats] | None = None

    def of_recurrent(self, k: int, d: int) -> Floats | None:
        """Return the recurrent mask of layer k in direction d."""
        return None if self.recurrent is None else self.recurrent[k][d]

    def columns(self, columns: NDArray[np.intp]) -> Masks:
        """Return the masks of some of the sequences."""
        outputs, recurrent = (
            None if masks is None else [mask[..., columns] for mask in masks]
            for masks in (self.outputs, self.recurrent)
        )
        return Masks(outputs, recurrent)


@dataclass(frozen=True)
class Network:
    """LSTM layers, each reading the hidden states of the one below, and a dense head.

    The head reads a summary of the hidden states of the last layer, and optionally the last time
    steps of the input, see ``sklstm.nn.head``. With two directions, a layer is a pair
    of LSTMs, and the second one reads each sequence from its last step to its first. The next layer
    or the head reads the hidden states of both [1]_. All parameters are one flat vector: the
    matrices [W_x W_h b] of the LSTMs, layer by layer and direction by direction, then the head's
    [W b] and the weights of the linear part. The methods take it as an argument; the network itself
    never changes.

    Parameters
    ----------
    n_features : int
        Features per time step.
    hidden_layer_sizes : tuple of int
        Units of each LSTM layer, in each direction.
    n_outputs : int
        Outputs of the head.
    bidirectional : bool, default=False
        Whether the layers read the sequences in both directions.
    pooling : tuple of {"last", "mean", "max"}, default=("last",)
        What the head reads of the hidden states.
    n_recent : int, default=0
        Numbers that the linear part reads of each sequence; 0 if there is none.

    References
    ----------
    .. [1] M. Schuster and K. K. Paliwal, "Bidirectional Recurrent Neural Networks", IEEE
       Transactions on Signal Processing 45(11), 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn.network import Network
    >>> network = Network(n_features=1, hidden_layer_sizes=(32,), n_outputs=1)
    >>> network.n_parameters
    4385
    """

    n_features: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    bidirectional: bool = False
    pooling: tuple[str, ...] = ("last",)
    n_recent: int = 0

    @property
    def n_directions(self) -> int:
        """One or two."""
        return 2 if self.bidirectional else 1

    @cached_property
    def lstm_sizes(self) -> list[tuple[int, int]]:
        """Inputs and units of each LSTM, layer by layer and direction by direction."""
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
        return [*lstms, (self.n_outputs, len(self.pooling) * n_last + 1)]

    @property
    def n_summary(self) -> int:
        """Numbers that the head reads of the hidden states."""
        return self.shapes[-1][1] - 1

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        n_weights = sum(rows * columns for rows, columns in self.shapes)
        return n_weights + self.n_outputs * self.n_recent

    def skip_weights(self, parameters: Floats) -> Floats:
        """Return a view of the weights of the linear part, of shape (n_outputs, n_recent)."""
        n_skip = self.n_outputs * self.n_recent
        return parameters[len(parameters) - n_skip :].reshape(self.n_outputs, self.n_recent)

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

        W_x and the head's weights are Glorot uniform. W_h, of shape (4 * n_units, n_units), has
        orthonormal columns. Biases are zero, except those of the forget gate, which are one. The
        weights of the linear part are zero.
        """
        coefs, intercepts = [], []
        for n_inputs, n_units in self.lstm_sizes:
            coefs.append(glorot_uniform(rng, 4 * n_units, n_inputs))
            coefs.append(orthogonal(rng, 4 * n_units, n_units))
            intercepts.append(lstm_biases(n_units))
        coefs.append(glorot_uniform(rng, self.n_outputs, self.shapes[-1][1] - 1))
        intercepts.append(np.zeros(self.n_outputs))
        return self.pack(coefs, intercepts)

    def pack(
        self,
        coefs: Sequence[Floats],
        intercepts: Sequence[Floats],
        skip: Floats | None = None,
    ) -> Floats:
        """Make the flat vector from matrices in the public order of gates, i, f, g, o.

        Parameters
        ----------
        coefs : list of ndarray
            W_x and W_h of each LSTM in turn, then the head's weights.
        intercepts : list of ndarray
            The bias of each LSTM, then the head's.
        skip : ndarray of shape (n_outputs, n_recent), default=None
            Weights of the linear part; zero if None.
        """
        *lstms, W_head = [
            np.column_stack([*coefs[2 * k : 2 * k + 2], b]) for k, b in enumerate(intercepts)
        ]
        lstms = [
            W[gate_rows(n_units, KERNEL_ORDER)]
            for W, (_, n_units) in zip(lstms, self.lstm_sizes, strict=True)
        ]
        if skip is None:
            skip = np.zeros((self.n_outputs, self.n_recent), W_head.dtype)
        return np.concatenate([W.ravel() for W in [*lstms, W_head, skip]])

    def unpack(self, parameters: Floats) -> tuple[list[Floats], list[Floats]]:
        """Return the matrices and biases that ``pack`` would make the flat vector from."""
        *lstms, W_head = self.matrices(parameters)
        coefs: list[Floats] = []
        intercepts: list[Floats] = []
        for W, (n_inputs, n_units) in zip(lstms, self.lstm_sizes, strict=True):
            public = np.empty_like(W)
            public[gate_rows(n_units, KERNEL_ORDER)] = W
            coefs += [public[:, :n_inputs].copy(), public[:, n_inputs:-1].copy()]
            intercepts.append(public[:, -1].copy())
        return [*coefs, W_head[:, :-1].copy()], [*intercepts, W_head[:, -1].copy()]

    def penalized(self, parameters: Floats) -> Floats:
        """Return a copy of the flat vector in which the biases are zero."""
        weights = parameters.copy()
        for W in self.matrices(weights):
            W[:, -1] = 0
        return weights

    @cached_property
    def step_size(self) -> int:
        """Multiplications per sequence in the largest matrix product of a time step."""
        return max(rows * columns for rows, columns in self.shapes)

    def n_columns(self, n_timesteps: int, tuning: Tuning = DEFAULT_TUNING) -> int:
        """Return how many sequences of that length training should compute at once."""
        per_step = sum(n_inputs + 7 * n_units + 1 for n_inputs, n_units in self.lstm_sizes)
        return max(tuning.min_block, tuning.block_size // (per_step * max(n_timesteps, 1)))

    def draw_masks(
        self,
        rng: np.random.RandomState,
        n_sequences: int,
        *,
        dropout: float,
        recurrent_dropout: float,
        dtype: np.dtype,
    ) -> Masks:
        """Draw dropout masks for each sequence.

        Parameters
        ----------
        rng : RandomState
            Random number generator.
        n_sequences : int
            Number of sequences.
        dropout, recurrent_dropout : float
            Fractions dropped, on the way to the next layer and on the way to the next step.
        dtype : dtype
            Dtype of the masks.
        """

        def draw(dropped: float, *shape: int) -> Floats:
            kept = rng.random_sample((*shape, n_sequences)) >= dropped
            return kept.astype(dtype) / dtype.type(1 - dropped)

        n_directions, sizes = self.n_directions, self.hidden_layer_sizes
        outputs = recurrent = None
        if dropout > 0:
            outputs = [draw(dropout, n_directions * n_units) for n_units in sizes]
        if recurrent_dropout > 0:
            recurrent = [draw(recurrent_dropout, n_directions, n_units) for n_units in sizes]
        return Masks(outputs, recurrent)

    def state_buffers(self, dtype: np.dtype) -> list[StateBuffers]:
        """Allocate what each LSTM needs in ``raw_outputs``."""
        return [StateBuffers(*sizes, dtype) for sizes in self.lstm_sizes]

    def raw_outputs(
        self,
        parameters: Floats,
        batch: Batch,
        buffers: Sequence[StateBuffers],
        state: Sequence[tuple[Floats, Floats]] | None = None,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> Floats:
        """Compute the raw outputs, keeping nothing but the last state.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        batch : Batch
            The sequences.
        buffers : list of StateBuffers
            From ``state_buffers``; they can be used for any number of batches. The state after the
            last step is left in them.
        state : list of tuple (h, c) of ndarray of shape (n_units, n_sequences), default=None
            State of each LSTM before the first step; zero if None. Given, all sequences must have
            the same length.
        tuning : Tuning, optional
            When a single sequence is computed with weights in Fortran order.

        Returns
        -------
        ndarray of shape (n_outputs, n_sequences) or (n_outputs, n_places)
            Raw outputs, in the order of the batch's columns, or of its places.
        """
        h = self.top_states(batch, parameters.dtype)
        h_last = self.advance(parameters, batch, buffers, state, tuning, h)
        if batch.places is not None:
            assert h is not None
            W_head, W_skip = self.matrices(parameters)[-1], self.skip_weights(parameters)
            return head.forward_at(W_head, h, batch.places, W_skip, batch.recent)
        summary, _ = head.summarize(self.pooling, h_last, h, batch.packing)
        return self.head_outputs(parameters, summary, batch.recent)

    def advance(
        self,
        parameters: Floats,
        batch: Batch,
        buffers: Sequence[StateBuffers],
        state: Sequence[tuple[Floats, Floats]] | None = None,
        tuning: Tuning = DEFAULT_TUNING,
        top: Floats | None = None,
    ) -> list[Floats]:
        """Run the layers without the head, see ``raw_outputs``.

        Parameters
        ----------
        parameters, batch, buffers, state, tuning
            As in ``raw_outputs``.
        top : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), default=None
            Receives the hidden states of the last layer.

        Returns
        -------
        list of ndarray of shape (n_units, n_sequences)
            Last hidden state of each direction of the last layer.
        """
        lstms = self.matrices(parameters)[:-1]
        is_long = len(batch.packing.widths) >= tuning.min_fortran_steps
        is_small = self.step_size <= tuning.max_fortran_size
        order: Literal["C", "F"] = "C"
        if batch.packing.n_sequences == 1 and is_long and is_small:
            order = "F"

        def run(number: int, x: Floats, h_out: Floats | None) -> Floats:
            state_before = None if state is None else state[number]
            return buffers[number].run(
                lstms[number], x, batch.packing, state=state_before, h_out=h_out, order=order
            )

        return self._run_layers(batch, run, parameters.dtype, top=top)

    def head_outputs(
        self, parameters: Floats, summary: Floats, recent: Floats | None = None
    ) -> Floats:
        """Compute the raw outputs from what the head reads.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            The flat vector.
        summary : ndarray of shape (n_summary, n_sequences)
            The summary of the hidden states.
        recent : ndarray of shape (n_recent, n_sequences), default=None
            What the linear part reads.
        """
        *_, W_head = self.matrices(parameters)
        return head.forward(W_head, summary, self.skip_weights(parameters), recent)

    def top_states(self, batch: Batch, dtype: np.dtype) -> Floats | None:
        """Allocate room for the hidden states of the last layer, if the head reads all of them."""
        if self.pooling == ("last",) and batch.places is None:
            return None
        packing, n_units = batch.packing, self.n_directions * self.hidden_layer_sizes[-1]
        return np.zeros((len(packing.widths), n_units, packing.n_sequences), dtype)

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
        target : ndarray of shape (n_outputs, n_sequences) or (n_outputs, n_places)
            Target of the loss.
        weights : ndarray of shape (n_sequences,) or (n_places,)
            Weight of each sequence, or of each place.
        loss : Loss
            The loss.
        gradient : ndarray of shape (n_parameters,)
            Changed in place.
        workspace : Workspace
            The arrays that training works in.
        masks : Masks, optional
            Dropout masks; no dropout by default.
        submit : callable, default=None
            Starts a function in another thread, see ``backward`` in ``sklstm.nn.layer``.

        Returns
        -------
        float
            The sum over sequences, or places, of weight times loss.
        """
        buffers = workspace.buffers(batch.packing)
        *lstms, W_head = self.matrices(parameters)
        *d_lstms, dW_head = self.matrices(gradient)

        def run(number: int, x: Floats, h_out: Floats | None) -> Floats:
            mask = masks.of_recurrent(*divmod(number, self.n_directions))
            return forward(lstms[number], x, buffers.lstms[number], mask=mask, h_out=h_out)

        if buffers.top is None:
            buffers.top = self.top_states(batch, parameters.dtype)
        h_last = self._run_layers(
            batch, run, parameters.dtype, buffers.between, masks.outputs, buffers.top
        )
        W_skip, dW_skip = self.skip_weights(parameters), self.skip_weights(gradient)
        mask = None if masks.outputs is None else masks.outputs[-1]

        def d_loss(raw: Floats) -> Floats:
            return loss.gradient(target, raw) * weights  # of the shape of target

        dh_last: Floats | None = None
        dh: Floats | None
        if batch.places is not None and buffers.top is not None:
            h = buffers.top if mask is None else buffers.top * mask
            raw = head.forward_at(W_head, h, batch.places, W_skip, batch.recent)
            dh = head.backward_at(
                W_head, h, batch.places, batch.recent, d_loss(raw), dW_head, dW_skip
            )
            if mask is not None:
                dh *= mask
        else:
            summary, cache = head.summarize(self.pooling, h_last, buffers.top, batch.packing)
            if mask is not None:
                # The same at every step and not negative: so it may follow the summary.
                mask = np.tile(mask, (len(self.pooling), 1))
                summary = summary * mask
            raw = head.forward(W_head, summary, W_skip, batch.recent)
            d_summary = head.backward(W_head, summary, batch.recent, d_loss(raw), dW_head, dW_skip)
            if mask is not None:
                d_summary = d_summary * mask
            dh_last, dh = head.summarize_backward(d_summary, cache)
        self._backpropagate(lstms, d_lstms, dh_last, dh, buffers, masks, submit)
        return float(np.add.reduce(loss.value(target, raw) * weights))

    def _run_layers(
        self,
        batch: Batch,
        run: RunLSTM,
        dtype: np.dtype,
        between: Sequence[Floats] | None = None,
        masks: Sequence[Floats] | None = None,
        top: Floats | None = None,
    ) -> list[Floats]:
        """Run each layer on the hidden states of the one below.

        Parameters
        ----------
        batch : Batch
            The sequences.
        run : callable
            Runs one LSTM.
        dtype : dtype
            Dtype of the hidden states.
        between : list of ndarray, default=None
            For each layer but the last, an array of shape (n_timesteps, n_directions * n_units,
            n_sequences) for its hidden states; allocated if None.
        masks : list of ndarray, default=None
            Dropout masks of each layer's hidden states.
        top : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), default=None
            Receives the hidden states of the last layer.

        Returns
        -------
        list of ndarray of shape (n_units, n_sequences)
            Last hidden state of each direction of the last layer.
        """
        D, packing, x = self.n_directions, batch.packing, batch.x
        *lower, n_last = range(len(self.hidden_layer_sizes))
        for k in lower:
            if between is None:
                n = self.hidden_layer_sizes[k]
                above = np.empty((len(packing.widths), D * n, packing.n_sequences), dtype)
            else:
                above = between[k]
            for d, h_out in enumerate(np.split(above, D, axis=1)):
                _run_direction(run, k * D + d, d, x, packing, h_out)
            if masks is not None:
                above *= masks[k]
            x = above
        parts = [None] * D if top is None else np.split(top, D, axis=1)
        return [
            _run_direction(run, n_last * D + d, d, x, packing, h_out)
            for d, h_out in enumerate(parts)
        ]

    def _backpropagate(
        self,
        lstms: Sequence[Floats],
        d_lstms: Sequence[Floats],
        dh_last: Floats | None,
        dh: Floats | None,
        buffers: _TrainingBuffers,
        masks: Masks,
        submit: Submit | None,
    ) -> None:
        """Go back through the layers.

        Parameters
        ----------
        lstms : list of ndarray
            Weights of each LSTM.
        d_lstms : list of ndarray
            The gradient of the loss with respect to them is added to these.
        dh_last : ndarray of shape (n_directions * n_units, n_sequences), or None
            Gradient of the loss with respect to the last hidden state of the last layer.
        dh : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), or None
            Gradient of the loss with respect to all hidden states of the last layer.
        buffers : _TrainingBuffers
            From the forward pass.
        masks : Masks
            Dropout masks.
        submit : callable or None
            Starts a function in another thread.
        """
        D, packing = self.n_directions, buffers.packing
        for k, n_units in reversed(list(enumerate(self.hidden_layer_sizes))):
            for d in range(D):
                part = slice(d * n_units, (d + 1) * n_units)
                dh_d = None if dh is None else dh[:, part]
                if dh_d is not None and d == 1:
                    dh_d = reversed_in_time(dh_d, packing)
                backward(
                    lstms[k * D + d],
                    buffers.lstms[k * D + d],
                    d_lstms[k * D + d],
                    dh_last=None if dh_last is None else dh_last[part],
                    dh=dh_d,
                    with_dx=k > 0,
                    mask=masks.of_recurrent(k, d),
                    submit=submit,
                )
            if k > 0:
                dh_last, dh = None, buffers.lstms[k * D].dx
                if D == 2:
                    dh = dh + reversed_in_time(buffers.lstms[k * D + 1].dx, packing)
                if masks.outputs is not None:
                    dh = dh * masks.outputs[k - 1]


def _run_direction(
    run: RunLSTM, number: int, d: int, x: Floats, packing: Packing, h_out: Floats | None = None
) -> Floats:
    """Run one LSTM; in direction 1 on reversed sequences, whose states are reversed again."""
    if d == 0:
        return run(number, x, h_out)
    x = reversed_in_time(x, packing)
    if h_out is None:
        return run(number, x, None)
    h_reversed = np.empty_like(h_out)
    h_last = run(number, x, h_reversed)
    h_out[...] = reversed_in_time(h_reversed, packing)
    return h_last


class _TrainingBuffers:
    """The arrays in which a network trains on batches of a number of sequences.

    Parameters
    ----------
    network : Network
        The network.
    packing : Packing
        How the first batch is arranged, see ``LayerBuffers``.
    dtype, dropping, tuning
        As in ``Workspace``.

    Attributes
    ----------
    packing : Packing
        How the batch is arranged in columns.
    lstms : list of LayerBuffers
        Those of each LSTM.
    between : list of ndarray of shape (n_timesteps, n_directions * n_units, n_sequences)
        Hidden states of each layer but the last.
    top : ndarray of shape (n_timesteps, n_directions * n_units, n_sequences), or None
        Hidden states of the last layer, from the first batch of a packing on of which the head
        reads them.
    """

    def __init__(
        self,
        network: Network,
        packing: Packing,
        dtype: np.dtype,
        *,
        dropping: bool,
        tuning: Tuning,
    ) -> None:
        self.packing, self.max_timesteps = packing, len(packing.widths)
        self.lstms = [
            LayerBuffers(*sizes, packing, dtype, dropping=dropping, tuning=tuning)
            for sizes in network.lstm_sizes
        ]
        D = network.n_directions
        self._between = [
            np.zeros((self.max_timesteps, D * n_units, packing.n_sequences), dtype)
            for n_units in network.hidden_layer_sizes[:-1]
        ]
        self.top: Floats | None = None

    @property
    def between(self) -> list[Floats]:
        """Room for the steps of the packing, see the class."""
        first = self.max_timesteps - len(self.packing.widths)
        return [above[first:] for above in self._between]

    def arrange(self, packing: Packing) -> None:
        """Set up the arrays for batches of a packing."""
        if packing == self.packing:
            return
        if packing.runs != self.packing.runs:
            self.top = None  # which is zero where nothing is written
        self.packing = packing
        for buffers in self.lstms:
            buffers.arrange(packing)


class Workspace:
    """The arrays in which a network trains, kept from batch to batch.

    Parameters
    ----------
    network : Network
        The network.
    dtype : dtype
        float32 or float64.
    dropping : bool, default=False
        Whether there will be recurrent dropout.
    tuning : Tuning, optional
        How the work is divided.
    """

    def __init__(
        self,
        network: Network,
        dtype: np.dtype,
        *,
        dropping: bool = False,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self.network, self.dtype, self.dropping, self.tuning = network, dtype, dropping, tuning
        self._kept: dict[int, _TrainingBuffers] = {}  # the least recently used first

    def buffers(self, packing: Packing) -> _TrainingBuffers:
        """Return the buffers for a packing, which are allocated when they are first needed."""
        buffers = self._kept.pop(packing.n_sequences, None)
        if buffers is None or buffers.max_timesteps < len(packing.widths):
            if len(self._kept) == self.tuning.n_buffers:
                del self._kept[next(iter(self._kept))]
            buffers = _TrainingBuffers(
                self.network, packing, self.dtype, dropping=self.dropping, tuning=self.tuning
            )
        buffers.arrange(packing)
        self._kept[packing.n_sequences] = buffers
        return buffers
