"""All of scikit-learn's common checks of estimators."""

from unittest import SkipTest

import pytest
from sklearn.decomposition import IncrementalPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, TimestepTransformer

# The checks require a good score, and that weights equal repetition to seven digits. A few large
# steps give both: late in training, when the loss is close to zero, each step of Adam increases the
# differences that rounding makes in sums of another order, and after hundreds of steps they exceed
# seven digits. scikit-learn too checks its MLP with less than the default max_iter.
FEW_STEPS = {"learning_rate_init": 0.01, "max_iter": 40}

# A large fraction, since some of the checks have few rows.
STOPPED = {"early_stopping": True, "validation_fraction": 0.3}

# Every option is used in one of these.
LSTMS = [
    LSTMRegressor(),
    *(
        estimator(**FEW_STEPS | params)
        for estimator in (LSTMRegressor, LSTMClassifier)
        for params in (
            {},
            {
                "hidden_layer_sizes": (16, 8),
                "batch_size": 64,
                "shuffle": False,
                "max_grad_norm": None,
            },
        )
    ),
    LSTMRegressor(
        16,
        bidirectional=True,
        loss="huber",
        learning_rate="cosine",
        **FEW_STEPS | {"learning_rate_init": 0.02},
    ),
    LSTMRegressor(
        dropout=0.1,
        recurrent_dropout=0.1,
        loss="absolute_error",
        **FEW_STEPS | {"learning_rate_init": 0.03},
    ),
    LSTMRegressor(
        loss="quantile",
        quantile=0.5,
        learning_rate="adaptive",
        **STOPPED,
        **FEW_STEPS | {"learning_rate_init": 0.03},
    ),
    LSTMRegressor(16, loss="quantile", quantile=[0.1, 0.5, 0.9], **FEW_STEPS),
    LSTMClassifier(8, bidirectional=True, class_weight="balanced", **FEW_STEPS),
    LSTMClassifier(
        dropout=0.1,
        recurrent_dropout=0.1,
        learning_rate="cosine",
        validation_split="last",
        validation_gap=1,
        **STOPPED,
        **FEW_STEPS,
    ),
]

WINDOWS = [
    SlidingWindow(),
    SlidingWindow(window_size=3, lag=2, sampling_rate=2, padding="edge"),
    SlidingWindow(window_size=4, padding="zero", flatten=True),
    SlidingWindow(window_size=4, lag=1, flatten=True),
    SlidingWindow(window_size=3, carry_context=True),
    SlidingWindow(window_size=3, carry_context=True, padding="edge", flatten=True),
    SlidingWindow(window_size=3, group_column=0),
    SlidingWindow(window_size=3, group_column=-1, carry_context=True, flatten=True),
    SlidingWindow(window_size=3, lag=1, column_lags={0: 0}),
]

# The checks send tables, which the inner transformer gets as they are.
STEPS = [
    TimestepTransformer(transformer)
    for transformer in (
        StandardScaler(),
        QuantileTransformer(n_quantiles=10),
        IncrementalPCA(),
        SimpleImputer(add_indicator=True),
        OneHotEncoder(),
        FunctionTransformer(),
        LinearDiscriminantAnalysis(),
        make_pipeline(StandardScaler(), IncrementalPCA()),
    )
]

PARTIAL_FIT_CHECKS = [
    "check_estimators_partial_fit_n_features",
    "check_fit_score_takes_y",
    "check_n_features_in_after_fitting",
]
WEIGHTS_CHECK = "check_sample_weight_equivalence_on_dense_data"


def expected_failures(estimator):
    """Return the checks that cannot pass by definition, and the reasons."""
    if isinstance(estimator, SlidingWindow):
        reasons = {
            "check_methods_sample_order_invariance": "a window holds the rows before it",
            "check_methods_subset_invariance": "windows lack the rows that are left out",
        }
        if estimator.group_column is not None:
            # The values in these checks are all different, so each row is its own series.
            reasons = {"check_estimators_pickle": "some of the NaN are labels of series"}
        return reasons
    if isinstance(estimator, TimestepTransformer):
        if not isinstance(estimator.transformer, FunctionTransformer):
            return {}
        return {"check_transformer_general": "FunctionTransformer accepts any number of columns"}
    reasons = {}
    if estimator.dropout > 0:
        reasons[WEIGHTS_CHECK] = "each repetition of a row has another dropout mask"
    if estimator.early_stopping is True:
        reasons[WEIGHTS_CHECK] = "repetition changes the last rows"
        reasons |= dict.fromkeys(PARTIAL_FIT_CHECKS, "partial_fit refuses early_stopping")
    if isinstance(getattr(estimator, "quantile", None), list):
        reasons["check_regressors_train"] = "a prediction has a column for each quantile"
    if getattr(estimator, "class_weight", None) == "balanced":
        reasons[WEIGHTS_CHECK] = "classes are balanced by number of rows, as in scikit-learn"
        reasons |= dict.fromkeys(PARTIAL_FIT_CHECKS, "partial_fit refuses class_weight='balanced'")
    return reasons


checks = parametrize_with_checks(
    [*LSTMS, *WINDOWS, *STEPS], expected_failed_checks=expected_failures
).mark


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# A list, since scikit-learn 1.6 returns a generator, which pytest 9 deprecates.
@pytest.mark.parametrize(checks.args[0], list(checks.args[1]), **checks.kwargs)
def test_a_scikit_learn_check_passes(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        # scikit-learn skips one check of a method that the estimators do not have.
        if "does not have a decision_function method" not in str(skipped):
            pytest.fail(f"{check} was skipped: {skipped}")
        raise
