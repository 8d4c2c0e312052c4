"""The LSTM as a classifier."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions

from sklstm.base import BaseLSTM
from sklstm.nn.cell import Floats
from sklstm.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss
from sklstm.nn.model import ClassOutput
from sklstm.parameters import TRAINED_SKIP_RATE
from sklstm.step_targets import has_several_outputs
from sklstm.targets import check_class_target, check_class_weight, is_indicator

__all__ = ["LSTMClassifier"]


class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """LSTM network that predicts class labels from sequences.

    >>> import numpy as np
    >>> from sklstm import LSTMClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 10, 2))  # samples, time steps, features
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> model = LSTMClassifier(random_state=0).fit(X[:150], y[:150])
    >>> model.predict(X[150:]).shape
    (50,)

    Stacked LSTM layers read a sequence; a dense head gives probabilities from their hidden states
    over all steps: of two classes by a sigmoid, of several classes by a softmax, of each label of a
    multilabel target by a sigmoid. Trained on the cross-entropy by backpropagation through time
    and Adam, in plain NumPy [1]_ [2]_.

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
        their maximum over the steps that are not missing, or several of these side by side. "auto"
        is ``("last", "mean", "max")``, and "last" with ``train_on="series"`` or
        ``return_sequences``.
    linear_skip : int or "auto", default=0
        Number of time steps, counted from the end of a sequence, that the head also reads directly:
        a linear part beside the LSTM [4]_, which helps where curves are aligned in time and hurts
        where their phase is random. It starts at zero and is trained with a third of the learning
        rate. A step that is missing or absent counts as the mean of the training samples. "auto" is
        all steps, as long as there are at most 512 columns and two samples for each; with
        ``return_sequences`` the last sixth of the steps up to each step.
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
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which multiply the sample weights. A dict {class: weight} gives 1 to
        a class that it does not name. "balanced" is n_samples / (n_classes * samples of the class).
        For a multilabel target: a dict {0: weight, 1: weight} for every label, or a list with one
        dict per label; the weights of a sample's labels are multiplied. Validation scores do not
        use these weights.
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
    early_stopping : bool or "auto", default=False
        Set part of the samples aside, stop when the accuracy on them no longer improves, and keep
        the weights of the best epoch. What is scored and kept is the moving average of the weights
        over the updates [5]_. "auto" is on from 50 samples on and with ``X_val``.
    validation_fraction : float, default=0.1
        The fraction set aside with ``early_stopping``.
    validation_split : {"last", "random"}, default="random"
        Which samples are set aside: random ones, with the classes in proportion, or the last ones,
        which is right for windows of a series.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order; for a multilabel target the column numbers.
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
        The function from the head's output to probabilities: "softmax", or "logistic" for two
        classes and for multilabel targets.
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
        For each epoch the mean over samples of -log p, where p is the probability of the true
        class, plus the penalty; each is computed before the update that it is part of.
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
    LSTMRegressor : The same for numbers.

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

    Examples
    --------
    Does a sequence rise or fall? Sequences of different lengths come as a list:

    >>> import numpy as np
    >>> from sklstm import LSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> slopes = rng.choice([-1.0, 1.0], size=100)
    >>> X = [
    ...     rng.normal() + slope * np.arange(rng.integers(3, 9))[:, np.newaxis] for slope in slopes
    ... ]
    >>> y = np.where(slopes > 0, "rise", "fall")
    >>> model = LSTMClassifier(8, n_iter_no_change=3, random_state=0).fit(X, y)
    >>> model.predict([np.array([[1.0], [0.0], [-1.0]]), np.array([[0.0], [1.0], [2.0], [3.0]])])
    array(['fall', 'rise'], dtype='<U4')
    """

    _AUTO_POOLING: ClassVar[tuple[str, ...]] = ("last", "mean", "max")

    # Fewer leave a validation set without some of the classes.
    _MIN_SAMPLES_TO_STOP_EARLY: ClassVar[int] = 50

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLSTM._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (32,),
        *,
        bidirectional: bool = False,
        return_sequences: bool = False,
        pooling: str | Sequence[str] = "auto",
        linear_skip: int | str = 0,
        train_on: str = "windows",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        class_weight: Any = None,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        shuffle: bool = True,
        max_grad_norm: float | None = 1.0,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
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
        self.class_weight = class_weight

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go through the given samples once, from where the last call ended.

        The time of a call does not depend on the number of calls before. If a call fails, the
        estimator is as it was. The curves, such as ``loss_curve_``, keep the last 10,000 epochs.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in any of the forms that ``fit`` takes. The number of time steps may differ
            from call to call where X is 3-D or a list.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or an indicator matrix of labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see. Needed in the first call, unless y is an indicator
            matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : object
            The estimator.
        """
        if classes is None and not hasattr(self, "classes_") and not self._is_indicator(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not see all samples at once. Use compute_class_weight('balanced', classes=classes,"
                " y=y) on all of y, or on a good sample of it, and give the result as a dict."
            )
        self._partial_fit(X, y, sample_weight, classes)
        return self

    def predict(self, X: Any) -> NDArray[Any] | Any:
        """Predict class labels.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that ``fit`` was given. The number of time steps may differ
            where X is 3-D or a list.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable class of each sample; for multilabel targets an indicator matrix of
            the labels with a probability above one half. With ``return_sequences``, predictions
            for each time step: in place of n_samples, the shape has n_samples and n_timesteps;
            for a list of sequences it is a list of arrays.
        """
        model, sequences = self._read(X)
        return model.predict(sequences)

    def predict_proba(self, X: Any) -> NDArray[np.floating] | Any:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``; for multilabel targets of
            each label. With ``return_sequences``, for each time step, see ``predict``.
        """
        model, sequences = self._read(X)
        return model.predict_proba(sequences)

    def predict_log_proba(self, X: Any) -> NDArray[np.floating] | Any:
        """Predict the logarithm of probabilities, precise where they are close to zero.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithm of what ``predict_proba`` gives.
        """
        model, sequences = self._read(X)
        return model.predict_log_proba(sequences)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels; with ``return_sequences`` of each time step, as for ``fit``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; with ``return_sequences`` there may be one for each time step.

        Returns
        -------
        float
            The fraction of samples, or of labelled time steps, with the right class; for multilabel
            targets, with all labels right.
        """
        if not self.__sklstm_model__().return_sequences:
            return super().score(X, y, sample_weight)
        y, y_pred, sample_weight = self._labelled(X, y, sample_weight)
        return accuracy_score(y, y_pred, sample_weight=sample_weight)

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels."""
        return self._fitted("_model").output.classes

    def _is_indicator(self, y: Any) -> bool:
        """Return whether y is an indicator matrix, or holds one for each sequence."""
        return has_several_outputs(y) if self.return_sequences else is_indicator(y)

    def _encode_target(
        self, y: Any, classes: ArrayLike | None, n_targets: int, known: ClassOutput | None
    ) -> tuple[NDArray[Any], ClassOutput]:
        if self.return_sequences and y.ndim == 2 and y.shape[1] == 1:
            warnings.warn(
                "y has a third axis of length 1, but predictions are of shape (n_samples, "
                "n_timesteps). Use y[:, :, 0], or such a vector for each sequence.",
                DataConversionWarning,
                stacklevel=2,
            )
            y = y[:, 0]
        return check_class_target(y, classes, n_targets, known=known, estimator=self)

    def _warnings_about_target(
        self, y: Any, target: NDArray[Any], output: ClassOutput
    ) -> list[Warning]:
        # Not an error: labels that exclude each other in the samples need not do so elsewhere. Not
        # read as classes either, since scikit-learn reads every indicator matrix as labels.
        if not output.is_multilabel or (target.sum(axis=1) != 1).any():
            return []
        return [
            UserWarning(
                "Each row of y has exactly one 1. As an indicator matrix it is multilabel: each "
                "column has a probability of its own, and they do not add up to one. If y is the "
                "one-hot encoding of classes, use np.asarray(y).argmax(axis=-1)."
            )
        ]

    def _class_weights(self, target: NDArray[Any], output: ClassOutput) -> Floats | float:
        return check_class_weight(self.class_weight, target, output)

    @property
    def _skip_rate(self) -> float:
        return TRAINED_SKIP_RATE

    def _make_loss(self, output: ClassOutput) -> Loss:
        return (
            BinaryCrossEntropy() if output.activation == "logistic" else CategoricalCrossEntropy()
        )

    def _validation_score(
        self, output: ClassOutput, target: Floats, weights: Floats, raw: Floats
    ) -> float:
        true, decided = output.decide(target, threshold=0.5), output.decide(raw)
        return accuracy_score(true, decided, sample_weight=weights)

    def _stratify(self, target: NDArray[Any], output: ClassOutput) -> NDArray[Any] | None:
        if output.is_multilabel:
            return None
        return output.classes[output.decide(target, threshold=0.5)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
