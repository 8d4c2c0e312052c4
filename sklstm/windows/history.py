"""The last fitted rows, which precede rows that follow them, and how such rows are recognized."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.windows.index import Position, check_increasing, counts_from_zero, is_ordered
from sklstm.windows.panel import members_of

__all__ = ["History", "RowsBySeries"]

RowsBySeries = Mapping[Hashable, NDArray[Any]]  # rows of each series of a panel, by its label

# Number of rows, evenly spaced, that are compared to recognize the fitted rows. More rows cost
# time and memory in each call of transform; the mean and the standard deviation cover the others.
_N_SAMPLED = 256

# Largest difference between values that count as equal, as a fraction of the standard deviation
# of a column: of that, float32 keeps seven digits or fewer. In a constant column, a fraction of
# its mean.
_TOLERANCE = 1e-4
_TOLERANCE_IF_CONSTANT = 1e-6


@dataclass(frozen=True)
class _Fingerprint:
    """A summary of rows, which recognizes them up to rounding.

    Earlier steps of a pipeline may round differently from call to call.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    sample : ndarray of shape (n_sampled, n_features)
        Some of the rows.
    groups : list
        The series that these belong to; empty if there is only one series.
    moments : ndarray of shape (2, n_features)
        Mean and standard deviation of all rows.
    """

    n_rows: int
    sample: NDArray[Any]
    groups: list[Any]
    moments: NDArray[Any]

    @classmethod
    def of(cls, rows: NDArray[Any], groups: NDArray[Any] | None) -> _Fingerprint:
        """Make the fingerprint of some rows."""
        sampled = np.linspace(0, len(rows) - 1, min(len(rows), _N_SAMPLED)).astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about columns without a value
            moments = np.array([np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)], np.float64)
        labels = [] if groups is None else groups[sampled].tolist()
        return cls(len(rows), rows[sampled].astype(np.float64), labels, moments)

    def begins(self, rows: NDArray[Any], groups: NDArray[Any] | None) -> bool:
        """Return whether other rows, of which there are at least as many, begin with these."""
        first = slice(0, self.n_rows)
        other = _Fingerprint.of(rows[first], None if groups is None else groups[first])
        mean, std = self.moments
        tolerance = _TOLERANCE * std + _TOLERANCE_IF_CONSTANT * np.abs(mean) * (std == 0)
        return self.groups == other.groups and all(
            _are_close(ours, theirs, tolerance)
            for ours, theirs in ((self.sample, other.sample), (self.moments, other.moments))
        )


@dataclass(frozen=True)
class History:
    """What is kept of the fitted rows, to precede rows that come later.

    Parameters
    ----------
    n_before : int
        Number of rows before its own that a window reaches back. No more are kept.
    newest : mapping of ndarray
        The newest rows of each series, by its label.
    fingerprint : _Fingerprint or None
        Recognizes the rows of ``fit``; None if no rows are to be recognized.
    n_rows : int
        Number of rows so far. Fewer rows do not count as a repetition of all rows.
    positions : mapping of Position, or None
        Where each series stands in the index; None if the index does not order the rows.
    counts_from_zero : bool
        Whether the index of the first rows was just 0, 1, 2, ...
    """

    n_before: int
    newest: RowsBySeries
    fingerprint: _Fingerprint | None
    n_rows: int
    positions: Mapping[Hashable, Position] | None
    counts_from_zero: bool

    @classmethod
    def of(
        cls,
        rows: NDArray[Any],
        groups: NDArray[Any] | None,
        index: Any,
        n_before: int,
        *,
        recognize: bool,
    ) -> History:
        """Make the history of the first rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The rows.
        groups : ndarray of shape (n_rows,) or None
            The series that each row belongs to; None if there is only one.
        index : pandas.Index or None
            The labels of the rows, if there are any.
        n_before : int
            Number of rows to keep of each series.
        recognize : bool
            Whether later rows may begin with these again.

        Returns
        -------
        History
            The history.
        """
        members = members_of(groups)
        positions = None
        if index is not None and all(is_ordered(index[member.rows]) for member in members):
            for member in members:
                check_increasing(index[member.rows])
            positions = {
                member.group: Position.of(index[member.rows], is_panel=groups is not None)
                for member in members
            }
        return cls(
            n_before=n_before,
            newest={member.group: _last(rows[member.rows], n_before) for member in members},
            fingerprint=_Fingerprint.of(rows, groups) if recognize else None,
            n_rows=len(rows),
            positions=positions,
            counts_from_zero=counts_from_zero(index),
        )

    def warn_if_unordered(self, index: Any, *, stacklevel: int) -> None:
        """Warn if the index of the first rows does not say in what order rows follow.

        Parameters
        ----------
        index : pandas.Index or None
            The index of the first rows.
        stacklevel : int
            As for ``warnings.warn``: 1 points to this method.
        """
        if index is not None and self.positions is None:
            warnings.warn(
                "The index of X does not hold unique numbers or times, so it does not say which "
                "rows come later. With carry_context, rows that do not begin with the fitted ones "
                "are therefore taken to follow them.",
                stacklevel=stacklevel + 1,
            )

    def rows_before(
        self, rows: NDArray[Any], groups: NDArray[Any] | None, index: Any, *, may_have_gap: bool
    ) -> RowsBySeries:
        """Find the rows that precede each series.

        If the index does not tell, rows that do not begin with those of ``fit`` are taken to
        follow the rows so far.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The rows.
        groups : ndarray of shape (n_rows,) or None
            The series that each row belongs to; None if there is only one.
        index : pandas.Index or None
            The labels of the rows, if there are any.
        may_have_gap : bool
            Whether rows may be missing in between. They become rows of NaN.

        Returns
        -------
        mapping of ndarray
            The preceding rows of each series, by its label. A series without any may be absent.
        """
        if self._is_ordered_by(index):
            members = members_of(groups)
            for member in members:
                check_increasing(index[member.rows])
            return {
                member.group: self._newest_up_to(
                    member.group, index[member.rows][0], may_have_gap=may_have_gap
                )
                for member in members
                if member.group in self.newest
                and index[member.rows][0] != self._position_of(member.group).first
            }
        if self.fingerprint is None or len(rows) < self.n_rows:
            return self.newest
        return {} if self.fingerprint.begins(rows, groups) else self.newest

    def extended(
        self, rows: NDArray[Any], groups: NDArray[Any] | None, index: Any, *, may_have_gap: bool
    ) -> History:
        """Make the history after more rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            The new rows.
        groups : ndarray of shape (n_rows,) or None
            The series that each row belongs to; None if there is only one.
        index : pandas.Index or None
            The labels of the rows, if there are any.
        may_have_gap : bool
            Whether rows may be missing in between. They become rows of NaN.

        Returns
        -------
        History
            The new history.
        """
        is_panel = groups is not None
        newest = dict(self.newest)
        positions = dict(self.positions or {})
        is_ordered_by_index = self._is_ordered_by(index)
        for group, part in members_of(groups):
            before = newest.get(group)
            if is_ordered_by_index:
                labels = index[part]
                check_increasing(labels)
                if before is not None:
                    before = self._newest_up_to(group, labels[0], may_have_gap=may_have_gap)
                positions[group] = (
                    positions[group].extended(labels, is_panel=is_panel)
                    if group in positions
                    else Position.of(labels, is_panel=is_panel)
                )
            together = rows[part] if before is None else np.concatenate([before, rows[part]])
            newest[group] = _last(together, self.n_before)
        return replace(
            self,
            newest=newest,
            n_rows=self.n_rows + len(rows),
            positions=positions if is_ordered_by_index else None,
        )

    def _is_ordered_by(self, index: Any) -> bool:
        """Return whether an index says how rows follow the fitted ones."""
        if self.positions is None or index is None:
            return False
        # If both only count from zero, they do not.
        return not (self.counts_from_zero and counts_from_zero(index))

    def _position_of(self, group: Hashable) -> Position:
        assert self.positions is not None
        return self.positions[group]

    def _newest_up_to(self, group: Hashable, label: Any, *, may_have_gap: bool) -> NDArray[Any]:
        """Return the newest rows of a series, and rows of NaN for those missing before a label."""
        position = self._position_of(group)
        n_missing = position.n_missing_before(label, self.n_before)
        newest = self.newest[group]
        if n_missing == 0:
            return newest
        if not may_have_gap:
            raise ValueError(
                f"Rows are missing between the last fitted row, {position.last}, and the first row "
                f"of X, {label}. With padding='nan' they would count as missing time steps; "
                "otherwise call partial_fit with them first."
            )
        dtype = newest.dtype if newest.dtype.kind == "f" else np.float64
        return np.concatenate([newest, np.full((n_missing, newest.shape[1]), np.nan, dtype)])


def _are_close(a: NDArray[Any], b: NDArray[Any], tolerance: NDArray[Any]) -> bool:
    """Compare arrays with a tolerance for each column; NaN equals NaN."""
    both_missing = np.isnan(a) & np.isnan(b)
    return bool((both_missing | (np.abs(a - b) <= np.nan_to_num(tolerance))).all())


def _last(rows: NDArray[Any], n_rows: int) -> NDArray[Any]:
    """Copy the last rows."""
    return rows[max(0, len(rows) - n_rows) :].copy()
