"""Data frames and series of pandas and polars as X, y and weights."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency
from support.data import (
    ESTIMATORS,
    Unchanged,
    assert_same_fit,
    make_target,
    outputs,
    partial_fit,
    quick,
)

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The 6 columns of X, 'hour0' to 'hour5'"),
]
both = pytest.mark.parametrize("cls", ESTIMATORS)
libraries = pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])

VALUES = np.random.RandomState(0).normal(size=(20, 6))
NAMES = [f"hour{k}" for k in range(6)]


def frame_of(library, values=VALUES, names=NAMES):
    return library.DataFrame(dict(zip(names, np.transpose(values), strict=True)))


@both
@libraries
def test_a_frame_gives_the_fit_of_its_values(cls, library):
    frame, y = frame_of(library), make_target(cls, VALUES)
    estimator = quick(cls).fit(frame, y)
    assert estimator.feature_names_in_.tolist() == NAMES
    assert estimator.n_features_in_ == 6
    from_values = quick(cls).fit(VALUES, y)
    assert not hasattr(from_values, "feature_names_in_")
    assert_same_fit(estimator, from_values)
    np.testing.assert_array_equal(outputs(estimator, frame), outputs(from_values, VALUES))
    partial_fit(estimator, frame, y)


@both
@libraries
def test_targets_and_weights_can_be_series(cls, library):
    y, weights = make_target(cls, VALUES), np.linspace(0.5, 2, 20)
    estimator = quick(cls).fit(
        frame_of(library), library.Series(y), sample_weight=library.Series(weights)
    )
    assert_same_fit(estimator, quick(cls).fit(VALUES, y, sample_weight=weights))


@libraries
def test_targets_can_be_a_frame(library):
    Y = VALUES[:, :2]
    targets = frame_of(library, Y, ["load", "price"])
    estimator = quick(LSTMRegressor).fit(frame_of(library), targets)
    assert_same_fit(estimator, quick(LSTMRegressor).fit(VALUES, Y))
    assert estimator.predict(frame_of(library)).shape == (20, 2)
    labels = frame_of(library, (Y > 0).astype(int), ["cold", "wet"])
    estimator = quick(LSTMClassifier).fit(VALUES, labels)
    assert_same_fit(estimator, quick(LSTMClassifier).fit(VALUES, (Y > 0).astype(int)))


@pytest.mark.parametrize(
    "container",
    [
        lambda y: pd.Series(y, dtype="category"),
        lambda y: pd.Series(y, dtype="string"),
        lambda y: pd.Series(y, dtype=object),
        lambda y: pd.Series(y, index=np.arange(20)[::-1]),
        pd.Categorical,
        pl.Series,
        lambda y: pl.Series(y, dtype=pl.Categorical),
    ],
)
def test_labels_can_be_in_any_container(container):
    y = make_target(LSTMClassifier, VALUES)
    estimator = quick(LSTMClassifier).fit(VALUES, container(y))
    assert_same_fit(estimator, quick(LSTMClassifier).fit(VALUES, y))
    assert estimator.classes_.tolist() == ["low", "mid", "top"]
    assert estimator.score(VALUES, container(y)) == np.mean(estimator.predict(VALUES) == y)


@both
@libraries
def test_other_column_names_raise(cls, library):
    estimator = quick(cls).fit(frame_of(library), make_target(cls, VALUES))
    other = frame_of(library, names=[*NAMES[:5], "hour24"])
    for call in (estimator.predict, lambda X: partial_fit(estimator, X, make_target(cls, VALUES))):
        with Unchanged(estimator), pytest.raises(ValueError, match=r"(?s)names.*hour24"):
            call(other)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.predict(VALUES)


@both
@libraries
def test_another_fit_replaces_the_column_names(cls, library):
    y = make_target(cls, VALUES)
    estimator = quick(cls).fit(frame_of(library), y).fit(VALUES.reshape(20, 3, 2), y)
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.fit(frame_of(library), y).feature_names_in_.tolist() == NAMES


@both
@libraries
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_keep_their_dtype(cls, library, dtype):
    frame = frame_of(library, VALUES.astype(dtype))
    estimator = quick(cls).fit(frame, make_target(cls, VALUES))
    assert outputs(estimator, frame).dtype == dtype


@both
@libraries
def test_missing_values_of_a_frame_are_missing_steps(cls, library):
    values = VALUES.copy()
    values[::3, :2] = np.nan
    y = make_target(cls, VALUES)
    expected = quick(cls).fit(values, y)
    assert_same_fit(quick(cls).fit(frame_of(library, values), y), expected)
    missing = [[None if np.isnan(value) else value for value in row] for row in values.T.tolist()]
    frame = library.DataFrame(dict(zip(NAMES, missing, strict=True)))
    assert_same_fit(quick(cls).fit(frame, y), expected)


@both
@pytest.mark.parametrize("dtype", ["Float64", "Int64"])
def test_nullable_types_of_pandas_are_accepted(cls, dtype):
    whole = np.round(10 * VALUES)
    whole[2, 3] = np.nan
    y = make_target(cls, VALUES)
    frame = pd.DataFrame(whole, columns=NAMES).astype(dtype)
    assert frame.isna().to_numpy().sum() == 1
    assert_same_fit(quick(cls).fit(frame, y), quick(cls).fit(whole, y))


@both
@libraries
def test_timesteps_splits_the_rows_of_a_frame(cls, library):
    y = make_target(cls, VALUES)
    estimator = quick(cls, timesteps=3).fit(frame_of(library), y)
    assert estimator.feature_names_in_.tolist() == NAMES
    assert_same_fit(estimator, quick(cls).fit(VALUES.reshape(20, 3, 2), y))


@both
@libraries
def test_a_list_of_frames_equals_a_list_of_arrays(cls, library):
    lengths = 1 + np.arange(20) % 6
    ragged = [VALUES[:length, :2] for length in lengths]
    frames = [frame_of(library, values, NAMES[:2]) for values in ragged]
    y = make_target(cls, ragged)
    estimator = quick(cls).fit(frames, y)
    assert_same_fit(estimator, quick(cls).fit(ragged, y))
    np.testing.assert_array_equal(outputs(estimator, frames), outputs(estimator, ragged))


@both
@libraries
def test_a_frame_of_strings_raises(cls, library):
    frame = library.DataFrame({"hour0": [0.5, 1.5], "hour1": ["a", "b"]})
    with pytest.raises(ValueError, match="The column 'hour1' of X holds strings"):
        quick(cls).fit(frame, make_target(cls, VALUES)[:2])


DATES = pd.date_range("2024-01-01", periods=20)
NO_NUMBERS = {
    "dates": DATES,
    "categories": pd.Categorical(["a", "b"] * 10),
    "objects that are no numbers": [*range(19), {"a": 1}],
    "complex numbers": VALUES[:, 0] + 1j,
}


@both
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_the_error_names_the_column_without_numbers(cls, kind):
    estimator, y = quick(cls, timesteps=2), make_target(cls, VALUES)
    frame = pd.DataFrame({"load": VALUES[:, 0], "other": NO_NUMBERS[kind]})
    with Unchanged(estimator), pytest.raises(ValueError, match=f"'other' of X holds {kind}"):
        estimator.fit(frame, y)
    frames = [*[frame.assign(other=0.0)] * 3, frame[-4:]]
    with Unchanged(estimator), pytest.raises(ValueError, match=rf"'other' of X\[3\] holds {kind}"):
        estimator.fit(frames, y[:4])


# Named columns that are read as the time steps of one feature.


def warnings_of(call, *arguments):
    """Return the warnings about columns, and where they point to."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments)
    return [one for one in caught if "time steps of one feature" in str(one.message)]


@both
@libraries
def test_named_columns_read_as_time_steps_cause_one_warning(cls, library):
    frame, y = frame_of(library), make_target(cls, VALUES)
    estimator = quick(cls)
    (warning,) = warnings_of(estimator.fit, frame, y)
    assert issubclass(warning.category, UserWarning)
    for words in ("6 columns of X, 'hour0' to 'hour5'", "SlidingWindow", "timesteps=6"):
        assert words in str(warning.message)
    assert not warnings_of(estimator.predict, frame)
    assert not warnings_of(partial_fit, estimator, frame, y)
    assert not warnings_of(estimator.set_params(warm_start=True).fit, frame, y)
    new = quick(cls)
    assert len(warnings_of(partial_fit, new, frame, y)) == 1
    assert not warnings_of(partial_fit, new, frame, y)


@both
def test_the_warning_points_to_the_caller(cls):
    frame, y = frame_of(pd), make_target(cls, VALUES)
    (warning,) = warnings_of(quick(cls).fit, frame, y)
    assert warning.filename == __file__
    arguments = (frame, y) if cls is LSTMRegressor else (frame, y, np.unique(y))
    (warning,) = warnings_of(quick(cls).partial_fit, *arguments)
    assert warning.filename == __file__


@both
def test_no_warning_where_columns_are_meant_as_steps(cls):
    frame, y = frame_of(pd), make_target(cls, VALUES)
    assert not warnings_of(quick(cls, timesteps=6).fit, frame, y)
    assert not warnings_of(quick(cls, timesteps=3).fit, frame, y)
    assert not warnings_of(quick(cls).fit, VALUES, y)
    assert not warnings_of(quick(cls).fit, pd.DataFrame(VALUES), y)  # the columns are numbers
    assert not warnings_of(quick(cls).fit, frame[["hour0"]], y)
    assert not warnings_of(quick(cls).fit, [frame[:4]] * 20, y)
    assert not warnings_of(make_pipeline(SlidingWindow(3), quick(cls)).fit, frame, y)


@both
def test_the_check_of_scikit_learn_with_named_columns_passes(cls):
    with pytest.warns(UserWarning, match="time steps of one feature"):
        check_dataframe_column_names_consistency(cls.__name__, quick(cls))


def test_where_the_warning_is_an_error_the_estimator_is_fitted():
    frame = frame_of(pd)
    estimator = quick(LSTMRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="6 time steps of one feature"):
            estimator.fit(frame, VALUES[:, 0])
    assert estimator.predict(frame).shape == (20,)


@both
@libraries
def test_a_pipeline_accepts_a_frame(cls, library):
    series, names = VALUES[:, :2], ["temperature", "load"]
    y = make_target(cls, VALUES)
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(3), quick(cls))
    frame = frame_of(library, series, names)
    pipeline.fit(frame, library.Series(y))
    assert pipeline.feature_names_in_.tolist() == names
    expected = outputs(pipeline, frame)
    # The order of sums in the scaler depends on the memory layout of the columns.
    np.testing.assert_allclose(outputs(pipeline.fit(series, y), series), expected, rtol=1e-12)


@libraries
def test_cross_validation_of_a_frame_equals_that_of_its_values(library):
    pipeline = make_pipeline(SlidingWindow(3), quick(LSTMRegressor))
    frame, y = frame_of(library), VALUES.sum(axis=1)
    predicted = cross_val_predict(pipeline, frame, y, cv=2)
    np.testing.assert_array_equal(predicted, cross_val_predict(pipeline, VALUES, y, cv=2))


def test_frames_of_a_list_with_another_order_of_columns_raise():
    frames = [
        pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]}),
        pd.DataFrame({"a": [3.0], "b": [1.0]}),
    ]
    estimator = LSTMRegressor(2, max_iter=20, n_iter_no_change=1, tol=1.0).fit(frames, [0.0, 1.0])
    assert list(estimator.feature_names_in_) == ["a", "b"]
    with pytest.raises(ValueError, match=r"X\[1\] has the columns \['b', 'a'\]"):
        estimator.predict([frames[0], frames[1][["b", "a"]]])
