"""Every check of y and of the weights. Nothing is written on the estimator."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import label_binarize
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    column_or_1d,
)

from sklstm.frames import as_array, check_not_masked, first_string
from sklstm.nn.model import ClassOutput

__all__ = [
    "check_class_target",
    "check_class_weight",
    "check_regression_target",
    "check_weights",
    "is_indicator",
]


def _check_present(estimator: BaseEstimator, y: Any) -> None:
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def check_regression_target(y: Any, n_samples: int, estimator: BaseEstimator) -> NDArray[Any]:
    """Check a regression target.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Finite real numbers.
    """
    _check_present(estimator, y)
    check_not_masked(y, "y")
    if (string := first_string(as_array(y, "y"))) is not None:
        raise ValueError(
            f"y must hold real numbers, but it holds the string {string!r:.50}. If its strings are "
            "numbers, use y.astype(float); for classes, use LSTMClassifier."
        )
    try:
        y = check_array(
            y,
            ensure_2d=False,
            allow_nd=True,
            dtype="numeric",
            order="C",
            input_name="y",
            estimator=estimator,
        )
    except ValueError as error:
        if np.asarray(y).dtype.kind in "OUSc":
            reason, *_ = str(error).split("\n")  # then come all values
            raise ValueError(
                f"y must hold real numbers; LSTMClassifier learns class labels. {reason}"
            ) from error
        if (remedy := _remedy_for_unknown_values(y)) is None:
            raise
        raise ValueError(f"{error} {remedy}") from error
    if y.dtype.kind not in "buif":
        raise ValueError(f"y must hold real numbers, but it is of dtype {y.dtype}.")
    if y.ndim > 2 or 0 in y.shape:
        raise ValueError(
            f"y has the shape {y.shape}, but must be of shape (n_samples,) or (n_samples, "
            f"n_outputs).{_remedy_for_shape(y.shape)}"
        )
    check_consistent_length(range(n_samples), y)
    return y


def _remedy_for_unknown_values(y: Any) -> str | None:
    """Say what to do about rows of y whose last values are unknown, None if there are none."""
    values = np.asarray(y)
    if values.ndim != 2 or values.dtype.kind != "f":
        return None
    is_unknown = np.isnan(values)
    n_unknown = is_unknown.sum(axis=1)
    is_row = n_unknown > 0
    n_last = int(np.argmin(is_row[::-1]))  # rows after the last one that is known
    if 0 < n_last == is_row.sum():
        return (
            f"Only the last {n_last} row(s) of y hold NaN, as forecast_targets leaves the rows "
            f"whose targets are still in the future. Train on X[:-{n_last}], y[:-{n_last}]."
        )
    # At the end of each series of a panel, the last value is unknown, then the last two, ...
    n_rows = np.bincount(n_unknown, minlength=values.shape[1] + 1)[1:]
    is_at_the_end = not (is_unknown[:, :-1] & ~is_unknown[:, 1:]).any()
    if values.shape[1] > 1 and n_rows.min() == n_rows.max() > 0 and is_at_the_end:
        return (
            f"{is_row.sum()} rows of y hold NaN, as forecast_targets leaves the last rows of each "
            "series. Train on the others: known = ~np.isnan(y).any(axis=1); X[known], y[known]."
        )
    return None


def _remedy_for_shape(shape: tuple[int, ...]) -> str:
    """Say what to do about a y of three dimensions."""
    if len(shape) != 3 or 0 in shape:
        return ""
    n_outputs = shape[1] * shape[2]
    return (
        f" If make_windows made it of several columns, it is (n_samples, horizon, n_targets): "
        f"y.reshape(len(y), -1) has the shape {(shape[0], n_outputs)}, a column for each number to "
        "predict, and y[:, :, 0] holds the first of the columns only."
    )


def is_indicator(y: Any) -> bool:
    """Return whether y is a multilabel indicator matrix."""
    return type_of_target(y, input_name="y") == "multilabel-indicator"


def check_class_target(
    y: Any,
    classes: ArrayLike | None,
    n_samples: int,
    *,
    known: ClassOutput | None,
    estimator: BaseEstimator,
) -> tuple[NDArray[np.int_], ClassOutput]:
    """Check class labels or an indicator matrix, and encode them.

    Parameters
    ----------
    y : array-like
        Labels of shape (n_samples,), or an indicator matrix.
    classes : array-like or None
        All classes, where y may not hold each of them.
    n_samples : int
        Samples in X.
    known : ClassOutput or None
        The classes that y must belong to; None if this y defines them.
    estimator : estimator
        For its name in messages.

    Returns
    -------
    encoded : ndarray of shape (n_samples, n_outputs)
        Zeros and ones: a single column for two classes, else a column for each class or label.
    output : ClassOutput
        The classes.
    """
    _check_present(estimator, y)
    check_not_masked(y, "y")
    _check_labels_of_one_kind(y, "y")
    _check_labels_of_one_kind(classes, "classes")
    y = check_array(
        y,
        accept_sparse="csr",
        ensure_2d=False,
        allow_nd=True,
        dtype=None,
        input_name="y",
        estimator=estimator,
    )
    check_classification_targets(y)
    is_multilabel = is_indicator(y)
    if not is_multilabel:
        y = column_or_1d(y, warn=True)
    check_consistent_length(range(n_samples), y)
    if known is None:
        # The columns of an indicator matrix are its classes.
        found = unique_labels(y if is_multilabel or classes is None else classes)
        if len(found) < 2 and not is_multilabel:
            raise ValueError(
                f"{type(estimator).__name__} needs samples of at least 2 classes, but "
                f"{'y has' if classes is None else 'classes has'} only "
                f"the class {found.tolist()[0]!r}."
            )
        known = ClassOutput.of(found, is_multilabel=is_multilabel)
    _check_classes(y, classes, is_multilabel, known)
    encoded = label_binarize(y, classes=known.classes)
    if not np.isin(encoded, (0, 1)).all():
        raise ValueError(
            "A multilabel indicator matrix holds 0 and 1, but y holds "
            f"{np.unique(encoded).tolist()}."
        )
    return encoded, known


def _check_labels_of_one_kind(labels: Any, name: str) -> None:
    """Raise an error if some labels are strings, or None, and others are not.

    They cannot be put in order, or NumPy would make strings of all.
    """
    if not isinstance(labels, list | tuple):
        labels = np.asarray(labels)
        labels = labels.tolist() if labels.dtype.kind == "O" and labels.ndim == 1 else []
    kinds = set(map(type, labels))
    if len({kind if kind is type(None) else issubclass(kind, str) for kind in kinds}) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(
            f"{name} holds labels of several types ({names}). Make all of them strings or all of "
            "them numbers, and remove samples whose label is missing."
        )


def _check_classes(
    y: NDArray[Any], classes: ArrayLike | None, is_multilabel: bool, known: ClassOutput
) -> None:
    """Check that y and ``classes`` agree with the classes that are known."""
    if is_multilabel != known.is_multilabel:
        raise ValueError("y was a multilabel indicator matrix in one call and not in another.")
    if classes is not None and not np.array_equal(unique_labels(classes), known.classes):
        raise ValueError(f"classes={classes!r} is not the same as before: {known.classes!r}.")
    if is_multilabel:
        if y.shape[1] != len(known.classes):
            raise ValueError(f"y has {y.shape[1]} labels, but {len(known.classes)} are known.")
        return
    seen = set(known.classes.tolist())
    unseen = [label for label in np.unique(y).tolist() if label not in seen]
    if unseen:
        raise ValueError(
            f"y contains classes that were not seen before: {unseen}. The known classes are "
            f"{known.classes!r}. Give all classes in the first call of partial_fit, or call fit."
        )


def check_class_weight(
    class_weight: Any, target: NDArray[Any], output: ClassOutput
) -> NDArray[np.floating] | float:
    """Check ``class_weight`` and return the weight that each sample has for its class.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None
        The parameter.
    target : ndarray of shape (n_samples, n_outputs)
        The encoded y.
    output : ClassOutput
        The classes.
    """
    if class_weight is None:
        return 1.0
    is_multilabel = output.is_multilabel
    columns = [*target.T] if is_multilabel else [output.decide(target, threshold=0.5)]
    if isinstance(class_weight, str):
        return compute_sample_weight(class_weight, np.column_stack(columns))
    given = class_weight
    if isinstance(given, dict):
        given = [given] * len(columns)
    elif not is_multilabel:
        given = []
    classes = [0, 1] if is_multilabel else output.classes.tolist()
    if len(given) != len(columns) or not all(isinstance(weights, dict) for weights in given):
        raise ValueError(
            f"class_weight={class_weight!r} must be a dict, or for a multilabel target a list with "
            f"a dict for each column of y, which has {len(columns)} here."
        )
    factors = np.ones(len(target))
    for weights, column in zip(given, columns, strict=True):
        unknown = [name for name in weights if name not in classes]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown}, which are not among the classes {classes}."
            )
        if not all(isinstance(w, Real) and 0 <= float(w) < np.inf for w in weights.values()):
            raise ValueError(
                f"class_weight={class_weight!r} must hold finite numbers, none of them negative."
            )
        factors *= np.array([weights.get(name, 1.0) for name in classes])[column]
    return factors


def check_weights(
    sample_weight: ArrayLike | None, n_samples: int, dtype: np.dtype
) -> NDArray[np.floating]:
    """Check the weights of the samples.

    Returns
    -------
    ndarray of shape (n_samples,)
        None is negative, and not all are zero.
    """
    check_not_masked(sample_weight, "sample_weight")
    weights = _check_sample_weight(
        sample_weight, np.arange(n_samples), dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    with np.errstate(all="ignore"):
        total = weights.astype(dtype).sum()
    # The square of their inverse and of themselves must be numbers: they are divided by.
    if not np.sqrt(np.finfo(dtype).tiny) < total < np.sqrt(np.finfo(dtype).max):
        raise ValueError(
            f"Sample weights add up to {total:g}, which is out of {dtype}'s range: multiply them "
            "by a constant."
        )
    return weights.astype(dtype)
