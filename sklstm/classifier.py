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

from sklstm._docstrings import with_shared_parts
from sklstm.base import BaseLSTM
from sklstm.nn.cell import Floats
from sklstm.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss
from sklstm.nn.model import ClassOutput
from sklstm.parameters import TRAINED_SKIP_RATE
from sklstm.step_targets import has_several_outputs
from sklstm.targets import check_class_target, check_class_weight, is_indicator

__all__ = ["LSTMClassifier"]


@with_shared_parts
class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """An LSTM network for classification.

    Stacked LSTM layers read a sequence; a dense head gives probabilities from their hidden states
    over all steps: of two classes by a sigmoid, of several classes by a softmax, of each label of a
    multilabel target by a sigmoid. Trained on the cross-entropy by backpropagation through time
    and Adam, in plain NumPy [1]_ [2]_.

    Parameters
    ----------
    %(architecture)
    pooling : {"auto", "last", "mean", "max"} or tuple of these, default="auto"
        What the head reads of the hidden states of the last layer: the last one, their mean or
        their maximum over the steps that are not missing, or several of these side by side. "auto"
        is ``("last", "mean", "max")``, and "last" with ``train_on="series"`` or
        ``return_sequences``.
    linear_skip : int or "auto", default=0
        Number of time steps, counted from the end of a sequence, that the head also reads
        directly: a linear part beside the LSTM [4]_, which helps where curves are aligned in time
        and hurts where their phase is random. It starts at zero and is trained with a third of the
        learning rate. A step that is missing or absent counts as the mean of the training samples.
        "auto" is all steps, as long as there are at most 512 columns and two samples for each; with
        ``return_sequences`` the last sixth of the steps up to each step.
    %(train_on)
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, which multiply the sample weights. A dict {class: weight} gives 1
        to a class that it does not name. "balanced" is n_samples / (n_classes * samples of the
        class). For a multilabel target: a dict {0: weight, 1: weight} for every label, or a list
        with one dict per label; the weights of a sample's labels are multiplied. Validation scores
        do not use these weights.
    %(optimization)
    early_stopping : bool or "auto", default=False
        Set part of the samples aside, stop when the accuracy on them no longer improves, and keep
        the weights of the best epoch. What is scored and kept is the moving average of the weights
        over the updates [5]_. "auto" is on from 50 samples on and with ``X_val``.
    validation_fraction : float, default=0.1
        The fraction set aside with ``early_stopping``.
    validation_split : {"last", "random"}, default="random"
        Which samples are set aside: random ones, with the classes in proportion, or the last ones,
        which is right for windows of a series.
    %(validation_gap)
    %(rest)

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in sorted order; for a multilabel target the column numbers.
    %(n_features)
    out_activation_ : str
        The function from the head's output to probabilities: "softmax", or "logistic" for two
        classes and for multilabel targets.
    %(fitted)
    loss_curve_ : list of float
        For each epoch the mean over samples of -log p, where p is the probability of the true
        class, plus the penalty; each is computed before the update that it is part of.
    %(curves)

    See Also
    --------
    LSTMRegressor : The same for numbers.

    Notes
    -----
    %(notes)

    References
    ----------
    %(references)

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
