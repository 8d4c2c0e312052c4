"""Options of the interpreter change no bit: no docstrings, warnings as errors, development mode."""

import pytest
from support.data import run_python

SCRIPT = """
import hashlib, warnings
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow, runtime

warnings.filterwarnings("ignore", category=ConvergenceWarning)
X = np.random.RandomState(0).normal(size=(60, 8, 2))
y = X[:, 0, 0] + X[:, -1, 1]
classifier = LSTMClassifier(4, max_iter=3, random_state=0).fit(X, y > 0)
regressor = make_pipeline(
    StandardScaler(), SlidingWindow(8, lag=1), LSTMRegressor((4, 3), max_iter=3, random_state=0)
).fit(y[:, np.newaxis], y)
runtime.save(classifier, "model.npz")
probabilities = runtime.load("model.npz").predict_proba(X)
assert (probabilities == classifier.predict_proba(X)).all()
try:
    LSTMRegressor(0).fit(X, y)
except ValueError:
    bits = probabilities.tobytes() + regressor.predict(y[:, np.newaxis]).tobytes()
    print(hashlib.sha256(bits).hexdigest())
"""


@pytest.mark.slow
def test_options_of_the_interpreter_change_no_bit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(SCRIPT, {})
    plain = capsys.readouterr().out
    assert len(plain.strip()) == 64
    assert run_python(*("-OO", "-X", "dev", "-W", "error", "-c"), SCRIPT, cwd=tmp_path) == plain
