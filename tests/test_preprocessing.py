"""The inner transformer sees the stacked real steps, and what it returns is put back in place."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from support.data import Unchanged, make_sequences, make_target, outputs, quick

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, TimestepTransformer
from sklstm.nn import Windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RAGGED = make_sequences("ragged")
MISSING = make_sequences("missing")
INNER = [
    StandardScaler(),
    MinMaxScaler((1, 2)),
    QuantileTransformer(n_quantiles=3),
    make_column_transformer((MinMaxScaler(), [0])),
    FunctionTransformer(np.exp),
    OneHotEncoder(handle_unknown="ignore"),
    make_pipeline(StandardScaler(), PolynomialFeatures()),
]


def stack(sequences):
    """Put the steps that are not missing below each other."""
    return np.array([step for x in sequences for step in x if not all(np.isnan(step))])


def transform_by_hand(inner, sequences):
    """Apply a fitted transformer to all steps at once; give them back, sequence by sequence."""
    table = inner.transform(stack(sequences))
    rows = iter(table.toarray() if hasattr(table, "toarray") else table)
    n_outputs = table.shape[1]
    nothing = np.full(n_outputs, np.nan)
    return [
        np.reshape([nothing if all(np.isnan(step)) else next(rows) for step in x], (-1, n_outputs))
        for x in sequences
    ]


def as_frames(library, sequences):
    names = [f"f{k}" for k in range(sequences[0].shape[1])]
    return [library.DataFrame(dict(zip(names, x.T, strict=True))) for x in sequences]


FORMS = {
    "list": list,
    "tuple": tuple,
    "pandas": lambda sequences: as_frames(pd, sequences),
    "polars": lambda sequences: as_frames(pl, sequences),
    "objects": lambda sequences: np.fromiter(sequences, object, len(sequences)),
    "series": lambda sequences: pd.Series(sequences),
    "array": np.array,
    "transposed": lambda sequences: np.asfortranarray(np.array(sequences)),
}


def assert_same_sequences(result, expected):
    assert len(result) == len(expected)
    for ours, theirs in zip(result, expected, strict=True):
        # The order of sums depends on the memory layout.
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@st.composite
def some_sequences(draw, form, n_features):
    is_equal = form in ("array", "transposed")
    length = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    rng = np.random.RandomState(draw(st.integers(0, 9)))
    sequences = [rng.normal(size=(length if is_equal else n, n_features)).round(1) for n in lengths]
    for x in sequences:
        x[rng.uniform(size=len(x)) < 0.3] = np.nan
    full = rng.normal(size=(3, length if is_equal else 3, n_features))
    return [*sequences, *full]


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data(), inner=st.sampled_from(INNER))
@settings(max_examples=30)
def test_the_inner_transformer_is_applied_to_the_stacked_steps(form, data, inner):
    n_features = data.draw(st.integers(1, 3))
    fitted, new = (data.draw(some_sequences(form, n_features)) for _ in range(2))
    expected = clone(inner).fit(stack(fitted))
    ours = TimestepTransformer(inner)
    result = ours.fit_transform(FORMS[form](fitted))
    assert_same_sequences(result, transform_by_hand(expected, fitted))
    assert isinstance(result, np.ndarray if form in ("array", "transposed") else list)
    assert_same_sequences(ours.transform(FORMS[form](new)), transform_by_hand(expected, new))
    assert ours.n_features_in_ == n_features


@st.composite
def some_windows(draw):
    window_size, rate = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    n_rows = (window_size - 1) * rate + draw(st.integers(1, 12))
    largest = n_rows - (window_size - 1) * rate - 1
    starts = draw(st.lists(st.integers(0, largest), min_size=1, max_size=8))
    rng = np.random.RandomState(draw(st.integers(0, 9)))
    buffer = rng.normal(size=(n_rows, 2))
    buffer[rng.uniform(size=n_rows) < 0.2] = np.nan
    is_before = draw(st.sampled_from([None, rng.uniform(size=n_rows) < 0.3]))
    return Windows(buffer, np.array(starts), window_size, rate, is_before)


@pytest.mark.filterwarnings("ignore:n_quantiles")
@given(windows=some_windows(), inner=st.sampled_from(INNER[:3]))
def test_of_windows_each_row_counts_once(windows, inner):
    used = {
        start + k * windows.sampling_rate
        for start in windows.starts
        for k in range(windows.window_size)
    }
    real = [row for row in sorted(used) if not np.isnan(windows.buffer[row]).all()]
    learned = [row for row in real if windows.is_before is None or not windows.is_before[row]]
    ours = TimestepTransformer(inner)
    if not learned:
        with pytest.raises(ValueError, match="no time step to learn from"):
            ours.fit(windows)
        return
    expected = clone(inner).fit(windows.buffer[learned])
    result = ours.fit_transform(windows)
    assert type(result) is Windows
    assert result.starts is windows.starts
    assert result.is_before is windows.is_before
    assert_same_sequences(np.asarray(result), transform_by_hand(expected, np.asarray(windows)))


SERIES = np.random.RandomState(1).normal(size=(30, 2)) + 5


@pytest.mark.parametrize("padding", ["nan", "edge", "zero"])
@pytest.mark.parametrize("lag", [0, 3])
def test_padding_is_not_learned_from(padding, lag):
    windows = SlidingWindow(4, lag=lag, sampling_rate=2, padding=padding).fit_transform(SERIES)
    ours = TimestepTransformer(StandardScaler()).fit(windows)
    expected = StandardScaler().fit(SERIES[: 30 - lag])
    assert ours.transformer_.n_samples_seen_ == 30 - lag
    np.testing.assert_array_equal(ours.transformer_.mean_, expected.mean_)
    edge = {"nan": [np.nan, np.nan], "edge": SERIES[0], "zero": [0.0, 0.0]}[padding]
    np.testing.assert_array_equal(ours.transform(windows)[0, 0], expected.transform([edge])[0])


def test_carried_rows_are_transformed_and_not_learned_from():
    window = SlidingWindow(4, lag=1, carry_context=True).fit(SERIES[:20])
    windows = window.transform(SERIES[20:])
    ours = TimestepTransformer(StandardScaler()).fit(windows)
    np.testing.assert_array_equal(ours.transformer_.mean_, SERIES[20:29].mean(axis=0))
    expected = StandardScaler().fit(SERIES[20:29]).transform(SERIES[16:20])
    np.testing.assert_array_equal(ours.transform(windows)[0], expected)


def test_only_the_rows_of_selected_windows_are_learned_from():
    windows = SlidingWindow(3).fit_transform(SERIES)[10:20]
    ours = TimestepTransformer(MinMaxScaler()).fit(windows)
    np.testing.assert_array_equal(ours.transformer_.data_max_, SERIES[8:20].max(axis=0))
    np.testing.assert_array_equal(ours.transformer_.data_min_, SERIES[8:20].min(axis=0))


def test_steps_with_a_column_before_the_series_are_not_learned_from():
    window = SlidingWindow(3, lag=4, column_lags={1: 0}, padding="edge")
    ours = TimestepTransformer(StandardScaler()).fit(window.fit_transform(SERIES))
    np.testing.assert_allclose(
        ours.transformer_.mean_, [SERIES[:26, 0].mean(), SERIES[4:, 1].mean()], rtol=1e-14
    )


def test_windows_of_windows_that_were_transformed_keep_their_padding():
    windows = SlidingWindow(4, padding="zero").fit_transform(SERIES)
    once = TimestepTransformer(FunctionTransformer(np.log1p)).fit_transform(windows)
    ours = TimestepTransformer(StandardScaler()).fit(once)
    np.testing.assert_array_equal(ours.transformer_.mean_, np.log1p(SERIES).mean(axis=0))


def test_no_window_is_copied():
    windows = SlidingWindow(500).fit_transform(np.random.RandomState(0).normal(size=(4000, 4)))
    tracemalloc.start()
    try:
        TimestepTransformer(StandardScaler()).fit_transform(windows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * windows.buffer.nbytes  # the windows as an array: 444 times as much


# What comes out.


def test_steps_between_missing_ones_keep_their_places():
    X = np.array([[[np.nan, np.nan], [1.0, np.nan]], [[3.0, 4.0], [np.nan, np.nan]]])
    result = TimestepTransformer(SimpleImputer()).fit_transform(X)
    np.testing.assert_array_equal(
        result, [[[np.nan, np.nan], [1.0, 4.0]], [[3.0, 4.0], [np.nan, np.nan]]]
    )


def test_sparse_output_becomes_dense():
    X = [np.array([[1.0], [np.nan]]), np.array([[2.0]])]
    result = TimestepTransformer(OneHotEncoder()).fit_transform(X)
    np.testing.assert_array_equal(result[0], [[1.0, 0.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(result[1], [[0.0, 1.0]])


@pytest.mark.parametrize("missing", [False, True])
def test_integers_become_floats_only_where_a_step_is_missing(missing):
    X = np.array([[["a"], [None if missing else "b"]]], dtype=object)
    result = TimestepTransformer(OrdinalEncoder(dtype=np.int64)).fit_transform(X)
    np.testing.assert_array_equal(
        result, np.array([[[0], [np.nan]]]) if missing else np.array([[[0], [1]]]), strict=True
    )


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), pd.NA, pd.NaT])
def test_strings_with_missing_steps_become_objects(missing):
    X = np.array([[["a"], [missing]]], dtype=object)
    upper = FunctionTransformer(lambda table: np.char.upper(table.astype("U1")))
    (result,) = TimestepTransformer(upper).fit_transform(X)
    assert result.tolist()[0] == ["A"]
    assert np.isnan(result[1, 0])


@pytest.mark.parametrize("form", ["array", "list", "pandas"])  # scalers make float64 of polars
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_where_the_inner_transformer_keeps_it(form, dtype):
    X = make_sequences("missing", dtype=dtype)
    for x in TimestepTransformer(StandardScaler()).fit_transform(FORMS[form](X)):
        assert x.dtype == dtype
    windows = SlidingWindow(3).fit_transform(SERIES.astype(dtype))
    assert TimestepTransformer(StandardScaler()).fit_transform(windows).dtype == dtype


@pytest.mark.parametrize("inner", [OneHotEncoder(), StandardScaler(), OrdinalEncoder(dtype=int)])
def test_sequences_without_any_step_have_the_features_of_the_output(inner):
    table = np.array([[0.0], [1.0], [2.0], [3.0]])
    ours = TimestepTransformer(inner).fit([table])
    n_outputs = inner.fit_transform(table).shape[1]
    empty, missing = ours.transform([np.empty((0, 1)), np.full((2, 1), np.nan)])
    assert empty.shape == (0, n_outputs)
    np.testing.assert_array_equal(missing, np.full((2, n_outputs), np.nan))
    result = ours.transform(SlidingWindow(3, lag=1).fit_transform([[1.0]]))
    np.testing.assert_array_equal(result, np.full((1, 3, n_outputs), np.nan))
    (back,) = ours.inverse_transform(result)
    np.testing.assert_array_equal(back, np.full((3, 1), np.nan))


def test_after_a_table_sequences_without_any_step_raise():
    ours = TimestepTransformer(OneHotEncoder()).fit(np.eye(2))
    with pytest.raises(ValueError, match="only known after fit on sequences"):
        ours.transform(np.full((1, 2, 2), np.nan))


def test_a_table_in_between_does_not_matter():
    ours = TimestepTransformer(StandardScaler()).fit(RAGGED).partial_fit(np.zeros((1, 2)))
    assert ours.transform([np.empty((0, 2))])[0].shape == (0, 2)


@pytest.mark.parametrize("form", ["array", "list", "windows"])
def test_inverse_transform_undoes_transform(form):
    X = SlidingWindow(3).fit_transform(SERIES) if form == "windows" else FORMS[form](MISSING)
    ours = TimestepTransformer(StandardScaler()).fit(X)
    assert_same_sequences(ours.inverse_transform(ours.transform(X)), X)


def test_inverse_transform_of_labels():
    X = np.array([[["a"], ["b"]], [[None], ["a"]]], dtype=object)
    ours = TimestepTransformer(OneHotEncoder()).fit(X)
    back = ours.inverse_transform(ours.transform(X))
    assert back[0].tolist() == [["a"], ["b"]]
    assert np.isnan(back[1, 0, 0])
    assert back[1, 1, 0] == "a"
    with pytest.raises(
        ValueError, match="X has 3 features, but TimestepTransformer is expecting 2"
    ):
        ours.inverse_transform(np.zeros((1, 1, 3)))


# Frames.


@pytest.mark.parametrize("library", [pd, pl])
def test_columns_are_chosen_by_name(library):
    frames = [
        library.DataFrame({"sort": ["x", None, "y"], "size": [1.0, None, 3.0]}),
        library.DataFrame({"sort": ["y"], "size": [5.0]}),
        library.DataFrame({"sort": ["x"], "size": [0.0]})[:0],
    ]
    inner = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["sort"])
    )
    ours = TimestepTransformer(inner)
    result = ours.fit_transform(frames)
    scale = np.std([1, 3, 5])
    np.testing.assert_allclose(
        result[0], [[-2 / scale, 1, 0], [np.nan, np.nan, np.nan], [0, 0, 1]], rtol=1e-15
    )
    np.testing.assert_allclose(result[1], [[2 / scale, 0, 1]], rtol=1e-15)
    assert result[2].shape == (0, 3)
    assert ours.feature_names_in_.tolist() == ["sort", "size"]
    names = ["standardscaler__size", "onehotencoder__sort_x", "onehotencoder__sort_y"]
    assert ours.get_feature_names_out().tolist() == names
    with pytest.raises(ValueError, match=r"X\[1\] has the columns \['size', 'sort'\]"):
        ours.transform([frames[0], frames[1][["size", "sort"]]])


def test_polars_counts_nan_and_null_as_missing():
    frame = pl.DataFrame({"a": [1.0, None, float("nan"), 3.0], "b": [None, None, None, 1]})
    (result,) = TimestepTransformer(MinMaxScaler()).fit_transform([frame])
    np.testing.assert_array_equal(result[:, 0], [0, np.nan, np.nan, 1])


def test_the_inner_transformer_sees_the_index_of_the_frames():
    frames = [
        pd.DataFrame({"a": [1.0, 2.0]}, pd.date_range("2024-01-01 22:00", periods=2, freq="h"))
    ]
    hour = FunctionTransformer(lambda table: table.assign(hour=table.index.hour))
    hour.set_output(transform="pandas")
    result = TimestepTransformer(hour).fit_transform(frames * 2)
    np.testing.assert_array_equal(result[1], [[1, 22], [2, 23]])


@pytest.mark.parametrize("library", [pd, pl])
def test_frames_without_rows_do_not_decide_the_dtype(library):
    frames = [library.DataFrame({"a": []}), library.DataFrame({"a": np.array([1, 3], np.float32)})]
    frames = [frames[0].astype(object) if library is pd else frames[0], frames[1]]
    seen = TimestepTransformer(FunctionTransformer()).fit_transform(frames)
    assert seen[0].shape == (0, 1)
    assert seen[1].dtype == np.float32


def test_frames_have_the_columns_of_fit():
    frames = as_frames(pd, RAGGED)
    ours = TimestepTransformer(StandardScaler()).fit(frames)
    with pytest.raises(
        ValueError, match=r"X\[0\] has the columns \['f1', 'f0'\], but \['f0', 'f1'\]"
    ):
        ours.transform([frame[["f1", "f0"]] for frame in frames])
    with pytest.warns(UserWarning, match="valid feature names"):
        ours.partial_fit(RAGGED)
    assert ours.feature_names_in_.tolist() == ["f0", "f1"]


def test_another_fit_replaces_the_names():
    ours = TimestepTransformer(StandardScaler()).fit(as_frames(pd, RAGGED))
    assert ours.feature_names_in_.tolist() == ["f0", "f1"]
    assert not hasattr(ours.fit(RAGGED), "feature_names_in_")


# Tables.


@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
@pytest.mark.parametrize("inner", [StandardScaler(), SelectKBest(f_regression, k=1), INNER[-1]])
def test_a_table_is_passed_to_the_inner_transformer(inner, container):
    table, y = pd.DataFrame(SERIES, columns=["a", "b"]), SERIES.sum(axis=1)
    ours = TimestepTransformer(inner).set_output(transform=container)
    expected = clone(inner).set_output(transform=container)
    for ours_made, inner_made in (
        (ours.fit_transform(table, y), expected.fit_transform(table, y)),
        (ours.transform(table), expected.transform(table)),
    ):
        assert type(ours_made) is type(inner_made)
        np.testing.assert_array_equal(ours_made, inner_made)
    assert ours.feature_names_in_.tolist() == ["a", "b"]
    assert ours.get_feature_names_out().tolist() == expected.get_feature_names_out().tolist()


class Tagging(TransformerMixin, BaseEstimator):
    """Says which method made the output, and of which target."""

    def fit(self, X, y=None):
        self.y_ = y
        return self

    def fit_transform(self, X, y=None):
        return "fit_transform", self.fit(X, y).y_

    def transform(self, X):
        return "transform", self.y_


def test_fit_transform_of_a_table_is_that_of_the_inner_transformer():
    y = np.arange(30)
    ours = TimestepTransformer(Tagging())
    assert ours.fit_transform(SERIES, y) == ("fit_transform", y)
    assert ours.transform(SERIES) == ("transform", y)
    assert TimestepTransformer(Tagging()).fit(SERIES, y).transform(SERIES)[1] is y


def test_tables_and_sequences_are_transformed_alike():
    ours = TimestepTransformer(StandardScaler()).fit(SERIES)
    np.testing.assert_array_equal(ours.transform(SERIES[None])[0], ours.transform(SERIES))
    np.testing.assert_array_equal(ours.fit(SERIES[None]).transform(SERIES), ours.transform(SERIES))


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("inner", [StandardScaler(), OneHotEncoder(), INNER[-1]])
def test_set_output_has_no_effect_on_sequences(inner, container):
    expected = TimestepTransformer(inner).fit_transform(RAGGED)
    ours = TimestepTransformer(inner).set_output(transform=container)
    assert_same_sequences(ours.fit_transform(RAGGED), expected)
    assert all(type(x) is np.ndarray for x in ours.transform(RAGGED))
    with config_context(transform_output=container):
        assert_same_sequences(TimestepTransformer(inner).fit_transform(RAGGED), expected)


# Fit and partial_fit.


@pytest.mark.parametrize("inner", [StandardScaler(), IncrementalPCA(1), MinMaxScaler()])
def test_partial_fit_continues(inner):
    ours = TimestepTransformer(inner).partial_fit(RAGGED[:10]).partial_fit(RAGGED[10:])
    expected = clone(inner).partial_fit(stack(RAGGED[:10])).partial_fit(stack(RAGGED[10:]))
    assert_same_sequences(ours.transform(RAGGED), transform_by_hand(expected, RAGGED))


def test_methods_are_there_if_the_inner_transformer_has_them():
    assert not hasattr(TimestepTransformer(PCA()), "partial_fit")
    assert not hasattr(TimestepTransformer(Binarizer()), "inverse_transform")
    assert not hasattr(TimestepTransformer(FunctionTransformer()), "get_feature_names_out")
    for name in ("partial_fit", "inverse_transform", "get_feature_names_out"):
        assert hasattr(TimestepTransformer(StandardScaler()), name)


class Picky(TransformerMixin, BaseEstimator):
    """Learns a part of X before it refuses it."""

    def partial_fit(self, X, y=None):
        self.seen_ = getattr(self, "seen_", [])
        self.seen_.append(X)
        if (X > 100).any():
            raise ValueError("too large")
        return self

    def fit(self, X, y=None):
        return self.partial_fit(X)

    def transform(self, X):
        return X


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
@pytest.mark.parametrize(
    "X",
    [
        np.full((2, 3, 2), 101.0),
        np.full((2, 2), 101.0),
        [np.zeros((2, 2)), np.zeros((2, 3))],
        np.full((2, 2, 2), np.nan),
    ],
)
def test_a_refused_fit_changes_nothing(method, X):
    ours = TimestepTransformer(Picky()).fit(RAGGED)
    with Unchanged(ours, RAGGED), pytest.raises(ValueError, match=r"large|n_features|no time step"):
        getattr(ours, method)(X)
    new = TimestepTransformer(Picky())
    with Unchanged(new), pytest.raises(ValueError, match=r"large|n_features|no time step"):
        getattr(new, method)(X)
    with pytest.raises(NotFittedError):
        new.transform(RAGGED)


@pytest.mark.parametrize("form", ["array", "list", "windows"])
def test_an_inner_transformer_that_works_in_place_does_not_change_the_data(form):
    X = np.random.RandomState(0).normal(size=(4, 5, 2))
    X = SlidingWindow(3, padding="edge").fit_transform(SERIES) if form == "windows" else X
    X = list(X) if form == "list" else X
    before = np.array(X)
    ours = TimestepTransformer(StandardScaler(copy=False))
    expected = TimestepTransformer(StandardScaler()).fit_transform(X)
    assert_same_sequences(ours.fit_transform(X), expected)
    np.testing.assert_array_equal(X, before)


def test_the_parameter_is_cloned():
    inner = StandardScaler()
    ours = TimestepTransformer(inner).fit(RAGGED)
    assert not hasattr(inner, "mean_")
    assert ours.set_params(transformer__with_mean=False).transformer is inner
    assert ours.get_params()["transformer__with_mean"] is False
    assert ours.fit(RAGGED).transformer_.mean_ is not None
    assert clone(ours).transformer is not inner


# Errors.

# An inner transformer that does not check anything itself.
FITTED = TimestepTransformer(FunctionTransformer()).fit(RAGGED)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 3, 4)), r"X has 4 features, but TimestepTransformer is expecting 2 .*\(2, 3"),
        ([np.zeros((2, 2)), np.zeros((5, 3))], r"X\[1\] is of shape \(5, 3\).*2 features are exp"),
        ([np.zeros((5, 3))], r"X\[0\] is of shape \(5, 3\).*2 features are expected"),
        ([np.zeros((2, 2)), np.zeros(5)], r"X\[1\] has 1 dimension"),
        ([[[1, 2]], [[1, 2], [3]]], r"X\[1\] has no fixed number of dimension"),
        (np.zeros((2, 3, 4, 5)), r"Found X of shape \(2, 3, 4, 5\)"),
        (np.zeros((2, 0, 2)), r"Found X of shape \(2, 0, 2\).*each at least 1"),
        ([np.zeros((2, 2)), pd.DataFrame(np.eye(2))], r"X\[0\] is an array, but X\[1\] is a data"),
        ([pl.DataFrame(np.eye(2)), pd.DataFrame(np.eye(2))], "of polars, but .* of pandas"),
        (np.ma.masked_array(np.zeros((2, 3, 2))), "X is a masked array"),
        (np.ma.masked_array(np.zeros((3, 2))), "X is a masked array"),
        ([np.ma.masked_array(np.zeros((3, 2)))], r"X\[0\] is a masked array"),
        (SlidingWindow(2).fit_transform(np.eye(3)), "X has 3 features"),
    ],
)
def test_other_input_raises(X, message):
    with Unchanged(FITTED), pytest.raises(ValueError, match=rf"(?s){message}"):
        FITTED.transform(X)


def test_sequences_of_different_numbers_of_features_raise():
    with pytest.raises(
        ValueError, match=r"X\[1\] is of shape \(5, 3\).*X\[0\] is of shape \(2, 2\)"
    ):
        clone(FITTED).fit([np.zeros((2, 2)), np.zeros((5, 3))])
    with pytest.raises(ValueError, match=r"X\[0\] is of shape \(2, 0\)"):
        clone(FITTED).fit([np.zeros((2, 0))])


@pytest.mark.parametrize("inner", [None, "passthrough", Ridge(), LSTMRegressor(), TargetEncoder()])
def test_an_inner_transformer_that_does_not_fit_raises(inner):
    with pytest.raises((ValueError, TypeError), match=r"'transformer' parameter|needs a target"):
        TimestepTransformer(inner).fit(RAGGED)


@pytest.mark.parametrize("inner", [SlidingWindow(2), FunctionTransformer(lambda table: table[:1])])
def test_an_output_that_is_no_table_of_as_many_rows_raises(inner):
    with pytest.raises(ValueError, match=r"there must be a row for each"):
        TimestepTransformer(inner).fit_transform(RAGGED)


# In pipelines.


@pytest.mark.parametrize("cls", [LSTMRegressor, LSTMClassifier])
@pytest.mark.parametrize("form", ["list", "array", "pandas"])
def test_a_pipeline_equals_its_parts(cls, form):
    X = FORMS[form](MISSING)
    y = make_target(cls, MISSING)
    pipeline = make_pipeline(TimestepTransformer(StandardScaler()), quick(cls)).fit(X, y)
    scaled = transform_by_hand(StandardScaler().fit(stack(MISSING)), MISSING)
    expected = quick(cls).fit(scaled, y)
    np.testing.assert_allclose(outputs(pipeline, X), outputs(expected, scaled), rtol=1e-6)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(outputs(again, X), outputs(pipeline, X))


@pytest.mark.parametrize("container", ["default", "pandas"])
def test_windows_of_a_series_in_a_grid_search(container):
    frame = pd.DataFrame(SERIES, pd.date_range("2024-01-01", periods=30), ["a", "b"])
    pipeline = make_pipeline(
        SlidingWindow(3, lag=1, carry_context=True),
        TimestepTransformer(StandardScaler()),
        quick(LSTMRegressor),
    ).set_output(transform=container)
    grid = {
        "timesteptransformer__transformer": [StandardScaler(), MinMaxScaler()],
        "slidingwindow__window_size": [2, 3],
    }
    search = GridSearchCV(pipeline, grid, cv=TimeSeriesSplit(3)).fit(frame, SERIES[:, 0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scaled = StandardScaler().fit(SERIES[:29]).transform(SERIES)
    scaled_first = make_pipeline(SlidingWindow(3, lag=1), quick(LSTMRegressor))
    scaled_first.fit(scaled, SERIES[:, 0])
    np.testing.assert_array_equal(
        pipeline.fit(frame, SERIES[:, 0]).predict(frame), scaled_first.predict(scaled)
    )
