"""Where a series stands in a pandas index, and how many rows are missing before a later label."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Position", "check_increasing", "counts_from_zero", "index_of", "is_ordered"]


@dataclass(frozen=True)
class Position:
    """Where a series stands in a pandas index.

    Parameters
    ----------
    first, last : label
        Labels of its first row and of its last row so far.
    step : number, Timedelta, DateOffset or None
        Difference from one label to the next; None if it is not the same everywhere.
    """

    first: Any
    last: Any
    step: Any

    @classmethod
    def of(cls, labels: Any, *, is_panel: bool) -> Position:
        """Make the position of a series from the labels of its rows.

        Parameters
        ----------
        labels : pandas.Index
            Labels of the rows.
        is_panel : bool
            Whether the index also labels the rows of other series.

        Returns
        -------
        Position
            Where the series stands.
        """
        return cls(labels[0], labels[-1], _step_of(labels, is_panel=is_panel))

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
        step = self.step or _step_of(labels, is_panel=is_panel)
        return Position(self.first, labels[-1], step)

    def n_missing_before(self, label: Any, n_most: int) -> int:
        """Count the rows that are missing between the last row and a later one.

        Parameters
        ----------
        label : label
            Label of the later row.
        n_most : int
            Stop counting here.

        Returns
        -------
        int
            Number of missing rows, at most ``n_most``; 0 if the step is not known.
        """
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


def is_ordered(labels: Any) -> bool:
    """Return whether labels are unique numbers or times, whose order is that of the rows.

    Parameters
    ----------
    labels : pandas.Index
        Labels of the rows.

    Returns
    -------
    bool
        Whether the labels say which row comes after which.
    """
    return bool((labels.dtype.kind in "iufMm" or hasattr(labels, "freqstr")) and labels.is_unique)


def check_increasing(labels: Any) -> None:
    """Raise an error if the rows are not in the order of time.

    Parameters
    ----------
    labels : pandas.Index
        Labels of the rows.
    """
    if not labels.is_monotonic_increasing:
        raise ValueError(
            "The index of X does not increase, so its rows are not in the order of time. Sort "
            "them, oldest first."
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


def _step_of(labels: Any, *, is_panel: bool) -> Any:
    """Find the difference from each label to the next; None if it varies or has no meaning."""
    if (freq := getattr(labels, "freq", None)) is not None:
        return freq
    if len(labels) < 2:
        return None
    if labels.dtype.kind == "M" and len(labels) > 2:
        # Before the differences are compared, because months and days vary in length.
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names of frequencies
            name = pd.infer_freq(labels)
            if name is not None:
                return pd.tseries.frequencies.to_offset(name)
    steps = np.diff(labels.to_numpy())
    is_regular = np.allclose(steps, steps[0]) if labels.dtype.kind == "f" else steps == steps[0]
    if not np.all(is_regular):
        return None
    # In a panel, integers may count the rows of all series together.
    return None if is_panel and labels.dtype.kind in "iu" else labels[1] - labels[0]
