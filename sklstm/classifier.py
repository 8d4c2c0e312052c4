"""The LSTM as a classifier."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions

from sklstm.base import BaseLSTM
from sklstm.nn.cell import Floats
from sklstm.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss
from sklstm.nn.model import ClassOutput
from sklstm.validation import check_class_target, check_class_weight, is_indicator

__all__ = ["LSTMClassifier"]


class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """An LSTM network for classification.

    Stacked LSTM layers read a sequence; a dense head gives probabilities from the last hidden
    state: of two classes by a sigmoid, of several by a softmax, of each label of a multilabel
    target by a sigmoid. Trained on the cross-entropy by backpropagation through time and Adam, in
    plain NumPy.

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
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which multiply those of the samples: {class: weight}, 1 for a class
        that is not named; or "balanced", n_samples / (n_classes * samples of the class). For
        a multilabel target a dict {0: weight, 1: weight} for every label, or a list with one for
        each; a sample has the product of its labels' weights. They are for training: validation
        scores do without.
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
        Set part of the samples aside, stop when the score on them, accuracy, no longer improves,
        and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        The part set aside with ``early_stopping``.
    validation_split : {"last", "random"}, default="random"
        Which samples are set aside: the last ones, or random ones, each
        class in proportion.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order; for multilabel targets the numbers of the columns.
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
        What turns the head's output into predictions: "logistic" or
        "softmax".
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
        For each epoch the mean over samples of -log p, p being the probability of the true class,
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
    LSTMRegressor : The same for numbers.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseLSTM._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...] = (32,),
        *,
        bidirectional: bool = False,
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
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
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
        self.class_weight = class_weight

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go through the given samples once, from where the last call ended.

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
        if classes is None and not hasattr(self, "classes_") and not is_indicator(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not see all samples at once. Use compute_class_weight('balanced', classes=classes,"
                " y=y) on all of y, or on a good sample of it, and give the result as a dict."
            )
        self._partial_fit(X, y, sample_weight, classes)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
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
            the labels with a probability above one half.
        """
        model, sequences = self._read(X)
        return model.predict(sequences)

    def predict_proba(self, X: Any) -> NDArray[np.floating]:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``; for multilabel targets of
            each label.
        """
        model, sequences = self._read(X)
        return model.predict_proba(sequences)

    def predict_log_proba(self, X: Any) -> NDArray[np.floating]:
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

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels."""
        return self._fitted("_model").output.classes

    def _encode_target(
        self, y: Any, classes: ArrayLike | None, n_samples: int, known: ClassOutput | None
    ) -> tuple[NDArray[Any], ClassOutput]:
        return check_class_target(y, classes, n_samples, known=known, estimator=self)

    def _class_weights(self, target: NDArray[Any], output: ClassOutput) -> Floats | float:
        return check_class_weight(self.class_weight, target, output)

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
