"""Every check of X, of a single time step and of layer sizes; those of y are in ``targets``.

The code behind this door works on clean arrays and checks nothing again. Nothing is written on the
estimator: what was found is returned. X is never copied whole: it is scanned a block at a time and
leaves here as ``Sequences``, which return a batch at a time.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _get_feature_names,
    check_array,
    validate_data,
)

from sklstm.frames import (
    as_numbers,
    check_columns_hold_numbers,
    check_is_table,
    check_not_masked,
    check_same_columns,
    count_dims,
    first_string,
)
from sklstm.lags import check_order_of_lags, names_of_lags
from sklstm.nn.model import InputForm
from sklstm.nn.sequences import (
    DenseSequences,
    RaggedSequences,
    Sequences,
    WindowSequences,
    own_precision,
    windows_overlap,
)
from sklstm.nn.windows import Windows

__all__ = ["check_layer_sizes", "check_sequences", "check_step", "warning_about_columns"]

# Numbers of X that are scanned together: few enough for the cache, many enough that the NumPy
# calls cost little.
_BLOCK_SIZE = 1 << 20


def check_sequences(
    X: Any,
    *,
    estimator: BaseEstimator,
    form: InputForm | None,
    timesteps: int | None,
    dtype: np.dtype | None = None,
    min_samples: int = 1,
) -> tuple[Sequences, InputForm]:
    """Check X in any of the forms that the estimators read.

    Parameters
    ----------
    X : array-like or list of array-like
        An array of shape (n_samples, n_timesteps, n_features); an array or data frame of shape
        (n_samples, n_columns); or a list of arrays of shape (n_timesteps_i, n_features).
    estimator : estimator
        For its name in messages; it is not changed.
    form : InputForm or None
        The form that X must have; None if this X defines it.
    timesteps : int or None
        Time steps in a row of a 2-D X; None makes each column a time step.
    dtype : dtype or None
        Precision in which the values must be finite; None for their own.
    min_samples : int, default=1
        Fewer samples are an error.

    Returns
    -------
    sequences : Sequences
        The checked sequences.
    form : InputForm
        The form of X.

    Raises
    ------
    ValueError
        If X has none of these forms or not the expected one, or if it holds a value that cannot be
        used; the message names the first sample and time step.
    """
    check_not_masked(X, "X")
    if getattr(X, "ndim", None) == 1 and X.dtype.kind == "O":
        X = list(X)  # an array or a pandas Series of sequences
    if isinstance(X, Windows) and X.dtype.kind in "buif":
        return _check_windows(X, estimator, form, dtype, min_samples)
    n_dims = count_dims(X)
    if isinstance(X, list | tuple) and (n_dims is None or n_dims == 3 or len(X) == 0):
        return _check_ragged(X, estimator, form, dtype, min_samples)
    if n_dims == 3:
        return _check_dense(X, estimator, form, dtype, min_samples)
    if n_dims is not None and n_dims > 3:
        raise ValueError(
            f"Found X with dim {n_dims}, but X must be of shape (n_samples, n_timesteps, "
            "n_features), which is dim 3, or of shape (n_samples, n_columns)."
        )
    return _check_table(X, estimator, form, timesteps, dtype, min_samples)


def warning_about_columns(form: InputForm, timesteps: int | None) -> UserWarning | None:
    """Return a warning if named columns are read as the time steps of one feature.

    Parameters
    ----------
    form : InputForm
        The form of the fitted X.
    timesteps : int or None
        The parameter, which says how columns are read and needs no warning.

    Returns
    -------
    UserWarning or None
        None as well for a single column, and for the lags of one column.
    """
    names = form.feature_names
    if form.n_timesteps in (None, 1) or timesteps is not None or names is None:
        return None
    if len(names_of_lags(names)) == 1:
        return None
    return UserWarning(
        f"The {len(names)} columns of X, {names[0]!r} to {names[-1]!r}, are read as "
        f"{len(names)} time steps of one feature. If they are features and the rows follow in "
        "time, put SlidingWindow before the estimator. If each row is a sequence of several "
        "features, set timesteps to their number of steps; if it is one of a single feature, "
        f"timesteps={len(names)} says so without this warning."
    )


def _check_table(
    X: Any,
    estimator: BaseEstimator,
    form: InputForm | None,
    timesteps: int | None,
    dtype: np.dtype | None,
    min_samples: int,
) -> tuple[DenseSequences, InputForm]:
    """Read an array or frame of shape (n_samples, n_columns) as sequences."""
    if form is not None and form.n_timesteps is None:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on sequences of {form.n_features} features "
            "per time step, but X is not 3-D. Give an array of shape (n_samples, n_timesteps, "
            "n_features) or a list of arrays of shape (n_timesteps_i, n_features); for a 2-D X of "
            "univariate sequences that is X[:, :, np.newaxis]."
        )
    check_is_table(
        X,
        "(n_samples, n_timesteps, n_features) or (n_samples, n_columns)",
        {1: " SlidingWindow makes windows of it. X.reshape(1, -1) is a single sequence."},
    )
    names = _get_feature_names(X)
    check_columns_hold_numbers(X)
    values = _to_numeric(
        estimator, X, timesteps=timesteps, known=form is not None, ensure_min_samples=min_samples
    )
    n_samples, n_columns = values.shape
    n_timesteps = n_columns if timesteps is None else timesteps
    if n_columns % n_timesteps:
        raise ValueError(
            f"X has {n_columns} columns, which timesteps={n_timesteps} does not divide. Each row "
            "must be timesteps times the same number of features, step after step."
        )
    n_features = n_columns // n_timesteps
    if form is not None and n_features != form.n_features:
        raise ValueError(
            f"timesteps={timesteps} makes time steps of {n_features} features, but the estimator "
            f"was fitted on steps of {form.n_features} features."
        )
    # Without timesteps, columns of several names are read as one feature, with a warning.
    if names is not None and (timesteps is not None or len(names_of_lags(names)) == 1):
        check_order_of_lags(names, n_timesteps)
    values = values.reshape(n_samples, n_timesteps, n_features)
    found = form or InputForm(n_features, n_timesteps, names)
    return DenseSequences(values, _has_missing_steps(values, dtype)), found


def _check_windows(
    X: Windows,
    estimator: BaseEstimator,
    form: InputForm | None,
    dtype: np.dtype | None,
    min_samples: int,
) -> tuple[WindowSequences, InputForm]:
    """Read windows over series, without making an array of them."""
    if len(X) < min_samples:
        raise ValueError(
            f"Found windows with {len(X)} sample(s) (shape={X.shape}) while a minimum of "
            f"{min_samples} is required by {type(estimator).__name__}."
        )
    n_features = X.shape[2]
    _check_n_features(estimator, n_features, form)
    is_used = X.used_rows()
    steps = X.buffer if is_used.all() else X.buffer[is_used]  # each step once
    scan = _scan(steps[:, np.newaxis], dtype) if steps.dtype.kind == "f" else _Scan(False)
    if scan.place is not None:
        for first, block in _blocks(X):
            _has_missing_steps(block, dtype, first=first)  # raises at the place
    return WindowSequences(X, scan.has_missing), form or InputForm(n_features)


def _check_dense(
    X: Any,
    estimator: BaseEstimator,
    form: InputForm | None,
    dtype: np.dtype | None,
    min_samples: int,
) -> tuple[DenseSequences, InputForm]:
    """Read an array of shape (n_samples, n_timesteps, n_features)."""
    if type(X) is np.ndarray and X.dtype.kind == "f" and len(X) >= min_samples:
        values = X  # check_array would not change it, but takes longer than a small network
    else:
        values = _to_numeric(estimator, X, allow_nd=True, ensure_min_samples=min_samples)
    if 0 in values.shape:
        raise ValueError(
            f"Found X of shape {values.shape}: (n_samples, n_timesteps, n_features) must each be "
            "at least 1."
        )
    _check_n_features(estimator, values.shape[2], form)
    found = form or InputForm(values.shape[2])
    return DenseSequences(values, _has_missing_steps(values, dtype)), found


def _check_ragged(
    X: Sequence[Any],
    estimator: BaseEstimator,
    form: InputForm | None,
    dtype: np.dtype | None,
    min_samples: int,
) -> tuple[RaggedSequences, InputForm]:
    """Read a list of arrays of shape (n_timesteps_i, n_features)."""
    if len(X) < min_samples:
        raise ValueError(
            f"Found a list of {len(X)} sample(s) while a minimum of {min_samples} is required by "
            f"{type(estimator).__name__}."
        )
    sequences: list[NDArray[Any]] = []
    for number, sequence in enumerate(X):
        if (n_dims := count_dims(sequence)) != 2:
            raise ValueError(
                f"X[{number}] has {'no fixed number of' if n_dims is None else n_dims} "
                "dimension(s), but each sequence in a list must be of shape (n_timesteps_i, "
                "n_features); for one feature that is np.reshape(sequence, (-1, 1)). Words, or "
                "numbers that stand for them, are no quantities: encode them, for instance as "
                "np.eye(n_words)[sequence]."
            )
        check_not_masked(sequence, f"X[{number}]")
        check_columns_hold_numbers(sequence, name=f"X[{number}]")
        if type(sequence) is np.ndarray and sequence.dtype.kind == "f":
            values = sequence  # as in _check_dense
        else:
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
    _check_n_features(estimator, sequences[0].shape[1], form)
    names = check_same_columns(X, None if form is None else form.feature_names)
    missing = [
        _has_missing_steps(values[None], dtype, number=k) for k, values in enumerate(sequences)
    ]
    found = form or InputForm(sequences[0].shape[1], None, names)
    return RaggedSequences(sequences, any(missing)), found


def _to_numeric(
    estimator: BaseEstimator,
    X: Any,
    *,
    timesteps: int | None = None,
    number: int | None = None,
    known: bool = False,
    **check_params: Any,
) -> NDArray[Any]:
    """Make X an array of real numbers; an error names the place of the first other value.

    With ``known``, the columns of X must be those that the estimator was fitted on.
    """
    check_params |= {"dtype": "numeric", "ensure_all_finite": False}
    if first_string(X) is not None:
        raise ValueError(
            f"X must hold real numbers, but {_first_not_real(X, timesteps, number)}: a string. If "
            "its strings are numbers, use X.astype(float)."
        )
    try:
        if known:
            values = validate_data(estimator, X, reset=False, **check_params)
        else:
            values = check_array(X, estimator=estimator, input_name="X", **check_params)
        if values.dtype == object:  # polars gives strings as objects
            values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        try:
            found = _first_not_real(X, timesteps, number)
        except (ValueError, TypeError):
            raise TypeError(
                f"X, of type {type(X).__name__}, cannot be read as a NumPy array: {error}. Convert "
                "it first; a tensor of bfloat16, which NumPy does not have, with X.float()."
            ) from error
        if found is None:
            raise
        reason, *_ = str(error).split("\n")  # then come values, or all of X
        raise type(error)(f"X must hold real numbers, but {found}: {reason}") from error
    if values.dtype.kind not in "buif":
        raise ValueError(f"X must hold real numbers, but it is of dtype {values.dtype}.")
    return values


def _first_not_real(X: Any, timesteps: int | None, number: int | None) -> str | None:
    """Say which value is the first that is not a real number, None if there is none."""
    values = np.asarray(X)
    if values.dtype.kind not in "OUSc" or values.ndim not in (2, 3):
        return None
    for index in np.ndindex(values.shape):
        try:
            is_real = not isinstance(values[index], str) and complex(values[index]).imag == 0
        except (TypeError, ValueError):
            is_real = False
        if not is_real:
            sample, step = index[:2]
            if number is not None:  # one of a list
                sample, step = number, sample
            elif values.ndim == 2 and timesteps is not None:
                step //= max(1, values.shape[1] // timesteps)
            value = values.astype(object)[index]  # "a" instead of np.str_("a")
            return f"{_place(sample, step)} holds {reprlib.repr(value)}"
    return f"it is of dtype {values.dtype}" if values.dtype.kind == "c" else None


def _place(sample: int, timestep: int) -> str:
    return f"sample {sample}, timestep {timestep}"


def _check_n_features(estimator: BaseEstimator, n_features: int, form: InputForm | None) -> None:
    """Compare the features per time step of a 3-D or ragged X with those of fit."""
    if form is None:
        return
    name, expected = type(estimator).__name__, form.n_features_in
    if form.n_timesteps is not None:
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


class _Scan(NamedTuple):
    """What a scan has found: whether steps are missing, and the first value that is unusable."""

    has_missing: bool
    place: tuple[int, int] | None = None  # sample and time step
    problem: str = ""


def _has_missing_steps(
    values: NDArray[Any], dtype: np.dtype | None, number: int | None = None, first: int = 0
) -> bool:
    """Return whether any time step is missing; raise where a value cannot be used.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The values.
    dtype : dtype or None
        Precision in which they must be finite.
    number : int, default=None
        The number of the sample, where ``values`` is one sample of a list.
    first : int, default=0
        The number of the first sample.
    """
    if values.dtype.kind != "f":
        return False
    steps = _distinct_steps(values)
    scan = _scan(steps, dtype)
    if scan.place is not None and steps is not values:
        scan = _scan(values, dtype)  # for the place, which the distinct steps do not tell
    if scan.place is not None:
        sample, timestep = scan.place
        place = _place(first + sample if number is None else number, timestep)
        raise ValueError(f"Input X contains at {place} {scan.problem}.")
    return scan.has_missing


def _scan(values: NDArray[Any], dtype: np.dtype | None) -> _Scan:
    """Look for missing steps and for the first value that cannot be used."""
    has_missing = False
    for first, block in _blocks(values):
        if dtype is None:
            dtype = own_precision(block.dtype)
        with np.errstate(over="ignore"):
            block = block.astype(dtype, copy=False)
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
                return _Scan(has_missing, (first + sample, timestep), problem)
        has_missing = True
    return _Scan(has_missing)


def _blocks(values: NDArray[Any] | Windows) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, _BLOCK_SIZE // max(1, values[0].size)) if len(values) else 1
    for first in range(0, len(values), step):
        yield first, np.asarray(values[first : first + step])


def _distinct_steps(values: NDArray[Any]) -> NDArray[Any]:
    """Return each time step of overlapping windows once, as (n, 1, n_features), else the values.

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


def check_step(x_t: Any, form: InputForm, dtype: np.dtype) -> tuple[NDArray[np.floating], bool]:
    """Check one time step of one stream or of many.

    Returns
    -------
    x : ndarray of shape (n_streams, n_features)
        Each row is finite or, where the step is missing, all NaN.
    is_single : bool
        Whether ``x_t`` was of shape (n_features,).
    """
    n_features = form.n_features
    # Names of a frame or a Series; the index method of a list is something else.
    names = getattr(x_t, "columns", getattr(x_t, "index", None))
    names = [] if names is None or callable(names) else list(names)
    expected = [] if form.feature_names is None else list(form.feature_names)
    if names and len(expected) == n_features and names != expected:
        raise ValueError(f"x_t has the names {names}, but {expected} are expected, in that order.")
    # Without check_array, which sets the warning filters of the process for a moment: streams are
    # often in threads.
    x = as_numbers(x_t, "x_t")
    if x.ndim not in (1, 2) or x.shape[-1] != n_features or not len(x):
        raise ValueError(
            f"x_t has the shape {x.shape}, but must be of shape ({n_features},) for one stream, or "
            f"(n_streams, {n_features}) for several."
        )
    with np.errstate(over="ignore"):
        rows = x.reshape(-1, n_features).astype(dtype)
    missing = np.isnan(rows)
    if not (np.isfinite(rows) | missing.all(axis=1, keepdims=True)).all():
        raise ValueError(
            f"x_t must be finite in {dtype}, or NaN in every feature of a stream, which makes its "
            "step a missing one."
        )
    return rows, x.ndim == 1


def check_layer_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Check ``hidden_layer_sizes`` and return it as a tuple."""
    given = hidden_layer_sizes
    sizes = (given,) if isinstance(given, Integral) else tuple(given)
    if not sizes or any(not isinstance(size, Integral) or size < 1 for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must be a positive int or a non-empty sequence of them, got "
            f"{hidden_layer_sizes!r}."
        )
    return tuple(int(size) for size in sizes)
