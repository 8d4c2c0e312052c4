"""TorchLSTM, an estimator with the network and the training of sklstm in PyTorch."""

import numpy as np
import torch
from accuracy_models import ALPHAS
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from sklearn.utils import check_random_state

from sklstm import LSTMClassifier
from sklstm.parameters import MIN_UPDATES

# At these sizes a second thread does not help.
torch.set_num_threads(1)


class TorchLSTM(BaseEstimator):
    """nn.LSTM and nn.Linear with the parameters of a given sklstm estimator.

    Sizes, initialisation scheme, Adam, learning rate, batch size, clipping, penalty, epochs,
    stopping rule and standardisation of y are the same. The random numbers differ.

    With ``linear_skip``, a ridge regression reads the last time steps of complete windows, and the
    LSTM learns what it leaves over. With ``early_stopping``, the last samples decide which epoch is
    kept; with a ridge, the state before the first epoch, in which the LSTM adds nothing, is one of
    them. sklstm does more: it averages weights, and mixes the LSTM with the ridge.

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
        n_train = len(y)
        if params["early_stopping"] is True:
            n_train -= int(np.ceil(params["validation_fraction"] * n_train))
        self.ridge = None
        if params["linear_skip"]:
            self._fit_ridge(X[:n_train], y[:n_train])
            y = y - self._forecast_of_ridge(X)
        X, lengths = padded(X)
        target = torch.from_numpy(self._encode(y, n_train)).to(X.dtype)
        self._initialize(X.shape[2], target.shape[1], X.dtype)
        data = X, lengths, target
        self._train(*(part[:n_train] for part in data), [part[n_train:] for part in data])
        return self

    def _train(self, X, lengths, target, validation):
        params = self.params
        optimizer = torch.optim.Adam(self.trained, lr=params["learning_rate_init"])
        batch_size = 32 if params["batch_size"] == "auto" else params["batch_size"]
        self.loss_curve_, n_stalled, patience = [], 0, params["n_iter_no_change"]
        best, kept = np.inf, None
        if params["early_stopping"] is True:
            best, kept = self._validation_loss(*validation), self._copy()
        elif batch_size < len(X):
            # As in sklstm, an epoch with few updates counts less.
            patience *= max(1, -(-MIN_UPDATES // -(-len(X) // batch_size)))
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
            now = self.loss_curve_[-1] if kept is None else self._validation_loss(*validation)
            if kept is not None and now < best:
                kept = self._copy()
            n_stalled = n_stalled + 1 if now > best - params["tol"] else 0
            best = min(best, now)
            if n_stalled > patience:
                break
        self.n_iter_ = len(self.loss_curve_)
        if kept is not None:
            with torch.no_grad():
                for W, best_W in zip(self.trained, kept, strict=True):
                    W.copy_(best_W)

    def _copy(self):
        return [W.detach().clone() for W in self.trained]

    def _validation_loss(self, X, lengths, target):
        return self._loss(self._raw_outputs(X, lengths), target).item()

    def _raw_outputs(self, X, lengths, block=512):
        with torch.inference_mode():
            parts = zip(X.split(block), lengths.split(block), strict=True)
            return torch.cat([self._raw(*part) for part in parts])

    def predict(self, X):
        raw = self._raw_outputs(*padded(X)).numpy()
        if not self.is_classifier:
            forecast = raw[:, 0] * self.scale + self.mean
            return forecast if self.ridge is None else forecast + self._forecast_of_ridge(X)
        decided = raw[:, 0] > 0 if raw.shape[1] == 1 else raw.argmax(axis=1)
        return self.binarizer.classes_[decided.astype(int)]

    def _fit_ridge(self, X, y):
        steps = np.asarray(X)[:, -self.params["linear_skip"] :]
        is_complete = ~np.isnan(steps).any(axis=(1, 2))
        self.ridge = make_pipeline(SimpleImputer(), StandardScaler(), RidgeCV(ALPHAS))
        self.ridge.fit(steps[is_complete].reshape(is_complete.sum(), -1), y[is_complete])

    def _forecast_of_ridge(self, X):
        steps = np.asarray(X)[:, -self.params["linear_skip"] :]
        return self.ridge.predict(steps.reshape(len(steps), -1))

    def score(self, X, y):
        return (accuracy_score if self.is_classifier else r2_score)(y, self.predict(X))

    def _encode(self, y, n_train):
        if self.is_classifier:
            self.binarizer = LabelBinarizer().fit(y)
            return self.binarizer.transform(y)
        self.mean, self.scale = y[:n_train].mean(), y[:n_train].std()
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
            if self.ridge is None:
                torch.nn.init.xavier_uniform_(self.head.weight)
            else:
                self.head.weight.zero_()
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
