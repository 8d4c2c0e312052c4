"""The last fitted rows, which precede rows that follow them, and how such rows are recognized."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.windows.index import Position, check_increasing, counts_from_zero, is_ordered
from sklstm.windows.panel import Member, Rows

__all__ = ["History", "RowsBySeries"]

RowsBySeries = Mapping[Hashable, NDArray[Any]]  # rows of each series of a panel, by its label

# Largest difference between values that count as equal, as a fraction of the standard deviation
# of a column: of that, float32 keeps seven digits or fewer. In a constant column, a fraction of
# its mean.
_TOLERANCE = 1e-4
_TOLERANCE_IF_CONSTANT = 1e-6

# Largest expected number of places at which as many fitted rows agree with those of X by chance.
# On counts and rounded values, at most 4 % of the rows that do follow are then refused.
_BY_CHANCE = 0.01

# Rows of X that are compared with all fitted rows; a stretch of so many that occurs at several
# places is periodic.
_MOST_COMPARED = 1000

# Rows that are turned into fingerprints together.
_BLOCK_SIZE = 1 << 12


@dataclass(frozen=True)
class _Fingerprints:
    """A number for each row of ``fit``, which recognises it up to rounding.

    Earlier steps of a pipeline may round differently from call to call.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Mean of each column, and its standard deviation or, if it is constant, what corresponds to
        one in size.
    of_series : mapping of ndarray
        The numbers of the rows of each series, by its label.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    of_series: Mapping[Hashable, NDArray[np.float64]]

    @classmethod
    def of(cls, rows: Rows) -> _Fingerprints:
        """Make the fingerprints of the rows of ``fit``."""
        n_known, total = np.zeros((2, rows.values.shape[1]))
        for block in _blocks(rows.values):
            n_known += (~np.isnan(block)).sum(axis=0)
            total += np.nansum(block, axis=0)
        n_known = np.maximum(n_known, 1)
        mean, squares = total / n_known, np.zeros(len(total))
        with np.errstate(over="ignore"):
            for block in _blocks(rows.values):
                squares += np.nansum((block - mean) ** 2, axis=0)
            std = np.sqrt(squares / n_known)
        if_constant = np.abs(mean) * (_TOLERANCE_IF_CONSTANT / _TOLERANCE)
        is_constant = ~(std > 1e-12 * np.abs(mean))
        scale = np.where(is_constant, if_constant, std)
        scale[scale == 0] = 1
        empty = cls(mean, scale, {})
        return replace(
            empty,
            of_series={m.group: empty._numbers(rows.values[m.rows]) for m in rows.members},
        )

    def match(self, member: Member, values: NDArray[Any], n_so_far: int) -> bool:
        """Return whether rows of a series begin with all of its fitted rows.

        Parameters
        ----------
        member : Member
            The series.
        values : ndarray of shape (n_rows, n_features)
            Its rows in X.
        n_so_far : int
            Number of fitted rows, those of ``partial_fit`` included. Fewer are no repetition.
        """
        fitted = self.of_series[member.group]
        if len(values) < n_so_far:
            return False
        return bool(_are_close(self._numbers(values[: len(fitted)]), fitted).all())

    def place_of(self, member: Member, values: NDArray[Any], n_rows: int) -> int | None:
        """Return where the first rows of a series in X stand among its fitted rows.

        Parameters
        ----------
        member : Member
            The series.
        values : ndarray of shape (n_rows, n_features)
            Its rows in X.
        n_rows : int
            How many of them have to agree, and at least two.

        Returns
        -------
        int or None
            The row of ``fit`` that X begins with. None if there is no such row, or several, as in
            a periodic stretch, or if the rows may agree by chance: a few counts, or a constant
            stretch.
        """
        fitted = self.of_series[member.group]
        if min(len(values), len(fitted)) < 2:
            return None
        first = self._numbers(values[: len(fitted)])
        n_rows = max(n_rows, _n_rows_that_tell(first, fitted))
        if len(first) < n_rows:
            return None
        places = np.arange(len(fitted) - n_rows + 1)
        for k, number in enumerate(first[: max(n_rows, _MOST_COMPARED)]):
            is_after = places + k >= len(fitted)  # where anything may come
            agrees = _are_close(fitted[np.minimum(places + k, len(fitted) - 1)], number) | is_after
            if k >= n_rows and (len(places) == 1 or not agrees.any()):
                break
            places = places[agrees]
        return int(places[0]) if len(places) == 1 else None

    def _numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return a random projection of each row, after standardisation."""
        n_features = len(self.mean)
        # sum of |w| is 1: a difference within the tolerance in each column is one in the sum
        w = np.random.RandomState(0).uniform(0.5, 1.5, size=(2, n_features))
        w /= w.sum(axis=1, keepdims=True)
        numbers = []
        for block in _blocks(values):
            z = (block - self.mean) / self.scale
            is_missing = np.isnan(z)
            z[is_missing] = 0
            numbers.append(z @ w[0] + n_features * is_missing @ w[1])
        return np.concatenate(numbers)


@dataclass(frozen=True)
class History:
    """What is kept of the fitted rows, to precede rows that come later.

    Parameters
    ----------
    n_before : int
        Number of rows before its own that a window reaches back. No more are kept.
    newest : mapping of ndarray
        The newest rows of each series, by its label.
    fingerprints : _Fingerprints or None
        Recognizes the rows of ``fit``; None if no rows are to be recognized.
    n_rows : mapping of int
        Number of rows of each series so far.
    positions : mapping of Position, or None
        Where each series stands in the index; None if the index does not order the rows.
    counts_from_zero : bool
        Whether the index of the first rows was just 0, 1, 2, ...
    """

    n_before: int
    newest: RowsBySeries
    fingerprints: _Fingerprints | None
    n_rows: Mapping[Hashable, int]
    positions: Mapping[Hashable, Position] | None
    counts_from_zero: bool

    @classmethod
    def of(
        cls, rows: Rows, on_grid: RowsBySeries, n_before: int, freq: Any, *, recognize: bool
    ) -> History:
        """Make the history of the first rows.

        Parameters
        ----------
        rows : Rows
            The rows.
        on_grid : mapping of ndarray
            The rows of each series, with rows of NaN for times that are left out.
        n_before : int
            Number of rows to keep of each series.
        freq : DateOffset or number, or None
            The step of the grid that the index lies on; None if windows count rows.
        recognize : bool
            Whether later rows may begin with these again.

        Returns
        -------
        History
            The history.
        """
        members = rows.members
        positions = None
        if rows.index is not None and all(is_ordered(rows.labels_of(m)) for m in members):
            for member in members:
                check_increasing(rows.labels_of(member))
            positions = {
                member.group: Position.of(
                    rows.labels_of(member), freq, is_panel=rows.groups is not None
                )
                for member in members
            }
        return cls(
            n_before=n_before,
            newest={group: _last(part, n_before) for group, part in on_grid.items()},
            fingerprints=_Fingerprints.of(rows) if recognize else None,
            n_rows={member.group: len(rows.values[member.rows]) for member in members},
            positions=positions,
            counts_from_zero=counts_from_zero(rows.index),
        )

    def rows_before(self, rows: Rows, window_size: int, *, may_have_gap: bool) -> RowsBySeries:
        """Find the rows that precede each series of X.

        An index that orders the rows decides. Without one, rows that begin with all fitted rows
        have no past, and all others follow the fitted rows.

        Parameters
        ----------
        rows : Rows
            The rows of X.
        window_size : int
            A run of at least so many fitted rows is refused.
        may_have_gap : bool
            Whether rows may be missing in between. They become rows of NaN.

        Returns
        -------
        mapping of ndarray
            The preceding rows of each series, by its label. A series without any may be absent.

        Raises
        ------
        ValueError
            If rows neither begin with the fitted ones nor follow them.
        """
        members = [member for member in rows.members if member.group in self.newest]
        if self._is_ordered_by(rows.index):
            for member in members:
                check_increasing(rows.labels_of(member))
            return {
                member.group: self._newest_up_to(member.group, rows.labels_of(member), may_have_gap)
                for member in members
                if not self._position_of(member.group).begins(rows.labels_of(member))
            }
        if self.fingerprints is not None:
            fitted = [m for m in members if m.group in self.fingerprints.of_series]
            if len(fitted) and all(
                self.fingerprints.match(member, rows.values[member.rows], self.n_rows[member.group])
                for member in fitted
            ):
                return {}
            for member in fitted:
                self._check_not_fitted(member, rows.values[member.rows], window_size)
        return self.newest

    def newest_before(self, rows: Rows, *, may_have_gap: bool) -> RowsBySeries:
        """Return the newest rows of each series, which X is said to follow, see ``rows_before``."""
        if not self._is_ordered_by(rows.index):
            return self.newest
        return {
            member.group: self._newest_up_to(member.group, rows.labels_of(member), may_have_gap)
            for member in rows.members
            if member.group in self.newest
        }

    def extended(self, rows: Rows, on_grid: RowsBySeries, *, may_have_gap: bool) -> History:
        """Make the history after more rows.

        Parameters
        ----------
        rows : Rows
            The new rows, which follow.
        on_grid : mapping of ndarray
            The rows of each series, with rows of NaN for times that are left out.
        may_have_gap : bool
            Whether rows may be missing in between. They become rows of NaN.

        Returns
        -------
        History
            The new history.
        """
        is_panel = rows.groups is not None
        newest, n_rows = dict(self.newest), dict(self.n_rows)
        positions = dict(self.positions or {})
        is_ordered_by_index = self._is_ordered_by(rows.index)
        for member in rows.members:
            group = member.group
            before = newest.get(group)
            if is_ordered_by_index:
                labels = rows.labels_of(member)
                check_increasing(labels)
                if before is not None:
                    before = self._newest_up_to(group, labels, may_have_gap)
                positions[group] = (
                    positions[group].extended(labels, is_panel=is_panel)
                    if group in positions
                    else Position.of(labels, self._freq, is_panel=is_panel)
                )
            part = on_grid[group]
            together = part if before is None else np.concatenate([before, part])
            newest[group] = _last(together, self.n_before)
            n_rows[group] = n_rows.get(group, 0) + len(rows.values[member.rows])
        return replace(
            self,
            newest=newest,
            n_rows=n_rows,
            positions=positions if is_ordered_by_index else None,
        )

    @property
    def _freq(self) -> Any:
        """The step of the grid that all labels lie on; None if there is no such grid."""
        position = next(iter((self.positions or {}).values()), None)
        return position.step if position is not None and position.is_grid else None

    def _is_ordered_by(self, index: Any) -> bool:
        """Return whether an index says how rows follow the fitted ones."""
        if self.positions is None or index is None:
            return False
        # If both only count from zero, they do not.
        return not (self.counts_from_zero and counts_from_zero(index))

    def _position_of(self, group: Hashable) -> Position:
        assert self.positions is not None
        return self.positions[group]

    def _newest_up_to(self, group: Hashable, labels: Any, may_have_gap: bool) -> NDArray[Any]:
        """Return the newest rows of a series, and rows of NaN for those missing before labels."""
        position = self._position_of(group)
        n_missing = position.n_missing_before(labels, self.n_before)
        newest = self.newest[group]
        if n_missing == 0:
            return newest
        if not may_have_gap:
            raise ValueError(
                f"Rows are missing between the last fitted row, {position.last}, and the first row "
                f"of X, {labels[0]}. With padding='nan' they would count as missing time steps; "
                "otherwise call partial_fit with them first."
            )
        dtype = newest.dtype if newest.dtype.kind == "f" else np.float64
        return np.concatenate([newest, np.full((n_missing, newest.shape[1]), np.nan, dtype)])

    def _check_not_fitted(self, member: Member, values: NDArray[Any], window_size: int) -> None:
        """Raise an error if rows are taken from the middle of the fitted ones."""
        assert self.fingerprints is not None
        place = self.fingerprints.place_of(member, values, window_size)
        if place is not None:
            series = "" if member.group is None else f" of series {member.group!r}"
            raise ValueError(
                f"The first rows of X{series} are the fitted rows from row {place} on, so their "
                "past is not the end of the fitted rows. If X is a part of the fitted rows, pass "
                "all rows from the first one on. Give X an index of times or numbers, which tells "
                "its place: a StandardScaler before the windows drops it, unless "
                "pipeline.set_output(transform='pandas') keeps it. If X does follow the fitted "
                "rows, set carry_context='follows'; to start without a past, carry_context=False."
            )


def _blocks(values: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Give rows a block at a time in float64, so that they are never copied as a whole."""
    for first in range(0, len(values), _BLOCK_SIZE):
        yield values[first : first + _BLOCK_SIZE].astype(np.float64)


def _are_close(a: Any, b: Any) -> NDArray[np.bool_]:
    """Compare fingerprints."""
    return np.asarray(np.abs(a - b) <= _TOLERANCE)


def _n_rows_that_tell(first: NDArray[np.float64], fitted: NDArray[np.float64]) -> int:
    """Return how many of the first rows of X do not agree by chance with as many fitted ones."""
    in_order = np.sort(fitted)
    begin = np.searchsorted(in_order, first - _TOLERANCE, side="left")
    n_equal = np.searchsorted(in_order, first + _TOLERANCE, side="right") - begin
    log_probability = np.log(np.maximum(n_equal, 1) / len(fitted))
    # A row that repeats the one before says nothing: it may be a stretch of zeros.
    log_probability[1:][_are_close(first[1:], first[:-1])] = 0
    n_by_chance = np.exp(log_probability.cumsum()) * len(fitted)
    return max(2, 1 + int((n_by_chance > _BY_CHANCE).sum()))


def _last(rows: NDArray[Any], n_rows: int) -> NDArray[Any]:
    """Copy the last rows."""
    return rows[max(0, len(rows) - n_rows) :].copy()
