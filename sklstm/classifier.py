"""The LSTM as a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
)

from sklstm.base import BaseLSTM
from sklstm.nn.losses import BinaryCrossEntropy, CategoricalCrossEntropy, Loss
from sklstm.sequences import Sequences
from sklstm.validation import check_present

__all__ = ["LSTMClassifier"]


class LSTMClassifier(ClassifierMixin, BaseLSTM):
    """DOC"""

    def __init__(
        self,
        hidden_layer_sizes: int | tuple[int, ...] = (32,),
        *,
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        max_grad_norm: float | None = 1.0,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
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
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            max_grad_norm=max_grad_norm,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            validation_split=validation_split,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            timesteps=timesteps,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
            warm_start=warm_start,
        )

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> LSTMClassifier:
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
        if classes is None and not hasattr(self, "classes_") and not _is_indicator(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
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
        raw = self._raw_outputs(X)  # (n_samples, n_outputs)
        decided = self._decide(raw)
        return decided if self._is_multilabel else self.classes_[decided]

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
        raw = self._raw_outputs(X)  # (n_samples, n_outputs)
        p = self._loss.inverse_link(raw.T).T
        if self.n_outputs_ == 1 and not self._is_multilabel:
            return np.column_stack([1 - p, p])
        return p

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
        raw = self._raw_outputs(X)  # (n_samples, n_outputs)
        if self._is_multilabel:
            # log sigmoid(z) = -log(1 + exp(-z))
            return -np.logaddexp(0, -raw)
        if self.n_outputs_ == 1:
            return -np.logaddexp(0, np.column_stack([raw, -raw]))
        # log softmax(z)_k = z_k - log sum_j exp(z_j)
        return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)

    def _decide(self, scores: NDArray[np.floating], threshold: float = 0.0) -> NDArray[np.intp]:
        """Turn scores, one for each output, into class numbers or an indicator matrix."""
        if self._is_multilabel:
            return (scores > threshold).astype(int)
        if scores.shape[1] == 1:
            return (scores[:, 0] > threshold).astype(int)
        return scores.argmax(axis=1)

    def _encode_target(
        self, y: Any, sequences: Sequences, classes: ArrayLike | None, *, reset: bool
    ) -> NDArray[Any]:
        check_present(self, y)
        check_classification_targets(y)
        is_multilabel = _is_indicator(y)
        y = check_array(y, accept_sparse=True) if is_multilabel else column_or_1d(y, warn=True)
        check_consistent_length(sequences, y)
        if reset:
            # The columns of an indicator matrix are its classes.
            known = y if is_multilabel or classes is None else unique_labels(classes)
            self._binarizer = LabelBinarizer().fit(known)
            self._is_multilabel = is_multilabel
            self.classes_ = self._binarizer.classes_
            if len(self.classes_) < 2 and not is_multilabel:
                raise ValueError(
                    f"{type(self).__name__} needs samples of at least 2 classes, but y has only "
                    f"the class {self.classes_[0]!r}."
                )
        self._check_classes(y, classes, is_multilabel)
        # (n_samples, 1) for two classes, else a column for each class or label
        return self._binarizer.transform(y)

    def _check_classes(self, y: NDArray[Any], classes: ArrayLike | None, is_multilabel: bool) -> None:
        """Hold y to the classes that are known."""
        if is_multilabel != self._is_multilabel:
            raise ValueError("y was a multilabel indicator matrix in one call and not in another.")
        if classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(f"classes={classes!r} is not the same as before: {self.classes_!r}.")
        if is_multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y has {y.shape[1]} labels, but {len(self.classes_)} are known.")
            return
        known = set(self.classes_.tolist())
        unseen = [label for label in np.unique(y).tolist() if label not in known]
        if unseen:
            raise ValueError(
                f"y contains classes that were not seen before: {unseen}. Known are "
                f"{self.classes_!r}; give all classes in the first call of partial_fit, or call fit."
            )

    def _scale_target(
        self, target: NDArray[Any], weights: NDArray[np.floating], *, reset: bool
    ) -> NDArray[Any]:
        return target

    @property
    def _loss(self) -> Loss:
        if self._is_multilabel or self.n_outputs_ == 1:
            return BinaryCrossEntropy()
        return CategoricalCrossEntropy()

    def _validation_score(
        self,
        target: NDArray[np.floating],
        raw: NDArray[np.floating],
        weights: NDArray[np.floating],
    ) -> float:
        true, decided = self._decide(target, threshold=0.5), self._decide(raw)
        return accuracy_score(true, decided, sample_weight=weights)

    def _stratify(self, target: NDArray[Any]) -> NDArray[Any] | None:
        return None if self._is_multilabel else self._decide(target, threshold=0.5)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _is_indicator(y: Any) -> bool:
    """Tell whether y is a multilabel indicator matrix."""
    return type_of_target(y, input_name="y") == "multilabel-indicator"
