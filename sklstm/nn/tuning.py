"""Tuning constants of the kernel: they change the speed and the memory, never the model."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_TUNING", "Tuning"]


@dataclass(frozen=True)
class Tuning:
    """How the kernel divides its work.

    Sizes are counts of array elements, not bytes, so that the work is divided in the same way in
    float32 and float64. Changing ``backward_chunk``, ``min_threaded_sum``, ``n_chunks``,
    ``block_size`` or ``min_block`` changes the order of sums, and so the rounding. The Fortran
    order may change the rounding too. The other constants change no bit of the result.

    Measured on two cores with 2 MB of L2 cache each, in float32, as the time of a gradient: 32
    sequences of 50 steps of 8 features with 64 units, and 64 sequences of 100 steps of 16 features
    with 128 units.

    Parameters
    ----------
    forward_chunk : int
        Elements in the gates and derivatives of one chunk of steps in the forward pass. The
        derivatives of a chunk are computed when its last step is done. Larger chunks need fewer
        NumPy calls; smaller ones are still in the cache by then. 2 MB in float32. A quarter of it
        took up to 7 % longer, four times as much 5 to 7 %.
    backward_chunk : int
        Elements in the gate gradients of one chunk of steps in the backward pass, whose weight
        gradient is one matrix product. Larger products are more efficient until their factors leave
        the cache. A quarter or four times as much took 2 to 3 % longer.
    min_threaded_sum : int
        Multiplications in the weight gradient of a run of steps from which a second thread computes
        it. Below, handing the work over costs more than the work.
    n_chunks : int
        Least number of chunks of such a run, so that two threads can share them.
    n_pending : int
        Chunks whose weight gradients may wait to be added. More let the second thread fall further
        behind; each holds a matrix as large as the weights.
    ufunc_buffer : int
        Size of NumPy's ufunc buffer during training. With the default of 8192, NumPy copies short
        rows of a strided array into its buffer before it computes with them. That took up to 7 %
        longer.
    block_size : int
        Elements that the forward pass keeps for the backward pass. Training takes a larger batch
        through the network in blocks, which bounds the memory.
    min_block : int
        Least number of sequences in such a block: narrower matrix products are inefficient.
    min_fortran_steps, max_fortran_size : int
        A single sequence is computed with weights in Fortran order, in which BLAS multiplies a
        matrix by a vector faster. That pays for the copy from this many steps on, as long as the
        weights of a layer have at most this many elements and stay in the cache.
    max_kept_steps : int
        Steps of the longest sequence up to which the views of each step are kept from batch to
        batch. They take about 3 kB a step, so 200 MB for this many. Beyond, they are made each
        time: an epoch of 4 sequences then took 1.8 times as long with 64 units, 6 times with one.
    n_buffers : int
        Numbers of sequences whose training buffers are kept: the full batch, the smaller last one,
        and one more. Allocating them takes longer than a small network trains on a batch.
    """

    forward_chunk: int = 1 << 19
    backward_chunk: int = 1 << 18
    min_threaded_sum: int = 1 << 23
    n_chunks: int = 4
    n_pending: int = 4
    ufunc_buffer: int = 512
    block_size: int = 1 << 22
    min_block: int = 64
    min_fortran_steps: int = 16
    max_fortran_size: int = 1 << 17
    max_kept_steps: int = 1 << 16
    n_buffers: int = 3


DEFAULT_TUNING = Tuning()
