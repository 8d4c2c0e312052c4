"""Weights to and from PyTorch give the same predictions and the same training."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from interop.frameworks import (
    ADAM,
    N_STEPS,
    NETWORKS,
    make_data,
    torch_losses,
    torch_module,
    torch_outputs,
    training_runs,
)
from support.data import make_sequences, outputs
from support.plain import PLAIN, plain

from sklstm import LSTMClassifier, LSTMRegressor
from sklstm.interop import from_torch, to_torch

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, NUMBERS, CLASSES = make_data()
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
LINKS = {
    "identity": lambda raw: raw,
    "exponential": torch.exp,
    "logistic": torch.sigmoid,
    "softmax": lambda raw: torch.softmax(raw, dim=1),
}


def predictions_of_torch(model, X):
    """Return the predictions of PyTorch with the weights of an estimator, through the link."""
    network = model.__sklstm_model__().network
    module = torch_module(network.hidden_layer_sizes, network.n_outputs, network.bidirectional)
    module.to(torch.tensor(X).dtype)
    state = {name: torch.tensor(array) for name, array in to_torch(model).items()}
    module.load_state_dict(state, strict=True)
    return LINKS[model.out_activation_](torch.tensor(torch_outputs(module, X))).numpy()


TARGETS = [
    (LSTMRegressor, {}, 100 + 5 * NUMBERS),
    (LSTMRegressor, {"normalize_y": False}, NUMBERS[:, 0]),
    (LSTMRegressor, {"loss": "poisson"}, 70 + 10 * NUMBERS[:, 0]),
    (LSTMClassifier, {}, CLASSES > 0),
    (LSTMClassifier, {}, np.array(["a", "c", "b"])[CLASSES]),
    (LSTMClassifier, {}, np.tri(3, dtype=int)[CLASSES]),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [(4,), (3, 3, 3)])
@pytest.mark.parametrize(
    ("cls", "loss", "y"), TARGETS, ids=["numbers", "raw", "counts", "two", "three", "labels"]
)
def test_to_torch_gives_the_predictions_of_the_estimator(cls, loss, y, sizes, bidirectional, dtype):
    model = plain(cls, hidden_layer_sizes=sizes, bidirectional=bidirectional, **loss)
    model.fit(X.astype(dtype), y)
    X_new = make_sequences("dense", n_timesteps=11, dtype=dtype)
    predicted, expected = predictions_of_torch(model, X_new), outputs(model, X_new)
    if expected.shape[1:] == (2,) and cls is LSTMClassifier:
        expected = expected[:, 1:]
    expected = expected.reshape(predicted.shape)
    np.testing.assert_allclose(predicted, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_from_torch_gives_the_predictions_of_the_module(name, dtype):
    sizes, n_outputs, bidirectional = NETWORKS[name]
    module = torch_module(sizes, n_outputs, bidirectional, seed=1)
    X_new = X.astype(dtype)
    module.to(torch.tensor(X_new).dtype)
    raw = torch_outputs(module, X_new)
    # Parameters rather than tensors: they require gradients.
    state = dict(module.named_parameters())
    model = from_torch(state, LSTMRegressor(sizes, bidirectional=bidirectional))
    predicted = model.predict(X_new).reshape(raw.shape)
    assert predicted.dtype == dtype
    np.testing.assert_allclose(predicted, raw, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])

    classifier = from_torch(module.state_dict(), LSTMClassifier(sizes, bidirectional=bidirectional))
    decided = raw.argmax(axis=1) if n_outputs > 1 else (raw[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(classifier.predict(X_new), decided)

    # Later changes of the module do not affect the estimator.
    before = model.predict(X_new)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(model.predict(X_new), before)


@pytest.mark.parametrize("name", ["regressor", "two classes", "three classes"])
def test_sixty_steps_of_adam_equal_those_of_pytorch(name):
    network, y = training_runs(NUMBERS, CLASSES)[name]
    sizes, _, bidirectional = network
    cls = LSTMRegressor if name == "regressor" else LSTMClassifier
    template = cls(
        sizes,
        bidirectional=bidirectional,
        alpha=0.0,
        max_grad_norm=None,
        shuffle=False,
        batch_size=len(X),
        learning_rate_init=ADAM["lr"],
        beta_1=ADAM["betas"][0],
        beta_2=ADAM["betas"][1],
        epsilon=ADAM["eps"],
        max_iter=N_STEPS,
        n_iter_no_change=np.inf,
        warm_start=True,
        **PLAIN,
    )
    module = torch_module(*network, seed=1)
    model = from_torch(module.state_dict(), template).fit(X, np.squeeze(y))
    losses = torch_losses(module, X, y)
    assert losses[-1] < losses[0] / 2
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-6, atol=0)
    trained = from_torch(module.state_dict(), template)
    for found, expected in zip(model.coefs_, trained.coefs_, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_the_documented_example_keeps_the_predictions():
    example = Path(__file__).parents[2] / "docs" / "interop" / "with_torch.py"
    names = runpy.run_path(str(example))
    X, predicted = names["X"], names["probabilities"]
    for estimator in (names["model"], names["back"]):
        np.testing.assert_allclose(estimator.predict_proba(X), predicted, rtol=1e-10)
