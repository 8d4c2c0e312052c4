"""scikit-learn's own checks of estimators: all of them, and none left out by us."""

from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow

# The checks want to see that something is learned, and they want weights to equal repetition to
# seven digits. Few but not too small steps give both: late in training, when the loss is all but
# zero, each step of Adam blows up a little what rounding makes of sums in another order, and after
# hundreds of steps no two ways to the same sum agree to seven digits. scikit-learn checks its own
# MLP with less than the default max_iter, too. One batch holds the 27 rows that the check of the
# weights makes by repetition; over smaller batches that is not the same computation.
FEW_STEPS = {"learning_rate_init": 0.01, "max_iter": 50}

LSTMS = [
    estimator(**FEW_STEPS, **params)
    for estimator in (LSTMRegressor, LSTMClassifier)
    for params in (
        {},
        {"hidden_layer_sizes": (16, 8), "batch_size": 64, "shuffle": False, "max_grad_norm": None},
    )
]

WINDOWS = [
    SlidingWindow(),
    SlidingWindow(window_size=3, lag=2, sampling_rate=2, padding="edge"),
    SlidingWindow(window_size=4, padding="zero", flatten=True),
    SlidingWindow(window_size=4, lag=1, flatten=True),
]


def expected_failures(estimator):
    """By definition: what a window holds depends on where its row stands among the others."""
    if not isinstance(estimator, SlidingWindow):
        return {}
    return {
        "check_methods_sample_order_invariance": "a window holds the rows that come before",
        "check_methods_subset_invariance": "rows that are left out are missing from windows",
    }


checks = parametrize_with_checks([*LSTMS, *WINDOWS], expected_failed_checks=expected_failures).mark


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# A list, since scikit-learn 1.6 makes a generator, which pytest 9 deprecates.
@pytest.mark.parametrize(checks.args[0], list(checks.args[1]), **checks.kwargs)
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        # scikit-learn itself leaves out the one check of a method that we do not have.
        if "does not have a decision_function method" not in str(skipped):
            pytest.fail(f"{check} was skipped: {skipped}")
        raise
