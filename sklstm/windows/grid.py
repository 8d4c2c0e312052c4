"""The step of an index, and the positions of its labels on the grid of that step: ``freq``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "checked_freq",
    "grid_positions",
    "is_regular",
    "is_time",
    "is_usual",
    "numbers_of",
    "step_name",
    "usual_step",
]

# Labels among which pandas looks for a calendar step, such as business days or months. Where rows
# are missing, short pieces of the index still show it; longer ones tell business days from days.
_PIECES = (10, 5, 3)
_N_PIECES = 200  # at most, evenly spaced

# Largest distance of a number from the grid, as a fraction of the step.
_TOLERANCE = 1e-3

_NS_PER_DAY = 86_400_000_000_000


def is_time(labels: Any) -> bool:
    """Return whether labels are times, periods or time differences."""
    return bool(labels.dtype.kind in "Mm" or hasattr(labels, "freqstr"))


def numbers_of(labels: Any) -> NDArray[Any]:
    """Return labels as numbers: nanoseconds for times, units for periods."""
    if not is_time(labels):
        return np.asarray(labels)
    return np.asarray((labels if _is_period(labels) else labels.as_unit("ns")).asi8)


def is_usual(step: Any, labels: Any) -> bool:
    """Return whether a step tells which rows are missing: most labels are no further apart.

    Between events, which come at any time, there is no such step.

    Parameters
    ----------
    step : DateOffset or number
        The most common step of the labels.
    labels : pandas.Index
        Increasing numbers or times, at least two.
    """
    length = step
    if is_time(labels):
        length = step.n if _is_period(labels) else _duration(step)
    # Steps of the calendar vary in length. A label up to half a step late is not a row later.
    return length is None or bool(np.median(np.diff(numbers_of(labels))) < 1.5 * length)


def is_regular(labels: Any) -> bool:
    """Return whether labels lie one step apart everywhere, on a calendar or in equal distances."""
    return len(labels) < 3 or _regular_step(labels) is not None


def usual_step(labels: Any) -> Any:
    """Return the most common step from one label to the next.

    Parameters
    ----------
    labels : pandas.Index
        Increasing numbers or times.

    Returns
    -------
    DateOffset, number or None
        The step; None if there are fewer than two labels.
    """
    if (freq := getattr(labels, "freq", None)) is not None:
        return freq
    if len(labels) < 2:
        return None
    step = _regular_step(labels)
    if step is None and labels.dtype.kind == "M":
        step = _step_of_pieces(labels)
    return _most_common_difference(labels) if step is None else step


def checked_freq(freq: Any, parts: list[Any]) -> Any:
    """Return the step that ``freq`` says, or infer it.

    Parameters
    ----------
    freq : str or DateOffset
        A step of pandas, or "infer".
    parts : list of pandas.Index
        The labels of each series.

    Returns
    -------
    DateOffset or number
        The step.

    Raises
    ------
    ValueError
        If it is not a step, or does not fit the labels, or cannot be inferred.
    """
    if not isinstance(freq, str) or freq != "infer":
        return _to_offset(freq, parts[0])
    longest = max(parts, key=len)
    step = usual_step(longest)
    if step is None:
        raise ValueError(
            "freq='infer' needs a series of at least two rows. Give the step itself, for instance "
            "freq='D'."
        )
    try:
        for labels in parts:
            grid_positions(labels, step)
    except ValueError as error:
        raise ValueError(
            f"freq='infer' takes {_name(step)} for the step of the index, its most common one, but "
            f"not all labels lie on it: {error} Give the step itself as freq, or bring the index "
            "to regular labels, for instance with X.resample(...) or X.asfreq(...)."
        ) from error
    return step


def step_name(step: Any) -> str:
    """Return the name of a step, as pandas writes it."""
    return str(getattr(step, "freqstr", step))


def grid_positions(labels: Any, step: Any) -> NDArray[np.intp]:
    """Count the steps from the first label to each label.

    Parameters
    ----------
    labels : pandas.Index
        Increasing labels.
    step : DateOffset or number
        The step.

    Returns
    -------
    ndarray of int of shape (n_labels,)
        Positions, of which the first is zero.

    Raises
    ------
    ValueError
        If a label does not lie a whole number of steps after the first one.
    """
    if labels.dtype.kind in "iuf":
        steps = (labels.to_numpy() - labels[0]) / step
        positions = np.rint(steps)
        return _checked(positions, np.abs(steps - positions) <= _TOLERANCE, labels, step)
    if _is_period(labels):
        return _on_units(labels.asi8, step.n, labels, step)
    duration = _duration(step)
    has_zone = getattr(labels, "tz", None) is not None
    if labels.dtype.kind == "m" or (duration is not None and not (_is_day(step) and has_zone)):
        # Hours and less count elapsed time, also where the clock changes.
        return _on_units(numbers_of(labels), duration, labels, step)
    import pandas as pd

    # Days and more count dates: a day may have 23 or 25 hours.
    dates = labels.tz_localize(None)
    grid = pd.date_range(dates[0], dates[-1], freq=step)
    positions = grid.get_indexer(dates)
    if (positions < 0).any() and duration is not None:
        return _on_units(numbers_of(labels), duration, labels, step)
    return _checked(positions, positions >= 0, labels, step)


def _on_units(
    values: NDArray[np.int64], unit: int | None, labels: Any, step: Any
) -> NDArray[np.intp]:
    """Divide the distances from the first label by the length of a step."""
    if unit is None:
        raise ValueError(f"The step {_name(step)} has no fixed length, which the index needs.")
    positions, rest = np.divmod(values - values[0], unit)
    return _checked(positions, rest == 0, labels, step)


def _checked(
    positions: NDArray[Any], is_on_grid: NDArray[np.bool_], labels: Any, step: Any
) -> NDArray[np.intp]:
    """Raise an error at the first label that is not on the grid."""
    if not is_on_grid.all():
        label = labels[int(np.argmin(is_on_grid))]
        if label == labels[0]:
            raise ValueError(f"{label} is not a date of the calendar {_name(step)}.")
        raise ValueError(
            f"{label} is not a whole number of steps of {_name(step)} after {labels[0]}."
        )
    return positions.astype(np.intp)


def _to_offset(freq: Any, labels: Any) -> Any:
    """Return the step of pandas that a user names."""
    import pandas as pd

    if not is_time(labels):
        raise ValueError(
            f"freq={freq!r} needs an index of times, but the index of X holds {labels.dtype}. Set "
            "one with X.set_index(...), or give freq='infer' to count the steps of numbers."
        )
    try:
        if not _is_period(labels):
            return pd.tseries.frequencies.to_offset(freq)
        dtype = pd.PeriodDtype(freq)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"freq={freq!r} is not a step that pandas knows, such as 'h', 'D', 'B', 'MS': {error}"
        ) from error
    if dtype != labels.dtype:
        raise ValueError(
            f"freq={freq!r} differs from the periods of the index, {_name(labels.freq)}: give "
            "freq='infer'."
        )
    return labels.freq


def _regular_step(labels: Any) -> Any:
    """Return the step if it is the same everywhere, else None."""
    if _is_period(labels):
        return labels.freq if (np.diff(labels.asi8) == labels.freq.n).all() else None
    if (freq := getattr(labels, "freq", None)) is not None:
        return freq
    steps = np.diff(numbers_of(labels))
    first = steps[0]
    is_equal = np.allclose(steps, first) if labels.dtype.kind == "f" else (steps == first).all()
    if labels.dtype.kind == "M" and len(labels) > 2:
        if is_equal and (step := _short_step(int(first), labels)):
            return step
        if step := _calendar_step(labels):
            return step
    return labels[1] - labels[0] if is_equal else None


def _short_step(nanoseconds: int, labels: Any) -> Any:
    """Return what pandas infers from times in equal distances of a day or less, else None.

    pandas takes a hundred times as long, which matters for a panel of thousands of series.
    """
    import pandas as pd

    if nanoseconds < _NS_PER_DAY:
        return pd.tseries.frequencies.to_offset(pd.Timedelta(nanoseconds))
    # In a zone, 24 hours are not always a day.
    return pd.offsets.Day() if nanoseconds == _NS_PER_DAY and labels.tz is None else None


def _calendar_step(labels: Any) -> Any:
    """Return what pandas infers from at least three times, None if nothing."""
    import pandas as pd

    # infer_freq warns about what it will return one day; this is the same without the warning.
    return pd.DatetimeIndex(labels, freq="infer").freq


def _step_of_pieces(labels: Any) -> Any:
    """Return the calendar step that most pieces of an irregular index show, None if none does."""
    for size in _PIECES:
        if len(labels) < size:
            continue
        n_starts = len(labels) - size + 1
        starts = np.unique(np.linspace(0, n_starts - 1, min(n_starts, _N_PIECES)).astype(int))
        found = (_calendar_step(labels[start : start + size]) for start in starts)
        counts = Counter(step for step in found if step is not None)
        if counts:
            return counts.most_common(1)[0][0]
    return None


def _most_common_difference(labels: Any) -> Any:
    """Return the most common difference from one label to the next."""
    differences = np.diff(labels.asi8 if is_time(labels) else labels.to_numpy())
    rounded = differences
    if labels.dtype.kind == "f":
        rounded = np.round(differences / np.median(differences), 6)
    _, first, counts = np.unique(rounded, return_index=True, return_counts=True)
    place = int(first[counts.argmax()])
    return labels[place + 1] - labels[place]


def _is_period(labels: Any) -> bool:
    return labels.dtype.kind == "O" and hasattr(labels, "freqstr")


def _is_day(step: Any) -> bool:
    return type(step).__name__ == "Day"


def _duration(step: Any) -> int | None:
    """Return the length of a step in nanoseconds; None if it varies."""
    import pandas as pd

    if _is_day(step):
        return int(step.n) * _NS_PER_DAY
    try:
        return int(pd.Timedelta(step).as_unit("ns").value)
    except (ValueError, TypeError):
        return None


def _name(step: Any) -> str:
    return repr(step_name(step))
