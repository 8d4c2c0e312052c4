"""The LSTM as a regressor."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, d2_tweedie_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm.base import BaseLSTM
from sklstm.nn.cell import Floats
from sklstm.nn.losses import (
    INVERSE_LINKS,
    AbsoluteError,
    Huber,
    Loss,
    PinballLoss,
    Poisson,
    SquaredError,
)
from sklstm.nn.model import NumericOutput
from sklstm.validation import check_regression_target

__all__ = ["LSTMRegressor"]

_LOSSES: dict[str, Any] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}

# Interquartile range of a normal distribution whose standard deviation is one.
_IQR_OF_NORMAL = 1.349


class LSTMRegressor(RegressorMixin, BaseLSTM):
    """An LSTM network for regression.

    Stacked LSTM layers read a sequence; a dense head predicts one or several numbers from the last
    hidden state. Trained by backpropagation through time and Adam, in plain NumPy.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Units of each LSTM layer. Every layer reads the hidden states of the one before; the dense
        head reads the last hidden state of the last layer.
    bidirectional : bool, default=False
        Make each layer a pair of LSTMs, of which one reads the sequence from its last step to its
        first; what is above reads the hidden states of both. ``hidden_layer_sizes`` counts the
        units of each.
    dropout : float, default=0.0
        Share of the hidden states that training drops on their way to the layer above and to the
        head, drawn anew for each sequence of each batch and the same at all of its steps [3]_.
    recurrent_dropout : float, default=0.0
        The same for the hidden states on their way to the layer's own next step.
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, \
            default="squared_error"
        What is minimised: half the squared error, which makes the mean the prediction; the absolute
        error, which makes it the median and cares less for outliers; "huber", which is half the
        squared error up to an error of one, in standardised units with ``normalize_y``, and
        linear from there; half the Poisson deviance, for counts, where the prediction is
        the exponential of the head's output and y must not be negative; or the pinball loss of
        ``quantile``.
    quantile : float or None, default=None
        The share of targets that is to lie below the prediction, for ``loss="quantile"`` and only
        there.
    normalize_y : bool, default=True
        Standardise the target inside; predictions come back in its units. The squared error
        standardises by mean and standard deviation; absolute error, "huber" and "quantile" by
        median and interquartile range / 1.349, for which an outlier is one value among many;
        "poisson" divides by the mean and shifts nothing.
    alpha : float, default=1e-4
        Strength of the L2 penalty ``alpha * |W|^2 / (2 * n_samples)`` on all weights but biases.
    batch_size : int or "auto", default="auto"
        Samples for each update; "auto" is 32.
    learning_rate : {"constant", "adaptive", "cosine"}, default="constant"
        How the step size changes from epoch to epoch: not at all; divided by five where training
        would otherwise have converged, see ``tol``, until it is below 1e-6; or along half a cosine
        from ``learning_rate_init`` towards zero over ``max_iter`` epochs, after which, in
        ``partial_fit``, it begins again.
    learning_rate_init : float, default=0.01
        Step size of Adam, at the start.
    max_iter : int, default=200
        Most epochs, each of which goes through all samples once.
    shuffle : bool, default=True
        Whether each epoch has a random order of its own. It is the order of samples that is
        shuffled, never the time steps within one.
    max_grad_norm : float or None, default=1.0
        A gradient with a greater Euclidean norm is scaled down to it; None switches that off.
    tol : float, default=1e-4
        Training has converged once the loss, or the validation score with ``early_stopping``, has
        not improved by ``tol`` for more than ``n_iter_no_change`` epochs in a row.
    n_iter_no_change : int, default=10
        See ``tol``; ``np.inf`` makes training go on for all of ``max_iter``.
    early_stopping : bool, default=False
        Set part of the samples aside, stop when the score on them no longer improves, and keep the
        weights of the best epoch. The score is D^2, the share of the loss that is explained: R^2
        for the squared error, :func:`~sklearn.metrics.d2_absolute_error_score` for the absolute
        error and "huber", :func:`~sklearn.metrics.d2_tweedie_score` for "poisson",
        :func:`~sklearn.metrics.d2_pinball_score` for "quantile".
    validation_fraction : float, default=0.1
        The part set aside with ``early_stopping``.
    validation_split : {"last", "random"}, default="last"
        Which samples are set aside: the last ones, as is right for windows of a
        series, or random ones.
    validation_gap : int, default=0
        Samples left out between those to train on and those set aside by
        ``validation_split="last"``. A target that reaches h rows ahead of its window needs h - 1.
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay rates of Adam's running means of the gradient and of its square.
    epsilon : float, default=1e-8
        Added to the denominator in Adam.
    timesteps : int or None, default=None
        How to read a 2-D X. None: each column is a time step of a single feature. Otherwise each
        row holds that many time steps, one after the other, of ``n_columns / timesteps`` features.
    dtype : {"float32", "float64"} or None, default=None
        Precision of weights and computation. None: float32 if X is float32, else float64.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the order of samples and a random validation split. The same
        int gives the same bits.
    verbose : bool, default=False
        Print a line for each epoch.
    warm_start : bool, default=False
        Let ``fit`` go on from the weights and the optimizer's state of the last fit, with the
        precision and, for a regressor, the standardisation of y that it chose.

    Attributes
    ----------
    n_features_in_ : int
        Columns of a 2-D X, features per time step of a 3-D X or of a list.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has names that are all strings.
    n_outputs_ : int
        Outputs of the head.
    n_layers_ : int
        Layers, the input and the head included.
    n_parameters_ : int
        Weights and biases in all.
    out_activation_ : str
        What turns the head's output into predictions: "identity", or "exponential" for
        ``loss="poisson"``.
    coefs_ : list of ndarray
        Weights: for each LSTM layer in turn W_x, (4 * n_units, n_inputs), and W_h,
        (4 * n_units, n_units), with rows in the gate order i, f, g, o, as
        :func:`sklstm.nn.lstm` takes them; then those of the head, (n_outputs, n_units). With
        ``bidirectional``, the two of the backward direction follow those of the forward one.
    intercepts_ : list of ndarray
        Biases: of each LSTM, (4 * n_units,), then of the head, (n_outputs,).
    n_iter_ : int
        Epochs that training has gone through.
    t_ : int
        Samples that training has gone through, each counted in every epoch.
    loss_ : float
        The last entry of ``loss_curve_``.
    loss_curve_ : list of float
        For each epoch the mean over samples of the loss, for "squared_error" (y - y_pred)^2 / 2,
        averaged over outputs, in standardised units with ``normalize_y``,
        plus the penalty, each taken before the update that it is part of.
    learning_rate_curve_ : list of float
        The learning rate of each epoch.
    best_loss_ : float or None
        The least loss; None with ``early_stopping``.
    validation_scores_ : list of float or None
        The score after each epoch, with ``early_stopping``; NaN for earlier epochs, of a fit
        without it.
    best_validation_score_ : float or None
        The best of those of the last call of ``fit``.
    best_iter_ : int or None
        The epoch that it belongs to, counted from 1, whose weights are kept.

    See Also
    --------
    LSTMClassifier : The same for class labels.
    SlidingWindow : Makes windows of a series, inside a Pipeline.

    Notes
    -----
    X may come as an array of shape (n_samples, n_timesteps, n_features); as a 2-D array or data
    frame, see ``timesteps``; or as a list of arrays of shape (n_timesteps_i, n_features) where
    lengths differ. A time step that is NaN in all features is missing: it is skipped and the state
    passes through. X is never copied whole.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
       1997.
    .. [2] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization",
       ICLR 2015.
    .. [3] Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
       Neural Networks", NeurIPS 2016.

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
        "quantile": [Interval(Real, 0, 1, closed="neither"), None],
        "normalize_y": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...] = (32,),
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        loss: str = "squared_error",
        quantile: float | None = None,
        normalize_y: bool = True,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        shuffle: bool = True,
        max_grad_norm: float | None = 1.0,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "last",
        validation_gap: int = 0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        timesteps: int | None = None,
        dtype: Any = None,
        random_state: Any = None,
        verbose: bool | int = False,
        warm_start: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            bidirectional=bidirectional,
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

    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Go through the given samples once, from where the last call ended.

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

    def predict(self, X: Any) -> NDArray[np.floating]:
        """Predict the target.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that ``fit`` was given. The number of time steps may differ
            where X is 3-D or a list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the units and the shape of the y that was fitted.
        """
        model, sequences = self._read(X)
        return model.predict(sequences)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if (self.loss == "quantile") != (self.quantile is not None):
            raise ValueError(
                f"quantile={self.quantile!r} and loss={self.loss!r} do not go together: "
                "loss='quantile' needs a quantile, for instance 0.9, and no other loss takes one."
            )

    def _encode_target(
        self,
        y: ArrayLike,
        classes: ArrayLike | None,
        n_samples: int,
        known: NumericOutput | None,
    ) -> tuple[NDArray[Any], NumericOutput]:
        target = check_regression_target(y, n_samples, self)
        is_new = known is None
        if self.loss == "poisson" and (
            (target < 0).any() or (is_new and not target.any(axis=0).all())
        ):
            raise ValueError(
                "loss='poisson' requires y that is not negative and not all zero, in each output."
            )
        n_outputs = 1 if target.ndim == 1 else target.shape[1]
        if known is None:
            activation = "exponential" if self.loss == "poisson" else "identity"
            known = NumericOutput(
                activation, np.zeros(n_outputs), np.ones(n_outputs), target.ndim == 1
            )
        if n_outputs != known.n_outputs:
            raise ValueError(
                f"y has {n_outputs} output(s), but was first fitted with {known.n_outputs}."
            )
        return target.reshape(len(target), n_outputs), known

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
        return replace(output, mean=mean, scale=scale)

    def _make_loss(self, output: NumericOutput) -> Loss:
        if self.quantile is not None:
            return PinballLoss(self.quantile)
        return _LOSSES[self.loss]()

    def _validation_score(
        self, output: NumericOutput, target: Floats, weights: Floats, raw: Floats
    ) -> float:
        predicted = INVERSE_LINKS[output.activation](raw)
        if self.loss == "squared_error":
            return r2_score(target, predicted, sample_weight=weights)
        if self.loss == "poisson":
            # The metric takes one output at a time and no counts that are all zero; the score of
            # those is zero, as R^2 is for a constant target.
            counted = weights > 0
            return np.mean(
                [
                    d2_tweedie_score(true, mean, sample_weight=weights, power=1)
                    if true[counted].any()
                    else 0.0
                    for true, mean in zip(target.T, predicted.T, strict=True)
                ]
            )
        quantile = 0.5 if self.quantile is None else self.quantile
        return d2_pinball_score(target, predicted, sample_weight=weights, alpha=quantile)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _mean_and_deviation(
    target: NDArray[np.float64], weights: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted mean and standard deviation of each column, 1 for a constant one."""
    mean = np.average(target, axis=0, weights=weights)
    scale = np.sqrt(np.average((target - mean) ** 2, axis=0, weights=weights))
    return mean, _without_rounding(scale, mean)


def _median_and_range(
    target: NDArray[np.float64], weights: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weighted median and a robust standard deviation of each column.

    A loss that is robust to outliers needs a scale that is robust to them too.
    """
    low, median, high = (_weighted_quantile(target, weights, q) for q in (0.25, 0.5, 0.75))
    scale = (high - low) / _IQR_OF_NORMAL
    deviation = np.sqrt(np.average((target - median) ** 2, axis=0, weights=weights))
    return median, _without_rounding(np.where(scale > 0, scale, deviation), median)


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
