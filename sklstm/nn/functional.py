"""One LSTM layer as a function of arrays."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from sklstm.nn.cell import Floats
from sklstm.nn.layer import KERNEL_ORDER, StateBuffers, gate_rows
from sklstm.nn.packing import Packing

__all__ = ["lstm"]


@overload
def lstm(
    x: Floats,
    W_x: Floats,
    W_h: Floats,
    b: Floats,
    *,
    initial_state: tuple[Floats, Floats] | None = None,
    return_sequences: bool = False,
    return_state: Literal[False] = False,
    time_major: bool = False,
) -> Floats: ...
@overload
def lstm(
    x: Floats,
    W_x: Floats,
    W_h: Floats,
    b: Floats,
    *,
    initial_state: tuple[Floats, Floats] | None = None,
    return_sequences: bool = False,
    return_state: Literal[True],
    time_major: bool = False,
) -> tuple[Floats, Floats, Floats]: ...
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
    buffers.run(
        W[gate_rows(n_units, KERNEL_ORDER)],
        x.transpose(0, 2, 1),
        Packing.equal(n_timesteps, n_samples),
        state=state,
        h_out=h_out,
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
