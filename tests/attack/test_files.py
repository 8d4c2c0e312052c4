"""Files: writers that are killed, and files with random changes."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from sklstm import LSTMRegressor, runtime

pytestmark = pytest.mark.slow

KILL = """
import os, random, signal, sys, time, warnings
import joblib
import numpy as np
from sklstm import LSTMRegressor, runtime

warnings.simplefilter("ignore")
n_rounds, kind = int(sys.argv[1]), sys.argv[2]
X = np.random.RandomState(0).normal(size=(20, 6, 2))
models = [LSTMRegressor(64, max_iter=1, random_state=k).fit(X, X[:, 0, 0]) for k in range(2)]
expected = [model.predict(X).tolist() for model in models]
path = "model"

def save(model):
    if kind == "runtime":
        runtime.save(model, path)
    else:  # as in the documentation
        temporary = f"{path}.{os.getpid()}"
        joblib.dump(model, temporary)
        os.replace(temporary, path)

load = runtime.load if kind == "runtime" else joblib.load
save(models[0])
started = time.perf_counter()
for k in range(10):
    save(models[k % 2])
duration = (time.perf_counter() - started) / 10
for _ in range(n_rounds):
    child = os.fork()
    if child == 0:
        while True:
            save(models[0])
            save(models[1])
    time.sleep(random.uniform(0, 4 * duration))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert load(path).predict(X).tolist() in expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("kind", ["runtime", "joblib"])
def test_a_killed_writer_leaves_the_old_file_or_the_new_one(kind, run_script, rounds, tmp_path):
    n_rounds = rounds(10, 500)
    run_script(KILL, n_rounds, kind)
    if kind == "runtime":
        left = [path for path in tmp_path.iterdir() if path.name != "model"]
        assert len(left) <= n_rounds
        for path in left:
            assert path.match(".sklstm-*.tmp")
            os.utime(path, (0, 0))
        X = np.zeros((4, 3, 1))
        with pytest.warns(UserWarning, match="not converged"):
            model = LSTMRegressor(2, max_iter=1, random_state=0).fit(X, [0.0, 1.0, 2.0, 3.0])
        runtime.save(model, tmp_path / "model")
        assert [path.name for path in tmp_path.iterdir()] == ["model"]


def changed(whole, rng):
    """Return the bytes of a file after one to four random changes."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) or 1)
        size = min(len(data) - start, rng.choice([1, 2, 4, 8, 100]))
        match rng.randrange(6):
            case 0:  # other bytes
                data[start : start + size] = rng.randbytes(size)
            case 1:  # one bit
                data[start : start + 1] = bytes(
                    b ^ 1 << rng.randrange(8) for b in data[start : start + 1]
                )
            case 2:  # cut out
                del data[start : start + size]
            case 3:  # truncated
                del data[start:]
            case 4:  # repeated elsewhere
                place = rng.randrange(len(data) or 1)
                data[place:place] = data[start : start + size]
            case 5:  # extreme numbers
                data[start : start + size] = rng.choice([b"\x00", b"\xff", b"9"]) * size
    return bytes(data)


def test_a_file_with_random_changes_raises_a_short_value_error_or_predicts(rounds, tmp_path):
    X = np.random.RandomState(0).normal(size=(20, 6, 2))
    params = {"pooling": ("last", "max"), "linear_skip": 2, "random_state": 0}
    with pytest.warns(UserWarning, match="not converged"):
        model = LSTMRegressor((3, 2), max_iter=1, **params).fit(X, X[:, 0])
    path = Path(tmp_path / "model.npz")
    runtime.save(model, path)
    whole, expected = path.read_bytes(), model.predict(X)
    rng = random.Random(0)
    n_refused = 0
    for _ in range(n := rounds(300, 20_000)):
        path.write_bytes(changed(whole, rng))
        try:
            predictor = runtime.load(path)
        except ValueError as error:
            message = str(error)
            assert message.startswith(f"{str(path)!r} cannot be loaded: "), message
            assert len(message) < 500 + len(str(path))
            n_refused += 1
        else:  # what was changed has no effect, such as a date
            np.testing.assert_array_equal(predictor.predict(X), expected)
    assert n_refused > 0.8 * n
