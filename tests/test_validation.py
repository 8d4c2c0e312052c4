"""Invalid input raises an error that names it, and changes nothing."""

import copy
import sys
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from support.data import (
    ESTIMATORS,
    Unchanged,
    assert_same_fit,
    make_sequences,
    make_target,
    outputs,
    partial_fit,
    quick,
)

from sklstm import LSTMClassifier, LSTMRegressor, forecast_targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("cls", ESTIMATORS)

N = 20
DENSE, RAGGED = make_sequences("dense"), make_sequences("ragged")
FLAT = DENSE[:, :, 0]


@cache
def _fitted(cls, kind):
    X = {"dense": DENSE, "ragged": RAGGED, "flat": FLAT}[kind]
    return quick(cls).fit(X, make_target(cls, X))


def estimators_in_any_state(cls, kind="dense"):
    """Yield an unfitted estimator, a fitted one, and one with warm_start."""
    yield quick(cls)
    yield copy.deepcopy(_fitted(cls, kind))
    yield copy.deepcopy(_fitted(cls, kind)).set_params(warm_start=True)


def target_for(cls, n_samples):
    return np.arange(n_samples) % 2 if cls is LSTMClassifier else np.arange(float(n_samples))


@contextmanager
def raises(error, message):
    """Within this context an error is raised, with a message of one line."""
    with pytest.raises(error, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)


def assert_raises(cls, X, error, message, *, y=None, kind="dense", predict=True, **params):
    """Every method that takes X raises and changes nothing."""
    if y is None:
        y = target_for(cls, len(X) if hasattr(X, "__len__") else N)
    for estimator in estimators_in_any_state(cls, kind):
        estimator.set_params(**params)
        with Unchanged(estimator, X, y), raises(error, message):
            estimator.fit(X, y)
        with Unchanged(estimator, X, y), raises(error, message):
            partial_fit(estimator, X, y)
        if predict and hasattr(estimator, "coefs_"):
            for method in ("predict", "predict_proba", "predict_log_proba"):
                if hasattr(estimator, method):
                    with Unchanged(estimator, X), raises(error, message):
                        getattr(estimator, method)(X)


# Invalid X.


@both
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (DENSE[:0], r"Found array with 0 sample"),
        (DENSE[:, :0], r"\(20, 0, 2\).*n_timesteps"),
        (DENSE[:, :, :0], r"\(20, 5, 0\).*n_features"),
        (DENSE[np.newaxis], "dim 4.*3"),
        ([DENSE, DENSE], "dim 4.*3"),
        (np.zeros((0, 5)), "0 sample"),
        (np.zeros((20, 0)), "0 feature"),
        (np.zeros(20), r"X has 1 dimension.*Reshape your data: X\.reshape\(-1, 1\).*SlidingWindow"),
        ([], "a list of 0 sample"),
        (None, r"X is of type NoneType.*\(n_samples, n_timesteps, n_features\)"),
        (3.0, "X is of type float.*n_timesteps"),
        ([np.empty((0, 2))] * 3, "no time step at all"),
        ([np.empty((3, 0))] * 3, r"X\[0\] is of shape \(3, 0\).*at least 1"),
        ([DENSE[0], DENSE[1, :, :1]], r"X\[1\] is of shape \(5, 1\).*the same n_features"),
        ([DENSE[0], DENSE[1, :, 0]], r"X\[1\] has 1 dimension.*n_timesteps_i, n_features"),
        ([np.ones(3), np.ones(4)], "n_timesteps_i, n_features"),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], "n_timesteps_i, n_features"),
        (np.array([np.ones(3), np.ones(4)], dtype=object), "n_timesteps_i, n_features"),
    ],
    ids=[
        "no sample",
        "no timestep",
        "no feature",
        "4-D",
        "list of 3-D",
        "no row",
        "no column",
        "1-D",
        "empty list",
        "None",
        "number",
        "ragged without steps",
        "ragged without features",
        "ragged features",
        "ragged dimensions",
        "1-D ragged",
        "1-D ragged lists",
        "1-D ragged objects",
    ],
)
def test_x_that_is_not_sequences_raises(cls, X, message):
    estimator = quick(cls)
    y = target_for(cls, len(X) if hasattr(X, "__len__") else N)
    for call in (estimator.fit, lambda X, y: partial_fit(estimator, X, y)):
        with Unchanged(estimator, X, y), pytest.raises(ValueError, match=f"(?s){message}"):
            call(X, y)


@both
def test_sparse_x_raises(cls):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        quick(cls).fit(sp.csr_array(FLAT), target_for(cls, N))


@both
@pytest.mark.parametrize(("X", "kind"), [(DENSE, "dense"), (RAGGED, "ragged"), (FLAT, "flat")])
def test_fit_requires_two_samples_but_partial_fit_and_predict_one(cls, X, kind):
    one = X[:1]
    for estimator in estimators_in_any_state(cls, kind):
        y = make_target(cls, X)[:1]
        with (
            Unchanged(estimator, one, y),
            pytest.raises(ValueError, match=r"1 sample.*minimum of 2 is required by LSTM"),
        ):
            estimator.fit(one, y)
    partial_fit(estimator, one, y)
    assert len(estimator.predict(one)) == 1


# X of another shape than in fit.


@both
@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        ("dense", DENSE.transpose(0, 2, 1), r"5 features.*expecting 2 .*transpose\(0, 2, 1\)"),
        ("dense", [x[:, :1] for x in RAGGED], "1 features.*expecting 2"),
        ("ragged", [x[:, :1] for x in RAGGED], "1 features.*expecting 2"),
        ("dense", FLAT, r"fitted on sequences of 2 features.*X is not 3-D"),
        ("ragged", FLAT, r"fitted on sequences of 2 features.*X is not 3-D"),
        ("flat", DENSE, "fitted on a 2-D X of 5 columns"),
        ("flat", RAGGED, "fitted on a 2-D X of 5 columns"),
        ("flat", FLAT[:, :4], "X has 4 features, but LSTM.* is expecting 5"),
    ],
)
def test_another_shape_than_in_fit_raises(cls, kind, other, message):
    y = make_target(cls, other)
    estimator = copy.deepcopy(_fitted(cls, kind))
    warm = copy.deepcopy(estimator).set_params(warm_start=True)
    for owner, call in (
        (estimator, lambda: estimator.predict(other)),
        (estimator, lambda: partial_fit(estimator, other, y)),
        (warm, lambda: warm.fit(other, y)),
    ):
        with Unchanged(owner, other, y), pytest.raises(ValueError, match=f"(?s){message}"):
            call()
    estimator.fit(other, y)


@both
def test_timesteps_that_do_not_divide_the_columns_raise(cls):
    assert_raises(cls, FLAT, ValueError, "5 columns, which timesteps=3", kind="flat", timesteps=3)


@both
@pytest.mark.parametrize("timesteps", [None, 1, 2, 10])
def test_changed_timesteps_raise(cls, timesteps):
    rows = DENSE.reshape(N, 10)
    y = make_target(cls, DENSE)
    estimator = quick(cls, timesteps=5).fit(rows, y)
    estimator.set_params(timesteps=timesteps, warm_start=True)
    message = r"timesteps.* features"
    for call in (
        lambda: estimator.predict(rows),
        lambda: partial_fit(estimator, rows, y),
        lambda: estimator.fit(rows, y),
    ):
        with Unchanged(estimator, rows, y), pytest.raises(ValueError, match=message):
            call()
    assert len(estimator.set_params(timesteps=5).predict(rows)) == N


# Values that are not finite numbers.


def put(value, form, sample=3, step=2, feature=1):
    """Return sequences of one form with a single invalid value."""
    X = [sequence.astype(object if isinstance(value, str) else None) for sequence in DENSE]
    X[sample] = X[sample].astype(np.result_type(np.asarray(value), X[sample]))
    X[sample][step, feature] = value
    return X if form == "ragged" else np.array(X)


PLACE = "sample 3, timestep 2"


@both
@pytest.mark.parametrize("form", ["dense", "ragged"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.inf, "infinity"),
        (-np.inf, "infinity"),
        (np.nan, "NaN in some features but not in all"),
        (1j, "Complex data not supported"),
        ("seven", "holds 'seven': a string"),
        ("7", r"holds '7': a string.*X\.astype\(float\)"),
    ],
)
def test_the_error_names_the_place_of_an_invalid_value(cls, form, value, message):
    X = put(value, form)
    assert_raises(cls, X, ValueError, f"{PLACE}.*{message}")


@both
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.inf, "infinity"),
        (1j, "Complex data not supported"),
        ("seven", "holds 'seven': a string"),
        ("7", r"holds '7': a string.*X\.astype\(float\)"),
    ],
)
def test_the_error_names_the_place_of_an_invalid_value_in_a_2d_x(cls, value, message):
    X = put(value, "dense")[:, :, 1]
    match = f"{PLACE}.*{message}"
    assert_raises(cls, X, ValueError, match, kind="flat")


@both
@pytest.mark.parametrize("value", [np.inf, np.nan, 1j, "seven"])
def test_with_timesteps_the_error_names_the_step_within_the_row(cls, value):
    X = put(value, "dense").reshape(N, 10)
    with pytest.raises(ValueError, match=PLACE):
        quick(cls, timesteps=5).fit(X, target_for(cls, N))


@both
def test_an_invalid_value_in_overlapping_windows_raises(cls):
    series = np.random.RandomState(0).normal(size=(30, 2))
    windows = np.lib.stride_tricks.sliding_window_view(series, 5, axis=0).transpose(0, 2, 1)
    quick(cls).fit(windows, target_for(cls, 26))
    series[10, 1] = np.nan
    # Row 10 first occurs as the last step of window 6.
    with pytest.raises(ValueError, match="sample 6, timestep 4 NaN in some"):
        quick(cls).fit(windows, target_for(cls, 26))
    series[10] = np.nan
    estimator = quick(cls).fit(windows, target_for(cls, 26))
    assert np.isfinite(outputs(estimator, windows)).all()


@given(
    samples=st.sets(st.integers(0, 5), min_size=1, max_size=3),
    step=st.integers(0, 3),
    feature=st.integers(0, 2),
    value=st.sampled_from([np.nan, np.inf]),
    as_list=st.booleans(),
)
def test_the_error_names_the_first_invalid_value(samples, step, feature, value, as_list):
    X = np.zeros((6, 4, 3))
    X[sorted(samples), step, feature] = value
    message = f"sample {min(samples)}, timestep {step} "
    with pytest.raises(ValueError, match=message):
        quick(LSTMRegressor).fit(list(X) if as_list else X, np.arange(6.0))


@both
@pytest.mark.parametrize("form", ["dense", "ragged"])
def test_a_value_too_large_for_the_dtype_raises(cls, form):
    X = put(1e39, form)
    message = f"{PLACE} infinity or a value too large for float32"
    with pytest.raises(ValueError, match=message):
        quick(cls, dtype="float32").fit(X, target_for(cls, N))
    estimator = quick(cls).fit(DENSE.astype(np.float32), target_for(cls, N))
    with Unchanged(estimator, X), pytest.raises(ValueError, match=message):
        estimator.predict(X)
    quick(cls).fit(X, target_for(cls, N))


@both
@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]"])
def test_dates_and_durations_in_x_raise(cls, dtype):
    assert_raises(cls, DENSE.astype(int).astype(dtype), (TypeError, ValueError), "time")


@both
@pytest.mark.parametrize("X", [DENSE, FLAT])
def test_strings_of_numbers_raise(cls, X):
    with pytest.raises(ValueError, match="strings"):
        quick(cls).fit(X.astype(str), target_for(cls, N))


class Bfloat16:
    """An array-like that NumPy cannot read."""

    shape, ndim = (20, 5, 2), 3

    def __len__(self):
        return 20

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Got unsupported ScalarType BFloat16")


@both
def test_an_array_that_numpy_cannot_read_raises(cls):
    message = r"X, of type Bfloat16, .* unsupported ScalarType.*X\.float\(\)"
    with pytest.raises(TypeError, match=message):
        quick(cls).fit(Bfloat16(), target_for(cls, N))
    with pytest.raises(TypeError, match=r"y, of type Bfloat16, .*y\.float\(\)"):
        quick(LSTMRegressor).fit(DENSE, Bfloat16())


@both
def test_reading_sequences_and_steps_leaves_the_warning_filters_alone(cls):
    """Which ``warnings.catch_warnings`` changes for all threads, before Python 3.14."""
    estimator = quick(cls).fit(DENSE, target_for(cls, N))
    called = set()
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_qualname))
    try:
        estimator.predict(DENSE)
        estimator.predict([*DENSE])
        estimator.predict_step(DENSE[0, 0])
    finally:
        sys.setprofile(None)
    assert "BaseLSTM.predict_step" in called
    assert not any("catch_warnings" in name for name in called)


@both
def test_lists_of_words_raise(cls):
    with pytest.raises(ValueError, match=r"X\[0\] has 1 dim.*np\.eye\(n_words\)\[sequence\]"):
        quick(cls).fit([[3, 1], [2], [0, 0, 1]], target_for(cls, 3))


@both
@pytest.mark.parametrize("kind", ["dense", "ragged", "flat"])
def test_masked_arrays_raise(cls, kind):
    X = {"dense": DENSE, "ragged": RAGGED, "flat": FLAT}[kind]
    if kind == "ragged":
        masked = [*X[:3], np.ma.masked_array(X[3]), *X[4:]]
        message = r"X\[3\] is a masked array.*X\[3\]\.filled\(np\.nan\)"
    else:
        masked, message = np.ma.masked_array(X), r"X is a masked array.*X\.filled\(np\.nan\)"
    assert_raises(cls, masked, ValueError, message, kind=kind)


# Targets.


def assert_target_raises(cls, y, message, X=DENSE, error=ValueError):
    for estimator in estimators_in_any_state(cls):
        with Unchanged(estimator, X, y), raises(error, message):
            estimator.fit(X, y)
        with Unchanged(estimator, X, y), raises(error, message):
            estimator.partial_fit(X, y)


def with_value(value, dtype=float):
    y = (np.arange(N) % 2).astype(dtype)
    y[4] = value
    return y


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (with_value(np.nan), "y contains NaN"),
        (with_value(np.inf), "y contains infinity"),
        (with_value(1j, complex), "Complex data"),
        (with_value("a", object), "holds the string 'a'"),
        (with_value("1", object), r"holds the string '1'.*y\.astype\(float\)"),
        (np.ma.masked_array(np.ones(N)), r"y is a masked array.*y\.data"),
        (np.arange(N - 1.0), r"inconsistent numbers of samples: \[20, 19\]"),
        (np.ones((N, 2, 3)), r"y has the shape \(20, 2, 3\).*reshape.* has the shape \(20, 6\)"),
        (np.ones((N, 2, 2, 2)), r"y has the shape \(20, 2, 2, 2\), but .* n_outputs\)\.$"),
        (np.ones((N, 0)), r"y has the shape \(20, 0\)|0 feature"),
    ],
)
def test_an_invalid_target_of_a_regressor_raises(y, message):
    assert_target_raises(LSTMRegressor, y, message)


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_error_about_targets_of_the_future_says_on_what_to_train(horizon):
    y = forecast_targets(np.arange(N), horizon)
    remedy = rf"Only the last {horizon} row.*Train on X\[:-{horizon}\], y\[:-{horizon}\]"
    assert_target_raises(LSTMRegressor, y, rf"contains NaN\. {remedy}")
    quick(LSTMRegressor).fit(DENSE[:-horizon], y[:-horizon])


def test_the_error_about_targets_of_a_panel_says_on_what_to_train():
    y = forecast_targets(np.arange(N), 2, groups=np.arange(N) // 10)
    assert_target_raises(LSTMRegressor, y, r"4 rows of y hold NaN, as forecast_targets.*known = ~")
    known = ~np.isnan(y).any(axis=1)
    quick(LSTMRegressor).fit(DENSE[known], y[known])


@pytest.mark.parametrize(
    "place", [(4, 0), (4, 1), (slice(None), slice(None)), (slice(3, 5), 1), ([4, 5, 5], [0, 0, 1])]
)
def test_the_error_about_other_nan_guesses_no_reason(place):
    y = np.ones((N, 2))
    y[place] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN") as raised:
        quick(LSTMRegressor).fit(DENSE, y)
    assert "forecast_targets" not in str(raised.value)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e39), (None, 5e306)])
def test_a_target_too_large_for_the_dtype_raises(dtype, size):
    estimator = quick(LSTMRegressor, dtype=dtype)
    y = size * np.arange(1.0, N + 1)
    with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=r"y contains .*too large"):
        estimator.fit(DENSE, y)


def test_another_number_of_outputs_raises():
    estimator = quick(LSTMRegressor).fit(DENSE, np.ones((N, 2)))
    for y in (np.ones(N), np.ones((N, 3))):
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match="first fitted with 2"):
            estimator.partial_fit(DENSE, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (with_value(np.nan), "y contains NaN"),
        (with_value(np.inf), "y contains infinity"),
        (with_value(0.5), "Unknown label type: continuous"),
        (np.arange(N - 1) % 2, r"inconsistent numbers of samples: \[20, 19\]"),
        (np.ones((N, 2, 2)), "Unknown label type"),
        (with_value("a", object), r"y holds labels of several types \(int, str\)"),
        ([None, "a"] * (N // 2), r"y holds labels of several types \(NoneType, str\)"),
        ([None, 1] * (N // 2), r"y holds labels of several types \(NoneType, int\)"),
        (np.ma.masked_array(np.arange(N) % 2), "y is a masked array"),
        (np.array([["a", "b"]] * N), r"y should be a 1d array, got an array of shape \(20, 2\)"),
        (
            np.arange(2 * N).reshape(N, 2),
            r"y should be a 1d array, got an array of shape \(20, 2\)",
        ),
    ],
)
def test_an_invalid_target_of_a_classifier_raises(y, message):
    for estimator in estimators_in_any_state(LSTMClassifier):
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
            estimator.fit(DENSE, y)
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
            estimator.partial_fit(
                DENSE, y, classes=None if hasattr(estimator, "classes_") else [0, 1]
            )


@pytest.mark.parametrize("label", [1, 1.0, "only", True])
def test_a_target_of_one_class_raises(label):
    estimator = quick(LSTMClassifier)
    y = np.full(N, label)
    message = f"at least 2 classes, but y has only the class {label!r}"
    with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
        estimator.fit(DENSE, y)


# Weights.


@both
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(N), "at least one non-zero"),
        (with_value(-1), "Negative values in data passed to `sample_weight`"),
        (with_value(np.nan), "sample_weight contains NaN"),
        (with_value(np.inf), "sample_weight contains infinity"),
        (np.ones(N - 1), r"sample_weight.shape == \(19,\), expected \(20,\)"),
        (np.ones((N, 2)), "Sample weights must be 1D"),
        (["heavy"] * N, "could not convert string to float"),
        (np.ma.masked_array(np.ones(N)), "sample_weight is a masked array"),
    ],
)
def test_invalid_sample_weights_raise(cls, weights, message):
    y = make_target(cls, DENSE)
    for estimator in estimators_in_any_state(cls):
        with Unchanged(estimator, DENSE, y, weights), pytest.raises(ValueError, match=message):
            estimator.fit(DENSE, y, sample_weight=weights)
        with Unchanged(estimator, DENSE, y, weights), pytest.raises(ValueError, match=message):
            partial_fit(estimator, DENSE, y, sample_weight=weights)


# Parameters.

INVALID_PARAMETERS = {
    "hidden_layer_sizes": [True, 0, -1, (), (3, 0), (3, 2.5), 2.5, None, "32", (None,)],
    "bidirectional": [None, "yes", 2],
    "return_sequences": [None, "yes", 2],
    "train_on": ["rows", None, True],
    "pooling": ["sum", (), ("last", "last"), ("mean", "sum"), ["auto"], None, 1],
    "linear_skip": [-1, 1.5, "all", None, (3,)],
    "dropout": [-0.1, 1, 1.5, np.nan, None, "half"],
    "recurrent_dropout": [-0.1, 1, 1.5, np.nan, None, "half"],
    "alpha": [-1e-9, np.nan, None, "0"],
    "batch_size": [0, -1, 1.5, None, "all"],
    "learning_rate": ["invscaling", None, 0.1],
    "learning_rate_init": [0, -0.1, np.nan, None],
    "max_iter": [0, -1, 2.5, None],
    "shuffle": [None, "yes"],
    "max_grad_norm": [0, -1.0, np.nan, "auto"],
    "tol": [-1e-9, np.nan, None],
    "n_iter_no_change": [0, -1, 2.5, None],
    "early_stopping": [None, "yes", 2],
    "validation_fraction": [0, 1, 1.5, -0.1, None],
    "validation_split": ["first", None, 3],
    "validation_gap": [-1, 0.5, None, "auto"],
    "beta_1": [-0.1, 1.0, None],
    "beta_2": [-0.1, 1.0, None],
    "epsilon": [0, -1e-8, None],
    "timesteps": [0, -1, 2.5, "auto", True],
    "dtype": ["float16", np.int64, int, "double"],
    "random_state": [-1, "seed", 0.5],
    "verbose": ["yes", None],
    "warm_start": [None, "yes"],
}
INVALID_PARAMETERS_OF = {
    LSTMRegressor: {
        "loss": ["log_loss", None, 3],
        "quantile": [0, 1, -0.1, 1.5, np.nan, "0.5"],
        "normalize_y": [None, "yes", 1.5],
    },
    LSTMClassifier: {"class_weight": ["auto", 3, (1, 2), np.nan]},
}


def invalid_parameters(cls):
    return INVALID_PARAMETERS | INVALID_PARAMETERS_OF[cls]


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (cls, name, value)
        for cls in ESTIMATORS
        for name, values in invalid_parameters(cls).items()
        for value in values
    ],
)
def test_an_invalid_parameter_raises(cls, name, value):
    y = make_target(cls, DENSE)
    for estimator in estimators_in_any_state(cls):
        estimator.set_params(**{name: value})
        with (
            Unchanged(estimator, DENSE, y),
            pytest.raises(ValueError, match=f"(?s){name}.*[Gg]ot"),
        ):
            estimator.fit(DENSE, y)
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=name):
            partial_fit(estimator, DENSE, y)


@both
def test_every_parameter_has_invalid_values_here(cls):
    assert set(cls().get_params()) == set(invalid_parameters(cls))


# Parameters, targets and calls that contradict each other.


def assert_calls_raise(
    cls, message, *, y=None, calls=("fit", "partial_fit"), fit_params=None, **params
):
    """The calls raise for an estimator in any state and change nothing."""
    y = make_target(cls, DENSE) if y is None else y
    for estimator in estimators_in_any_state(cls):
        estimator.set_params(**params)
        methods = {"fit": estimator.fit, "partial_fit": partial(partial_fit, estimator)}
        for call in calls:
            with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
                methods[call](DENSE, y, **(fit_params or {}))


@both
def test_partial_fit_with_early_stopping_raises(cls):
    message = "partial_fit does not support early_stopping=True"
    assert_calls_raise(cls, message, calls=["partial_fit"], early_stopping=True)


@both
def test_a_gap_with_a_random_split_raises(cls):
    params = {"early_stopping": True, "validation_split": "random", "validation_gap": 2}
    message = "validation_gap=2.*validation_split='random'.*Use validation_split='last'"
    assert_calls_raise(cls, message, **params)
    # Without early stopping there is no split.
    quick(cls, **params | {"early_stopping": False}).fit(DENSE, make_target(cls, DENSE))


@both
def test_a_gap_that_leaves_no_training_samples_raises(cls):
    params = {"early_stopping": True, "validation_split": "last", "validation_gap": 18}
    message = "left to train on.*decrease validation_fraction.*validation_gap"
    assert_calls_raise(cls, message, calls=["fit"], **params)


@both
def test_a_validation_set_without_early_stopping_raises(cls):
    fit_params = {"X_val": DENSE[:5], "y_val": make_target(cls, DENSE)[:5]}
    message = "Set early_stopping=True"
    assert_calls_raise(cls, message, calls=["fit"], fit_params=fit_params, early_stopping=False)


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["X_val"], "X_val is provided, but y_val was not provided"),
        (["y_val"], "y_val is provided, but X_val was not provided"),
        (["X_val", "sample_weight_val"], "X_val is provided, but y_val was not provided"),
        (["sample_weight_val"], "sample_weight_val is provided, but X_val was not provided"),
    ],
    ids=["X_val", "y_val", "X_val and weights", "weights"],
)
def test_an_incomplete_validation_set_raises(cls, given, message, early_stopping):
    values = {
        "X_val": DENSE[:5],
        "y_val": make_target(cls, DENSE)[:5],
        "sample_weight_val": np.ones(5),
    }
    fit_params = {name: values[name] for name in given}
    assert_calls_raise(
        cls, message, calls=["fit"], fit_params=fit_params, early_stopping=early_stopping
    )


@both
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"X_val": DENSE[:5, :, :1]}, "X has 1 features"),
        ({"X_val": FLAT[:5]}, "X is not 3-D"),
        ({"X_val": np.where(DENSE[:5] == DENSE[3, 2, 1], np.inf, DENSE[:5])}, f"{PLACE} infinity"),
        ({"X_val": DENSE[:4]}, r"inconsistent numbers of samples: \[4, 5\]"),
        ({"sample_weight_val": np.ones(4)}, r"expected \(5,\)"),
        ({"sample_weight_val": np.zeros(5)}, "at least one non-zero"),
        ({"sample_weight_val": -np.ones(5)}, "Negative values"),
    ],
    ids=["features", "2-D", "infinity", "length", "weights", "no weight", "negative weight"],
)
def test_a_validation_set_is_checked_like_the_training_set(cls, changed, message):
    fit_params = {"X_val": DENSE[:5], "y_val": make_target(cls, DENSE)[:5]} | changed
    message = f"(?s)X_val.*{message}"
    params = {"calls": ["fit"], "fit_params": fit_params, "early_stopping": True}
    assert_calls_raise(cls, message, **params)


@pytest.mark.parametrize(
    ("cls", "y_val", "message"),
    [
        (LSTMRegressor, np.ones((5, 2)), "2 output"),
        (LSTMRegressor, np.full(5, np.nan), "NaN"),
        (LSTMClassifier, np.repeat("other", 5), r"not seen before: \['other'\]"),
        (LSTMClassifier, np.eye(5, dtype=int), "multilabel indicator"),
    ],
)
def test_a_validation_target_that_does_not_fit_the_training_target_raises(cls, y_val, message):
    fit_params = {"X_val": DENSE[:5], "y_val": y_val}
    params = {"calls": ["fit"], "fit_params": fit_params, "early_stopping": True}
    assert_calls_raise(cls, f"(?s)y_val.*{message}", **params)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "quantile"},
        {"quantile": 0.5},
        {"loss": "absolute_error", "quantile": 0.5},
    ],
)
def test_quantile_without_its_loss_raises_and_the_reverse(params):
    assert_calls_raise(LSTMRegressor, "quantile=.*do not go together", **params)


@pytest.mark.parametrize("normalize_y", [True, False])
@pytest.mark.parametrize(
    "y",
    [
        with_value(-1e-9),
        np.zeros(N),
        np.column_stack([np.ones(N), np.zeros(N)]),
        np.column_stack([np.ones(N), with_value(-1.0)]),
    ],
    ids=["negative", "zero", "zero output", "negative output"],
)
def test_a_negative_or_zero_poisson_target_raises(y, normalize_y):
    message = "loss='poisson' requires y that is not negative and not all zero"
    estimator = quick(LSTMRegressor, loss="poisson", normalize_y=normalize_y)
    for call in (estimator.fit, estimator.partial_fit):
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
            call(DENSE, y)


def test_later_poisson_targets_can_be_zero_but_not_negative():
    estimator = quick(LSTMRegressor, loss="poisson").partial_fit(DENSE, np.arange(N))
    estimator.partial_fit(DENSE[:3], np.zeros(3))
    y = np.array([-1.0])
    with Unchanged(estimator, y), pytest.raises(ValueError, match="not negative"):
        estimator.partial_fit(DENSE[:1], y)


def test_partial_fit_with_balanced_classes_raises():
    message = "class_weight='balanced' is not supported by partial_fit.*as a dict"
    assert_calls_raise(LSTMClassifier, message, calls=["partial_fit"], class_weight="balanced")


@pytest.mark.parametrize(
    ("class_weight", "y", "error"),
    [
        ([{"low": 2}], None, "class_weight"),
        ({"high": 2}, None, "class_weight"),
        ({"low": -1, "mid": 1, "top": 1}, None, "[Nn]egative"),
        ({"low": 0, "mid": 0, "top": 0}, None, "at least one non-zero"),
        ([{0: 1, 1: 2}], np.arange(2 * N).reshape(N, 2) % 2, "class_weight"),
        ("heavy", None, "class_weight"),
    ],
    ids=["list", "unknown class", "negative", "all zero", "too few", "name"],
)
def test_class_weights_that_do_not_fit_the_target_raise(class_weight, y, error):
    estimator = quick(LSTMClassifier, class_weight=class_weight)
    y = make_target(LSTMClassifier, DENSE) if y is None else y
    with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=error):
        estimator.fit(DENSE, y)


@both
@pytest.mark.parametrize(
    "changed", [{"bidirectional": True}, {"hidden_layer_sizes": 5}, {"hidden_layer_sizes": (4, 4)}]
)
def test_continuing_with_another_network_raises(cls, changed):
    y = make_target(cls, DENSE)
    estimator = quick(cls, warm_start=True).fit(DENSE, y).set_params(**changed)
    message = f"{next(iter(changed))} is now .*, but the network to continue training was made with"
    for call in (estimator.fit, lambda X, y: partial_fit(estimator, X, y)):
        with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match=message):
            call(DENSE, y)
    # The estimator still predicts with the trained network.
    assert_same_fit(estimator, quick(cls).fit(DENSE, y))
    assert len(estimator.predict(DENSE)) == N


# After an error, and other cases.


@both
def test_training_continues_after_an_error_with_the_same_bits(cls):
    y = make_target(cls, DENSE)
    estimator = partial_fit(quick(cls), DENSE, y)
    for X in (put(np.nan, "dense"), DENSE[:, :, :1], FLAT):
        with pytest.raises(ValueError, match=r"NaN|features"):
            partial_fit(estimator, X, y)
    expected = partial_fit(partial_fit(quick(cls), DENSE, y), DENSE, y)
    assert_same_fit(partial_fit(estimator, DENSE, y), expected)


@both
@pytest.mark.parametrize("fault", ["X", "y", "weights", "validation part", "divergence"])
def test_a_call_that_fails_draws_nothing_from_the_generator_of_the_caller(cls, fault):
    rng = np.random.RandomState(7)
    before = rng.get_state()[1].copy(), rng.get_state()[2]
    estimator = quick(cls, random_state=rng)
    X, y, weights = DENSE, make_target(cls, DENSE), None
    message = "in some features"
    if fault == "X":
        X = put(np.nan, "dense")
    elif fault == "y":
        y, message = y[:-1], "inconsistent"
    elif fault == "weights":
        weights, message = np.zeros(N), "non-zero"
    elif fault == "validation part":
        estimator.set_params(early_stopping=True, validation_fraction=0.01)
        message = "increase validation_fraction|should be greater or equal"
    else:
        estimator.set_params(learning_rate_init=1e9)
        message = "Training diverged"
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(rng.get_state()[1], before[0])
    assert rng.get_state()[2] == before[1]
    estimator = quick(cls, random_state=rng).fit(DENSE, make_target(cls, DENSE))
    assert_same_fit(
        estimator,
        quick(cls, random_state=np.random.RandomState(7)).fit(DENSE, make_target(cls, DENSE)),
    )
    assert rng.get_state()[2] != before[1]


@pytest.mark.parametrize("values", [(0, 5), (1, 2), (-1, 1)])
def test_an_indicator_matrix_other_than_0_and_1_raises(values):
    y = np.array(values)[np.random.RandomState(0).randint(2, size=(N, 3))]
    estimator = quick(LSTMClassifier)
    with Unchanged(estimator, DENSE, y), pytest.raises(ValueError, match="holds 0 and 1"):
        estimator.fit(DENSE, y)


@both
@pytest.mark.parametrize("weight", [1e308, 1e200, 1e-200, 1e-300, 1e-320])
def test_sample_weights_out_of_range_raise(cls, weight):
    weights = np.full(N, weight)
    with pytest.raises(ValueError, match=r"Sample weights add up to .*out of float64's range"):
        quick(cls).fit(DENSE, target_for(cls, N), sample_weight=weights)


@both
@pytest.mark.parametrize(("timesteps", "allows"), [(None, True), (5, True), (1, False)])
def test_one_step_in_a_row_does_not_claim_to_allow_nan(cls, timesteps, allows):
    estimator = quick(cls, timesteps=timesteps)
    assert estimator.__sklearn_tags__().input_tags.allow_nan == allows


@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]"])
def test_dates_and_durations_in_y_raise(dtype):
    y = np.arange(N).astype(dtype)
    with pytest.raises((TypeError, ValueError), match=r"real numbers|dtype"):
        quick(LSTMRegressor).fit(DENSE, y)


@both
def test_fit_and_predict_ignore_the_floating_point_settings_of_the_caller(cls):
    X = (DENSE * 1e-20).astype(np.float32)
    with np.errstate(all="raise"):
        quick(cls).fit(X, target_for(cls, N)).predict(X)
