"""One LSTM layer over time: the forward pass, backpropagation through time, and their layout.

**Features first.** The state is held as (n_units, n_sequences), a column for each sequence, so a
gate of a step is one contiguous block and every operation runs along contiguous memory. A step
reads one block and works in another::

    inputs[t]  (n_inputs + n_units + 1, n_t)    [x_t; h_{t-1}; 1]
    gates      (6 * n_units, n_t)               [tanh(c_t); o; i; f; g; c_{t-1}]

With the weights kept as one matrix W = [W_x W_h b], whose row blocks stand in the same order
o, i, f, g, one matrix product a step serves all four gates and needs no bias added. That order
puts the three sigmoids next to each other, and [i; f] and [g; c_{t-1}] line up, so that one
multiplication gives both terms of c_t. h_t is written straight into ``inputs[t + 1]``.

**One tanh for all gates.** sigmoid(z) = (1 + tanh(z / 2)) / 2: the rows of o, i, f in W are halved
once per call, and a single vectorised ``tanh`` covers the whole block.

**Packed columns.** The sequences of a batch are sorted by length, longest first, and aligned at
their end. Then the sequences that have started by step t are the first n_t columns, n_t never
falls, all sequences end together, and no step of padding is computed. Steps of equal n_t form a
run; a batch of equal lengths is a single run.

**Derivatives on the way.** What the backward pass needs of a step are not its gates but the
derivatives within it. Training makes them in the forward pass, a few steps at a time, while the
gates are still in the cache, and keeps them and the inputs alone (``LayerBuffers``); a step
backward is then four calls, which turn them into the gradients in place. Where only the state is
wanted, nothing is kept (``StateBuffers``).

**Sums beside steps.** The gradient of the weights is one product over all sequences and a chunk of
steps, which a second thread can compute beside the steps before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.packing import Packing

__all__ = [
    "LayerBuffers",
    "StateBuffers",
    "backward",
    "forward",
    "gate_rows",
    "lstm",
    "unbuffered",
]

Step = tuple[Floats, ...]

# The order of the gates in the rows of W, see above.
KERNEL_ORDER = "oifg"

# Numbers that the steps of a chunk work in. In the forward pass their derivatives are to be made
# before they have left the cache. In the backward pass it is their gradients by the gates, enough
# for an efficient product.
_HOT_SIZE = 1 << 19
_CHUNK_SIZE = 1 << 18

# Products in the gradient of the weights from which a run of steps is worth a second thread; then
# it has so many chunks at least, for two to share them, of which few wait, as each holds a sum.
_MIN_SUBMIT = 1 << 23
_N_CHUNKS = 4
_N_WAITING = 4

# Numbers in NumPy's buffer while a layer trains, see ``unbuffered``.
_BUFFER_SIZE = 512

Submit = Callable[[Callable[[slice], Floats], slice], Callable[[], Floats]]


def gate_rows(n_units: int, order: str) -> NDArray[np.intp]:
    """Row numbers that bring rows in the order i, f, g, o into another order of gates.

    The one table between the public gate order and that of the kernel, ``"oifg"``: with
    ``rows = gate_rows(n_units, "oifg")``, ``W[rows]`` is in the kernel's order if ``W`` is in the
    public one, and ``W_public[rows] = W_kernel`` goes back.
    """
    return np.concatenate([np.arange(n_units) + "ifgo".index(gate) * n_units for gate in order])


@contextmanager
def unbuffered() -> Iterator[None]:
    """Keep NumPy from copying blocks together before it computes with them.

    It does where rows lie apart and are shorter than its buffer of 8192 numbers, as gates of a
    chunk of steps do, which takes three times as long as to go through them row by row.
    """
    before = np.setbufsize(_BUFFER_SIZE)
    try:
        yield
    finally:
        np.setbufsize(before)


def _step(
    inputs: Floats, gates: Floats, products: Floats, c: Floats, h: Floats, h_in: Floats
) -> Step:
    """Lay out one step for ``forward``: views of its blocks, and where c_t and h_t go.

    ``products`` receives the two terms of c_t. ``h_in`` is what the next step reads, which is
    ``h`` itself but with recurrent dropout.
    """
    n = len(gates) // 6
    return (
        inputs,
        gates[n : 5 * n],
        gates[n : 4 * n],
        gates[2 * n : 4 * n],
        gates[4 * n :],
        products,
        products[:n],
        products[n:],
        c,
        gates[:n],
        gates[n : 2 * n],
        h,
        h_in,
    )


class LayerBuffers:
    """The arrays in which one layer trains on batches of one packing: every step's are kept.

    They are allocated once and serve every batch of that packing: a call overwrites what the one
    before has left.

    Parameters
    ----------
    n_inputs, n_units : int
        Width of the layer's input and of its state.
    packing : Packing
        How the batch lies in columns.
    dtype : dtype
        float32 or float64.
    dropping : bool, default=False
        Whether ``forward`` will be given a mask: then the hidden states are kept apart from what
        the next step reads.

    Attributes
    ----------
    h : list of ndarray of shape (n_units, n_t)
        For each step, where the hidden state is left.
    h_last, c_last : ndarray of shape (n_units, n_sequences)
        State after the last step; zero for a sequence without steps.
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        packing: Packing,
        dtype: np.dtype,
        *,
        dropping: bool = False,
    ) -> None:
        self.n_inputs, self.n_units, self.packing, self.dtype = n_inputs, n_units, packing, dtype
        n, n_rows = n_units, n_inputs + n_units + 1
        self.inputs: list[Floats] = []  # for each run (n_steps, n_rows, width)
        # For each run (n_steps, 6 n, width): derivatives from ``forward``, then gradients, see
        # ``_local_derivatives`` and ``backward``.
        self.tape: list[Floats] = []
        hot: list[Floats] = []  # for each run (chunk, 6 n, width), used by chunk after chunk
        for start, stop, width in packing.runs:
            n_steps = stop - start
            self.inputs.append(np.zeros((n_steps, n_rows, width), dtype))
            self.inputs[-1][:, -1] = 1
            self.tape.append(np.empty((n_steps, 6 * n, width), dtype))
            chunk = min(n_steps, max(1, _HOT_SIZE // (12 * n * width)))
            hot.append(np.zeros((chunk, 6 * n, width), dtype))
        self.h_last = np.zeros((n, packing.n_sequences), dtype)
        self.c_last = np.zeros((n, packing.n_sequences), dtype)

        # The blocks of every step. Behind the last stands the state that the layer ends in.
        inputs, tape = (
            [block for run in runs for block in run] for runs in (self.inputs, self.tape)
        )
        gates = [
            hot[r][k % len(hot[r])]
            for r, run in enumerate(packing.runs)
            for k in range(run.stop - run.start)
        ]
        h_slots = [*(block[n_inputs:-1] for block in inputs), self.h_last]
        c_slots = [*(block[5 * n :] for block in gates), self.c_last]
        # h_t and c_t lie in the next step's blocks, which may be wider than this step's.
        self.h = h_in = [h_slots[t + 1][:, :width] for t, width in enumerate(packing.widths)]
        if dropping:
            self.h = [np.empty((n, width), dtype) for width in packing.widths[:-1]] + h_in[-1:]
            h_in = [*h_in[:-1], *(np.empty_like(h) for h in h_in[-1:])]  # nothing reads the last
        steps = [
            _step(
                inputs[t],
                gates[t],
                tape[t][2 * n : 4 * n],
                c_slots[t + 1][:, :width],
                self.h[t],
                h_in[t],
            )
            for t, width in enumerate(packing.widths)
        ]
        self._chunks: list[tuple[list[Step], Floats, Floats]] = []
        for r, (start, stop, width) in enumerate(packing.runs):
            for first in range(start, stop, len(hot[r])):
                last = min(first + len(hot[r]), stop)
                shape = last - first, 6, n, width
                self._chunks.append(
                    (
                        steps[first:last],
                        hot[r][: last - first].reshape(shape),
                        self.tape[r][first - start : last - start].reshape(shape),
                    )
                )
        # Where a sequence starts, the state before it is zero.
        firsts = [*(run.start for run in packing.runs), len(packing.widths)]
        widths = [0, *packing.widths]
        self._starts = [
            view
            for t in firsts
            for view in (h_slots[t][:, widths[t] :], c_slots[t][:, widths[t] :])
        ]

    def steps(self) -> Iterator[Step]:
        """Give the steps to ``forward``; behind each chunk of them, make its derivatives."""
        for steps, gates, derivatives in self._chunks:
            yield from steps
            _local_derivatives(gates, derivatives)

    @cached_property
    def backward_runs(self) -> list[_BackwardRun]:
        """The runs, as ``backward`` goes through them."""
        return [_BackwardRun(*blocks) for blocks in zip(self.tape, self.inputs, strict=True)]

    @cached_property
    def room(self) -> deque[Floats]:
        """Room for the factors of ``_BackwardRun.weight_gradient``, for each of two threads."""
        n_columns = max((run.n_columns for run in self.backward_runs), default=0)
        size = (self.n_inputs + 5 * self.n_units + 1) * n_columns
        return deque(np.empty((2, size), self.dtype))

    @cached_property
    def dx(self) -> Floats:
        """Room for the gradient by the input, (n_timesteps, n_inputs, n_sequences)."""
        shape = len(self.packing.widths), self.n_inputs, self.packing.n_sequences
        return np.zeros(shape, self.dtype)

    def load(self, x: Floats) -> None:
        """Put in the input of a batch.

        Parameters
        ----------
        x : ndarray of shape (n_timesteps, n_inputs, n_sequences)
            Only the columns that are active at a step are read.
        """
        for inputs, (start, stop, width) in zip(self.inputs, self.packing.runs, strict=True):
            inputs[:, : self.n_inputs] = x[start:stop, :, :width]

    def reset(self) -> None:
        """Make the state before every sequence's first step zero."""
        for view in self._starts:
            view[...] = 0


class StateBuffers:
    """The arrays in which one layer runs when only its state is wanted: each step reuses them.

    Parameters
    ----------
    n_inputs, n_units : int
        Width of the layer's input and of its state.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    h, c : ndarray of shape (n_units, width)
        State, of the sequences that have started.
    """

    def __init__(self, n_inputs: int, n_units: int, dtype: np.dtype) -> None:
        self.n_inputs, self.n_units, self.dtype = n_inputs, n_units, dtype
        self.h = self.c = np.empty((n_units, 0), dtype)  # none has started

    def _allocate(self, width: int) -> None:
        n = self.n_units
        inputs = np.zeros((self.n_inputs + n + 1, width), self.dtype)
        inputs[-1] = 1
        gates = np.zeros((6 * n, width), self.dtype)
        self._x, self.h, self.c = (
            inputs[: self.n_inputs],
            inputs[self.n_inputs : -1],
            gates[5 * n :],
        )
        products = np.empty((2 * n, width), self.dtype)
        self._step = _step(inputs, gates, products, self.c, self.h, self.h)

    def _widen(self, width: int) -> None:
        """Let more sequences start; their state is zero."""
        h, c = self.h, self.c
        started = h.shape[1]
        if width != started:
            self._allocate(width)
            self.h[:, :started], self.c[:, :started] = h, c

    def start(self, n_sequences: int, state: tuple[Floats, Floats] | None = None) -> None:
        """Make the given state (h, c), or zero, the one before the first step."""
        if self.h.shape[1] != n_sequences:
            self._allocate(n_sequences)
        self.h[...], self.c[...] = (0, 0) if state is None else state

    def steps(self, x: Floats, packing: Packing, h_out: Floats | None = None) -> Iterator[Step]:
        """Give the steps of a batch to ``forward``, one after the other.

        Parameters
        ----------
        x : ndarray of shape (n_timesteps, n_inputs, n_sequences)
            Only the columns that are active at a step are read.
        packing : Packing
            How the batch lies in columns.
        h_out : ndarray of shape (n_timesteps, n_units, n_sequences), default=None
            Receives the hidden states.
        """
        for start, stop, width in packing.runs:
            self._widen(width)
            load, step = self._x, self._step
            for t, x_t in enumerate(x[start:stop, :, :width], start):
                load[...] = x_t
                yield step
                if h_out is not None:
                    h_out[t, :, :width] = self.h
        self._widen(packing.n_sequences)


def forward(
    W: Floats,
    steps: Iterable[Step],
    mask: Floats | None = None,
    order: Literal["C", "F"] = "C",
) -> None:
    """Run a layer over steps whose input and initial state are in place.

    Parameters
    ----------
    W : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        [W_x W_h b], gates in the order o, i, f, g.
    steps : iterable of tuple of ndarray
        ``LayerBuffers.steps``, where all that ``backward`` needs is left, or what
        ``StateBuffers.steps`` gives.
    mask : ndarray of shape (n_units, n_sequences), default=None
        Recurrent dropout: what h_{t-1} is multiplied by on its way into the gates, the same at
        every step.
    order : {"C", "F"}, default="C"
        How the weights lie in memory while they are used. BLAS multiplies a single column faster
        in Fortran order.
    """
    tanh, multiply, add = np.tanh, np.multiply, np.add
    half = np.array(0.5, W.dtype)  # an array: a Python number costs more at every call
    scaled = W.copy(order)
    scaled[: len(W) // 4 * 3] *= half
    dot = scaled.dot
    for inputs, z, oif, i_f, g_c, products, ig, fc, c, tanh_c, o, h, h_in in steps:
        # z_t = W_x x_t + W_h h_{t-1} + b
        dot(inputs, z)  # (4 * n_units, n_t)
        # o, i, f = sigmoid(z);  g = tanh(z_g)
        tanh(z, z)
        multiply(oif, half, oif)
        add(oif, half, oif)  # (3 * n_units, n_t)
        # c_t = i * g + f * c_{t-1}
        multiply(i_f, g_c, products)  # (2 * n_units, n_t)
        add(ig, fc, c)  # (n_units, n_t)
        # h_t = o * tanh(c_t)
        tanh(c, tanh_c)
        multiply(o, tanh_c, h)  # (n_units, n_t)
        if mask is not None:
            multiply(h, mask[:, : h.shape[1]], h_in)


def backward(
    W: Floats,
    buffers: LayerBuffers,
    dW: Floats,
    *,
    dh_last: Floats | None = None,
    dh: Floats | None = None,
    with_dx: bool = False,
    mask: Floats | None = None,
    submit: Submit | None = None,
) -> None:
    """Backpropagate through the batch that ``forward`` has just been run on.

    Parameters
    ----------
    W : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        The weights that ``forward`` was given.
    buffers : LayerBuffers
        As ``forward`` has left them.
    dW : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        The gradient of the loss by W is added to it.
    dh_last : ndarray of shape (n_units, n_sequences), default=None
        Gradient of the loss by the last hidden state, where that is used.
    dh : ndarray of shape (n_timesteps, n_units, n_sequences), default=None
        Gradient of the loss by the hidden states of every step, where they are used.
    with_dx : bool, default=False
        Whether the gradient by the input is wanted, in ``buffers.dx``.
    mask : ndarray of shape (n_units, n_sequences), default=None
        The mask that ``forward`` was given.
    submit : callable, default=None
        Starts a function on one other thread, behind what was started before, and returns a
        function that gives the result. With None all is done here; the numbers are the same.
    """
    W_x_T, W_h_T = np.split(np.ascontiguousarray(W[:, :-1].T), [buffers.n_inputs])
    dc_last = None
    for (start, stop, width), run in zip(
        reversed(buffers.packing.runs), reversed(buffers.backward_runs), strict=True
    ):
        # What the steps behind this run pass back; columns that start there go no further.
        run.begin(dh_last, dc_last)
        dh_run = None if dh is None else dh[start:stop, :, :width]
        dx_run = buffers.dx[start:stop, :, :width] if with_dx else None
        mask_run = None if mask is None else mask[:, :width]

        def collect(chunk: slice, run: _BackwardRun = run, dx: Floats | None = dx_run) -> Floats:
            if dx is not None:
                # dx_t = W_x^T dz_t
                np.matmul(W_x_T, run.dz[chunk], out=dx[chunk])
            return run.weight_gradient(chunk, buffers.room)

        results: deque[Callable[[], Floats]] = deque()
        for chunk in run.chunks:
            run.go_back(chunk, W_h_T, dh_run, mask_run)
            if submit is None or not run.is_large:
                dW += collect(chunk)
                continue
            results.append(submit(collect, chunk))
            if len(results) > _N_WAITING:
                dW += results.popleft()()
        # The last first: what the other thread has not begun to do is then done here.
        for dW_chunk in reversed([result() for result in reversed(results)]):
            dW += dW_chunk
        dh_last, dc_last = run.dh, run.dc


class _BackwardRun:
    """A run of steps on the way back, in the arrays that the forward pass has left.

    Attributes
    ----------
    chunks : list of slice
        The run cut into pieces, the last steps first.
    n_columns : int
        Steps times sequences in the largest of them.
    is_large : bool
        Whether a second thread is worth it.
    steps : list of tuple of ndarray
        For each step views of (Q_N, M, dc_t, dc_row, dz, dc_prev): the factors, and what they
        become.
    dz : ndarray of shape (n_steps, 4 * n_units, width)
        Where the gradients by the gates are left, gates as in W.
    dh, dc : ndarray of shape (n_units, width)
        Gradients by the state, at the step that has been reached.
    """

    def __init__(self, tape: Floats, inputs: Floats) -> None:
        n_steps, n_rows, width = inputs.shape
        n = tape.shape[1] // 6
        self.inputs, self.dz = inputs, tape[:, n : 5 * n]
        self.steps = [
            (block[:2], block[2:], block[0], block[:1], dz, block[5])
            for block, dz in zip(tape.reshape(n_steps, 6, n, width), self.dz, strict=True)
        ]
        self.is_large = 4 * n * n_rows * n_steps * width >= _MIN_SUBMIT
        chunk = min(n_steps, max(1, _CHUNK_SIZE // (4 * n * width)))
        if self.is_large:
            chunk = min(chunk, -(-n_steps // _N_CHUNKS))
        self.chunks = [slice(max(0, last - chunk), last) for last in range(n_steps, 0, -chunk)]
        self.n_columns = chunk * width
        self.dh = np.empty((n, width), tape.dtype)
        self.dc = self._dc_last = np.empty((n, width), tape.dtype)

    def begin(self, dh: Floats | None, dc: Floats | None) -> None:
        """Take over the gradient by the state behind the run; None is zero."""
        width = self.dh.shape[1]
        self.dc = self._dc_last
        self.dh[...] = 0 if dh is None else dh[:, :width]
        self.dc[...] = 0 if dc is None else dc[:, :width]

    def go_back(self, chunk: slice, W_h_T: Floats, dh: Floats | None, mask: Floats | None) -> None:
        """Go through the steps of a chunk, from the last to the first."""
        dot, multiply, add = W_h_T.dot, np.multiply, np.add
        dh_t, dc_next = self.dh, self.dc
        for k in reversed(range(chunk.start, chunk.stop)):
            Q_N, M, dc_t, dc_row, dz, dc_prev = self.steps[k]
            if dh is not None:
                add(dh_t, dh[k], dh_t)
            # dc_t = dh_t * Q + (dc_t of the step behind);  dz_o = dh_t * N
            multiply(dh_t, Q_N, Q_N)  # (2, n_units, n_t)
            add(dc_t, dc_next, dc_t)
            # [dz_i; dz_f; dz_g; dc_{t-1}] = dc_t * M
            multiply(dc_row, M, M)  # (4, n_units, n_t)
            # dh_{t-1} = W_h^T dz_t
            dot(dz, dh_t)  # (n_units, n_t)
            if mask is not None:
                multiply(dh_t, mask, dh_t)
            dc_next = dc_prev
        self.dc = dc_next

    def weight_gradient(self, chunk: slice, room: deque[Floats]) -> Floats:
        """Sum up the gradient by W over the steps of a chunk."""
        blocks, taken = self.dz[chunk], room.pop()
        try:
            # dW = sum over t of dz_t [x_t; h_{t-1}; 1]^T: one product over all steps and sequences
            dz = _side_by_side(blocks, taken)
            inputs = _side_by_side(self.inputs[chunk], taken[blocks.size :])
            dW: Floats = dz.dot(inputs.T)
        finally:
            room.append(taken)
        return dW


def _side_by_side(blocks: Floats, out: Floats) -> Floats:
    """Copy blocks (n_steps, n_rows, width) to the front of ``out``: (n_rows, n_steps * width)."""
    n_steps, n_rows, width = blocks.shape
    joined = out[: blocks.size].reshape(n_rows, n_steps, width)
    joined[...] = blocks.transpose(1, 0, 2)
    return joined.reshape(n_rows, n_steps * width)


def _local_derivatives(gates: Floats, out: Floats) -> None:
    """Compute the derivatives within a cell, which need no gradient from outside.

    Parameters
    ----------
    gates : ndarray of shape (n_steps, 6, n_units, n_t)
        As ``forward`` has left them; used as scratch space but for c.
    out : ndarray of shape (n_steps, 6, n_units, n_t)
        Holds P = [i g; f c_{t-1}] in the rows of M_i and M_f. Receives [Q; N; M_i; M_f; M_g; M_c]::

            Q = dh_t / dc_t = o (1 - tanh(c_t)^2)
            N = dh_t / dz_o = tanh(c_t) o (1 - o)
            M = dc_t / d[z_i; z_f; z_g; c_{t-1}] = [i g (1 - i); f c_{t-1} (1 - f); i (1 - g^2); f]
    """
    tanh_c_o, o, o_h, i, h = gates[:, :2], gates[:, 1], gates[:, 1:3], gates[:, 2], gates[:, 2]
    i_f, f, g = gates[:, 2:4], gates[:, 3], gates[:, 4]
    Q_N, P, M_g, M_c = out[:, :2], out[:, 2:4], out[:, 4], out[:, 5]

    # [M_i; M_f] = P - P * [i; f];  M_g = i - (i g) g
    P_if = np.multiply(P, i_f, out=Q_N)
    np.multiply(P[:, 0], g, out=M_g)
    np.subtract(i, M_g, out=M_g)
    np.subtract(P, P_if, out=P)
    M_c[...] = f
    # [Q; N] = [o; h] - h * [tanh(c_t); o],  where h takes the place of i
    np.multiply(o, gates[:, 0], out=h)
    np.multiply(gates[:, 2:3], tanh_c_o, out=Q_N)
    np.subtract(o_h, Q_N, out=Q_N)


def lstm(
    x: Floats,
    W_x: Floats,
    W_h: Floats,
    b: Floats,
    *,
    initial_state: tuple[Floats, Floats] | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
    time_major: bool = False,
) -> Floats | tuple[Floats, Floats, Floats]:
    """Run one LSTM layer over sequences of equal length.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_timesteps, n_features) or (n_timesteps, n_features)
        The sequences, or a single one.
    W_x : ndarray of shape (4 * n_units, n_features)
        Weights of the input, four blocks of rows in the gate order i, f, g, o.
    W_h : ndarray of shape (4 * n_units, n_units)
        Weights of the hidden state.
    b : ndarray of shape (4 * n_units,)
        Biases.
    initial_state : tuple (h, c) of ndarray of shape (n_samples, n_units), default=None
        State before the first step; zero if None. Of shape (n_units,) for a single sequence.
    return_sequences : bool, default=False
        Return the hidden state of every step instead of the last one.
    return_state : bool, default=False
        Return the hidden and the cell state after the last step as well.
    time_major : bool, default=False
        Whether ``x``, and the output with ``return_sequences``, have time as their first axis:
        (n_timesteps, n_samples, n_features).

    Returns
    -------
    output : ndarray
        The last hidden state, (n_samples, n_units), or with ``return_sequences`` that of every
        step, (n_samples, n_timesteps, n_units); without the axis of samples for a single
        sequence.
    h, c : ndarray of shape (n_samples, n_units)
        State after the last step; only with ``return_state``.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    See Also
    --------
    lstm_cell : A single step, with the equations.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import lstm
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(5, 7, 2))  # 5 sequences of 7 steps of 2 features
    >>> W_x, W_h, b = rng.normal(size=(12, 2)), rng.normal(size=(12, 3)), np.zeros(12)
    >>> lstm(x, W_x, W_h, b).shape
    (5, 3)
    >>> output, h, c = lstm(x, W_x, W_h, b, return_sequences=True, return_state=True)
    >>> output.shape, h.shape, c.shape
    ((5, 7, 3), (5, 3), (5, 3))
    """
    x, W_x, W_h, b = (np.asarray(array) for array in (x, W_x, W_h, b))
    single = x.ndim == 2
    if single:
        x = x[:, None] if time_major else x[None]
    _check_shapes(x, W_x, W_h, b)
    n_units = W_h.shape[1]
    dtype = np.result_type(x, W_x, W_h, b, np.float32)
    x = x if time_major else x.transpose(1, 0, 2)
    n_timesteps, n_samples, n_features = x.shape

    state = None
    if initial_state is not None:
        given = [np.asarray(array) for array in initial_state]
        shape = (n_units,) if single else (n_samples, n_units)
        if len(given) != 2 or any(array.shape != shape for array in given):
            raise ValueError(
                f"initial_state must be a pair of arrays (h, c) of shape {shape} each, got the "
                f"shapes {[array.shape for array in given]}."
            )
        h_0, c_0 = given
        state = h_0.T.reshape(n_units, -1), c_0.T.reshape(n_units, -1)
    W = np.column_stack([W_x, W_h, b]).astype(dtype, copy=False)
    h_out = np.empty((n_timesteps, n_units, n_samples), dtype) if return_sequences else None
    buffers = StateBuffers(n_features, n_units, np.dtype(dtype))
    buffers.start(n_samples, state)
    packing = Packing.equal(n_timesteps, n_samples)
    forward(
        W[gate_rows(n_units, KERNEL_ORDER)], buffers.steps(x.transpose(0, 2, 1), packing, h_out)
    )

    h, c = buffers.h.T, buffers.c.T  # (n_samples, n_units)
    output = h
    if h_out is not None:
        output = h_out.transpose(0, 2, 1) if time_major else h_out.transpose(2, 0, 1)
        if single:
            output = output[:, 0] if time_major else output[0]
    elif single:
        output = output[0]
    if single:
        h, c = h[0], c[0]
    return (output, h, c) if return_state else output


def _check_shapes(x: Floats, W_x: Floats, W_h: Floats, b: Floats) -> None:
    if x.ndim != 3:
        raise ValueError(
            f"x has the shape {x.shape}, but must be of shape (n_samples, n_timesteps, n_features) "
            "or (n_timesteps, n_features)."
        )
    if W_h.ndim != 2 or len(W_h) != 4 * W_h.shape[1]:
        raise ValueError(
            f"W_h has the shape {W_h.shape}, but must be of shape (4 * n_units, n_units)."
        )
    n_units = W_h.shape[1]
    for name, array, shape in (
        ("W_x", W_x, (4 * n_units, x.shape[2])),
        ("b", b, (4 * n_units,)),
    ):
        if array.shape != shape:
            raise ValueError(
                f"{name} has the shape {array.shape}, but x with {x.shape[2]} features and W_h "
                f"with {n_units} units need {name} of shape {shape}."
            )
