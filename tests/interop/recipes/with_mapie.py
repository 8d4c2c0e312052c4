from mapie.regression import SplitConformalRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, y = load_sunspots(return_X_y=True)
X_windows = SlidingWindow(24, lag=1, flatten=True).fit_transform(X)
train, calibrate, test = slice(0, 180), slice(180, 249), slice(249, 309)

model = make_pipeline(
    StandardScaler(), LSTMRegressor(timesteps=24, early_stopping=True, random_state=0)
)
model.fit(X_windows[train], y[train])
conformal = SplitConformalRegressor(model, confidence_level=0.9, prefit=True)
conformal.conformalize(X_windows[calibrate], y[calibrate])
y_pred, intervals = conformal.predict_interval(X_windows[test])
