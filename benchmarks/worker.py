"""Measure one library in a separate process: ``worker.py LIBRARY TASK PARAMS``.

Prints one line of JSON. Each library is used according to its own good practice; all use the same
data and the same timing.
"""

import json
import resource
import sys
import time
from functools import partial

import numpy as np

LEARNING_RATE = 1e-3


def sequences(n_samples, n_timesteps, n_features, dtype="float32"):
    """Return random sequences and targets; their values do not affect the time."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_timesteps, n_features), dtype=dtype)
    return X, X[:, :, 0].mean(axis=1)


class Sklstm:
    """LSTMRegressor with the same network as the others, unless options say otherwise."""

    def __init__(self, n_features, n_units, batch_size, **options):
        from sklstm import LSTMRegressor

        self.estimator = LSTMRegressor(
            n_units,
            batch_size=batch_size,
            learning_rate_init=LEARNING_RATE,
            n_iter_no_change=np.inf,
            random_state=0,
            **{"linear_skip": 0, "early_stopping": False} | options,
        )

    def fit(self, X, y, n_epochs):
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.estimator.set_params(max_iter=n_epochs).fit(X, y)

    def predict(self, X):
        return self.estimator.predict(X)


class Torch:
    """nn.LSTM and nn.Linear in a standard training loop: random batches, clipping, Adam."""

    def __init__(self, n_features, n_units, batch_size):
        import torch

        class Network(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = torch.nn.LSTM(n_features, n_units, batch_first=True)
                self.head = torch.nn.Linear(n_units, 1)

            def forward(self, x):
                output, _ = self.lstm(x)
                return self.head(read(output))[..., 0]

        read = self.read
        self.torch, self.make_network, self.batch_size = torch, Network, batch_size

    def read(self, output):
        """Return the hidden states that the head reads."""
        return output[:, -1]

    def fit(self, X, y, n_epochs):
        torch = self.torch
        torch.manual_seed(0)
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        self.network = network = self.make_network().to(X.dtype)
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for _ in range(n_epochs):
            order = torch.randperm(len(X))
            for first in range(0, len(X), self.batch_size):
                rows = order[first : first + self.batch_size]
                loss = ((network(X[rows]) - y[rows]) ** 2).mean() / 2
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()

    def predict(self, X, block=1024):
        torch = self.torch
        with torch.inference_mode():
            X = torch.from_numpy(X)
            return torch.cat([self.network(part) for part in X.split(block)]).numpy()


class TorchSteps(Torch):
    """The same network in PyTorch with an output at each step."""

    def read(self, output):
        return output


class TorchPacked(Torch):
    """The same network in PyTorch on packed sequences, which have different lengths."""

    def fit(self, X, y, n_epochs):
        from torch.nn.utils.rnn import pack_sequence

        torch = self.torch
        torch.manual_seed(0)
        # Missing steps are left out once, before training.
        X, y = [torch.from_numpy(x[~np.isnan(x[:, 0])]) for x in X], torch.from_numpy(y)
        self.network = network = self.make_network()
        optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for _ in range(n_epochs):
            order = torch.randperm(len(X))
            for first in range(0, len(X), self.batch_size):
                rows = order[first : first + self.batch_size]
                batch = pack_sequence([X[row] for row in rows], enforce_sorted=False)
                _, (h, _) = network.lstm(batch)
                loss = ((network.head(h[0])[:, 0] - y[rows]) ** 2).mean() / 2
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()


class OnnxRuntime(Sklstm):
    """The model of sklstm as an ONNX file, which predicts in onnxruntime."""

    def fit(self, X, y, n_epochs):
        import onnxruntime

        from sklstm.interop import to_onnx

        super().fit(X, y, n_epochs)
        model = to_onnx(self.estimator).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def predict(self, X):
        return self.session.run(None, {self.name: X})[0]


class Skorch:
    """NeuralNetRegressor around the same network."""

    def __init__(self, n_features, n_units, batch_size):
        import torch
        from skorch import NeuralNetRegressor
        from skorch.callbacks import GradientNormClipping

        network = Torch(n_features, n_units, batch_size).make_network

        class Column(network):
            def forward(self, x):
                return super().forward(x)[:, None]

        self.settings = {
            "module": Column,
            "optimizer": torch.optim.Adam,
            "lr": LEARNING_RATE,
            "batch_size": batch_size,
            "iterator_train__shuffle": True,
            "train_split": None,
            "callbacks": [GradientNormClipping(1.0)],
            "verbose": 0,
        }
        self.make = NeuralNetRegressor

    def fit(self, X, y, n_epochs):
        self.estimator = self.make(max_epochs=n_epochs, **self.settings).fit(X, y[:, None])

    def predict(self, X):
        return self.estimator.predict(X)


class Keras:
    """Sequential([LSTM, Dense]) on the JAX backend."""

    def __init__(self, n_features, n_units, batch_size):
        import os

        os.environ["KERAS_BACKEND"] = "jax"
        import keras

        self.keras, self.n_units, self.batch_size = keras, n_units, batch_size

    def fit(self, X, y, n_epochs):
        keras = self.keras
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential([keras.layers.LSTM(self.n_units), keras.layers.Dense(1)])
        self.model.compile(keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=1.0), loss="mse")
        self.model.fit(X, y, batch_size=self.batch_size, epochs=n_epochs, verbose=0)

    def predict(self, X):
        return self.model.predict(X, batch_size=1024, verbose=0)


LIBRARIES = {
    "sklstm": Sklstm,
    "sklstm linear": partial(Sklstm, linear_skip="auto"),
    "sklstm pooling": partial(Sklstm, pooling=("last", "mean", "max")),
    "sklstm steps": partial(Sklstm, return_sequences=True),
    "sklstm series": partial(Sklstm, train_on="series"),
    "torch": Torch,
    "torch steps": TorchSteps,
    "torch packed": TorchPacked,
    "onnxruntime": OnnxRuntime,
    "skorch": Skorch,
    "keras": Keras,
}


def timed(function, *args):
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def epoch_seconds(fit, X, y, n_repeats):
    """Return the seconds of an epoch: from the least times of fits of one and of four epochs.

    Noise only adds to a time, so the least one has the least of it. That does not hold for the
    differences of single times: the least difference is the one whose short fit was disturbed.
    """
    few, many = 1, 4
    times = [(timed(fit, X, y, few), timed(fit, X, y, many)) for _ in range(n_repeats)]
    least_few, least_many = np.min(times, axis=0).tolist()
    return (least_many - least_few) / (many - few)


def train(library, n_features, n_units, n_timesteps, batch_size, n_batches, dtype="float32"):
    """Return milliseconds per update: the slope of the time of fit over the number of epochs."""
    X, y = sequences(n_batches * batch_size, n_timesteps, n_features, dtype)
    if library.endswith("steps"):
        y = np.ascontiguousarray(X[:, :, 0])
    model = LIBRARIES[library](n_features, n_units, batch_size)
    model.fit(X, y, 1)
    few, many = 1, 6
    slopes = [
        (timed(model.fit, X, y, many) - timed(model.fit, X, y, few)) / (many - few)
        for _ in range(3)
    ]
    return 1000 * float(np.median(slopes)) / n_batches


def predict(library, n_features, n_units, n_timesteps, sizes, dtype="float32"):
    """Return milliseconds to predict each number of samples: the least of a second's calls."""
    model = LIBRARIES[library](n_features, n_units, 32)
    model.fit(*sequences(64, n_timesteps, n_features, dtype), 1)
    milliseconds = []
    for n_samples in sizes:
        X, _ = sequences(n_samples, n_timesteps, n_features, dtype)
        model.predict(X)
        times, end = [], time.perf_counter() + 1
        while len(times) < 3 or time.perf_counter() < end:
            times.append(timed(model.predict, X))
        milliseconds.append(1000 * min(times))
    return milliseconds


def batches(library, kind, n_sequences, n_timesteps, n_features, n_units, batch_size):
    """Return microseconds per time step that is not missing, of training.

    Parameters
    ----------
    library : str
        The library.
    kind : {"equal", "ragged", "full", "padded"}
        Sequences of equal length; of a tenth to 1.9 times that length, as a list; all windows of a
        series but the first ones; the first windows too, which begin with missing steps.
    n_sequences, n_timesteps, n_features : int
        Shape of X; for "ragged" the mean length.
    n_units, batch_size : int
        As elsewhere.
    """
    X, y = sequences(n_sequences, n_timesteps, n_features)
    n_steps = n_sequences * n_timesteps
    if kind == "ragged":
        rng = np.random.default_rng(0)
        lengths = rng.integers(n_timesteps // 10, 19 * n_timesteps // 10 + 1, n_sequences)
        X = [rng.standard_normal((length, n_features), dtype="float32") for length in lengths]
        n_steps = lengths.sum()
    elif kind == "padded":
        is_before = np.arange(n_timesteps) < n_timesteps - 1 - np.arange(n_sequences)[:, np.newaxis]
        X[is_before] = np.nan
        n_steps -= is_before.sum()
    model = LIBRARIES[library](n_features, n_units, batch_size)
    model.fit(X, y, 1)
    return 1e6 * epoch_seconds(model.fit, X, y, 5) / int(n_steps)


def series(library, n_rows, n_features, n_units, window_size):
    """Return milliseconds of an epoch over the windows of a series, by themselves or along it."""
    from sklstm import SlidingWindow

    rows, _ = sequences(n_rows, 1, n_features)
    X, y = SlidingWindow(window_size).fit_transform(rows[:, 0]), rows[:, 0, 0]
    model = LIBRARIES[library](n_features, n_units, "auto")
    model.fit(X, y, 1)
    return 1000 * epoch_seconds(model.fit, X, y, 3)


def end_to_end(library, n_samples=1000, n_timesteps=24, n_epochs=20):
    """Fit and predict once, as in a script; the caller measures the time of the process."""
    X, y = sequences(n_samples, n_timesteps, 1)
    model = LIBRARIES[library](1, 32, 32)
    model.fit(X, y, n_epochs)
    model.predict(X)
    return peak_mib()


def peak_mib():
    """Return the peak memory of this process so far."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)


def grow(library, n_samples, n_timesteps):
    """Return time and additional memory of an epoch and of a prediction, in float32."""
    model = LIBRARIES[library](1, 32, 32)
    X, y = sequences(64, 10, 1)
    model.fit(X, y, 1)
    model.predict(X)
    X, y = sequences(n_samples, n_timesteps, 1)
    before = peak_mib()
    predict = timed(model.predict, X)
    predict_mib = peak_mib() - before
    fit = timed(model.fit, X, y, 1)
    return [fit, peak_mib() - before, predict, predict_mib]


def windows(library, n_rows, n_columns, window_size, n_units, batch_size):
    """Return time and additional memory to fit windows for an epoch and to predict."""
    import warnings

    from sklearn.pipeline import make_pipeline

    from sklstm import LSTMRegressor, SlidingWindow

    warnings.simplefilter("ignore")  # one epoch does not converge
    series = np.random.default_rng(0).standard_normal((n_rows, n_columns))
    y = series.sum(axis=1)
    pipeline = make_pipeline(
        SlidingWindow(window_size, lag=1),
        LSTMRegressor(n_units, batch_size=batch_size, max_iter=1, random_state=0),
    )
    before = peak_mib()
    fit = timed(pipeline.fit, series, y)
    after_fit = peak_mib() - before
    predict = timed(pipeline.predict, series)
    return {
        "series_mib": series.nbytes / 2**20,
        "windows_mib": series.nbytes * window_size / 2**20,
        "fit_seconds": fit,
        "fit_mib": after_fit,
        "predict_seconds": predict,
        "predict_mib": peak_mib() - before,
    }


def mapped(library, n_samples, n_timesteps, n_features, n_units, batch_size):
    """Return time and additional memory to train for an epoch on a memory-mapped X.

    Pages of the file in the cache of the operating system are not counted.
    """
    import tempfile
    import threading

    from sklstm import LSTMRegressor

    def anonymous_mib():
        with open("/proc/self/status") as status:
            (line,) = (line for line in status if line.startswith("RssAnon"))
        return int(line.split()[1]) / 1024

    model = LSTMRegressor(n_units, batch_size=batch_size, random_state=0)
    shape = (n_samples, n_timesteps, n_features)
    with tempfile.NamedTemporaryFile(dir=".") as file:  # /tmp may be memory
        file.truncate(8 * n_samples * n_timesteps * n_features)  # zeros that take no space
        X = np.memmap(file.name, np.float64, "r", shape=shape)
        y = np.arange(float(n_samples))
        before = anonymous_mib()
        peak, done = [before], threading.Event()

        def watch():
            while not done.wait(0.05):
                peak.append(anonymous_mib())

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds = timed(model.partial_fit, X, y)
        done.set()
        watcher.join()
    return {"file_gib": X.nbytes / 2**30, "seconds": seconds, "mib": max(peak) - before}


def floor(library, n_features, n_units, n_timesteps, batch_size):
    """Return a lower bound of the milliseconds per update in one thread.

    It is the time of 6 * 4 * n_units * (n_features + n_units) * batch_size * n_timesteps floating
    point operations at the measured rate of this matrix product, and of 5 * n_units * batch_size *
    n_timesteps values of tanh at the measured rate. With t threads, the bound is t times smaller.
    """
    rng = np.random.default_rng(0)
    W = rng.standard_normal((4 * n_units, n_features + n_units), dtype="float32")
    x = rng.standard_normal((n_features + n_units, batch_size), dtype="float32")
    z = np.empty((4 * n_units, batch_size), "float32")
    n_calls = max(10, 200_000_000 // (2 * W.size * batch_size))

    def products():
        for _ in range(n_calls):
            np.dot(W, x, out=z)

    z_5 = np.zeros((5 * n_units, batch_size), "float32")

    def tanhs():
        for _ in range(n_calls):
            np.tanh(z_5, out=z_5)

    per_step = 3 * min(timed(products) for _ in range(5)) + min(timed(tanhs) for _ in range(5))
    return 1000 * n_timesteps * per_step / n_calls


TASKS = {
    "train": train,
    "predict": predict,
    "batches": batches,
    "series": series,
    "end_to_end": end_to_end,
    "grow": grow,
    "windows": windows,
    "mapped": mapped,
    "floor": floor,
}


if __name__ == "__main__":
    library, task, parameters = sys.argv[1:]
    print(json.dumps(TASKS[task](library, **json.loads(parameters))))
