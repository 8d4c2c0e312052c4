"""What windows and a large X cost in memory: a batch at a time, never all of it at once.

The code runs in a process of its own, whose peak memory the operating system measures.
"""

import json
import sys

import pytest
from support.data import run_python

pytest.importorskip("resource", reason="only Unix measures the peak memory of a process")

SIZE = 8 * 4000 * 100 * 64  # 205 MB: what each of the two below takes as an array of float64

# 4000 windows of 100 rows. Neighbours share all rows but one.
WINDOWS = """
series = np.random.RandomState(0).normal(size=(4000, 64))
y = series[:, 0]
windows = SlidingWindow(100)
pipeline = make_pipeline(windows, LSTMRegressor(2, max_iter=1))
"""
FRUGAL_WITH_WINDOWS = [
    "windows.fit_transform(series)",
    "pipeline.fit(series, y)",
    "pipeline.predict(series)",
    "pipeline.set_params(lstmregressor__early_stopping=True).fit(series, y)",
    "windows.set_params(carry_context=True).fit_transform(series)",
    "windows.fit(series[:2000]).transform(series[2000:])",
    "windows.transform(series)",
    "windows.partial_fit(series[2000:3000]).transform(series[3000:])",
    "windows.set_params(group_column=0).fit_transform(np.c_[np.zeros(4000), series])",
]
COPY_OF_WINDOWS = "np.ascontiguousarray(windows.fit_transform(series))"

# 4000 sequences of 100 steps in numbers of one byte, which become eight.
BYTES = """
X = np.random.RandomState(0).randint(0, 100, size=(4000, 100, 64), dtype=np.int8)
y = X[:, -1, 0]
np.save("X.npy", X)
model = LSTMRegressor(2, max_iter=1)
"""
FRUGAL_WITH_BYTES = [
    "model.fit(X, y)",
    "model.partial_fit(X, y)",
    "model.predict(X)",
    "model.fit(list(X), y)",
    "model.fit(np.load('X.npy', mmap_mode='r'), y)",
]
COPY_OF_BYTES = "X.astype(np.float64)"

SCRIPT = """
import json, resource, sys, warnings
import numpy as np
from sklearn.pipeline import make_pipeline
from sklstm import LSTMRegressor, SlidingWindow
warnings.simplefilter("ignore")  # one epoch is not enough to converge
code, actions = sys.argv[1], sys.argv[2:]

def peak():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else 1024 * size

exec(code)
# What is loaded or allocated once, however much there is of X.
few = np.zeros((300, 100, 64))
LSTMRegressor(2, max_iter=1).fit(few, few[:, 0, 0]).predict(few)
del few
start = peak()
growth = []
for action in actions:
    exec(action)
    growth.append(peak() - start)
print(json.dumps(growth))
"""

# Linux lets a process inherit the peak of the one that starts it. This one is small.
STARTER = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"


@pytest.mark.parametrize(
    ("setup", "frugal", "copy"),
    [
        (WINDOWS, FRUGAL_WITH_WINDOWS, COPY_OF_WINDOWS),
        (BYTES, FRUGAL_WITH_BYTES, COPY_OF_BYTES),
    ],
    ids=["windows", "bytes"],
)
def test_memory_is_that_of_a_batch(setup, frugal, copy, tmp_path):
    command = [sys.executable, "-c", SCRIPT, setup, *frugal, copy]
    *growth, growth_of_copy = json.loads(run_python("-c", STARTER, *command, cwd=tmp_path))
    # The last is there to show that a copy would be seen.
    assert growth_of_copy > 0.9 * SIZE
    bound = SIZE / 4
    assert {action: size for action, size in zip(frugal, growth, strict=True) if size > bound} == {}
