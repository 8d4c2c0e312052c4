"""TimestepTransformer, which applies a transformer for tables to the time steps of sequences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import TransformerMixin, clone
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _get_feature_names, _num_features, check_is_fitted

from sklstm.frames import (
    check_not_masked,
    check_same_columns,
    count_dims,
    is_missing,
    stack_frames,
)
from sklstm.nn.windows import Windows
from sklstm.output import SetOutputMixin
from sklstm.pickling import VersionedEstimator, available_if

__all__ = ["TimestepTransformer"]


def _inner_has(name: str) -> Callable[[TimestepTransformer], bool]:
    """Return a check that the inner transformer has a method."""
    return lambda self: hasattr(getattr(self, "transformer_", self.transformer), name)


class TimestepTransformer(
    SetOutputMixin,
    TransformerMixin,
    VersionedEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]
):
    """Apply a transformer for tables to each time step of sequences.

    The transformers of scikit-learn take tables: a row for each sample, a column for each feature.
    This one puts the time steps of all sequences below each other, as the rows of one table, gives
    them to such a transformer, and puts what it returns back where the steps were. A scaler then
    learns one mean and one scale of each feature, over all steps of all sequences.

    A missing time step, in which all features are NaN, stays missing. The inner transformer learns
    neither from missing steps nor from the padding of windows.

    Parameters
    ----------
    transformer : transformer
        Any transformer for tables with ``fit`` and ``transform`` that treats each row by itself,
        such as a :class:`~sklearn.preprocessing.StandardScaler`, a
        :class:`~sklearn.preprocessing.QuantileTransformer`, a :class:`~sklearn.decomposition.PCA`,
        a :class:`~sklearn.compose.ColumnTransformer` or a pipeline of them. It is not changed; a
        clone is fitted.

    Attributes
    ----------
    transformer_ : transformer
        The fitted inner transformer.
    n_features_in_ : int
        Number of features of a time step, or number of columns of a table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Defined only if X was a data frame or a list of data frames, with
        names that are all strings.

    See Also
    --------
    SlidingWindow : Makes windows of a series. Before it, the rows of the series are a table, which
        any transformer takes.

    Notes
    -----
    - Steps with NaN in only some of the features are given to the inner transformer, so that
      :class:`~sklearn.impute.SimpleImputer` fills them.
    - In windows, as :class:`SlidingWindow` makes them, each row of the series counts once, however
      many windows hold it, and only if one of them does. Padding, with ``padding="edge"`` or
      ``"zero"``, and the rows that ``carry_context`` puts before X are transformed but not learned
      from. In an array of three dimensions, every step of every sample counts.
    - A target belongs to a sequence and not to a time step. The inner transformer therefore does
      not get it, and one that needs it is refused.
    - Sparse output, such as that of :class:`~sklearn.preprocessing.OneHotEncoder`, becomes dense.
      Integers become float64 where NaN is needed.
    - A table, which is X with two dimensions, and its target are passed on as they are, so that
      tables and sequences can be transformed alike.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sklstm import TimestepTransformer
    >>> X = [np.array([[0.0], [10.0]]), np.array([[np.nan], [5.0], [2.0]])]
    >>> scaler = TimestepTransformer(MinMaxScaler())
    >>> [sequence.ravel().tolist() for sequence in scaler.fit_transform(X)]
    [[0.0, 1.0], [nan, 0.5, 0.2]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "transformer": [HasMethods(["fit", "transform"])]
    }

    _no_steps: NDArray[Any] | None

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a clone of the transformer on the time steps.

        Parameters
        ----------
        X : array-like or list of array-like
            An array of shape (n_samples, n_timesteps, n_features); windows; a list of arrays or
            data frames of shape (n_timesteps_i, n_features); or a table of shape (n_rows,
            n_columns).
        y : array-like, default=None
            The target. It is only used with a table.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._learn("fit", X, y)
        return self

    @available_if(_inner_has("partial_fit"))
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Continue to fit the transformer. Only available if it has ``partial_fit``.

        Parameters
        ----------
        X : array-like or list of array-like
            More sequences, or another table, as in ``fit``.
        y : array-like, default=None
            The target. It is only used with a table.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        self._learn("partial_fit", X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the same sequences.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences or the table, as in ``fit``.
        y : array-like, default=None
            The target. It is only used with a table.

        Returns
        -------
        ndarray, Windows or list of ndarray
            As ``transform`` returns them.
        """
        if hasattr(self.transformer, "fit_transform") and _is_table(X):
            return self._learn("fit_transform", X, y)
        return self.fit(X, y).transform(X)

    def transform(self, X: Any) -> Any:
        """Transform each time step.

        Parameters
        ----------
        X : array-like or list of array-like
            The sequences or the table, as in ``fit``, in any of these forms.

        Returns
        -------
        ndarray, Windows or list of ndarray
            In the form of X: an array of shape (n_samples, n_timesteps, n_outputs), windows of
            that shape over a buffer of their own, or a list of arrays of shape (n_timesteps_i,
            n_outputs). For a table, what the inner transformer returns.
        """
        check_is_fitted(self)
        return self._apply("transform", X, *self._expected(), self._no_steps)

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo the transformation. Only available if the transformer has ``inverse_transform``.

        Parameters
        ----------
        X : array-like or list of array-like
            Transformed sequences or a transformed table.

        Returns
        -------
        ndarray, Windows or list of ndarray
            In the form of X, as ``transform`` returns them.
        """
        check_is_fitted(self)
        n_outputs = None if self._no_steps is None else self._no_steps.shape[1]
        no_steps = np.empty((0, self.n_features_in_))
        return self._apply("inverse_transform", X, n_outputs, None, no_steps)

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Return the names of the output features of a time step, or of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input features. If None, those that ``fit`` has seen.

        Returns
        -------
        ndarray of shape (n_outputs,)
            The names, as the inner transformer gives them.
        """
        check_is_fitted(self)
        return self.transformer_.get_feature_names_out(input_features)

    def _learn(self, method: str, X: Any, y: Any) -> Any:
        """Call a method that fits, on a copy of the inner transformer; keep it if that succeeds."""
        self._validate_params()
        check_not_masked(X, "X")
        goes_on = method == "partial_fit" and hasattr(self, "transformer_")
        inner = copy.deepcopy(self.transformer_) if goes_on else clone(self.transformer)
        no_steps = self._no_steps if goes_on else None
        if _is_table(X):
            table = X
            with self._output_of_tables():
                output = getattr(inner, method)(X, y)
        else:
            self._check_needs_no_target()
            table = _read(X, *(self._expected() if goes_on else (None, None))).to_learn()
            if len(table) == 0:
                raise ValueError(
                    "X has no time step to learn from: there are none, or all of them are missing, "
                    "padding or carried over."
                )
            with config_context(transform_output="default"):
                output = getattr(inner, method)(table)
                row = inner.transform(_safe_indexing(table, [0]))
            no_steps = _as_rows(row, 1, inner)[:0]
        fitted = {"transformer_": inner, "_no_steps": no_steps}
        if not goes_on:
            fitted["n_features_in_"] = _num_features(table)
            if (names := _get_feature_names(table)) is not None:
                fitted["feature_names_in_"] = names
            self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(fitted)
        return output

    def _expected(self) -> tuple[int, NDArray[np.object_] | None]:
        """Return the number of features, and their names, that X must have."""
        return self.n_features_in_, getattr(self, "feature_names_in_", None)

    def _check_needs_no_target(self) -> None:
        """Raise an error if the inner transformer needs a target."""
        if get_tags(self.transformer).target_tags.required:
            raise ValueError(
                f"{self.transformer!r} needs a target for each row, but y belongs to sequences and "
                "not to their time steps. Fit it on a table."
            )

    def _output_of_tables(self) -> AbstractContextManager[None]:
        """Return a context in which a table is returned in the container of ``set_output``."""
        chosen = getattr(self, "_sklearn_output_config", {}).get("transform")
        return config_context(transform_output=chosen)

    def _apply(
        self,
        method: str,
        X: Any,
        n_features: int | None,
        names: NDArray[np.object_] | None,
        no_steps: NDArray[Any] | None,
    ) -> Any:
        """Call a method of the inner transformer on the steps of X, and put the results back."""
        check_not_masked(X, "X")
        inner = self.transformer_
        if _is_table(X):
            with self._output_of_tables():
                return getattr(inner, method)(X)
        steps = _read(X, n_features, names)
        if n_steps := int(steps.is_step.sum()):
            with config_context(transform_output="default"):
                rows = _as_rows(getattr(inner, method)(steps.table()), n_steps, inner)
        elif no_steps is None:
            raise ValueError(
                "X has no time step that is not missing, and how many features the output has is "
                "only known after fit on sequences, but this transformer was fitted on a table."
            )
        else:
            rows = no_steps
        return steps.put_back(rows)

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.transformer)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        tags.transformer_tags = inner.transformer_tags
        tags.non_deterministic, tags.no_validation = inner.non_deterministic, inner.no_validation
        tags.input_tags.three_d_array = True
        return tags


class _Steps(NamedTuple):
    """The time steps of sequences.

    Parameters
    ----------
    rows : ndarray of shape (..., n_features) or data frame
        All steps, with those that are missing.
    is_step : ndarray of bool of shape (...,)
        Which of the rows are steps that are not missing.
    is_own : ndarray of bool of shape (...,)
        Which of the rows are not padding and not carried over from earlier ones.
    restore : callable
        Makes the form of X of rows of shape (..., n_outputs).
    """

    rows: Any
    is_step: NDArray[np.bool_]
    is_own: NDArray[np.bool_] | None
    restore: Callable[[NDArray[Any]], Any]

    def table(self) -> Any:
        """Return the steps as a table of their own, which the inner transformer may change."""
        return _take(self.rows, self.is_step)

    def to_learn(self) -> Any:
        """Return the steps that are to be learned from, as a table."""
        is_own = self.is_step if self.is_own is None else self.is_step & self.is_own
        return _take(self.rows, is_own)

    def put_back(self, outputs: NDArray[Any]) -> Any:
        """Return the outputs, of shape (n_steps, n_outputs), in the form of X."""
        shape = (*self.is_step.shape, outputs.shape[1])
        if self.is_step.all():
            return self.restore(outputs.reshape(shape))
        dtype = outputs.dtype
        if dtype.kind not in "fcO":
            dtype = np.dtype(np.float64 if dtype.kind in "bui" else object)
        rows = np.full(shape, np.nan, dtype)
        rows[self.is_step] = outputs
        return self.restore(rows)


def _take(rows: Any, is_taken: NDArray[np.bool_]) -> Any:
    """Return a copy of some of the rows as a table."""
    if isinstance(rows, np.ndarray):
        return rows[is_taken]
    return _safe_indexing(rows, np.flatnonzero(is_taken))


def _as_rows(outputs: Any, n_rows: int, inner: Any) -> NDArray[Any]:
    """Return what an inner transformer made of a table as an array with as many rows."""
    array = outputs.toarray() if hasattr(outputs, "toarray") else np.asarray(outputs)
    if array.ndim != 2 or len(array) != n_rows:
        raise ValueError(
            f"{inner!r} made an output of shape {array.shape} of a table of {n_rows} time steps, "
            "but there must be a row for each of them: (n_steps, n_outputs)."
        )
    return np.ascontiguousarray(array)


def _is_table(X: Any) -> bool:
    """Return whether X is a table, and not sequences."""
    n_dims = count_dims(X)
    return n_dims is not None and n_dims < 3 and not _is_array_of_objects(X)


def _is_array_of_objects(X: Any) -> bool:
    """Return whether X is an array, or a Series of pandas, whose elements are sequences."""
    return getattr(X, "ndim", None) == 1 and X.dtype.kind == "O"


def _read(X: Any, n_features: int | None, names: NDArray[np.object_] | None) -> _Steps:
    """Read sequences in one of their forms.

    Parameters
    ----------
    X : array-like, Windows or list of array-like
        The sequences.
    n_features : int or None
        The number of features that they must have; None for any.
    names : ndarray of str or None
        The names of columns that data frames in a list must have; None for any.
    """
    if isinstance(X, Windows):
        _check_n_features(X.shape, n_features)
        is_step = X.used_rows() & ~is_missing(X.buffer)
        is_own = None if X.is_before is None else ~X.is_before
        return _Steps(X.buffer, is_step, is_own, X.with_buffer)
    if isinstance(X, list | tuple) or _is_array_of_objects(X):
        return _read_list(list(X), n_features, names)
    values = np.asarray(X)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"Found X of shape {values.shape}, but sequences must be of shape (n_samples, "
            "n_timesteps, n_features), each at least 1."
        )
    _check_n_features(values.shape, n_features)
    return _Steps(values, ~is_missing(values), None, lambda rows: rows)


def _check_n_features(shape: tuple[int, ...], expected: int | None) -> None:
    """Compare the features of a 3-D X with those of fit."""
    if expected is not None and shape[2] != expected:
        raise ValueError(
            f"X has {shape[2]} features, but TimestepTransformer is expecting {expected} features "
            f"as input. X is of shape {shape}, read as (n_samples, n_timesteps, n_features)."
        )


def _read_list(
    X: Sequence[Any], n_features: int | None, names: NDArray[np.object_] | None
) -> _Steps:
    """Read a list of arrays or data frames of shape (n_timesteps_i, n_features)."""
    kinds = [_kind(sequence) for sequence in X]
    for number, sequence in enumerate(X):
        check_not_masked(sequence, f"X[{number}]")
        if kinds[number] != kinds[0]:
            raise ValueError(
                f"X[0] is {kinds[0]}, but X[{number}] is {kinds[number]}: give all sequences in "
                "one container."
            )
        if (n_dims := count_dims(sequence)) != 2:
            raise ValueError(
                f"X[{number}] has {'no fixed number of' if n_dims is None else n_dims} "
                "dimension(s), but each sequence in a list must be of shape (n_timesteps_i, "
                "n_features); for one feature that is sequence[:, np.newaxis]."
            )
    shapes = [np.shape(sequence) for sequence in X]
    for number, shape in enumerate(shapes):
        if shape[1] == 0 or shape[1] != (n_features or shapes[0][1]):
            expected = (
                f"X[0] is of shape {shapes[0]}"
                if n_features is None
                else f"{n_features} features are expected"
            )
            raise ValueError(
                f"X[{number}] is of shape {shape}, but all sequences must be of shape "
                f"(n_timesteps_i, n_features) with the same n_features, at least 1; {expected}."
            )
    ends = np.cumsum([shape[0] for shape in shapes])
    if hasattr(X[0], "columns"):
        check_same_columns(X, names)
        rows = stack_frames(X)
    else:
        rows = np.concatenate([np.asarray(sequence) for sequence in X])
    return _Steps(rows, ~is_missing(rows), None, lambda rows: np.split(rows, ends[:-1]))


def _kind(sequence: Any) -> str:
    """Return what a sequence is held in."""
    if not hasattr(sequence, "columns"):
        return "an array"
    return f"a data frame of {type(sequence).__module__.partition('.')[0]}"
