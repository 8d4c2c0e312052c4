"""What SlidingWindow remembers of the rows that it was fitted on, and when it is their turn."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Context", "Rows", "members_of"]

Rows = Mapping[Hashable, NDArray[Any]]  # the newest rows of each series of a panel

# Rows by which those of fit are recognised.
_N_SAMPLED = 256


@dataclass(frozen=True)
class _Position:
    """Where a series stands in a pandas index.

    Parameters
    ----------
    first, last : label
        Its first and its last row so far.
    step : number, Timedelta, DateOffset or None
        From one label to the next; None where that differs.
    """

    first: Any
    last: Any
    step: Any

    def n_missing_before(self, label: Any, n_most: int) -> int:
        """Count the rows, up to ``n_most``, between the last one and a later label."""
        try:
            follows = bool(label > self.last)
        except TypeError as error:
            raise ValueError(
                f"X begins at {label}, which cannot be compared with {self.last}, where the fitted "
                "rows end."
            ) from error
        if not follows:
            raise ValueError(
                f"X begins at {label}. Its rows neither begin with the fitted ones, the first of "
                f"which is {self.first}, nor follow the last, {self.last}, so their past is not "
                "known here. Give X from the first fitted row on, or rows that come after the "
                "last one, or fit again."
            )
        if self.step is None:
            return 0
        if hasattr(label, "ordinal"):  # a pandas Period
            return min(n_most, (label.ordinal - self.last.ordinal) // self.step.n - 1)
        n_missing, before, expected = 0, self.last, self.last + self.step
        while n_missing < n_most:
            after = expected + self.step
            # Half a step on is still the same row: numbers are rounded, days may have 25 hours.
            if label - expected < min(expected - before, after - expected) / 2:
                break
            n_missing, before, expected = n_missing + 1, expected, after
        return n_missing


@dataclass(frozen=True)
class _Fingerprint:
    """What rows are recognised by: up to rounding, as steps before may round differently.

    Parameters
    ----------
    n_rows : int
        How many they are.
    sample : ndarray of shape (n_sampled, n_features)
        Some of them.
    groups : list
        Their series.
    moments : ndarray of shape (2, n_features)
        Mean and standard deviation of all.
    """

    n_rows: int
    sample: NDArray[Any]
    groups: list[Any]
    moments: NDArray[Any]

    @classmethod
    def of(cls, rows: NDArray[Any], groups: NDArray[Any] | None) -> _Fingerprint:
        """Take it of some rows."""
        sampled = np.linspace(0, len(rows) - 1, min(len(rows), _N_SAMPLED)).astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # columns without a value
            moments = np.array([np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)], np.float64)
        names = [] if groups is None else groups[sampled].tolist()
        return cls(len(rows), rows[sampled].astype(np.float64), names, moments)

    def begins(self, rows: NDArray[Any], groups: NDArray[Any] | None) -> bool:
        """Tell whether other rows, at least as many, begin with these."""
        part = slice(0, self.n_rows)
        other = _Fingerprint.of(rows[part], None if groups is None else groups[part])
        mean, std = self.moments
        # By the spread of a column, whatever its level; float32 has seven digits of that.
        tolerance = 1e-4 * std + 1e-6 * np.abs(mean) * (std == 0)
        return self.groups == other.groups and all(
            _agree(mine, theirs, tolerance)
            for mine, theirs in ((self.sample, other.sample), (self.moments, other.moments))
        )


@dataclass(frozen=True)
class Context:
    """The past of rows that come in later.

    Parameters
    ----------
    n_before : int
        Rows that a window reaches back at most; no more are kept.
    tail : mapping of ndarray
        The newest rows of each series.
    fitted : _Fingerprint or None
        By which the rows of the first fit are recognised.
    n_seen : int
        Rows so far; fewer are not taken for a repetition of those of the first fit.
    positions : mapping of _Position, or None
        Where each series stands in the index, if that says something.
    counts_from_zero : bool
        Whether the index was just 0, 1, 2, ...
    """

    n_before: int
    tail: Rows
    fitted: _Fingerprint | None
    n_seen: int
    positions: Mapping[Hashable, _Position] | None
    counts_from_zero: bool

    @classmethod
    def of(
        cls,
        rows: NDArray[Any],
        groups: NDArray[Any] | None,
        index: Any,
        n_before: int,
        *,
        recognise: bool,
    ) -> Context:
        """Make the context of the first rows, which are to be recognised or not."""
        members = members_of(groups, len(rows))
        tail = {name: _newest(rows[part], n_before) for name, part in members}
        positions = None
        if index is not None and not all(_is_ordered(index[part]) for _, part in members):
            warnings.warn(
                "The index of X does not hold numbers or times, each once, so it does not say what "
                "comes after what: with carry_context, rows that do not begin with the fitted ones "
                "are taken to follow them.",
                stacklevel=4,
            )
        elif index is not None:
            for _, part in members:
                _check_increases(index[part])
            positions = {
                name: _Position(labels[0], labels[-1], _step(labels, is_panel=groups is not None))
                for name, labels in ((name, index[part]) for name, part in members)
            }
        fitted = _Fingerprint.of(rows, groups) if recognise else None
        return cls(n_before, tail, fitted, len(rows), positions, _counts_from_zero(index))

    def past_of(
        self, rows: NDArray[Any], groups: NDArray[Any] | None, index: Any, *, may_have_gap: bool
    ) -> Rows:
        """Find the past of each series in some rows; NaN where rows are missing in between.

        Without an index that tells, rows that do not begin with those of the first fit are taken
        to follow.
        """
        members = members_of(groups, len(rows))
        if self._is_telling(index):
            for _, part in members:
                _check_increases(index[part])
            return {
                name: self._up_to(name, index[part], may_have_gap=may_have_gap)
                for name, part in members
                if name in self.tail and index[part][0] != self._position(name).first
            }
        if self.fitted is None or len(rows) < self.n_seen:
            return self.tail
        return {} if self.fitted.begins(rows, groups) else self.tail

    def moved_on(
        self, rows: NDArray[Any], groups: NDArray[Any] | None, index: Any, *, may_have_gap: bool
    ) -> Context:
        """Make the context after more rows."""
        tail, positions = dict(self.tail), dict(self.positions or {})
        is_telling = self._is_telling(index)
        for name, part in members_of(groups, len(rows)):
            past = tail.get(name)
            if is_telling:
                labels = index[part]
                _check_increases(labels)
                before = positions.get(name, _Position(labels[0], labels[0], None))
                if past is not None:
                    past = self._up_to(name, labels, may_have_gap=may_have_gap)
                step = before.step or _step(labels, is_panel=groups is not None)
                positions[name] = _Position(before.first, labels[-1], step)
            together = rows[part] if past is None else np.concatenate([past, rows[part]])
            tail[name] = _newest(together, self.n_before)
        return replace(
            self,
            tail=tail,
            n_seen=self.n_seen + len(rows),
            positions=positions if is_telling else None,
        )

    def _position(self, name: Hashable) -> _Position:
        assert self.positions is not None
        return self.positions[name]

    def _is_telling(self, index: Any) -> bool:
        """Tell whether an index says how rows follow the fitted ones: counting from 0 does not."""
        if self.positions is None or index is None:
            return False
        return not (self.counts_from_zero and _counts_from_zero(index))

    def _up_to(self, name: Hashable, labels: Any, *, may_have_gap: bool) -> NDArray[Any]:
        """Give the past of labels that follow."""
        position = self._position(name)
        n_missing = position.n_missing_before(labels[0], self.n_before)
        if n_missing == 0:
            return self.tail[name]
        if not may_have_gap:
            raise ValueError(
                f"Rows are missing between {position.last}, where the fitted ones end, and "
                f"{labels[0]}, where X begins. With padding='nan' they count as missing time "
                "steps; otherwise call partial_fit with them first."
            )
        tail = self.tail[name]
        dtype = tail.dtype if tail.dtype.kind == "f" else np.float64
        return np.concatenate([tail, np.full((n_missing, tail.shape[1]), np.nan, dtype)])


def _agree(mine: NDArray[Any], theirs: NDArray[Any], tolerance: NDArray[Any]) -> bool:
    """Compare arrays column by column; NaN equals NaN."""
    both_missing = np.isnan(mine) & np.isnan(theirs)
    return bool((both_missing | (np.abs(mine - theirs) <= np.nan_to_num(tolerance))).all())


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


def _newest(rows: NDArray[Any], n_rows: int) -> NDArray[Any]:
    return rows[max(0, len(rows) - n_rows) :].copy()


def _is_ordered(labels: Any) -> bool:
    """Tell whether labels are numbers or times, each once, that say what comes after what."""
    return bool((labels.dtype.kind in "iufMm" or hasattr(labels, "freqstr")) and labels.is_unique)


def _check_increases(labels: Any) -> None:
    if not labels.is_monotonic_increasing:
        raise ValueError(
            "The index of X does not increase, so its rows are not in the order of time: sort "
            "them, oldest first."
        )


def _counts_from_zero(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1


def _step(labels: Any, *, is_panel: bool) -> Any:
    """Find what leads from each label to the next; None if it differs or says nothing."""
    if (freq := getattr(labels, "freq", None)) is not None:
        return freq
    if len(labels) < 2:
        return None
    if labels.dtype.kind == "M" and len(labels) > 2:
        # First, as months and days are not all of one length.
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
    # In a panel, whole numbers count the rows of all series.
    return None if is_panel and labels.dtype.kind in "iu" else labels[1] - labels[0]
