"""One LSTM layer over time: the forward pass, backpropagation through time, and their layout.

**Features first.** The state has the shape (n_units, n_sequences), with a column for each sequence.
A gate of a step is then one contiguous block, and every operation runs along contiguous memory.
Each step reads one block and works in another::

    inputs[t]  (n_inputs + n_units + 1, n_t)    [x_t; h_{t-1}; 1]
    gates      (6 * n_units, n_t)               [tanh(c_t); o; i; f; g; c_{t-1}]

The weights are one matrix W = [W_x W_h b], whose row blocks have the same order o, i, f, g. So one
matrix product per step computes all four gates, bias included. In this order the three sigmoids are
adjacent, and [i; f] and [g; c_{t-1}] line up, so that one multiplication gives both terms of c_t.
h_t is written directly into ``inputs[t + 1]``.

**One tanh for all gates.** sigmoid(z) = (1 + tanh(z / 2)) / 2: the rows of o, i and f in W are
halved once per call, and a single vectorised ``tanh`` covers the whole block.

**Packed columns.** The sequences of a batch are sorted by length, longest first, and aligned at
their end. The sequences that have started by step t are then the first n_t columns. All sequences
end together. Consecutive steps of equal n_t form a run; a batch of equal lengths is a single run.
Prediction computes no padding. Training rounds n_t up, so that batches have few runs; before a
sequence starts, all of its inputs are zero, that for the bias too, and so is its state.

**Derivatives in the forward pass.** The backward pass does not need the gates of a step but the
derivatives within the step. Training computes them in the forward pass, a chunk of steps at a time,
while the gates are still in the cache, and keeps only them and the inputs (``LayerBuffers``). A
step of the backward pass is then four NumPy calls, which turn the derivatives into the gradients in
place. Prediction keeps nothing per step (``StateBuffers``).

**Sums in a second thread.** The weight gradient is one matrix product over all sequences and a
chunk of steps. A second thread can compute it while the first goes on to earlier steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import repeat
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.backpropagation import (
    BackwardRun,
    BackwardStep,
    MadeWhenRead,
    PendingSums,
    local_derivatives,
)
from sklstm.nn.cell import Floats
from sklstm.nn.packing import Packing, Run
from sklstm.nn.products import product
from sklstm.nn.tuning import DEFAULT_TUNING, Tuning

__all__ = [
    "KERNEL_ORDER",
    "LayerBuffers",
    "StateBuffers",
    "backward",
    "forward",
    "gate_rows",
    "unbuffered",
]

# The order of the gates in the rows of W, see above.
KERNEL_ORDER = "oifg"

# Starts a function of a chunk in another thread; what it returns waits for the result.
Submit = Callable[[Callable[[slice], Floats], slice], Callable[[], Floats]]


def gate_rows(n_units: int, order: str) -> NDArray[np.intp]:
    """Return the row numbers that bring rows in the order i, f, g, o into another order of gates.

    With ``rows = gate_rows(n_units, "oifg")``, ``W[rows]`` is in the kernel's order if ``W`` is in
    the public one, and ``W_public[rows] = W_kernel`` converts back.
    """
    return np.concatenate([np.arange(n_units) + "ifgo".index(gate) * n_units for gate in order])


@contextmanager
def unbuffered(size: int = DEFAULT_TUNING.ufunc_buffer) -> Iterator[None]:
    """Make NumPy's ufunc buffer small, which speeds up training, see ``Tuning.ufunc_buffer``."""
    before = np.setbufsize(size)
    try:
        yield
    finally:
        np.setbufsize(before)


class Step:
    """Views of the arrays that one time step reads and writes.

    Attributes of slots cost no more in the time loop than local variables do; those of a
    NamedTuple cost 0.2 us a step.

    Parameters
    ----------
    inputs : ndarray of shape (n_inputs + n_units + 1, n_t)
        [x_t; h_{t-1}; 1].
    gates : ndarray of shape (6 * n_units, n_t)
        Receives [tanh(c_t); o; i; f; g]; the last rows hold c_{t-1}.
    products : ndarray of shape (2 * n_units, n_t)
        Receives [i * g; f * c_{t-1}].
    c, h : ndarray of shape (n_units, n_t)
        Receive c_t and h_t.
    h_next : ndarray of shape (n_units, n_t)
        What the next step reads: ``h`` itself, except with recurrent dropout.
    """

    __slots__ = (
        *("x", "inputs", "z", "sigmoids", "i_f", "g_c", "products", "ig", "fc"),
        *("c", "tanh_c", "o", "h", "h_next"),
    )

    def __init__(
        self, inputs: Floats, gates: Floats, products: Floats, c: Floats, h: Floats, h_next: Floats
    ) -> None:
        n = len(gates) // 6
        self.x = inputs[: -n - 1]
        self.inputs = inputs
        self.z = gates[n : 5 * n]  # z_t, then [o; i; f; g]
        self.sigmoids = gates[n : 4 * n]  # [o; i; f]
        self.i_f = gates[2 * n : 4 * n]
        self.g_c = gates[4 * n :]  # [g; c_{t-1}]
        self.products = products
        self.ig = products[:n]
        self.fc = products[n:]
        self.c = c
        self.tanh_c = gates[:n]
        self.o = gates[n : 2 * n]
        self.h = h
        self.h_next = h_next


# For every step, nothing: an iterator that never ends and has no state.
NOTHING: Iterable[None] = repeat(None)


def halve_sigmoid_rows(W: Floats, order: Literal["C", "F"] = "C") -> Floats:
    """Return a copy of W for ``forward_steps``, in which the rows of o, i and f are halved.

    ``order`` is the memory layout of the copy. BLAS multiplies a matrix in Fortran order by a
    single column faster.
    """
    W_halved = W.copy(order)
    W_halved[: len(W) // 4 * 3] *= np.array(0.5, W.dtype)
    return W_halved


def forward_steps(
    W_halved: Floats,
    n_columns: int,
    steps: Iterable[Step],
    mask: Floats | None = None,
    x: Iterable[Floats | None] = NOTHING,
    h_out: Iterable[Floats | None] = NOTHING,
) -> None:
    """Compute time steps one after the other: the only loop over time of the forward pass.

    Parameters
    ----------
    W_halved : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        [W_x W_h b], gates in the order o, i, f, g, from ``halve_sigmoid_rows``.
    n_columns : int
        Sequences in each step.
    steps : iterable of Step
        The steps, with the state before the first one in place.
    mask : ndarray of shape (n_units, n_sequences), default=None
        Recurrent dropout: factors of h_{t-1} on its way into the gates, the same at every step.
    x : iterable of ndarray of shape (n_inputs, n_t), optional
        Input of each step; by default it is in place already.
    h_out : iterable of ndarray of shape (n_units, n_t), optional
        Receives the hidden state of each step; by default it is not copied.
    """
    tanh, multiply, add = np.tanh, np.multiply, np.add
    multiply_W = product(W_halved, n_columns)
    half = np.array(0.5, W_halved.dtype)  # a Python number would cost more at every call
    for step, x_t, h_out_t in zip(steps, x, h_out, strict=False):
        if x_t is not None:
            step.x[...] = x_t
        # z_t = W_x x_t + W_h h_{t-1} + b
        multiply_W(step.inputs, step.z)  # (4 * n_units, n_t)
        # o, i, f = sigmoid(z);  g = tanh(z_g)
        tanh(step.z, step.z)
        multiply(step.sigmoids, half, step.sigmoids)
        add(step.sigmoids, half, step.sigmoids)  # (3 * n_units, n_t)
        # c_t = i * g + f * c_{t-1}
        multiply(step.i_f, step.g_c, step.products)  # (2 * n_units, n_t)
        add(step.ig, step.fc, step.c)  # (n_units, n_t)
        # h_t = o * tanh(c_t)
        tanh(step.c, step.tanh_c)
        multiply(step.o, step.tanh_c, step.h)  # (n_units, n_t)
        if mask is not None:
            multiply(step.h, mask[:, : step.h.shape[1]], step.h_next)
        if h_out_t is not None:
            h_out_t[...] = step.h


class RunBlocks(NamedTuple):
    """The arrays of one run of steps in training."""

    inputs: Floats  # (n_steps, n_inputs + n_units + 1, width)
    # Derivatives from the forward pass, which the backward pass turns into gradients.
    tape: Floats  # (n_steps, 6 * n_units, width)
    chunks: list[Chunk]
    h_before: Floats  # (n_units, width): where the first step looks for the state before it
    c_before: Floats


class Chunk(NamedTuple):
    """Consecutive steps whose derivatives are computed together."""

    steps: Sequence[Step]
    gates: Floats  # (n_steps, 6, n_units, width)
    tape: Floats  # (n_steps, 6, n_units, width)


class LayerBuffers:
    """The arrays in which one layer trains on batches of a number of sequences.

    They are the cache that ``forward`` fills and ``backward`` reads. They serve any packing of up
    to a number of steps, see ``arrange``; each call overwrites what the previous one has left. Each
    step has a place in them, counted from the last step. So the views that a step needs are the
    same in all packings in which it has the same width, and are made once.

    Parameters
    ----------
    n_inputs, n_units : int
        Width of the layer's input and of its state.
    packing : Packing
        How the first batch is arranged in columns. Others have as many sequences, and at most as
        many steps.
    dtype : dtype
        float32 or float64.
    dropping : bool, default=False
        Whether ``forward`` will be given a mask. The hidden states are then kept apart from what
        the next step reads.
    tuning : Tuning, optional
        How the work is divided.

    Attributes
    ----------
    packing : Packing
        How the batch is arranged in columns.
    runs : list of RunBlocks
        The arrays of each run of steps.
    h_last, c_last : ndarray of shape (n_units, n_sequences)
        State after the last step; zero for a sequence without steps.
    backward_runs : list of BackwardRun
        The runs, as ``backward`` goes through them.
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        packing: Packing,
        dtype: np.dtype,
        *,
        dropping: bool = False,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self.n_inputs, self.n_units, self.dtype = n_inputs, n_units, dtype
        self.tuning = tuning
        self.max_timesteps, self.n_sequences = len(packing.widths), packing.n_sequences
        n_rows = n_inputs + n_units + 1

        def room(n_rows: int) -> Floats:
            return np.empty((self.max_timesteps, n_rows * self.n_sequences), dtype)

        self._inputs = room(n_rows)  # [x_t; h_{t-1}; 1] of each step
        # Derivatives from the forward pass, which the backward pass turns into gradients.
        self._tape = room(6 * n_units)
        self._dropped = room(n_units) if dropping else None  # h_t, beside what the next step reads
        # The gates of a chunk: one chunk after the other uses the same.
        n_steps = max(1, tuning.forward_chunk // (12 * n_units * self.n_sequences))
        n_steps = min(self.max_timesteps, n_steps)
        self._gates = np.empty(n_steps * 6 * n_units * self.n_sequences, dtype)
        self.h_last = np.zeros((n_units, self.n_sequences), dtype)
        self.c_last = np.zeros((n_units, self.n_sequences), dtype)
        self._keeps_steps = self.max_timesteps <= tuning.max_kept_steps
        # For each width, the views of all steps.
        self._steps: dict[int, list[Step]] = {}
        self._backward_steps: dict[int, list[BackwardStep]] = {}
        self._room: deque[Floats] = deque()
        self.packing = packing
        self._lay_out(packing)
        self.arrange(packing)

    def arrange(self, packing: Packing) -> None:
        """Set up the arrays for batches of a packing."""
        if packing.runs != self.packing.runs:
            self._lay_out(packing)
        self.packing = packing
        for blocks in self.runs:
            blocks.inputs[:, -1] = 1
        # Before a sequence starts within a run, its inputs are zero, the row of ones included. So
        # its state stays zero, and the weights get no gradient.
        self._unread_x, self._unread_derivatives = [], []
        for k, columns, n_steps in packing.lead_ins:
            inputs, tape = (blocks[:n_steps, :, columns] for blocks in self.runs[k][:2])
            inputs[:, -1] = 0
            self._unread_x.append(inputs[:, : self.n_inputs])
            self._unread_derivatives.append(tape[:, : 2 * self.n_units])  # Q and N

    def _lay_out(self, packing: Packing) -> None:
        """Divide the arrays into the runs of a packing."""
        first = self.max_timesteps - len(packing.widths)  # place of the first step
        runs = [Run(first + start, first + stop, width) for start, stop, width in packing.runs]
        self.runs = [self._blocks_of(run, is_last=run == runs[-1]) for run in runs]
        self.backward_runs = []
        for run, blocks in zip(runs, self.runs, strict=True):
            steps = self._all_backward_steps(run.width)[run.start : run.stop]
            self.backward_runs.append(BackwardRun(blocks.tape, blocks.inputs, self.tuning, steps))

    def _blocks_of(self, run: Run, *, is_last: bool) -> RunBlocks:
        """Return the arrays of a run, divided into chunks."""
        inputs, tape = self._blocks(self._inputs, run), self._blocks(self._tape, run)
        steps = self._steps_of(run, is_last=is_last)
        gates, chunks, first = self._gates_of(run.width), [], run.start
        c_before = gates[first % len(gates), 5 * self.n_units :]
        while first < run.stop:
            # Chunks begin at the same places in all packings, as the gates of a step are the same.
            begin, k = first % len(gates), first - run.start
            n_steps = min(len(gates) - begin, run.stop - first)
            shape = n_steps, 6, self.n_units, run.width
            chunk = gates[begin : begin + n_steps], tape[k : k + n_steps]
            chunks.append(Chunk(steps[k : k + n_steps], *(part.reshape(shape) for part in chunk)))
            first += n_steps
        return RunBlocks(inputs, tape, chunks, inputs[0, self.n_inputs : -1], c_before)

    def _blocks(self, room: Floats, run: Run) -> Floats:
        """Return what the steps of a run have in an array, of shape (n_steps, n_rows, width)."""
        n_rows = room.shape[1] // self.n_sequences
        blocks = room[run.start : run.stop, : n_rows * run.width]
        return blocks.reshape(run.stop - run.start, n_rows, run.width)

    def _block(self, room: Floats, place: int, width: int) -> Floats:
        return self._blocks(room, Run(place, place + 1, width))[0]

    def _gates_of(self, width: int) -> Floats:
        """Return the gates of the steps of a chunk, of shape (n_steps, 6 * n_units, width)."""
        n_rows = 6 * self.n_units
        n_steps = min(self.max_timesteps, len(self._gates) // (n_rows * width))
        return self._gates[: n_steps * n_rows * width].reshape(n_steps, n_rows, width)

    def _steps_of(self, run: Run, *, is_last: bool) -> Sequence[Step]:
        """Return the steps of a run."""
        last = self._last_step(run, is_last=is_last)
        if self._keeps_steps:
            return [*self._all_steps(run.width)[run.start : run.stop - 1], last]

        def step(place: int) -> Step:
            return last if place == run.stop - 1 else self._step(place, run.width)

        return MadeWhenRead(step, range(run.start, run.stop))

    def _all_steps(self, width: int) -> list[Step]:
        """Return the steps of a width, each as another one of that width follows it."""
        if width not in self._steps:
            places = range(self.max_timesteps - 1)
            self._steps[width] = [self._step(place, width) for place in places]
        return self._steps[width]

    def _step(self, place: int, width: int) -> Step:
        """Return the step at a place, which another one of that width follows."""
        gates = self._gates_of(width)
        h = self._block(self._inputs, place + 1, width)[self.n_inputs : -1]
        c = gates[(place + 1) % len(gates), 5 * self.n_units :]
        return self._make_step(place, width, c, h)

    def _last_step(self, run: Run, *, is_last: bool) -> Step:
        """Return the last step of a run, which leaves the state in ``h_last`` and ``c_last``."""
        h, c = self.h_last[:, : run.width], self.c_last[:, : run.width]
        step = self._make_step(run.stop - 1, run.width, c, h)
        if is_last:  # no step follows that would read h with a mask
            step.h, step.h_next = step.h_next, step.h
        return step

    def _make_step(self, place: int, width: int, c: Floats, h_next: Floats) -> Step:
        gates, n = self._gates_of(width), self.n_units
        h = h_next
        if self._dropped is not None:
            # The mask is on what the next step reads, not on the hidden states that others read.
            h = self._block(self._dropped, place, width)
        inputs, tape = (self._block(room, place, width) for room in (self._inputs, self._tape))
        return Step(inputs, gates[place % len(gates)], tape[2 * n : 4 * n], c, h, h_next)

    def _all_backward_steps(self, width: int) -> Sequence[BackwardStep]:
        """Return the steps of a width in the backward pass."""
        blocks = self._blocks(self._tape, Run(0, self.max_timesteps, width))
        if not self._keeps_steps:
            return MadeWhenRead(lambda k: BackwardStep.of(blocks[k]), range(len(blocks)))
        if width not in self._backward_steps:
            self._backward_steps[width] = [BackwardStep.of(block) for block in blocks]
        return self._backward_steps[width]

    @property
    def room(self) -> deque[Floats]:
        """Scratch arrays for ``BackwardRun.weight_gradient``, one for each of two threads."""
        n_columns = max((run.n_columns for run in self.backward_runs), default=0)
        size = (self.n_inputs + 5 * self.n_units + 1) * n_columns
        if not self._room or len(self._room[0]) < size:
            self._room = deque(np.empty((2, size), self.dtype))
        return self._room

    @cached_property
    def _dx(self) -> Floats:
        return np.zeros((self.max_timesteps, self.n_inputs, self.n_sequences), self.dtype)

    @property
    def dx(self) -> Floats:
        """Gradient with respect to the input, of shape (n_timesteps, n_inputs, n_sequences)."""
        return self._dx[self.max_timesteps - len(self.packing.widths) :]

    def load(self, x: Floats) -> None:
        """Copy the input of a batch into place, and set the state before it to zero.

        Parameters
        ----------
        x : ndarray of shape (n_timesteps, n_inputs, n_sequences)
            Only the columns that are active at a step are read.
        """
        for blocks, (start, stop, width) in zip(self.runs, self.packing.runs, strict=True):
            blocks.inputs[:, : self.n_inputs] = x[start:stop, :, :width]
        for view in (*self._unread_x, self.h_last, self.c_last):
            view[...] = 0

    def stop_gradients(self) -> None:
        """Let no gradient go further back than to the start of a sequence."""
        for view in self._unread_derivatives:  # Q and N
            view[...] = 0

    def copy_hidden_states(self, out: Floats) -> None:
        """Copy the hidden states of all steps into an array.

        Parameters
        ----------
        out : ndarray of shape (n_timesteps, n_units, n_sequences)
            Receives zero in the steps of a run before a sequence starts; earlier columns are not
            written.
        """
        first = self.max_timesteps - len(out)
        n, runs = self.n_inputs, self.packing.runs
        for k, (start, stop, width) in enumerate(runs):
            if self._dropped is None:
                # h_t is where step t + 1 reads it.
                out[start : stop - 1, :, :width] = self.runs[k].inputs[1:, n:-1]
            else:
                run = Run(first + start, first + stop, width)
                out[start:stop, :, :width] = self._blocks(self._dropped, run)
            if k == len(runs) - 1:
                out[stop - 1, :, :width] = self.h_last[:, :width]
            elif self._dropped is None:
                out[stop - 1, :, :width] = self.runs[k + 1].h_before[:, :width]


class StateBuffers:
    """The arrays in which one layer predicts: every step uses the same ones.

    Parameters
    ----------
    n_inputs, n_units : int
        Width of the layer's input and of its state.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    h, c : ndarray of shape (n_units, width)
        State of the sequences that have started.
    """

    def __init__(self, n_inputs: int, n_units: int, dtype: np.dtype) -> None:
        self.n_inputs, self.n_units, self.dtype = n_inputs, n_units, dtype
        self.h = self.c = np.empty((n_units, 0), dtype)  # none has started

    def run(
        self,
        W: Floats,
        x: Floats,
        packing: Packing,
        *,
        state: tuple[Floats, Floats] | None = None,
        h_out: Floats | None = None,
        order: Literal["C", "F"] = "C",
    ) -> Floats:
        """Run the layer over a batch and keep nothing but the last state.

        Parameters
        ----------
        W : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
            [W_x W_h b], gates in the order o, i, f, g.
        x : ndarray of shape (n_timesteps, n_inputs, n_sequences)
            Only the columns that are active at a step are read.
        packing : Packing
            How the batch is arranged in columns.
        state : tuple (h, c) of ndarray of shape (n_units, n_sequences), default=None
            State before the first step; zero if None. Given, all sequences must have the same
            length.
        h_out : ndarray of shape (n_timesteps, n_units, n_sequences), default=None
            Receives the hidden states of all steps.
        order : {"C", "F"}, default="C"
            Memory layout of the weights, see ``halve_sigmoid_rows``.

        Returns
        -------
        ndarray of shape (n_units, n_sequences)
            Last hidden state: ``self.h``, which the next call overwrites.
        """
        W_halved = halve_sigmoid_rows(W, order)
        self._start(packing.widths[0] if packing.widths else packing.n_sequences, state)
        for start, stop, width in packing.exact_runs:
            self._widen(width)
            forward_steps(
                W_halved,
                width,
                repeat(self._step),
                x=x[start:stop, :, :width],
                h_out=NOTHING if h_out is None else h_out[start:stop, :, :width],
            )
        self._widen(packing.n_sequences)
        return self.h

    def _start(self, width: int, state: tuple[Floats, Floats] | None) -> None:
        """Set the state before the first step."""
        if self.h.shape[1] != width:
            self._allocate(width)
        self.h[...], self.c[...] = (0, 0) if state is None else state

    def _widen(self, width: int) -> None:
        """Let more sequences start, from a state of zero."""
        h, c = self.h, self.c
        n_started = h.shape[1]
        if width != n_started:
            self._allocate(width)
            self.h[:, :n_started], self.c[:, :n_started] = h, c

    def _allocate(self, width: int) -> None:
        n = self.n_units
        inputs = np.zeros((self.n_inputs + n + 1, width), self.dtype)
        inputs[-1] = 1
        gates = np.zeros((6 * n, width), self.dtype)
        self.h, self.c = inputs[self.n_inputs : -1], gates[5 * n :]
        products = np.empty((2 * n, width), self.dtype)
        self._step = Step(inputs, gates, products, c=self.c, h=self.h, h_next=self.h)


def forward(
    W: Floats,
    x: Floats,
    buffers: LayerBuffers,
    *,
    mask: Floats | None = None,
    h_out: Floats | None = None,
) -> Floats:
    """Run a layer over a batch and keep what ``backward`` needs.

    Parameters
    ----------
    W : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        [W_x W_h b], gates in the order o, i, f, g.
    x : ndarray of shape (n_timesteps, n_inputs, n_sequences)
        Only the columns that are active at a step are read.
    buffers : LayerBuffers
        Filled for ``backward``.
    mask : ndarray of shape (n_units, n_sequences), default=None
        Recurrent dropout, see ``forward_steps``.
    h_out : ndarray of shape (n_timesteps, n_units, n_sequences), default=None
        Receives the hidden states of all steps.

    Returns
    -------
    ndarray of shape (n_units, n_sequences)
        Last hidden state: ``buffers.h_last``.
    """
    buffers.load(x)
    W_halved = halve_sigmoid_rows(W)
    for run in buffers.runs:
        # Sequences that have not started have a state of zero.
        run.h_before[...] = buffers.h_last[:, : run.h_before.shape[1]]
        run.c_before[...] = buffers.c_last[:, : run.c_before.shape[1]]
        for chunk in run.chunks:
            forward_steps(W_halved, run.inputs.shape[2], chunk.steps, mask)
            local_derivatives(chunk.gates, out=chunk.tape)
    buffers.stop_gradients()
    if h_out is not None:
        buffers.copy_hidden_states(h_out)
    return buffers.h_last


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
    """Backpropagate through the batch of the last call of ``forward``.

    Parameters
    ----------
    W : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        The weights that ``forward`` was given.
    buffers : LayerBuffers
        From ``forward``; what it has kept is overwritten.
    dW : ndarray of shape (4 * n_units, n_inputs + n_units + 1)
        The gradient of the loss with respect to W is added to it.
    dh_last : ndarray of shape (n_units, n_sequences), default=None
        Gradient of the loss with respect to the last hidden state; zero if None.
    dh : ndarray of shape (n_timesteps, n_units, n_sequences), default=None
        Gradient of the loss with respect to the hidden states of all steps; zero if None. Before a
        sequence starts, any finite numbers.
    with_dx : bool, default=False
        Whether to compute the gradient with respect to the input, in ``buffers.dx``.
    mask : ndarray of shape (n_units, n_sequences), default=None
        The mask that ``forward`` was given.
    submit : callable, default=None
        Starts a function in one other thread, after those it was given before, and returns a
        function that waits for the result. None computes everything in this thread, with the same
        result.
    """
    W_x_T, W_h_T = np.split(np.ascontiguousarray(W[:, :-1].T), [buffers.n_inputs])
    sums = PendingSums(dW, buffers.tuning.n_pending)
    dc_last = None
    for (start, stop, width), run in zip(
        reversed(buffers.packing.runs), reversed(buffers.backward_runs), strict=True
    ):
        # The later run is at least as wide: of its columns, the first ones started before it.
        run.begin(dh_last, dc_last)
        dh_run = None if dh is None else dh[start:stop, :, :width]
        dx_run = buffers.dx[start:stop, :, :width] if with_dx else None
        mask_run = None if mask is None else mask[:, :width]
        gradients = partial(run.gradients, W_x_T=W_x_T, dx=dx_run, room=buffers.room)
        for chunk in run.chunks:
            run.go_back(chunk, W_h_T, dh_run, mask_run)
            if submit is None or not run.is_large:
                dW += gradients(chunk)
            else:
                sums.append(submit(gradients, chunk))
        sums.finish()
        dh_last, dc_last = run.dh, run.dc
