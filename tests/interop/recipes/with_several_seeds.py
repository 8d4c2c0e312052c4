from sklearn.ensemble import VotingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, y = load_sunspots(return_X_y=True)
train, test = slice(0, 249), slice(249, 309)

seeds = [(f"seed_{seed}", LSTMRegressor(random_state=seed)) for seed in range(5)]
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=1, carry_context=True),
    VotingRegressor(seeds, n_jobs=2),
)
y_pred = model.fit(X[train], y[train]).predict(X[test])
error = root_mean_squared_error(y[test], y_pred)
