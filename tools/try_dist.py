"""Try the distributions: install and use the wheel alone, and run the tests of the sdist.

Usage: python tools/try_dist.py dist
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

# What a user does first. It runs where only the wheel and what it declares are installed.
SMOKE_TEST = """
import importlib.metadata, pickle, sys
import numpy as np
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import sklstm
from sklstm import LSTMClassifier, LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots
from sklstm.runtime import load, save

X, y = load_sunspots(return_X_y=True)
model = make_pipeline(StandardScaler(), SlidingWindow(12, lag=1), LSTMRegressor(8, random_state=0))
search = GridSearchCV(model, {"slidingwindow__window_size": [6, 12]}, cv=TimeSeriesSplit(2))
best = search.fit(X, y).best_estimator_
assert best.score(X, y) > 0.7, best.score(X, y)
assert np.array_equal(pickle.loads(pickle.dumps(best)).predict(X), best.predict(X))

sequences = [np.full((n, 1), n % 2) for n in range(3, 43)]
classifier = LSTMClassifier(8, random_state=0).fit(sequences, [len(s) % 2 for s in sequences])
save(classifier, "model.npz")
assert np.array_equal(load("model.npz").predict(sequences), classifier.predict(sequences))

assert importlib.metadata.version("sklstm") == sklstm.__version__
print("sklstm", sklstm.__version__, "works with", ", ".join(sorted(
    f"{d.name} {d.version}" for d in importlib.metadata.distributions() if d.name != "sklstm"
)))
"""


def new_environment(folder: Path) -> Path:
    """Make a virtual environment and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    return python


def run(*command: object, cwd: Path) -> None:
    print("$", *command[1:], flush=True)
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def main(dist: Path) -> None:
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        python = new_environment(here / "wheel")
        run(python, *install, wheel, cwd=here)
        script = here / "smoke_test.py"
        script.write_text(SMOKE_TEST, encoding="utf-8")
        run(python, "-W", "error", "-W", "ignore::UserWarning", script, cwd=here)

        python = new_environment(here / "sdist")
        with tarfile.open(sdist) as archive:
            archive.extractall(here, filter="data")
        source = here / sdist.name.removesuffix(".tar.gz")
        run(python, *install, f"{source}[test]", cwd=here)
        run(python, "-m", "pytest", "-q", "-n", "2", "-m", "not slow", cwd=source)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
