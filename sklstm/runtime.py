"""Predictors that need NumPy alone, and the file that they come from.

The file is an uncompressed .npz archive without pickles: ``header.json`` says what the network is,
and the other members are its weights, as ``coefs_`` and ``intercepts_`` hold them. The header fixes
name, shape and dtype of each, and nothing is read or allocated on the word of a file alone.
"""

from __future__ import annotations

import json
import math
import os
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from sklstm.nn.losses import INVERSE_LINKS
from sklstm.nn.network import Network
from sklstm.nn.prediction import State, advance
from sklstm.nn.sequences import DenseSequences, RaggedSequences, Sequences
from sklstm.nn.threads import one_blas_thread
from sklstm.nn.training import predict_raw

__all__ = ["Classifier", "Regressor", "load", "save"]

Floats = NDArray[np.floating]

# To be raised when an older sklstm would not read a new file, or read it wrongly. ``load`` goes on
# reading the files of all versions from 1 on, and a test holds one of each.
FORMAT_VERSION = 1

_FORMAT = "sklstm.runtime"
_HEADER = "header.json"
_MAX_HEADER_SIZE = 1 << 20

# Sequences whose values are looked at together.
_BLOCK_SIZE = 512

# The labels' dtypes, and what they are in JSON.
_LABELS: dict[str, type] = {
    "bool": bool,
    **{f"{sign}int{size}": int for sign in ("", "u") for size in (8, 16, 32, 64)},
    **{f"float{size}": float for size in (16, 32, 64)},
    "str": str,
    "object": str,
}


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator to predict with where there is NumPy alone.

    The file is written beside ``path`` and then takes its place: who reads ``path`` sees the old
    file or the new one, and nothing in between. The same estimator gives the same bytes.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        What is saved is what predicting takes. To go on with training, save with joblib or pickle.
    path : str or path-like
        The file, by custom ``*.npz``. The name is taken as it is.

    Raises
    ------
    TypeError
        If it is neither of the two, or its class labels are neither numbers nor strings.
    NotFittedError
        If it has not been fitted.
    ValueError
        If ``timesteps`` has changed so that the estimator cannot predict either.

    See Also
    --------
    load : Load what was saved.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklstm import LSTMRegressor, runtime
    >>> X = np.random.default_rng(0).normal(size=(50, 8, 1))
    >>> model = LSTMRegressor(4, n_iter_no_change=2, random_state=0).fit(X, X[:, -1, 0])
    >>> with TemporaryDirectory() as folder:
    ...     runtime.save(model, f"{folder}/model.npz")
    ...     predictor = runtime.load(f"{folder}/model.npz")
    >>> bool((predictor.predict(X) == model.predict(X)).all())
    True
    """
    header = json.dumps(_header(estimator), indent=1).encode()
    if len(header) > _MAX_HEADER_SIZE:
        raise ValueError(
            f"The class labels and feature names take {len(header)} bytes, more than the "
            f"{_MAX_HEADER_SIZE} that the header of a file may have."
        )
    _parse_header(header)  # nothing is saved that could not be loaded
    network = estimator._network
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo of one's own carries no date.
        archive.writestr(zipfile.ZipInfo(_HEADER), header)
        for name, array in zip(_shapes(network), [*coefs, *intercepts], strict=True):
            member = BytesIO()
            array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            npy.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name), member.getbuffer())


def load(path: str | os.PathLike[str]) -> Regressor | Classifier:
    """Load a predictor that ``save`` has written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Regressor or Classifier
        Predicts what the estimator predicts. Threads may share it.

    Raises
    ------
    ValueError
        If the file is damaged, is no such file, or was written by a version of sklstm that is too
        new. Nothing in a file is run, and what is read is bounded by its size.
    OSError
        If it cannot be opened.

    See Also
    --------
    save : Save an estimator; with an example.
    """
    with open(path, "rb") as file:
        try:
            header, network, parameters = _read(file)
            kind = Regressor if header["estimator"] == "regressor" else Classifier
            return kind(header, network, parameters)
        except Exception as error:  # a hostile file makes the parsers raise almost anything
            reason = str(error) or type(error).__name__
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {reason}") from error


class _Predictor:
    """What both predictors share.

    Parameters
    ----------
    header : dict
        The header of the file, checked.
    network : Network
        The network.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    """

    def __init__(self, header: dict[str, Any], network: Network, parameters: Floats) -> None:
        self._network, self._parameters = network, parameters
        self._n_timesteps: int | None = header["n_timesteps"]
        self._inverse_link = INVERSE_LINKS[header["out_activation"]]
        self.n_outputs_ = network.n_outputs
        self.n_features_in_ = network.n_features * (self._n_timesteps or 1)
        if header["feature_names"] is not None:
            self.feature_names_in_ = np.array(header["feature_names"], dtype=object)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict as the estimator does.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, in the form that the estimator was fitted on.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.

        Raises
        ------
        ValueError
            If X is of another form, or has values that cannot be used.
        """
        return self._predictions(self._raw_outputs(X))

    def predict_step(self, x_t: ArrayLike, state: Any = None) -> tuple[Any, State]:
        """Take in one new time step, of one stream or of many, and predict.

        Parameters
        ----------
        x_t : array-like of shape (n_features,) or (n_streams, n_features)
            The new time step. NaN in all features is a missing step: the state stays.
        state : tuple, default=None
            What the call for the step before has returned; None at the start.

        Returns
        -------
        y : number, label or ndarray
            As ``predict`` gives it for one sample; with a first axis for the streams if ``x_t`` has
            it.
        state : tuple of (h, c)
            For each layer hidden state and cell state, of shape (n_units,) or (n_streams,
            n_units). The predictor keeps nothing.

        Raises
        ------
        ValueError
            If the network is bidirectional, or if shapes or values cannot be used.
        """
        network, parameters = self._network, self._parameters
        x = _to_numbers(x_t, "x_t")
        is_single = x.ndim == 1
        if x.ndim not in (1, 2) or x.shape[-1] != network.n_features or not len(x):
            raise ValueError(
                f"x_t has the shape {x.shape}, but must be of shape ({network.n_features},) for "
                f"one stream, or (n_streams, {network.n_features}) for several."
            )
        x = x.reshape(-1, network.n_features)
        _has_missing(x[:, np.newaxis], parameters.dtype, "x_t")
        x = x.astype(parameters.dtype)
        raw, state = advance(network, parameters, x, state, is_single=is_single)
        y = self._predictions(raw)
        return (y[0] if is_single else y), state

    def _predictions(self, raw: Floats) -> NDArray[Any]:
        """Turn raw outputs, of shape (n_samples, n_outputs), into predictions."""
        raise NotImplementedError

    def _raw_outputs(self, X: Any) -> Floats:
        """Compute the head's linear outputs, of shape (n_samples, n_outputs)."""
        sequences = self._sequences(X)
        with one_blas_thread() as threads:
            return predict_raw(self._network, self._parameters, sequences, threads).T

    def _sequences(self, X: Any) -> Sequences:
        """Check X and give it in the form that the network reads."""
        if isinstance(X, list | tuple) or (getattr(X, "ndim", 0) == 1 and X.dtype == object):
            return self._from_list(list(X))
        self._check_columns(X)
        return self._from_array(_to_numbers(X, "X"))

    def _from_list(self, X: list[Any]) -> Sequences:
        for sequence in X:
            self._check_columns(sequence)
        arrays = [_to_numbers(sequence, f"X[{number}]") for number, sequence in enumerate(X)]
        if any(array.ndim != 2 for array in arrays):
            return self._from_array(_to_numbers(X, "X"))
        if not any(len(array) for array in arrays):
            raise ValueError("X has no time step at all.")
        dtype, missing = self._parameters.dtype, []
        for number, array in enumerate(arrays):
            self._check_shape(array[np.newaxis], f"X[{number}]")
            missing.append(_has_missing(array[np.newaxis], dtype, f"X[{number}]"))
        return RaggedSequences(arrays, any(missing))

    def _from_array(self, values: NDArray[Any]) -> DenseSequences:
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise ValueError(
                f"X has the shape {values.shape}, but must be of shape (n_samples, n_timesteps, "
                "n_features) or (n_samples, n_columns), none of them 0."
            )
        self._check_shape(values, "X")
        if self._n_timesteps is not None:
            values = values.reshape(len(values), self._n_timesteps, -1)
        dtype = self._parameters.dtype
        missing = [
            _has_missing(values[first : first + _BLOCK_SIZE], dtype, "X", first)
            for first in range(0, len(values), _BLOCK_SIZE)
        ]
        return DenseSequences(values, any(missing))

    def _check_shape(self, values: NDArray[Any], name: str) -> None:
        """Hold an array to what the estimator was fitted on: 2-D or not, and how wide."""
        n_dims = 3 if self._n_timesteps is None else 2
        if values.ndim != n_dims or values.shape[-1] != self.n_features_in_:
            form = (
                "sequences of shape (n_timesteps, {})" if n_dims == 3 else "a 2-D X of {} columns"
            )
            raise ValueError(
                f"The estimator was fitted on {form.format(self.n_features_in_)}, which {name} "
                f"does not fit: {values.ndim}-D, {values.shape[-1]} in the last axis."
            )

    def _check_columns(self, X: Any) -> None:
        """Hold a data frame to the columns that the estimator was fitted on."""
        known = getattr(self, "feature_names_in_", None)
        if known is not None and hasattr(X, "columns") and list(X.columns) != list(known):
            raise ValueError(
                f"X has the columns {list(X.columns)}, but the estimator was fitted on "
                f"{list(known)}, in this order."
            )


class Regressor(_Predictor):
    """What ``load`` gives for an :class:`~sklstm.LSTMRegressor`.

    Attributes
    ----------
    n_features_in_ : int
        As in the estimator: the columns of a 2-D X, else the features per time step.
    feature_names_in_ : ndarray of shape (n_columns,)
        Names of the columns, where the estimator was fitted on data frames.
    n_outputs_ : int
        Outputs of the head.

    See Also
    --------
    load : Makes one; it is not made by hand.
    """

    def __init__(self, header: dict[str, Any], network: Network, parameters: Floats) -> None:
        super().__init__(header, network, parameters)
        self._y_is_1d: bool = header["y_is_1d"]
        self._y_mean, self._y_scale = np.array(header["y_mean"]), np.array(header["y_scale"])

    def _predictions(self, raw: Floats) -> Floats:
        with np.errstate(over="ignore"):  # a count beyond all bounds is inf
            y = self._inverse_link(raw.T).T * self._y_scale + self._y_mean
            y = y.astype(raw.dtype)
        return y[:, 0] if self._y_is_1d else y


class Classifier(_Predictor):
    """What ``load`` gives for an :class:`~sklstm.LSTMClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        As in the estimator: the columns of a 2-D X, else the features per time step.
    feature_names_in_ : ndarray of shape (n_columns,)
        Names of the columns, where the estimator was fitted on data frames.
    n_outputs_ : int
        Outputs of the head.

    See Also
    --------
    load : Makes one; it is not made by hand.
    """

    def __init__(self, header: dict[str, Any], network: Network, parameters: Floats) -> None:
        super().__init__(header, network, parameters)
        self._is_multilabel: bool = header["multilabel"]
        self.classes_ = np.array(header["classes"], dtype=header["classes_dtype"])

    def predict_proba(self, X: Any) -> Floats:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or list of array-like
            Sequences, as for ``predict``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``; for multilabel targets of
            each label.
        """
        p = self._inverse_link(self._raw_outputs(X).T).T
        if self.n_outputs_ == 1 and not self._is_multilabel:
            return np.column_stack([1 - p, p])
        return p

    def _predictions(self, raw: Floats) -> NDArray[Any]:
        if self._is_multilabel:
            return (raw > 0).astype(int)
        decided = raw.argmax(axis=1) if self.n_outputs_ > 1 else (raw[:, 0] > 0).astype(int)
        return self.classes_[decided]


def _to_numbers(values: Any, name: str) -> NDArray[Any]:
    """Make real numbers of an array-like."""
    try:
        values = np.asarray(values)
        if values.dtype == object:  # as data frames of mixed columns give
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if values.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold real numbers, but it is of dtype {values.dtype}.")
    return values


def _has_missing(values: NDArray[Any], dtype: np.dtype, name: str, first: int = 0) -> bool:
    """Tell whether any time step is missing; refuse what is not finite elsewhere.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_timesteps, n_features)
        The values, the first sample being number ``first``.
    dtype : dtype
        In which they must be finite.
    name : str
        What they are, for the message.
    """
    if values.dtype.kind != "f":
        return False
    with np.errstate(over="ignore"):
        values = values.astype(dtype, copy=False)
    finite = np.isfinite(values)
    if finite.all():
        return False
    missing = np.isnan(values).all(axis=2, keepdims=True)
    bad = ~(finite | missing)
    if bad.any():
        sample, timestep, _ = np.argwhere(bad)[0]
        place = (
            f"sample {first + sample}, timestep {timestep}" if name == "X" else f"row {timestep}"
        )
        raise ValueError(
            f"{name} must be finite in {dtype}, or NaN in every feature of a time step, which "
            f"makes it a missing one; the first value that is neither is at {place}."
        )
    return True


# The file.


def _header(estimator: Any) -> dict[str, Any]:
    """Say what a fitted estimator is, in terms of JSON."""
    import sklstm

    name = type(estimator).__name__
    if hasattr(estimator, "steps"):
        raise TypeError(
            f"save takes the estimator alone, not a {name}: save its last step, "
            "save(pipeline[-1], path), and do what the steps before it do ahead of predict."
        )
    is_classifier = isinstance(estimator, sklstm.LSTMClassifier)
    if not is_classifier and not isinstance(estimator, sklstm.LSTMRegressor):
        raise TypeError(f"save takes a fitted LSTMRegressor or LSTMClassifier, not {name}.")
    _ = estimator.coefs_  # raises what scikit-learn raises where an estimator is not fitted
    network: Network = estimator._network
    n_features_in, n_timesteps = estimator.n_features_in_, None
    if not estimator._fitted_on_sequences:
        n_timesteps = n_features_in if estimator.timesteps is None else int(estimator.timesteps)
        if n_timesteps * network.n_features != n_features_in:
            raise ValueError(
                f"timesteps={estimator.timesteps} does not fit the network, which was fitted on "
                f"{n_features_in} columns and steps of {network.n_features} features."
            )
    feature_names = getattr(estimator, "feature_names_in_", None)
    return {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "sklstm_version": sklstm.__version__,
        "estimator": "classifier" if is_classifier else "regressor",
        "dtype": estimator._parameters.dtype.name,
        "n_features": network.n_features,
        "hidden_layer_sizes": list(network.hidden_layer_sizes),
        "n_outputs": network.n_outputs,
        "bidirectional": network.bidirectional,
        "out_activation": estimator.out_activation_,
        "n_timesteps": n_timesteps,
        "feature_names": None if feature_names is None else feature_names.tolist(),
        **(_classifier_header(estimator) if is_classifier else _regressor_header(estimator)),
    }


def _regressor_header(estimator: Any) -> dict[str, Any]:
    return {
        "y_is_1d": estimator._y_is_1d,
        "y_mean": estimator._y_mean.tolist(),
        "y_scale": estimator._y_scale.tolist(),
    }


def _classifier_header(estimator: Any) -> dict[str, Any]:
    dtype = estimator.classes_.dtype
    dtype_name, labels = "str" if dtype.kind == "U" else dtype.name, estimator.classes_.tolist()
    if not all(type(label) is _LABELS.get(dtype_name) for label in labels):
        raise TypeError(
            f"Class labels must be strings, integers, floats or bools to be saved, not of {dtype}."
        )
    return {
        "classes": labels,
        "classes_dtype": dtype_name,
        "multilabel": estimator._is_multilabel,
    }


@contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file beside ``path``, which it replaces if all goes well."""
    target = Path(os.path.realpath(path))
    # Not tempfile's: theirs are for the eyes of their owner alone, and so would be the result.
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(file: IO[bytes]) -> tuple[dict[str, Any], Network, Floats]:
    """Read a file, trusting nothing in it."""
    if not zipfile.is_zipfile(file):
        raise ValueError("it is not an .npz archive, or its end is missing.")
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(
            info.compress_type != zipfile.ZIP_STORED
            or info.compress_size != info.file_size
            or info.flag_bits & 1
            for info in members
        ):
            raise ValueError("it has members that are compressed or encrypted.")
        if sum(info.file_size for info in members) > size:
            raise ValueError("its members claim to be larger than the file.")
        names = [info.filename for info in members]
        if _HEADER not in names:
            raise ValueError(f"it was not written by sklstm.runtime.save: it has no {_HEADER}.")
        if archive.getinfo(_HEADER).file_size > _MAX_HEADER_SIZE:
            raise ValueError(f"its header has more than {_MAX_HEADER_SIZE} bytes.")
        header = _parse_header(archive.read(_HEADER))
        if len(header["hidden_layer_sizes"]) > len(names):
            raise ValueError("its header describes more layers than it has members.")
        network = Network(
            header["n_features"],
            tuple(header["hidden_layer_sizes"]),
            header["n_outputs"],
            header["bidirectional"],
        )
        shapes = _shapes(network)
        found, expected = Counter(names), Counter([_HEADER, *shapes])
        if found != expected:
            strange = sorted({*(found - expected), *(expected - found)})
            raise ValueError(
                "its members are not those of the network that its header describes; missing, "
                f"twice or too many: {', '.join(map(repr, strange[:3]))}."
            )
        dtype = np.dtype(header["dtype"])
        arrays = [_read_array(archive, name, shape, dtype) for name, shape in shapes.items()]
    n_coefs = 2 * len(network.lstm_sizes) + 1
    parameters = network.pack(arrays[:n_coefs], arrays[n_coefs:])
    if not np.isfinite(parameters).all():
        raise ValueError("it has weights that are not finite.")
    parameters.flags.writeable = False
    return header, network, parameters


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Members that hold the weights, coefs_ and then intercepts_, and their shapes."""
    coefs: list[tuple[int, ...]] = []
    intercepts: list[tuple[int, ...]] = []
    for n_inputs, n_units in network.lstm_sizes:
        coefs += [(4 * n_units, n_inputs), (4 * n_units, n_units)]
        intercepts.append((4 * n_units,))
    n_outputs, n_last = network.shapes[-1]
    coefs.append((n_outputs, n_last - 1))
    intercepts.append((n_outputs,))
    return {
        f"{kind}_{number}.npy": shape
        for kind, shapes in (("coefs", coefs), ("intercepts", intercepts))
        for number, shape in enumerate(shapes)
    }


def _read_array(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> Floats:
    """Read a member that must be of the given shape and dtype."""
    stored = dtype.newbyteorder("<")
    with archive.open(name) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not in version 1.0 of NumPy's format.")
        found = npy.read_array_header_1_0(file)
        if found != (shape, False, stored):
            raise ValueError(
                f"{name} should be of shape {shape} and dtype {stored}, in C order, but it is of "
                f"shape {found[0]} and dtype {found[2]}{', in Fortran order' * found[1]}."
            )
        data = file.read()  # no longer than the file is, and zipfile checks its sum
    n_bytes = math.prod(shape) * dtype.itemsize
    if len(data) != n_bytes:
        raise ValueError(f"{name} has {len(data)} bytes of numbers instead of {n_bytes}.")
    return np.frombuffer(data, stored).reshape(shape).astype(dtype, copy=False)


# What a header holds: a test of each entry, and what it must be.

_MAX_INT = 2**31 - 1


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MAX_INT


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and all(type(item) is kind for item in value)


def _are_numbers(value: Any) -> bool:
    return _is_list_of(float)(value) and all(math.isfinite(item) for item in value)


_Rules = dict[str, tuple[Callable[[Any], bool], str]]

_RULES: _Rules = {
    "sklstm_version": (lambda value: type(value) is str, "a string"),
    "dtype": (lambda value: value in ("float32", "float64"), "float32 or float64"),
    "n_features": (_is_size, "a positive integer"),
    "hidden_layer_sizes": (
        lambda value: type(value) is list and bool(value) and all(map(_is_size, value)),
        "a list of positive integers",
    ),
    "n_outputs": (_is_size, "a positive integer"),
    "bidirectional": (_is_bool, "true or false"),
    "out_activation": (
        lambda value: value in list(INVERSE_LINKS),
        f"one of {', '.join(INVERSE_LINKS)}",
    ),
    "n_timesteps": (lambda value: value is None or _is_size(value), "a positive integer or null"),
    "feature_names": (
        lambda value: value is None or _is_list_of(str)(value),
        "a list of strings or null",
    ),
}
_RULES_OF: dict[str, _Rules] = {
    "regressor": {
        "y_is_1d": (_is_bool, "true or false"),
        "y_mean": (_are_numbers, "a list of finite floats"),
        "y_scale": (
            lambda value: _are_numbers(value) and all(item > 0 for item in value),
            "a list of positive finite floats",
        ),
    },
    "classifier": {
        "classes": (lambda value: type(value) is list, "a list"),
        "classes_dtype": (lambda value: value in list(_LABELS), f"one of {', '.join(_LABELS)}"),
        "multilabel": (_is_bool, "true or false"),
    },
}


def _parse_header(text: bytes) -> dict[str, Any]:
    """Read the header and check it."""
    header = json.loads(text)
    if type(header) is not dict or header.get("format") != _FORMAT:
        raise ValueError(
            f"it was not written by sklstm.runtime.save: no {_FORMAT!r} in its header."
        )
    version: Any = header.get("format_version")
    if not _is_size(version):
        raise ValueError(f"its format version is {version!r:.50}, which is none.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"it is of format version {version}, written by sklstm "
            f"{header.get('sklstm_version')!s:.50}, and this sklstm reads versions up to "
            f"{FORMAT_VERSION}: update sklstm."
        )
    kind = header.get("estimator")
    if kind not in list(_RULES_OF):
        raise ValueError(f"its header is of an unknown estimator, {kind!r:.50}.")
    rules = _RULES | _RULES_OF[kind]
    strange = set(header) ^ {"format", "format_version", "estimator", *rules}
    if strange:
        raise ValueError(f"entries of its header are missing or unknown: {sorted(strange)!s:.200}.")
    for name, (is_right, rule) in rules.items():
        if not is_right(header[name]):
            raise ValueError(f"{name} in its header is {header[name]!r:.50}, but must be {rule}.")
    if not _goes_together(header):
        raise ValueError("the entries of its header contradict each other.")
    return header


def _goes_together(header: dict[str, Any]) -> bool:
    """Tell whether entries of a header that are right for themselves make a predictor."""
    n_outputs, activation = header["n_outputs"], header["out_activation"]
    n_features_in = header["n_features"] * (header["n_timesteps"] or 1)
    if header["feature_names"] is not None and len(header["feature_names"]) != n_features_in:
        return False
    if header["estimator"] == "regressor":
        return (
            activation in ("identity", "exponential")
            and len(header["y_mean"]) == len(header["y_scale"]) == n_outputs
            and (n_outputs == 1 or not header["y_is_1d"])
        )
    labels, kind = header["classes"], _LABELS[header["classes_dtype"]]
    if not all(type(label) is kind for label in labels) or len(set(labels)) != len(labels):
        return False
    if np.array(labels, header["classes_dtype"]).tolist() != labels:
        return False
    if header["multilabel"]:
        return activation == "logistic" and n_outputs == len(labels)
    if n_outputs == 1:
        return activation == "logistic" and len(labels) == 2
    return activation == "softmax" and n_outputs == len(labels)
