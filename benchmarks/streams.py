"""A stream whose state runs on, compared with windows: the numbers of the user guide.

Run ``.venv-bench/bin/python benchmarks/streams.py``; it takes a minute.
"""

import warnings

import numpy as np

from sklstm import LSTMClassifier, SlidingWindow

N_STEPS, N_SEEDS = 3000, 5


def draw_stream(rng):
    """Return a noisy oscillation, (n_steps,), and whether it is fast, which changes at random."""
    is_fast = np.cumsum(rng.uniform(size=N_STEPS) < 1 / 40) % 2
    phase = np.cumsum(np.where(is_fast, 1.0, 0.5))
    return np.sin(phase) + 0.5 * rng.normal(size=N_STEPS), is_fast


def follow(model, x, restart=None):
    """Predict each step of a stream; ``restart`` steps after its start, a state has no successor.

    The next state has then been started half as long ago.
    """
    predicted, young, old = [], None, None
    for t, x_t in enumerate(x[:, np.newaxis]):
        if restart is not None and t % (restart // 2) == 0:
            old, young = young, None
        y_t, old = model.predict_step(x_t, old)
        if restart is not None:
            _, young = model.predict_step(x_t, young)
        predicted.append(y_t)
    return np.array(predicted)


def accuracies(pooling, window_size, seed):
    rng = np.random.default_rng(seed)
    x, y = draw_stream(rng)
    x_new, y_new = draw_stream(rng)
    window = SlidingWindow(window_size)
    model = LSTMClassifier(
        16, pooling=pooling, early_stopping=True, validation_split="last", random_state=seed
    )
    model.fit(window.fit_transform(x[:, np.newaxis])[window_size:], y[window_size:])
    predictions = {
        "windows": model.predict(window.fit_transform(x_new[:, np.newaxis])),
        "one state": follow(model, x_new),
        "two states": follow(model, x_new, restart=2 * window_size),
    }
    return {name: np.mean(predicted == y_new) for name, predicted in predictions.items()}


def main():
    warnings.filterwarnings("ignore", message=".*converged")
    for pooling in ("last", "auto"):
        for window_size in (10, 40):
            results = [accuracies(pooling, window_size, seed) for seed in range(N_SEEDS)]
            means = {name: np.mean([r[name] for r in results]) for name in results[0]}
            numbers = "  ".join(f"{name} {mean:.3f}" for name, mean in means.items())
            print(f"pooling={pooling!r}, windows of {window_size}: {numbers}", flush=True)


if __name__ == "__main__":
    main()
