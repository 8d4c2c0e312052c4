"""The linear part beside the LSTM: where it starts, and how much of the LSTM is added to it.

It starts as a ridge regression on the last time steps. The Gram matrix is summed a block of
sequences at a time in float64 and in a fixed order, so no window is copied, memory does not grow
with the number of samples, and the result is reproducible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklstm.nn.cell import Floats
from sklstm.nn.losses import Loss
from sklstm.nn.network import Network
from sklstm.nn.prediction import blocks_of
from sklstm.nn.recent import RecentSteps
from sklstm.nn.sequences import Sequences, as_contiguous

__all__ = [
    "Gram",
    "LinearStart",
    "Ridge",
    "autocorrelation",
    "drift",
    "lstm_fraction",
    "mixture",
    "recent_steps",
    "weights_of_complete",
    "with_ridge",
]

# Sequences in a block of the Gram matrix.
_BLOCK_SIZE = 1024

# Penalties of the ridge per unit of weight, in units of the standardised inputs' variance.
_PENALTIES = np.logspace(-6, 6, 49)

# The least fraction of the degrees of freedom that a ridge must leave.
_LEAST_FREEDOM = 0.1

# The largest fraction of sequences with missing steps that a ridge leaves out. On the training
# parts of the forecasting sets, leaving out up to a seventh made the errors 2 to 6 % smaller, and
# leaving out a quarter or more made them 8 to 11 % larger.
_MOST_INCOMPLETE = 1 / 6

# Independent validation samples that say beforehand that the LSTM adds nothing to the ridge. More
# make the result safer, fewer let the LSTM contribute more. On the training parts of the
# forecasting sets, 4 and 8 have nearly the same mean error (0.964 and 0.966 of the ridge); 4 is
# better on the nonlinear sets, 8 is safer on the others. Without the effective number, errors
# several steps ahead are 1.5 % larger, and a random walk is mistaken for progress more often.
_N_DOUBTS = 5

# Parts of the rows whose means are compared.
_N_PARTS = 5

# Fractions of the LSTM that are tried.
_FRACTIONS = np.linspace(0, 1, 101)


def recent_steps(
    sequences: Sequences,
    rows: NDArray[np.intp],
    weights: Floats,
    n_steps: int,
    dtype: np.dtype | None = None,
) -> RecentSteps:
    """Return how the linear part reads sequences: with mean and scale of some of them.

    Parameters
    ----------
    sequences : Sequences
        The sequences.
    rows : ndarray of shape (n_samples,)
        Numbers of the training sequences.
    weights : ndarray of shape (n_sequences,)
        Weights of all sequences.
    n_steps : int
        Time steps that the linear part reads.
    dtype : dtype, default=None
        Precision that the sequences are rounded to; None keeps their own.

    Raises
    ------
    ValueError
        If the squares of the features are too large for float64.
    """
    n_features = sequences.n_features
    nothing = RecentSteps(n_steps, np.zeros(n_features), np.ones(n_features))
    total = np.zeros((3, n_features))  # weight, sum and sum of squares of the real steps
    # Around the first real value, so that a large level costs no digits.
    origin = np.zeros(n_features)
    is_first = True
    for block in blocks_of(len(rows), _BLOCK_SIZE):
        # (n_samples, n_steps, n_features)
        steps = as_contiguous(sequences.steps(rows[block], n_steps), dtype)
        is_real = ~np.isnan(steps[:, :, 0])
        if is_first and is_real.any():
            origin, is_first = steps[is_real][0].astype(np.float64), False
        w = np.where(is_real, weights[rows[block], np.newaxis], 0).astype(np.float64)
        centred = np.where(is_real[:, :, np.newaxis], steps - origin, 0)
        total[0] += w.sum()
        total[1] += np.einsum("st,stf->f", w, centred)
        total[2] += np.einsum("st,stf->f", w, centred**2)
    if not np.isfinite(total).all():
        raise ValueError(
            "X contains values too large to be standardised for the linear part; divide it by a "
            "constant, or set linear_skip=0."
        )
    weight, first, second = total
    if not weight.any():
        return nothing
    mean = first / weight
    variance = np.maximum(second / weight - mean**2, 0)
    level = 10 * np.finfo(np.float64).eps * np.maximum(np.abs(mean + origin), np.sqrt(second))
    scale = np.where(variance > level**2, np.sqrt(variance), 1.0)
    return RecentSteps(n_steps, mean + origin, scale)


def weights_of_complete(
    sequences: Sequences, rows: NDArray[np.intp], weights: Floats, n_steps: int
) -> Floats:
    """Return weights that are zero for sequences of which one of the last steps is missing.

    The mean that stands for a missing step may be far from the steps around it, for instance at
    the beginning of a series with a trend: such a sequence would bend the ridge. Where they are
    more than ``_MOST_INCOMPLETE`` of the weight, too much would be lost without them, and all
    weights are returned as they are.

    Parameters
    ----------
    sequences : Sequences
        The sequences.
    rows : ndarray of shape (n_samples,)
        Numbers of the training sequences.
    weights : ndarray of shape (n_sequences,)
        Weights of all sequences.
    n_steps : int
        Time steps that the linear part reads.
    """
    complete = np.empty(len(weights), bool)
    for block in blocks_of(len(weights), _BLOCK_SIZE):
        steps = sequences.steps(block, n_steps)
        complete[block] = ~np.isnan(steps[:, :, 0]).any(axis=1)
    kept = np.where(complete, weights, 0).astype(weights.dtype)
    least = (1 - _MOST_INCOMPLETE) * weights[rows].sum()
    return kept if kept[rows].sum() >= least else weights


def drift(target: NDArray[np.float64], weights: Floats) -> float:
    """Return how much of the variance of a target is between the parts of its rows.

    It is about 0.1 or less for a level that stays, and above 0.3 for a trend or, nearly always, a
    random walk: what follows may leave the range that training has seen.

    Parameters
    ----------
    target : ndarray of shape (n_samples, n_outputs)
        Targets in the order of their rows.
    weights : ndarray of shape (n_samples,)
        Their weights.

    Returns
    -------
    float
        Between 0 and 1, the largest over the outputs.
    """
    w = weights.astype(np.float64)
    deviation = target - np.average(target, axis=0, weights=w)
    deviation /= max(np.abs(deviation).max(), np.finfo(float).tiny)  # squares could overflow
    # Parts of equal weight
    part = np.minimum(_N_PARTS * (np.cumsum(w) - w / 2) / w.sum(), _N_PARTS - 1).astype(np.intp)
    sums = np.zeros((_N_PARTS, target.shape[1]))
    np.add.at(sums, part, w[:, np.newaxis] * deviation)
    sizes = np.maximum(np.bincount(part, w, minlength=_N_PARTS), np.finfo(float).tiny)
    between = (sums**2 / sizes[:, np.newaxis]).sum(axis=0)
    total = w @ deviation**2
    return float(np.divide(between, total, where=total > 0, out=np.zeros_like(total)).max())


@dataclass
class Gram:
    """The sums from which a ridge regression is solved.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Inputs and outputs of the regression.
    dtype : dtype, default=None
        Precision that the sequences are rounded to; None keeps their own.
    """

    n_inputs: int
    n_outputs: int
    dtype: np.dtype | None = None

    def __post_init__(self) -> None:
        # Of v = [1; z; y]: the weighted sum of v v^T
        size = 1 + self.n_inputs + self.n_outputs
        self.products = np.zeros((size, size))

    def add(
        self,
        sequences: Sequences,
        rows: NDArray[np.intp],
        target: NDArray[np.float64],
        weights: Floats,
        recent: RecentSteps,
    ) -> None:
        """Add samples.

        Parameters
        ----------
        sequences : Sequences
            The sequences.
        rows : ndarray of shape (n_samples,)
            Numbers of the sequences to add.
        target : ndarray of shape (n_sequences, n_outputs)
            Targets of all sequences.
        weights : ndarray of shape (n_sequences,)
            Weights of all sequences.
        recent : RecentSteps
            How the sequences are read.
        """
        for block in blocks_of(len(rows), _BLOCK_SIZE):
            block_rows = rows[block]
            z = sequences.recent(block_rows, recent, self.dtype)  # (n_inputs, n_samples)
            v = np.concatenate([np.ones((1, z.shape[1])), z, target[block_rows].T])
            w = weights[block_rows].astype(np.float64)
            # + sum of w v v^T
            self.products += (v * w) @ v.T

    def solve(self) -> Ridge:
        """Return the ridge regression whose penalty minimises generalised cross-validation [1]_.

        References
        ----------
        .. [1] G. H. Golub, M. Heath and G. Wahba, "Generalized Cross-Validation as a Method for
           Choosing a Good Ridge Parameter", Technometrics 21(2), 1979.
        """
        n = self.products[0, 0]  # the sum of the weights
        mean = self.products[0, 1:] / n
        centred = self.products[1:, 1:] - n * np.outer(mean, mean)
        p = self.n_inputs
        G, Zy, yy = centred[:p, :p], centred[:p, p:], np.diag(centred[p:, p:])
        values, V = np.linalg.eigh(G)
        values = np.maximum(values, 0)
        q = V.T @ Zy  # (n_inputs, n_outputs)
        # w = V (values + a)^-1 q;  rss = yy - 2 w^T Zy + w^T G w
        # df = 1 + sum of values / (values + a)
        f = 1 / (values + n * _PENALTIES[:, np.newaxis])  # (n_penalties, n_inputs)
        rss = yy - 2 * f @ q**2 + (f**2 * values) @ q**2  # (n_penalties, n_outputs)
        df = 1 + f @ values  # (n_penalties,)
        # Close to interpolation the criterion says nothing; the largest penalty is always left.
        left = np.maximum(1 - df / n, 1e-6)
        is_close = left < _LEAST_FREEDOM
        is_close[-1] = False
        # gcv = (rss / n) / (1 - df / n)^2
        gcv = np.maximum(rss, 0) / n / left[:, np.newaxis] ** 2
        gcv[is_close] = np.inf
        best = gcv.argmin(axis=0)  # (n_outputs,)
        coef = (V @ (f[best].T * q)).T  # (n_outputs, n_inputs)
        return Ridge(coef, mean[p:] - coef @ mean[:p], mean[p:])


class Ridge(NamedTuple):
    """A ridge regression on standardised recent steps, in the units of y."""

    coef: NDArray[np.float64]  # (n_outputs, n_inputs)
    intercept: NDArray[np.float64]  # (n_outputs,)
    mean: NDArray[np.float64]  # (n_outputs,): weighted mean of y

    def shrunk(self, fraction: float) -> Ridge:
        """Return a fraction of the regression; the rest is the mean of y."""
        intercept = fraction * self.intercept + (1 - fraction) * self.mean
        return Ridge(fraction * self.coef, intercept, self.mean)

    def predict(
        self,
        sequences: Sequences,
        rows: NDArray[np.intp],
        recent: RecentSteps,
        dtype: np.dtype | None = None,
    ) -> NDArray[np.float64]:
        """Predict y of some sequences, of shape (n_samples, n_outputs)."""
        y = np.empty((len(rows), len(self.intercept)))
        for block in blocks_of(len(rows), _BLOCK_SIZE):
            z = sequences.recent(rows[block], recent, dtype)  # (n_inputs, n_samples)
            y[block] = (self.coef @ z).T + self.intercept
        return y


class LinearStart(NamedTuple):
    """Parameters with which the network predicts what a ridge predicts."""

    on_training: Floats  # the ridge of the training samples
    on_all: Floats  # the ridge of these and the validation samples


def with_ridge(
    network: Network,
    parameters: Floats,
    ridge: Ridge,
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> Floats:
    """Return parameters with which the network predicts what a ridge predicts.

    Parameters
    ----------
    network : Network
        A network with a linear part.
    parameters : ndarray of shape (n_parameters,)
        Its parameters, of which those of the LSTMs are kept. It is not changed.
    ridge : Ridge
        The regression.
    mean, scale : ndarray of shape (n_outputs,)
        Raw outputs are (y - mean) / scale.
    """
    parameters = parameters.copy()
    W_head = network.matrices(parameters)[-1]
    W_head[:, :-1] = 0
    W_head[:, -1] = (ridge.intercept - mean) / scale
    network.skip_weights(parameters)[...] = ridge.coef / scale[:, np.newaxis]
    return parameters


def mixture(network: Network, linear: Floats, trained: Floats, fraction: float) -> Floats:
    """Return parameters that mix the raw outputs of a linear start and of the trained network.

    Parameters
    ----------
    network : Network
        The network.
    linear : ndarray of shape (n_parameters,)
        Parameters from ``with_ridge``.
    trained : ndarray of shape (n_parameters,)
        Parameters after training.
    fraction : float
        Fraction of the trained network.
    """
    mixed = trained.copy()
    for part in (lambda p: network.matrices(p)[-1], network.skip_weights):
        # W = (1 - fraction) W_linear + fraction W_trained, for all that the output is linear in
        part(mixed)[...] = (1 - fraction) * part(linear) + fraction * part(trained)
    return mixed


def lstm_fraction(
    loss: Loss, target: Floats, weights: Floats, linear: Floats, trained: Floats
) -> float:
    """Choose how much of the trained network to add to the linear start.

    The mean validation loss of the mixture is minimised, plus a penalty that is as strong as some
    further samples on which the network adds as much noise as the linear start leaves. Samples of
    a series are not independent, above all where their targets overlap, as several steps ahead:
    there the penalty is weighed against the effective number of samples [1]_.

    Parameters
    ----------
    loss : Loss
        The loss.
    target : ndarray of shape (n_outputs, n_samples)
        Targets of the validation samples, in their order.
    weights : ndarray of shape (n_samples,)
        Their weights.
    linear, trained : ndarray of shape (n_outputs, n_samples)
        Raw outputs of the linear start and of the trained network for the samples.

    Returns
    -------
    float
        Between 0 and 1.

    References
    ----------
    .. [1] G. V. Bayley and J. M. Hammersley, "The 'Effective' Number of Independent Observations
       in an Autocorrelated Time Series", Supplement to the Journal of the Royal Statistical
       Society 8(2), 1946.
    """
    is_counted = weights > 0
    target, linear, trained = (a[:, is_counted] for a in (target, linear, trained))
    weights = weights[is_counted].astype(np.float64)

    def total_loss(raw: Floats) -> float:
        return float(np.add.reduce(loss.value(target, raw) * weights))

    # The errors of the linear start, as the loss sees them. Those of independent samples are not
    # correlated with their neighbours.
    r = autocorrelation(loss.gradient(target, linear))
    # n_effective = n (1 - r) / (1 + r)
    doubt = _N_DOUBTS * (1 + r) / (1 - r) * total_loss(linear) / weights.sum()
    objective = [
        total_loss((1 - fraction) * linear + fraction * trained) + doubt * fraction**2
        for fraction in _FRACTIONS
    ]
    return float(_FRACTIONS[int(np.argmin(objective))])


def autocorrelation(errors: Floats) -> float:
    """Return the correlation of errors with those of the next sample, zero if it is negative.

    The errors should have a mean of zero, so none is subtracted: errors that all have the same
    sign say the same thing again.

    Parameters
    ----------
    errors : ndarray of shape (n_outputs, n_samples)
        Errors of the samples in their order.

    Returns
    -------
    float
        At least 0 and less than 1.
    """
    size = np.abs(errors).max(initial=0)
    if not 0 < size < np.inf:
        return 0.0
    e = errors.astype(np.float64) / size  # squares of very small numbers would be zero
    # r = sum of e_t e_(t+1) / sum of e_t^2, over samples and outputs
    r = float((e[:, 1:] * e[:, :-1]).sum() / (e**2).sum())
    return max(r, 0.0)
