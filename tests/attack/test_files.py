"""Files: writers that are killed, and files with random changes."""

import os
import random
import signal
import stat
import sys
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_name_that_others_replace_meanwhile_does_no_harm(kind, tmp_path):
    """In a folder that others can write to, they can do so between any two calls."""
    X = np.zeros((4, 3, 1))
    with pytest.warns(UserWarning, match="not converged"):
        model = LSTMRegressor(2, max_iter=1, random_state=0).fit(X, [0.0, 1.0, 2.0, 3.0])
    path, secret = tmp_path / "model.npz", tmp_path / "secret"
    runtime.save(model, path)
    path.chmod(0o666)
    secret.touch()
    secret.chmod(0o600)

    def attack(event, arguments):
        if kind == "pipe" and event == "open" and arguments[0] == str(path):
            path.unlink()
            os.mkfifo(path)
        if kind == "link" and event == "os.chmod":
            (temporary,) = tmp_path.glob(".sklstm-*")
            temporary.unlink()
            temporary.symlink_to(secret)

    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)  # a pipe without a writer makes who opens it wait
            sys.addaudithook(attack)
            if kind == "link":
                runtime.save(model, path)
            else:
                with pytest.raises(ValueError, match="not a regular file"):
                    runtime.load(str(path))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert stat.S_ISFIFO(path.stat().st_mode) == (kind == "pipe")
    assert path.is_symlink() == (kind == "link")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


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
