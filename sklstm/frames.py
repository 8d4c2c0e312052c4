"""Checks of frames and arrays by what they hold: the names of columns, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_columns_hold_numbers", "check_not_masked"]


def check_not_masked(values: Any, name: str) -> None:
    """Raise an error if an array has a mask, which would be ignored.

    Parameters
    ----------
    values : object
        Any input.
    name : str
        What the message calls it.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(
            f"{name} is a masked array, and what its mask hides would be read as numbers. Use "
            f"{name}.filled(np.nan), or {name}.data if the mask means nothing."
        )


def check_columns_hold_numbers(X: Any, remedies: str = "") -> None:
    """Raise an error if a column of a data frame holds anything but numbers.

    Parameters
    ----------
    X : object
        A data frame of pandas or polars; anything else is not looked at.
    remedies : str, default=""
        What else can be done with labels.

    Raises
    ------
    ValueError
        If a column holds dates, labels or other objects; the message names it.
    """
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return
    dtypes = X.dtypes if isinstance(X.dtypes, list) else list(X.dtypes)
    for position, (name, dtype) in enumerate(zip(list(X.columns), dtypes, strict=True)):
        kind = _kind_of(X, position, dtype)
        if kind is None:
            continue
        if kind == "dates":
            hint = "Make it the index, with X.set_index(...), or numbers, such as the hour."
        else:
            hint = f"Encode it as numbers, for instance with OneHotEncoder,{remedies} or drop it."
        raise ValueError(
            f"The column {name!r} of X holds {kind} ({dtype}), but all columns must hold real "
            f"numbers. {hint}"
        )


def _kind_of(X: Any, position: int, dtype: Any) -> str | None:
    """Say what a column holds; None for real numbers."""
    name = str(dtype)
    if name.startswith(("datetime", "Datetime", "Date", "Time", "Duration", "timedelta", "period")):
        return "dates"
    if name.startswith(("category", "Categorical", "Enum")):
        return "categories"
    if name.startswith(("string", "String", "str", "Utf8")):
        return "strings"
    if name.startswith("complex"):
        return "complex numbers"
    if name not in ("object", "Object"):
        return None
    column = X.iloc[:, position] if hasattr(X, "iloc") else X[X.columns[position]]
    values = np.asarray(column, dtype=object)
    return None if all(_is_number(value) for value in values) else "objects that are no numbers"


def _is_number(value: Any) -> bool:
    """Return whether an element of a column of objects is a real number or missing."""
    if value is None or isinstance(value, bool | int | float | np.number | np.bool_):
        return not isinstance(value, complex | np.complexfloating)
    return type(value).__name__ in ("NAType", "Decimal", "Fraction")
