"""Every check on what a user hands in.

What passes this door is clean: the code behind it looks at no input again. X is never copied
whole, not even to look at it: it is scanned a block at a time, and leaves here as ``Sequences``,
which cut out a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    validate_data,
)

from sklstm.nn.sequences import DenseSequences, RaggedSequences, Sequences, windows_overlap

__all__ = ["check_present", "check_regression_target", "check_sequences", "check_weights"]

# Numbers of X that are looked at together.
_BLOCK_SIZE = 1 << 20


def check_sequences(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    timesteps: int | None,
    dtype: np.dtype | None = None,
    min_samples: int = 1,
) -> Sequences:
    """Check X in any of the forms that the estimators read.

    Parameters
    ----------
    estimator : estimator
        Receives ``n_features_in_`` and ``feature_names_in_`` with ``reset``, is held to them
        without.
    X : array-like or list of array-like
        An array of shape (n_samples, n_timesteps, n_features); an array or data frame of shape
        (n_samples, n_columns); or a list of arrays of shape (n_timesteps_i, n_features).
    reset : bool
        Whether this X defines what the estimator expects.
    timesteps : int or None
        Time steps in a row of a 2-D X; None makes each column a time step.
    dtype : dtype or None
        In which the values must be finite; None for their own.
    min_samples : int, default=1
        Fewer are an error.

    Returns
    -------
    Sequences
        The checked sequences.

    Raises
    ------
    ValueError
        If X is none of these, has a different number of features than before, or holds a value
        that cannot be used; the first sample and time step is named.
    """
    if getattr(X, "ndim", None) == 1 and X.dtype.kind == "O":
        X = list(X)  # an array or a pandas Series of sequences
    n_dims = _n_dims(X)
    if isinstance(X, list | tuple) and (n_dims is None or n_dims == 3 or len(X) == 0):
        return _check_ragged(estimator, X, reset, dtype, min_samples)
    if n_dims == 3:
        return _check_dense(estimator, X, reset, dtype, min_samples)
    if n_dims is not None and n_dims > 3:
        raise ValueError(
            f"Found X with dim {n_dims}, but X must be of shape (n_samples, n_timesteps, "
            "n_features), which is dim 3, or of shape (n_samples, n_columns)."
        )
    return _check_table(estimator, X, reset, timesteps, dtype, min_samples)


def _n_dims(X: Any) -> int | None:
    """Count the dimensions of an array-like; None for a list of what is not all of one shape."""
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


def _check_table(
    estimator: BaseEstimator,
    X: Any,
    reset: bool,
    timesteps: int | None,
    dtype: np.dtype | None,
    min_samples: int,
) -> DenseSequences:
    """Read an array or frame of shape (n_samples, n_columns) as sequences."""
    if not reset and getattr(estimator, "_fitted_on_sequences", False):
        raise ValueError(
            f"{type(estimator).__name__} was fitted on sequences of {estimator.n_features_in_} "
            "features per time step, but X is not 3-D. Give an array of shape (n_samples, "
            "n_timesteps, n_features) or a list of arrays of shape (n_timesteps_i, n_features); "
            "for a 2-D X of univariate sequences that is X[:, :, np.newaxis]."
        )
    values = _to_numeric(
        estimator,
        X,
        timesteps=timesteps,
        with_validate_data=True,
        reset=reset,
        ensure_min_samples=min_samples,
    )
    if reset:
        estimator._fitted_on_sequences = False
    n_samples, n_columns = values.shape
    n_timesteps = n_columns if timesteps is None else timesteps
    if n_columns % n_timesteps:
        raise ValueError(
            f"X has {n_columns} columns, which timesteps={n_timesteps} does not divide. Each row "
            "must be timesteps times the same number of features, step after step."
        )
    values = values.reshape(n_samples, n_timesteps, n_columns // n_timesteps)
    return DenseSequences(values, _scan(values, dtype))


def _check_dense(
    estimator: BaseEstimator, X: Any, reset: bool, dtype: np.dtype | None, min_samples: int
) -> DenseSequences:
    """Read an array of shape (n_samples, n_timesteps, n_features)."""
    if type(X) is np.ndarray and X.dtype.kind == "f" and len(X) >= min_samples:
        values = X  # check_array would not change it, but take longer than a small network does
    else:
        values = _to_numeric(estimator, X, allow_nd=True, ensure_min_samples=min_samples)
    if 0 in values.shape:
        raise ValueError(
            f"Found X of shape {values.shape}: (n_samples, n_timesteps, n_features) must each be "
            "at least 1."
        )
    _check_n_features(estimator, values.shape[2], reset)
    return DenseSequences(values, _scan(values, dtype))


def _check_ragged(
    estimator: BaseEstimator,
    X: Sequence[Any],
    reset: bool,
    dtype: np.dtype | None,
    min_samples: int,
) -> RaggedSequences:
    """Read a list of arrays of shape (n_timesteps_i, n_features)."""
    if len(X) < min_samples:
        raise ValueError(
            f"Found a list of {len(X)} sample(s) while a minimum of {min_samples} is required by "
            f"{type(estimator).__name__}."
        )
    sequences: list[NDArray[Any]] = []
    for number, sequence in enumerate(X):
        if (n_dims := _n_dims(sequence)) != 2:
            raise ValueError(
                f"X[{number}] has {'no fixed number of' if n_dims is None else n_dims} "
                "dimension(s), but each sequence "
                "in a list "
                "must be of shape (n_timesteps_i, n_features); for one feature that is "
                "sequence[:, np.newaxis]."
            )
        values = _to_numeric(
            estimator, sequence, number=number, ensure_min_samples=0, ensure_min_features=0
        )
        if values.shape[1] != (sequences or [values])[0].shape[1] or values.shape[1] == 0:
            raise ValueError(
                f"X[{number}] is of shape {values.shape}, but all sequences must be of shape "
                "(n_timesteps_i, n_features) with the same n_features, at least 1; X[0] is of "
                f"shape {np.shape(X[0])}."
            )
        sequences.append(values)
    if not any(len(sequence) for sequence in sequences):
        raise ValueError("X has no time step at all: every sequence is of length 0.")
    _check_n_features(estimator, sequences[0].shape[1], reset)
    _check_frames(estimator, X, reset)
    missing = [_scan(values[None], dtype, number=k) for k, values in enumerate(sequences)]
    return RaggedSequences(sequences, any(missing))


def _to_numeric(
    estimator: BaseEstimator,
    X: Any,
    *,
    timesteps: int | None = None,
    number: int | None = None,
    with_validate_data: bool = False,
    **check_params: Any,
) -> NDArray[Any]:
    """Make X an array of real numbers; an error names where the first one is that is none."""
    check_params |= {"dtype": "numeric", "ensure_all_finite": False}
    try:
        if with_validate_data:
            values = validate_data(estimator, X, **check_params)
        else:
            values = check_array(X, estimator=estimator, input_name="X", **check_params)
        if values.dtype == object:  # as polars gives strings
            values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        place = _first_not_real(X, timesteps, number)
        if place is None:
            raise
        raise type(error)(f"{error}\nThe first such value is at {place}.") from error
    if values.dtype.kind not in "buif":
        raise ValueError(f"X must hold real numbers, but it is of dtype {values.dtype}.")
    return values


def _first_not_real(X: Any, timesteps: int | None, number: int | None) -> str | None:
    """Where the first value is that is not a real number, None if there is none."""
    values = np.asarray(X)
    if values.dtype.kind not in "OUSc" or values.ndim not in (2, 3):
        return None
    for index in np.ndindex(values.shape):
        try:
            is_real = complex(values[index]).imag == 0
        except (TypeError, ValueError):
            is_real = False
        if not is_real:
            if number is not None:  # one of a list
                return _place(number, index[0])
            step = index[1]
            if values.ndim == 2 and timesteps is not None:
                step //= max(1, values.shape[1] // timesteps)
            return _place(index[0], step)
    return None


def _place(sample: int, timestep: int) -> str:
    return f"sample {sample}, timestep {timestep}"


def _check_n_features(estimator: BaseEstimator, n_features: int, reset: bool) -> None:
    """Set or compare the features per time step of a 3-D or ragged X."""
    if reset:
        estimator.n_features_in_ = n_features
        estimator._fitted_on_sequences = True
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
        return
    name, expected = type(estimator).__name__, estimator.n_features_in_
    if not estimator._fitted_on_sequences:
        raise ValueError(
            f"{name} was fitted on a 2-D X of {expected} columns, but X now holds sequences of "
            f"shape (n_timesteps, {n_features}). Give it 2-D X again, or fit it on 3-D X."
        )
    if n_features != expected:
        raise ValueError(
            f"X has {n_features} features, but {name} is expecting {expected} features "
            "as input. The axes of X are (n_samples, n_timesteps, n_features); if time is the "
            "last one, use X.transpose(0, 2, 1)."
        )


def _check_frames(estimator: BaseEstimator, X: Sequence[Any], reset: bool) -> None:
    """Hold the columns of a list of data frames to one order, that of the first ever seen."""
    if not all(hasattr(sequence, "columns") for sequence in X):
        return
    expected = list(X[0].columns) if reset else list(getattr(estimator, "feature_names_in_", []))
    for number, sequence in enumerate(X):
        if expected and list(sequence.columns) != expected:
            raise ValueError(
                f"X[{number}] has the columns {list(sequence.columns)}, but {expected} are "
                "expected, in that order."
            )
    if reset and all(isinstance(name, str) for name in expected):
        estimator.feature_names_in_ = np.array(expected, dtype=object)


def _scan(values: NDArray[Any], dtype: np.dtype | None, number: int | None = None) -> bool:
    """Tell whether any time step is missing; raise where a value cannot be used.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The values.
    dtype : dtype or None
        In which they must be finite.
    number : int, default=None
        The sample's number, where ``values`` is one out of a list.
    """
    if values.dtype.kind != "f":
        return False
    try:
        return _scan_blocks(_distinct_steps(values), dtype, number)
    except ValueError:
        # Once more for the place, which overlapping windows do not have in common.
        return _scan_blocks(values, dtype, number)


def _scan_blocks(values: NDArray[Any], dtype: np.dtype | None, number: int | None) -> bool:
    has_missing = False
    for first, block in _blocks(values):
        if dtype is None and block.dtype != np.float32:
            dtype = np.dtype(np.float64)
        with np.errstate(over="ignore"):
            block = block.astype(dtype or block.dtype, copy=False)
        finite = np.isfinite(block)
        if finite.all():
            continue
        nan = np.isnan(block)
        for bad, problem in (
            (~finite & ~nan, f"infinity or a value too large for {block.dtype}"),
            (
                nan & ~nan.all(axis=2, keepdims=True),
                "NaN in some features but not in all. Only a whole time step can be missing, with "
                "NaN in every feature: impute the rest, for instance with SimpleImputer, or set "
                "the whole step to NaN",
            ),
        ):
            if bad.any():
                sample, timestep, _ = np.argwhere(bad)[0]
                sample = first + sample if number is None else number
                raise ValueError(f"Input X contains at {_place(sample, timestep)} {problem}.")
        has_missing = True
    return has_missing


def _blocks(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, _BLOCK_SIZE // max(1, values[0].size)) if len(values) else 1
    for first in range(0, len(values), step):
        yield first, values[first : first + step]


def _distinct_steps(values: NDArray[Any]) -> NDArray[Any]:
    """Each time step of overlapping windows once, as (n, 1, n_features), else the values.

    Windows that are a view of a series overlap: one sample further in memory is ``stride`` steps
    back in time. What lies between the first and the last of them is the series itself.
    """
    n_samples, n_timesteps, n_features = values.shape
    per_sample, per_step, per_feature = values.strides
    if windows_overlap(values) and per_step % per_sample == 0:
        n_steps = n_samples + (n_timesteps - 1) * (per_step // per_sample)
        return as_strided(
            values, (n_steps, 1, n_features), (per_sample, 0, per_feature), writeable=False
        )
    return values


def check_regression_target(estimator: BaseEstimator, y: Any, sequences: Sequences) -> NDArray[Any]:
    """Check a regression target.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Finite real numbers.
    """
    check_present(estimator, y)
    y = check_array(
        y,
        ensure_2d=False,
        allow_nd=True,
        dtype="numeric",
        order="C",
        input_name="y",
        estimator=estimator,
    )
    if y.dtype.kind not in "buif":
        raise ValueError(f"y must hold real numbers, but it is of dtype {y.dtype}.")
    if y.ndim > 2 or 0 in y.shape:
        raise ValueError(
            f"y has the shape {y.shape}, but must be of shape (n_samples,) or (n_samples, "
            "n_outputs)."
        )
    check_consistent_length(sequences, y)
    return y


def check_present(estimator: BaseEstimator, y: Any) -> None:
    """Refuse a target of None."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def check_weights(
    sample_weight: ArrayLike | None, sequences: Sequences, dtype: np.dtype
) -> NDArray[np.floating]:
    """Check the weights of the samples.

    Returns
    -------
    ndarray of shape (n_samples,)
        Not negative, and not all zero.
    """
    weights = _check_sample_weight(
        sample_weight, np.arange(len(sequences)), dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    with np.errstate(all="ignore"):
        total = weights.astype(dtype).sum()
    if not np.finfo(dtype).tiny < total < np.inf:
        raise ValueError(
            f"Sample weights add up to {total:g}, which is out of {dtype}'s range: multiply them "
            "by a constant."
        )
    return weights.astype(dtype)


def check_step(
    estimator: BaseEstimator, x_t: Any, n_features: int, dtype: np.dtype
) -> tuple[NDArray[Any], bool]:
    """Check one time step of one stream or of many.

    Returns
    -------
    x : ndarray of shape (n_streams, n_features)
        Each row finite or, where the step is missing, NaN throughout.
    is_single : bool
        Whether ``x_t`` was of shape (n_features,).
    """
    # Of a frame, or of a Series; a list has an index of another kind.
    names = getattr(x_t, "columns", getattr(x_t, "index", None))
    names = [] if names is None or callable(names) else list(names)
    expected = list(getattr(estimator, "feature_names_in_", []))
    if names and len(expected) == n_features and names != expected:
        raise ValueError(f"x_t has the names {names}, but {expected} are expected, in that order.")
    x = np.asarray(x_t)
    if x.ndim not in (1, 2) or x.shape[-1] != n_features:
        raise ValueError(
            f"x_t has the shape {x.shape}, but must be of shape ({n_features},) for one stream, or "
            f"(n_streams, {n_features}) for several."
        )
    is_single = x.ndim == 1
    rows = check_array(
        x.reshape(-1, n_features), dtype="numeric", ensure_all_finite=False, input_name="x_t"
    )
    if rows.dtype.kind not in "buif":
        raise ValueError(f"x_t must hold real numbers, but it is of dtype {rows.dtype}.")
    with np.errstate(over="ignore"):
        rows = rows.astype(dtype)
    missing = np.isnan(rows)
    if not (np.isfinite(rows) | missing.all(axis=1, keepdims=True)).all():
        raise ValueError(
            f"x_t must be finite in {dtype}, or NaN in every feature of a stream, which makes its "
            "step a missing one."
        )
    return rows, is_single
