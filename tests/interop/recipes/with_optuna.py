import optuna
from sklearn.base import clone
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, y = load_sunspots(return_X_y=True)
X_train, y_train = X[:249], y[:249]
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(lag=1),
    LSTMRegressor(early_stopping=True, random_state=0),
)


def objective(trial):
    candidate = clone(model).set_params(
        slidingwindow__window_size=trial.suggest_int("window_size", 6, 36),
        lstmregressor__hidden_layer_sizes=trial.suggest_categorical("units", [8, 16, 32]),
        lstmregressor__learning_rate_init=trial.suggest_float("rate", 3e-3, 3e-2, log=True),
    )
    folds = TimeSeriesSplit(n_splits=2, test_size=50)
    return cross_val_score(candidate, X_train, y_train, cv=folds).mean()


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=5)
