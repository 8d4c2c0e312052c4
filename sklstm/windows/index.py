"""Where a series stands in a pandas index: which rows of X begin it, follow it or are missing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from sklstm.windows.grid import (
    grid_positions,
    is_regular,
    is_time,
    is_usual,
    numbers_of,
    usual_step,
)

__all__ = [
    "Position",
    "as_times",
    "check_increasing",
    "counts_from_zero",
    "index_of",
    "is_ordered",
    "warn_about_order",
]


@dataclass(frozen=True)
class Position:
    """Where a series stands in a pandas index.

    Parameters
    ----------
    first, last : label
        Labels of the first row and of the last row so far.
    fitted : ndarray of shape (n_rows,)
        Labels of the rows of ``fit``, as numbers.
    step : number, DateOffset or None
        Usual difference from one label to the next; None if there is none, or if it is not known.
    is_grid : bool
        Whether every label has to lie on the grid of that step.
    """

    first: Any
    last: Any
    fitted: NDArray[Any]
    step: Any
    is_grid: bool = False

    @classmethod
    def of(cls, labels: Any, freq: Any = None, *, is_panel: bool) -> Position:
        """Make the position of a series from the labels of its rows.

        Parameters
        ----------
        labels : pandas.Index
            Labels of the rows.
        freq : DateOffset or number, default=None
            The step of the grid that all labels lie on; None if there is no such grid.
        is_panel : bool
            Whether the index also labels the rows of other series.

        Returns
        -------
        Position
            Where the series stands.
        """
        step = _known_step(labels, is_panel=is_panel) if freq is None else freq
        return cls(labels[0], labels[-1], numbers_of(labels), step, freq is not None)

    def extended(self, labels: Any, *, is_panel: bool) -> Position:
        """Make the position after more rows.

        Parameters
        ----------
        labels : pandas.Index
            Labels of the new rows.
        is_panel : bool
            Whether the index also labels the rows of other series.

        Returns
        -------
        Position
            Where the series stands then.
        """
        step = self.step
        if step is None and len(self.fitted) == 1:  # else the labels have no usual step
            step = _known_step(labels, is_panel=is_panel)
        return replace(self, last=labels[-1], step=step)

    def begins(self, labels: Any) -> bool:
        """Return whether labels begin with those of ``fit``, or are the first of them.

        Parameters
        ----------
        labels : pandas.Index
            Labels of the rows of X.

        Raises
        ------
        ValueError
            If they begin with the first fitted label, but leave out a later one.
        """
        if labels[0] != self.first:
            return False
        n_common = min(len(labels), len(self.fitted))
        is_same = numbers_of(labels[:n_common]) == self.fitted[:n_common]
        if not is_same.all():
            other = labels[int(is_same.argmin())]
            raise ValueError(
                f"X begins with the first fitted row, {self.first}, but then has {other} where "
                "another row was fitted. Pass all rows from the first fitted one on, or only rows "
                "after the last one."
            )
        return True

    def n_missing_before(self, labels: Any, n_most: int) -> int:
        """Count the rows that are missing between the last row and later ones.

        Parameters
        ----------
        labels : pandas.Index
            Labels of the later rows.
        n_most : int
            Stop counting here.

        Returns
        -------
        int
            Number of missing rows, at most ``n_most``; 0 if the step is not known.
        """
        label = labels[0]
        try:
            follows = bool(label > self.last)
        except TypeError as error:
            raise ValueError(
                f"X begins at {label}, which cannot be compared with {self.last}, the label of the "
                "last fitted row."
            ) from error
        if not follows:
            raise ValueError(
                f"X begins at {label}. Its rows neither begin with the fitted ones, the first of "
                f"which is {self.first}, nor follow the last one, which is {self.last}, so the "
                "rows before X are not known. Pass all rows from the first fitted one on, pass "
                "only rows after the last one, or fit again."
            )
        if self.step is None:
            return 0
        if self.is_grid:
            both = labels[:1].insert(0, self.last)
            return min(n_most, int(grid_positions(both, self.step)[1]) - 1)
        if hasattr(label, "ordinal"):  # a pandas Period
            return min(n_most, (label.ordinal - self.last.ordinal) // self.step.n - 1)
        n_missing, previous, expected = 0, self.last, self.last + self.step
        while n_missing < n_most:
            following = expected + self.step
            # A label up to half a step late still belongs to the expected row: numbers are
            # rounded, and a day may have 25 hours.
            if label - expected < min(expected - previous, following - expected) / 2:
                break
            n_missing, previous, expected = n_missing + 1, expected, following
        return n_missing


def index_of(X: Any) -> Any:
    """Return the index of a pandas data frame, and None for anything else.

    Parameters
    ----------
    X : object
        Any input of an estimator.

    Returns
    -------
    pandas.Index or None
        The index.
    """
    return X.index if hasattr(X, "iloc") else None


def as_times(index: Any) -> Any:
    """Return times that pyarrow holds as those of pandas, and any other index as it is.

    Parameters
    ----------
    index : pandas.Index or None
        An index.
    """
    if index is None or hasattr(index, "asi8") or index.dtype.kind not in "mM":
        return index
    import pandas as pd

    return (pd.DatetimeIndex if index.dtype.kind == "M" else pd.TimedeltaIndex)(index)


def is_ordered(labels: Any) -> bool:
    """Return whether labels are times, or unique numbers, whose order is that of the rows.

    Parameters
    ----------
    labels : pandas.Index
        Labels of the rows.

    Returns
    -------
    bool
        Whether the labels say which row comes after which.
    """
    return is_time(labels) or bool(labels.dtype.kind in "iuf" and labels.is_unique)


def check_increasing(labels: Any) -> None:
    """Raise an error if the rows are not in the order of their labels.

    Parameters
    ----------
    labels : pandas.Index
        Labels of the rows of one series.
    """
    if labels.hasnans:
        raise ValueError("The index of X has missing labels: drop these rows, or label them.")
    if not labels.is_unique:
        label = labels[int(labels.duplicated().argmax())]
        raise ValueError(
            f"The index of X does not increase: {label} occurs more than once in one series. Keep "
            "one row for each time. If X holds several series, name the column that tells them "
            "apart as group_column."
        )
    if not labels.is_monotonic_increasing:
        raise ValueError(
            "The index of X does not increase, so its rows are not in the order of time. Sort "
            "them, oldest first, with X.sort_index()."
        )


def counts_from_zero(index: Any) -> bool:
    """Return whether an index is the one that pandas gives to rows without labels: 0, 1, 2, ...

    Parameters
    ----------
    index : pandas.Index or None
        The index.

    Returns
    -------
    bool
        Whether it only counts the rows.
    """
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def warn_about_order(
    parts: list[Any], *, carries: bool, counts_time: bool, stacklevel: int
) -> None:
    """Warn if the index of the fitted rows does not say what the windows take for granted.

    Parameters
    ----------
    parts : list of pandas.Index
        The labels of each series.
    carries : bool
        Whether the index should say which rows come later.
    counts_time : bool
        Whether windows count time, and not rows.
    stacklevel : int
        As for ``warnings.warn``: 1 points to this function.
    """
    message = None
    if not all(is_ordered(labels) for labels in parts):
        if carries:
            message = (
                "The index of X does not hold unique numbers or times, so it does not say which "
                "rows come later. With carry_context, rows that do not begin with the fitted ones "
                "are therefore taken to follow them."
            )
    elif not all(labels.is_monotonic_increasing for labels in parts):
        message = (
            "The index of X does not increase: the rows seem to be shuffled, but windows take "
            "their order for the order of time. Sort them with X.sort_index(), or drop the index "
            "with X.reset_index(drop=True) if it means nothing."
        )
    elif not counts_time and any(is_time(part) and not is_regular(part) for part in parts):
        message = (
            "The index of X is not regular: times are left out, or their distances differ. Windows "
            "count rows, so they reach further back where times are left out. With freq='infer' "
            "or, for instance, freq='D', times that are left out count as missing time steps."
        )
    if message is not None:
        warnings.warn(message, stacklevel=stacklevel + 1)


def _known_step(labels: Any, *, is_panel: bool) -> Any:
    """Return the usual step; None where it has no meaning."""
    # In a panel, integers may count the rows of all series together.
    if is_panel and labels.dtype.kind in "iu":
        return None
    step = usual_step(labels)
    return step if len(labels) < 2 or is_usual(step, labels) else None
