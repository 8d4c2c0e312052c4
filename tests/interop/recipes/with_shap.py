import shap
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

X, y = load_sunspots(return_X_y=True)
windows = SlidingWindow(12, lag=1, padding="edge", flatten=True).set_output(transform="pandas")
X_windows = windows.fit_transform(X)

model = make_pipeline(
    StandardScaler(), LSTMRegressor(timesteps=12, early_stopping=True, random_state=0)
)
model.fit(X_windows[:249], y[:249])
explainer = shap.PermutationExplainer(model.predict, X_windows[:249], seed=0)
explanation = explainer(X_windows[249:259], silent=True)
