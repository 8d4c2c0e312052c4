"""Save fitted estimators to files, and load predictors from them.

A file is an uncompressed .npz archive without pickles. It holds:

- ``header.json``: the format version, the network, the form of X, and how raw outputs become
  predictions. ``_RULES`` and ``_RULES_OF`` list its entries.
- ``coefs_0.npy``, ``coefs_1.npy``, ... and ``intercepts_0.npy``, ...: the weights, in the order of
  ``coefs_`` and ``intercepts_``, little-endian, in C order, in the dtype that the header names.
- ``skip.npy``: the weights of the linear part, if there is one.

The header determines the name, the shape and the dtype of every array. ``load`` checks all of them
before it reads an array, and never allocates more memory than the size of the file justifies.
"""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from sklstm._version import __version__
from sklstm.nn.cell import Floats
from sklstm.nn.head import POOLINGS
from sklstm.nn.losses import INVERSE_LINKS
from sklstm.nn.model import ClassOutput, InputForm, Model, NumericOutput
from sklstm.nn.network import Network
from sklstm.nn.recent import RecentSteps
from sklstm.runtime.predictor import Classifier, Regressor

__all__ = ["load", "save"]

# Increase this when an older sklstm would reject a new file or misread it. ``load`` must keep
# reading files of all versions since 1; a test loads one file of each version.
FORMAT_VERSION = 4

_FORMAT = "sklstm.runtime"
_HEADER = "header.json"
_MAX_HEADER_SIZE = 1 << 20

# Bytes that class labels may take as an array, in which each has the space of the longest: a short
# header could ask for gigabytes.
_MAX_LABELS_SIZE = 1 << 26

# Temporary files begin with this. A writer that is killed leaves its own behind; the next save in
# that folder removes those that were last written to so many seconds ago.
_TEMPORARY = ".sklstm-"
_SECONDS_ABANDONED = 3600

# Characters of an error message that may come from the content of a file.
_MAX_REASON_SIZE = 300

# dtypes that class labels may have, and the Python type of their values in JSON.
_LABELS: dict[str, type] = {
    "bool": bool,
    **{f"{sign}int{size}": int for sign in ("", "u") for size in (8, 16, 32, 64)},
    **{f"float{size}": float for size in (16, 32, 64)},
    "str": str,
    "object": str,
}


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator for prediction with NumPy alone.

    The file replaces ``path`` atomically: other processes see either the old file or the complete
    new one, also if this process is killed. The permissions of a file that is replaced are kept.
    Saving the same estimator twice writes identical bytes.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        A fitted estimator. Only what prediction needs is saved. To continue training after
        loading, save with joblib or pickle instead.
    path : str or path-like
        The file, usually named ``*.npz``. No extension is added.

    Raises
    ------
    TypeError
        If ``estimator`` is not an LSTMRegressor or LSTMClassifier, or if its class labels are
        neither numbers nor strings.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the class labels and feature names are longer than a file header may be, or if ``path``
        exists and is not a regular file.

    See Also
    --------
    load : Load a saved predictor.

    Notes
    -----
    A process that is killed while it saves leaves a temporary file ``.sklstm-*.tmp`` in the folder
    of ``path``. ``save`` removes such files in that folder once they are an hour old.

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
    model = _model_of(estimator)
    header = json.dumps(_header(model), indent=1).encode()
    if len(header) > _MAX_HEADER_SIZE:
        raise ValueError(
            f"The class labels and feature names take {len(header)} bytes, more than the "
            f"{_MAX_HEADER_SIZE} bytes that a file header may have."
        )
    _parse_header(header)  # raise an error now rather than in load
    coefs, intercepts = model.weights()
    arrays = [*coefs, *intercepts]
    if model.recent is not None:
        arrays.append(model.network.skip_weights(model.parameters))
    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # This ZipInfo has a fixed date, so that the same model always gives the same bytes.
        archive.writestr(zipfile.ZipInfo(_HEADER), header)
        for name, array in zip(_shapes(model.network), arrays, strict=True):
            member = BytesIO()
            array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            npy.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name), member.getbuffer())


def load(path: str | os.PathLike[str]) -> Regressor | Classifier:
    """Load a predictor from a file that ``save`` has written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Regressor or Classifier
        A predictor with the predictions of the estimator. It is thread-safe.

    Raises
    ------
    ValueError
        If the file is damaged, is not a regular file, was not written by ``save``, or was written
        by a newer version of sklstm whose format this version cannot read.
    OSError
        If the file cannot be opened.

    See Also
    --------
    save : Save an estimator; with an example.

    Notes
    -----
    No code in a file is executed, and the memory that loading takes is bounded by the file size,
    and for class labels by 64 MB.
    """
    _check_is_regular(path, os.stat(path))  # before it is opened, which may affect a device
    with open(path, "rb", opener=_open_at_once) as file:
        _check_is_regular(path, os.fstat(file.fileno()))  # it may have been replaced meanwhile
        try:
            model = _read(file)
            kind = Classifier if isinstance(model.output, ClassOutput) else Regressor
            return kind(model)
        except Exception as error:  # the parsers may raise any exception on a malicious file
            reason = " ".join(str(error).split()) or type(error).__name__
            if len(reason) > _MAX_REASON_SIZE:
                reason = f"{reason[:_MAX_REASON_SIZE]}..."
            raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {reason}") from error


def _check_is_regular(path: str | os.PathLike[str], status: os.stat_result) -> None:
    """Raise an error for a pipe, which may never end, or for a device such as /dev/zero."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: it is not a regular file.")


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; do not wait for a writer if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _model_of(estimator: Any) -> Model:
    """Return the model of a fitted LSTM estimator."""
    if hasattr(estimator, "steps"):
        raise TypeError(
            f"save takes the estimator alone, not a {type(estimator).__name__}. Save its last step "
            "with save(pipeline[-1], path), and apply the steps before it yourself before predict."
        )
    if isinstance(estimator, type) or not hasattr(estimator, "__sklstm_model__"):
        raise TypeError(
            f"save takes a fitted LSTMRegressor or LSTMClassifier, not {type(estimator).__name__}."
        )
    return estimator.__sklstm_model__()


def _header(model: Model) -> dict[str, Any]:
    """Return the header of a model, a dict of JSON values."""
    network, form, output = model.network, model.input, model.output
    names = form.feature_names
    is_classifier = isinstance(output, ClassOutput)
    return {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "sklstm_version": __version__,
        "estimator": "classifier" if is_classifier else "regressor",
        "dtype": model.dtype.name,
        "n_features": network.n_features,
        "hidden_layer_sizes": list(network.hidden_layer_sizes),
        "n_outputs": network.n_outputs,
        "bidirectional": network.bidirectional,
        "pooling": list(network.pooling),
        "return_sequences": model.return_sequences,
        "linear_steps": 0 if model.recent is None else model.recent.n_steps,
        "linear_mean": [] if model.recent is None else model.recent.mean.tolist(),
        "linear_scale": [] if model.recent is None else model.recent.scale.tolist(),
        "out_activation": output.activation,
        "n_timesteps": form.n_timesteps,
        "feature_names": None if names is None else names.tolist(),
        **(_class_header(output) if is_classifier else _numeric_header(output)),
    }


def _numeric_header(output: NumericOutput) -> dict[str, Any]:
    return {
        "y_is_1d": output.is_1d,
        "y_mean": output.mean.tolist(),
        "y_scale": output.scale.tolist(),
    }


def _class_header(output: ClassOutput) -> dict[str, Any]:
    dtype, labels = output.classes.dtype, output.classes.tolist()
    dtype_name = "str" if dtype.kind == "U" else dtype.name
    if not all(type(label) is _LABELS.get(dtype_name) for label in labels):
        raise TypeError(
            f"Class labels must be strings, integers, floats or bools to be saved, not of {dtype}."
        )
    return {
        "classes": labels,
        "classes_dtype": dtype_name,
        "multilabel": output.is_multilabel,
    }


def _model(header: dict[str, Any], network: Network, parameters: Floats) -> Model:
    """Build the model that a checked header describes."""
    names = header["feature_names"]
    form = InputForm(
        network.n_features,
        header["n_timesteps"],
        None if names is None else np.array(names, dtype=object),
    )
    output: NumericOutput | ClassOutput
    if header["estimator"] == "regressor":
        output = NumericOutput(
            header["out_activation"],
            np.array(header["y_mean"]),
            np.array(header["y_scale"]),
            header["y_is_1d"],
        )
    else:
        classes = np.array(header["classes"], dtype=header["classes_dtype"])
        output = ClassOutput(header["out_activation"], classes, header["multilabel"])
    recent = None
    if header["linear_steps"]:
        mean, scale = np.array(header["linear_mean"]), np.array(header["linear_scale"])
        recent = RecentSteps(header["linear_steps"], mean, scale)
    return Model(network, parameters, form, output, recent, header["return_sequences"])


@contextmanager
def _replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` if no error occurs."""
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    # Not with tempfile: only the owner could read its files, and so the result. The name does not
    # contain that of the target, which may be as long as the system allows.
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}.tmp")
    created_as = 0o666 if mode is None else mode  # less the umask, never more than the target
    try:
        with open(
            temporary, "xb", opener=lambda name, flags: os.open(name, flags, created_as)
        ) as file:
            if mode is not None:
                # By number where possible: in a folder that others can write to, the name may by
                # now be a link to another file.
                os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, mode)
            _remove_abandoned(target.parent, now=os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode_of(target: Path) -> int | None:
    """Return the permissions of a file to replace, None if there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):  # such as /dev/null, which would become a file
        raise ValueError(f"{os.fspath(target)!r} exists and is not a regular file.")
    return stat.S_IMODE(mode)


def _remove_abandoned(folder: Path, *, now: float) -> None:
    """Remove the temporary files that killed writers have left in a folder.

    ``now`` is the time by the clock of the file system, which may not be that of this machine.
    """
    # Where files can be made but not listed, they stay.
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY) and entry.name.endswith(".tmp"):
                # It may be gone, or that of another user, who will remove it.
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < now - _SECONDS_ABANDONED:
                        os.unlink(entry)


def _read(file: IO[bytes]) -> Model:
    """Read a file and check everything in it."""
    if not zipfile.is_zipfile(file):
        raise ValueError("it is not an .npz archive, or it is truncated.")
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
            tuple(header["pooling"]),
            header["linear_steps"] * header["n_features"],
        )
        shapes = _shapes(network)
        found, expected = Counter(names), Counter([_HEADER, *shapes])
        if found != expected:
            strange = sorted({*(found - expected), *(expected - found)})
            raise ValueError(
                "its members do not match the network in its header; missing, "
                f"twice or too many: {', '.join(f'{name!r:.50}' for name in strange[:3])}."
            )
        dtype = np.dtype(header["dtype"])
        arrays = [_read_array(archive, name, shape, dtype) for name, shape in shapes.items()]
    n_coefs, n_intercepts = 2 * len(network.lstm_sizes) + 1, len(network.lstm_sizes) + 1
    skip = arrays.pop() if network.n_recent else None
    assert len(arrays) == n_coefs + n_intercepts
    parameters = network.pack(arrays[:n_coefs], arrays[n_coefs:], skip)
    if not np.isfinite(parameters).all():
        raise ValueError("it has weights that are not finite.")
    parameters.flags.writeable = False
    return _model(header, network, parameters)


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the members that hold the weights, coefs_ first, and their shapes."""
    coefs: list[tuple[int, ...]] = []
    intercepts: list[tuple[int, ...]] = []
    for n_inputs, n_units in network.lstm_sizes:
        coefs += [(4 * n_units, n_inputs), (4 * n_units, n_units)]
        intercepts.append((4 * n_units,))
    n_outputs, n_last = network.shapes[-1]
    coefs.append((n_outputs, n_last - 1))
    intercepts.append((n_outputs,))
    members = {
        f"{kind}_{number}.npy": shape
        for kind, shapes in (("coefs", coefs), ("intercepts", intercepts))
        for number, shape in enumerate(shapes)
    }
    if network.n_recent:
        members["skip.npy"] = (network.n_outputs, network.n_recent)
    return members


def _read_array(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> Floats:
    """Read a member that must be of the given shape and dtype."""
    stored = dtype.newbyteorder("<")
    with archive.open(name) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not in version 1.0 of NumPy's format.")
        found_shape, is_fortran, found_dtype = npy.read_array_header_1_0(file)
        if (found_shape, is_fortran, found_dtype) != (shape, False, stored):
            raise ValueError(
                f"{name} should be of shape {shape} and dtype {stored}, in C order, but it is of "
                f"shape {found_shape!s:.50} and dtype {found_dtype!s:.50}"
                f"{', in Fortran order' * is_fortran}."
            )
        n_bytes = math.prod(shape) * dtype.itemsize
        n_found = archive.getinfo(name).file_size - file.tell()
        if n_found != n_bytes:
            raise ValueError(f"{name} has {n_found} bytes of numbers instead of {n_bytes}.")
        data = file.read()  # zipfile verifies the size and the checksum
    return np.frombuffer(data, stored).reshape(shape).astype(dtype, copy=False)


# The entries of a header: for each a check, and its description for the error message.

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
    "pooling": (
        lambda value: (
            _is_list_of(str)(value)
            and bool(value)
            and len(set(value)) == len(value)
            and set(value) <= set(POOLINGS)
        ),
        f"a list of some of {', '.join(POOLINGS)}",
    ),
    "return_sequences": (_is_bool, "true or false"),
    "linear_steps": (
        lambda value: type(value) is int and 0 <= value <= _MAX_INT,
        "a non-negative integer",
    ),
    "linear_mean": (_are_numbers, "a list of finite floats"),
    "linear_scale": (
        lambda value: _are_numbers(value) and all(item > 0 for item in value),
        "a list of positive finite floats",
    ),
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


# The entries that a version of the format has added, and what files of before stand for.
_ADDED_IN: dict[int, dict[str, Any]] = {
    2: {"pooling": ["last"], "linear_steps": 0, "linear_mean": [], "linear_scale": []},
    4: {"return_sequences": False},
}


def _parse_header(text: bytes) -> dict[str, Any]:
    """Read the header and check it."""
    header = json.loads(text)
    if type(header) is not dict or header.get("format") != _FORMAT:
        raise ValueError(
            f"it was not written by sklstm.runtime.save: no {_FORMAT!r} in its header."
        )
    _bring_up_to_date(header)
    kind = header.get("estimator")
    if kind not in list(_RULES_OF):
        raise ValueError(f"its header names an unknown estimator, {kind!r:.50}.")
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


def _bring_up_to_date(header: dict[str, Any]) -> None:
    """Check the version of a header, and add the entries that later versions have."""
    version: Any = header.get("format_version")
    if not _is_size(version):
        raise ValueError(f"its format version is {version!r:.50}, which is not valid.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"it is of format version {version}, written by sklstm "
            f"{header.get('sklstm_version')!r:.50}, but this sklstm reads versions up to "
            f"{FORMAT_VERSION}: update sklstm."
        )
    for added_in, entries in _ADDED_IN.items():
        if version < added_in:
            header |= entries


def _goes_together(header: dict[str, Any]) -> bool:
    """Return whether the entries of a header, each valid, are consistent with each other."""
    n_outputs, activation = header["n_outputs"], header["out_activation"]
    n_features_in = header["n_features"] * (header["n_timesteps"] or 1)
    if header["feature_names"] is not None and len(header["feature_names"]) != n_features_in:
        return False
    if header["return_sequences"] and header["pooling"] != ["last"]:
        return False
    n_means = header["n_features"] if header["linear_steps"] else 0
    if not len(header["linear_mean"]) == len(header["linear_scale"]) == n_means:
        return False
    if header["estimator"] == "regressor":
        scales = header["y_mean"], header["y_scale"]
        if activation == "ordered" and any(len(set(values)) > 1 for values in scales):
            return False  # the quantiles of a target share a scale, which keeps them in order
        return (
            activation in ("identity", "exponential", "ordered")
            and len(header["y_mean"]) == len(header["y_scale"]) == n_outputs
            and (n_outputs == 1 or not header["y_is_1d"])
        )
    labels = header["classes"]
    if not _are_labels(labels, header["classes_dtype"]):
        return False
    if header["multilabel"]:
        return activation == "logistic" and n_outputs == len(labels)
    if n_outputs == 1:
        return activation == "logistic" and len(labels) == 2
    return activation == "softmax" and n_outputs == len(labels)


def _are_labels(labels: list[Any], dtype: str) -> bool:
    """Return whether labels are different and of a dtype; raise if they take too much memory."""
    kind = _LABELS[dtype]
    if not all(type(label) is kind for label in labels) or len(set(labels)) != len(labels):
        return False
    longest = max(map(len, labels), default=0) if dtype == "str" else 0
    size = 4 * longest * len(labels)
    if size > _MAX_LABELS_SIZE:
        raise ValueError(
            f"{len(labels)} class labels, the longest of {longest} characters, take {size} bytes "
            f"as an array, more than the {_MAX_LABELS_SIZE} bytes that class labels may take."
        )
    return bool(np.array(labels, dtype).tolist() == labels)
