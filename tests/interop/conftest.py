"""Settings and a fixture for the tests with other libraries."""

import os

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from support.data import assert_same_fit, make_sequences, make_target, quick

# No library reports its usage over the network.
os.environ.setdefault("DO_NOT_TRACK", "true")  # mlflow
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

collect_ignore = ["recipes"]  # test_recipes.py runs them; each needs another library.


class Search:
    """A grid search that can be run on any backend of joblib."""

    def __init__(self, cls):
        # A nested function is pickled by value, so workers need not import this file.
        def score_and_process(estimator, X, y):
            return {"score": estimator.score(X, y), "process": os.getpid()}

        X = make_sequences("ragged", n_samples=60)
        grid = {"hidden_layer_sizes": [4, (8, 4)], "alpha": [0.0, 1.0]}
        search = GridSearchCV(quick(cls), grid, scoring=score_and_process, refit="score", cv=3)
        self.best = search.fit(X, make_target(cls, X)).best_estimator_
        results = search.cv_results_
        self.scores = np.array([results[f"split{k}_test_score"] for k in range(3)])
        self.processes = {int(p) for k in range(3) for p in results[f"split{k}_test_process"]}

    def assert_same(self, other):
        """Assert that two searches have equal bits."""
        np.testing.assert_array_equal(self.scores, other.scores)
        assert_same_fit(self.best, other.best)


@pytest.fixture
def search():
    """Return the class of searches; test files cannot import this file."""
    return Search
