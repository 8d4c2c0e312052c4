import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, y = load_sunspots(return_X_y=True)
series = pd.DataFrame({"sunspots": X[:, 0]})
windows = SlidingWindow(12, lag=1, flatten=True).set_output(transform="pandas")
X_windows = windows.fit_transform(series)  # columns sunspots_lag12, ..., sunspots_lag1

model = make_pipeline(
    StandardScaler(), LSTMRegressor(timesteps=12, early_stopping=True, random_state=0)
)
model.fit(X_windows[:249], y[:249])
result = permutation_importance(model, X_windows[249:], y[249:], n_repeats=10, random_state=0)
importances = pd.Series(result.importances_mean, index=X_windows.columns).sort_values()
