"""Columns that are named after lags, such as ``load_lag3``, and their order as time steps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

__all__ = ["check_order_of_lags", "names_of_lags"]

_LAG = re.compile(r"(.+)_lag(\d+)")


def names_of_lags(columns: Iterable[str]) -> set[str]:
    """Return what the columns are lags of.

    Parameters
    ----------
    columns : iterable of str
        Names of columns, all of the form ``NAME_lagK``, or others.

    Returns
    -------
    set of str
        Every NAME. Empty if any column is called something else.
    """
    return {name for name, _ in _parsed(columns)}


def check_order_of_lags(columns: Iterable[str], n_timesteps: int) -> None:
    """Raise an error if columns of lags are not in the order that they are read in.

    Parameters
    ----------
    columns : iterable of str
        Names of columns. They are only checked if all of them are of the form ``NAME_lagK``.
    n_timesteps : int
        Number of time steps that the columns are read as, step after step.

    Raises
    ------
    ValueError
        If the time steps do not hold the same names, each once, or if from one step to the next
        the lags of the names do not decrease by the same number.
    """
    lags = _parsed(columns)
    if not lags:
        return
    n_features = len(lags) // n_timesteps
    steps = [lags[first : first + n_features] for first in range(0, len(lags), n_features)]
    names = [name for name, _ in steps[0]]
    is_right = len(set(names)) == n_features
    for older, newer in pairwise(steps):
        is_right &= [name for name, _ in newer] == names
        decreases = {old - new for (_, old), (_, new) in zip(older, newer, strict=True)}
        is_right &= len(decreases) == 1 and min(decreases) > 0
    if not is_right:
        raise ValueError(
            f"The columns of X are lags. They are read as {n_timesteps} time steps of {n_features} "
            f"column(s), but in this order they are none: {_listed(columns)}. "
            + _remedy(lags, n_timesteps)
        )


def _remedy(lags: list[tuple[str, int]], n_timesteps: int) -> str:
    """Say what to do about columns in another order."""
    lags_of: dict[str, list[int]] = {}
    for name, lag in lags:
        lags_of.setdefault(name, []).append(lag)
    n_lags = {len(some) for some in lags_of.values()}
    if n_lags != {n_timesteps}:
        counts = ", ".join(f"{len(some)} of {name}" for name, some in list(lags_of.items())[:5])
        return f"timesteps={n_timesteps} needs as many lags of each column, but there are {counts}."
    newest = {name: min(some) for name, some in lags_of.items()}
    ages = {tuple(sorted(lag - newest[name] for lag in some)) for name, some in lags_of.items()}
    if len(ages) > 1:
        return (
            "From one step to the next, the lags of all columns must decrease by the same number."
        )
    expected = [
        f"{name}_lag{newest[name] + age}" for age in reversed(ages.pop()) for name in lags_of
    ]
    return (
        "Order them as SlidingWindow(flatten=True) does, step after step and the oldest first: "
        f"X[[{_listed(map(repr, expected))}]]."
    )


def _parsed(columns: Iterable[str]) -> list[tuple[str, int]]:
    """Return name and lag of each column; an empty list if any column has none."""
    matches = [_LAG.fullmatch(column) for column in columns]
    return [(match[1], int(match[2])) for match in matches if match] if all(matches) else []


def _listed(names: Iterable[str], n_most: int = 12) -> str:
    """Return names as one string, of which the last ones are left out if there are many."""
    names = list(names)
    return ", ".join(names if len(names) <= n_most else [*names[:n_most], "..."])
