"""Frames and arrays: their dimensions, columns, masks and missing rows."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "are_missing",
    "as_array",
    "as_numbers",
    "check_columns_hold_numbers",
    "check_is_table",
    "check_not_masked",
    "check_same_columns",
    "count_dims",
    "first_string",
    "is_missing",
    "stack_frames",
]


def count_dims(X: Any) -> int | None:
    """Count the dimensions of an array-like.

    Parameters
    ----------
    X : array-like
        An array or frame, or a list of them, or of numbers.

    Returns
    -------
    int or None
        None for a list of elements of different shapes.
    """
    if hasattr(X, "shape"):
        return len(X.shape)
    if isinstance(X, list | tuple) and any(hasattr(element, "shape") for element in X):
        # Not converted: the arrays in it may be large.
        shapes = {getattr(element, "shape", None) for element in X}
        shape = shapes.pop()
        return None if shapes or shape is None else 1 + len(shape)
    try:
        return np.asarray(X).ndim
    except ValueError:  # nested lists of unequal lengths
        return None


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


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Return an array-like of numbers as an array, whatever its elements are.

    Raises
    ------
    TypeError, ValueError
        If NumPy cannot read it; the message says what to do about it.
    """
    try:
        return np.asarray(values)
    except ValueError as error:  # nested lists of unequal lengths
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    except TypeError as error:
        raise TypeError(
            f"{name}, of type {type(values).__name__}, cannot be read as a NumPy array: {error}. "
            "Convert it first; a tensor of bfloat16, which NumPy does not have, with "
            f"{name}.float()."
        ) from error


def as_numbers(values: Any, name: str) -> NDArray[Any]:
    """Return an array-like as an array of real numbers, NaN where objects are missing.

    Raises
    ------
    TypeError, ValueError
        If it has a mask, or holds anything but real numbers.
    """
    check_not_masked(values, name)
    array = as_array(values, name)
    if (string := first_string(array)) is not None:
        raise ValueError(f"{name} must hold real numbers, but it holds the string {string!r:.50}.")
    if array.dtype.kind == "O":  # such as of a data frame with columns of different dtypes
        try:
            array = np.where(are_missing(array), np.nan, array).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold real numbers, but it is of dtype {array.dtype}.")
    return array


def check_is_table(X: Any, shape: str, advice: dict[int, str]) -> None:
    """Raise an error if X has another number of dimensions than two.

    Parameters
    ----------
    X : object
        Any input. Nested lists of unequal lengths, which have no dimensions, are not looked at.
    shape : str
        The shape that the message asks for.
    advice : dict of str
        What to do about an X of so many dimensions.

    Raises
    ------
    ValueError
        In one line, where scikit-learn would print the values.
    """
    n_dims = count_dims(X)
    if n_dims in (None, 2):
        return
    given = f"has {n_dims} dimension(s)" if n_dims else f"is of type {type(X).__name__}"
    column = "X.to_frame()" if hasattr(X, "to_frame") else "X.reshape(-1, 1)"
    hint = f" Reshape your data: {column} makes a series one column." if n_dims == 1 else ""
    raise ValueError(f"X {given}, but must be of shape {shape}.{hint}{advice.get(n_dims, '')}")


def first_string(values: Any) -> str | None:
    """Return the first string in an array of objects; None for any other input.

    NumPy would read strings such as "1.5" in it as numbers.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        return next((value for value in values.flat if isinstance(value, str)), None)
    return None


def check_columns_hold_numbers(X: Any, remedies: str = "", name: str = "X") -> None:
    """Raise an error if a column of a data frame holds anything but numbers.

    Parameters
    ----------
    X : object
        A data frame of pandas or polars; anything else is not looked at.
    remedies : str, default=""
        What else can be done with labels.
    name : str, default="X"
        What the message calls the frame.

    Raises
    ------
    ValueError
        If a column holds dates, labels or other objects; the message names it.
    """
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return
    dtypes = X.dtypes if isinstance(X.dtypes, list) else list(X.dtypes)
    for position, (column, dtype) in enumerate(zip(list(X.columns), dtypes, strict=True)):
        kind = _kind_of(X, position, dtype)
        if kind is None:
            continue
        if kind == "dates":
            index = "Make it the index, with set_index, or" if hasattr(X, "iloc") else "Make it"
            hint = f"{index} numbers, such as the hour."
        else:
            hint = f"Encode it as numbers, for instance with OneHotEncoder,{remedies} or drop it."
        raise ValueError(
            f"The column {column!r} of {name} holds {kind} ({dtype}), but all columns must hold "
            f"real numbers. {hint}"
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
    others = [value for value in values if not _is_number(value)]
    if not others:
        return None
    # Older versions of pandas keep strings as objects.
    are_strings = all(isinstance(value, str) for value in others)
    return "strings" if are_strings else "objects that are no numbers"


def _is_number(value: Any) -> bool:
    """Return whether an element of a column of objects is a real number or missing."""
    if value is None or isinstance(value, bool | int | float | np.number | np.bool_):
        return not isinstance(value, complex | np.complexfloating)
    return type(value).__name__ in ("NAType", "Decimal", "Fraction")


def check_same_columns(
    frames: Sequence[Any], expected: NDArray[np.object_] | None
) -> NDArray[np.object_] | None:
    """Check that all data frames in a list have the same columns, in the same order.

    Parameters
    ----------
    frames : sequence
        The list; nothing is checked unless each element is a data frame.
    expected : ndarray of str or None
        The names that they must have; None for those of the first.

    Returns
    -------
    ndarray of str or None
        The names, if there are any that are all strings.
    """
    if not all(hasattr(frame, "columns") for frame in frames):
        return None
    names = list(frames[0].columns if expected is None else expected)
    for number, frame in enumerate(frames):
        if list(frame.columns) != names:
            raise ValueError(
                f"X[{number}] has the columns {list(frame.columns)}, but {names} are expected, in "
                "that order."
            )
    if all(isinstance(name, str) for name in names):
        return np.array(names, dtype=object)
    return None


def stack_frames(frames: Sequence[Any]) -> Any:
    """Return the rows of data frames with the same columns as one data frame.

    Parameters
    ----------
    frames : sequence of data frame
        Frames of pandas, or frames of polars.
    """
    library = importlib.import_module(type(frames[0]).__module__.partition(".")[0])
    # A frame without rows often has columns of another type, which would decide that of the result.
    return library.concat([frame for frame in frames if len(frame)] or [frames[0]])


def is_missing(rows: Any) -> NDArray[np.bool_]:
    """Return where all values along the last axis are missing: NaN, None or null.

    Parameters
    ----------
    rows : ndarray or data frame
        An array of any number of dimensions, or a data frame of pandas or polars.
    """
    if hasattr(rows, "isna"):  # pandas
        return np.asarray(rows.isna().to_numpy().all(axis=1))
    if hasattr(rows, "get_columns"):  # polars, where null and NaN differ
        is_gone = np.ones(len(rows), bool)
        for column in rows.get_columns():
            values = column.fill_nan(None) if column.dtype.is_float() else column
            is_gone &= values.is_null().to_numpy()
        return is_gone
    return np.asarray(are_missing(rows).all(axis=-1))


def are_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each element of an array whether it is missing: NaN, NaT, None or null."""
    if values.dtype.kind == "O":
        return np.asarray(_is_missing_object(values)).astype(bool)
    if values.dtype.kind in "mM":
        return np.asarray(np.isnat(values))
    if values.dtype.kind not in "fc":
        return np.zeros(values.shape, bool)
    return np.asarray(np.isnan(values))


def _is_missing_element(value: Any) -> bool:
    """Return whether an element of an array of objects is missing."""
    is_nan = isinstance(value, float | np.floating) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


_is_missing_object = np.frompyfunc(_is_missing_element, 1, 1)
