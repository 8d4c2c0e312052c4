"""Targets and weights of each time step, for ``return_sequences``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm.frames import are_missing, check_not_masked
from sklstm.nn.sequences import Sequences
from sklstm.nn.steps import EveryStep
from sklstm.targets import check_weights

__all__ = ["check_steps", "has_several_outputs", "suggesting_return_sequences"]


def check_steps(
    sequences: Sequences, y: Any, sample_weight: Any
) -> tuple[EveryStep, NDArray[Any], ArrayLike | None]:
    """Find the time steps that have a target.

    Parameters
    ----------
    sequences : Sequences
        The sequences.
    y : array-like or list of array-like
        Of shape (n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs), or a list of
        arrays of shape (n_timesteps_i,) or (n_timesteps_i, n_outputs). NaN and None stand for a
        step without a target.
    sample_weight : array-like or None
        Weights of shape (n_samples,), or of each step in the form of y.

    Returns
    -------
    sequences : EveryStep
        The sequences, with the steps that have a target and are not missing.
    y : ndarray of shape (n_targets,) or (n_targets, n_outputs)
        The targets.
    sample_weight : ndarray of shape (n_targets,), or None
        Their weights.

    Raises
    ------
    ValueError
        If y or the weights have another form, if only some outputs of a step have a target, or if
        no step has one.
    """
    if y is None:
        raise ValueError(
            "return_sequences=True needs a target y for each time step, but y is None."
        )
    lengths = sequences.lengths
    targets = _by_step(y, lengths, "y", "[, n_outputs]")
    unknown = are_missing(targets.reshape(len(targets), -1))  # (n_steps, n_outputs)
    has_target = sequences.is_real() & ~unknown.all(axis=1)
    is_partly = has_target & unknown.any(axis=1)
    if is_partly.any():
        sequence, step = _place(int(np.argmax(is_partly)), lengths)
        raise ValueError(
            f"y holds at sample {sequence}, timestep {step} NaN in some outputs but not in all. A "
            "step has a target for every output, or NaN in all of them and does not count."
        )
    if not has_target.any():
        raise ValueError(
            "y has no target: each of its entries is NaN or None, or belongs to a missing time "
            "step of X."
        )
    steps = EveryStep(sequences, has_target)
    weights = sample_weight
    if sample_weight is not None and not isinstance(sample_weight, Real):
        if _is_nested(sample_weight):
            weights = _by_step(sample_weight, lengths, "sample_weight", "")[has_target]
        else:
            of_sequences = check_weights(sample_weight, len(lengths), np.dtype(np.float64))
            weights = of_sequences[steps.sequence]
    return steps, _of_one_type(targets[has_target]), weights


@contextmanager
def suggesting_return_sequences(sequences: Sequences, y: Any) -> Iterator[None]:
    """Where y is refused and has an entry for each time step, say which parameter is for that."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(sequences, EveryStep):
            raise
        if _has_form_of(y, sequences.lengths):
            raise ValueError(
                "y has an entry for each time step of X. To predict one for each time step, set "
                f"return_sequences=True. Without it: {error}"
            ) from error
        if _has_different_lengths(y):
            raise ValueError(
                "y holds lists or arrays of different lengths. For a target at each time step, set "
                "return_sequences=True and give y[i] as many entries as X[i] has time steps. "
                "Without it, y is of shape (n_samples,) or (n_samples, n_outputs)."
            ) from error
        raise


def _by_step(values: Any, lengths: NDArray[np.intp], name: str, more: str) -> NDArray[Any]:
    """Return what is given for each time step, sequence after sequence."""
    check_not_masked(values, name)
    parts = _elements(values)
    if parts is None:
        array = np.asarray(values)
        shape, expected = array.shape, (len(lengths), int(lengths[0]))
        is_whole = shape[:2] == expected and (lengths == lengths[0]).all()
        if array.ndim not in ((2, 3) if more else (2,)) or not is_whole:
            raise ValueError(_wrong_form(f"{name} of shape {shape}", lengths, name, more))
        return array.reshape(-1, *shape[2:])
    if len(parts) != len(lengths):
        raise ValueError(_wrong_form(f"{len(parts)} of them", lengths, name, more))
    arrays: list[NDArray[Any]] = []
    for number, part in enumerate(parts):
        check_not_masked(part, f"{name}[{number}]")
        array = _as_array(part)
        if array.ndim not in ((1, 2) if more else (1,)) or len(array) != lengths[number]:
            given = f"{name}[{number}] of shape {array.shape}"
            raise ValueError(_wrong_form(given, lengths, name, more, number))
        arrays.append(array)
    # An empty one often has another dtype, and no outputs.
    full = [number for number, array in enumerate(arrays) if len(array)] or [0]
    first = arrays[full[0]]
    for number in full:
        if arrays[number].shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{name}[{number}] is of shape {arrays[number].shape}, but {name}[{full[0]}] of "
                f"{first.shape}: each must have the same number of outputs."
            )
    kept = [arrays[number] for number in full]
    if any(array.dtype.kind == "O" for array in kept) or len({_is_text(a) for a in kept}) > 1:
        kept = [array.astype(object) for array in kept]
    return np.concatenate(kept)


def _as_array(values: Any) -> NDArray[Any]:
    """Return an array; of strings among other objects NumPy would make strings of all."""
    array = np.asarray(values)
    if _is_text(array) and not hasattr(values, "dtype"):
        return np.array(values, dtype=object)
    return array


def _is_text(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "US"


def _elements(values: Any) -> list[Any] | None:
    """Return the arrays that are given for each sequence, None for one array of all."""
    if isinstance(values, list | tuple) or (
        getattr(values, "ndim", None) == 1 and values.dtype == object
    ):
        elements = list(values)
        return elements if any(np.ndim(element) for element in elements[:1]) else None
    return None


def has_several_outputs(y: Any) -> bool:
    """Return whether y has a row of outputs, and not one number or label, for each time step."""
    parts = _elements(y)
    return np.ndim(y) == 3 if parts is None else np.ndim(parts[0]) == 2


def _is_nested(values: Any) -> bool:
    """Return whether there is more than one number for a sequence."""
    return _elements(values) is not None or getattr(values, "ndim", 1) > 1


def _has_form_of(y: Any, lengths: NDArray[np.intp]) -> bool:
    """Return whether y has an entry for each time step."""
    try:
        _by_step(y, lengths, "y", "[, n_outputs]")
    except (TypeError, ValueError):
        return False
    return True


def _has_different_lengths(y: Any) -> bool:
    """Return whether y holds lists or arrays that do not have the same number of entries."""
    parts = _elements(y) or []
    return len({np.shape(part)[:1] for part in parts}) > 1


def _wrong_form(
    given: str, lengths: NDArray[np.intp], name: str, more: str, number: int = 0
) -> str:
    """Say which form is expected."""
    if (lengths == lengths[0]).all():
        expected = f"({len(lengths)}, {lengths[0]}{more})"
        form = f"an array of shape (n_samples, n_timesteps{more}), which is {expected} here"
    else:
        of_each = more and " or (n_timesteps_i, n_outputs)"
        form = (
            f"a list of {len(lengths)} arrays of shape (n_timesteps_i,){of_each}, of which "
            f"number {number} has {lengths[number]} time step(s)"
        )
    remedy = "" if name != "y" else " For one target for each sequence, set return_sequences=False."
    return (
        f"return_sequences=True needs {'a target' if name == 'y' else 'a weight'} for each time "
        f"step of X: {form}. Got {given}.{remedy}"
    )


def _place(number: int, lengths: NDArray[np.intp]) -> tuple[int, int]:
    """Return the sequence and the step in it of a step."""
    sequence = int(np.searchsorted(np.cumsum(lengths), number, side="right"))
    return sequence, number - int(lengths[:sequence].sum())


def _of_one_type(targets: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as an array of numbers where None, in other steps, made them objects."""
    if targets.dtype.kind == "O" and all(isinstance(value, Real) for value in targets.flat):
        return np.array(targets.tolist())
    return targets
