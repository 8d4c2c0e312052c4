"""TorchLSTM, an estimator with the network and the training of sklstm in PyTorch."""

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from sklstm import LSTMClassifier

# At these sizes a second thread does not help.
torch.set_num_threads(1)


class TorchLSTM(BaseEstimator):
    """nn.LSTM and nn.Linear with the parameters of a given sklstm estimator.

    Sizes, initialisation scheme, Adam, learning rate, batch size, clipping, penalty, epochs,
    stopping rule and standardisation of y are the same. The random numbers differ.

    Parameters
    ----------
    estimator : LSTMRegressor or LSTMClassifier
        Need not be fitted. Only the parameters that this benchmark uses are supported.
    same_draws : bool, default=False
        Whether to use the same initial weights and sample order as the estimator.
    """

    def __init__(self, estimator, same_draws=False):
        self.estimator = estimator
        self.same_draws = same_draws

    def fit(self, X, y):
        self.params = params = self.estimator.get_params()
        self.is_classifier = isinstance(self.estimator, LSTMClassifier)
        self.rng = check_random_state(params["random_state"])
        self.rng = np.random.RandomState(self.rng.randint(np.iinfo(np.int32).max))
        torch.manual_seed(self.rng.randint(2**31) if not self.same_draws else 0)
        X, lengths = padded(X)
        target = torch.from_numpy(self._encode(y)).to(X.dtype)
        self._initialize(X.shape[2], target.shape[1], X.dtype)
        optimizer = torch.optim.Adam(self.trained, lr=params["learning_rate_init"])
        batch_size = 32 if params["batch_size"] == "auto" else params["batch_size"]
        self.loss_curve_, best, n_stalled = [], np.inf, 0
        for _ in range(params["max_iter"]):
            order = torch.from_numpy(self.rng.permutation(len(X)))
            total = 0.0
            for rows in order.split(batch_size):
                raw = self._raw(X[rows], lengths[rows])
                loss = self._loss(raw, target[rows])
                squares = sum((W**2).sum() for W in self.weights)
                loss = loss + params["alpha"] / (2 * len(X)) * squares
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.trained, params["max_grad_norm"])
                optimizer.step()
                total += loss.item() * len(rows)
            self.loss_curve_.append(total / len(X))
            n_stalled = n_stalled + 1 if self.loss_curve_[-1] > best - params["tol"] else 0
            best = min(best, self.loss_curve_[-1])
            if n_stalled > params["n_iter_no_change"]:
                break
        self.n_iter_ = len(self.loss_curve_)
        return self

    def predict(self, X, block=512):
        X, lengths = padded(X)
        with torch.inference_mode():
            parts = zip(X.split(block), lengths.split(block), strict=True)
            raw = torch.cat([self._raw(*part) for part in parts]).numpy()
        if not self.is_classifier:
            return raw[:, 0] * self.scale + self.mean
        decided = raw[:, 0] > 0 if raw.shape[1] == 1 else raw.argmax(axis=1)
        return self.binarizer.classes_[decided.astype(int)]

    def score(self, X, y):
        return (accuracy_score if self.is_classifier else r2_score)(y, self.predict(X))

    def _encode(self, y):
        if self.is_classifier:
            self.binarizer = LabelBinarizer().fit(y)
            return self.binarizer.transform(y)
        self.mean, self.scale = y.mean(), y.std()
        return ((y - self.mean) / self.scale)[:, np.newaxis]

    def _initialize(self, n_features, n_outputs, dtype):
        sizes = np.atleast_1d(self.params["hidden_layer_sizes"])
        (n_units,) = (int(size) for size in sizes)
        self.lstm = torch.nn.LSTM(n_features, n_units, batch_first=True).to(dtype)
        self.head = torch.nn.Linear(n_units, n_outputs).to(dtype)
        W_x, W_h, b, b_2 = self.lstm.parameters()
        self.weights = [W_x, W_h, self.head.weight]
        # PyTorch adds two biases. If both were trained, Adam would move their sum twice as fast.
        self.trained = [*self.weights, b, self.head.bias]
        b_2.requires_grad_(False)
        with torch.no_grad():
            for bias in (b, b_2, self.head.bias):
                bias.zero_()
            b[n_units : 2 * n_units] = 1  # i, f, g, o
            torch.nn.init.xavier_uniform_(W_x)
            torch.nn.init.orthogonal_(W_h)
            torch.nn.init.xavier_uniform_(self.head.weight)
            if self.same_draws:
                from sklstm.nn.network import Network

                network = Network(n_features, (n_units,), n_outputs)
                coefs, _ = network.unpack(network.initialize(self.rng))
                for W, drawn in zip(self.weights, coefs, strict=True):
                    W.copy_(torch.from_numpy(drawn))

    def _raw(self, X, lengths):
        # Steps after the end of a sequence do not change the states before it.
        output, _ = self.lstm(X[:, : max(int(lengths.max()), 1)])
        last = output[torch.arange(len(X)), (lengths - 1).clamp(min=0)]
        # As in sklstm, the state before the first step is zero.
        return self.head(torch.where(lengths[:, None] > 0, last, 0.0))

    def _loss(self, raw, target):
        if not self.is_classifier:
            return ((raw - target) ** 2).mean() / 2
        if raw.shape[1] == 1:
            return torch.nn.functional.binary_cross_entropy_with_logits(raw, target)
        return torch.nn.functional.cross_entropy(raw, target)


def padded(X):
    """Pad sequences to one array and return it with their lengths, without missing steps."""
    if not isinstance(X, list):
        n_missing = np.isnan(X).all(axis=2).sum(axis=1)
        if not n_missing.any():
            return torch.from_numpy(np.array(X)), torch.full((len(X),), X.shape[1])
        X = [x[n:] for x, n in zip(X, n_missing, strict=True)]
    lengths = torch.tensor([len(x) for x in X])
    array = np.zeros((len(X), int(lengths.max()), X[-1].shape[1]), X[-1].dtype)
    for row, x in zip(array, X, strict=True):
        row[: len(x)] = x
    return torch.from_numpy(array), lengths
