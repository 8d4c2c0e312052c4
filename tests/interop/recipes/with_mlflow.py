import mlflow
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import LSTMRegressor, SlidingWindow
from sklstm.datasets import load_sunspots

TRUSTED = [
    "sklstm.nn.model.InputForm",
    "sklstm.nn.model.Model",
    "sklstm.nn.model.NumericOutput",
    "sklstm.nn.network.Network",
    "sklstm.nn.optimizers.Adam",
    "sklstm.nn.recent.RecentSteps",
    "sklstm.nn.training.History",
    "sklstm.nn.training.Progress",
    "sklstm.nn.training.TrainingState",
    "sklstm.regressor.LSTMRegressor",
    "sklstm.windows.sliding.SlidingWindow",
]

X, y = load_sunspots(return_X_y=True)
model = make_pipeline(
    StandardScaler(),
    SlidingWindow(24, lag=1),
    LSTMRegressor(early_stopping=True, random_state=0),
)

mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    model.fit(X[:249], y[:249])
    mlflow.log_params(model[-1].get_params())
    for epoch, loss in enumerate(model[-1].loss_curve_):
        mlflow.log_metric("loss", loss, step=epoch)
    logged = mlflow.sklearn.log_model(model, name="sunspots", skops_trusted_types=TRUSTED)

loaded = mlflow.sklearn.load_model(logged.model_uri)
y_pred = loaded.predict(X)[249:]
