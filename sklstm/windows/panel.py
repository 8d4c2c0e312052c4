"""The rows of one series or of a panel, and the column or index level that tells them apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Member",
    "Rows",
    "check_groups",
    "column_lags",
    "members_of",
    "position_of_column",
    "split_index",
    "take_out_column",
]


@dataclass(frozen=True)
class Rows:
    """Checked rows of one series or of several.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Their values.
    groups : ndarray of shape (n_rows,) or None
        The series that each row belongs to; None if there is only one.
    index : pandas.Index or None
        The labels of the rows, if there are any.
    """

    values: NDArray[Any]
    groups: NDArray[Any] | None
    index: Any

    @cached_property
    def members(self) -> list[Member]:
        """The series, sorted by label."""
        return members_of(self.groups)

    def labels_of(self, member: Member) -> Any:
        """Return the index of one of the series; None if there is no index."""
        return None if self.index is None else self.index[member.rows]


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


def split_index(index: Any, group_column: int | str | None) -> tuple[Any, NDArray[Any] | None]:
    """Take the level that labels the series out of an index of several levels.

    Parameters
    ----------
    index : pandas.Index or None
        The index of X.
    group_column : int, str or None
        The name of a column or of a level, or the position of a column.

    Returns
    -------
    index : pandas.Index or None
        The index without that level.
    groups : ndarray of shape (n_rows,) or None
        The label of each row; None if no level has the name.

    Raises
    ------
    ValueError
        If several levels are left.
    """
    groups = None
    if isinstance(group_column, str) and index is not None and group_column in index.names:
        groups = np.asarray(index.get_level_values(group_column))
        index = index.droplevel(group_column) if index.nlevels > 1 else None
    if getattr(index, "nlevels", 1) > 1:
        names = list(index.names)
        raise ValueError(
            f"The index of X has {index.nlevels} levels, {names}. If one of them tells several "
            "series apart, name it as group_column, so that no window crosses from one series into "
            "another, and let the other one hold the times. X.reset_index(...) makes a level a "
            "column, or drops it."
        )
    return index, groups


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


def column_lags(
    given: Mapping[str | int, int], lag: int, n_columns: int, names: NDArray[Any] | None
) -> NDArray[np.intp]:
    """Return the lag of each column.

    Parameters
    ----------
    given : mapping of int
        Lags of some columns, by name or position.
    lag : int
        The lag of all others.
    n_columns : int
        Number of columns.
    names : ndarray of shape (n_columns,) or None
        Their names, if they have any.

    Returns
    -------
    ndarray of int of shape (n_columns,)
        The lags.

    Raises
    ------
    ValueError
        If there is no such column, or if a lag is no lag.
    """
    lags = np.full(n_columns, lag)
    known = None if names is None else [str(name) for name in names]
    for column, of_column in given.items():
        if not isinstance(of_column, Integral) or isinstance(of_column, bool) or of_column < 0:
            raise ValueError(
                f"column_lags[{column!r}] must be an int of at least 0, got {of_column!r}."
            )
        if isinstance(column, str):
            if known is None or column not in known:
                columns = (
                    "X has no names: give a position, or keep the names through the previous steps "
                    "with set_output(transform='pandas')"
                    if known is None
                    else f"the columns of X are {known}"
                )
                raise ValueError(f"column_lags names the column {column!r}, but {columns}.")
            lags[known.index(column)] = of_column
        elif _is_position(column) and -n_columns <= column < n_columns:
            lags[column] = of_column
        else:
            raise ValueError(
                f"column_lags has {column!r} for a column, but X has {n_columns} columns: give "
                "names or positions."
            )
    return lags


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


def _is_position(column: Any) -> bool:
    return isinstance(column, Integral) and not isinstance(column, bool)
