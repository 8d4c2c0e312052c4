"""The backward pass of a layer, a run of steps at a time: derivatives, loop, weight gradients.

``sklstm.nn.layer`` describes the layout of the arrays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from sklstm.nn.cell import Floats
from sklstm.nn.products import product
from sklstm.nn.tuning import DEFAULT_TUNING, Tuning

__all__ = ["BackwardRun", "BackwardStep", "MadeWhenRead", "PendingSums", "local_derivatives"]

Element = TypeVar("Element")


class MadeWhenRead(Sequence[Element], Generic[Element]):
    """A sequence whose elements are made each time they are read, and not kept.

    Parameters
    ----------
    make : callable
        Takes the number of an element.
    numbers : range
        The numbers of the elements.
    """

    def __init__(self, make: Callable[[int], Element], numbers: range) -> None:
        self._make, self._numbers = make, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return MadeWhenRead(self._make, self._numbers[key])
        return self._make(self._numbers[key])


class PendingSums:
    """Arrays that another thread computes, and that are added to a total in a fixed order.

    Parameters
    ----------
    total : ndarray
        Changed in place.
    n_pending : int
        How many may wait.
    """

    def __init__(self, total: Floats, n_pending: int) -> None:
        self._total, self._n_pending = total, n_pending
        self._results: deque[Callable[[], Floats]] = deque()

    def append(self, result: Callable[[], Floats]) -> None:
        """Add what ``result`` returns, now or later; wait for the oldest if too many wait."""
        self._results.append(result)
        if len(self._results) > self._n_pending:
            self._total += self._results.popleft()()

    def finish(self) -> None:
        """Add all that still wait."""
        # Ask for the last first: this thread computes those that the other has not begun.
        arrays = [result() for result in reversed(self._results)]
        self._results.clear()
        for array in reversed(arrays):
            self._total += array


class BackwardStep(NamedTuple):
    """Views of the factors of a step, and of the gradients that they become in place."""

    Q_N: Floats  # (2, n_units, n_t): [Q; N], then [dc_t; dz_o]
    M: Floats  # (4, n_units, n_t): M, then [dz_i; dz_f; dz_g; dc_{t-1}]
    dc: Floats  # (n_units, n_t): dc_t
    dc_row: Floats  # (1, n_units, n_t): dc_t
    dz: Floats  # (4 * n_units, n_t): gradient with respect to z_t, gates as in W
    dc_before: Floats  # (n_units, n_t): dc_{t-1}

    @classmethod
    def of(cls, block: Floats) -> BackwardStep:
        """Return the views of the derivatives of a step, of shape (6 * n_units, n_t)."""
        n = len(block) // 6
        blocks = block.reshape(6, n, -1)
        return cls(blocks[:2], blocks[2:], blocks[0], blocks[:1], block[n : 5 * n], blocks[5])


class BackwardRun:
    """A run of steps in the backward pass.

    Parameters
    ----------
    tape : ndarray of shape (n_steps, 6 * n_units, width)
        Derivatives from the forward pass, overwritten with the gradients.
    inputs : ndarray of shape (n_steps, n_inputs + n_units + 1, width)
        Inputs from the forward pass.
    tuning : Tuning, optional
        How the run is divided into chunks.
    steps : sequence of BackwardStep, default=None
        The views of each step of the tape; made if None.

    Attributes
    ----------
    chunks : list of slice
        The run divided into chunks, the last steps first.
    n_columns : int
        Steps times sequences in the largest chunk.
    is_large : bool
        Whether a second thread pays.
    dz : ndarray of shape (n_steps, 4 * n_units, width)
        Gradient with respect to z_t, gates as in W.
    dh, dc : ndarray of shape (n_units, width)
        Gradient with respect to the state before the last step that was gone through.
    """

    def __init__(
        self,
        tape: Floats,
        inputs: Floats,
        tuning: Tuning = DEFAULT_TUNING,
        steps: Sequence[BackwardStep] | None = None,
    ) -> None:
        n_steps, n_rows, width = inputs.shape
        n = tape.shape[1] // 6
        self.inputs, self.dz = inputs, tape[:, n : 5 * n]
        self._steps = [BackwardStep.of(block) for block in tape] if steps is None else steps
        self.is_large = 4 * n * n_rows * n_steps * width >= tuning.min_threaded_sum
        chunk = min(n_steps, max(1, tuning.backward_chunk // (4 * n * width)))
        if self.is_large:
            chunk = min(chunk, -(-n_steps // tuning.n_chunks))
        self.chunks = [slice(max(0, last - chunk), last) for last in range(n_steps, 0, -chunk)]
        self.n_columns = chunk * width
        self.dh = np.empty((n, width), tape.dtype)
        self.dc = self._dc_last = np.empty((n, width), tape.dtype)

    def begin(self, dh: Floats | None, dc: Floats | None) -> None:
        """Set the gradient with respect to the state after the run; None is zero."""
        width = self.dh.shape[1]
        self.dc = self._dc_last
        self.dh[...] = 0 if dh is None else dh[:, :width]
        self.dc[...] = 0 if dc is None else dc[:, :width]

    def go_back(self, chunk: slice, W_h_T: Floats, dh: Floats | None, mask: Floats | None) -> None:
        """Go through the steps of a chunk, from the last to the first."""
        multiply_W_h_T, multiply, add = product(W_h_T, self.dh.shape[1]), np.multiply, np.add
        dh_t, dc_next = self.dh, self.dc
        for k in reversed(range(chunk.start, chunk.stop)):
            Q_N, M, dc_t, dc_row, dz, dc_before = self._steps[k]
            if dh is not None:
                add(dh_t, dh[k], dh_t)
            # dc_t = dh_t * Q + (dc_t of the next step);  dz_o = dh_t * N
            multiply(dh_t, Q_N, Q_N)  # (2, n_units, n_t)
            add(dc_t, dc_next, dc_t)
            # [dz_i; dz_f; dz_g; dc_{t-1}] = dc_t * M
            multiply(dc_row, M, M)  # (4, n_units, n_t)
            # dh_{t-1} = W_h^T dz_t
            multiply_W_h_T(dz, dh_t)  # (n_units, n_t)
            if mask is not None:
                multiply(dh_t, mask, dh_t)
            dc_next = dc_before
        self.dc = dc_next

    def gradients(
        self, chunk: slice, W_x_T: Floats, dx: Floats | None, room: deque[Floats]
    ) -> Floats:
        """Compute the gradients of a chunk with respect to its input, in ``dx``, and to W."""
        if dx is not None:
            # dx_t = W_x^T dz_t
            np.matmul(W_x_T, self.dz[chunk], out=dx[chunk])  # (n_steps, n_inputs, width)
        return self.weight_gradient(chunk, room)

    def weight_gradient(self, chunk: slice, room: deque[Floats]) -> Floats:
        """Compute the gradient with respect to W, summed over the steps of a chunk."""
        blocks, taken = self.dz[chunk], room.pop()
        try:
            # dW = sum over t of dz_t [x_t; h_{t-1}; 1]^T: one product over all steps and sequences
            dz = _side_by_side(blocks, taken)  # (4 * n_units, n_steps * width)
            inputs = _side_by_side(self.inputs[chunk], taken[blocks.size :])
            dW: Floats = dz.dot(inputs.T)  # (4 * n_units, n_inputs + n_units + 1)
        finally:
            room.append(taken)
        return dW


def _side_by_side(blocks: Floats, out: Floats) -> Floats:
    """Copy blocks (n_steps, n_rows, width) to the start of ``out``: (n_rows, n_steps * width)."""
    n_steps, n_rows, width = blocks.shape
    joined = out[: blocks.size].reshape(n_rows, n_steps, width)
    joined[...] = blocks.transpose(1, 0, 2)
    return joined.reshape(n_rows, n_steps * width)


def local_derivatives(gates: Floats, out: Floats) -> None:
    """Compute the derivatives within the steps of a chunk, which need no gradient from outside.

    Parameters
    ----------
    gates : ndarray of shape (n_steps, 6, n_units, n_t)
        From ``forward_steps``; used as scratch space, except for c.
    out : ndarray of shape (n_steps, 6, n_units, n_t)
        Holds P = [i g; f c_{t-1}] in the rows of M_i and M_f. Receives [Q; N; M_i; M_f; M_g; M_c]::

            Q = dh_t / dc_t = o (1 - tanh(c_t)^2)
            N = dh_t / dz_o = tanh(c_t) o (1 - o)
            M = dc_t / d[z_i; z_f; z_g; c_{t-1}] = [i g (1 - i); f c_{t-1} (1 - f); i (1 - g^2); f]
    """
    tanh_c, o, i, f, g = (gates[:, k] for k in range(5))  # (n_steps, n_units, n_t) each
    h = i  # h takes the place of i, when i is no longer needed
    tanh_c_o, o_h, i_f = gates[:, :2], gates[:, 1:3], gates[:, 2:4]
    Q_N, P, M_g, M_c = out[:, :2], out[:, 2:4], out[:, 4], out[:, 5]

    # [M_i; M_f] = P - P * [i; f];  M_g = i - (i g) g
    P_if = np.multiply(P, i_f, out=Q_N)
    np.multiply(P[:, 0], g, out=M_g)
    np.subtract(i, M_g, out=M_g)
    np.subtract(P, P_if, out=P)
    M_c[...] = f
    # [Q; N] = [o; h] - h * [tanh(c_t); o]
    np.multiply(o, tanh_c, out=h)
    np.multiply(gates[:, 2:3], tanh_c_o, out=Q_N)
    np.subtract(o_h, Q_N, out=Q_N)
