"""The tests of scikit-learn's MLP, applied to the LSTM estimators.

Each test follows one in sklearn/neural_network/tests/test_mlp.py and has its name without the
solver and the "mlp" in it. The tests at the end are about options that the MLP does not have. Tests
that other files already contain are left out.
"""

import math

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance, roc_auc_score
from sklearn.preprocessing import scale
from support.data import ESTIMATORS, assert_same_fit, outputs, partial_fit
from support.plain import PLAIN

from sklstm import LSTMClassifier, LSTMRegressor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def digits(n_class):
    """Return images of digits as sequences of their eight rows."""
    X, y = load_digits(n_class=n_class, return_X_y=True)
    return X[:200].reshape(-1, 8, 8) / 16, y[:200]


CLASSIFICATION = {"multi": digits(3), "binary": digits(2)}
X_binary, y_binary = CLASSIFICATION["binary"]
X_multi, y_multi = CLASSIFICATION["multi"]

X_reg, y_reg = make_regression(n_samples=200, n_features=10, bias=20, noise=100, random_state=7)
y_reg = scale(y_reg)

X_iris, y_iris = load_iris(return_X_y=True)

both = pytest.mark.parametrize("cls", ESTIMATORS)


# Learning.


def test_fit():
    # One update of one unit on one step, by the formulas. With an epsilon far above its moments,
    # Adam is gradient descent with the step size learning_rate_init / epsilon = 0.1.
    x, alpha, eta = 0.6, 0.1, 0.1
    X, y = [[x]], [0]
    params = {
        "hidden_layer_sizes": 1,
        "alpha": alpha,
        "max_grad_norm": None,
        "beta_1": 0,
        "beta_2": 0,
        "epsilon": 1e12,
        "random_state": 1,
        **PLAIN,
    }
    start = LSTMClassifier(**params, learning_rate_init=1e-12).partial_fit(X, y, classes=[0, 1])
    lstm = LSTMClassifier(**params, learning_rate_init=eta * 1e12)
    lstm.partial_fit(X, y, classes=[0, 1])

    w = start.coefs_[0][:, 0]  # of the gates i, f, g, o; the forget gate has no effect
    b = start.intercepts_[0]
    (v,), (a,) = start.coefs_[2][0], start.intercepts_[1]

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    i, o = sigmoid(w[0] * x + b[0]), sigmoid(w[3] * x + b[3])
    g = math.tanh(w[2] * x + b[2])
    tanh_c = math.tanh(i * g)
    h = o * tanh_c
    p = sigmoid(v * h + a)
    # The loss is -log(1 - p); its derivative with respect to v h + a is p.
    dh = p * v
    dc = dh * o * (1 - tanh_c**2)
    dz = np.array([dc * g * i * (1 - i), 0, dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)])

    assert_allclose(lstm.coefs_[0][:, 0], w - eta * (dz * x + alpha * w), rtol=1e-9)
    assert_allclose(lstm.intercepts_[0], b - eta * dz, rtol=1e-9)
    assert_allclose(lstm.coefs_[1], start.coefs_[1] * (1 - eta * alpha), rtol=1e-9)
    assert_allclose(lstm.coefs_[2], [[v - eta * (p * h + alpha * v)]], rtol=1e-9)
    assert_allclose(lstm.intercepts_[1], [a - eta * p], rtol=1e-9)
    squares = np.square(w).sum() + np.square(start.coefs_[1]).sum() + v**2
    assert lstm.loss_ == pytest.approx(-math.log(1 - p) + alpha / 2 * squares)


@pytest.mark.parametrize(
    "params",
    [{}, {"bidirectional": True}, {"dropout": 0.2, "recurrent_dropout": 0.2}],
    ids=["plain", "bidirectional", "dropout"],
)
@pytest.mark.parametrize("data", CLASSIFICATION)
def test_classification(data, params):
    X, y = CLASSIFICATION[data]
    lstm = LSTMClassifier(16, max_iter=50, random_state=1, **params, **PLAIN)
    lstm.fit(X[:150], y[:150])
    assert lstm.score(X[:150], y[:150]) > 0.95
    predicted = lstm.predict(X[150:])
    assert (predicted.shape, predicted.dtype.kind) == ((50,), "i")
    assert lstm.score(X[150:], y[150:]) > 0.9


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
def test_regression(loss):
    params = {"learning_rate": "cosine", "learning_rate_init": 0.03, "max_iter": 150}
    lstm = LSTMRegressor(32, loss=loss, random_state=1, **PLAIN, **params)
    assert lstm.fit(X_reg, y_reg).score(X_reg, y_reg) > 0.98


def test_multilabel_classification():
    X, Y = make_multilabel_classification(n_samples=50, random_state=0)
    params = {"learning_rate_init": 0.02, "random_state": 0}
    lstm = LSTMClassifier(32, max_iter=100, **params).fit(X, Y)
    assert lstm.score(X, Y) > 0.97

    lstm = LSTMClassifier(32, **params)
    for _ in range(100):
        lstm.partial_fit(X, Y, classes=[0, 1, 2, 3, 4])
    assert lstm.score(X, Y) > 0.9

    lstm = LSTMClassifier(early_stopping=True, max_iter=5, random_state=0)
    assert lstm.fit(X, Y).predict(X).shape == (50, 5)


def test_multioutput_regression():
    X, Y = make_regression(n_samples=200, n_targets=5, n_features=10, random_state=11)
    lstm = LSTMRegressor(32, max_iter=60, random_state=1).fit(X, Y)
    assert lstm.score(X, Y) > 0.9
    assert lstm.predict(X).shape == (200, 5)


def test_vs_poisson_glm_equivalent():
    # The GLM predicts the means of the two groups, and so does a network that has converged.
    rng = np.random.default_rng(0)
    X = np.repeat([0.0, 1.0], 50)[:, np.newaxis]
    y = rng.poisson(np.exp(X[:, 0] + 1))
    weights = rng.uniform(0.5, 2, size=100)
    glm = PoissonRegressor(alpha=0, tol=1e-9).fit(X, y, sample_weight=weights)
    lstm = LSTMRegressor(
        4,
        loss="poisson",
        normalize_y=False,
        alpha=0,
        batch_size=100,
        learning_rate="cosine",
        learning_rate_init=0.05,
        n_iter_no_change=np.inf,
        max_iter=400,
        random_state=1,
        **PLAIN,
    ).fit(X, y, sample_weight=weights)
    assert_allclose(lstm.predict(X), glm.predict(X), rtol=1e-4)
    deviance = mean_poisson_deviance(y, glm.predict(X), sample_weight=weights)
    assert lstm.loss_ == pytest.approx(deviance / 2, rel=1e-6)

    lstm.set_params(loss="absolute_error").fit(X, y, sample_weight=weights)
    assert not np.allclose(lstm.predict(X), glm.predict(X), rtol=1e-2)


# Probabilities.


def test_predict_proba_binary():
    X, y = X_binary[:50], y_binary[:50]
    lstm = LSTMClassifier(5, random_state=1, max_iter=50).fit(X, y)
    p, log_p = lstm.predict_proba(X), lstm.predict_log_proba(X)
    assert p.shape == (50, 2)
    assert_array_equal(p.argmax(axis=1), log_p.argmax(axis=1))
    assert_allclose(log_p, np.log(p))
    assert roc_auc_score(y, p[:, 1]) == 1.0


def test_predict_proba_multiclass():
    X, y = X_multi[:10], y_multi[:10]
    lstm = LSTMClassifier(5, random_state=1, max_iter=10).fit(X, y)
    p, log_p = lstm.predict_proba(X), lstm.predict_log_proba(X)
    assert p.shape == (10, 3)
    assert_array_equal(p.argmax(axis=1), log_p.argmax(axis=1))
    assert_allclose(log_p, np.log(p))


def test_predict_proba_multilabel():
    X, Y = make_multilabel_classification(n_samples=50, random_state=0)
    lstm = LSTMClassifier(32, learning_rate_init=0.02, random_state=0).fit(X, Y)
    p, log_p = lstm.predict_proba(X), lstm.predict_log_proba(X)
    assert p.shape == Y.shape
    assert_array_equal(p > 0.5, Y)
    # A sigmoid for each label, no softmax.
    assert np.square(p.sum(axis=1) - 1).sum() > 1e-10
    assert_array_equal(p.argmax(axis=1), log_p.argmax(axis=1))
    assert_allclose(log_p, np.log(p))


# partial_fit.


def test_partial_fit_classes_error():
    lstm = LSTMClassifier(4).partial_fit([[3, 2]], [0], classes=[0, 1])
    with pytest.raises(ValueError, match="classes"):
        lstm.partial_fit([[3, 2]], [0], classes=[1, 2])


CONTINUED = [
    {},
    {"bidirectional": True, "dropout": 0.2, "recurrent_dropout": 0.2},
    {"learning_rate": "cosine"},
    {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.02},
]


@pytest.mark.parametrize("params", CONTINUED, ids=["plain", "dropout", "cosine", "adaptive"])
@pytest.mark.parametrize("data", CLASSIFICATION)
def test_partial_fit_classification(data, params):
    X, y = CLASSIFICATION[data]
    params = {"tol": 0, "max_iter": 20, "class_weight": {0: 1.5}} | params
    lstm = LSTMClassifier(8, random_state=1, **params).fit(X, y)
    parts = LSTMClassifier(8, random_state=1, **params)
    for _ in range(lstm.n_iter_):
        parts.partial_fit(X, y, classes=np.unique(y))
    assert_same_fit(parts, lstm)
    assert parts.learning_rate_curve_ == lstm.learning_rate_curve_
    assert_array_equal(parts.predict(X), lstm.predict(X))
    assert parts.score(X, y) > 0.95


@pytest.mark.parametrize("params", CONTINUED, ids=["plain", "dropout", "cosine", "adaptive"])
def test_partial_fit_regression(params):
    params = {"max_iter": 15, "batch_size": len(X_reg), "learning_rate_init": 0.05} | params
    params["early_stopping"] = False
    lstm = LSTMRegressor(8, random_state=1, **params).fit(X_reg, y_reg)
    parts = LSTMRegressor(8, random_state=1, **params)
    for _ in range(lstm.n_iter_):
        parts.partial_fit(X_reg, y_reg)
    assert_same_fit(parts, lstm)
    assert parts.learning_rate_curve_ == lstm.learning_rate_curve_
    assert_array_equal(parts.predict(X_reg), lstm.predict(X_reg))


def test_partial_fit_unseen_classes():
    lstm = LSTMClassifier(random_state=0)
    lstm.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    lstm.partial_fit([[4]], ["d"])
    assert lstm.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0


def test_partial_fit_errors():
    with pytest.raises(ValueError, match="class"):
        LSTMClassifier().partial_fit([[3, 2], [1, 6]], [1, 0], classes=[2])


def test_loading_from_joblib_partial_fit(tmp_path):
    lstm = LSTMRegressor(42, alpha=0, random_state=42, max_iter=100).fit([[2], [2]], [4, 4])
    joblib.dump(lstm, tmp_path / "lstm.joblib")
    loaded = joblib.load(tmp_path / "lstm.joblib")
    for _ in range(200):
        loaded.partial_fit([[2]], [1])
    assert_allclose(loaded.predict([[2]]), [1], rtol=1e-4)
    assert_allclose(lstm.predict([[2]]), [4], rtol=0.01)


@both
def test_partial_fit_after_fit(cls):
    lstm = cls(4, early_stopping=True, max_iter=2, random_state=0).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        lstm.partial_fit(X_iris, y_iris)


@both
def test_verbose(cls, capsys):
    lstm = partial_fit(cls(2, max_iter=2, verbose=10), [[3, 2], [1, 6]], [1, 0])
    lstm.fit([[3, 2], [1, 6]], [1, 0])
    # "Epoch" instead of "Iteration", in partial_fit too.
    assert capsys.readouterr().out.count("Epoch 1: ") == 2


# Stopping.


@both
def test_early_stopping(cls):
    X, y, tol = X_binary[:100], y_binary[:100], 0.2
    params = {"tol": tol, "max_iter": 300, "linear_skip": 0, "random_state": 0}
    lstm = cls(8, early_stopping=True, **params).fit(X, y)
    assert lstm.n_iter_ < 300
    assert lstm.best_loss_ is None
    scores = lstm.validation_scores_
    assert isinstance(scores, list)
    assert max(scores) == lstm.best_validation_score_
    assert lstm.best_validation_score_ + tol > scores[-2]
    assert lstm.best_validation_score_ + tol > scores[-1]

    lstm = cls(8, early_stopping=False, **params).fit(X, y)
    assert lstm.validation_scores_ is None
    assert lstm.best_validation_score_ is None
    assert lstm.best_loss_ is not None


@both
def test_adaptive_learning_rate(cls):
    lstm = cls(4, tol=0.5, max_iter=3000, learning_rate="adaptive", random_state=0)
    lstm.fit([[3, 2], [1, 6]], [1, 0])
    assert lstm.n_iter_ < 3000
    rates = lstm.learning_rate_curve_
    assert len(rates) == lstm.n_iter_
    assert rates[-1] <= 1e-6 < rates[0] == lstm.learning_rate_init
    steps = np.divide(rates[:-1], rates[1:])
    assert_allclose(np.unique(steps.round(6)), [1, 5])


@pytest.mark.parametrize("schedule", ["constant", "adaptive", "cosine"])
def test_learning_rate_warmstart(schedule):
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    lstm = LSTMClassifier(4, learning_rate=schedule, max_iter=3, warm_start=True, random_state=0)
    lstm.fit(X, y)
    before = lstm.learning_rate_curve_
    assert before[0] == lstm.learning_rate_init
    assert lstm.fit(X, y).learning_rate_curve_ == before + before


def test_early_stopping_stratified():
    X, y = [[1, 2], [2, 3], [3, 4], [4, 5]], ["no", "no", "no", "yes"]
    with pytest.raises(ValueError, match=r"least populated class.* only 1 member") as error:
        LSTMClassifier(early_stopping=True).fit(X, y)
    # scikit-learn 1.9 and later name the class, which must be the label and not its number.
    assert "too few members are: [1]" not in str(error.value)


def test_early_stopping_string_labels():
    X, y = make_classification(
        n_samples=200, n_features=10, n_classes=3, n_informative=5, random_state=42
    )
    labels = np.array(["class_a", "class_b", "class_c"], dtype=object)[y]
    lstm = LSTMClassifier(4, early_stopping=True, max_iter=5, random_state=42).fit(X, labels)
    assert len(lstm.validation_scores_) == lstm.n_iter_
    assert np.isfinite(lstm.validation_scores_).all()
    # A given validation set can have another type of strings.
    own = LSTMClassifier(4, early_stopping=True, max_iter=2, random_state=42)
    own.fit(X, labels, X_val=X[:50], y_val=labels[:50].astype(str))
    assert own.best_validation_score_ == own.score(X[:50], labels[:50])


def test_minimum_input_sample_size():
    X, y = make_regression(n_samples=2, n_features=5, random_state=0)
    with pytest.raises(ValueError, match=r"The validation set .*is too small"):
        LSTMRegressor(early_stopping=True, random_state=0).fit(X, y)


@both
def test_sample_weight_with_early_stopping(cls):
    params = {"early_stopping": True, "max_iter": 5, "batch_size": 10, "random_state": 42}
    weighted = cls(4, **params).fit(X_iris, y_iris, sample_weight=np.ones(len(X_iris)))
    plain = cls(4, **params).fit(X_iris, y_iris)
    assert_same_fit(weighted, plain)
    assert weighted.validation_scores_ == plain.validation_scores_


@both
def test_preserve_feature_names(cls):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((20, 2)), columns=["colname_a", "colname_b"])
    y = pd.Series(np.tile([0, 1], 10), name="colname_y")
    params = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 2}
    params["timesteps"] = 2
    # Warnings are errors: there is none about names, in a split or with a given validation set.
    lstm = cls(4, **params).fit(X, y)
    lstm.fit(X, y, X_val=X[::2], y_val=y[::2])
    assert list(lstm.feature_names_in_) == ["colname_a", "colname_b"]


# warm_start.


@both
def test_warm_start_full_iteration(cls):
    # The MLP counts the epochs of the last call; here all epochs count, as in the loss curve.
    lstm = cls(2, warm_start=True, max_iter=3, random_state=0).fit(X_iris, y_iris)
    assert lstm.n_iter_ == len(lstm.loss_curve_) == 3
    lstm.fit(X_iris, y_iris)
    assert lstm.n_iter_ == len(lstm.loss_curve_) == 6


@both
@pytest.mark.filterwarnings("error")
def test_warm_start_no_convergence(cls):
    lstm = cls(2, warm_start=True, max_iter=4, n_iter_no_change=np.inf, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"did 4 epochs \(max_iter\)"):
        lstm.fit(X_iris, y_iris)
    lstm.set_params(max_iter=6)
    with pytest.warns(ConvergenceWarning, match=r"did 6 epochs \(max_iter\)"):
        lstm.fit(X_iris, y_iris)
    assert lstm.n_iter_ == 4 + 6


@both
def test_warm_start_with_early_stopping(cls):
    lstm = cls(2, max_iter=3, random_state=0, warm_start=True, early_stopping=True)
    lstm.fit(X_iris, y_iris)
    n_scores = len(lstm.validation_scores_)
    lstm.set_params(max_iter=5).fit(X_iris, y_iris)
    assert len(lstm.validation_scores_) == n_scores + 5


# Numbers.


@pytest.mark.parametrize("max_grad_norm", [1.0, None])
def test_nonfinite_params(max_grad_norm):
    # The activations of the MLP overflow; the gates of an LSTM saturate.
    rng = np.random.default_rng(0)
    X = np.finfo(np.float64).max * rng.uniform(size=(10, 2))
    params = {"max_iter": 5, "random_state": 0, **PLAIN}
    lstm = LSTMRegressor(4, max_grad_norm=max_grad_norm, **params)
    lstm.fit(X, rng.standard_normal(10))
    assert all(np.isfinite(W).all() for W in [*lstm.coefs_, *lstm.intercepts_])
    assert np.isfinite(lstm.predict(X)).all()


@both
def test_diverging_loss(cls):
    # The MLP continues and ends with NaN; here, fit raises and changes nothing.
    lstm = cls(4, learning_rate_init=1e200, early_stopping=True, random_state=0)
    before = dict(vars(lstm))
    with pytest.raises(ValueError, match="Training diverged in epoch 1"):
        lstm.fit(X_iris, y_iris)
    assert vars(lstm) == before


@both
def test_dtypes_casting(cls):
    fits = {
        dtype: cls(5, random_state=1, max_iter=5).fit(X_binary[:150].astype(dtype), y_binary[:150])
        for dtype in (np.float32, np.float64)
    }
    single, double = (outputs(lstm, X_binary[150:].astype(dtype)) for dtype, lstm in fits.items())
    assert_allclose(single, double, rtol=1e-3)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_param_dtypes(cls, dtype):
    params = {"bidirectional": True, "dropout": 0.2, "recurrent_dropout": 0.2, "max_iter": 2}
    lstm = cls((5, 3), random_state=1, **params).fit(X_binary.astype(dtype), y_binary)
    assert {W.dtype for W in [*lstm.coefs_, *lstm.intercepts_]} == {np.dtype(dtype)}
    assert outputs(lstm, X_binary.astype(dtype)).dtype == dtype


# Options that the MLP does not have.


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_robust_losses_ignore_an_outlier(loss):
    X = np.random.default_rng(0).standard_normal((60, 6, 2))
    y = X.sum(axis=(1, 2))
    params = {"loss": loss, "n_iter_no_change": np.inf, "max_iter": 100, "random_state": 0}
    params |= PLAIN
    spoiled = np.r_[1e5, y[1:]]
    for target in (y, spoiled):
        lstm = LSTMRegressor(4, **params).fit(X, target)
        assert lstm.score(X[1:], y[1:]) > 0.9


@pytest.mark.parametrize("data", ["split", "given"])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_early_stopping_accepts_a_constant_validation_target(loss, data):
    # For instance the end of a series of rare counts.
    X = np.random.default_rng(0).standard_normal((30, 5))
    y = np.r_[np.arange(20), np.zeros(10)]
    own = {} if data == "split" else {"X_val": X[-5:], "y_val": y[-5:]}
    lstm = LSTMRegressor(4, loss=loss, early_stopping=True, max_iter=3, random_state=0)
    assert np.isfinite(lstm.fit(X, y, **own).validation_scores_).all()


def test_a_given_validation_set_of_one_sample_raises():
    X, y = X_reg[:20], y_reg[:20]
    with pytest.raises(ValueError, match=r"X_val.* a minimum of 2 is required"):
        LSTMRegressor(early_stopping=True).fit(X, y, X_val=X[:1], y_val=y[:1])


@both
@pytest.mark.parametrize("gap", [18, 19, 25, 35, 36, 40])
def test_a_gap_that_leaves_too_few_samples_raises(cls, gap):
    lstm = cls(4, early_stopping=True, validation_split="last", validation_gap=gap)
    with pytest.raises(ValueError, match=rf"validation_gap \(now {gap}\)"):
        lstm.fit(X_binary[:20], y_binary[:20])


def test_the_warning_about_overlap_points_at_the_caller():
    X = np.lib.stride_tricks.sliding_window_view(np.arange(50.0), 6)[:, :, np.newaxis]
    lstm = LSTMRegressor(4, early_stopping=True, validation_split="random", max_iter=2)
    with pytest.warns(UserWarning, match="overlap") as caught:
        lstm.fit(X, np.arange(45.0))
    (warning,) = (w for w in caught if "overlap" in str(w.message))
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("fitted", "changed"),
    [
        ({"loss": "squared_error"}, {"loss": "poisson"}),
        ({"loss": "poisson"}, {"loss": "squared_error"}),
        ({"loss": "poisson"}, {"quantile": 0.5}),
        ({"loss": "quantile", "quantile": 0.9}, {"quantile": None}),
        ({"loss": "squared_error"}, {"normalize_y": False}),
        ({"loss": "squared_error"}, {"bidirectional": True, "dropout": 0.5, "dtype": "float32"}),
    ],
    ids=["to-poisson", "from-poisson", "add-quantile", "no-quantile", "normalize_y", "layers"],
)
def test_changed_parameters_do_not_change_predictions(fitted, changed):
    # As in the MLP, whose link is out_activation_.
    X, y = X_reg[:20], np.abs(y_reg[:20])
    lstm = LSTMRegressor(4, max_iter=2, random_state=0, **fitted).fit(X, y)
    before = lstm.predict(X)
    assert_array_equal(lstm.set_params(**changed).predict(X), before)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("losses", [("squared_error", "poisson"), ("poisson", "huber")])
def test_continuing_with_another_link_raises(losses, call):
    # The weights and the scale of y belong to the link.
    X, y = X_reg[:20], np.abs(y_reg[:20])
    first, second = losses
    lstm = LSTMRegressor(4, loss=first, max_iter=2, warm_start=True, random_state=0).fit(X, y)
    lstm.set_params(loss=second)
    with pytest.raises(ValueError, match="loss"):
        getattr(lstm, call)(X, y)
