"""What SlidingWindow remembers of the rows that it was fitted on, and when it is their turn."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Context", "Rows", "members_of"]

Rows = Mapping[Hashable, NDArray[Any]]  # the newest rows of each series of a panel

# Rows that are turned into bytes at once.
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class Context:
    """The past of rows that come in later.

    Parameters
    ----------
    n_before : int
        Rows that a window reaches back at most; no more are kept.
    before : mapping of ndarray
        For each series the rows before the piece that was fitted last.
    tail : mapping of ndarray
        The same including that piece: the past of what follows.
    n_rows : int
        Rows of that piece.
    digest : bytes
        By which it is recognised.
    index : pandas Index or None
        Its index, where that says something.
    """

    n_before: int
    before: Rows
    tail: Rows
    n_rows: int
    digest: bytes
    index: Any

    @classmethod
    def of(
        cls,
        rows: NDArray[Any],
        groups: NDArray[Any] | None,
        index: Any,
        n_before: int,
        earlier: Context | None = None,
    ) -> Context:
        """Make the context of a fitted piece, which follows an earlier one if that is given."""
        before = {} if earlier is None else earlier.tail
        tail = dict(before)
        for name, members in members_of(groups, len(rows)):
            together = [tail[name], rows[members]] if name in tail else [rows[members]]
            newest = np.concatenate(together)
            tail[name] = newest[max(0, len(newest) - n_before) :].copy()
        return cls(n_before, before, tail, len(rows), _digest(rows, groups), index)

    def past_of(
        self, rows: NDArray[Any], groups: NDArray[Any] | None, index: Any, *, may_have_gap: bool
    ) -> tuple[Rows, int]:
        """Find the past of some rows, and how many rows are missing in between.

        Without an index that tells, rows that do not begin with the fitted piece are taken to
        follow it.
        """
        if self.index is not None and index is not None and _is_telling(self.index, index):
            return self._past_by_index(index, may_have_gap=may_have_gap)
        if len(rows) >= self.n_rows:
            part = slice(0, self.n_rows)
            if _digest(rows[part], None if groups is None else groups[part]) == self.digest:
                return self.before, 0
        return self.tail, 0

    def _past_by_index(self, index: Any, *, may_have_gap: bool) -> tuple[Rows, int]:
        if index[: self.n_rows].equals(self.index):
            return self.before, 0
        first, last = index[0], self.index[-1]
        try:
            follows = bool(first > last)
        except TypeError as error:
            raise ValueError(
                f"The index of X begins with {first!r}, which cannot be compared with {last!r}, "
                "where the fitted rows end."
            ) from error
        if not follows:
            raise ValueError(
                f"The rows of X begin at {first!r}. They neither are the fitted rows, which begin "
                f"at {self.index[0]!r} and end at {last!r}, nor follow them, so their past is not "
                "known here. Give X from the first fitted row on, or rows that come after the "
                "last one, or fit again."
            )
        n_missing = _n_missing(self.index, first)
        if n_missing > 0 and not may_have_gap:
            raise ValueError(
                f"{n_missing} row(s) are missing between the fitted rows, which end at {last!r}, "
                f"and X, which begins at {first!r}. With padding='nan' they count as missing time "
                "steps; otherwise give them too, or call partial_fit with them."
            )
        return self.tail, n_missing


def members_of(
    groups: NDArray[Any] | None, n_rows: int
) -> list[tuple[Hashable, NDArray[np.intp] | slice]]:
    """Name each series of a panel with the numbers of its rows, in their order."""
    if groups is None:
        return [(None, slice(None))]
    names, codes = np.unique(groups, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return list(zip(names.tolist(), parts, strict=True))


def _digest(rows: NDArray[Any], groups: NDArray[Any] | None) -> bytes:
    """Condense rows into some bytes, a block at a time."""
    digest = hashlib.blake2b(digest_size=16)
    for first in range(0, len(rows), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        digest.update(np.ascontiguousarray(rows[block], np.float64).data)
        if groups is not None:
            digest.update(repr(groups[block].tolist()).encode())
    return digest.digest()


def _is_telling(fitted: Any, index: Any) -> bool:
    """Tell whether two indexes say how rows follow each other: counting from zero does not."""
    return not (_counts_from_zero(fitted) and _counts_from_zero(index))


def _counts_from_zero(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _n_missing(index: Any, first: Any) -> int:
    """Count the rows between the end of a regular index and a later label; 0 if irregular."""
    import pandas as pd

    last = index[-1]
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
        freq = index.freq
        if freq is None and len(index) > 2:
            freq = pd.infer_freq(index)
        if freq is None:
            return 0
        between = pd.period_range if isinstance(index, pd.PeriodIndex) else pd.date_range
        if isinstance(index, pd.TimedeltaIndex):
            between = pd.timedelta_range
        return max(0, len(between(last, first, freq=freq)) - 2)
    steps = np.diff(index.to_numpy()) if index.dtype.kind in "iuf" else np.empty(0)
    if len(steps) == 0 or (steps != steps[0]).any() or steps[0] <= 0:
        return 0
    return max(0, round((first - last) / steps[0]) - 1)
