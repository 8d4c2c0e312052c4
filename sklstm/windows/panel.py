"""The series of a panel: which rows belong to which series, and the column that says so."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Member", "check_groups", "members_of", "position_of_column", "take_out_column"]


class Member(NamedTuple):
    """One series of a panel.

    Parameters
    ----------
    group : label
        The label of the series; None for the only series where there are no labels.
    rows : ndarray of int or slice
        The positions of its rows, in their order.
    """

    group: Hashable
    rows: NDArray[np.intp] | slice


def members_of(groups: NDArray[Any] | None) -> list[Member]:
    """List the series of a panel, sorted by label.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,) or None
        The label of each row; None if all rows are one series.

    Returns
    -------
    list of Member
        The series, whose rows may be interleaved.
    """
    if groups is None:
        return [Member(None, slice(None))]
    labels, codes = np.unique(groups, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [Member(label, rows) for label, rows in zip(labels.tolist(), parts, strict=True)]


def check_groups(groups: NDArray[Any], name: str) -> None:
    """Raise an error if labels of series are missing or cannot be sorted.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,)
        The label of each row.
    name : str
        What the error message calls them.
    """
    labels = groups.tolist()
    if not all(label is not None and _equals_itself(label) for label in labels):
        raise ValueError(f"{name} holds missing values.")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"{name} mixes strings with other labels.")
    try:
        np.unique(groups)
    except TypeError as error:
        raise TypeError(f"{name}: the argument must be strings or numbers: {error}") from error


def _equals_itself(label: Any) -> bool:
    """Return False for NaN, NaT and NA."""
    try:
        return bool(label == label)
    except TypeError:
        return False


def position_of_column(X: Any, column: int | str) -> int:
    """Find the column of labels.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_rows, n_columns)
        The panel.
    column : int or str
        Position or name of the column. A negative position counts from the end.

    Returns
    -------
    int
        The position, counted from the start.
    """
    n_columns: int = X.shape[1]
    if isinstance(column, str):
        names = [str(name) for name in getattr(X, "columns", [])]
        if column not in names:
            hint = (
                f"{names}."
                if names
                else "which is an array and has no names: give a position, or keep the names "
                "through the previous steps with set_output(transform='pandas')."
            )
            raise ValueError(f"group_column={column!r} is not among the columns of X, {hint}")
        position = names.index(column)
    else:
        position = int(column) + (n_columns if column < 0 else 0)
        if not 0 <= position < n_columns:
            raise ValueError(
                f"group_column={column} is not a column of X, which has {n_columns} columns."
            )
    if n_columns < 2:
        raise ValueError("X has 1 feature(s), and that is the group_column: no feature is left.")
    return position


def take_out_column(X: Any, position: int) -> tuple[Any, NDArray[Any]]:
    """Split a panel into its features and its labels.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_rows, n_columns)
        The panel.
    position : int
        Position of the column of labels.

    Returns
    -------
    features : ndarray or data frame of shape (n_rows, n_columns - 1)
        The other columns.
    groups : ndarray of shape (n_rows,)
        The label of each row.
    """
    if hasattr(X, "columns"):
        names = list(X.columns)
        groups = np.asarray(X[names[position]])
        return X[names[:position] + names[position + 1 :]], groups
    features = np.delete(X, position, axis=1)
    if features.dtype == object:
        features = features.astype(np.float64)
    return features, X[:, position]
