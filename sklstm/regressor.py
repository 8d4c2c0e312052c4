"""The LSTM as a regressor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import d2_pinball_score, d2_tweedie_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import column_or_1d

from sklstm.base import BaseLSTM
from sklstm.nn.cell import Floats
from sklstm.nn.linear import Gram, LinearStart, Ridge, drift, weights_of_complete, with_ridge
from sklstm.nn.losses import (
    INVERSE_LINKS,
    AbsoluteError,
    Huber,
    Loss,
    MultiPinballLoss,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.model import Model, NumericOutput
from sklstm.parameters import TRAINED_SKIP_RATE
from sklstm.targets import check_regression_target

__all__ = ["LSTMRegressor"]

_LOSSES: dict[str, Any] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}

# Fraction of the ridge that training starts from where a validation set decides how much of the
# LSTM is added to the whole ridge. An LSTM that learns only what a ridge leaves over makes the
# same errors as the ridge; one that learns half of it as well makes errors of its own, which
# partly cancel. benchmarks/defaults.py has the numbers.
_START_FRACTION = 0.5

# Most of the variance that may be between fifths of the rows, see ``drift``. Beyond, the level is
# taken to drift: training starts from the whole ridge, since an LSTM is bounded and cannot follow a
# level that it has not seen; and the ridge learns from all windows, since the first ones tell it
# that a level stays. Over twelve kinds of generated series of 100 and 300 rows, errors are 0.93 of
# those of a ridge and at worst 1.1; without this rule 0.97 and at worst 5 (benchmarks/drift.py).
_MAX_DRIFT = 0.3

# The least standard deviation of what the linear part leaves over, in units of that of y: below,
# it is rounding, and the LSTM has nothing to learn.
_LEAST_RESIDUAL = 1e-6

# Interquartile range of a normal distribution whose standard deviation is one.
_IQR_OF_NORMAL = 1.349


class LSTMRegressor(RegressorMixin, BaseLSTM):
    """LSTM network that predicts numbers from sequences: regression and forecasting.

    >>> import numpy as np
    >>> from sklstm import LSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 10, 2))  # samples, time steps, features
    >>> y = X.sum(axis=(1, 2))
    >>> model = LSTMRegressor(random_state=0).fit(X[:150], y[:150])
    >>> model.predict(X[150:]).shape
    (50,)

    Stacked LSTM layers read a sequence; a dense head predicts one or several numbers from the last
    hidden state. Beside the LSTM, a linear part reads the last time steps directly. It starts as a
    ridge regression, and the LSTM adds what a ridge cannot say. Trained by backpropagation through
    time and Adam, in plain NumPy [1]_ [2]_.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Units of each LSTM layer. Each layer reads the hidden states of the layer below; the dense
        head reads those of the last layer, see ``pooling``.
    bidirectional : bool, default=False
        Make each layer a pair of LSTMs. The second one reads the sequence from its last step to its
        first, and the layer above reads the hidden states of both. ``hidden_layer_sizes`` counts
        the units of each LSTM.
    return_sequences : bool, default=False
        Predict a target for each time step, and not one for each sequence. y is then of shape
        (n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs); for sequences of different
        lengths it is a list of arrays of shape (n_timesteps_i,) or (n_timesteps_i, n_outputs).
        Predictions have the same form. A step whose target is NaN, or None, is not labelled: it
        counts neither in training nor in a score, and nor does a step that is missing in X.
        ``sample_weight`` may hold a weight for each step. The loss and the scores are means over
        the labelled steps. The output of a step depends on no later step, unless ``bidirectional``.
    pooling : {"auto", "last", "mean", "max"} or tuple of these, default="auto"
        What the head reads of the hidden states of the last layer: the last one, their mean or
        their maximum over the steps that are not missing, or several of these side by side, such as
        ``("last", "mean", "max")``. "auto" is "last".
    linear_skip : int or "auto", default="auto"
        Number of time steps of the linear part [4]_, counted from the end of a sequence; 0 for
        none. "auto" is all steps of the samples of the first fit, as long as there are at most 512
        columns and twice as many samples as columns; 0 below 32 samples. With ``return_sequences``
        it is the last sixth of the steps up to each step, and each labelled step is a sample. A
        weight of 2 counts as two samples, so weights that sum to 1 leave no linear part: scale them
        to a mean of 1. A step that is missing or absent counts as the mean of the training samples.
        Samples with such steps are left out of the ridge if they are no more than a sixth of all.
        If they are more, or if the level of y drifts, and X holds windows made by
        :class:`SlidingWindow`, the ridge learns from the first row of a series in place of steps
        before it. For all losses but "poisson" the
        linear part is a ridge regression on the training samples, whose penalty minimises
        generalised cross-validation; for other losses than the squared error its intercept is moved
        to fit the loss. It is not trained further. The cost of the ridge grows with the third power
        of the number of columns, which only "auto" bounds. Without a validation set the LSTM learns
        what the ridge leaves over. With one, see ``early_stopping``. For "poisson" the linear part
        starts at zero and is trained with a third of the learning rate.
    train_on : {"windows", "series"}, default="windows"
        What training goes through. "windows": each sample is a sequence of its own. "series": where
        X holds the windows that ``SlidingWindow`` makes, training goes through stretches of
        the series under them. A stretch has about half as many consecutive rows as a window has
        steps. Before its first row comes a lead-in of a window without targets; then each row has a
        target. So an epoch computes a time step about three times, and not once for every window
        that holds it: for window_size steps and long series it is cheaper by a factor of
        window_size / 6 or more. Each row is a target once an epoch. Where the series is cut is
        drawn anew for each epoch. Rows that do not follow each other, such as those of different
        series, are in different stretches. Predictions are those of windows. The scores of
        ``early_stopping`` in ``validation_scores_`` are along stretches too; what is kept in the
        end is scored on windows. Needs ``bidirectional=False`` and ``pooling="last"`` or "auto",
        since otherwise the output for a row would depend on its stretch.
    dropout : float, default=0.0
        Fraction of the hidden states that training drops on their way to the layer above and to the
        head. It is drawn for each sequence of each batch and is the same at all steps of the
        sequence [3]_; with ``train_on="series"``, of the stretch.
    recurrent_dropout : float, default=0.0
        The same for the hidden states on their way to the next step of the layer itself.
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, \
            default="squared_error"
        The loss. "squared_error" is half the squared error; the prediction is the mean.
        "absolute_error" predicts the median and is robust to outliers. "huber" is half the squared
        error up to an error of one, in standardised units with ``normalize_y``, and linear beyond.
        "poisson" is half the Poisson deviance, for counts: the prediction is the exponential of the
        head's output, and y must not be negative. "quantile" is the pinball loss of ``quantile``.
    quantile : float, list of float or None, default=None
        The fraction of targets that should lie below the prediction. Needed by ``loss="quantile"``
        and accepted by no other loss. A list in increasing order, such as ``[0.1, 0.5, 0.9]``: one
        network predicts all of these quantiles of a single target, in a column each. The head gives
        one of them, and steps to the others that are not negative, so that no quantile lies above
        the next one [6]_. The loss and the score are means over the quantiles.
    normalize_y : bool, default=True
        Standardise the target inside; predictions come back in its units. The squared error uses
        the mean and the standard deviation; "absolute_error", "huber" and "quantile" use the median
        and the interquartile range / 1.349, which are robust to outliers; "poisson" divides by the
        mean and does not shift.
    alpha : float, default=1e-4
        Strength of the L2 penalty ``alpha * |W|^2 / (2 * n_samples)`` on all weights except biases.
    batch_size : int or "auto", default="auto"
        Samples per update; "auto" is a power of two of about an eighth of the samples, at least 8
        and at most 32; up to 32 samples are one batch. With ``train_on="series"`` it is a sixteenth
        of the samples, at least four and at most eight times the number of time steps in a window,
        and at least 64.
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
        Training has converged when the loss, or the validation score with ``early_stopping``, has
        not improved by ``tol`` for more than ``n_iter_no_change`` consecutive epochs. For the loss,
        as many epochs as make 30 updates count as one, so that small sets are not given up too
        early.
    n_iter_no_change : int, default=10
        See ``tol``; with ``np.inf``, training runs for all of ``max_iter``.
    early_stopping : bool or "auto", default="auto"
        Set part of the samples aside, stop when the score on them no longer improves, and keep the
        weights of the best epoch. What is scored and kept is the moving average of the weights over
        the updates [5]_. With a linear part, the LSTM learns what half of the ridge leaves over,
        and the samples set aside decide which fraction of the trained network is mixed with the
        whole ridge, which is fitted again to all samples: where the LSTM does not help, the ridge
        remains. "auto" is on from 32 samples on and with ``X_val``, and off in ``partial_fit``. The
        score is D^2, the fraction of the loss that is explained: R^2 for the squared error,
        :func:`~sklearn.metrics.d2_absolute_error_score` for the absolute error and "huber",
        :func:`~sklearn.metrics.d2_tweedie_score` for "poisson",
        :func:`~sklearn.metrics.d2_pinball_score` for "quantile", averaged over the quantiles.
    validation_fraction : float, default=0.1
        The fraction set aside with ``early_stopping``.
    validation_split : {"last", "random"}, default="last"
        Which samples are set aside: the last ones, which is right for windows of a series, or
        random ones.
    validation_gap : int, default=0
        Number of samples between the training part and the validation part that are left out with
        ``validation_split="last"``. A target that reaches h rows beyond its window needs h - 1.
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
        precision and the scale of y that were chosen then.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a 2-D X; features per time step of a 3-D X or of a list.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names that are all strings.
    n_outputs_ : int
        Outputs of the head.
    n_layers_ : int
        Number of layers, including the input and the head.
    n_parameters_ : int
        Total number of weights and biases.
    out_activation_ : str
        The function from the head's output to predictions: "identity", or "exponential" for
        ``loss="poisson"``, or "ordered" for several quantiles.
    coefs_ : list of ndarray
        Weights: for each LSTM layer in turn W_x, (4 * n_units, n_inputs), and W_h, (4 * n_units,
        n_units), with rows in the gate order i, f, g, o, as :func:`sklstm.nn.lstm` takes them; then
        those of the head, (n_outputs, n_units), or a multiple of n_units with several poolings.
        With ``bidirectional``, the two of the backward direction follow those of the forward
        direction.
    intercepts_ : list of ndarray
        Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,).
    n_iter_ : int
        Number of epochs of training.
    t_ : int
        Number of samples seen by training, each counted once an epoch.
    skip_coef_ : ndarray of shape (n_outputs, n_steps, n_features), or None
        Weights of the linear part, the oldest step first. The head's output is ``W @ h + b +
        sum(skip_coef_ * z)``, where z are the last ``n_steps`` time steps, standardised with
        ``skip_mean_`` and ``skip_scale_``. None without a linear part.
    skip_mean_ : ndarray of shape (n_features,), or None
        Mean of each feature in the training samples.
    skip_scale_ : ndarray of shape (n_features,), or None
        Standard deviation of each feature in the training samples.
    loss_ : float
        The last entry of ``loss_curve_``.
    loss_curve_ : list of float
        For each epoch the mean over samples of the loss, for "squared_error" (y - y_pred)^2 / 2,
        averaged over outputs, in standardised units with ``normalize_y``, plus the penalty; each is
        computed before the update that it is part of.
    learning_rate_curve_ : list of float
        Learning rate of each epoch.
    best_loss_ : float or None
        The least loss; None with ``early_stopping``.
    validation_scores_ : list of float or None
        Validation score after each epoch, with ``early_stopping``; NaN for epochs of an earlier fit
        without it.
    best_validation_score_ : float or None
        The validation score of what the last call of ``fit`` has kept. Where that is a mixture with
        a ridge, the score may be below that of the best epoch.
    best_iter_ : int or None
        The epoch with the best score, counted from 1, whose weights are kept; 0 where the state
        before the first epoch is kept.

    See Also
    --------
    LSTMClassifier : The same for class labels.
    SlidingWindow : Makes windows of a series, inside a Pipeline.

    Notes
    -----
    X may be an array of shape (n_samples, n_timesteps, n_features); a 2-D array or data frame, see
    ``timesteps``; or a list of arrays of shape (n_timesteps_i, n_features), where lengths differ. A
    time step that is NaN in all features is missing: it is skipped, and the hidden state passes
    through unchanged. X is never copied whole.

    ``loss_curve_``, ``learning_rate_curve_`` and ``validation_scores_`` hold all epochs of the last
    call of ``fit`` or ``partial_fit`` and the last 10,000 epochs before it. So neither the time of
    a call of ``partial_fit`` nor the size of a pickle grows without end. ``n_iter_``, ``t_`` and
    ``best_loss_`` count all epochs.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
       1997.
    .. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization",
       ICLR 2015.
    .. [3] Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
       Neural Networks", NeurIPS 2016.
    .. [4] G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling Long- and Short-Term Temporal Patterns
       with Deep Neural Networks", SIGIR 2018.
    .. [5] B. T. Polyak and A. B. Juditsky, "Acceleration of Stochastic Approximation by Averaging",
       SIAM Journal on Control and Optimization 30(4), 1992.
    .. [6] Y. Park, D. Maddix, F.-X. Aubet, K. Kan, J. Gasthaus and Y. Wang, "Learning Quantile
       Functions without Quantile Crossing for Distribution-free Time Series Forecasting", AISTATS
       2022.

    Examples
    --------
    Forecast yearly sunspots one year ahead:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklstm import LSTMRegressor, SlidingWindow
    >>> from sklstm.datasets import load_sunspots
    >>> X, y = load_sunspots(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(),
    ...     SlidingWindow(window_size=12, lag=1),
    ...     LSTMRegressor(n_iter_no_change=3, random_state=0),
    ... )
    >>> y_pred = model.fit(X[:249], y[:249]).predict(X)[249:]
    >>> y_pred.shape
    (60,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLSTM._parameter_constraints,
        "loss": [StrOptions({*_LOSSES, "quantile"})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), list, tuple, np.ndarray, None],
        "normalize_y": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (32,),
        *,
        bidirectional: bool = False,
        return_sequences: bool = False,
        pooling: str | Sequence[str] = "auto",
        linear_skip: int | str = "auto",
        train_on: str = "windows",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        loss: str = "squared_error",
        quantile: float | Sequence[float] | None = None,
        normalize_y: bool = True,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        shuffle: bool = True,
        max_grad_norm: float | None = 1.0,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        validation_split: str = "last",
        validation_gap: int = 0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        timesteps: int | None = None,
        dtype: DTypeLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            bidirectional=bidirectional,
            return_sequences=return_sequences,
            pooling=pooling,
            linear_skip=linear_skip,
            train_on=train_on,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            max_grad_norm=max_grad_norm,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            validation_split=validation_split,
            validation_gap=validation_gap,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            timesteps=timesteps,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
            warm_start=warm_start,
        )
        self.loss = loss
        self.quantile = quantile
        self.normalize_y = normalize_y

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Go through the given samples once, from where the last call ended.

        The time of a call does not depend on the number of calls before. If a call fails, the
        estimator is as it was. The curves, such as ``loss_curve_``, keep the last 10,000 epochs.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in any of the forms that ``fit`` takes. The number of time steps may differ
            from call to call where X is 3-D or a list.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With ``normalize_y``, the first call fixes mean and scale.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : object
            The estimator.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: Any) -> NDArray[np.floating] | Any:
        """Predict the target.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that ``fit`` was given. The number of time steps may differ
            where X is 3-D or a list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the units and the shape of the y that was fitted. If ``quantile`` is a
            list, of shape (n_samples, n_quantiles); no row decreases. With ``return_sequences``,
            a prediction for each time step: in place of n_samples, the shape has n_samples and
            n_timesteps; for a list of sequences it is a list of arrays.
        """
        model, sequences = self._read(X)
        return model.predict(sequences)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R^2 of the predictions, or D^2 if ``quantile`` is a list.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values; with ``return_sequences`` of each time step, as for ``fit``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; with ``return_sequences`` there may be one for each time step.

        Returns
        -------
        float
            :func:`~sklearn.metrics.r2_score`. If ``quantile`` is a list, the mean over the
            quantiles of :func:`~sklearn.metrics.d2_pinball_score`, which is the fraction of the
            loss that is explained.
        """
        if self.__sklstm_model__().return_sequences:
            y, y_pred, sample_weight = self._labelled(X, y, sample_weight)
        else:
            y_pred = self.predict(X)
        if self._has_several_quantiles:
            return self._d2_of_quantiles(y, y_pred, sample_weight)
        return r2_score(y, y_pred, sample_weight=sample_weight)

    @property
    def _has_several_quantiles(self) -> bool:
        """Whether ``quantile`` is a list, so that predictions have a column for each of it."""
        return not (self.quantile is None or isinstance(self.quantile, Real))

    @property
    def _quantiles(self) -> list[float]:
        """The quantiles that are predicted; the median if ``quantile`` is not set."""
        return np.atleast_1d(0.5 if self.quantile is None else self.quantile).tolist()

    def _d2_of_quantiles(
        self, y: ArrayLike, y_pred: NDArray[Any], sample_weight: ArrayLike | None
    ) -> float:
        """Return the mean over quantiles of D^2."""
        return np.mean(
            [
                d2_pinball_score(y, column, sample_weight=sample_weight, alpha=q)
                for q, column in zip(self._quantiles, y_pred.T, strict=True)
            ]
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if (self.loss == "quantile") != (self.quantile is not None):
            raise ValueError(
                f"quantile={self.quantile!r} and loss={self.loss!r} do not go together: "
                "loss='quantile' needs a quantile, for instance 0.9, and no other loss takes one."
            )
        if self._has_several_quantiles:
            given: Any = self.quantile
            quantiles = np.asarray(given, dtype=object)
            if (
                quantiles.ndim != 1
                or not len(quantiles)
                or not all(isinstance(q, Real) and 0 < float(q) < 1 for q in quantiles)
                or not all(low < high for low, high in pairwise(quantiles))
            ):
                raise ValueError(
                    "quantile must be a number between 0 and 1, or a list of such numbers in "
                    f"increasing order without repetition, for instance [0.1, 0.5, 0.9]; got "
                    f"{self.quantile!r}."
                )

    def _encode_target(
        self,
        y: ArrayLike,
        classes: ArrayLike | None,
        n_targets: int,
        known: NumericOutput | None,
    ) -> tuple[NDArray[Any], NumericOutput]:
        target = check_regression_target(y, n_targets, self)
        is_new = known is None
        if self.loss == "poisson" and (
            (target < 0).any() or (is_new and not target.any(axis=0).all())
        ):
            raise ValueError(
                "loss='poisson' requires y that is not negative and not all zero, in each output."
            )
        n_columns = 1 if target.ndim == 1 else target.shape[1]
        n_outputs, is_1d = n_columns, target.ndim == 1
        if self._has_several_quantiles:
            if n_columns > 1:
                raise ValueError(
                    f"y has {n_columns} columns, but with quantile={self.quantile!r} the columns "
                    "of a prediction are the quantiles of a single target. Fit an estimator for "
                    "each column of y."
                )
            target = column_or_1d(target, warn=not self.return_sequences)
            n_outputs, is_1d = len(self._quantiles), False
        if known is None:
            activation = self._make_loss(None).activation
            known = NumericOutput(activation, np.zeros(n_outputs), np.ones(n_outputs), is_1d)
        if n_outputs != known.n_outputs:
            given = "quantile" if self._has_several_quantiles else "y"
            raise ValueError(
                f"{given} has {n_outputs} output(s), but was first fitted with {known.n_outputs}."
            )
        return target.reshape(len(target), n_columns), known

    def _warnings_about_target(
        self, y: Any, target: NDArray[Any], output: NumericOutput
    ) -> list[Warning]:
        # An array of one column gives predictions of one column without a word: who reshapes knows.
        # A frame of one column is rather df[["y"]] for df["y"]. Estimators of scikit-learn differ:
        # some return a column, others a vector.
        is_column = target.shape[1] == 1 and not (output.is_1d or self._has_several_quantiles)
        if not is_column or self.return_sequences or not hasattr(y, "columns"):
            return []
        return [
            DataConversionWarning(
                f"y is a data frame of one column, so predictions are of shape (n_samples, 1), and "
                f"their difference to a vector is a matrix. Use y[{y.columns[0]!r}], a vector."
            )
        ]

    def _standardized(
        self, output: NumericOutput, target: NDArray[Any], weights: Floats
    ) -> NumericOutput:
        if not self.normalize_y:
            return output
        target = target.astype(np.float64)
        if self.loss == "squared_error":
            mean, scale = _mean_and_deviation(target, weights)
        elif self.loss == "poisson":
            # The logarithm as a link allows no shift.
            mean, scale = output.mean, np.average(target, axis=0, weights=weights)
            scale[scale == 0] = 1
        else:
            mean, scale = _median_and_range(target, weights)
        if not np.isfinite(scale).all():
            raise ValueError(
                "y contains values too large to be standardised; divide it by a constant."
            )
        # One for all outputs, if these are quantiles of a single target.
        n = output.n_outputs
        return replace(output, mean=np.full(n, mean), scale=np.full(n, scale))

    @property
    def _skip_rate(self) -> float:
        # A ridge is the best linear part already; training it on only fits noise.
        return TRAINED_SKIP_RATE if self.loss == "poisson" else 0.0

    def _plain_start(self, model: Model, samples: Any, rows: NDArray[np.intp]) -> Model:
        if not self._has_several_quantiles:
            return model
        # Away from the LSTM the predictions are the quantiles of y, and it moves only their level.
        target = model.output.encode(samples.target[rows].astype(np.float64))[:, :1]
        quantiles = self._quantiles_of(target, samples.weights[rows])
        parameters = model.parameters.copy()
        W_head = model.network.matrices(parameters)[-1]
        W_head[np.arange(len(W_head)) != len(W_head) // 2] = 0
        W_head[:, -1] = MultiPinballLoss(self._quantiles).link(quantiles[:, np.newaxis])[:, 0]
        return model.with_parameters(parameters)

    def _quantiles_of(self, values: NDArray[np.float64], weights: Floats) -> NDArray[np.float64]:
        """Return the quantiles that are predicted: of each column, or all of a single column."""
        return np.concatenate([_weighted_quantile(values, weights, q) for q in self._quantiles])

    def _ridge_start(
        self,
        model: Model,
        samples: Any,
        rows: NDArray[np.intp],
        *,
        is_validated: bool,
    ) -> tuple[Model, LinearStart | None]:
        if self.loss == "poisson" or model.recent is None:
            return model, None
        recent = model.recent
        # The mean in place of steps before a series would bend the ridge: of a series with a trend,
        # it is far from the first rows.
        sequences = samples.sequences.from_first_rows()
        target = model.output.encode(samples.target.astype(np.float64))
        n_targets = samples.target.shape[1]
        target = target[:, :n_targets]  # several quantiles have the same target
        in_order = np.sort(rows)
        drifts = drift(target[in_order], samples.weights[in_order]) > _MAX_DRIFT
        # Of a series that drifts, the first windows count as complete.
        judged = sequences if drifts else samples.sequences
        weights = weights_of_complete(judged, rows, samples.weights, recent.n_steps)
        # The Gram matrix loses digits where the level of y is far from zero.
        level = np.average(target[rows], axis=0, weights=weights[rows])

        gram = Gram(model.network.n_recent, n_targets, model.dtype)
        gram.add(sequences, rows, target - level, weights, recent)
        ridge = gram.solve()
        # Of the validation samples, and of the gap before them.
        all_rows = np.arange(len(target))
        others = np.setdiff1d(all_rows, rows, assume_unique=True)
        ridge_of_all = ridge
        if len(others):
            gram.add(sequences, others, target - level, weights, recent)
            ridge_of_all = gram.solve()

        def moved(ridge: Ridge, rows: NDArray[np.intp]) -> tuple[Ridge, NDArray[np.float64]]:
            """Move the intercept to fit the loss; return the residuals too."""
            ridge = ridge._replace(intercept=ridge.intercept + level, mean=ridge.mean + level)
            residual = target[rows] - ridge.predict(sequences, rows, recent, model.dtype)
            if self.loss != "squared_error":
                shift = self._quantiles_of(residual, weights[rows])
                ridge, residual = (
                    ridge._replace(intercept=ridge.intercept + shift),
                    residual - shift,
                )
            return ridge, residual

        fraction = _START_FRACTION if is_validated and not drifts else 1.0
        start, residual = moved(ridge.shrunk(fraction), rows)
        network, zero = model.network, np.zeros(model.network.n_outputs)
        scale = np.ones(network.n_outputs)
        if self.normalize_y:
            # The LSTM learns what the linear part leaves, in units of its standard deviation.
            center = _mean_and_deviation if self.loss == "squared_error" else _median_and_range
            deviation = center(residual[:, :n_targets], weights[rows])[1]
            scale = np.full(network.n_outputs, np.maximum(deviation, _LEAST_RESIDUAL))

        def parameters_of(ridge: Ridge) -> Floats:
            if self._has_several_quantiles:
                # In raw outputs, whose unit is the scale: the level is a ridge, the steps are not.
                raw = MultiPinballLoss(self._quantiles).link(
                    (ridge.intercept / scale)[:, np.newaxis]
                )
                is_level = np.arange(len(scale)) == len(scale) // 2
                coef = np.where(is_level[:, np.newaxis], ridge.coef, 0)
                ridge = ridge._replace(coef=coef, intercept=scale * raw[:, 0])
            return with_ridge(network, model.parameters, ridge, zero, scale)

        output = replace(model.output, scale=model.output.scale * scale)
        model = replace(model, parameters=parameters_of(start), output=output)
        return model, LinearStart(
            parameters_of(moved(ridge, rows)[0]), parameters_of(moved(ridge_of_all, all_rows)[0])
        )

    def _make_loss(self, output: NumericOutput | None) -> Loss:
        if self._has_several_quantiles:
            return MultiPinballLoss(self._quantiles)
        if self.loss == "quantile":
            return PinballLoss(self._quantiles[0])
        return _LOSSES[self.loss]()

    def _validation_score(
        self, output: NumericOutput, target: Floats, weights: Floats, raw: Floats
    ) -> float:
        predicted = INVERSE_LINKS[output.activation](raw.T).T
        if self.loss == "squared_error":
            return r2_score(target, predicted, sample_weight=weights)
        if self.loss == "poisson":
            # The metric takes one output at a time and no counts that are all equal, which it may
            # divide by zero for; the score of those is zero, as R^2 is for a constant target.
            counted = weights > 0
            return np.mean(
                [
                    d2_tweedie_score(true, mean, sample_weight=weights, power=1)
                    if np.ptp(true[counted]) > 0
                    else 0.0
                    for true, mean in zip(target.T, predicted.T, strict=True)
                ]
            )
        if self._has_several_quantiles:
            return self._d2_of_quantiles(target[:, 0], predicted, weights)
        return d2_pinball_score(target, predicted, sample_weight=weights, alpha=self._quantiles[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = not self._has_several_quantiles
        return tags


def _mean_and_deviation(
    target: NDArray[np.float64], weights: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted mean and standard deviation of each column, 1 for a constant one."""
    mean = np.average(target, axis=0, weights=weights)
    return mean, _without_rounding(_root_mean_square(target - mean, weights), mean)


def _median_and_range(
    target: NDArray[np.float64], weights: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted median and a robust standard deviation of each column.

    A loss that is robust to outliers needs a scale that is robust to them too.
    """
    low, median, high = (_weighted_quantile(target, weights, q) for q in (0.25, 0.5, 0.75))
    scale = (high - low) / _IQR_OF_NORMAL
    deviation = _root_mean_square(target - median, weights)
    return median, _without_rounding(np.where(scale > 0, scale, deviation), median)


def _root_mean_square(values: NDArray[np.float64], weights: Floats) -> NDArray[np.float64]:
    """Return the weighted root mean square of each column, however small or large it is."""
    # A power of two, which changes no digit: the squares of the values may be out of range.
    _, exponent = np.frexp(np.abs(values).max(axis=0))
    squares = np.ldexp(values, -exponent) ** 2
    return np.ldexp(np.sqrt(np.average(squares, axis=0, weights=weights)), exponent)


def _without_rounding(scale: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace a scale that is only rounding error, that of a constant target, by 1."""
    return np.where(scale <= 10 * np.finfo(np.float64).eps * np.abs(mean), 1.0, scale)


def _weighted_quantile(
    values: NDArray[np.float64], weights: Floats, q: float
) -> NDArray[np.float64]:
    """Return the least value of each column with a fraction ``q`` of the weight up to it."""
    order = np.argsort(values, axis=0)
    total = np.cumsum(weights.astype(np.float64)[order], axis=0)
    fraction = total / total[-1]
    # The factor allows for rounding: a weight of two must equal the row given twice.
    position = (fraction < q * (1 - 1e-9)).sum(axis=0)
    return np.take_along_axis(values, order, axis=0)[position, np.arange(values.shape[1])]
