"""Parts of docstrings that LSTMRegressor and LSTMClassifier share, each written once."""

from __future__ import annotations

import re
from textwrap import indent
from typing import TypeVar

__all__ = ["with_shared_parts"]

Class = TypeVar("Class", bound=type)

_PARTS = {
    "architecture": """\
hidden_layer_sizes : int or tuple of int, default=(32,)
    Units of each LSTM layer. Each layer reads the hidden states of the layer below; the dense
    head reads those of the last layer, see ``pooling``.
bidirectional : bool, default=False
    Make each layer a pair of LSTMs. The second one reads the sequence from its last step to its
    first, and the layer above reads the hidden states of both. ``hidden_layer_sizes`` counts the
    units of each LSTM.
return_sequences : bool, default=False
    Predict a target for each time step, and not one for each sequence. y is then of shape
    (n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs); for sequences of different
    lengths it is a list of arrays of shape (n_timesteps_i,) or (n_timesteps_i, n_outputs).
    Predictions have the same form. A step whose target is NaN, or None, is not labelled: it counts
    neither in training nor in a score, and nor does a step that is missing in X. ``sample_weight``
    may hold a weight for each step. The loss and the scores are means over the labelled steps.
    The output of a step depends on no later step, unless ``bidirectional``.
dropout : float, default=0.0
    Fraction of the hidden states that training drops on their way to the layer above and to the
    head. It is drawn for each sequence of each batch and is the same at all steps of the sequence
    [3]_; with ``train_on="series"``, of the stretch.
recurrent_dropout : float, default=0.0
    The same for the hidden states on their way to the next step of the layer itself.""",
    "train_on": """\
train_on : {"windows", "series"}, default="windows"
    What training goes through. "windows": each sample is a sequence of its own. "series": where X
    holds the windows that :class:`SlidingWindow` makes, training goes through stretches of the
    series under them. A stretch has about half as many consecutive rows as a window has steps.
    Before its first row comes a lead-in of a window without targets; then each row has a target.
    So an epoch computes a time step about three times, and not once for every window that holds
    it: for window_size steps and long series it is cheaper by a factor of window_size / 6 or more.
    Each row is a target once an epoch. Where the series is cut is drawn anew for each epoch. Rows
    that do not follow each other, such as those of different series, are in different stretches.
    Predictions are those of windows. The scores of ``early_stopping`` in ``validation_scores_``
    are along stretches too; what is kept in the end is scored on windows. Needs
    ``bidirectional=False`` and ``pooling="last"`` or "auto", since otherwise the output for a row
    would depend on its stretch.""",
    "optimization": """\
alpha : float, default=1e-4
    Strength of the L2 penalty ``alpha * |W|^2 / (2 * n_samples)`` on all weights except biases.
batch_size : int or "auto", default="auto"
    Samples per update; "auto" is a power of two of about an eighth of the samples, at least 8
    and at most 32; up to 32 samples are one batch. With ``train_on="series"`` it is a sixteenth of
    the samples, at least four and at most eight times the number of time steps in a window, and at
    least 64.
learning_rate : {"constant", "adaptive", "cosine"}, default="constant"
    How the step size changes from epoch to epoch. "constant": not at all. "adaptive": it is
    divided by five whenever training would otherwise have converged, see ``tol``, until it is
    below 1e-6. "cosine": it falls along half a cosine from ``learning_rate_init`` towards zero
    over ``max_iter`` epochs; ``partial_fit`` then restarts it.
learning_rate_init : float, default=0.01
    Initial step size of Adam.
max_iter : int, default=200
    Maximum number of epochs. An epoch goes through all samples once.
shuffle : bool, default=True
    Whether to draw a random order of the samples for each epoch. The time steps within a sample
    always keep their order.
max_grad_norm : float or None, default=1.0
    A gradient with a larger Euclidean norm is scaled down to this norm; None switches clipping
    off.
tol : float, default=1e-4
    Training has converged when the loss, or the validation score with ``early_stopping``, has not
    improved by ``tol`` for more than ``n_iter_no_change`` consecutive epochs. For the loss, as many
    epochs as make 30 updates count as one, so that small sets are not given up too early.
n_iter_no_change : int, default=10
    See ``tol``; with ``np.inf``, training runs for all of ``max_iter``.""",
    "validation_gap": """\
validation_gap : int, default=0
    Number of samples between the training part and the validation part that are left out with
    ``validation_split="last"``. A target that reaches h rows beyond its window needs h - 1.""",
    "rest": """\
beta_1 : float, default=0.9
    Decay rate of Adam's running mean of the gradient.
beta_2 : float, default=0.999
    Decay rate of Adam's running mean of the squared gradient.
epsilon : float, default=1e-8
    Added to the denominator in Adam.
timesteps : int or None, default=None
    How to read a 2-D X. None: each column is a time step of a single feature. An int: each row
    holds that many time steps, one after the other, of ``n_columns / timesteps`` features.
dtype : {"float32", "float64"} or None, default=None
    Precision of weights and computation. None: float32 if X is float32, else float64.
random_state : int, RandomState instance or None, default=None
    Determines initial weights, the order of samples, dropout and a random validation split. The
    same int gives the same bits.
verbose : bool, default=False
    Print a line for each epoch.
warm_start : bool, default=False
    Let ``fit`` continue from the weights and the optimizer's state of the last fit, with the
    precision and the scale of y that were chosen then.""",
    "fitted": """\
coefs_ : list of ndarray
    Weights: for each LSTM layer in turn W_x, (4 * n_units, n_inputs), and W_h,
    (4 * n_units, n_units), with rows in the gate order i, f, g, o, as :func:`sklstm.nn.lstm`
    takes them; then those of the head, (n_outputs, n_units), or a multiple of n_units with
    several poolings. With ``bidirectional``, the two of
    the backward direction follow those of the forward direction.
intercepts_ : list of ndarray
    Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,).
n_iter_ : int
    Number of epochs of training.
t_ : int
    Number of samples seen by training, each counted once an epoch.
skip_coef_ : ndarray of shape (n_outputs, n_steps, n_features), or None
    Weights of the linear part, the oldest step first. The head's output is
    ``W @ h + b + sum(skip_coef_ * z)``, where z are the last ``n_steps`` time steps, standardised
    with ``skip_mean_`` and ``skip_scale_``. None without a linear part.
skip_mean_ : ndarray of shape (n_features,), or None
    Mean of each feature in the training samples.
skip_scale_ : ndarray of shape (n_features,), or None
    Standard deviation of each feature in the training samples.
loss_ : float
    The last entry of ``loss_curve_``.""",
    "curves": """\
    ``loss_curve_``, ``learning_rate_curve_`` and ``validation_scores_`` hold all epochs of the
    last call of ``fit`` or ``partial_fit`` and the last 10,000 epochs before it. So neither the
    time of a call of ``partial_fit`` nor the size of a pickle grows without end. ``n_iter_``,
    ``t_`` and ``best_loss_`` count all epochs.
learning_rate_curve_ : list of float
    Learning rate of each epoch.
best_loss_ : float or None
    The least loss; None with ``early_stopping``.
validation_scores_ : list of float or None
    Validation score after each epoch, with ``early_stopping``; NaN for epochs of an earlier fit
    without it.
best_validation_score_ : float or None
    The best score of the last call of ``fit``.
best_iter_ : int or None
    The epoch with the best score, counted from 1, whose weights are kept; 0 where the state
    before the first epoch is kept.""",
    "n_features": """\
n_features_in_ : int
    Columns of a 2-D X; features per time step of a 3-D X or of a list.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the columns, where X has names that are all strings.
n_outputs_ : int
    Outputs of the head.
n_layers_ : int
    Number of layers, including the input and the head.
n_parameters_ : int
    Total number of weights and biases.""",
    "notes": """\
X may be an array of shape (n_samples, n_timesteps, n_features); a 2-D array or data frame, see
``timesteps``; or a list of arrays of shape (n_timesteps_i, n_features), where lengths differ. A
time step that is NaN in all features is missing: it is skipped, and the hidden state passes
through unchanged. X is never copied whole.""",
    "references": """\
.. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
   1997.
.. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization",
   ICLR 2015.
.. [3] Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
   Neural Networks", NeurIPS 2016.
.. [4] G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling Long- and Short-Term Temporal Patterns
   with Deep Neural Networks", SIGIR 2018.
.. [5] B. T. Polyak and A. B. Juditsky, "Acceleration of Stochastic Approximation by Averaging",
   SIAM Journal on Control and Optimization 30(4), 1992.""",
}


def with_shared_parts(cls: Class) -> Class:
    """Replace each line ``%(name)`` in the docstring of a class by the shared part of that name."""
    if cls.__doc__:  # python -OO has none
        cls.__doc__ = re.sub(
            r"^( *)%\((\w+)\)$",
            lambda line: indent(_PARTS[line[2]], line[1]),
            cls.__doc__,
            flags=re.MULTILINE,
        )
    return cls
